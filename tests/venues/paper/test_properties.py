"""What holds for every sequence of orders and every market: money adds up, every order ends once, all repeats."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.errors import OrderRejectionError
from engine.events import (
    OrderAccepted,
    OrderAmended,
    OrderCanceled,
    OrderExpired,
    OrderFilled,
    OrderRejected,
    OrderTriggered,
)
from engine.model.decimals import exact
from engine.model.ids import ClientOrderId
from engine.model.market import MarketTrade, OrderBook
from engine.model.order import OrderStatus
from engine.venues.paper.exchange import PaperExchange
from engine.venues.paper.fill_model import FillKind
from engine.venues.paper.settings import BarFillSettings, BarPath, BookFillSettings, FeeCurrency, PaperSettings
from tests.venues.paper.helpers import (
    BTC,
    MINUTE,
    PAPER,
    SIM,
    START,
    D,
    make_instrument,
    order,
    snapshot,
    trade,
    update,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from decimal import Decimal

    from engine.model.venue import OrderCommand
    from engine.venues.paper.orders import Report

Step = tuple[str, Any]
ENDS = (OrderCanceled, OrderExpired, OrderRejected)
BALANCES = {"USDT": D(500), "BTC": D(5)}

prices = st.integers(90, 110).map(str)
sizes = st.sampled_from(["0.3", "0.5", "1", "1.2", "2", "3.5"])
amounts = st.integers(0, 30).map(str)


@st.composite
def commands(draw: st.DrawFn) -> dict[str, Any]:
    """A command whose fields fit together; whether market and money allow it is another matter."""
    kind = draw(st.sampled_from(["market", "limit", "limit", "limit", "stop", "target"]))
    waits = kind in ("stop", "target")
    priced = kind == "limit" or (waits and draw(st.booleans()))
    tif = draw(st.sampled_from(["GTC", "GTC", "GTC", "IOC", "FOK"]))
    return {
        "side": draw(st.sampled_from(["buy", "sell"])),
        "kind": kind,
        "quantity": draw(sizes),
        "price": draw(prices) if priced else None,
        "stop": draw(prices) if waits else None,
        "tif": tif,
        "post_only": kind == "limit" and tif == "GTC" and draw(st.integers(0, 4)) == 0,
        "reduce_only": draw(st.integers(0, 3)) == 0,
        "oco": draw(st.sampled_from([None, None, None, "x", "y"])),
    }


which = st.integers(0, 7)
"""One of the orders placed before, counted back from the newest."""
amendments = st.tuples(
    which,
    st.fixed_dictionaries({}, optional={"quantity": sizes.map(D), "price": prices.map(D), "stop_price": prices.map(D)}),
)
orders = st.one_of(
    st.tuples(st.just("place"), commands()),
    st.tuples(st.just("place"), commands()),
    st.tuples(st.just("repeat"), which),
    st.tuples(st.just("cancel"), which),
    st.tuples(st.just("amend"), amendments),
)


@st.composite
def bars(draw: st.DrawFn) -> tuple[float, float, float, float, float]:
    """Open, high, low, close and volume."""
    o, c, up, down = (
        draw(st.integers(92, 108)),
        draw(st.integers(92, 108)),
        draw(st.integers(0, 6)),
        draw(st.integers(0, 6)),
    )
    return float(o), float(max(o, c) + up), float(min(o, c) - down), float(c), draw(st.sampled_from([0.0, 5.0, 1000.0]))


@st.composite
def books(draw: st.DrawFn) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """Changed levels of a book that may cross our orders but not itself."""
    mid = draw(st.integers(93, 107))
    bids = draw(st.lists(st.tuples(st.integers(mid - 6, mid - 1).map(str), amounts), max_size=4))
    asks = draw(st.lists(st.tuples(st.integers(mid + 1, mid + 6).map(str), amounts), max_size=4))
    return bids, asks


bar_steps = st.lists(st.one_of(orders, orders, st.tuples(st.just("bar"), bars())), min_size=10, max_size=60)
book_steps = st.lists(
    st.one_of(
        orders,
        orders,
        st.tuples(st.just("book"), books()),
        st.tuples(
            st.just("trade"), st.tuples(prices, st.sampled_from(["1", "7", "30"]), st.sampled_from(["buy", "sell"]))
        ),
    ),
    min_size=10,
    max_size=60,
)
venue_settings = st.builds(
    PaperSettings,
    fee_currency=st.sampled_from(FeeCurrency),
    bars=st.builds(BarFillSettings, path=st.sampled_from(BarPath), participation=st.sampled_from([None, 0.1])),
    book=st.just(BookFillSettings(collar_pct=D(5))),
)


class Auditor:
    """Follows the reports alone and checks them against the exchange after every step."""

    def __init__(self, exchange: PaperExchange) -> None:
        self.exchange = exchange
        self.balances: Counter[str] = Counter()
        self.quantity: dict[ClientOrderId, Decimal] = {}
        self.filled: dict[ClientOrderId, Decimal] = {}
        self.ended: Counter[ClientOrderId] = Counter()
        self.keys: set[str] = set()
        self.total: dict[str, Decimal] = dict(BALANCES)

    def hear(self, reports: list[Report]) -> None:
        """Book the reports of one step."""
        for _, event in reports:
            if isinstance(event, OrderFilled):
                self._fill(event)
            elif isinstance(event, OrderAmended) and event.quantity is not None:
                self.quantity[event.client_id] = event.quantity
            elif isinstance(event, OrderAccepted | OrderTriggered):
                assert not self.ended[event.client_id]
            elif isinstance(event, ENDS):
                self.ended[event.client_id] += 1
        self.check()

    def _fill(self, event: OrderFilled) -> None:
        fill = event.fill
        assert fill.key not in self.keys
        self.keys.add(fill.key)
        assert fill.quantity > 0
        assert not self.ended[fill.client_id]
        self.filled[fill.client_id] = self.filled.get(fill.client_id, D(0)) + fill.quantity
        sign = fill.side.sign
        with exact():
            self.total["BTC"] += sign * fill.quantity
            self.total["USDT"] -= sign * fill.quantity * fill.price
            self.total[fill.fee_currency] -= fill.fee
        if self.filled[fill.client_id] == self.quantity[fill.client_id]:
            self.ended[fill.client_id] += 1

    def check(self) -> None:
        """Compare with what the exchange says."""
        held = {str(b.currency): b for b in self.exchange.balances(PAPER)}
        for currency, total in self.total.items():
            found = held.get(currency)
            assert (found.total if found else D(0)) == total
            assert total >= 0
            assert found is None or 0 <= found.locked <= found.total
        working = {o.client_id: o for o in self.exchange.open_orders(PAPER)}
        for client_id, quantity in self.quantity.items():
            filled = self.filled.get(client_id, D(0))
            assert filled <= quantity
            assert self.ended[client_id] == (0 if client_id in working else 1)
            known = self.exchange.order(PAPER, client_id)
            assert known is not None
            assert (known.filled, known.quantity) == (filled, quantity) or known.status is OrderStatus.REJECTED
        assert set(working) <= set(self.quantity)
        if not working:
            assert all(balance.locked == 0 for balance in held.values())


def make(kind: FillKind, venue: PaperSettings) -> PaperExchange:
    """An exchange with a market around 100."""
    instrument = make_instrument(lot="0.1", maker="0.001", taker="0.002", min_notional="5")
    exchange = PaperExchange(SIM, [instrument], venue, kind=kind)
    exchange.open_account(PAPER, BALANCES)  # type: ignore[arg-type]
    exchange.mark(BTC, 100.0)
    exchange.on_book(snapshot([("99", "5")], [("101", "5")]))
    return exchange


class Driver:
    """Plays steps to an exchange and gives every step's reports to a listener."""

    def __init__(self, exchange: PaperExchange) -> None:
        self.exchange = exchange
        self.now = START
        self.seq = 1
        self.sent: list[OrderCommand] = []
        self.book = OrderBook(BTC)
        self.book.apply(snapshot([("99", "5")], [("101", "5")]))

    def play(self, steps: list[Step], listen: Callable[[Step, list[Report]], None]) -> None:
        """Play all steps."""
        for step in steps:
            listen(step, list(getattr(self, f"_{step[0]}")(step[1])))

    def _place(self, fields: dict[str, Any]) -> list[Report]:
        fields = dict(fields)
        self.sent.append(order(fields.pop("side"), fields.pop("kind"), client_id=f"c{len(self.sent)}", **fields))
        return list(self.exchange.place(self.sent[-1], self.now))

    def _repeat(self, back: int) -> list[Report]:
        if back < len(self.sent):
            with pytest.raises(OrderRejectionError):
                self.exchange.place(self.sent[-1 - back], self.now)
        return []

    def _id(self, back: int) -> ClientOrderId:
        return self.sent[-1 - back].client_id if back < len(self.sent) else ClientOrderId("never")

    def _cancel(self, back: int) -> list[Report]:
        return list(self.exchange.cancel(PAPER, self._id(back), self.now))

    def _amend(self, change: tuple[int, dict[str, Any]]) -> list[Report]:
        return list(self.exchange.amend(PAPER, self._id(change[0]), self.now, **change[1]))

    def _bar(self, bar: tuple[float, float, float, float, float]) -> list[Report]:
        o, h, l, c, v = bar  # noqa: E741
        opened, self.now = self.now, self.now + MINUTE
        return list(self.exchange.on_bar(BTC, opened, self.now, o, h, l, c, v))

    def _book(self, levels: tuple[list[tuple[str, str]], list[tuple[str, str]]]) -> list[Report]:
        self.now += 1
        self.seq += 1
        bids, asks = levels
        # A market does not show a crossed book: what the new quotes meet is gone.
        low = min((int(p) for p, q in asks if q != "0"), default=10**6)
        high = max((int(p) for p, q in bids if q != "0"), default=0)
        gone_bids = [(f"{p // 10**8}", "0") for p in self.book.bids if p >= low * 10**8]
        gone_asks = [(f"{p // 10**8}", "0") for p in self.book.asks if p <= high * 10**8]
        change = update(self.seq, bids=[*gone_bids, *bids], asks=[*gone_asks, *asks], ts=self.now)
        self.book.apply(change)
        return list(self.exchange.on_book(change))

    def _trade(self, public: tuple[str, str, str]) -> list[Report]:
        self.now += 1
        return list(self.exchange.on_trade(trade(*public, ts=self.now)))


def audit(kind: FillKind, venue: PaperSettings, steps: list[Step]) -> None:
    """Play steps and check everything after each."""
    exchange = make(kind, venue)
    auditor = Auditor(exchange)

    def listen(step: Step, reports: list[Report]) -> None:
        if step[0] == "place":
            for _, event in reports:
                if isinstance(event, OrderAccepted | OrderRejected):
                    auditor.quantity[event.client_id] = D(step[1]["quantity"])
        auditor.hear(reports)

    Driver(exchange).play(steps, listen)


@given(bar_steps, venue_settings)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_money_and_orders_add_up_on_bars(steps: list[Step], venue: PaperSettings) -> None:
    audit(FillKind.BAR, venue, steps)


@given(book_steps, venue_settings)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_money_and_orders_add_up_on_a_book(steps: list[Step], venue: PaperSettings) -> None:
    audit(FillKind.BOOK, venue, steps)


@given(st.one_of(st.tuples(st.just(FillKind.BAR), bar_steps), st.tuples(st.just(FillKind.BOOK), book_steps)))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_the_same_calls_give_the_same_reports(case: tuple[FillKind, list[Step]]) -> None:
    kind, steps = case
    runs: list[list[list[Report]]] = []
    for _ in range(2):
        heard: list[list[Report]] = []
        Driver(make(kind, PaperSettings())).play(steps, lambda _, reports, heard=heard: heard.append(reports))  # type: ignore[misc]
        runs.append(heard)
    assert runs[0] == runs[1]


@given(book_steps)
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_fills_on_a_book_are_never_better_than_it_and_never_more_than_traded(steps: list[Step]) -> None:
    exchange = make(FillKind.BOOK, PaperSettings())
    driver = Driver(exchange)

    def listen(step: Step, reports: list[Report]) -> None:
        made = [e.fill for _, e in reports if isinstance(e, OrderFilled) and e.fill.liquidity == "maker"]
        for fill in made:
            known = exchange.order(PAPER, fill.client_id)
            assert known is not None
            assert known.price == fill.price
        if step[0] == "trade":
            public: MarketTrade = trade(*step[1])
            # A stop that the trade sets off may meet own orders: those pairs took nothing from the public trade.
            ids = Counter(e.fill.trade_id for _, e in reports if isinstance(e, OrderFilled))
            total = sum(int(fill.quantity * 10**8) for fill in made if ids[fill.trade_id] == 1)
            assert total <= public.quantity

    driver.play(steps, listen)
