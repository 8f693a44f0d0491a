"""Perpetuals at the paper exchange: margin, shorts, funding, liquidation, deleveraging, what is stored of them."""

from __future__ import annotations

import random
from decimal import Decimal as D
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import events as ev
from engine.errors import NotFoundError, ValidationError
from engine.events import OrderAccepted, OrderAmended, OrderCanceled, OrderFilled, OrderRejected
from engine.execution.funding import funding_fact
from engine.model.account import Account, TradingMode
from engine.model.decimals import exact
from engine.model.fill import Fill, FillCause
from engine.model.ids import Currency, InstrumentId, Owner
from engine.model.instrument import Instrument, InstrumentKind, InstrumentRules
from engine.model.margin import MarginMode, MarginTier
from engine.model.market import MarkPrice
from engine.model.order import Decision, OrderStatus, OrderType
from engine.model.venue import FundingPayment
from engine.state import EngineState
from engine.state.soundness import flaws
from engine.venues.paper.changes import ExchangeImage
from engine.venues.paper.exchange import PaperExchange
from engine.venues.paper.fill_model import FillKind
from engine.venues.paper.settings import PaperSettings
from tests.venues.paper.helpers import PAPER, PLAIN_BARS, SIM, START, order, snapshot

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.events import VenueEvent
    from engine.model.venue import OrderCommand, VenuePosition
    from engine.venues.paper.orders import Report

USDT = Currency("USDT")
HOUR = 3_600_000_000_000
NINE = (START // (8 * HOUR) + 1) * 8 * HOUR
"""The first funding time after the start."""
TIERS = (
    MarginTier(maintenance=D("0.01"), max_leverage=D(20)),
    MarginTier(maintenance=D("0.02"), max_leverage=D(10), from_notional=D(50_000), deduction=D(500)),
)
ISOLATED, CROSS = MarginMode.ISOLATED, MarginMode.CROSS


def perpetual(base: str = "BTC") -> Instrument:
    return Instrument(
        id=InstrumentId(f"SIM:{base}/USDT:USDT"), venue=SIM, symbol=f"{base}/USDT:USDT",
        kind=InstrumentKind.LINEAR_PERPETUAL, base=Currency(base), quote=USDT, settle=USDT,
        rules=(
            InstrumentRules(
                valid_from=0, price_tick=D("0.01"), lot=D(1), taker_fee=D("0.0005"), maker_fee=D("0.0002"), margin=TIERS
            ),
        ),
        multiplier=D("0.1"), price_scale=2, quantity_scale=0,
    )  # fmt: skip


BTC, ETH = perpetual(), perpetual("ETH")


class Trader:
    """An exchange with two perpetuals at 100, and an account with 1,000 USDT."""

    def __init__(self, usdt: str = "1000", **more: Any) -> None:
        self.settings = PaperSettings(bars=PLAIN_BARS, **more)
        self.exchange = PaperExchange(SIM, [BTC, ETH], self.settings, kind=FillKind.BOOK, track=True)
        self.exchange.open_account(PAPER, {USDT: D(usdt)})
        self.now = START
        self.seqs: dict[InstrumentId, int] = {}
        self.reports: list[VenueEvent] = []
        for instrument in (BTC, ETH):
            self.quote("100", instrument)

    def quote(self, price: str, instrument: Instrument = BTC, size: str = "100000") -> None:
        """A book of one level a side, a cent from a price, and the mark there."""
        book = snapshot([(str(D(price) - D("0.01")), "1")], [(str(D(price) + D("0.01")), "1")])
        scaled = instrument.price_to_int(D(price))
        self.take(
            self.exchange.on_book(
                msgspec.structs.replace(
                    book, instrument=instrument.id, ts=self.now, bids=((scaled - 1, int(size)),),
                    asks=((scaled + 1, int(size)),),
                )
            )
        )  # fmt: skip
        self.mark(price, instrument)

    def mark(self, price: str, instrument: Instrument = BTC, rate: str | None = None) -> None:
        funding = None if rate is None else D(rate)
        self.take(self.exchange.on_mark(MarkPrice(instrument.id, self.now, mark=D(price), funding_rate=funding)))

    def take(self, reports: Sequence[Report]) -> list[VenueEvent]:
        events = [event for _, event in reports]
        self.reports += events
        return events

    def send(self, command: OrderCommand, instrument: Instrument = BTC) -> list[VenueEvent]:
        self.now += 1_000_000
        command = msgspec.structs.replace(command, instrument=instrument.id)
        return self.take(self.exchange.place(command, self.now))

    def trade(self, side: str, contracts: str, instrument: Instrument = BTC, **more: Any) -> list[VenueEvent]:
        return self.send(order(side, "market", contracts, **more), instrument)

    def lever(self, leverage: str, mode: MarginMode = ISOLATED, instrument: Instrument = BTC) -> None:
        self.exchange.set_margin(PAPER, instrument.id, D(leverage), mode)

    @property
    def money(self) -> tuple[D, D]:
        """Total and locked."""
        found = {b.currency: b for b in self.exchange.balances(PAPER)}
        return (found[USDT].total, found[USDT].locked) if USDT in found else (D(0), D(0))

    def position(self, instrument: Instrument = BTC) -> VenuePosition | None:
        found = {p.instrument: p for p in self.exchange.positions(PAPER, self.now)}
        return found.get(instrument.id)

    def fills(self) -> list[Fill]:
        return [event.fill for event in self.reports if isinstance(event, OrderFilled)]


@pytest.fixture
def trader() -> Trader:
    return Trader()


# --- orders and margin -----------------------------------------------------------------------------------------------


def test_a_position_holds_margin_and_pays_its_profit_when_it_is_closed(trader: Trader) -> None:
    trader.lever("10")
    trader.trade("buy", "50")
    total, locked = trader.money
    assert total == 1000 - D("500.05") * D("0.0005")
    assert locked == D("50.005")
    trader.quote("110")
    position = trader.position()
    assert position is not None
    assert (position.quantity, position.entry_price, position.mark_price) == (D(50), D("100.01"), D(110))
    assert position.unrealised == D("49.95")
    assert (position.leverage, position.margin_mode, position.margin) == (D(10), ISOLATED, D("50.005"))
    trader.trade("sell", "50", reduce_only=True)
    assert trader.position() is None
    fees = (D("500.05") + D("549.95")) * D("0.0005")
    assert trader.money == (1000 + D("49.9") - fees, D(0))


def test_a_short_is_a_position_like_any_other(trader: Trader) -> None:
    trader.trade("sell", "50")
    position = trader.position()
    assert position is not None
    assert position.quantity == D(-50)
    trader.quote("90")
    trader.trade("buy", "80")
    position = trader.position()
    assert position is not None
    assert (position.quantity, position.entry_price) == (D(30), D("90.01"))
    assert position.liquidation_price is None


def test_without_leverage_the_whole_value_is_held_and_more_is_refused(trader: Trader) -> None:
    rejected = trader.send(order("buy", "limit", "101", price="100"))
    assert isinstance(rejected[0], OrderRejected)
    assert rejected[0].code == "insufficient_balance"
    accepted = trader.send(order("buy", "limit", "99", price="100"))
    assert isinstance(accepted[0], OrderAccepted)
    assert trader.money == (D(1000), D(990) * D("1.0005"))


def test_leverage_makes_room_and_a_market_order_is_cut_to_what_there_is(trader: Trader) -> None:
    trader.lever("5")
    events = trader.trade("buy", "490")
    assert isinstance(events[-1], OrderFilled)
    events = trader.trade("buy", "40")
    assert isinstance(events[0], OrderRejected)
    bare = Trader()
    bare.lever("5")
    bare.quote("100", size="100")
    cut = bare.send(order("buy", "limit", "490", price="100.01"))
    assert sum(e.fill.quantity for e in cut if isinstance(e, OrderFilled)) == 100


def test_what_only_reduces_holds_nothing_and_turning_needs_margin_for_the_rest(trader: Trader) -> None:
    trader.trade("buy", "90")
    free_before = trader.money[0] - trader.money[1]
    trader.send(order("sell", "limit", "90", price="120"))
    assert trader.money[0] - trader.money[1] == free_before
    rejected = trader.send(order("sell", "limit", "120", price="120"))
    assert isinstance(rejected[0], OrderRejected)
    trader.lever("20")
    accepted = trader.send(order("sell", "limit", "120", price="120"))
    assert isinstance(accepted[0], OrderAccepted)


def test_reduce_only_orders_need_a_position_and_shrink_with_it(trader: Trader) -> None:
    refused = trader.trade("sell", "5", reduce_only=True)
    assert isinstance(refused[0], OrderRejected)
    assert refused[0].code == "reduce_only"
    trader.trade("buy", "50")
    stop = order("sell", "stop", "50", stop="80", reduce_only=True)
    trader.send(stop)
    events = trader.trade("sell", "20")
    (amended,) = [e for e in events if isinstance(e, OrderAmended)]
    assert (amended.client_id, amended.quantity) == (stop.client_id, D(30))
    events = trader.trade("sell", "30")
    (ended,) = [e for e in events if isinstance(e, OrderCanceled)]
    assert ended.client_id == stop.client_id


# --- leverage --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("leverage", ["0.5", "21"])
def test_leverage_is_bounded_by_the_tier(trader: Trader, leverage: str) -> None:
    with pytest.raises(ValidationError, match="1 to 20"):
        trader.lever(leverage)


def test_a_larger_position_may_have_less_leverage() -> None:
    trader = Trader("100000")
    trader.trade("buy", "6000")
    with pytest.raises(ValidationError, match="1 to 10"):
        trader.lever("11")
    trader.lever("10")


def test_the_mode_changes_only_while_nothing_is_open(trader: Trader) -> None:
    trader.lever("2", CROSS)
    trader.trade("buy", "5")
    with pytest.raises(ValidationError, match="Close the position"):
        trader.lever("2", ISOLATED)
    trader.lever("3", CROSS)
    trader.lever("3", CROSS)


def test_less_leverage_needs_the_funds(trader: Trader) -> None:
    trader.lever("5")
    trader.trade("buy", "400")
    with pytest.raises(ValidationError, match="not enough"):
        trader.lever("2")
    position = trader.position()
    assert position is not None
    assert position.leverage == 5


def test_only_a_known_perpetual_has_leverage(trader: Trader) -> None:
    with pytest.raises(NotFoundError):
        trader.exchange.set_margin(PAPER, InstrumentId("SIM:X"), D(2), CROSS)


# --- funding ---------------------------------------------------------------------------------------------------------


def test_funding_is_paid_at_its_time_by_the_rate_known_before_it(trader: Trader) -> None:
    trader.trade("buy", "50")
    trader.trade("sell", "20", ETH)
    before, _ = trader.money
    trader.mark("100", rate="0.0001")
    trader.mark("100", ETH, rate="0.0001")
    trader.now = NINE - 1
    trader.mark("110", rate="0.0003")
    trader.now = NINE + 5
    trader.mark("120", rate="-0.5")
    trader.mark("100", ETH)
    payments, cursor = trader.exchange.funding_since(PAPER, "")
    assert [(p.instrument, p.amount, p.rate, p.ts) for p in payments] == [
        (BTC.id, D("0.18"), D("0.0003"), NINE), (ETH.id, D("-0.02"), D("0.0001"), NINE),
    ]  # fmt: skip
    assert trader.money[0] == before - D("0.16")
    assert trader.exchange.funding_since(PAPER, cursor) == ([], cursor)
    trader.mark("120")
    assert trader.exchange.funding_since(PAPER, cursor) == ([], cursor)


def test_the_period_is_a_setting(trader: Trader) -> None:
    trader = Trader(funding_hours=1)
    trader.trade("buy", "50")
    trader.mark("100", rate="0.0001")
    for hour in range(1, 4):
        trader.now = (START // HOUR + hour) * HOUR
        trader.mark("100", rate="0.0001")
    payments, _ = trader.exchange.funding_since(PAPER, "")
    assert len(payments) == 3
    assert len({p.id for p in payments}) == 3


# --- liquidation -----------------------------------------------------------------------------------------------------


def test_an_isolated_position_is_closed_when_its_margin_is_used_up_and_takes_no_more_than_that(trader: Trader) -> None:
    trader.lever("10")
    trader.trade("buy", "50")
    trader.send(order("sell", "limit", "50", price="120"))
    position = trader.position()
    assert position is not None
    assert position.liquidation_price is not None
    at = position.liquidation_price
    trader.reports.clear()
    trader.mark(str((at + D("0.01")).quantize(D("0.01"))))
    assert trader.reports == []
    before, _ = trader.money
    trader.mark(str((at - D("0.01")).quantize(D("0.01"))))
    canceled, filled = trader.reports
    assert isinstance(canceled, OrderCanceled)
    assert isinstance(filled, OrderFilled)
    fill = filled.fill
    assert (fill.cause, fill.side, fill.quantity) == (FillCause.LIQUIDATION, "sell", D(50))
    assert fill.client_id.startswith("autoclose")
    assert 0 < fill.fee <= D("0.005") * fill.price * 5
    lost = before - trader.money[0]
    assert D(45) < lost <= position.margin
    assert trader.position() is None
    assert trader.money[1] == 0


@pytest.mark.parametrize(("side", "mark"), [("buy", "50"), ("sell", "150")])
def test_a_jump_beyond_the_margin_is_the_venues_loss(trader: Trader, side: str, mark: str) -> None:
    trader.lever("10")
    trader.trade(side, "50")
    position, before = trader.position(), trader.money[0]
    assert position is not None
    trader.mark(mark)
    assert trader.position() is None
    assert before - position.margin <= trader.money[0] <= before - position.margin + D("0.1")
    # The price is on the grid, so a tick of the margin may be left for the fee.
    assert trader.fills()[-1].fee <= D("0.05")


def test_in_cross_mode_the_account_stands_for_all_and_the_worst_is_closed_first(trader: Trader) -> None:
    for instrument in (BTC, ETH):
        trader.lever("10", CROSS, instrument)
        trader.trade("buy", "400", instrument)
    trader.mark("90")
    assert trader.position() is not None
    trader.mark("87", ETH)
    assert trader.position() is not None
    assert trader.position(ETH) is not None
    trader.mark("86", ETH)
    assert trader.position(ETH) is None
    assert trader.position() is not None
    assert trader.money[0] >= 0


def test_a_position_in_one_mode_is_not_touched_by_the_others(trader: Trader) -> None:
    trader.lever("10")
    trader.lever("10", CROSS, ETH)
    trader.trade("buy", "50")
    trader.trade("buy", "50", ETH)
    trader.mark("80")
    assert trader.position() is None
    assert trader.position(ETH) is not None


def test_deleveraging_closes_a_part_at_the_mark_without_a_fee(trader: Trader) -> None:
    trader.trade("sell", "50")
    trader.quote("90")
    events = trader.take(trader.exchange.deleverage(PAPER, BTC.id, D(20), trader.now))
    (filled,) = [e for e in events if isinstance(e, OrderFilled)]
    fill = filled.fill
    assert (fill.cause, fill.side, fill.price, fill.quantity, fill.fee) == (
        FillCause.DELEVERAGING, "buy", D(90), D(20), D(0)
    )  # fmt: skip
    position = trader.position()
    assert position is not None
    assert position.quantity == D(-30)
    trader.exchange.deleverage(PAPER, BTC.id, D(99), trader.now)
    with pytest.raises(ValidationError, match="no position"):
        trader.exchange.deleverage(PAPER, BTC.id, D(1), trader.now)


def test_the_switch_of_a_silent_engine_spares_protective_orders(trader: Trader) -> None:
    trader.trade("buy", "50")
    stop = order("sell", "stop", "50", stop="80", reduce_only=True)
    rest = order("buy", "limit", "5", price="90")
    trader.send(stop)
    trader.send(rest)
    (ended,) = trader.take(trader.exchange.cancel_all(PAPER, "silence", trader.now))
    assert isinstance(ended, OrderCanceled)
    assert ended.client_id == rest.client_id
    assert [o.client_id for o in trader.exchange.open_orders(PAPER)] == [stop.client_id]


def test_on_bars_a_position_is_closed_when_a_close_leaves_it_without_margin() -> None:
    exchange = PaperExchange(SIM, [BTC], PaperSettings(bars=PLAIN_BARS), kind=FillKind.BAR)
    exchange.open_account(PAPER, {USDT: D(1000)})
    exchange.mark(BTC.id, 100.0)
    exchange.set_margin(PAPER, BTC.id, D(10), ISOLATED)
    minute = 60_000_000_000
    exchange.place(msgspec.structs.replace(order("buy", "market", "50"), instrument=BTC.id), START)
    exchange.on_bar(BTC.id, START, START + minute, 100, 101, 99, 100, 1e6)
    assert [p.quantity for p in exchange.positions(PAPER, START)] == [D(50)]
    assert exchange.on_bar(BTC.id, START + minute, START + 2 * minute, 100, 100, 95, 95, 1e6) == []
    ((_, event),) = exchange.on_bar(BTC.id, START + 2 * minute, START + 3 * minute, 95, 95, 90, 90, 1e6)
    assert isinstance(event, OrderFilled)
    assert event.fill.cause is FillCause.LIQUIDATION
    assert exchange.positions(PAPER, START) == []


# --- what is stored --------------------------------------------------------------------------------------------------


def test_an_exchange_goes_on_where_it_was_stored(trader: Trader) -> None:
    trader.lever("10", CROSS)
    trader.trade("buy", "50")
    trader.mark("101", rate="0.0001")
    changes = trader.exchange.take_changes()
    image = ExchangeImage(
        accounts=changes.accounts, fills=changes.fills, counters=changes.counters, payments=changes.payments,
        perpetuals=changes.perpetuals,
    )  # fmt: skip
    again = PaperExchange(SIM, [BTC, ETH], trader.settings, kind=FillKind.BOOK, track=True)
    again.restore(msgspec.msgpack.decode(msgspec.msgpack.encode(image), type=ExchangeImage))
    assert again.balances(PAPER) == trader.exchange.balances(PAPER)
    assert again.positions(PAPER, 5) == trader.exchange.positions(PAPER, 5)
    again.on_mark(MarkPrice(BTC.id, NINE, mark=D(100)))
    (payment,), _ = again.funding_since(PAPER, "")
    assert payment.amount == D("0.05")


def random_life(seed: int) -> Trader:
    """Forty rounds of moves, marks and orders in two perpetuals, with whatever leverage."""
    rng, trader = random.Random(seed), Trader()
    prices = {BTC.id: 100.0, ETH.id: 100.0}
    for instrument in (BTC, ETH):
        trader.lever(str(rng.choice((1, 3, 10, 20))), rng.choice((ISOLATED, CROSS)), instrument)
    for _ in range(40):
        instrument = rng.choice((BTC, ETH))
        trader.now += rng.randrange(1, 3) * HOUR
        prices[instrument.id] = max(prices[instrument.id] * (1 + rng.gauss(0, 0.04)), 5.0)
        trader.quote(f"{prices[instrument.id]:.2f}", instrument)
        trader.mark(f"{prices[instrument.id]:.2f}", instrument, rate=f"{rng.gauss(0, 0.001):.6f}")
        kind = rng.choice(("market", "market", "limit", "stop"))
        side, contracts = rng.choice(("buy", "sell")), str(rng.randrange(1, 400))
        price = f"{prices[instrument.id] * rng.uniform(0.95, 1.05):.2f}" if kind == "limit" else None
        stop = f"{prices[instrument.id] * rng.uniform(0.9, 1.1):.2f}" if kind == "stop" else None
        command = order(side, kind, contracts, price=price, stop=stop, reduce_only=rng.random() < 0.2)
        trader.send(command, instrument)
    return trader


def booked_of(trader: Trader, rng: random.Random) -> tuple[EngineState, list[ev.Record]]:
    """What an engine books of it, when its orders belong to several owners."""
    state, records = EngineState(), []

    def book(event: ev.Event) -> None:
        records.append(ev.Record(state.seq + 1, state.seq + 1, 0, event))
        state.apply(records[-1])

    account = Account(id=PAPER, venue=SIM, mode=TradingMode.PAPER, base_currency=USDT)
    book(ev.AccountOpened(account=account))
    for instrument in (BTC, ETH):
        book(ev.InstrumentDefined(instrument=instrument))
    book(ev.Deposited(account=PAPER, currency=USDT, amount=D(1000)))
    payments, _ = trader.exchange.funding_since(PAPER, "")
    # A fill in the same moment as a payment came after it: the mark that pays comes before the order.
    both: list[tuple[int, int, FundingPayment | Fill]] = [(p.ts, 0, p) for p in payments]
    both += [(f.ts, 1, f) for f in trader.fills()]
    told = sorted(both, key=lambda one: one[:2])
    orders: dict[str, Owner] = {}
    for _, _, one in told:
        if isinstance(one, FundingPayment):
            book(funding_fact(one, state.owned_at(PAPER, one.instrument, one.ts - 1)))
        elif one.cause is not FillCause.TRADE:
            book(ev.ExternalFillSeen(fill=one))
        else:
            if one.client_id not in orders:
                orders[one.client_id] = rng.choice((Owner("a"), Owner("b"), Owner("c")))
                book(
                    ev.OrderIntended(
                        client_id=one.client_id, account=PAPER, instrument=one.instrument, owner=orders[one.client_id],
                        side=one.side, type=OrderType.MARKET, quantity=D(10**6), reserve_currency=USDT,
                        reserve_unit=D(0), decision=Decision(reason="test"),
                    )
                )  # fmt: skip
                book(ev.OrderAccepted(client_id=one.client_id, venue_order_id=one.venue_order_id, ts=one.ts))
            book(ev.OrderFilled(fill=one))
    return state, records


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_what_an_engine_books_of_it_is_what_the_venue_has(seed: int) -> None:
    trader = random_life(seed)
    state, records = booked_of(trader, random.Random(seed))
    assert state.balance(PAPER, USDT).total == trader.money[0]
    there = {p.instrument: (p.quantity, p.entry_price) for p in trader.exchange.positions(PAPER, trader.now)}
    whole = {key: (p.quantity, p.average_price()) for (_, key), p in state.positions.items() if p.lots}
    assert whole == there
    assert flaws(state, owners=False) == []
    again = EngineState()
    for record in records:
        again.apply(ev.decode_record(ev.encode_record(record)))
    assert again.state_hash() == state.state_hash()
    with exact():
        for (account, key), position in state.positions.items():
            parts = [p for (_, a, k), p in state.owned.items() if (a, k) == (account, key)]
            assert sum((p.quantity for p in parts), D(0)) == position.quantity
            assert sum((p.funding for p in parts), D(0)) == position.funding
            assert sum((p.fees for p in parts), D(0)) == position.fees


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_equity_changes_by_profit_less_fees_and_funding_whatever_happens(seed: int) -> None:
    trader = random_life(seed)
    fills = trader.fills()
    payments, _ = trader.exchange.funding_since(PAPER, "")
    with exact():
        held = {i.id: sum((f.side.sign * f.quantity for f in fills if f.instrument == i.id), D(0)) for i in (BTC, ETH)}
        spent = sum((f.side.sign * f.price * f.quantity * D("0.1") for f in fills), D(0))
        costs = sum((f.fee for f in fills), D(0)) + sum((p.amount for p in payments), D(0))
        there = {p.instrument: p for p in trader.exchange.positions(PAPER, trader.now)}
        worth = trader.money[0] + sum((p.unrealised for p in there.values()), D(0))
        value = sum((p.mark_price * p.quantity * D("0.1") for p in there.values()), D(0))
        assert worth == 1000 + value - spent - costs
    assert {k: q for k, q in held.items() if q} == {k: p.quantity for k, p in there.items()}
    assert trader.money[1] >= 0
    assert all(
        o.status in (OrderStatus.ACCEPTED, OrderStatus.PARTIALLY_FILLED) for o in trader.exchange.open_orders(PAPER)
    )
