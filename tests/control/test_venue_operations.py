"""What a person sees and does about venues: their health, the search, what is watched, and the sum over all of them."""

from __future__ import annotations

from decimal import Decimal as D
from typing import TYPE_CHECKING

import pytest

from engine.errors import ConflictError, NotFoundError
from engine.model.ids import AccountId, InstrumentId
from tests.kit.exchanges import Exchanges
from tests.kit.fake_feed import FakeFeed, spot
from tests.kit.waiting import eventually

if TYPE_CHECKING:
    from pathlib import Path

BINANCE = "[venues.binance]\nlatency_ms = 0\nlatency_jitter_ms = 0\n"
COINBASE = "[venues.coinbase]\nlatency_ms = 0\nlatency_jitter_ms = 0\n"
BTC = InstrumentId("BINANCE:BTC/USDT")


@pytest.fixture
def market(monkeypatch: pytest.MonkeyPatch) -> Exchanges:
    return Exchanges(monkeypatch, FakeFeed(), FakeFeed("COINBASE", ("BTC/USD", "ETH/USD", "USDT/USD")))


async def test_every_venue_is_listed_with_how_the_way_to_it_is(tmp_path: Path, market: Exchanges) -> None:
    market.feeds["COINBASE"].away = True
    async with market.deck(tmp_path, BINANCE + COINBASE) as on:
        market.quote()
        await eventually(lambda: on.engine.mark(BTC) is not None)
        there, away = await on.call("venues.list")
        assert (there.id, there.state, there.latency_ms, there.streams[0].messages) == ("BINANCE", "online", 12.5, 7)
        assert (there.markets, there.live_markets, there.instruments) == (2, 1, 3)
        (account,) = there.accounts
        assert (account.id, account.known, account.equity) == ("paper-binance", True, D(10_000))
        assert (away.id, away.state, away.accounts[0].known, away.accounts[0].equity) == (
            *("COINBASE", "offline", False, None),
        )
        assert "COINBASE" in away.reason
        status = await on.call("engine.status")
        assert (status.away, status.equity) == (("COINBASE",), None), "what is not known is not left out of the sum"
        assert (await on.call("portfolio.overview")).unvalued == ("the account paper-coinbase",)


async def test_accounts_are_valued_together_only_by_rates_that_are_known(tmp_path: Path, market: Exchanges) -> None:
    config = f"[capital]\nbase_currency = 'USD'\n{BINANCE}{COINBASE}symbols = ['BTC/USD', 'USDT/USD']\n"
    async with market.deck(tmp_path, config) as on:
        engine = on.engine
        await eventually(lambda: engine.equity(AccountId("paper-coinbase")) == 10_000)
        before = await on.call("portfolio.overview")
        assert (before.currency, before.equity, before.unvalued, before.accounts) == ("USD", None, ("USDT",), 2)
        market.feeds["COINBASE"].book_is([(9, 10)], [(11, 10)], "USDT/USD")
        await eventually(lambda: engine.total().known)
        after = await on.call("portfolio.overview")
        assert after.equity == D(10_000) + D(10_000) * D("1.0")
        rows = {row.account: row.value for row in await on.call("portfolio.balances")}
        assert rows == {"paper-binance": D("10000.0"), "paper-coinbase": D(10_000)}


async def test_prices_of_the_simulated_market_value_nothing_real(tmp_path: Path, market: Exchanges) -> None:
    config = f"[paper]\nenabled = true\nbalances = {{ BTC = 1 }}\n{BINANCE}balances = {{ BTC = 1 }}\n"
    async with market.deck(tmp_path, config) as on:
        await eventually(lambda: on.engine.equity(AccountId("paper")) is not None)
        assert on.engine.equity(AccountId("paper-binance")) is None
        market.quote(bid=500_000)
        await eventually(lambda: on.engine.equity(AccountId("paper-binance")) == D("50000.05"))
        assert on.engine.equity(AccountId("paper")) != D("50000.05")


async def test_whatever_a_venue_has_is_found_watched_and_watched_again_after_a_restart(
    tmp_path: Path, market: Exchanges
) -> None:
    feed = market.feeds["BINANCE"]
    feed.listed += [spot("BINANCE", name) for name in ("SOL/USDT", "SOL/BTC", "SOLV/USDT", "WSOL/USDT")]
    async with market.deck(tmp_path, BINANCE) as on:
        found = await on.call("instruments.search", query="sol")
        assert [row.symbol for row in found] == ["SOL/USDT", "SOL/BTC", "SOLV/USDT", "WSOL/USDT"]
        assert not any(row.watched for row in found)
        with pytest.raises(NotFoundError, match="There is no venue okx; there are BINANCE"):
            await on.call("instruments.search", query="sol", venue="okx")
        row = await on.call("instruments.watch", instrument="BINANCE:SOL/USDT")
        assert (row.symbol, feed.watched[-1]) == ("SOL/USDT", "BINANCE:SOL/USDT")
        with pytest.raises(NotFoundError, match="BINANCE has no BINANCE:DOGE/USDT"):
            await on.call("instruments.watch", instrument="BINANCE:DOGE/USDT")
        with pytest.raises(ConflictError, match="is in use by the settings"):
            await on.call("instruments.unwatch", instrument=BTC)
    async with market.deck(tmp_path, BINANCE) as on:
        listed = [row.symbol for row in await on.call("instruments.list")]
        assert listed == ["BTC/USDT", "ETH/USDT", "SOL/USDT"]
        await on.call("instruments.unwatch", instrument="BINANCE:SOL/USDT")
        assert "BINANCE:SOL/USDT" not in feed.watched
        assert len(await on.call("instruments.list")) == 2
    async with market.deck(tmp_path, BINANCE) as on:
        assert len(await on.call("instruments.list")) == 2


async def test_a_bot_brings_its_market_along_and_trades_in_the_account_of_its_venue(
    tmp_path: Path, market: Exchanges
) -> None:
    bot = {"name": "one", "strategy": "trend_following", "instrument": "BINANCE:ETH/BTC", "capital": "500"}
    async with market.deck(tmp_path, f"[paper]\nenabled = true\n{BINANCE}") as on:
        await on.call("bots.create", **bot)
        assert "BINANCE:ETH/BTC" in market.feeds["BINANCE"].watched
        entry = on.engine.bots.find("one")
        assert on.engine.bots.account_of(entry) == "paper-binance"
        assert on.engine.capital.free(AccountId("paper-binance")) == 8_500
        assert on.engine.capital.free(AccountId("paper")) == 9_000
        with pytest.raises(NotFoundError, match="BINANCE has no account paper; it has paper-binance"):
            await on.call("bots.create", **{**bot, "name": "two", "account": "paper"})
    async with market.deck(tmp_path, f"[paper]\nenabled = true\n{BINANCE}") as on:
        assert "BINANCE:ETH/BTC" in on.engine.hub.markets
        with pytest.raises(ConflictError, match="in use"):
            await on.call("instruments.unwatch", instrument="BINANCE:ETH/BTC")
