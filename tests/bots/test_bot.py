"""A bot's position is protected to the unit, closed once, and never sold twice."""

from __future__ import annotations

from decimal import Decimal as D

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import events as ev
from engine.errors import StrategyError
from engine.execution.effects import AmendEffect, PlaceEffect
from engine.model.ids import VenueOrderId
from engine.model.order import OrderSide, OrderStatus, OrderType
from engine.model.regime import MarketRegime, TrendRegime, VolatilityRegime
from tests.bots.house import BTC, PAPER, SELL, USDT, House
from tests.execution.test_desk import fill
from tests.kit.candles import walk_bars

STOP, TARGET = "stop_loss", "take_profit"


@pytest.fixture
def house() -> House:
    return House()


@pytest.fixture
def slow() -> House:
    """Where the venue's answers come when they are delivered."""
    return House(slow=True)


def gone(house: House) -> bool:
    """Nothing held, nothing working."""
    return not house.held and not house.at_venue()


def amendments(house: House) -> int:
    return sum(isinstance(effect, AmendEffect) for effect in house.sent)


# --- entering --------------------------------------------------------------------------------------------------------


def test_an_entry_is_followed_by_a_stop_for_exactly_the_position(house: House) -> None:
    house.enter(stop=95.0)
    assert house.at_venue() == [("market", D(1), None)]
    house.flat()
    assert house.at_venue() == [(STOP, D(1), D(95))]
    assert house.stop.reduce_only


def test_an_entry_without_a_stop_gets_the_strategys_default_distance(house: House) -> None:
    house.enter()
    house.flat()
    assert house.stop.stop_price == D(98)


def test_that_distance_is_adapted_and_a_strategys_own_stop_is_not(house: House) -> None:
    house.sizer.stops = 0.75
    house.enter()
    house.flat()
    assert house.stop.stop_price == D("98.5")
    other = House()
    other.sizer.stops = 0.75
    other.enter(stop=95.0)
    other.flat()
    assert other.stop.stop_price == D(95)


def test_a_strategy_is_told_the_regime_before_it_decides(house: House) -> None:
    strategy = house.bot.runner.strategy
    assert strategy.regime is None
    house.sizer.told = MarketRegime(
        instrument=house.instrument.id,
        volatility=VolatilityRegime.HIGH,
        trend=TrendRegime.RANGING,
        momentum=0,
        percentile=90.0,
        strength=12.0,
        ts=house.clock.now(),
    )
    house.bot.on_bars(walk_bars(1, 3, "1m", start=house.clock.now()))
    assert strategy.regime is house.sizer.told


def test_a_signal_is_booked_before_what_follows_from_it(house: House) -> None:
    house.enter(stop=95.0, reason="crossed")
    kinds = [type(record.event).__name__ for record in house.journal.records[-4:]]
    assert kinds == ["SignalRaised", "OrderIntended", "OrderSubmitted", "OrderAccepted"]
    decision = house.working(OrderType.MARKET)[0].decision
    assert (decision.reason, decision.strategy, decision.mark) == ("crossed", "quiet@1.0.0", D(100))
    assert house.bot.last_signal == "enter buy 1.00: crossed"


def test_stop_and_target_share_a_group_and_one_fills_for_both(house: House) -> None:
    house.enter(stop=95.0, target=110.0)
    house.flat()
    assert sorted(house.at_venue()) == [(STOP, D(1), D(95)), (TARGET, D(1), D(110))]
    assert house.stop.oco_group == house.target.oco_group
    house.bar(100, 112, 99, 111)
    assert house.held == 0
    assert house.at_venue() == []
    assert house.working() == []
    assert house.bot.memory.stop is None


def test_a_stop_that_is_reached_ends_everything(house: House) -> None:
    house.enter(stop=95.0, target=110.0)
    house.flat()
    house.bar(100, 101, 90, 92)
    assert house.held == 0
    assert house.at_venue() == []
    assert house.state.balance(PAPER, BTC).total == 0


def test_a_second_entry_waits_for_the_first(slow: House) -> None:
    slow.enter(stop=95.0)
    slow.enter(stop=95.0)
    assert len(slow.working()) == 1


@pytest.mark.parametrize("why", ["paused", "no_size", "no_market", "risk"])
def test_an_entry_that_does_not_happen_leaves_no_levels_behind(
    house: House, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if why == "paused":
        house.bot.entries_allowed = False
    elif why == "no_size":
        house.sizer.reason = "too small"
    elif why == "no_market":
        monkeypatch.setattr(house.bot._quotes, "quote", lambda instrument: None)
    else:
        house.sizer.quantity = D(10_000)
    house.enter(stop=95.0, target=200.0)
    assert house.working() == []
    assert (house.bot.memory.stop, house.bot.memory.target) == (None, None)


def test_an_entry_that_the_venue_rejects_leaves_no_levels_behind(slow: House) -> None:
    slow.enter(stop=95.0, target=200.0)
    order = slow.working()[0]
    slow.effects.clear()
    slow.desk.on_event(PAPER, ev.OrderRejected(client_id=order.client_id, code="x", reason="y", ts=1))
    assert (slow.bot.memory.stop, slow.bot.memory.target) == (None, None)
    slow.slow = False
    slow.enter(stop=90.0)
    slow.flat()
    assert slow.at_venue() == [(STOP, D(1), D(90))], "the old target is forgotten"


def test_a_new_position_begins_with_the_levels_of_its_own_signal(house: House) -> None:
    house.enter(stop=95.0, target=110.0)
    house.flat()
    house.exit()
    house.flat()
    house.enter()
    house.flat()
    assert house.at_venue() == [(STOP, D(1), D(98))]


def test_an_entry_that_fills_in_parts_is_protected_part_by_part(slow: House) -> None:
    slow.enter(stop=95.0)
    slow.deliver()
    order = slow.working()[0]
    for count, part in enumerate(("0.3", "0.5", "0.2")):
        fill(slow, order, part, f"T{count}", "100")
        wanted = slow.held
        (stop,) = slow.working(OrderType.STOP_LOSS)
        asked = [e for e in slow.effects if isinstance(e, AmendEffect | PlaceEffect)]
        shown = asked[-1].command.quantity if isinstance(asked[-1], PlaceEffect) else asked[-1].quantity
        assert shown == wanted
        # the exchange itself knows nothing of these parts, so its answers are made here
        slow.effects.clear()
        if stop.status is OrderStatus.PENDING:
            slow.desk.on_event(
                PAPER, ev.OrderAccepted(client_id=stop.client_id, venue_order_id=VenueOrderId("V"), ts=1)
            )
        else:
            slow.desk.on_event(PAPER, ev.OrderAmended(client_id=stop.client_id, ts=1, quantity=wanted))
    assert slow.stop.quantity == 1
    assert slow.effects == []


# --- adding and trailing ---------------------------------------------------------------------------------------------


def test_adding_to_a_position_enlarges_its_stop(house: House) -> None:
    house.hold(stop=95.0)
    house.enter(stop=97.0)
    house.flat(101)
    assert house.held == 2
    assert house.at_venue() == [(STOP, D(2), D(97))]
    assert len(house.facts(ev.OrderCanceled)) == 0, "amended in place, never naked in between"


def test_adding_without_a_stop_keeps_the_one_there_is(house: House) -> None:
    house.hold(stop=95.0)
    house.enter()
    house.flat(101)
    assert house.at_venue() == [(STOP, D(2), D(95))]


def test_a_trailing_stop_is_moved_only_when_it_changes(house: House) -> None:
    house.hold(stop=95.0)
    for level in (95.0, 95.001, 96.0, 96.0, 96.0):
        house.trail(stop=level)
        house.flat()
    assert amendments(house) == 1
    assert house.at_venue() == [(STOP, D(1), D(96))]


def test_a_target_may_be_added_later_and_joins_the_group(house: House) -> None:
    house.hold(stop=95.0)
    house.trail(target=120.0)
    assert house.stop.oco_group == house.target.oco_group
    house.bar(100, 125, 100, 121)
    assert gone(house)


def test_a_move_under_way_is_not_asked_for_again_and_the_last_wish_wins(slow: House) -> None:
    slow.enter(stop=95.0)
    slow.deliver()
    slow.flat()
    slow.deliver()
    slow.trail(stop=96.0)
    slow.trail(stop=97.0)
    assert len(slow.effects) == 1
    slow.deliver()
    assert slow.at_venue() == [(STOP, D(1), D(97))]


def test_a_venue_that_grants_less_than_was_asked_is_not_asked_for_ever(house: House) -> None:
    """The account's units are what a sell may use; somebody took a part of them away."""
    house.hold(stop=95.0)
    house.exchange.deposit(PAPER, BTC, D("-0.4"))
    house.trail(stop=96.0)
    count = amendments(house)
    house.flat()
    house.flat()
    assert amendments(house) <= count + 4, "once a bar at most"
    assert house.held == 1


def test_what_the_venue_refuses_to_move_is_tried_again_at_the_next_bar(house: House) -> None:
    house.hold(stop=95.0)
    stop = house.stop
    house.slow = True
    house.trail(stop=96.0)
    house.effects.clear()
    refused = ev.OrderCancelRejected(client_id=stop.client_id, code="busy", reason="later", ts=1)
    house.desk.on_event(PAPER, refused)
    assert house.effects == []
    house.slow = False
    house.flat()
    assert house.at_venue() == [(STOP, D(1), D(96))]


def test_where_nothing_is_changed_in_place_a_stop_is_replaced_and_the_target_with_it(house: House) -> None:
    house.rigid = True
    house.hold(stop=95.0, target=120.0)
    for level in (96.0, 97.0):
        house.trail(stop=level)
        house.flat()
        assert sorted(house.at_venue()) == [(STOP, D(1), D(repr(level))), ("take_profit", D(1), D(120))]
    assert amendments(house) == 1, "asked once, and remembered"
    house.bar(100, 100, 90, 91)
    assert gone(house)


# --- leaving ---------------------------------------------------------------------------------------------------------


def test_an_exit_cancels_the_protection_before_it_sells(slow: House) -> None:
    slow.enter(stop=95.0, target=110.0)
    slow.deliver()
    slow.flat()
    slow.deliver()
    slow.exit()
    assert [type(effect).__name__ for effect in slow.effects] == ["CancelEffect", "CancelEffect"]
    slow.deliver()
    assert slow.at_venue() == [("market", D(1), None)]
    slow.flat()
    slow.deliver()
    assert gone(slow)
    assert slow.bot.memory.closing == ""
    sold = [f.fill for f in slow.facts(ev.OrderFilled) if f.fill.side is OrderSide.SELL]
    assert [fill.quantity for fill in sold] == [D(1)]


def test_a_stop_that_fills_while_it_is_cancelled_is_all_the_selling_there_is(slow: House) -> None:
    slow.enter(stop=95.0)
    slow.deliver()
    slow.flat()
    slow.deliver()
    slow.exit()
    slow.effects.clear()  # the cancel is on its way while the price falls
    slow.bar(100, 100, 90, 91)
    slow.deliver()
    assert slow.held == 0
    assert slow.working() == []
    slow.flat(91)
    assert slow.state.balance(PAPER, BTC).total == 0


def test_exits_are_not_repeated(house: House) -> None:
    house.hold()
    house.exit()
    house.exit()
    house.enter(SELL)
    assert house.at_venue() == [("market", D(1), None)]
    house.flat()
    house.exit()
    assert house.at_venue() == []


def test_the_opposite_wish_ends_the_position_and_opens_nothing(house: House) -> None:
    house.hold()
    house.enter(SELL, stop=105.0)
    house.flat()
    assert gone(house)


def test_an_exit_takes_a_working_entry_back_first(slow: House) -> None:
    slow.enter(stop=95.0)
    slow.exit()
    slow.deliver()
    slow.flat()
    slow.deliver()
    assert gone(slow)
    assert (slow.bot.memory.stop, slow.bot.memory.closing) == (None, "")


def test_an_entry_that_fills_in_spite_of_its_cancel_is_protected(slow: House) -> None:
    slow.enter(stop=95.0)
    order = slow.working()[0]
    slow.exit()
    slow.effects.clear()
    slow.desk.on_event(PAPER, ev.OrderAccepted(client_id=order.client_id, venue_order_id=VenueOrderId("V"), ts=1))
    fill(slow, order, "1", "T1", "100")
    assert [e.command.stop_price for e in slow.effects if isinstance(e, PlaceEffect)] == [D(95)]


def test_a_stop_that_is_set_off_takes_working_entries_back(slow: House) -> None:
    slow.enter(stop=95.0)
    slow.deliver()
    slow.flat()
    slow.deliver()
    slow.enter(stop=95.0)
    assert len(slow.working(OrderType.MARKET)) == 1
    slow.desk.on_event(PAPER, ev.OrderTriggered(client_id=slow.stop.client_id, ts=1))
    (entry,) = slow.working(OrderType.MARKET)
    assert entry.cancel_requested


def test_a_rest_too_small_to_be_traded_counts_as_nothing() -> None:
    house = House(taker="0.001", fees_in_base=True)
    house.enter(stop=95.0)
    house.flat()
    assert house.held == D("0.999")
    assert house.at_venue() == [(STOP, D("0.999"), D(95))]
    house.sizer.quantity = D("0.5")
    house.enter(stop=95.0)
    house.flat()
    assert house.held == D("1.4985")
    assert house.at_venue() == [(STOP, D("1.498"), D(95))]
    house.exit()
    house.flat()
    assert house.held == D("0.0005")
    assert house.bot.holding().side == 0
    assert house.at_venue() == []
    assert house.bot.memory.closing == ""
    house.enter(stop=95.0)
    house.flat()
    assert house.bot.quantity > 0, "the rest does not keep it from entering again"


# --- refusals --------------------------------------------------------------------------------------------------------


def rejected(house: House, kind: OrderType) -> None:
    (order,) = house.working(kind)
    house.effects.clear()
    house.desk.on_event(PAPER, ev.OrderRejected(client_id=order.client_id, code="no", reason="not today", ts=1))


def test_a_protective_stop_rejected_three_times_closes_the_position(slow: House) -> None:
    slow.enter(stop=95.0)
    slow.deliver()
    slow.flat()
    for _ in range(2):
        rejected(slow, OrderType.STOP_LOSS)
        assert len(slow.working(OrderType.STOP_LOSS)) == 1, "tried again"
    rejected(slow, OrderType.STOP_LOSS)
    (order,) = slow.working()
    assert (order.type, order.reduce_only, order.quantity) == (OrderType.MARKET, True, D(1))
    slow.deliver()
    slow.flat()
    assert slow.held == 0


def test_a_stop_that_is_accepted_makes_the_rejections_before_it_forgotten(slow: House) -> None:
    slow.enter(stop=95.0)
    slow.deliver()
    slow.flat()
    for _ in range(4):
        rejected(slow, OrderType.STOP_LOSS)
        rejected(slow, OrderType.STOP_LOSS)
        slow.deliver()
        stop = slow.stop
        assert stop.status is OrderStatus.ACCEPTED
        slow.exchange.cancel(PAPER, stop.client_id, slow.clock.now())
        slow.desk.on_event(PAPER, ev.OrderCanceled(client_id=stop.client_id, reason="by the venue", ts=1))
    assert slow.bot.memory.closing == ""


def test_a_refused_target_closes_nothing(slow: House) -> None:
    slow.enter(stop=95.0, target=110.0)
    slow.deliver()
    slow.flat()
    for _ in range(5):
        if not slow.working(OrderType.TAKE_PROFIT):
            break
        rejected(slow, OrderType.TAKE_PROFIT)
    assert slow.bot.memory.closing == ""
    assert slow.held == 1


def test_a_close_that_the_venue_rejects_is_tried_three_times_a_bar(slow: House) -> None:
    slow.enter(stop=95.0)
    slow.deliver()
    slow.flat()
    slow.deliver()
    slow.exit()
    slow.deliver(1)
    for _ in range(3):
        rejected(slow, OrderType.MARKET)
    assert slow.working() == []
    assert slow.bot.memory.closing == "over"
    slow.flat()
    assert len(slow.working(OrderType.MARKET)) == 1
    slow.deliver()
    slow.flat()
    assert slow.held == 0


def test_a_close_that_risk_refuses_again_and_again_is_said_aloud(house: House) -> None:
    house.hold()
    house.ledger.record(ev.BalanceAdjusted(account=PAPER, currency=BTC, amount=D(-1), reason="somebody took them"))
    house.exit()
    house.flat()
    with pytest.raises(StrategyError, match="close it on Portfolio"):
        house.flat()
    assert house.bot.memory.closing == "over"


def test_in_an_emergency_the_bot_leaves_its_position_to_the_stop(house: House) -> None:
    house.hold()
    house.risk.emergency("operator", "enough")
    for _ in range(4):
        house.flat()
        house.risk.tick(house.clock.now())
    assert gone(house)
    sold = [f.fill.quantity for f in house.facts(ev.OrderFilled) if f.fill.side is OrderSide.SELL]
    assert sold == [D(1)]


# --- memory ----------------------------------------------------------------------------------------------------------


def test_a_restarted_bot_knows_its_levels_and_puts_back_what_is_missing(house: House) -> None:
    house.hold(stop=95.0, target=110.0)
    saved = house.bot.save()
    again = house.new_bot()
    for order in house.bot.orders():
        if order.is_open:
            house.exchange.cancel(PAPER, order.client_id, house.clock.now())
            house.ledger.unsubscribe(house._tell_bot)
            house.desk.on_event(PAPER, ev.OrderCanceled(client_id=order.client_id, reason="at the restart", ts=1))
            house.ledger.subscribe(house._tell_bot)
    again.restore(saved)
    house.bot = again
    again.protect()
    assert sorted(house.at_venue()) == [(STOP, D(1), D(95)), (TARGET, D(1), D(110))]
    again.protect()
    assert len(house.at_venue()) == 2


def test_a_restarted_bot_leaves_what_is_right_alone(house: House) -> None:
    house.hold(stop=95.0)
    saved, before = house.bot.save(), house.ledger.seq
    again = house.new_bot()
    again.restore(saved)
    again.protect()
    assert house.ledger.seq == before


def test_a_bot_that_was_closing_goes_on_closing(slow: House) -> None:
    slow.enter(stop=95.0)
    slow.deliver()
    slow.flat()
    slow.deliver()
    slow.exit()
    saved = slow.bot.save()
    slow.bot = slow.new_bot()
    slow.bot.restore(saved)
    slow.bot.protect()
    slow.deliver()
    slow.flat()
    slow.deliver()
    assert gone(slow)


def test_a_position_whose_levels_are_lost_gets_a_stop_all_the_same(house: House) -> None:
    house.hold(stop=95.0)
    house.bot = house.new_bot()
    for order in house.bot.orders():
        house.desk.cancel(order.client_id, "lost")
    house.bot.protect()
    assert house.at_venue() == [(STOP, D(1), D(98))]


def test_levels_come_back_even_where_the_strategys_memory_does_not_fit(house: House) -> None:
    house.hold(stop=95.0)
    saved = house.bot.save().replace(b"quiet", b"other")
    again = house.new_bot()
    with pytest.raises(StrategyError):
        again.restore(saved)
    assert again.memory.stop == D(95)
    with pytest.raises(StrategyError, match="cannot be read"):
        house.new_bot().restore(b"nonsense")


# --- all of it -------------------------------------------------------------------------------------------------------

STEPS = st.one_of(
    st.tuples(st.just("enter"), st.integers(90, 99)),
    st.tuples(st.just("exit"), st.just(0)),
    st.tuples(st.just("trail"), st.integers(90, 104)),
    st.tuples(st.just("target"), st.integers(101, 115)),
    st.tuples(st.just("bar"), st.integers(88, 114)),
    st.tuples(st.just("deliver"), st.integers(1, 4)),
    st.tuples(st.just("cancel"), st.integers(0, 3)),
)


def step(house: House, what: str, number: int) -> None:
    """Let one thing happen."""
    working = house.working()
    match what:
        case "enter" if number < house.last:
            house.enter(stop=float(number))
        case "exit":
            house.exit()
        case "trail" if number < house.last:
            house.trail(stop=float(number))
        case "target" if number > house.last:
            house.trail(target=float(number))
        case "bar":
            before = house.last
            house.bar(before, max(before, number), min(before, number), float(number))
        case "deliver":
            house.deliver(number)
        case "cancel" if working:
            house.desk.cancel(working[number % len(working)].client_id, "by hand")


@settings(max_examples=120, deadline=None)
@given(st.booleans(), st.booleans(), st.lists(STEPS, max_size=30))
def test_whatever_is_wished_for_and_happens_the_bot_sells_only_what_it_holds_and_leaves_nothing_naked(
    slow: bool, fees: bool, steps: list[tuple[str, int]]
) -> None:
    house = House(slow=slow, taker="0.001", fees_in_base=fees)
    for what, number in steps:
        step(house, what, number)
        assert house.held >= 0
        assert house.state.balance(PAPER, BTC).total == house.held
        assert house.state.balance(PAPER, USDT).free >= 0
    house.deliver()
    house.flat(house.last, 3)
    house.deliver()
    selling = [left for kind, left, _ in house.at_venue() if kind != "market"]
    if house.bot.quantity:
        stops = [left for kind, left, _ in house.at_venue() if kind == STOP]
        assert stops == [house.bot.quantity], "the stop is for exactly what is held"
    else:
        assert selling == []
    house.exit("end")
    house.deliver()
    house.flat(house.last, 2)
    house.deliver()
    assert house.bot.quantity == 0
    assert house.at_venue() == []
    assert all(not balance.reserved for balance in house.state.balances[PAPER].values())
