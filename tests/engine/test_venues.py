"""Several venues in one engine: each trades for itself, and one that is away keeps no other from trading."""

from __future__ import annotations

import asyncio
from decimal import Decimal as D
from decimal import localcontext
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from engine import events as ev
from engine import venue_unit
from engine.control.host import EngineHost, build_engine
from engine.control.topics import STATE_TOPICS
from engine.errors import NotFoundError, OrderRejectionError
from engine.execution.connection import ConnectionState
from engine.execution.dispatcher import Dispatcher
from engine.model.account import TradingMode
from engine.model.ids import AccountId, Currency, InstrumentId
from engine.model.order import OrderStatus
from engine.model.valuation import VIEW
from engine.risk.scopes import Emergency
from engine.venue_unit import VenueUnit
from tests.engine.test_engine import facts
from tests.kit.exchanges import Exchanges
from tests.kit.fake_feed import FakeFeed, spot
from tests.kit.waiting import eventually

if TYPE_CHECKING:
    from pathlib import Path

ONE = "[venues.binance]\nlatency_ms = 0\nlatency_jitter_ms = 0\n"
TWO = f"[paper]\nenabled = true\n{ONE}"
BTC, SIMULATED = InstrumentId("BINANCE:BTC/USDT"), InstrumentId("SIM:ETH/USDT")
ME, PAPER, USDT = AccountId("paper-binance"), AccountId("paper"), Currency("USDT")


@pytest.fixture
def market(monkeypatch: pytest.MonkeyPatch) -> Exchanges:
    return Exchanges(monkeypatch, FakeFeed())


async def test_one_exchange_on_paper_is_a_whole_engine_and_remembers(tmp_path: Path, market: Exchanges) -> None:
    feed = market.feeds["BINANCE"]
    feed.listed += [spot("BINANCE", f"COIN{number}/USDT") for number in range(3000)]
    async with market.deck(tmp_path, ONE) as on:
        engine = on.engine
        assert (engine.account, engine.venue.id) == (ME, "BINANCE")
        assert engine.state.accounts[ME].mode is TradingMode.PAPER
        assert set(engine.state.instruments) == {BTC, InstrumentId("BINANCE:ETH/USDT")}, "what is in use, no more"
        assert len(engine.default.catalogue) == 3003
        market.quote()
        await eventually(lambda: engine.mark(BTC) is not None)
        row = await on.call("orders.place", instrument=BTC, side="buy", quantity="0.01")
        await on.reaches(row, OrderStatus.FILLED)
        balances = dict(engine.state.balances[ME])
        rests = await on.call("orders.place", instrument=BTC, side="buy", type="limit", quantity="0.005", price="57000")
        await on.reaches(rests, OrderStatus.ACCEPTED)
    async with market.deck(tmp_path, ONE) as on:
        assert on.engine.state.balances[ME][USDT].total == balances[USDT].total
        assert on.engine.state.orders[rests.client_id].status is OrderStatus.ACCEPTED
        assert await facts(on, ev.BalanceAdjusted, ev.ExternalFillSeen) == []
        assert len(await facts(on, ev.InstrumentDefined)) == 2


async def test_orders_go_to_the_venue_of_their_instrument(tmp_path: Path, market: Exchanges) -> None:
    async with market.deck(tmp_path, TWO) as on:
        engine = on.engine
        assert list(engine.venues) == ["SIM", "BINANCE"]
        market.quote()
        await eventually(lambda: None not in (engine.mark(BTC), engine.mark(SIMULATED)))
        for instrument, account in ((BTC, ME), (SIMULATED, PAPER)):
            row = await on.call("orders.place", instrument=instrument, side="buy", quantity="0.01")
            assert row.account == account
            await on.reaches(row, OrderStatus.FILLED)
        assert engine.state.balance(ME, Currency("BTC")).total == D("0.01")
        assert engine.state.balance(PAPER, Currency("ETH")).total == D("0.01")
        with pytest.raises(NotFoundError, match="OKX is not in this engine; it has SIM, BINANCE"):
            await on.call("orders.place", instrument="OKX:BTC/USDT", side="buy", quantity="0.01")
        with pytest.raises(NotFoundError, match="BTC/USDT names no venue; write the venue before it, such as SIM:BTC"):
            await on.call("orders.place", instrument="BTC/USDT", side="buy", quantity="0.01")


async def test_breakers_of_both_accounts_are_told_apart_and_limits_name_the_account_that_used_most(
    tmp_path: Path, market: Exchanges
) -> None:
    async with market.deck(tmp_path, TWO) as on:
        market.quote()
        await eventually(lambda: None not in (on.engine.mark(BTC), on.engine.mark(SIMULATED)))
        await on.reaches(await on.call("orders.place", instrument=BTC, side="buy", quantity="0.01"), OrderStatus.FILLED)
        view = await on.call("risk.overview")
        labels = {(row.account, row.label) for row in view.breakers if row.name == "daily_loss"}
        assert {account for account, _ in labels} == {PAPER, ME}
        assert {label.rpartition(" ")[2] for _, label in labels} == {"(SIM)", "(BINANCE)"}
        (largest,) = [row for row in view.limits if row.name == "max_position_size_pct"]
        assert largest.label == "Largest position (BTC/USDT) (BINANCE)"


async def test_a_venue_that_is_away_at_the_start_is_brought_in_when_it_comes(tmp_path: Path, market: Exchanges) -> None:
    feed = market.feeds["BINANCE"]
    feed.away = True
    async with market.deck(tmp_path, TWO) as on:
        engine, unit = on.engine, on.engine.unit(BTC)
        assert engine.ready
        assert unit.connection.state is ConnectionState.OFFLINE
        assert "BINANCE" in unit.connection.reason
        assert (engine.equity(ME), ME in engine.state.accounts) == (None, True)
        await eventually(lambda: engine.mark(SIMULATED) is not None)
        row = await on.call("orders.place", instrument=SIMULATED, side="buy", quantity="0.01")
        await on.reaches(row, OrderStatus.FILLED)
        feed.away = False
        await eventually(lambda: unit.connection.state is ConnectionState.ONLINE, seconds=20)
        market.quote()
        await eventually(lambda: engine.mark(BTC) is not None)
        row = await on.call("orders.place", instrument=BTC, side="buy", quantity="0.01")
        await on.reaches(row, OrderStatus.FILLED)
        assert {report.account for report in await facts(on, ev.RecoveryVerified)} == {PAPER, ME}


def slow(monkeypatch: pytest.MonkeyPatch, *venues: str) -> tuple[asyncio.Event, list[str]]:
    """These venues tell of their orders only once the event is set; the venues that were asked."""
    gate, asked, real = asyncio.Event(), list[str](), Dispatcher.recover

    async def recover(self: Any, venue: Any, *args: Any, **how: Any) -> Any:
        asked.append(venue.id)
        if venue.id in venues:
            await gate.wait()
        return await real(self, venue, *args, **how)

    monkeypatch.setattr(Dispatcher, "recover", recover)
    return gate, asked


async def test_venues_are_brought_in_line_beside_each_other_and_count_together(
    tmp_path: Path, market: Exchanges, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, asked = slow(monkeypatch, "SIM")
    (tmp_path / "config.toml").write_text(TWO)
    host = build_engine(tmp_path, {"paper.latency_ms": 0})
    starting = asyncio.ensure_future(host.start())
    await eventually(lambda: host.engine is not None and len(host.engine.unit(BTC).reports) == 1)
    assert host.engine is not None
    assert asked == ["SIM", "BINANCE"]
    assert [unit.recovered for unit in host.engine.venues.values()] == [False, False]
    gate.set()
    await starting
    assert [unit.recovered for unit in host.engine.venues.values()] == [True, True]
    await host.stop()


async def test_a_venue_that_is_not_compared_in_time_keeps_no_other_from_being_traded(
    tmp_path: Path, market: Exchanges, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = VenueUnit._settle

    async def hangs(self: VenueUnit, account: AccountId, *, patient: bool) -> bool:
        if self.id == "BINANCE" and not self.connection.lost:
            await asyncio.Event().wait()
        return await real(self, account, patient=patient)

    monkeypatch.setattr(VenueUnit, "_settle", hangs)
    monkeypatch.setattr(venue_unit, "VERIFY_S", 0.01)
    async with market.deck(tmp_path, TWO) as on:
        row = await on.call("orders.place", instrument=SIMULATED, side="buy", quantity="0.01")
        await on.reaches(row, OrderStatus.FILLED)
        await eventually(lambda: on.engine.unit(BTC).recovered, seconds=20)


async def test_a_stop_waits_for_no_venue_but_that_of_its_orders(
    tmp_path: Path, market: Exchanges, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with market.deck(tmp_path, TWO) as on:
        market.quote()
        await eventually(lambda: None not in (on.engine.mark(BTC), on.engine.mark(SIMULATED)))
        bought = await on.call("orders.place", instrument=SIMULATED, side="buy", quantity="0.01")
        await on.reaches(bought, OrderStatus.FILLED)
        for instrument, price in ((BTC, "57000"), (SIMULATED, "2400")):
            rests = {"side": "buy", "type": "limit", "quantity": "0.01", "price": price}
            await on.reaches(await on.call("orders.place", instrument=instrument, **rests), OrderStatus.ACCEPTED)
    gate, _ = slow(monkeypatch, "BINANCE")
    settings = build_engine(tmp_path, {"paper.latency_ms": 0, "paper.seed": 7}).settings
    host = EngineHost(tmp_path, settings, emergency=Emergency("smoke"))
    starting = asyncio.ensure_future(host.start())
    await eventually(lambda: host.engine is not None)
    assert host.engine is not None
    state = host.engine.state
    await eventually(lambda: {order.instrument for order in state.orders.values()} == {BTC}, seconds=10)
    await eventually(lambda: not any(position.lots for position in state.owned.values()), seconds=10)
    (order,) = state.orders.values()
    assert (order.cancel_requested, host.engine.ready) == (False, False), "nobody knows yet what is open there"
    gate.set()
    await starting
    await eventually(lambda: not state.orders, seconds=10)
    await host.stop()


async def test_what_rests_at_a_venue_that_is_away_keeps_no_other_from_being_traded(
    tmp_path: Path, market: Exchanges
) -> None:
    feed = market.feeds["BINANCE"]
    async with market.deck(tmp_path, TWO) as on:
        market.quote()
        await eventually(lambda: on.engine.mark(BTC) is not None)
        rests = await on.call("orders.place", instrument=BTC, side="buy", type="limit", quantity="0.005", price="57000")
        await on.reaches(rests, OrderStatus.ACCEPTED)
        assert BTC not in on.engine.state.marks, "nothing is held there"
    feed.away = True
    async with market.deck(tmp_path, TWO) as on:
        engine = on.engine
        assert engine.mark(BTC) is None
        await eventually(lambda: engine.mark(SIMULATED) is not None)
        row = await on.call("orders.place", instrument=SIMULATED, side="buy", quantity="0.01")
        await on.reaches(row, OrderStatus.FILLED)
        # What it may come to counts all the same, at the highest price that is known of it.
        asked = engine.state.orders[rests.client_id].decision.mark
        assert asked is not None
        with localcontext(VIEW):
            assert engine.risk.picture.exposure(ME, at_last=True).value == D("0.005") * max(asked, D(57_000))
            assert not engine.risk.picture.exposure(ME).known


async def test_with_its_only_venue_away_from_the_first_start_on_everything_can_be_looked_at(
    tmp_path: Path, market: Exchanges
) -> None:
    feed = market.feeds["BINANCE"]
    feed.away = True
    async with market.deck(tmp_path, ONE) as on:
        assert await on.call("engine.status")
        for topic in STATE_TOPICS:
            if topic.startswith(("market.", "replay.")):
                continue
            deltas, watcher = on.watch(topic)
            await eventually(partial(bool, deltas))
            watcher.close()
        assert (await on.call("portfolio.overview")).equity is None
        feed.away = False
        await eventually(lambda: on.engine.equity(ME) is not None, seconds=20)
        assert on.engine.state.balance(ME, USDT).total == D(10_000)
        assert len(await facts(on, ev.AccountOpened)) == 1


async def test_an_account_whose_venue_is_not_named_any_more_is_not_counted(tmp_path: Path, market: Exchanges) -> None:
    async with market.deck(tmp_path, TWO) as on:
        assert on.engine.equity(ME) == 10_000
    async with market.deck(tmp_path, "") as on:
        assert on.engine.equity(ME) is None
        assert on.engine.equity() == 10_000
        with pytest.raises((NotFoundError, OrderRejectionError)):
            await on.call("orders.place", instrument=BTC, side="buy", quantity="0.01")
