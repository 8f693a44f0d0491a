"""An order traded over time on the simulated market, matched by the paper exchange in simulated time.

Whoever trades here sees books, public trades, candles and own executions; how own executions press on the market is
hidden in it. Each seed is traded once as a buyer and once as a seller, so that what the market does by itself cancels
out of the means.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from engine.events import OrderFilled
from engine.execution.algos.contract import Place, View
from engine.execution.algos.machine import decide
from engine.execution.algos.plans import even_slices
from engine.execution.algos.weather import Weather
from engine.execution.impact import DEPTH, Conditions, PartSeen, calibrate, conditions_of, estimate, table_of
from engine.execution.schedules.almgren_chriss import RISK_AVERSION
from engine.execution.schedules.curves import vwap
from engine.execution.schedules.volume import volume_profile
from engine.model.algos import MarketPlan, Parent, ParticipationPlan, Plan, SchedulePlan
from engine.model.ids import MANUAL, SIMULATED, AccountId, ClientOrderId, Currency, ParentId
from engine.model.market import BookUpdate, MarketTrade, OrderBook
from engine.model.order import Decision, OrderSide, OrderType
from engine.model.risk import Quote
from engine.model.venue import OrderCommand
from engine.venues.markets.sim_profile import PAIRS, SimulatedSettings
from engine.venues.markets.simulated import SimulatedMarket
from engine.venues.paper.exchange import PaperExchange
from engine.venues.paper.settings import PaperSettings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.execution.schedules.almgren_chriss import Costs, Shortfall
    from engine.model.candle import FloatArray
    from engine.model.schedule import Slice

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
        return Decimal(str(self.share))


@dataclass(frozen=True, slots=True)
class Seen:
    """What a trader knows when the order arrives."""

    conditions: Conditions
    half_spread: float
    middle: float
    quantity: Decimal
    """Base units of the order."""

    def shortfall(self, task: Task, known: FloatArray) -> Shortfall:
        """The market that the order is thought to meet."""
        quantity = float(self.quantity)
        coefficients = calibrate(known, quantity / self.conditions.profile.daily)
        return coefficients.shortfall(self.conditions, quantity, self.half_spread, task.seconds, task.slices)


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
    """Most slices that were due and allowed by the cap, and not traded after the order had acted."""
    ahead: float = 0.0
    """Most slices that were begun before they were due."""
    dues: list[Decimal] = field(default_factory=list)
    """Sums that were due when each slice began; of a POV one for each of its intervals."""
    allowed: list[Decimal] = field(default_factory=list)
    """What a cap had allowed by each step."""
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

    def open(self, side: OrderSide, seen: Seen, plan: Plan) -> Parent:
        """A parent order that begins now."""
        instrument = self.instrument
        bid, ask = (instrument.price_from_int(price) for price in self.touch())
        impact = estimate(instrument, self.book, side, seen.quantity, seen.conditions)
        return Parent(
            id=ParentId("arena"), owner=MANUAL, account=ACCOUNT, instrument=instrument.id, side=side,
            quantity=seen.quantity, plan=plan, opened=self.start, updated=self.start, since=self.start,
            arrival=(bid + ask) / 2, decision=Decision(reason="arena", best_bid=bid, best_ask=ask, impact=impact),
        )  # fmt: skip

    def view(self, parent: Parent, weather: Weather) -> View:
        """What the step machine of a parent order sees now."""
        instrument, now = self.instrument, self.market.now
        bid, ask = (instrument.price_from_int(price) for price in self.touch())
        weather.look(now, float(bid + ask) / 2)
        levels = self.book.top_asks(DEPTH) if parent.side is OrderSide.BUY else self.book.top_bids(DEPTH)
        return View(
            parent=parent, children=(), now=now, instrument=instrument, quote=Quote(bid, ask, None, now),
            heard=self.volume(), visible=instrument.quantity_from_int(sum(size for _, size in levels)),
            sigma=weather.sigma,
        )  # fmt: skip

    def execute(self, parent: Parent, place: Place, outcome: Outcome) -> None:
        """Send what a step machine wants; executions press on the market."""
        assert place.type is OrderType.MARKET
        self._orders += 1
        instrument, now, whole = self.instrument, self.market.now, parent.quantity
        command = OrderCommand(
            client_id=ClientOrderId(f"a{self._orders}"), account=ACCOUNT, instrument=instrument.id, side=parent.side,
            type=place.type, quantity=place.quantity,
        )  # fmt: skip
        fills = [event.fill for _, event in self.exchange.place(command, now) if isinstance(event, OrderFilled)]
        for fill in fills:
            scaled = instrument.quantity_to_int(fill.quantity), instrument.price_to_int(fill.price)
            self.market.impact(instrument.id, now, parent.side, *scaled)
        got = sum((fill.quantity for fill in fills), Decimal(0))
        value = sum((fill.quantity * fill.price for fill in fills), Decimal(0))
        if got:
            price = parent.side.sign * (float(value / got) / outcome.seen.middle - 1)
            outcome.parts.append((float(parent.executed / whole), float(got / whole), price))
        parent.executed, parent.cost = parent.executed + got, parent.cost + value
        parent.placed, parent.last_placed = parent.placed + 1, now
        parent.futile = 0 if got else parent.futile + 1
        own = float(parent.executed)
        outcome.peak = max(outcome.peak, own / (own + float(self.volume())) if own else 0.0)


def trade(arena: Arena, side: OrderSide, seen: Seen, task: Task, plan: Plan) -> Outcome:
    """Trade an order by a plan's own step machine, a step a second, until the horizon ends.

    Args:
        arena: The market.
        side: Buy or sell.
        seen: What was known, and the order's quantity.
        task: The horizon.
        plan: How it is traded.
    """
    start, parent, outcome, weather = arena.start, arena.open(side, seen, plan), Outcome(seen), Weather()
    for elapsed in range(0, task.horizon_ns, SECOND):
        arena.advance(start + elapsed)
        view = arena.view(parent, weather)
        for action in decide(view):
            if isinstance(action, Place):
                arena.execute(parent, action, outcome)
        _judge(view, outcome)
        if parent.executed == parent.quantity:
            break
    return _settled(arena, parent, task, outcome)


def _settled(arena: Arena, parent: Parent, task: Task, outcome: Outcome) -> Outcome:
    whole, paid = parent.quantity, parent.cost
    if parent.executed < whole:
        arena.advance(arena.start + task.horizon_ns)
        paid += (whole - parent.executed) * Decimal(arena.middle)
    outcome.unfilled = float((whole - parent.executed) / whole)
    outcome.cost = parent.side.sign * (float(paid / whole) / outcome.seen.middle - 1)
    return outcome


def _judge(view: View, outcome: Outcome) -> None:
    """How far an order is from its schedule after it has acted, in slices; what its cap forbids is not behind."""
    parent, plan, dues = view.parent, view.parent.plan, outcome.dues
    elapsed, allowed = parent.elapsed_ns(view.now), parent.quantity
    if isinstance(plan, ParticipationPlan):
        # A slice of it is what falls due between two of its orders.
        if elapsed // plan.every_ns >= len(dues):
            dues.append(plan.rate * view.heard)
        begun = len(dues)
    else:
        assert isinstance(plan, SchedulePlan)
        if not dues:
            dues += [step.share * parent.quantity for step in plan.slices]
        begun = sum(step.offset_ns <= elapsed for step in plan.slices)
        if plan.participation is not None:
            # What a cap holds back goes in orders of five seconds.
            outcome.allowed.append(plan.participation * view.heard)
            allowed = outcome.allowed[-7] if len(outcome.allowed) > 6 else Decimal(0)
    # What is too small to be ordered is no slice.
    behind, ahead = 0, 0
    while behind < begun and parent.executed + view.least < min(dues[begun - behind - 1], allowed):
        behind += 1
    if isinstance(plan, SchedulePlan):
        while begun + ahead <= len(dues) and parent.executed > dues[begun + ahead - 1] + view.least:
            ahead += 1
    outcome.behind, outcome.ahead = max(outcome.behind, behind), max(outcome.ahead, ahead)


def _schedule(name: str, slices: tuple[Slice, ...], cap: Decimal | None = None, urgency: float = 0.5) -> SchedulePlan:
    return SchedulePlan(name=name, slices=slices, participation=cap, urgency=urgency)


def at_once(seed: int, side: OrderSide, task: Task) -> Outcome:
    """Everything in one market order; what the book does not give is charged at the end of the horizon."""
    arena = Arena(seed, task.symbol)
    seen = arena.look(task)
    parent, outcome = arena.open(side, seen, MarketPlan()), Outcome(seen)
    arena.execute(parent, Place(type=OrderType.MARKET, quantity=seen.quantity, why="at once"), outcome)
    return _settled(arena, parent, task, outcome)


def by_time(seed: int, side: OrderSide, task: Task) -> Outcome:
    """TWAP."""
    arena = Arena(seed, task.symbol)
    seen = arena.look(task)
    return trade(arena, side, seen, task, _schedule("twap", even_slices(task.horizon_ns, task.slices)))


def by_shortfall(
    seed: int, side: OrderSide, task: Task, known: FloatArray, aversion: float = RISK_AVERSION
) -> tuple[Outcome, Costs]:
    """Implementation shortfall, and what Almgren and Chriss expect of it."""
    arena = Arena(seed, task.symbol)
    seen = arena.look(task)
    market = seen.shortfall(task, known)
    slices = market.schedule(task.horizon_ns, task.slices, aversion)
    costs = market.costs(market.weights(task.seconds, task.slices, aversion), task.seconds)
    return trade(arena, side, seen, task, _schedule("implementation_shortfall", slices)), costs


def by_volume(seed: int, side: OrderSide, task: Task) -> Outcome:
    """VWAP with its cap."""
    arena = Arena(seed, task.symbol)
    seen = arena.look(task)
    slices = vwap(seen.conditions.profile, arena.start, task.horizon_ns, task.slices)
    return trade(arena, side, seen, task, _schedule("vwap", slices, CAP))


def by_participation(seed: int, side: OrderSide, task: Task) -> Outcome:
    """POV at the task's rate."""
    arena = Arena(seed, task.symbol)
    seen = arena.look(task)
    return trade(arena, side, seen, task, ParticipationPlan(rate=task.rate))


class Practised(NamedTuple):
    """A part of a practised order, as the mean of a buyer's and a seller's; what the market did by itself is gone."""

    size: float
    scale: float
    before: float
    share: float
    impact: float


def practise(seed: int, task: Task, known: FloatArray) -> list[Practised]:
    """The parts of one order that is traded once as a buyer and once as a seller."""
    one, other = (by_shortfall(seed, side, task, known)[0] for side in OrderSide)
    quantity, conditions = float(one.seen.quantity), one.seen.conditions
    found = []
    for buy, sell in zip(one.parts, other.parts, strict=False):
        before, share, cost = ((a + b) / 2 for a, b in zip(buy, sell, strict=True))
        size, scale = quantity / conditions.profile.daily, conditions.scale(quantity)
        found.append(Practised(size, scale, before, share, cost - one.seen.half_spread))
    return found


NOISE_POWER = 1.5
"""How the variance of what an order costs grows with its scale: between 1, with which sums come out exactly, and 2,
where it is proportional to the cost. Chosen on seeds below 1,000."""


def learn(practised: Sequence[Sequence[Practised]]) -> FloatArray:
    """What practised orders teach; their noise is how much the costs of whole orders scatter among seeds."""
    scales = [order[0].scale for order in practised]
    usual = float(np.mean(scales))
    costs = [
        sum(part.share * part.impact for part in order) / sum(part.share for part in order) / scale
        for order, scale in zip(practised, scales, strict=True)
    ]
    scatter = float(np.var(costs, ddof=1)) * usual**2
    return table_of(
        [
            PartSeen(
                size=part.size,
                scale=part.scale,
                before=part.before,
                share=part.share,
                cost=part.impact,
                variance=scatter * (part.scale / usual) ** NOISE_POWER,
            )
            for order in practised
            for part in order
        ]
    )
