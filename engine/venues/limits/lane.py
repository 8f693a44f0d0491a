"""One host's limits under one scheme, and the line of requests that wait for room in them."""

from __future__ import annotations

import asyncio
from collections import deque
from datetime import UTC, datetime, timedelta
from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING

import msgspec

from engine.errors import ExchangeBannedError, ExchangeConnectionError, ExchangeRateLimitError, ValidationError
from engine.model.requester import REQUESTER
from engine.venues.limits.rules import Limit, Meter, Reading
from engine.venues.limits.window import NEVER, NS, Spent, Window
from engine.venues.native.request import Priority

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from engine.clock import Clock

__all__ = ["Host", "Lane", "LaneCarried", "Pass"]

SHARES = {
    Priority.EMERGENCY: 1.0,
    Priority.PROTECT: 0.95,
    Priority.ORDER: 0.85,
    Priority.QUERY: 0.75,
    Priority.DATA: 0.65,
}
"""Part of every limit that a priority may use; what is above it is kept back for the more urgent."""
PACED = frozenset({Priority.QUERY, Priority.DATA})
"""Priorities that are spaced out evenly once half of their part went in one burst."""
PACED_FROM_S = 10.0
"""Shorter stretches are not worth spacing out."""
TURN = 2520
"""Length of a turn of the least weight; divided by every weight from 1 to 10 without a rest."""
WINDOWS = 4096
"""Counts of a lane above which those that hold nothing are forgotten."""


_Group = tuple[tuple[int, str] | int, ...]


class LaneCarried(msgspec.Struct, frozen=True, kw_only=True):
    """How one lane stands, for the process that takes over; times are UTC nanoseconds."""

    host: str
    scheme: str
    windows: dict[str, list[Spent]] = {}
    """By the limit's name and its scope, joined by `|`."""
    pauses: dict[str, int] = {}
    """Likewise: until when a single limit is paused."""
    told: list[str] = []
    """Those that hold the venue's own count, by the same names."""


class Pass:
    """Permission for one request, to be ended when its answer came or none will come."""

    __slots__ = ("_costs", "_lane", "_open")

    def __init__(self, lane: Lane, costs: list[tuple[Window, float]]) -> None:
        self._lane = lane
        self._costs = costs
        self._open = True

    def done(self) -> None:
        """The request is over: what it cost counts for one more stretch. Again is nothing."""
        if self._open:
            self._open = False
            now = self._lane.clock.monotonic()
            for window, amount in self._costs:
                window.end(amount, now)
            self._lane.pump()

    def unsent(self) -> None:
        """The request certainly did not leave: nothing was spent."""
        if self._open:
            self._open = False
            for window, amount in self._costs:
                window.cancel(amount)
            self._lane.pump()

    def __enter__(self) -> Pass:
        return self

    def __exit__(self, *_: object) -> None:
        self.done()


class _Waiting:
    """A request in the line."""

    __slots__ = ("deadline", "future", "group", "number", "priority", "turn", "wants")

    def __init__(
        self,
        number: int,
        priority: Priority,
        wants: list[tuple[Window, float]],
        deadline: int,
        future: asyncio.Future[Pass],
        owner: str,
        turn: int,
    ) -> None:
        self.turn = turn
        """Where it stands among equals: see `Lane._turn`."""
        self.number = number
        self.priority = priority
        self.wants = wants
        self.deadline = deadline
        self.future = future
        self.group: _Group = ((int(priority), owner), *(id(window) for window, _ in wants))
        """Requests of one group want the same things as urgently, so the first of them speaks for all."""


def _place(waiting: _Waiting) -> tuple[Priority, int, int, _Waiting]:
    return waiting.priority, waiting.turn, waiting.number, waiting


class Host:
    """What all lanes of one address share: whether it wants requests at all."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.paused_until = 0
        """Monotonic nanoseconds."""
        self.banned = False
        self.lanes: list[Lane] = []


class Lane:
    """The limits of one scheme on one host; made by `Coordinator.lane`."""

    def __init__(self, host: Host, scheme: str, clock: Clock, urgent: Callable[[], bool] = lambda: False) -> None:
        self.scheme = scheme
        self._urgent = urgent
        self.clock = clock
        self._host = host
        self._limits: dict[str, Limit] = {}
        self._by_unit: dict[str, list[Limit]] = {}
        self._windows: dict[tuple[str, ...], Window] = {}
        self._line: dict[_Group, deque[_Waiting]] = {}
        self._deadlines: list[tuple[int, int, _Waiting]] = []
        self._count = 0
        self._turns: dict[str, int] = {}
        """Last turn of every owner that has somebody in the line."""
        self._turn_now = 0
        self._timer: asyncio.Task[None] | None = None
        self._timer_at = NEVER
        self._closed = False
        self.requests = 0
        """Passes given so far."""

    @property
    def host(self) -> str:
        """The address, such as `api.binance.com`."""
        return self._host.name

    def allow(self, limits: Iterable[Limit]) -> None:
        """Add limits; of two with one name the lower holds."""
        for limit in limits:
            known = self._limits.get(limit.name)
            if known is None or limit.capacity < known.capacity:
                self._limits[limit.name] = limit
        self._by_unit = {}
        for limit in self._limits.values():
            self._by_unit.setdefault(limit.unit, []).append(limit)
        for key, window in self._windows.items():
            window.capacity = min(window.capacity, self._limits[key[0]].capacity)

    # --- asking ------------------------------------------------------------------------------------------------------

    async def acquire(
        self,
        cost: Mapping[str, float],
        *,
        priority: Priority,
        scope: Mapping[str, str] | None = None,
        within_s: float | None = None,
    ) -> Pass:
        """Wait until a request may leave; the more urgent go first, and equals in the order they came.

        Of several owners' orders those with the same weight take turns, one with twice the weight has two turns.

        Cancelling takes the request out of the line and costs nothing.

        Args:
            cost: Units it takes, such as {"weight": 4, "orders": 1}; `requests` counts one unless it is given.
            priority: How urgent it is.
            scope: What it belongs to, for limits that are counted apart, such as {"account": "main"}.
            within_s: Longest wait, in seconds; None for as long as it takes.

        Raises:
            ExchangeBannedError: The host has shut us out.
            ExchangeRateLimitError: There is certainly no room in time, or there was none.
            ExchangeConnectionError: The coordinator is closed.
            ValidationError: The request costs more than a limit allows at all.
        """
        if self._closed:
            raise ExchangeConnectionError(f"The way to {self.host} is closed; nothing was sent.")
        now = self.clock.monotonic()
        if self._host.banned and self._host.paused_until > now:
            raise self._shut_out(now)
        wants = self._wants(cost, scope or {}, now)
        if not self._line and self._ready(wants, priority, now) <= now:
            return self._grant(wants, priority, now)
        return await self._in_line(wants, priority, now, within_s)

    async def _in_line(
        self, wants: list[tuple[Window, float]], priority: Priority, now: int, within_s: float | None
    ) -> Pass:
        deadline = NEVER if within_s is None else now + int(within_s * NS)
        ready = self._ready(wants, priority, now)
        if deadline < ready < NEVER:
            raise self._no_room(ready - now)
        self._count += 1
        future: asyncio.Future[Pass] = asyncio.get_running_loop().create_future()
        owner, turn = self._turn(priority)
        waiting = _Waiting(self._count, priority, wants, deadline, future, owner, turn)
        self._line.setdefault(waiting.group, deque()).append(waiting)
        if deadline < NEVER:
            heappush(self._deadlines, (deadline, waiting.number, waiting))
        self.pump()
        try:
            return await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled() and future.exception() is None:
                future.result().unsent()
            else:
                self.pump()
            raise

    def _turn(self, priority: Priority) -> tuple[str, int]:
        """Whose request this is and when its turn comes.

        Start-time fair queueing: an owner's requests follow one another at a distance of one over its weight, from
        where the line stands now (Goyal, Vin, Cheng 1996).
        """
        requester = REQUESTER.get()
        if requester is None or priority is not Priority.ORDER:
            return "", self._turn_now
        turn = max(self._turn_now, self._turns.get(requester.owner, 0))
        self._turns[requester.owner] = turn + TURN // max(requester.weight, 1)
        return requester.owner, turn

    def _wants(self, cost: Mapping[str, float], scope: Mapping[str, str], now: int) -> list[tuple[Window, float]]:
        wants = []
        if "requests" not in cost and "requests" in self._by_unit:
            wants += [(self._window(limit, scope, now), 1.0) for limit in self._by_unit["requests"]]
        for unit, amount in cost.items():
            for limit in self._by_unit.get(unit, ()):
                window = self._window(limit, scope, now)
                if amount > window.capacity:
                    raise ValidationError(
                        f"A request that takes {amount:g} of {limit.name} can never be sent: {self.host} allows "
                        f"{window.capacity:g}. Raise that limit in the settings, or ask for less at once."
                    )
                if amount > 0:
                    wants.append((window, amount))
        return wants

    def _window(self, limit: Limit, scope: Mapping[str, str], now: int) -> Window:
        key = (limit.name, *(scope.get(part, "") for part in limit.scope)) if limit.scope else (limit.name,)
        window = self._windows.get(key)
        if window is None:
            if len(self._windows) >= WINDOWS:
                self._windows = {k: w for k, w in self._windows.items() if not w.idle(now)}
            window = self._windows[key] = Window(limit.capacity, int(limit.per_s * NS))
        return window

    def _ready(self, wants: list[tuple[Window, float]], priority: Priority, now: int) -> int:
        """When all limits have room: now or earlier, later, or `NEVER` while answers must come first."""
        latest = self._host.paused_until
        priority = self._of_now(priority)
        share = SHARES[priority]
        for window, amount in wants:
            at = window.ready(amount, share * window.capacity, now)
            if priority in PACED and window.per_ns >= PACED_FROM_S * NS:
                at = max(at, window.paced_until - int(window.per_ns / 2))
            latest = max(latest, at)
        return latest

    def _of_now(self, priority: Priority) -> Priority:
        """While everything is being closed, what has to be asked for that is as urgent as what protects."""
        return Priority.PROTECT if priority is Priority.QUERY and self._urgent() else priority

    def _grant(self, wants: list[tuple[Window, float]], priority: Priority, now: int) -> Pass:
        priority = self._of_now(priority)
        for window, amount in wants:
            window.begin(amount)
            if priority in PACED and window.per_ns:
                step = int(window.per_ns * amount / (SHARES[priority] * window.capacity))
                window.paced_until = max(window.paced_until, now) + step
        self.requests += 1
        return Pass(self, wants)

    # --- the line ----------------------------------------------------------------------------------------------------

    def pump(self) -> None:
        """Let go whoever may go now, and wake up again when the next one may."""
        if not self._line:
            return
        now = self.clock.monotonic()
        self._end_late(now)
        wake = self._deadlines[0][0] if self._deadlines else NEVER
        claimed: set[int] = set()
        heads = [_place(head) for group in tuple(self._line) if (head := self._head(group))]
        heapify(heads)
        while heads:
            *_, waiting = heappop(heads)
            # Nobody takes from a limit that somebody before him waits for, however little he wants.
            if not claimed.isdisjoint(waiting.group[1:]):
                continue
            ready = self._ready(waiting.wants, waiting.priority, now)
            if ready > now:
                wake = min(wake, ready)
                claimed.update(self._lacking(waiting, now))
                continue
            self._turn_now = max(self._turn_now, waiting.turn)
            waiting.future.set_result(self._grant(waiting.wants, waiting.priority, now))
            if following := self._head(waiting.group):
                heappush(heads, _place(following))
        if not self._line:
            self._turns.clear()
        self._wake_at(wake if self._line else NEVER, now)

    def _head(self, group: _Group) -> _Waiting | None:
        """The first of a group that still waits."""
        line = self._line[group]
        while line and line[0].future.done():
            line.popleft()
        if line:
            return line[0]
        del self._line[group]
        return None

    def _lacking(self, waiting: _Waiting, now: int) -> list[int]:
        share = SHARES[self._of_now(waiting.priority)]
        return [id(w) for w, amount in waiting.wants if w.ready(amount, share * w.capacity, now) > now]

    def _end_late(self, now: int) -> None:
        while self._deadlines and (self._deadlines[0][0] <= now or self._deadlines[0][2].future.done()):
            waiting = heappop(self._deadlines)[2]
            if not waiting.future.done():
                ready = self._ready(waiting.wants, waiting.priority, now)
                waiting.future.set_exception(self._no_room(max(0, ready - now) if ready < NEVER else 0))

    def _wake_at(self, at: int, now: int) -> None:
        if at == self._timer_at:
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._timer_at = at
        if at < NEVER:
            self._timer = asyncio.get_running_loop().create_task(self._wake(at - now), name=f"limits {self.host}")

    async def _wake(self, after_ns: int) -> None:
        await self.clock.sleep(after_ns / NS)
        self._timer = None
        self._timer_at = NEVER
        self.pump()

    def _shut_out(self, now: int) -> ExchangeBannedError:
        left = self._host.paused_until - now
        return _banned(self.host, left, self.clock.now() + left)

    def _no_room(self, wait_ns: int) -> ExchangeRateLimitError:
        return _too_many(self.host, wait_ns, paused=self._host.paused_until > self.clock.monotonic())

    # --- what the venue says -----------------------------------------------------------------------------------------

    def heard(self, headers: Mapping[str, str], readings: Iterable[Reading], scope: Mapping[str, str]) -> None:
        """Learn from the headers of an answer (by lower-case name) how far limits are used by the venue's count."""
        for reading in readings:
            value = _number(headers.get(reading.header))
            limit = self._limits.get(reading.limit)
            if value is None or limit is None:
                continue
            used = value if reading.meter is Meter.USED else (reading.of or limit.capacity) - value
            self.used(reading.limit, used, scope)

    def used(self, name: str, amount: float, scope: Mapping[str, str] | None = None) -> None:
        """The venue counts so much for a limit: what we do not know of was spent by somebody else just now."""
        limit = self._limits[name]
        now = self.clock.monotonic()
        window = self._window(limit, scope or {}, now)
        window.add(amount - window.used(now), now)
        window.told = True

    def tighten(self, name: str, capacity: float) -> None:
        """The venue names a capacity for a limit; only a lower one is taken, and no limit is made up."""
        limit = self._limits.get(name)
        if limit is not None and 0 < capacity < limit.capacity:
            self.allow([msgspec.structs.replace(limit, capacity=capacity)])

    def pause(self, seconds: float, *, banned: bool = False) -> None:
        """The host wants no requests for so long; a ban also refuses everything that waits or asks.

        All lanes of the host obey. A shorter pause never shortens a longer one.
        """
        now = self.clock.monotonic()
        host = self._host
        if now >= host.paused_until:
            host.banned = False
        host.paused_until = max(host.paused_until, now + int(seconds * NS))
        host.banned = host.banned or banned
        for lane in host.lanes:
            lane._obey(now)

    def pause_limits(self, seconds: float, names: Iterable[str], scope: Mapping[str, str] | None = None) -> None:
        """Nothing is taken from these limits for so long; requests that do not need them go on."""
        now = self.clock.monotonic()
        for name in names:
            window = self._window(self._limits[name], scope or {}, now)
            window.paused_until = max(window.paused_until, now + int(seconds * NS))
        self.pump()

    def _obey(self, now: int) -> None:
        if self._host.banned:
            for waiting in self._still():
                waiting.future.set_exception(self._shut_out(now))
        self.pump()

    def _still(self) -> list[_Waiting]:
        return [waiting for line in self._line.values() for waiting in line if not waiting.future.done()]

    # --- looking -----------------------------------------------------------------------------------------------------

    @property
    def waiting(self) -> int:
        """Requests in the line."""
        return len(self._still())

    @property
    def paused_until(self) -> int:
        """UTC nanoseconds until which the host wants no requests; 0 for not at all."""
        left = self._host.paused_until - self.clock.monotonic()
        return self.clock.now() + left if left > 0 else 0

    @property
    def banned(self) -> bool:
        """Whether the pause is a ban."""
        return self._host.banned and self.paused_until > 0

    @property
    def limits(self) -> dict[str, Limit]:
        """The limits in force, by name."""
        return dict(self._limits)

    def usage(self) -> dict[str, float]:
        """Share of each limit that is used now, 0 to 1, by the limit's name; the fullest count of those apart."""
        now = self.clock.monotonic()
        shares = dict.fromkeys(self._limits, 0.0)
        for key, window in self._windows.items():
            share = 1.0 if window.paused_until > now else min(1.0, window.used(now) / window.capacity)
            shares[key[0]] = max(shares[key[0]], share)
        return shares

    def close(self) -> None:
        """Refuse everything that waits or asks; idempotent."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for waiting in self._still():
            waiting.future.set_exception(
                ExchangeConnectionError(f"The way to {self.host} was closed; the request was not sent.")
            )
        self._line.clear()
        self._deadlines.clear()

    # --- travelling --------------------------------------------------------------------------------------------------

    def standing(self) -> LaneCarried:
        """What a process that takes over must know."""
        now = self.clock.monotonic()
        shift = self.clock.now() - now
        windows = {"|".join(key): window.standing(now, shift) for key, window in self._windows.items()}
        pauses = {"|".join(k): w.paused_until + shift for k, w in self._windows.items() if w.paused_until > now}
        return LaneCarried(
            host=self.host,
            scheme=self.scheme,
            windows={k: past for k, past in windows.items() if past},
            pauses=pauses,
            told=["|".join(k) for k, w in self._windows.items() if w.told],
        )

    def take(self, carried: LaneCarried) -> None:
        """Go on where another process stood; limits that are not known here are forgotten."""
        now = self.clock.monotonic()
        shift = self.clock.now() - now
        for text in {*carried.windows, *carried.pauses}:
            name, *parts = text.split("|")
            limit = self._limits.get(name)
            if limit is None:
                continue
            window = self._window(limit, dict(zip(limit.scope, parts, strict=False)), now)
            window.take(carried.windows.get(text, []), now, shift, told=text in carried.told)
            window.paused_until = max(window.paused_until, carried.pauses.get(text, 0) - shift)


def _number(text: str | None) -> float | None:
    try:
        return float(text) if text is not None else None
    except ValueError:
        return None


def _duration(ns: int) -> str:
    seconds = -(-ns // NS)
    if seconds < 60:
        return f"{seconds} s"
    minutes, seconds = divmod(seconds, 60)
    if minutes < 60:
        return f"{minutes} min {seconds} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min"


def _banned(host: str, left_ns: int, until_ns: int) -> ExchangeBannedError:
    until = datetime.fromtimestamp(0, UTC) + timedelta(microseconds=until_ns // 1000)
    return ExchangeBannedError(
        f"{host} has shut this machine out until {until:%Y-%m-%d %H:%M:%S} UTC ({_duration(left_ns)} from now) because "
        "of too many requests; nothing is sent until then.",
        details={"host": host, "until": until.isoformat(), "retry_after_ms": left_ns // 1_000_000},
    )


def _too_many(host: str, wait_ns: int, *, paused: bool) -> ExchangeRateLimitError:
    why = f"{host} has asked us to wait" if paused else f"The limit of requests that is kept to for {host} is used up"
    when = f"There is room again in {_duration(wait_ns)}." if wait_ns else "Try again in a moment."
    return ExchangeRateLimitError(
        f"{why}; nothing was sent. {when}",
        details={"host": host, "retry_after_ms": -(-wait_ns // 1_000_000), "sent": False},
    )
