"""An order traded over time on the simulated market, matched by the paper exchange in simulated time.

Whoever trades here sees books, public trades, candles and own executions; how own executions press on the market is
hidden in it. Each seed is traded once as a buyer and once as a seller, so that what the market does by itself cancels
out of the means.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING

import numpy as np

from engine.events import OrderFilled
from engine.execution.impact import PRIOR, Coefficients, Conditions, PartSeen, calibrate, conditions_of
from engine.execution.schedules.almgren_chriss import RISK_AVERSION
from engine.execution.schedules.curves import pov_due, room_under_cap, twap, vwap
from engine.execution.schedules.volume import volume_profile
from engine.model.ids import SIMULATED, AccountId, ClientOrderId, Currency
from engine.model.market import BookUpdate, MarketTrade, OrderBook
from engine.model.order import OrderSide, OrderType
from engine.model.schedule import Slice, quantity_due
from engine.model.venue import OrderCommand
from engine.venues.markets.sim_profile import PAIRS, SimulatedSettings
from engine.venues.markets.simulated import SimulatedMarket
from engine.venues.paper.exchange import PaperExchange
from engine.venues.paper.settings import PaperSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from engine.execution.schedules.almgren_chriss import Costs, Shortfall
    from engine.model.fill import Fill

START = 1_754_900_040 * 10**9
SECOND = 10**9
MINUTE = 60 * SECOND
ACCOUNT = AccountId("arena")
CAP = Decimal("0.1")
"""Largest share of the volume of a VWAP order."""
_WEALTH = {Currency(code): Decimal(10**13) for code in ("USDT", "BTC", "ETH", "SOL", "BNB")}
_VOLATILITY_BARS = 240
"""Minutes of the past from which volatility is estimated."""


@dataclass(frozen=True, slots=True)
class Task:
    """What is to be traded: a share of the volume expected within a horizon."""

    symbol: str
    share: float
    horizon_ns: int
    slices: int

    @property
    def seconds(self) -> float:
        """The horizon in seconds."""
        return self.horizon_ns / SECOND

    @property
    def rate(self) -> Decimal:
        """Participation that trades the whole order within the horizon if the volume comes as expected."""
        return Decimal(self.share / (1 + self.share)).quantize(Decimal("0.0001"))


@dataclass(frozen=True, slots=True)
class Seen:
    """What a trader knows when the order arrives."""

    conditions: Conditions
    half_spread: float
    middle: float
    quantity: Decimal
    """Base units of the order."""

    def shortfall(self, task: Task, coefficients: Coefficients) -> Shortfall:
        """The market that the order is thought to meet."""
        return coefficients.shortfall(
            self.conditions, float(self.quantity), self.half_spread, task.seconds, task.slices
        )


@dataclass(slots=True)
class Outcome:
    """How an order went; shares are of the whole order, costs fractions of its value at arrival."""

    seen: Seen
    cost: float = 0.0
    """Implementation shortfall: average price against the middle at arrival, positive against the trader; what was not
    traded is charged at the middle at the end of the horizon."""
    unfilled: float = 0.0
    parts: list[tuple[float, float, float]] = field(default_factory=list)
    """Of each execution: share traded before it, own share, average price against the middle at arrival."""
    behind: float = 0.0
    """Most that was due and allowed by the cap, and not traded after the order had acted."""
    ahead: float = 0.0
    """Most that was traded before it was due."""
    peak: float = 0.0
    """Largest part of the whole volume since the start that was its own."""


class Arena:
    """One seed's market, in which one order is traded."""

    def __init__(self, seed: int, symbol: str, rate: float = 2.0) -> None:
        pairs = tuple(pair for pair in PAIRS if pair.symbol == symbol)
        self.market = SimulatedMarket(SimulatedSettings(seed=seed, rate=rate, seasonal=False), START, pairs)
        (self.instrument,) = self.market.instruments()
        self.exchange = PaperExchange(SIMULATED, [self.instrument], PaperSettings(allow_short=True))
        self.exchange.open_account(ACCOUNT, _WEALTH)
        self.book = OrderBook(self.instrument.id)
        for sink in (self.exchange.on_book, self.book.apply):
            sink(self.market.snapshot(self.instrument.id))
        self.others = 0
        """Scaled quantity that others have traded since the order's start."""
        self._orders = 0
        self.advance(START + 5 * SECOND)
        self.others = 0
        self.start = self.market.now

    def advance(self, to_ns: int) -> None:
        """Let the market live until a time."""
        for event in self.market.advance(to_ns):
            if isinstance(event, BookUpdate):
                self.book.apply(event)
            elif isinstance(event, MarketTrade):
                self.others += event.quantity
            self.exchange.on_market(event)

    def touch(self) -> tuple[int, int]:
        """Best bid and ask, scaled."""
        bid, ask = self.book.best_bid, self.book.best_ask
        assert bid is not None
        assert ask is not None
        return bid, ask

    @property
    def middle(self) -> float:
        """Middle price in quote units."""
        return sum(self.touch()) / 2 / 10.0**self.instrument.price_scale

    def volume(self) -> Decimal:
        """Base units that others have traded since the start."""
        return self.instrument.quantity_from_int(self.others)

    def look(self, task: Task) -> Seen:
        """What can be known now, the order's quantity with it."""
        now, bid, ask = self.market.now, *self.touch()
        profile = volume_profile(self.market.history(self.instrument.id, "30m", now, 20 * 48))
        recent = conditions_of(
            self.market.history(self.instrument.id, "1m", now, _VOLATILITY_BARS + 1), _VOLATILITY_BARS
        )
        assert recent is not None
        wanted = Decimal(profile.expected(now, now + task.horizon_ns) * task.share)
        return Seen(
            Conditions(recent.sigma, profile),
            (ask - bid) / (ask + bid),
            self.middle,
            self.instrument.floor_quantity(wanted),
        )

    def take(self, side: OrderSide, quantity: Decimal) -> list[Fill]:
        """Send a market order; its executions press on the market."""
        self._orders += 1
        instrument, now = self.instrument, self.market.now
        command = OrderCommand(
            client_id=ClientOrderId(f"a{self._orders}"),
            account=ACCOUNT,
            instrument=instrument.id,
            side=side,
            type=OrderType.MARKET,
            quantity=quantity,
        )
        fills = [event.fill for _, event in self.exchange.place(command, now) if isinstance(event, OrderFilled)]
        for fill in fills:
            scaled = instrument.quantity_to_int(fill.quantity), instrument.price_to_int(fill.price)
            self.market.impact(instrument.id, now, side, *scaled)
        return fills


def trade(
    arena: Arena,
    side: OrderSide,
    seen: Seen,
    task: Task,
    due: Callable[[int], Decimal],
    room: Callable[[Decimal], Decimal] | None = None,
) -> Outcome:
    """Trade an order by what is due, with market orders, looking once a second, until the horizon ends.

    Args:
        arena: The market.
        side: Buy or sell.
        seen: What was known, and the order's quantity.
        task: The horizon.
        due: Quantity due so many nanoseconds after the start.
        room: How much more may be traded, given what is; None for no cap.
    """
    instrument, whole = arena.instrument, seen.quantity
    least = 2 * instrument.current_rules.min_notional / Decimal(seen.middle)
    executed, paid, outcome = Decimal(0), Decimal(0), Outcome(seen)
    for elapsed in range(0, task.horizon_ns, SECOND):
        arena.advance(arena.start + elapsed)
        target = min(due(elapsed), whole)
        allowed = target if room is None else min(target, executed + room(executed))
        wanted = instrument.floor_quantity(max(allowed - executed, Decimal(0)))
        if wanted >= least or (wanted and wanted == whole - executed):
            fills = arena.take(side, wanted)
            got = sum((fill.quantity for fill in fills), Decimal(0))
            value = sum((fill.quantity * fill.price for fill in fills), Decimal(0))
            if got:
                price = side.sign * (float(value / got) / seen.middle - 1)
                outcome.parts.append((float(executed / whole), float(got / whole), price))
                executed, paid = executed + got, paid + value
                own = float(executed)
                outcome.peak = max(outcome.peak, own / (own + float(arena.volume())))
        outcome.behind = max(outcome.behind, float((allowed - executed) / whole))
        outcome.ahead = max(outcome.ahead, float((executed - target) / whole))
        if executed == whole:
            break
    if executed < whole:
        arena.advance(arena.start + task.horizon_ns)
        paid += (whole - executed) * Decimal(arena.middle)
    outcome.unfilled = float((whole - executed) / whole)
    outcome.cost = side.sign * (float(paid / whole) / seen.middle - 1)
    return outcome


def _by(slices: Sequence[Slice], whole: Decimal) -> Callable[[int], Decimal]:
    return lambda elapsed: quantity_due(slices, elapsed, whole)


def at_once(seed: int, side: OrderSide, task: Task) -> Outcome:
    """Everything in one market order."""
    arena = Arena(seed, task.symbol)
    seen = arena.look(task)
    return trade(arena, side, seen, task, lambda elapsed: Decimal(0) if elapsed else seen.quantity)


def by_time(seed: int, side: OrderSide, task: Task) -> Outcome:
    """TWAP."""
    arena = Arena(seed, task.symbol)
    seen = arena.look(task)
    return trade(arena, side, seen, task, _by(twap(task.horizon_ns, task.slices), seen.quantity))


def by_shortfall(
    seed: int, side: OrderSide, task: Task, known: Coefficients, aversion: float = RISK_AVERSION
) -> tuple[Outcome, Costs]:
    """Implementation shortfall, and what Almgren and Chriss expect of it."""
    arena = Arena(seed, task.symbol)
    seen = arena.look(task)
    market = seen.shortfall(task, known)
    slices = market.schedule(task.horizon_ns, task.slices, aversion)
    costs = market.costs(market.weights(task.seconds, task.slices, aversion), task.seconds)
    return trade(arena, side, seen, task, _by(slices, seen.quantity)), costs


def by_volume(seed: int, side: OrderSide, task: Task) -> Outcome:
    """VWAP with its cap."""
    arena = Arena(seed, task.symbol)
    seen = arena.look(task)
    slices = vwap(seen.conditions.profile, arena.start, task.horizon_ns, task.slices)
    return trade(
        arena, side, seen, task, _by(slices, seen.quantity), lambda done: room_under_cap(arena.volume(), CAP, done)
    )


def by_participation(seed: int, side: OrderSide, task: Task) -> Outcome:
    """POV at the task's rate."""
    arena = Arena(seed, task.symbol)
    seen = arena.look(task)
    rate = task.rate
    return trade(
        arena,
        side,
        seen,
        task,
        lambda _: pov_due(arena.volume(), rate, seen.quantity),
        lambda done: room_under_cap(arena.volume(), rate, done),
    )


def practise(seed: int, task: Task, known: Coefficients) -> list[tuple[float, float, float, float]]:
    """Scale, share before, own share and impact of each part of one order, as means of a buyer's and a seller's."""
    one, other = (by_shortfall(seed, side, task, known)[0] for side in OrderSide)
    scale = one.seen.conditions.scale(float(one.seen.quantity))
    found = []
    for buy, sell in zip(one.parts, other.parts, strict=False):
        before, share, cost = ((a + b) / 2 for a, b in zip(buy, sell, strict=True))
        found.append((scale, before, share, cost - one.seen.half_spread))
    return found


def learn(practised: Sequence[Sequence[tuple[float, float, float, float]]]) -> Coefficients:
    """Coefficients from practised orders; their noise is how much the costs of whole orders scatter among seeds."""
    costs = [
        sum(share * cost / scale for scale, _, share, cost in order) / sum(share for _, _, share, _ in order)
        for order in practised
    ]
    scatter = float(np.var(costs, ddof=1))
    parts = [
        PartSeen(scale=scale, before=before, share=share, cost=cost, variance=scatter * scale**2)
        for order in practised
        for scale, before, share, cost in order
    ]
    return calibrate(parts, PRIOR)
