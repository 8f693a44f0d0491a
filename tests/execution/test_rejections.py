"""Entries that a venue rejects: corrected twice at most, each time as a new order, or given up with an error."""

from __future__ import annotations

from decimal import Decimal as D
from typing import Any

import msgspec
import pytest

from engine import events as ev
from engine.errors import ConflictError, OrderRejectionError
from engine.execution.rejections import Rejections, corrected
from engine.model.ids import Currency
from engine.model.instrument import InstrumentRules
from engine.model.order import Order, OrderRequest, OrderSide, OrderStatus, OrderType
from engine.model.risk import Quote
from engine.resilience.handler import ErrorHandler
from engine.resilience.scenario import Scenarios
from engine.resilience.settings import ErrorHandlingSettings
from tests.execution.house import BOT, INSTRUMENT, PAPER, House

QUOTE = Quote(D(99), D(101), D(100), 0)


class Shop(House):
    """A bot's orders, a venue that rejects them, and what follows."""

    def __init__(self, **settings: Any) -> None:
        super().__init__()
        self.ledger.record(ev.BotCreated(bot=BOT, name="b", config=b"{}", capital=D(1000), currency=Currency("USDT")))
        figures = ErrorHandlingSettings(order_rejection=settings)  # type: ignore[arg-type]
        self.errors = ErrorHandler(self.clock, figures)
        self.scenarios = Scenarios(self.clock, self.ledger.record, self.errors)
        self.refusal: Exception | None = None
        self.rejections = Rejections(self.ledger, self.again, self, self.errors, self.scenarios)
        self.waiting: list[tuple[Order, str, str]] = []
        self.ledger.subscribe(self.hear)

    def again(self, request: OrderRequest) -> Order:
        if self.refusal is not None:
            raise self.refusal
        return self.desk.submit(request)

    def hear(self, record: ev.Record) -> None:
        order = self.rejections.concerns(record)
        if order is not None and isinstance(record.event, ev.OrderRejected):
            self.waiting.append((order, record.event.code, record.event.reason))

    def reject(self, order: Order, code: str = "lot", reason: str = "Not a multiple of the lot.") -> None:
        self.desk.submitted(order.client_id)
        event = ev.OrderRejected(client_id=order.client_id, code=code, reason=reason, ts=self.clock.now())
        self.desk.on_event(PAPER, event)

    def act(self) -> Order | None:
        return self.rejections.act(*self.waiting.pop())


def entry(shop: Shop, quantity: str = "1.0005", **more: Any) -> Order:
    return shop.submit(OrderSide.BUY, quantity, owner=BOT, **more)


@pytest.mark.parametrize(
    ("code", "more", "changed"),
    [
        ("tick", {"price": D("90.123")}, {"price": D("90.12")}),
        ("lot", {"quantity": D("1.0005")}, {"quantity": D("1.000")}),
        ("max_quantity", {"quantity": D(80)}, {"quantity": D(50)}),
        ("insufficient_balance", {"quantity": D(20)}, {"quantity": D("10.989")}),
        ("post_only", {"price": D(102), "post_only": True}, {"price": D("100.99")}),
    ],
)
def test_what_was_wrong_is_corrected(code: str, more: dict[str, Any], changed: dict[str, D]) -> None:
    shop = Shop()
    rules = InstrumentRules(
        valid_from=0, price_tick=D("0.01"), lot=D("0.001"), max_quantity=D(50), taker_fee=D("0.001")
    )
    instrument = msgspec.structs.replace(INSTRUMENT, rules=(rules,))
    order = msgspec.structs.replace(entry(shop, "1"), **more)
    found = corrected(order, code, instrument, QUOTE, D(1000))
    assert found is not None
    assert {name: getattr(found.request, name) for name in changed} == changed
    assert found.request.owner == BOT


@pytest.mark.parametrize(
    ("code", "more", "free"),
    [
        ("unknown_instrument", {}, 1000),
        ("no_market", {}, 1000),
        ("lot", {"quantity": D("1.000")}, 1000),
        ("lot", {"quantity": D("0.0004")}, 1000),
        ("insufficient_balance", {}, 0),
        ("tick", {"type": OrderType.MARKET, "price": None}, 1000),
        ("min_notional", {}, 1000),
    ],
)
def test_what_cannot_be_corrected_is_not(code: str, more: dict[str, Any], free: int) -> None:
    order = msgspec.structs.replace(entry(Shop(), "1"), **more)
    assert corrected(order, code, INSTRUMENT, QUOTE, D(free)) is None


def test_a_corrected_order_is_a_new_one_with_a_new_id_that_passes_risk() -> None:
    shop = Shop()
    first = entry(shop)
    shop.reject(first)
    again = shop.act()
    assert again is not None
    assert again.client_id != first.client_id
    assert (again.quantity, again.owner, again.status) == (D("1.000"), BOT, OrderStatus.PENDING)
    assert shop.gate.counted == 2
    assert shop.scenarios.history[-1].steps == ["quantity 1.0005 -> 1.000"]
    assert shop.scenarios.history[-1].outcome == f"Ordered anew as {again.client_id}."


def test_after_two_corrections_it_is_given_up_with_an_error() -> None:
    shop = Shop()
    order: Order | None = entry(shop, "20")
    for _ in range(2):
        assert order is not None
        shop.reject(order, "insufficient_balance")
        order = shop.act()
    assert order is not None
    shop.reject(order, "insufficient_balance")
    assert shop.act() is None
    (group,) = shop.errors.groups()
    assert group.error_type == OrderRejectionError.kind
    assert "after 2 corrections" in group.message
    assert not shop.scenarios.history[-1].succeeded


@pytest.mark.parametrize("code", ["exchange_connection", "exchange_rate_limit", "not_found", "venue_circuit_open"])
def test_only_the_venues_own_word_counts_as_a_rejection(code: str) -> None:
    shop = Shop()
    shop.reject(entry(shop), code)
    assert shop.waiting == []


def test_orders_of_persons_and_orders_that_reduce_are_left_to_their_owners() -> None:
    shop = Shop()
    shop.reject(shop.submit(quantity="1.0005"))
    shop.reject(shop.submit(OrderSide.SELL, "1.0005", owner=BOT, reduce_only=True))
    assert shop.waiting == []
    silent = Shop(analyze_rejection_reason=False)
    silent.reject(entry(silent))
    assert silent.waiting == []


def test_nothing_is_ordered_anew_where_nobody_wants_it_or_the_settings_forbid_it() -> None:
    shop = Shop()
    shop.refusal = ConflictError("The bot does not want to enter any more.")
    shop.reject(entry(shop))
    assert shop.act() is None
    assert "does not want to enter" in shop.scenarios.history[-1].outcome
    fixed = Shop(adjust_parameters=False)
    fixed.reject(entry(fixed))
    assert fixed.act() is None
    never = Shop(max_retry_attempts=0)
    never.reject(entry(never))
    assert never.act() is None


def test_an_order_that_lives_after_all_is_left_alone() -> None:
    shop = Shop()
    order = entry(shop)
    shop.reject(order)
    accepted = ev.OrderAccepted(client_id=order.client_id, venue_order_id="V1", ts=0)  # type: ignore[arg-type]
    shop.desk.on_event(PAPER, accepted)
    assert shop.act() is None
    assert len(shop.facts(ev.OrderIntended)) == 1
