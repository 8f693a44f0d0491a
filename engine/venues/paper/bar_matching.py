"""Fills on closed bars: a decision at a bar's close meets the assumed price path of the next bar.

An order acts on a bar when it arrived at or before the bar's open. At the open come market orders, limit orders that
were marketable on arrival, and everything the open has jumped over, in order of arrival; then the price walks the legs
of the path (`BarPath`) and sets off what it meets, nearest first. Orders that are placed from inside the walk (in
reaction to a fill) join it at the point reached: stops, take-profits and resting limits work on the rest of the path,
market and marketable orders wait for the next bar's open.

Prices, with `slip` the slippage of the quantity executed and `half` half the spread, both fractions of the price, for
a buy (mirrored for a sell):

- market order: open x (1 + half + slip); marketable limit: the same, never beyond the limit;
- stop and take-profit: trigger x (1 + slip), or the open instead of the trigger when the open has jumped over it
  (`StopGap`; for take-profits `LimitGap`);
- resting limit: the limit, or the open when jumped over (`LimitGap`).

Every price lies on the tick grid, rounded against the trader. All own executions on a bar share its participation cap;
what is left of a market order or a triggered stop goes on at the next open.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from engine.errors import StateConsistencyError
from engine.model.order import Liquidity, OrderStatus, OrderType, TimeInForce
from engine.venues.paper.settings import BarFillSettings, BarPath, LimitGap, SlippageModel, StopGap

if TYPE_CHECKING:
    from engine.model.instrument import Instrument
    from engine.venues.paper.fill_model import Clearing
    from engine.venues.paper.orders import PaperOrder

__all__ = ["BarMatching"]

_INF = math.inf
_MAX_ACTIONS = 10_000
# Float noise up to a millionth of a tick does not move a price to the next tick.
_TICK_SLACK = 1e-6
_UNLIMITED = 1 << 62


class _Working:
    """A working order with its thresholds as floats, so that a bar that reaches nothing costs two comparisons."""

    __slots__ = ("at_open", "gone", "idle", "limit", "opened", "order", "since", "stop", "threshold")

    def __init__(self, order: PaperOrder) -> None:
        self.order = order
        self.stop = 0.0
        self.limit = 0.0
        self.threshold = 0.0
        """Price at which a resting limit order fills: the limit, or one tick beyond."""
        self.at_open = False
        """Takes liquidity at the next open: market, triggered stop, marketable limit."""
        self.opened = False
        """Had its turn at this bar's open."""
        self.idle = False
        """Takes no part in the rest of this bar."""
        self.since = 0
        self.gone = False


class _Walk:
    """One bar and where on its path the price stands."""

    __slots__ = ("at", "budget", "c", "h", "l", "lot", "now", "o", "step", "tick", "v")

    def __init__(self, ts_open: int, o: float, h: float, l: float, c: float, v: float) -> None:  # noqa: E741
        self.o = o
        self.h = h
        self.l = l
        self.c = c
        self.v = v
        self.at = o
        self.now = ts_open
        self.step = 0
        """Half the time of one leg; what happens on a leg is stamped with its middle."""
        self.budget = 0
        """Scaled quantity that own orders may still take from this bar."""
        self.lot = 1
        self.tick = 1


class BarMatching:
    """Fill model of one instrument on bars."""

    __slots__ = (
        "_clearing",
        "_orders",
        "_price_unit",
        "_quantity_unit",
        "_walk",
        "above",
        "below",
        "last",
        "settings",
    )

    def __init__(self, instrument: Instrument, clearing: Clearing, settings: BarFillSettings) -> None:
        self.settings = settings
        self.last = math.nan
        """Close of the last bar, or the last mark."""
        self.below = -_INF
        """A bar whose low is above this and whose high is below `above` reaches no order."""
        self.above = _INF
        self._clearing = clearing
        self._orders: list[_Working] = []
        self._walk: _Walk | None = None
        self._price_unit = float(10**instrument.price_scale)
        self._quantity_unit = float(10**instrument.quantity_scale)

    # --- FillModel ---------------------------------------------------------------------------------------------------

    def reference(self, *, buy: bool) -> int | None:
        """The last close."""
        price = self.last if self._walk is None else self._walk.at
        if math.isnan(price):
            return None
        return round(price * self._price_unit)

    def crosses(self, *, buy: bool, price: int) -> bool:
        """Whether the limit is at or beyond the last close."""
        reference = self.reference(buy=buy)
        if reference is None:
            return False
        return price >= reference if buy else price <= reference

    def add(self, order: PaperOrder, now: int) -> None:
        """Let an order work from the next bar on, or on the rest of the path when called from inside a bar."""
        working = _Working(order)
        self._orders.append(working)
        self._classify(working, now)

    def restore(self, order: PaperOrder) -> None:
        """Let an order work as it stood."""
        working = _Working(order)
        self._orders.append(working)
        self._classify(working, order.updated)

    def amended(self, order: PaperOrder, now: int, *, keeps_place: bool) -> None:
        """Take over new prices; a smaller quantity changes nothing here."""
        if keeps_place:
            return
        for working in self._orders:
            if working.order is order:
                self._classify(working, now)
                return

    def remove(self, order: PaperOrder) -> None:
        """Forget an order."""
        for index, working in enumerate(self._orders):
            if working.order is order:
                working.gone = True
                del self._orders[index]
                # The bounds may stay too wide for the orders left; the next bar beyond them makes them exact.
                if not self._orders:
                    self.below, self.above = -_INF, _INF
                return

    def working(self) -> list[PaperOrder]:
        """The working orders, oldest first."""
        return [working.order for working in self._orders]

    # --- bars --------------------------------------------------------------------------------------------------------

    def on_bar(self, ts_open: int, ts_close: int, o: float, h: float, l: float, c: float, v: float) -> None:  # noqa: E741
        """Let a closed bar fill what it reaches; call it only when `below` and `above` do not rule that out."""
        self._bound()
        if l > self.below and h < self.above:
            self.last = c
            return
        walk = self._walk = _Walk(ts_open, o, h, l, c, v)
        walk.step = (ts_close - ts_open) // (12 if self.settings.path is BarPath.PESSIMISTIC else 6)
        terms = self._clearing.terms(ts_open)
        walk.lot, walk.tick = terms.lot, terms.tick
        share = self.settings.participation
        walk.budget = _UNLIMITED if share is None else round(share * v * self._quantity_unit)
        for working in self._orders:
            working.opened = False
            working.idle = working.since > ts_open
        try:
            self._follow(walk)
        finally:
            self._walk = None
            self.last = c
            self._bound()

    def _follow(self, walk: _Walk) -> None:
        o, h, l, c = walk.o, walk.h, walk.l, walk.c  # noqa: E741
        path = self.settings.path
        if path is BarPath.PESSIMISTIC:
            # Down, up and down again with stops alone: also the stop of a position that a stop opened is tested.
            self._at_open(walk, stops_first=True)
            for target in (l, h, l):
                self._leg(walk, target, stops_only=True)
            walk.at = o
        self._at_open(walk, stops_first=False)
        low_first = path is not BarPath.FIXED_OHLC and o - l <= h - o
        for target in (l, h, c) if low_first else (h, l, c):
            self._leg(walk, target, stops_only=False)

    def _at_open(self, walk: _Walk, *, stops_first: bool) -> None:
        for working in list(self._orders):
            order = working.order
            if working.gone or working.idle or working.opened:
                continue
            if stops_first and not working.at_open and not (order.waits and order.command.type is OrderType.STOP_LOSS):
                continue
            working.opened = True
            if working.at_open:
                self._take_at_open(walk, working)
            elif order.waits:
                jumped = walk.o <= working.stop if order.falls else walk.o >= working.stop
                if not jumped:
                    continue
                self._trigger(walk, working, self._gap_price(walk, working))
            elif not (walk.o <= working.threshold if order.buy else walk.o >= working.threshold):
                continue
            else:
                self._fill_jumped(walk, working)
            self._clearing.react()

    def _leg(self, walk: _Walk, target: float, *, stops_only: bool) -> None:
        walk.now += walk.step
        for _ in range(_MAX_ACTIONS):
            working, price = self._next(walk, target, stops_only=stops_only)
            if working is None:
                walk.at = target
                walk.now += walk.step
                return
            walk.at = price
            if working.order.waits:
                self._trigger(walk, working, price)
            else:
                self._fill(walk, working, self._limit(working), Liquidity.MAKER)
            self._clearing.react()
        raise StateConsistencyError(
            f"More than {_MAX_ACTIONS} executions in one bar: a strategy answers every fill with an order that fills."
        )

    def _next(self, walk: _Walk, target: float, *, stops_only: bool) -> tuple[_Working | None, float]:
        """The order that the price meets first between where it stands and the leg's end, and where."""
        at = walk.at
        found: _Working | None = None
        found_at = target
        best = _INF
        spent = walk.budget < walk.lot
        for working in self._orders:
            if working.idle or working.at_open:
                continue
            order = working.order
            if order.waits:
                if stops_only and order.command.type is not OrderType.STOP_LOSS:
                    continue
                threshold, falls = working.stop, order.falls
            elif spent or stops_only:
                continue
            else:
                threshold, falls = working.threshold, order.buy
            # What is already passed is met where the price stands.
            meets = min(at, threshold) if falls else max(at, threshold)
            reached = meets == at or (target <= meets if falls else meets <= target)
            distance = abs(meets - at)
            if reached and distance < best:
                found, found_at, best = working, meets, distance
        return found, found_at

    # --- executions --------------------------------------------------------------------------------------------------

    def _take_at_open(self, walk: _Walk, working: _Working) -> None:
        order = working.order
        limited = order.price is not None
        if limited and not (walk.o <= working.limit if order.buy else walk.o >= working.limit):
            working.at_open = False
            self._expire_rest(walk, working)
            return
        quantity = min(order.remaining, walk.budget)
        if order.command.tif is not TimeInForce.FOK or quantity == order.remaining:
            half = self.settings.half_spread_bps / 10_000
            price = self._worse(walk, working, walk.o, half + self._slippage(walk, quantity))
            self._fill(walk, working, price, Liquidity.TAKER)
        self._expire_rest(walk, working)

    def _expire_rest(self, walk: _Walk, working: _Working) -> None:
        order = working.order
        if not working.gone and order.command.tif is not TimeInForce.GTC:
            reason = f"{order.command.tif}: {'not filled at once' if not order.filled else 'the rest was not filled'}"
            self._clearing.end(order, OrderStatus.EXPIRED, reason, walk.now)

    def _fill_jumped(self, walk: _Walk, working: _Working) -> None:
        gap = self.settings.limit_gap
        limit = self._limit(working)
        if gap is LimitGap.OPEN:
            limit = self._worse(walk, working, walk.o, 0.0)
        elif gap is LimitGap.LIMIT_IN_RANGE and not walk.l <= working.limit <= walk.h:
            working.idle = True
            return
        self._fill(walk, working, limit, Liquidity.MAKER)

    def _gap_price(self, walk: _Walk, working: _Working) -> float:
        stop = working.stop
        in_range = walk.l <= stop <= walk.h
        if working.order.command.type is OrderType.STOP_LOSS:
            mode = self.settings.stop_gap
            at_trigger = mode is StopGap.TRIGGER or (mode is StopGap.TRIGGER_IN_RANGE and in_range)
        else:
            favourable = self.settings.limit_gap
            at_trigger = favourable is LimitGap.LIMIT or (favourable is LimitGap.LIMIT_IN_RANGE and in_range)
        return stop if at_trigger else walk.o

    def _trigger(self, walk: _Walk, working: _Working, base: float) -> None:
        order = working.order
        self._clearing.trigger(order, walk.now)
        working.opened = True
        marketable = order.price is None or (base <= working.limit if order.buy else base >= working.limit)
        if marketable:
            quantity = min(order.remaining, walk.budget)
            self._fill(walk, working, self._worse(walk, working, base, self._slippage(walk, quantity)), Liquidity.TAKER)
        if working.gone:
            return
        working.at_open = order.price is None
        # Which came first inside the bar, limit or trigger, is not known; the pessimist assumes the limit.
        working.idle = working.idle or self.settings.path is BarPath.PESSIMISTIC
        if order.command.tif is not TimeInForce.GTC:
            self._expire_rest(walk, working)

    def _fill(self, walk: _Walk, working: _Working, price: int, liquidity: Liquidity) -> None:
        quantity = min(working.order.remaining, walk.budget)
        quantity -= quantity % walk.lot
        if quantity > 0:
            walk.budget -= self._clearing.fill(working.order, price, quantity, liquidity, walk.now)

    # --- prices ------------------------------------------------------------------------------------------------------

    def _slippage(self, walk: _Walk, quantity: int) -> float:
        """Slippage of a scaled quantity as a fraction of the price."""
        settings = self.settings
        model = settings.slippage
        if model is SlippageModel.NONE:
            return 0.0
        if model is SlippageModel.FIXED:
            return settings.fixed_bps / 10_000
        ratio = quantity / self._quantity_unit / walk.v if walk.v > 0 else 1.0
        if model is SlippageModel.SQUARE_ROOT:
            ratio = math.sqrt(ratio)
        return settings.impact_bps / 10_000 * ratio

    def _worse(self, walk: _Walk, working: _Working, base: float, fraction: float) -> int:
        """A scaled price that much worse than a base price, on the tick grid and not beyond the order's limit."""
        order = working.order
        ticks = base * (1 + fraction if order.buy else 1 - fraction) * self._price_unit / walk.tick
        if order.buy:
            price = math.ceil(ticks - _TICK_SLACK) * walk.tick
            return price if order.price is None else min(price, order.price)
        price = max(math.floor(ticks + _TICK_SLACK), 1) * walk.tick
        return price if order.price is None else max(price, order.price)

    @staticmethod
    def _limit(working: _Working) -> int:
        price = working.order.price
        if price is None:
            raise StateConsistencyError(f"The order {working.order.command.client_id} rests without a price.")
        return price

    # --- thresholds --------------------------------------------------------------------------------------------------

    def _classify(self, working: _Working, now: int) -> None:
        """Work out when an order acts, from its present prices."""
        order = working.order
        unit = self._price_unit
        working.since = now
        if order.stop is not None:
            working.stop = order.stop / unit
        if order.price is not None:
            beyond = 0 if self.settings.touch else self._clearing.terms(now).tick
            working.limit = order.price / unit
            working.threshold = (order.price - beyond if order.buy else order.price + beyond) / unit
        immediate = order.command.tif is not TimeInForce.GTC
        working.at_open = not order.waits and (
            order.price is None or immediate or self.crosses(buy=order.buy, price=order.price)
        )
        if self._walk is not None:
            working.opened = True
            working.idle = working.idle or working.at_open
        # Widen the bounds by this order alone: cheaper than looking at all, and never too narrow.
        self._widen(working)

    def _widen(self, working: _Working) -> None:
        if working.at_open:
            self.below = _INF
        elif working.order.waits:
            if working.order.falls:
                self.below = max(self.below, working.stop)
            else:
                self.above = min(self.above, working.stop)
        elif working.order.buy:
            self.below = max(self.below, working.threshold)
        else:
            self.above = min(self.above, working.threshold)

    def _bound(self) -> None:
        self.below, self.above = -_INF, _INF
        for working in self._orders:
            self._widen(working)
