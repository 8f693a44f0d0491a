"""The whole gate in front of a full portfolio: 50 positions of 10 bots in two accounts, and every limit in force.

Between two checks a market moves and every thirtieth order is filled, as in a running engine, so that no sum is known
already. Half of the checked orders pass and half are refused with sentences.
"""

from __future__ import annotations

import random
import time
from decimal import Decimal as D
from typing import TYPE_CHECKING

from engine import events as ev
from engine.clock import SimulatedClock
from engine.execution.desk import Desk
from engine.execution.ids import ClientIds
from engine.ledger import Ledger
from engine.model.account import Account, TradingMode
from engine.model.fill import Fill
from engine.model.ids import AccountId, Currency, InstrumentId, Owner, TradeId, VenueId, VenueOrderId
from engine.model.instrument import Instrument, InstrumentKind, InstrumentRules
from engine.model.limits import RiskLimits
from engine.model.order import Decision, Liquidity, OrderRequest, OrderSide, OrderType
from engine.model.risk import Quote
from engine.model.signal import Signal, SignalAction, SignalDirection
from engine.risk.department import RiskDepartment
from engine.state import EngineState
from storage.journal import MemoryJournal
from tests.bench.table import Row, percentile

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.execution.effects import Effect

VENUE, USDT = VenueId("SIM"), Currency("USDT")
ACCOUNTS = (AccountId("one"), AccountId("two"))
POSITIONS, BOTS, MARKETS, CHECKS = 50, 10, 60, 3_000
PRICE = D(100)
LIMITS = RiskLimits(
    max_total_positions=80,
    max_positions_per_strategy=10,
    max_positions_per_symbol=3,
    max_class_exposure=D("0.9"),
    max_correlated_exposure=D("0.9"),
    max_currency_exposure=D("0.9"),
    max_orders_per_second=1000,
    max_orders_per_minute=60_000,
    max_daily_loss_pct=D(1),
    max_weekly_loss_pct=D(1),
    max_monthly_loss_pct=D(1),
    breaker_drawdown_pct=D(1),
    max_drawdown_pct=D(1),
    allow_short=True,
)


def _instrument(number: int) -> Instrument:
    perpetual = number % 5 == 0
    base = f"C{number}"
    return Instrument(
        id=InstrumentId(f"SIM:{base}/USDT{':USDT' if perpetual else ''}"),
        venue=VENUE,
        symbol=f"{base}/USDT{':USDT' if perpetual else ''}",
        kind=InstrumentKind.LINEAR_PERPETUAL if perpetual else InstrumentKind.SPOT,
        base=Currency(base),
        quote=USDT,
        settle=USDT,
        rules=(InstrumentRules(valid_from=0, price_tick=D("0.01"), lot=D("0.001"), taker_fee=D("0.001")),),
    )


class _Known:
    """Every pair is known."""

    def between(self, one: InstrumentId, other: InstrumentId) -> float:
        return random.Random(f"{min(one, other)}{max(one, other)}").uniform(-0.9, 0.95)

    def volatility(self, instrument: InstrumentId) -> float:
        return random.Random(instrument).uniform(0.01, 0.05)


class Full:
    """An engine's middle with a full portfolio; it is its own market and outbox."""

    def __init__(self) -> None:
        self.rng = random.Random(7)
        self.clock, self.state = SimulatedClock(), EngineState()
        self.ledger = Ledger(self.state, MemoryJournal(), self.clock, epoch=1)
        self.instruments = [_instrument(number) for number in range(MARKETS)]
        self.quotes: dict[InstrumentId, Quote] = {}
        self.trades = 0
        self.busy: list[float] = []
        """Milliseconds of processor time of the last rounds: what other work on the machine does not change."""
        book = self.ledger.record
        for account in ACCOUNTS:
            book(ev.AccountOpened(account=Account(id=account, venue=VENUE, mode=TradingMode.PAPER, base_currency=USDT)))
            book(ev.Deposited(account=account, currency=USDT, amount=D(1_000_000)))
        for instrument in self.instruments:
            book(ev.InstrumentDefined(instrument=instrument))
            self.move(instrument, PRICE)
        self.bots = [Owner(f"bot{number}") for number in range(BOTS)]
        for owner in self.bots:
            book(ev.BotCreated(bot=owner, name=owner, config=b"{}", capital=D(150_000), currency=USDT))
        known = _Known()
        self.risk = RiskDepartment(self.ledger, self, LIMITS, ACCOUNTS[0], correlations=known, volatilities=known)
        self.desk = Desk(self.ledger, self.risk.gate, self, ClientIds("abcdefgh", 1), self)
        self.risk.attach(self.desk)
        for number in range(POSITIONS):
            self.fill(self.desk.submit(self.order(number, "90", owner=self.bots[number % BOTS])).client_id)
        for number in range(POSITIONS):
            price = PRICE * (D("0.97") if number % 2 else D("0.98"))
            self.desk.submit(self.order(number, "5", owner=self.bots[number % BOTS], price=price))

    def quote(self, key: InstrumentId) -> Quote | None:
        """The market."""
        return self.quotes.get(key)

    def put(self, effect: Effect) -> None:
        """Nothing is sent."""

    def move(self, instrument: Instrument, price: D) -> None:
        """A market says something."""
        self.quotes[instrument.id] = Quote(bid=price, ask=price + D("0.01"), last=price, ts=self.clock.now())

    def order(self, number: int, quantity: str, owner: Owner, price: D | None = None) -> OrderRequest:
        """A wish to buy in one market."""
        return OrderRequest(
            account=ACCOUNTS[number % 2],
            instrument=self.instruments[number].id,
            owner=owner,
            side=OrderSide.BUY,
            type=OrderType.MARKET if price is None else OrderType.LIMIT,
            quantity=D(quantity),
            price=price,
            decision=Decision(reason="bench"),
        )

    def fill(self, client_id: str, quantity: D | None = None) -> None:
        """An order is executed."""
        order = next(one for one in self.state.orders.values() if one.client_id == client_id)
        self.trades += 1
        fill = Fill(
            venue=VENUE, account=order.account, instrument=order.instrument, trade_id=TradeId(str(self.trades)),
            venue_order_id=VenueOrderId(order.client_id), client_id=order.client_id, side=order.side,
            price=order.price or PRICE, quantity=quantity or order.remaining, fee=D("0.01"), fee_currency=USDT,
            liquidity=Liquidity.TAKER, ts=self.clock.now(),
        )  # fmt: skip
        self.desk.on_event(order.account, ev.OrderFilled(fill=fill))

    def stir(self) -> None:
        """A market moves; now and then something is filled."""
        rng = self.rng
        self.move(rng.choice(self.instruments), PRICE + D(rng.randrange(-100, 101)) / 100)
        if rng.random() < 1 / 30:
            orders = [one for one in self.state.orders.values() if one.remaining > D("0.002")]
            self.fill(rng.choice(orders).client_id, D("0.001"))

    def timed(self, work: Callable[[], object]) -> list[float]:
        """Milliseconds of each of many rounds, something having happened before each."""
        times = []
        self.busy = []
        for _ in range(CHECKS):
            self.stir()
            began, busy = time.perf_counter(), time.thread_time()
            work()
            self.busy.append((time.thread_time() - busy) * 1e3)
            times.append((time.perf_counter() - began) * 1e3)
        return times


def run() -> list[Row]:
    """The rows of the table."""
    full, outcomes = Full(), [0, 0]

    def check() -> None:
        number = full.rng.randrange(MARKETS)
        wanted = full.order(number, full.rng.choice(("1", "5000")), full.bots[number % BOTS])
        outcomes[full.risk.gate.check(wanted, full.clock.now()).passed] += 1

    def size() -> None:
        instrument = full.rng.choice(full.instruments)
        signal = Signal(
            instrument=instrument.id, ts=full.clock.now(), action=SignalAction.ENTER, direction=SignalDirection.BUY,
            confidence=1.0, reason="bench", strategy="bench", metadata={"size_method": "risk_parity"},
        )  # fmt: skip
        full.risk.sizer_of(ACCOUNTS[0]).size(signal, instrument, full.bots[0], PRICE)

    checks, busy = full.timed(check), full.busy
    assert min(outcomes) > CHECKS / 10
    sizes = full.timed(size)
    watched = full.timed(lambda: full.risk.watch.evaluate(full.clock.now()))
    last = percentile(checks, 99)
    name = f"gate, {POSITIONS} positions of {BOTS} bots, all limits"
    return [
        Row(f"{name}: p50", f"{percentile(checks, 50):.2f} ms"),
        Row(f"{name}: p99", f"{last:.2f} ms", "1 ms", last <= 1.0),
        Row("  processor time alone", f"p50 {percentile(busy, 50):.2f}, p99 {percentile(busy, 99):.2f} ms"),
        Row("size of an entry there: p99", f"{percentile(sizes, 99):.2f} ms"),
        Row("a look at all limits there: p99", f"{percentile(watched, 99):.2f} ms"),
    ]
