"""The gate at and around every threshold."""

from __future__ import annotations

from decimal import Decimal as D
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from engine import events as ev
from engine.errors import OrderRejectionError
from engine.model.entries import TradingState
from engine.model.ids import MANUAL, AccountId, Currency, InstrumentId
from engine.model.order import OrderType, TimeInForce
from engine.model.risk import Quote, RefusalCode
from engine.risk.scopes import Scope
from tests.kit.limits import loose
from tests.risk.house import BOT, BTC, BUY, ETH, ETHBTC, OTHER_BOT, PAPER, PERP, SELL, SOL, USDT, VENUE, House

if TYPE_CHECKING:
    from engine.model.order import OrderSide

C = RefusalCode
WIDE = loose(max_position_size_pct=D(1), max_portfolio_exposure=D(1))


@pytest.mark.parametrize(
    ("side", "quantity", "more", "codes"),
    [
        (BUY, "0.01", {}, []),
        (BUY, "0", {}, [C.BAD_ORDER]),
        (BUY, "-1", {}, [C.BAD_ORDER]),
        (BUY, "NaN", {}, [C.BAD_ORDER]),
        (BUY, "Infinity", {}, [C.BAD_ORDER]),
        (BUY, "0.01", {"price": "-5"}, [C.BAD_ORDER]),
        (BUY, "0.01", {"type": OrderType.LIMIT}, [C.BAD_ORDER]),
        (BUY, "0.01", {"type": OrderType.MARKET, "price": "50000"}, [C.BAD_ORDER]),
        (BUY, "0.01", {"type": OrderType.STOP_LOSS}, [C.BAD_ORDER]),
        (BUY, "0.01", {"price": "50000", "stop_price": "50000"}, [C.BAD_ORDER]),
        (BUY, "0.01", {"type": OrderType.STOP_LOSS, "stop_price": "51000"}, []),
        (BUY, "0.01", {"type": OrderType.TAKE_PROFIT, "stop_price": "49000", "price": "49000"}, []),
        (BUY, "0.01", {"price": "50000", "post_only": True}, []),
        (BUY, "0.01", {"price": "50000", "post_only": True, "tif": TimeInForce.IOC}, [C.BAD_ORDER]),
        (BUY, "0.01", {"post_only": True}, [C.BAD_ORDER]),
        (BUY, "0.01", {"price": "50000.01"}, []),
        (BUY, "0.01", {"price": "50000.011"}, [C.TICK]),
        (BUY, "0.01", {"type": OrderType.STOP_LOSS, "stop_price": "50000.005"}, [C.TICK]),
        (BUY, "0.01001", {}, []),
        (BUY, "0.010011", {}, [C.LOT]),
        (BUY, "0.010011", {"price": "50000.001"}, [C.TICK, C.LOT]),
    ],
)
def test_an_order_must_be_whole_by_itself(
    side: OrderSide, quantity: str, more: dict[str, Any], codes: list[RefusalCode]
) -> None:
    assert House().codes(side, quantity, **more) == codes


@pytest.mark.parametrize(
    ("key", "quantity", "more", "codes"),
    [
        (BTC, "0.0002", {}, []),
        (BTC, "0.00019", {}, [C.MIN_NOTIONAL]),
        (BTC, "0.00025", {"price": "45000"}, []),
        (BTC, "0.00022", {"price": "45000"}, [C.MIN_NOTIONAL]),
        (ETH, "0.004", {}, []),
        (ETH, "0.001", {}, [C.MIN_NOTIONAL]),
        (ETH, "0.0009", {}, [C.MIN_QUANTITY, C.MIN_NOTIONAL]),
        (SOL, "0.01", {}, []),
    ],
)
def test_smallest_orders(key: InstrumentId, quantity: str, more: dict[str, Any], codes: list[RefusalCode]) -> None:
    assert House().codes(BUY, quantity, key, **more) == codes


def test_largest_orders() -> None:
    house = House(WIDE, funds="100000000")
    assert house.codes(BUY, "100") == []
    assert house.codes(BUY, "100.00001") == [C.MAX_QUANTITY]


@pytest.mark.parametrize(
    ("more", "refused"),
    [
        ({"price": "45000"}, False),
        ({"price": "44999.99"}, True),
        ({"price": "55000"}, False),
        ({"price": "55000.01"}, True),
        ({"type": OrderType.STOP_LOSS, "stop_price": "55000"}, False),
        ({"type": OrderType.STOP_LOSS, "stop_price": "55000.01"}, True),
        ({"type": OrderType.STOP_LOSS, "stop_price": "54000", "price": "56000"}, True),
    ],
)
def test_prices_stay_within_the_band_around_the_mark(more: dict[str, Any], refused: bool) -> None:
    assert House().codes(BUY, "0.001", **more) == ([C.PRICE_BAND] if refused else [])


@pytest.mark.parametrize(("age", "refused"), [(0, False), (30, False), (30.000000001, True), (500, True)])
def test_nothing_is_opened_on_a_stale_market(age: float, refused: bool) -> None:
    house = House()
    house.later(age)
    assert house.codes(BUY, "0.01") == ([C.STALE_MARKET] if refused else [])


def test_nothing_is_opened_on_a_market_that_was_never_heard() -> None:
    house = House()
    del house.markets[BTC]
    assert C.STALE_MARKET in house.codes(BUY, "0.01")
    assert C.STALE_MARKET in house.codes(BUY, "0.01", price="50000")
    house.markets[BTC] = Quote(bid=None, ask=D(50000), last=None, ts=house.now)
    assert C.STALE_MARKET in house.codes(BUY, "0.01")


def test_unknown_names_are_refused() -> None:
    house = House()
    assert house.codes(BUY, "1", InstrumentId("SIM:NO/USDT")) == [C.UNKNOWN_INSTRUMENT]
    assert house.codes(BUY, "1", account=AccountId("nobody")) == [C.UNKNOWN_ACCOUNT]


# a market buy of q at 50,000 holds q x 50,000 x 1.02 (collar) x 1.001 (taker fee)
@pytest.mark.parametrize(("quantity", "refused"), [("0.19588", False), ("0.19589", True)])
def test_a_market_buy_must_be_payable_with_collar_and_fee(quantity: str, refused: bool) -> None:
    house = House(WIDE)
    assert (C.INSUFFICIENT_BALANCE in house.codes(BUY, quantity)) is refused


def test_funds_of_open_orders_are_not_spent_twice_and_a_replaced_order_gives_its_own_back() -> None:
    house = House(WIDE)
    first = house.submit(BUY, "0.15", price="50000")
    assert house.codes(BUY, "0.1", price="50000") == [C.INSUFFICIENT_BALANCE, C.POSITION_SIZE, C.EXPOSURE]
    assert house.codes(BUY, "0.16", price="50000", replaces=first.client_id) == []
    assert C.INSUFFICIENT_BALANCE in house.codes(BUY, "0.25", price="50000", replaces=first.client_id)


@pytest.mark.parametrize(
    ("key", "quantity", "more", "refused"),
    [
        (SOL, "10", {"price": "100"}, False),
        (SOL, "10.01", {"price": "100"}, True),
        # below the market it is still worth the mark
        (SOL, "10", {"price": "99"}, False),
        (SOL, "10.01", {"price": "99"}, True),
        # above it, it may be worth its price
        (SOL, "9.52", {"price": "105"}, False),
        (SOL, "9.53", {"price": "105"}, True),
        # a market order may go to its collar, 2 % beyond the best price
        (SOL, "9.8", {}, False),
        (SOL, "9.81", {}, True),
        # a triggered order may go further beyond its stop
        (SOL, "9.25", {"type": OrderType.STOP_LOSS, "stop_price": "102.9"}, False),
        (SOL, "9.26", {"type": OrderType.STOP_LOSS, "stop_price": "102.9"}, True),
        (SOL, "9.7", {"type": OrderType.STOP_LOSS, "stop_price": "102.9", "price": "103"}, False),
        (SOL, "9.71", {"type": OrderType.STOP_LOSS, "stop_price": "102.9", "price": "103"}, True),
        # and a fee of a thousandth is paid on top
        (BTC, "0.01998", {"price": "50000"}, False),
        (BTC, "0.01999", {"price": "50000"}, True),
    ],
)
def test_a_position_may_come_to_a_tenth_of_equity_at_its_worst_price(
    key: InstrumentId, quantity: str, more: dict[str, Any], refused: bool
) -> None:
    assert House().codes(BUY, quantity, key, **more) == ([C.POSITION_SIZE] if refused else [])


def test_position_size_counts_what_is_held_and_what_is_worked() -> None:
    house = House()
    house.trade(BUY, "0.008", price="50000")
    house.submit(BUY, "0.008", price="49000")
    assert house.codes(BUY, "0.004", price="49000") == []
    verdict = house.check(BUY, "0.00401", price="49000")
    assert [r.code for r in verdict.refusals] == [C.POSITION_SIZE]
    assert "at most 0.004 BTC can be added" in verdict.message
    assert "10 % of equity (1,000.00 USDT)" in verdict.message


def test_a_dearer_order_counts_at_its_own_price() -> None:
    house = House()
    assert house.codes(BUY, "0.019", price="52000") == []
    assert house.codes(BUY, "0.0195", price="52000") == [C.POSITION_SIZE]


def test_all_owners_share_the_accounts_position_limit() -> None:
    house = House()
    house.trade(BUY, "0.012", price="50000", owner=BOT)
    assert house.codes(BUY, "0.0079", price="50000", owner=OTHER_BOT) == []
    assert house.codes(BUY, "0.009", price="50000", owner=OTHER_BOT) == [C.POSITION_SIZE]


@pytest.mark.parametrize(("quantity", "refused"), [("11", False), ("11.01", True)])
def test_exposure_of_all_positions_and_orders_is_limited(quantity: str, refused: bool) -> None:
    house = House(loose(max_position_size_pct=D("0.5")))
    house.trade(BUY, "0.08", price="50000")
    house.submit(BUY, "1.76", ETH, price="2500")
    # 4,000 held and 4,400 in an order leave 1,100 of the 9,500 allowed
    assert house.codes(BUY, quantity, SOL, price="100") == ([C.EXPOSURE] if refused else [])


def test_leverage_widens_exposure_only() -> None:
    house = House(loose(max_position_size_pct=D(1), max_leverage=D(2), allow_short=True))
    assert C.EXPOSURE not in house.codes(SELL, "0.2", PERP, price="50000")
    assert House(loose(max_position_size_pct=D(1), allow_short=True)).codes(SELL, "0.2", PERP, price="50000") == [
        C.EXPOSURE
    ]


def test_the_number_of_positions_counts_entries_under_way_but_no_dust() -> None:
    house = House(loose(max_total_positions=2))
    house.trade(BUY, "0.01")
    house.submit(BUY, "0.1", ETH, price="2500")
    assert house.codes(BUY, "1", SOL) == [C.POSITIONS]
    assert house.codes(BUY, "0.001") == []
    house.trade(SELL, "0.01")
    assert house.codes(BUY, "1", SOL) == []


def test_an_owner_holds_a_symbol_once() -> None:
    house = House(loose(max_position_size_pct=D(1)))
    second = AccountId("spare")
    book = house.ledger.record
    book(ev.AccountOpened(account=msgspec.structs.replace(house.state.accounts[PAPER], id=second)))
    book(ev.Deposited(account=second, currency=USDT, amount=D(10000)))
    house.trade(BUY, "0.01", owner=BOT)
    assert house.codes(BUY, "0.01", owner=BOT, account=second) == [C.POSITIONS]
    assert "raise max_positions_per_symbol on Risk" in house.check(BUY, "0.01", owner=BOT, account=second).message
    assert house.codes(BUY, "0.01", owner=OTHER_BOT, account=second) == []


@pytest.mark.parametrize(("quantity", "refused"), [("0.03996", False), ("0.03997", True)])
def test_a_bot_spends_its_own_capital_and_no_more(quantity: str, refused: bool) -> None:
    house = House(WIDE)
    assert house.codes(BUY, quantity, price="50000", owner=BOT) == ([C.INSUFFICIENT_CAPITAL] if refused else [])
    assert house.codes(BUY, quantity, price="50000") == []


def test_a_bots_profits_and_losses_and_fees_change_what_it_may_spend() -> None:
    house = House(WIDE)
    house.trade(BUY, "0.02", owner=BOT)
    assert house.risk.budgets.budget(BOT).free == 1000  # type: ignore[union-attr]
    house.price(BTC, "40000")
    house.trade(SELL, "0.02", owner=BOT)
    house.fill(house.submit(BUY, "0.01", owner=BOT, price="40000"), fee="7")
    budget = house.risk.budgets.budget(BOT)
    assert budget is not None
    assert (budget.realised, budget.invested, budget.reserved, budget.free) == (D(-207), D(400), D(0), D(1393))
    assert house.codes(BUY, "0.0347", price="40000", owner=BOT) == []
    assert house.codes(BUY, "0.0348", price="40000", owner=BOT) == [C.INSUFFICIENT_CAPITAL]
    assert house.risk.budgets.budget(MANUAL) is None


def test_spot_is_never_sold_short() -> None:
    house = House(loose(allow_short=True))
    house.trade(BUY, "0.01", owner=BOT)
    assert house.codes(SELL, "0.01", owner=BOT) == []
    assert house.codes(SELL, "0.01001", owner=BOT) == [C.INSUFFICIENT_BALANCE, C.SHORT]
    assert house.codes(SELL, "0.01", owner=OTHER_BOT) == [C.SHORT]
    assert house.codes(SELL, "0.01001") == [C.INSUFFICIENT_BALANCE]


def test_shorts_need_a_kind_and_limits_that_allow_them() -> None:
    assert House().codes(SELL, "0.01", PERP) == [C.SHORT]
    house = House(loose(allow_short=True))
    assert house.codes(SELL, "0.01", PERP) == []
    assert house.codes(SELL, "0.021", PERP) == [C.POSITION_SIZE]
    house.trade(SELL, "0.01", PERP)
    assert house.check(BUY, "0.01", PERP).reduces
    assert not house.check(BUY, "0.011", PERP).reduces


def test_a_refusal_names_the_limit_that_says_so() -> None:
    assert "set allow_short = true on Risk" in House().check(SELL, "0.01", PERP).message
    house = House(loose(max_total_positions=1))
    house.trade(BUY, "0.001")
    assert "(max_total_positions on Risk)" in house.check(BUY, "1", SOL).message


def test_the_throttle_counts_orders_of_an_owner_in_sliding_windows() -> None:
    house = House(loose(max_orders_per_second=3, max_orders_per_minute=5))
    for _ in range(3):
        house.submit(BUY, "0.0002", price="50000")
    assert house.codes(BUY, "0.0002", price="50000") == [C.ORDER_RATE]
    assert house.codes(BUY, "0.0002", price="50000", owner=BOT) == []
    house.later(0.999999999)
    assert house.codes(BUY, "0.0002", price="50000") == [C.ORDER_RATE]
    house.later(0.000000001)
    for _ in range(2):
        house.submit(BUY, "0.0002", price="50000")
    house.later(30)
    house.refresh()
    verdict = house.check(BUY, "0.0002", price="50000")
    assert [r.code for r in verdict.refusals] == [C.ORDER_RATE]
    assert "within a minute" in verdict.message
    house.later(29)
    assert house.codes(BUY, "0.0002", price="50000") == []


@pytest.mark.parametrize("state", [TradingState.REDUCING, TradingState.HALTED])
@pytest.mark.parametrize(
    ("scope", "hits"),
    [
        (Scope(), {BTC, ETH}),
        (Scope(venue=VENUE), {BTC, ETH}),
        (Scope(instrument=BTC), {BTC}),
        (Scope(owner=BOT), {BTC, ETH}),
        (Scope(owner=OTHER_BOT), set()),
    ],
)
def test_held_scopes_refuse_entries_and_let_reductions_pass(
    state: TradingState, scope: Scope, hits: set[InstrumentId]
) -> None:
    house = House()
    for key, quantity in ((BTC, "0.01"), (ETH, "0.1")):
        house.trade(BUY, quantity, key, owner=BOT)
    house.risk.hold("anna", "maintenance", state, scope)
    for key, quantity in ((BTC, "0.001"), (ETH, "0.01")):
        expected = [C.HALTED if state is TradingState.HALTED else C.REDUCING] if key in hits else []
        assert house.codes(BUY, quantity, key, owner=BOT) == expected
        assert house.check(SELL, quantity, key, owner=BOT).passed


def test_an_open_breaker_refuses_entries_even_when_the_trading_state_is_active() -> None:
    house = House()
    house.ledger.record(
        ev.BreakerTripped(breaker="drawdown", scope=PAPER, value="0.1", threshold="0.1", reason="Down.")
    )
    assert house.codes(BUY, "0.01") == [C.HALTED]


def test_all_reasons_are_listed() -> None:
    house = House(loose(max_orders_per_second=1))
    house.submit(BUY, "0.0002", price="50000")
    house.risk.hold("anna", "lunch", TradingState.HALTED)
    house.later(0.5)
    codes = house.codes(BUY, "0.500001", price="60000.001")
    assert codes == [
        C.TICK,
        C.LOT,
        C.HALTED,
        C.PRICE_BAND,
        C.INSUFFICIENT_BALANCE,
        C.POSITION_SIZE,
        C.EXPOSURE,
        C.ORDER_RATE,
    ]


def test_reasons_are_sentences_with_limit_value_and_what_is_possible() -> None:
    house = House()
    for refusal in house.check(BUY, "1.000001", price="60000.001").refusals:
        assert refusal.message[0].isupper()
        assert refusal.message.endswith(".")
        assert refusal.limit
        assert refusal.value
    verdict = house.check(BUY, "0.1", price="50000")
    assert verdict.message == (
        "The position in SIM:BTC/USDT could come to 5,005.00 USDT, more than 10 % of equity (1,000.00 USDT); "
        "at most 0.01998 BTC can be added."
    )


# --- reductions ---------------------------------------------------------------------------------------------------


def test_a_reduction_is_held_up_by_nothing() -> None:
    house = House(loose(max_orders_per_second=1))
    house.trade(BUY, "0.01")
    house.risk.hold("anna", "lunch", TradingState.HALTED)
    house.ledger.record(
        ev.BreakerTripped(breaker="drawdown", scope=PAPER, value="0.2", threshold="0.1", reason="Down.")
    )
    house.later(3600)
    house.markets.clear()
    verdict = house.check(SELL, "0.01")
    assert verdict.passed
    assert verdict.reduces
    assert house.check(SELL, "0.01", price="1000").passed
    assert house.check(SELL, "0.00001").passed
    assert house.check(SELL, "0.01", type=OrderType.STOP_LOSS, stop_price="30000", reduce_only=True).passed


def test_a_reduction_must_still_be_a_whole_order() -> None:
    house = House()
    house.trade(BUY, "0.01")
    verdict = house.check(SELL, "0.000001", price="50000.001")
    assert [r.code for r in verdict.refusals] == [C.TICK, C.LOT]
    assert verdict.reduces


def test_open_reductions_count_against_the_position() -> None:
    house = House()
    house.trade(BUY, "0.01", owner=BOT)
    stop = house.submit(SELL, "0.006", owner=BOT, type=OrderType.STOP_LOSS, stop_price="48000", reduce_only=True)
    assert house.check(SELL, "0.004", owner=BOT, reduce_only=True).reduces
    verdict = house.check(SELL, "0.005", owner=BOT, reduce_only=True)
    assert C.REDUCE_ONLY in [r.code for r in verdict.refusals]
    assert "at most 0.004 BTC can be closed" in verdict.message
    assert house.check(SELL, "0.01", owner=BOT, reduce_only=True, replaces=stop.client_id).reduces


def test_stop_and_target_of_one_group_protect_the_whole_position() -> None:
    house = House()
    house.trade(BUY, "0.01", owner=BOT)
    group: dict[str, Any] = {"owner": BOT, "reduce_only": True, "oco_group": "bot1-1"}
    stop = house.submit(SELL, "0.01", type=OrderType.STOP_LOSS, stop_price="48000", **group)
    target = house.submit(SELL, "0.01", type=OrderType.TAKE_PROFIT, stop_price="54000", **group)
    assert house.check(
        SELL, "0.01", type=OrderType.STOP_LOSS, stop_price="49000", replaces=stop.client_id, **group
    ).passed
    assert not house.check(SELL, "0.01", owner=BOT, reduce_only=True).passed
    for order in (stop, target):
        house.cancelled(order)
    assert house.check(SELL, "0.01", owner=BOT, reduce_only=True).passed


def test_a_group_is_of_one_owner() -> None:
    """It holds what its largest member needs, so a stranger in it would spend capital that nobody counts."""
    house = House()
    house.submit(BUY, "0.01", owner=BOT, type=OrderType.LIMIT, price="50000", oco_group="pair")
    verdict = house.check(BUY, "0.01", owner=OTHER_BOT, type=OrderType.LIMIT, price="50000", oco_group="pair")
    assert [refusal.code for refusal in verdict.refusals] == [C.BAD_ORDER]
    assert f"The group pair belongs to {BOT}" in verdict.message
    assert house.check(BUY, "0.01", owner=BOT, type=OrderType.LIMIT, price="50000", oco_group="pair").passed


def test_a_partly_filled_protective_order_can_be_amended() -> None:
    house = House()
    house.trade(BUY, "0.01", owner=BOT)
    stop = house.submit(SELL, "0.01", owner=BOT, type=OrderType.STOP_LOSS, stop_price="48000", reduce_only=True)
    house.fill(stop, "0.004")
    assert house.desk.amend(stop.client_id, stop_price=D(49000)) is stop
    assert house.desk.amend(stop.client_id, quantity=D("0.009")) is stop


def test_a_person_may_reduce_what_the_account_holds_without_the_bots_and_no_more() -> None:
    house = House()
    house.trade(BUY, "0.01", owner=BOT)
    house.trade(BUY, "0.002")
    assert house.check(SELL, "0.002").reduces
    assert house.codes(SELL, "0.00201") == [C.INSUFFICIENT_BALANCE]
    assert house.codes(SELL, "0.01201") == [C.INSUFFICIENT_BALANCE]
    house.trade(SELL, "0.002")
    assert house.check(SELL, "0.01", owner=BOT).reduces


def test_deposited_coins_can_be_sold() -> None:
    house = House()
    house.ledger.record(ev.Deposited(account=PAPER, currency=Currency("BTC"), amount=D(1)))
    assert house.check(SELL, "1").reduces
    house.trade(SELL, "1")
    assert house.codes(SELL, "0.001") == [C.INSUFFICIENT_BALANCE]


def test_reduce_only_by_hand_closes_what_was_bought_by_hand_once() -> None:
    """Deposited coins are free to be sold, so nothing but the position bounds a stop beside a market order."""
    house = House()
    house.ledger.record(ev.Deposited(account=PAPER, currency=Currency("BTC"), amount=D(1)))
    assert house.codes(SELL, "0.001", reduce_only=True)[0] is C.REDUCE_ONLY
    house.trade(BUY, "0.01")
    house.trade(BUY, "0.01", owner=BOT)
    assert house.codes(SELL, "0.0101", reduce_only=True)[0] is C.REDUCE_ONLY
    close = house.submit(SELL, "0.01", reduce_only=True)
    assert house.codes(SELL, "0.01", reduce_only=True)[0] is C.REDUCE_ONLY
    assert house.check(SELL, "0.01", reduce_only=True, replaces=close.client_id).reduces
    assert house.check(SELL, "1").reduces, "deposited coins are sold without it"
    house.fill(close)
    verdict = house.check(SELL, "0.01", type=OrderType.STOP_LOSS, stop_price="48000", reduce_only=True)
    assert "at most 0 BTC can be closed" in verdict.message


def test_stop_and_target_by_hand_rest_beside_each_other_and_replace_one_another() -> None:
    house = House()
    house.ledger.record(ev.Deposited(account=PAPER, currency=Currency("BTC"), amount=D(1)))
    house.trade(BUY, "0.01")
    group: dict[str, Any] = {"reduce_only": True, "oco_group": "manual-1"}
    stop = house.submit(SELL, "0.01", type=OrderType.STOP_LOSS, stop_price="48000", **group)
    target = house.submit(SELL, "0.01", type=OrderType.TAKE_PROFIT, stop_price="54000", **group)
    assert house.desk.amend(stop.client_id, stop_price=D(49000)) is stop
    assert house.check(
        SELL, "0.01", type=OrderType.STOP_LOSS, stop_price="49500", replaces=stop.client_id, **group
    ).reduces
    other = house.check(SELL, "0.01", reduce_only=True, replaces=target.client_id)
    assert C.REDUCE_ONLY in [refusal.code for refusal in other.refusals], "the stop would still rest beside it"
    house.fill(stop, "0.004")
    assert house.desk.amend(stop.client_id, stop_price=D(49200)) is stop
    assert C.REDUCE_ONLY in house.codes(SELL, "0.0061", reduce_only=True, replaces=stop.client_id, oco_group="manual-1")


def test_an_emergency_stop_sells_what_is_held_by_hand_whatever_rests_beside_it() -> None:
    house = House()
    house.ledger.record(ev.Deposited(account=PAPER, currency=Currency("BTC"), amount=D(1)))
    house.trade(BUY, "0.01")
    house.submit(SELL, "0.01", type=OrderType.STOP_LOSS, stop_price="48000", reduce_only=True)
    request = house.request(SELL, "0.01", reduce_only=True, urgent=True)
    assert not house.gate.check(request, house.now).passed
    house.gate.closers.submit(house.desk, request)


def test_reduce_only_refuses_what_could_open() -> None:
    assert C.REDUCE_ONLY in House().codes(BUY, "0.01", reduce_only=True)


# --- valuation and failure ----------------------------------------------------------------------------------------


def test_other_quote_currencies_are_converted() -> None:
    house = House(WIDE)
    house.ledger.record(ev.Deposited(account=PAPER, currency=Currency("BTC"), amount=D(1)))
    # equity is 60,000 USDT
    house.risk.change_limits("anna", {"max_position_size_pct": D("0.1")})
    assert house.codes(BUY, "2.4", ETHBTC, price="0.05") == []
    assert house.codes(BUY, "2.4001", ETHBTC, price="0.05") == [C.POSITION_SIZE]


def test_an_unknown_rate_refuses_entries_with_a_sentence_and_lets_reductions_pass() -> None:
    house = House()
    house.trade(BUY, "0.1", ETH)
    del house.markets[ETH]
    verdict = house.check(BUY, "0.01")
    assert [r.code for r in verdict.refusals] == [C.EVALUATION_FAILED]
    assert "no price is known for SIM:ETH/USDT" in verdict.message
    assert house.check(SELL, "0.1", ETH).passed


class Broken:
    """A market whose look-up fails."""

    def quote(self, key: InstrumentId) -> Quote | None:
        raise RuntimeError("boom")


def test_a_check_that_fails_refuses_entries_and_lets_reductions_pass() -> None:
    house = House()
    house.trade(BUY, "0.01")
    house.gate.picture._quotes = Broken()
    verdict = house.check(BUY, "0.01")
    assert [r.code for r in verdict.refusals] == [C.EVALUATION_FAILED]
    assert "RuntimeError" in verdict.message
    assert house.check(SELL, "0.01").passed


def test_unreadable_limits_refuse_entries_and_let_reductions_pass() -> None:
    house = House()
    house.trade(BUY, "0.01")
    house.ledger.record(ev.LimitsChanged(limits=b'{"nonsense": 1}', actor="test"))
    assert house.codes(BUY, "0.01") == [C.EVALUATION_FAILED]
    assert house.check(SELL, "0.01").passed


def test_a_check_changes_nothing() -> None:
    house = House()
    house.trade(BUY, "0.01")
    before = house.state.state_hash()
    for _ in range(20):
        house.check(BUY, "0.01")
        house.check(SELL, "0.01")
    assert house.state.state_hash() == before
    assert house.gate.throttle.used(MANUAL, house.now) == (1, 1)


def test_changed_limits_hold_from_the_next_check_on() -> None:
    house = House()
    assert house.codes(BUY, "0.03", price="50000") == [C.POSITION_SIZE]
    house.risk.change_limits("anna", {"max_position_size_pct": "0.2"})
    assert house.codes(BUY, "0.03", price="50000") == []


def test_a_manual_spot_sell_leaves_the_coins_of_bots_alone() -> None:
    house = House(WIDE)
    house.trade(BUY, "0.01", owner=BOT)
    house.trade(BUY, "0.004")
    assert house.check(SELL, "0.004").reduces
    refusal = house.check(SELL, "0.005").refusals[-1]
    assert refusal.code is RefusalCode.INSUFFICIENT_BALANCE
    assert "0.004 BTC can be sold" in refusal.message
    assert "0.01 BTC to the bot bot1" in refusal.message
    assert RefusalCode.REDUCE_ONLY in house.codes(SELL, "0.005", reduce_only=True)
    # what the bot itself already offers is not counted twice
    house.submit(SELL, "0.01", owner=BOT, price="60000")
    assert house.check(SELL, "0.004").reduces
    order = house.submit(SELL, "0.003", price="60000")
    assert house.check(SELL, "0.004", price="61000", replaces=order.client_id).reduces
    assert not house.check(SELL, "0.005", price="61000", replaces=order.client_id).passed


def test_changes_under_way_count_as_if_they_were_in_force() -> None:
    house = House(loose(max_position_size_pct=D("0.5")))
    orders = [house.accept(house.submit(BUY, "0.001", price="49000")) for _ in range(2)]
    house.desk.amend(orders[0].client_id, quantity=D("0.09"))
    assert orders[0].quantity == D("0.001")
    assert house.state.balance(PAPER, USDT).reserved > D("4400")
    with pytest.raises(OrderRejectionError) as refused:
        house.desk.amend(orders[1].client_id, quantity=D("0.09"))
    assert str(C.POSITION_SIZE) in str(refused.value.details["codes"])
    rejected = ev.OrderCancelRejected(client_id=orders[0].client_id, code="LATE", reason="no", ts=house.now)
    house.desk.on_event(PAPER, rejected)
    assert house.state.balance(PAPER, USDT).reserved < D("110")
    house.desk.amend(orders[1].client_id, quantity=D("0.09"))
    house.desk.on_event(PAPER, ev.OrderAmended(client_id=orders[1].client_id, ts=house.now, quantity=D("0.09")))
    assert (orders[1].quantity, orders[1].pending_amends) == (D("0.09"), 0)
    effect = house.outbox[-1]
    assert effect.seq == [r.seq for r in house.journal.records if isinstance(r.event, ev.OrderAmendRequested)][-1]


def test_changes_count_for_the_order_rate_unless_they_protect() -> None:
    house = House(WIDE)
    entry = house.accept(house.submit(BUY, "0.001", price="49000"))
    used = house.gate.throttle.used(MANUAL, house.now)[0]
    house.desk.amend(entry.client_id, price=D(48900))
    assert house.gate.throttle.used(MANUAL, house.now)[0] == used + 1
    house.trade(BUY, "0.01")
    used = house.gate.throttle.used(MANUAL, house.now)[0]
    stop = house.submit(SELL, "0.01", type=OrderType.STOP_LOSS, stop_price="48000", reduce_only=True)
    used = house.gate.throttle.used(MANUAL, house.now)[0]
    house.desk.amend(house.accept(stop).client_id, stop_price=D(48500))
    assert house.gate.throttle.used(MANUAL, house.now)[0] == used
