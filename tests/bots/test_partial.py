"""Entries of a bot that are filled in part: kept from half on, judged anew below, protected as large as they are."""

from __future__ import annotations

from decimal import Decimal as D
from typing import TYPE_CHECKING, Any

import pytest

from engine import events as ev
from engine.bots.partial import PartialFills
from engine.model.fill import Fill
from engine.model.ids import TradeId, VenueOrderId
from engine.model.order import Liquidity, Order, OrderSide, OrderType
from engine.resilience.handler import ErrorHandler
from engine.resilience.scenario import Scenarios
from engine.resilience.settings import PartialFillSettings
from tests.bots.house import BUY, MARKET, PAPER, USDT, VENUE, House

if TYPE_CHECKING:
    from engine.model.ids import Owner

SECOND = 1_000_000_000


class Yard(House):
    """A bot whose entries are executed piece by piece, by the test."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(slow=True)
        self.scenarios = Scenarios(self.clock, self.ledger.record, ErrorHandler(self.clock))
        self.parts = self.new_parts(**settings)
        self.ledger.subscribe(self.parts.hear)
        self.pieces = 0

    def new_parts(self, **settings: Any) -> PartialFills:
        return PartialFills(self.ledger, self.desk, PartialFillSettings(**settings), self.scenarios, self.reconsider)

    def reconsider(self, owner: Owner, reason: str) -> str:
        return self.bot.reconsider(reason)

    def enters(self) -> Order:
        self.enter(BUY, stop=95.0)
        (order,) = [order for order in self.bot.orders() if not order.reduce_only]
        self.effects.clear()
        self.desk.submitted(order.client_id)
        now = self.clock.now()
        accepted = ev.OrderAccepted(client_id=order.client_id, venue_order_id=VenueOrderId("V1"), ts=now)
        self.desk.on_event(PAPER, accepted)
        return order

    def piece(self, order: Order, quantity: str) -> None:
        self.pieces += 1
        fill = Fill(
            venue=VENUE,
            account=PAPER,
            instrument=MARKET,
            trade_id=TradeId(str(self.pieces)),
            venue_order_id=VenueOrderId("V1"),
            client_id=order.client_id,
            side=OrderSide.BUY,
            price=D(100),
            quantity=D(quantity),
            fee=D(0),
            fee_currency=USDT,
            liquidity=Liquidity.TAKER,
            ts=self.clock.now(),
        )
        self.desk.on_event(PAPER, ev.OrderFilled(fill=fill))

    def later(self, seconds: float) -> None:
        self.clock.set(self.clock.now() + int(seconds * SECOND))
        self.heard = self.clock.now()
        self.parts.tick(self.clock.now())

    def ends(self, order: Order) -> None:
        self.desk.on_event(PAPER, ev.OrderCanceled(client_id=order.client_id, reason="asked", ts=self.clock.now()))


def test_half_is_kept_its_rest_cancelled_and_its_stop_as_large_as_it_is() -> None:
    yard = Yard()
    order = yard.enters()
    yard.piece(order, "0.5")
    yard.later(30)
    assert not order.cancel_requested
    yard.later(0.001)
    assert order.cancel_requested
    yard.ends(order)
    assert (yard.held, yard.stop.quantity, yard.stop.stop_price) == (D("0.5"), D("0.5"), D("95"))
    (ended,) = yard.facts(ev.ScenarioEnded)
    assert (ended.scenario, ended.outcome) == ("partial_order_fill", "Accepted.")
    assert ended.steps[0] == "the remaining 0.5 are cancelled"


def test_below_half_the_rest_is_cancelled_and_a_signal_that_holds_keeps_its_part() -> None:
    yard = Yard(cancel_remainder=False)
    order = yard.enters()
    yard.piece(order, "0.499")
    yard.later(31)
    assert order.cancel_requested
    yard.ends(order)
    assert yard.held == D("0.499")
    assert yard.stop.quantity == D("0.499")
    (ended,) = yard.facts(ev.ScenarioEnded)
    assert ended.steps[-1] == "kept: at 100 the signal still holds"


@pytest.mark.parametrize(("price", "beyond"), [(94.0, "stop"), (111.0, "target")])
def test_below_half_a_signal_whose_price_has_gone_is_closed(price: float, beyond: str) -> None:
    yard = Yard()
    yard.enter(BUY, stop=95.0, target=110.0)
    (order,) = [order for order in yard.bot.orders() if not order.reduce_only]
    yard.effects.clear()
    yard.desk.submitted(order.client_id)
    yard.piece(order, "0.2")
    yard.last = price
    yard.later(31)
    (ended,) = yard.facts(ev.ScenarioEnded)
    assert ended.steps[-1] == f"closed: {price:g} is beyond its {beyond}"
    assert yard.bot.memory.closing
    assert order.cancel_requested


def test_further_executions_put_the_judgement_off_and_a_full_one_ends_it() -> None:
    yard = Yard()
    order = yard.enters()
    yard.piece(order, "0.2")
    yard.later(20)
    yard.piece(order, "0.2")
    yard.later(20)
    assert not order.cancel_requested
    yard.piece(order, "0.6")
    yard.later(100)
    assert yard.facts(ev.ScenarioEnded) == []


def test_an_order_that_ends_with_a_part_is_judged_at_once() -> None:
    yard = Yard()
    order = yard.enters()
    yard.piece(order, "0.3")
    yard.ends(order)
    yard.later(0)
    (ended,) = yard.facts(ev.ScenarioEnded)
    assert ended.outcome == "Judged anew."


def test_a_kept_part_may_go_on_to_fill_where_the_settings_say_so() -> None:
    yard = Yard(cancel_remainder=False)
    order = yard.enters()
    yard.piece(order, "0.6")
    yard.later(31)
    assert not order.cancel_requested


def test_orders_of_persons_and_protective_orders_are_never_touched() -> None:
    yard = Yard()
    order = yard.manual(OrderSide.BUY, "1", price=D(99))
    yard.desk.submitted(order.client_id)
    yard.piece(order, "0.1")
    yard.later(1000)
    assert not order.cancel_requested
    assert yard.facts(ev.ScenarioBegan) == []


def test_a_part_of_before_a_restart_is_judged_too() -> None:
    yard = Yard()
    order = yard.enters()
    yard.piece(order, "0.6")
    again = yard.new_parts()
    yard.clock.set(yard.clock.now() + 31 * SECOND)
    again.tick(yard.clock.now())
    assert order.cancel_requested


def test_what_is_too_small_to_be_traded_is_said_so() -> None:
    yard = Yard()
    order = yard.enters()
    yard.piece(order, "0.0001")
    yard.later(31)
    (ended,) = yard.facts(ev.ScenarioEnded)
    assert ended.steps[-1] == "what was executed is too small to be traded"
    assert yard.working(OrderType.STOP_LOSS) == []
