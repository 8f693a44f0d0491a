"""Capital through the door: what is shown, planned, moved, paid in and out, and told by the ledger."""

from __future__ import annotations

from decimal import Decimal as D
from typing import TYPE_CHECKING, Any

import pytest

from engine import events as ev
from engine.errors import CapitalManagementError, ConflictError, NotFoundError, ValidationError
from engine.model.account import TradingMode
from engine.model.ids import AccountId, Currency
from tests.control.house import BTC, deck
from tests.kit.waiting import eventually

if TYPE_CHECKING:
    from pathlib import Path

    from tests.control.house import Deck

BOT = {"strategy": "trend_following", "instrument": BTC, "capital": "2000"}
RULES = {"capital_management": {"withdrawals": {"profit_only": False, "maintain_minimum": False}}}


async def bots(on: Deck, *names: str) -> None:
    for name in names:
        await on.call("bots.create", name=name, **BOT)
        await on.call("bots.start", bot=name)


async def nothing_is_lost(on: Deck) -> None:
    """Every place of the ledger together is nothing, and what pools hold is what the venue says."""
    places = await on.call("capital.balances")
    for currency in {row.currency for row in places}:
        rows = [row for row in places if row.currency == currency]
        assert sum(row.amount for row in rows) == 0
        held = sum(row.amount for row in rows if row.place.startswith("paper/"))
        assert held == on.engine.state.balance(AccountId("paper"), currency).total


async def test_the_whole_way_from_plan_to_flow_to_ledger(tmp_path: Path) -> None:
    async with deck(tmp_path) as on:
        await bots(on, "one", "two")
        seen = await on.call("capital.overview")
        assert (seen.total, seen.reserve, seen.allocated, seen.available) == (D(10000), D(1000), D(4000), D(5000))
        assert [row.name for row in seen.pools] == ["one", "two"]
        assert "below the least capital of trend following, 10,000" in seen.pools[0].notes
        before = on.engine.state.seq
        plan = await on.call("capital.plan")
        assert on.engine.state.seq == before
        assert [(row.target, row.change) for row in plan.targets] == [(D(2500), D(500))] * 2
        done = await on.call("capital.rebalance", reason="try it")
        assert {(row.source, row.target, row.amount) for row in done.flows} == {
            ("free", "one", D(500)), ("free", "two", D(500)),
        }  # fmt: skip
        assert (await on.call("bots.get", bot="one")).capital == 2500
        with pytest.raises(ConflictError, match="next flow"):
            await on.call("capital.rebalance")
        await on.market("buy", "0.002")
        flows = await on.call("capital.flows")
        assert [row.kind for row in flows.rows] == ["reserve", "rebalance", "rebalance", "deposit"]
        assert flows.rows[1].reason == "try it (risk parity)"
        page = await on.call("capital.ledger", pool="one")
        assert {row.kind for row in page.rows} == {"FundsMoved", "BotCreated"}
        assert page.total == 2
        fills = await on.call("capital.ledger", kind="OrderFilled", size=1)
        assert sum(row.amount for row in fills.rows if row.currency == "BTC") == 0
        await nothing_is_lost(on)


async def test_money_comes_in_and_leaves_by_the_rules(tmp_path: Path) -> None:
    async with deck(tmp_path, **RULES) as on:
        await bots(on, "one")
        for amount in ("999.99", "0.01"):
            with pytest.raises(CapitalManagementError, match=r"1,000\.00 USDT at least"):
                await on.call("capital.deposit", amount=amount)
        checked = await on.call("capital.deposit", amount="1000", check=True)
        assert (checked.done, checked.words) == (False, "Every rule allows it.")
        put = await on.call("capital.deposit", amount="1000", reason="savings")
        assert put.done
        assert [(row.source, row.target, row.amount) for row in put.flows] == [("free", "one", D(750))]
        assert on.engine.state.balance(AccountId("paper"), Currency("USDT")).total == 11_000
        with pytest.raises(CapitalManagementError, match="At most 20%"):
            await on.call("capital.withdraw", amount="2200.01")
        gone = await on.call("capital.withdraw", amount="2200")
        assert gone.done
        with pytest.raises(CapitalManagementError, match="h are left"):
            await on.call("capital.withdraw", amount="100")
        checked = await on.call("state.check")
        assert not checked.findings
        await nothing_is_lost(on)


async def test_profit_only_is_the_rule_unless_it_is_switched_off(tmp_path: Path) -> None:
    async with deck(tmp_path) as on:
        with pytest.raises(CapitalManagementError, match=r"that is 0\.00 USDT"):
            await on.call("capital.withdraw", amount="100")
        assert not on.engine.state.transfers


async def test_capital_is_preserved_on_request_and_released(tmp_path: Path) -> None:
    async with deck(tmp_path) as on:
        await bots(on, "one")
        seen = await on.call("capital.preserve", reason="storm")
        assert seen.accounts[0].preserved == "storm"
        with pytest.raises(CapitalManagementError, match=r"more than the 0\.00"):
            await on.call("bots.create", name="two", **BOT)
        seen = await on.call("capital.release", reason="over")
        assert (seen.accounts[0].preserved, seen.reserve) == ("", D(1000))
        with pytest.raises(ConflictError, match="not preserved"):
            await on.call("capital.release", account="paper", reason="over")
        await nothing_is_lost(on)


async def test_real_money_is_planned_and_booked_when_the_venue_has_it(tmp_path: Path) -> None:
    async with deck(tmp_path, **RULES) as on:
        known = on.engine.state.accounts[AccountId("paper")]
        on.engine.ledger.record(
            ev.AccountOpened(
                account=type(known)(
                    id=known.id, venue=known.venue, mode=TradingMode.LIVE, base_currency=known.base_currency
                )
            )
        )
        planned = await on.call("capital.deposit", amount="5000")
        assert not planned.done
        with pytest.raises(ConflictError, match="not arrived"):
            await on.call("capital.confirm", transfer=planned.transfer)
        # Somebody sends it, and a network takes its fee.
        await venue_of(on).fund(known.id, Currency("USDT"), D("4990"))
        seen = await on.call("capital.confirm", transfer=planned.transfer)
        assert (seen.total, seen.transfers) == (D(14990), ())
        assert on.engine.state.trading_state() == "active"
        planned = await on.call("capital.withdraw", amount="1000")
        await venue_of(on).fund(known.id, Currency("USDT"), D("-1000"))
        await on.call("capital.confirm", transfer=planned.transfer)
        assert on.engine.state.capital[known.id].withdrawn == 1000
        dropped = await on.call("capital.deposit", amount="5000")
        seen = await on.call("capital.drop", transfer=dropped.transfer, reason="not now")
        assert not seen.transfers
        with pytest.raises(NotFoundError, match="No transfer"):
            await on.call("capital.drop", transfer="x")


def venue_of(on: Deck) -> Any:
    venue = on.engine.default.plan.venue
    return getattr(venue, "inner", venue)


async def test_venues_currencies_and_conversions(tmp_path: Path) -> None:
    async with deck(tmp_path, paper__balances={"USDT": D(7000), "BTC": D("0.1")}) as on:
        view = await on.call("capital.distribution")
        [row] = view.venues
        assert row.share == row.target_share == 1.0
        assert not view.transfers
        seen = await on.call("capital.exposure")
        btc = next(row for row in seen.rows if row.currency == "BTC")
        assert btc.share is not None
        assert btc.share > 0.1
        [hedge] = seen.hedges
        assert (hedge.instrument, hedge.side) == (BTC, "sell")
        assert hedge.quantity == D("0.08")
        route = await on.call("capital.route", source="usdt", target="btc", amount="1000")
        assert 0 < route.cost_pct < 0.02
        with pytest.raises(ConflictError, match="No way"):
            await on.call("capital.route", source="usdt", target="xyz", amount="1000")
        with pytest.raises(ConflictError, match="Nothing is to be hedged"):
            await on.call("capital.hedge", currency="ETH")
        await on.call("risk.set_limits", limits={"max_position_size_pct": "1", "max_portfolio_exposure": "1"})
        [order] = await on.call("capital.hedge")
        await eventually(lambda: on.engine.state.order(order.client_id).filled == D("0.08"))  # type: ignore[union-attr]
        assert not (await on.call("capital.exposure")).hedges


async def test_one_paper_account_cannot_pay_itself(tmp_path: Path) -> None:
    async with deck(tmp_path) as on:
        with pytest.raises(ValidationError, match="two different accounts"):
            await on.call("capital.transfer", source="paper", target="paper", amount="10")
        with pytest.raises(NotFoundError, match="no account"):
            await on.call("capital.transfer", source="paper", target="nobody", amount="10")


async def test_the_ledger_is_the_same_after_a_restart(tmp_path: Path) -> None:
    async with deck(tmp_path) as on:
        await bots(on, "one")
        await on.market("buy", "0.002")
        before = await on.call("capital.balances")
    async with deck(tmp_path) as on:
        assert await on.call("capital.balances") == before
