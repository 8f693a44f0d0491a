"""The emergency stop: block, cancel, close; again and again until nothing is left."""

from __future__ import annotations

from decimal import Decimal as D
from typing import TYPE_CHECKING

import pytest

from engine import events as ev
from engine.bots.bot import Bot
from engine.errors import ConflictError, OrderRejectionError, ValidationError
from engine.execution.effects import CancelEffect, PlaceEffect
from engine.model.entries import TradingState
from engine.model.order import OrderStatus, OrderType
from engine.model.risk import RefusalCode
from engine.model.signal import Signal, SignalAction, SignalDirection
from engine.risk.department import RiskDepartment
from engine.risk.scopes import Scope
from engine.strategy.runner import StrategyRunner
from strategies.static.trend_following import TrendFollowing
from tests.kit.limits import loose
from tests.risk.house import BOT, BTC, BUY, ETH, OTHER_BOT, PAPER, PERP, SELL, SOL, VENUE, House

if TYPE_CHECKING:
    from engine.model.order import Order

WIDE = loose(max_position_size_pct=D(1), allow_short=True)


def busy() -> House:
    """Two bots and a person with positions, protective orders and entries in three markets."""
    house = House(WIDE)
    house.trade(BUY, "0.01", owner=BOT)
    house.submit(SELL, "0.01", owner=BOT, type=OrderType.STOP_LOSS, stop_price="48000", reduce_only=True)
    house.trade(BUY, "0.2", ETH, owner=OTHER_BOT)
    house.trade(SELL, "0.01", PERP)
    house.submit(BUY, "1", SOL, price="95")
    return house


def closing(house: House) -> list[Order]:
    return [order for order in house.state.orders.values() if order.decision.reason.startswith("emergency stop")]


def confirm_cancels(house: House) -> None:
    for order in list(house.state.orders.values()):
        if order.cancel_requested:
            house.cancelled(order)


def tick(house: House, seconds: float = 1) -> None:
    house.later(seconds)
    house.refresh()
    house.risk.tick(house.now)


def test_it_blocks_cancels_and_closes_everything() -> None:
    house = busy()
    progress = house.risk.emergency("anna", "fat finger")
    assert not progress.done
    assert house.state.trading_state() is TradingState.HALTED
    assert house.codes(BUY, "0.001") == [RefusalCode.HALTED]
    assert sum(isinstance(effect, CancelEffect) for effect in house.outbox) == 2
    # what has no working orders is closed at once, the rest waits for its funds
    assert {(o.owner, o.instrument, o.side) for o in closing(house)} == {
        (OTHER_BOT, ETH, SELL),
        ("manual", PERP, BUY),
    }
    confirm_cancels(house)
    tick(house)
    assert {o.instrument for o in closing(house)} == {BTC, ETH, PERP}
    assert "2 orders" not in house.risk.emergency_words
    for order in closing(house):
        assert order.type is OrderType.MARKET
        house.fill(order)
    tick(house)
    assert house.risk.emergency_words == ""
    assert not house.state.orders
    assert all(not position.lots for position in house.state.positions.values())


@pytest.mark.parametrize("part", ["manager.evaluate", "locks.tick", "watch.evaluate"])
def test_a_part_of_risk_that_breaks_freezes_no_stop_and_no_other_part(
    part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = busy()
    house.risk.place_lock("anna", "so that locks are looked at", Scope(owner=BOT), 3600)
    house.risk.emergency("anna", "fat finger")
    judged: list[str] = []

    def judges(name: str) -> None:
        owner, _, method = name.partition(".")
        real = getattr(getattr(house.risk, owner), method)

        def judge(now: int) -> object:
            judged.append(name)
            if name == part:
                raise ZeroDivisionError(name)
            return real(now)

        monkeypatch.setattr(getattr(house.risk, owner), method, judge)

    parts = ["manager.evaluate", "locks.tick", "watch.evaluate"]
    for name in parts:
        judges(name)
    for _ in range(3):
        confirm_cancels(house)
        for order in closing(house):
            house.fill(order)
        judged.clear()
        with pytest.raises(ZeroDivisionError, match=part):
            tick(house)
        assert judged == parts, "each has its turn"
    assert not house.state.orders
    assert all(not position.lots for position in house.state.positions.values())


def test_nothing_is_sent_to_an_account_of_which_nobody_knows_yet_what_is_open_there() -> None:
    house = busy()
    house.risk.unsettled.add(PAPER)
    house.risk.emergency("anna", "fat finger")
    house.risk.tick_stops(house.now)
    assert (house.facts(ev.OrderCancelRequested), closing(house)) == ([], [])
    assert not house.risk.stops[0].done, "it is open all the same"
    house.risk.unsettled.clear()
    house.risk.tick_stops(house.now)
    assert len(house.facts(ev.OrderCancelRequested)) == 2
    assert len(closing(house)) == 2


def test_a_stop_that_breaks_keeps_no_other_from_its_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    house = busy()
    house.risk.emergency("anna", "first", Scope(owner=BOT))
    house.risk.emergency("anna", "second", Scope(owner=OTHER_BOT))

    def breaks(now: int) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(house.risk._stops[BOT], "advance", breaks)
    (order,) = closing(house)
    house.fill(order)
    with pytest.raises(ZeroDivisionError):
        tick(house)
    assert [stop.scope.owner for stop in house.risk.stops if stop.done] == [OTHER_BOT]


def test_asking_again_changes_nothing() -> None:
    house = busy()
    for _ in range(5):
        house.risk.emergency("anna", "panic")
        house.risk.tick(house.now)
    assert len(house.facts(ev.TradingStateChanged)) == 1
    assert len(house.facts(ev.OrderCancelRequested)) == 2
    assert len(closing(house)) == 2


def test_cancels_without_effect_are_asked_for_again_and_then_what_is_free_is_closed() -> None:
    house = House(WIDE)
    house.trade(BUY, "0.01")
    stuck = house.submit(SELL, "0.004", type=OrderType.STOP_LOSS, stop_price="48000", reduce_only=True)
    house.risk.emergency("anna", "venue hangs")
    tick(house)
    assert closing(house) == []
    tick(house)
    (order,) = closing(house)
    assert order.quantity == D("0.006")
    house.fill(order)
    house.cancelled(stuck)
    tick(house)
    (order,) = closing(house)
    assert order.quantity == D("0.004")


def test_a_refused_cancel_is_asked_again_after_a_pause() -> None:
    house = House(WIDE)
    order = house.accept(house.submit(BUY, "0.01", price="49000"))
    house.risk.emergency("anna", "stop")
    refused = ev.OrderCancelRejected(client_id=order.client_id, code="busy", reason="busy", ts=house.now)
    house.desk.on_event(PAPER, refused)
    tick(house, 0.5)
    assert len(house.facts(ev.OrderCancelRequested)) == 1
    tick(house, 0.5)
    assert len(house.facts(ev.OrderCancelRequested)) == 2


def test_rejected_closing_orders_are_sent_again_with_growing_pauses() -> None:
    house = House(WIDE)
    house.trade(BUY, "0.01")
    house.risk.emergency("anna", "stop")
    sent = []
    for second in range(40):
        for order in closing(house):
            sent.append(second)
            rejected = ev.OrderRejected(client_id=order.client_id, code="down", reason="down", ts=house.now)
            house.desk.on_event(PAPER, rejected)
        tick(house)
    assert sent == [0, 1, 2, 4, 8, 16, 31]


def test_a_bot_that_protects_its_position_anew_cannot_hold_the_stop_up() -> None:
    house = busy()
    house.risk.emergency("anna", "stop")
    confirm_cancels(house)
    with pytest.raises(OrderRejectionError, match="emergency stop is closing"):
        house.submit(SELL, "0.01", owner=BOT, type=OrderType.STOP_LOSS, stop_price="48000", reduce_only=True)
    with pytest.raises(OrderRejectionError, match="emergency stop is closing"):
        house.submit(SELL, "0.01")


def test_a_real_bot_lets_the_stop_close_its_position() -> None:
    house = House(WIDE)
    runner = StrategyRunner(TrendFollowing.build(), BTC, timeframe="1h")
    instrument = house.state.instruments[BTC]
    bot = Bot(BOT, PAPER, instrument, runner, house.desk, house.ledger, house, house.risk.sizer)
    house.ledger.subscribe(bot.on_record)
    bot.act(
        Signal(
            instrument=BTC,
            strategy="trend_following",
            action=SignalAction.ENTER,
            direction=SignalDirection.BUY,
            confidence=1.0,
            ts=house.now,
            reason="test",
            stop=48_000.0,
            metadata={"position_size_pct": 0.05},
        )
    )
    (entry,) = house.state.orders.values()
    assert entry.quantity == D("0.01")
    house.fill(entry)
    (stop,) = house.state.orders.values()
    assert (stop.type, stop.stop_price) == (OrderType.STOP_LOSS, D(48000))
    house.risk.emergency("anna", "stop")
    confirm_cancels(house)
    tick(house)
    (order,) = closing(house)
    house.fill(order)
    assert bot.quantity == 0
    assert not house.state.orders
    assert house.facts(ev.OrderRefused) == []


def test_a_fill_that_comes_late_is_closed_as_well() -> None:
    house = House(WIDE)
    late = house.submit(BUY, "0.01", price="49000")
    house.risk.emergency("anna", "stop")
    house.cancelled(late)
    tick(house)
    assert house.risk.emergency_words == ""
    house.fill(late, "0.01")
    tick(house)
    (order,) = closing(house)
    assert order.quantity == D("0.01")


def test_large_positions_are_closed_in_orders_the_venue_takes() -> None:
    house = House(WIDE, funds="20000000")
    for _ in range(2):
        house.trade(BUY, "80")
    house.risk.emergency("anna", "stop")
    orders = closing(house)
    assert [order.quantity for order in orders] == [D(100), D(60)]
    assert all(isinstance(effect, PlaceEffect) and effect.command.urgent for effect in house.outbox[-2:])
    for order in orders:
        house.fill(order)
    assert house.held() == 0


def test_more_than_a_few_parts_follow_as_soon_as_those_before_are_filled() -> None:
    house = House(WIDE, funds="100000000")
    for _ in range(7):
        house.trade(BUY, "100")
    house.trade(BUY, "50")
    house.risk.emergency("anna", "stop")
    sent = []
    while orders := closing(house):
        sent.append([order.quantity for order in orders])
        for order in orders:
            house.fill(order)
        tick(house, 0.25)
    assert sent == [[D(100)] * 5, [D(100), D(100), D(50)]]
    assert house.held() == 0


def test_what_a_thin_book_leaves_is_named_at_once_and_tried_again() -> None:
    house = House(WIDE)
    house.trade(BUY, "0.01")
    house.risk.emergency("anna", "stop")
    (order,) = closing(house)
    house.fill(order, "0.004")
    house.desk.on_event(PAPER, ev.OrderCanceled(client_id=order.client_id, reason="no more within 2 %", ts=house.now))
    tick(house, 0.25)
    (stop,) = house.risk.stops
    (left,) = stop.left
    assert (left.quantity, left.final, stop.done) == (D("0.006"), False, False)
    assert left.reason == "the book is too thin, only 0.004 of 0.01 found a taker (no more within 2 %)"
    # nothing at all found a taker three times in a row: it counts as done, and is tried on
    for pause in (1, 2, 4):
        tick(house, pause)
        (order,) = closing(house)
        assert order.quantity == D("0.006")
        house.desk.on_event(PAPER, ev.OrderCanceled(client_id=order.client_id, reason="", ts=house.now))
        tick(house, 0)
    (stop,) = house.risk.stops
    assert (stop.left[0].final, stop.done) == (True, True)
    tick(house, 8)
    (order,) = closing(house)
    house.fill(order)
    tick(house, 0)
    assert house.risk.stops[0].left == ()


def test_the_next_process_knows_why_the_last_try_was_in_vain() -> None:
    house = House(WIDE)
    house.trade(BUY, "0.01")
    house.risk.emergency("anna", "stop")
    (order,) = closing(house)
    carried = house.risk.carry()
    house.restart(WIDE)
    house.risk.take(carried)
    house.risk.tick(house.now)
    # it is ours still, and nothing else is sent beside it
    assert closing(house) == [order]
    house.fill(order, "0.004")
    house.desk.on_event(PAPER, ev.OrderCanceled(client_id=order.client_id, reason="", ts=house.now))
    tick(house, 0)
    (left,) = house.risk.stops[0].left
    assert left.quantity == D("0.006")


def test_what_is_too_small_to_be_sold_is_left_and_named() -> None:
    house = House(WIDE)
    house.trade(BUY, "0.01")
    house.trade(SELL, "0.00999")
    progress = house.risk.emergency("anna", "stop")
    assert progress.done
    assert closing(house) == []
    assert [one.words for one in progress.left] == [
        "0.00001 of manual in SIM:BTC/USDT is left: worth less than the smallest order of 10 USDT."
    ]


@pytest.mark.parametrize(
    ("scope", "hit"),
    [
        (Scope(instrument=BTC), {(BOT, BTC)}),
        (Scope(owner=OTHER_BOT), {(OTHER_BOT, ETH)}),
        (Scope(venue=VENUE), {(BOT, BTC), (OTHER_BOT, ETH), ("manual", PERP)}),
    ],
)
def test_a_scope_is_stopped_alone(scope: Scope, hit: set[tuple[str, str]]) -> None:
    house = busy()
    house.risk.emergency("anna", "part", scope)
    confirm_cancels(house)
    tick(house)
    assert {(order.owner, order.instrument) for order in closing(house)} == hit
    assert house.codes(BUY, "0.1", SOL, owner=BOT) == ([RefusalCode.HALTED] if scope.venue else [])
    assert house.state.trading_state() is TradingState.ACTIVE
    assert house.state.trading_state(scope.key) is TradingState.HALTED


def test_it_goes_on_after_a_restart() -> None:
    house = busy()
    house.risk.emergency("anna", "crash in between")
    confirm_cancels(house)
    before = {order.client_id for order in closing(house)}
    house.restart(WIDE)
    house.risk.tick(house.now)
    # whose an order from before was cannot be proven, so it is cancelled and its position closed anew
    assert all(house.state.orders[client_id].cancel_requested for client_id in before)
    confirm_cancels(house)
    tick(house)
    assert {order.instrument for order in closing(house)} == {BTC, ETH, PERP}
    assert before.isdisjoint(order.client_id for order in closing(house))
    assert len(house.facts(ev.TradingStateChanged)) == 1


def test_the_closing_orders_leave_as_placed_effects() -> None:
    house = House(WIDE)
    house.trade(BUY, "0.01")
    house.risk.emergency("anna", "stop")
    effect = house.outbox[-1]
    assert isinstance(effect, PlaceEffect)
    assert (effect.command.side, effect.command.quantity, effect.command.reduce_only) == (SELL, D("0.01"), True)


def test_before_the_desk_is_there_it_says_so() -> None:
    house = House()
    alone = RiskDepartment(house.ledger, house, loose(), PAPER)
    with pytest.raises(ConflictError, match="still starting"):
        alone.emergency("anna", "stop")


# --- hold and release -------------------------------------------------------------------------------------------------


def test_release_waits_until_everything_is_closed() -> None:
    house = busy()
    house.risk.emergency("anna", "stop")
    with pytest.raises(ConflictError, match="being stopped"):
        house.risk.release("anna", "all good")
    confirm_cancels(house)
    tick(house)
    for order in closing(house):
        house.fill(order)
    house.risk.release("anna", "all good")
    assert house.state.trading_state() is TradingState.ACTIVE
    assert house.codes(BUY, "0.001") == []
    assert house.facts(ev.TradingStateChanged)[-1].actor == "anna"
    tick(house)
    assert house.state.trading_state() is TradingState.ACTIVE


def test_release_lists_everything_that_speaks_against_it() -> None:
    house = House(WIDE)
    house.trade(BUY, "0.01")
    order = house.submit(BUY, "0.01", price="49000")
    house.risk.hold("anna", "lunch", TradingState.HALTED)
    house.desk.unknown(order.client_id, "no answer")
    assert order.status is OrderStatus.UNKNOWN
    house.ledger.record(
        ev.BreakerTripped(breaker="drawdown", scope=PAPER, value="0.1", threshold="0.1", reason="Down.")
    )
    house.ledger.record(ev.BalanceAdjusted(account=PAPER, currency=order.reserve_currency, amount=D(-9400), reason="?"))
    house.markets.clear()
    problems = house.risk.obstacles()
    assert len(problems) == 5
    with pytest.raises(ConflictError) as caught:
        house.risk.release("anna", "hungry no more")
    for word in ("drawdown", order.client_id, "promised more USDT", "no price is known for BTC", "No market"):
        assert word in caught.value.message


def test_hold_and_release_need_a_reason_and_a_fitting_state() -> None:
    house = House()
    with pytest.raises(ConflictError, match="not held"):
        house.risk.release("anna", "why")
    with pytest.raises(ValidationError, match="Say why"):
        house.risk.hold("anna", "", TradingState.REDUCING)
    with pytest.raises(ValidationError, match="release"):
        house.risk.hold("anna", "x", TradingState.ACTIVE)
    house.risk.hold("anna", "slowly", TradingState.REDUCING)
    house.risk.hold("anna", "now", TradingState.HALTED)
    with pytest.raises(ConflictError, match="already halted"):
        house.risk.hold("anna", "slowly", TradingState.REDUCING)
    with pytest.raises(ValidationError, match="Say why"):
        house.risk.release("anna", "  ")


def test_after_a_hard_drawdown_trading_begins_again_step_by_step() -> None:
    house = House(WIDE)
    house.risk.tick(house.now)
    house.trade(BUY, "0.1", price="50000")
    house.price(BTC, "34000")
    tick(house)
    house.price(BTC, "34000")
    tick(house)
    for order in closing(house):
        house.fill(order)
    tick(house)
    with pytest.raises(ConflictError, match="reset it"):
        house.risk.release("anna", "go on")
    for name in ("daily_loss", "monthly_loss", "drawdown", "max_drawdown"):
        house.risk.reset_breaker("anna", "accepted", name, force=True)
        assert house.state.trading_state() is TradingState.HALTED
    house.risk.release("anna", "go on")
    tick(house)
    assert house.state.trading_state() is TradingState.ACTIVE
    assert house.codes(BUY, "0.001") == []


def test_an_order_that_only_says_it_is_the_stop_is_cancelled_like_any_other() -> None:
    house = House(WIDE)
    house.trade(BUY, "0.01")
    sly = house.accept(house.submit(SELL, "0.01", price="90000", reason="emergency stop at my level"))
    house.risk.emergency("anna", "fat finger")
    assert house.state.orders[sly.client_id].cancel_requested
    assert house.codes(SELL, "0.01", reason="emergency stop: me too") == [RefusalCode.HALTED]
    confirm_cancels(house)
    tick(house)
    (order,) = closing(house)
    house.fill(order)
    tick(house)
    assert house.risk.emergency_words == ""
    assert not house.state.orders
    assert not house.held()
