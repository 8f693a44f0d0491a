"""Perpetuals end to end: leverage, shorts, margin on the ticket, funding, forced closings, over the paper venue."""

from __future__ import annotations

from decimal import Decimal as D
from typing import TYPE_CHECKING

import msgspec
import pytest

from engine import events as ev
from engine.errors import AuthorizationError, OrderRejectionError, ValidationError
from engine.model.account import TradingMode
from engine.model.entries import TradingState
from engine.model.ids import MANUAL, AccountId, InstrumentId
from engine.model.margin import MarginMode
from engine.model.market import MarkPrice
from engine.model.venue import VenuePosition
from engine.venues.paper.venue import PaperVenue
from tests.control.house import BTC, Deck, deck
from tests.kit.limits import WIDE
from tests.kit.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from engine.control.views import PositionRow

PERP = InstrumentId("SIM:BTC/USDT:USDT")
PAPER = AccountId("paper")
FREE = {
    **{name: str(figure) for name, figure in WIDE.items()},
    "max_leverage": "5",
    "allow_short": "true",
    "max_position_size_pct": "1",
    "position_size_pct": "0.5",
}


class Ship:
    """A deck with perpetuals, and hands on the market of its venue."""

    def __init__(self, on: Deck) -> None:
        self.on = on
        self.call = on.call
        self.engine = on.engine
        venue = on.engine.venue
        assert isinstance(venue, PaperVenue)
        self.venue = venue

    async def trade(self, side: str, contracts: str) -> None:
        row = await self.call("orders.place", instrument=PERP, side=side, quantity=contracts)
        assert isinstance(row.client_id, str)
        await eventually(lambda: self.engine.state.order(row.client_id).status == "filled")  # type: ignore[union-attr]

    async def row(self) -> PositionRow | None:
        rows = [r for r in await self.call("portfolio.positions") if r.instrument == PERP]
        return rows[0] if rows else None

    def mark(self, price: D, at: int, rate: str | None = None) -> None:
        """Let the market say a mark once."""
        event = MarkPrice(PERP, at, mark=price, funding_rate=None if rate is None else D(rate))
        self.venue._keep(self.venue._exchange.on_mark(event))
        self.venue._commits.flush_reports()

    async def in_line(self) -> None:
        """Nothing differs from the venue, and trading goes on."""
        unit = self.engine.accounts[PAPER]
        checked = await unit.upkeep[PAPER].monitor.check()
        assert checked.findings == ()
        assert self.engine.state.trading_state() is TradingState.ACTIVE


@pytest.fixture
async def ship(tmp_path: Path) -> AsyncIterator[Ship]:
    async with deck(tmp_path, paper__perpetuals=True) as found:
        yield Ship(found)


async def test_without_a_word_from_anybody_there_is_no_leverage_and_no_short(ship: Ship) -> None:
    view = await ship.call("margin.show", instrument=PERP)
    assert (view.leverage, view.mode, view.most, view.limit) == (1, "isolated", 20, 1)
    with pytest.raises(ValidationError, match="limits allow a leverage of 1"):
        await ship.call("margin.set", instrument=PERP, leverage="5")
    assert [row.id for row in await ship.call("instruments.search", query="btc-perp")] == [PERP]
    with pytest.raises(OrderRejectionError, match="would be a short"):
        await ship.call("orders.place", instrument=PERP, side="sell", quantity="1")
    with pytest.raises(ValidationError, match="no derivative"):
        await ship.call("margin.set", instrument=BTC, leverage="1")


async def test_leverage_with_real_money_is_raised_by_name_or_by_an_armed_console(ship: Ship) -> None:
    await ship.call("risk.set_limits", limits={"max_leverage": 5})
    account = ship.engine.state.accounts[PAPER]
    ship.engine.ledger.record(ev.AccountOpened(account=msgspec.structs.replace(account, mode=TradingMode.LIVE)))
    for typed, words in (("", "not armed"), ("paper", "Type SIM/paper")):
        with pytest.raises(AuthorizationError, match=words) as refused:
            await ship.call("margin.set", instrument=PERP, leverage="3", live=typed)
        assert refused.value.error_code == "not_armed"
    assert (await ship.call("margin.set", instrument=PERP, leverage="3", live="SIM/paper")).leverage == 3


async def test_a_leveraged_short_is_shown_with_its_margin_and_closed(ship: Ship) -> None:
    await ship.call("risk.set_limits", limits=FREE)
    view = await ship.call("margin.set", instrument=PERP, leverage="5", mode="cross")
    assert (view.leverage, view.mode) == (5, "cross")
    assert ship.engine.state.margin(PAPER, PERP).mode is MarginMode.CROSS
    with pytest.raises(OrderRejectionError):
        await ship.call("orders.place", instrument=BTC, side="sell", quantity="0.01")
    preview = await ship.call("orders.preview", instrument=PERP, side="sell", quantity="10")
    assert preview.passed, preview.refusals
    assert preview.leverage == 5
    assert preview.margin == pytest.approx(preview.notional / 5, rel=D("0.01"))
    assert preview.liquidation_price > preview.expected_price
    assert "10 contracts of BTC/USDT:USDT" in preview.sentence
    await ship.trade("sell", "10")
    await eventually(lambda: ship.engine.next_funding(PERP))
    row = await ship.row()
    assert row is not None
    assert row.standing is not None
    assert (row.quantity, row.owner) == (D(-10), MANUAL)
    assert row.standing.base_size == D("-0.01")
    assert row.standing.margin == pytest.approx(preview.margin, rel=D("0.02"))
    assert row.standing.liquidation_price == pytest.approx(preview.liquidation_price, rel=D("0.02"))
    assert row.standing.liquidation_pct is not None
    assert row.standing.liquidation_pct > 0
    assert row.standing.ratio is not None
    assert 0 < row.standing.ratio < 0.1
    assert row.standing.next_funding is not None
    ship.engine.derivatives.latest[PAPER, PERP] = VenuePosition(
        account=PAPER, instrument=PERP, quantity=row.quantity, entry_price=row.entry_price, mark_price=row.entry_price,
        unrealised=D(0), leverage=D(5), margin_mode=MarginMode.CROSS, margin=D(1), maintenance=D(1), updated=1,
        liquidation_price=D("3379.27804878048780487804878"),
    )  # fmt: skip
    row = await ship.row()
    assert row is not None
    assert row.standing is not None
    tick = ship.engine.state.instruments[PERP].current_rules.price_tick
    assert row.standing.liquidation_price == D("3379.27804878048780487804878").quantize(tick)
    balances = {b.currency: b for b in await ship.call("portfolio.balances")}
    assert balances["USDT"].total > 9_990
    await ship.in_line()
    await ship.call("portfolio.close", instrument=PERP)
    await eventually(lambda: not ship.engine.state.positions[PAPER, PERP].lots)
    await ship.in_line()


async def test_funding_is_booked_once_and_the_books_stay_in_line(ship: Ship) -> None:
    await ship.call("risk.set_limits", limits=FREE)
    await ship.trade("buy", "10")
    await eventually(lambda: ship.engine.next_funding(PERP))
    listing = ship.venue._exchange._listings[PERP]
    due = listing.next_funding  # type: ignore[attr-defined]
    before = ship.engine.state.balance(PAPER, ship.engine.state.instruments[PERP].settle).total
    ship.mark(D(60_000), due, rate="0.0001")
    unit = ship.engine.unit(PERP)
    assert await ship.engine.derivatives.catch_up(unit.guard, PAPER) == 1
    assert await ship.engine.derivatives.catch_up(unit.guard, PAPER) == 0
    position = ship.engine.state.owned[MANUAL, PAPER, PERP]
    assert position.funding != 0
    total = ship.engine.state.balance(PAPER, ship.engine.state.instruments[PERP].settle).total
    assert total == before - position.funding
    row = await ship.row()
    assert row is not None
    assert row.standing is not None
    assert row.standing.funding == position.funding
    await ship.in_line()


async def test_a_liquidation_is_adopted_told_and_leaves_nothing_unexplained(ship: Ship) -> None:
    await ship.call("risk.set_limits", limits=FREE)
    await ship.call("margin.set", instrument=PERP, leverage="5")
    await ship.trade("buy", "10")
    facts: list[ev.Event] = []
    ship.engine.ledger.subscribe(lambda record: facts.append(record.event))
    ship.mark(D(20_000), ship.venue._clock.now())
    await eventually(lambda: not ship.engine.state.positions[PAPER, PERP].lots)
    liquidated = [fact for fact in facts if isinstance(fact, ev.PositionLiquidated)]
    assert [fact.owner for fact in liquidated] == [MANUAL]
    assert "by force" in liquidated[0].reason
    assert [fact.fill.cause for fact in facts if isinstance(fact, ev.ExternalFillSeen)] == ["liquidation"]
    assert not ship.engine.state.owned[MANUAL, PAPER, PERP].lots
    await ship.in_line()


async def test_deleveraging_shrinks_the_position_and_no_more(ship: Ship) -> None:
    await ship.call("risk.set_limits", limits=FREE)
    await ship.trade("buy", "10")
    ship.venue.deleverage(PAPER, PERP, D(4))
    ship.venue._commits.flush_reports()
    await eventually(lambda: ship.engine.state.owned[MANUAL, PAPER, PERP].quantity == 6)
    await ship.in_line()


async def test_leverage_and_positions_outlive_a_restart(tmp_path: Path) -> None:
    async with deck(tmp_path, paper__perpetuals=True) as on:
        ship = Ship(on)
        await ship.call("risk.set_limits", limits=FREE)
        await ship.call("margin.set", instrument=PERP, leverage="3")
        await ship.trade("sell", "7")
    async with deck(tmp_path, paper__perpetuals=True) as on:
        ship = Ship(on)
        assert ship.engine.state.margin(PAPER, PERP).leverage == 3
        row = await ship.row()
        assert row is not None
        assert row.quantity == -7
        assert ship.engine.derivatives.latest[PAPER, PERP].quantity == -7
        await ship.in_line()
