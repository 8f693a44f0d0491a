"""What a process that takes an engine over brings along beside the journal."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import msgspec

from engine import events as ev
from engine.execution.dispatcher import DispatchCarried
from engine.model.candle import Candle, timeframe_ns
from engine.model.ids import InstrumentId, VenueId, venue_of
from engine.risk.department import RiskCarried
from engine.venues.limits.coordinator import CoordinatorCarried

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from engine.clock import Clock
    from engine.market.hub import MarketHub
    from engine.model.ids import AccountId
    from engine.model.market import MarketEvent
    from engine.model.venue import EventSink, MarketSink

__all__ = ["Carried", "EarlySession", "History", "Inherited"]

KEPT = 100_000
"""Reports kept before the engine is there; more means that the venue and not the hand-over is the problem."""
LATE_S = 30.0
"""How long a report that the predecessor has booked may still come in here."""


class Carried(msgspec.Struct, frozen=True, kw_only=True):
    """What the journal does not tell: budgets, pauses and what is under way. Arming is never part of it."""

    risk: RiskCarried = RiskCarried()
    dispatch: DispatchCarried = DispatchCarried()
    limits: CoordinatorCarried = CoordinatorCarried()


class History(msgspec.Struct, frozen=True, kw_only=True):
    """Closed bars that an engine has heard, oldest first."""

    instrument: InstrumentId
    timeframe: str
    candles: list[Candle]


class EarlySession:
    """Listens to a venue beside the engine that trades there, until an engine of this process joins.

    Reports are kept; those that the other engine has booked are told apart by their content, each as often as it was
    booked, whichever of the two hears them first.

    Args:
        hub: Takes the market in from the first moment on.
        clock: The engine's clock.
    """

    def __init__(self, hub: MarketHub, clock: Clock) -> None:
        self._hub = hub
        self._clock = clock
        self._kept: list[tuple[AccountId, ev.VenueEvent]] = []
        self._booked: Counter[bytes] = Counter()
        self._joined = 0
        self._events: EventSink = self._keep
        self._market: MarketSink = self._take_in

    def on_event(self, account: AccountId, event: ev.VenueEvent) -> None:
        """The venue's private sink."""
        self._events(account, event)

    def on_market(self, event: MarketEvent) -> None:
        """The venue's public sink."""
        self._market(event)

    def booked(self, record: ev.Record) -> None:
        """The other engine has booked a fact."""
        if isinstance(record.event, ev.VenueEvent):
            self._booked[_content(record.event)] += 1

    def join(self, events: EventSink, market: MarketSink) -> None:
        """Hand everything that is not booked yet to an engine, and all that comes from now on."""
        self._joined = self._clock.monotonic()
        self._market = market
        kept, self._kept = self._kept, []

        def pass_on(account: AccountId, event: ev.VenueEvent) -> None:
            if not (self._booked and self._is_booked(event)):
                events(account, event)

        self._events = pass_on
        for account, event in kept:
            pass_on(account, event)

    def _keep(self, account: AccountId, event: ev.VenueEvent) -> None:
        self._kept.append((account, event))
        if len(self._kept) > KEPT:
            # What is forgotten here is asked for: executions since the last cursor, and every open order.
            del self._kept[: KEPT // 2]

    def _take_in(self, event: MarketEvent) -> None:
        self._hub.on_market(event, self._clock.now())

    def _is_booked(self, event: ev.VenueEvent) -> bool:
        if self._clock.monotonic() - self._joined > LATE_S * 1e9:
            self._booked.clear()
            return False
        key = _content(event)
        if not self._booked[key]:
            del self._booked[key]
            return False
        self._booked[key] -= 1
        return True


def _content(event: ev.VenueEvent) -> bytes:
    """A report as the venue sent it: what the engine adds when it books it is left out."""
    if isinstance(event, ev.OrderAmended):
        event = msgspec.structs.replace(event, reserve_unit=None)
    return ev.encode_event(event)


class Inherited:
    """What the engine that is being started takes from the one before it.

    Args:
        session: Hears the venues whose sessions are open already; None when the engine opens all of them.
        venues: Those venues.
        away: Venues that could not be reached while the predecessor could not reach them either, and why.
    """

    def __init__(
        self,
        session: EarlySession | None = None,
        venues: Iterable[VenueId] = (),
        away: Mapping[VenueId, Exception] | None = None,
    ) -> None:
        self.carried = Carried()
        """What the predecessor carried along."""
        self._session = session
        self._venues = frozenset(venues)
        self.away = dict(away or {})
        """Venues that are away, and why: the engine starts without them at once, and tries them then."""
        self._histories: dict[tuple[InstrumentId, str], list[Candle]] = {}

    def add(self, history: History) -> None:
        """Take in bars, newer ones behind those that are known."""
        known = self._histories.setdefault((history.instrument, history.timeframe), [])
        last = known[-1].ts if known else -1
        known.extend(candle for candle in history.candles if candle.ts > last)

    def bars(self, instrument: InstrumentId, timeframe: str) -> list[Candle]:
        """All bars that came along, oldest first."""
        return self._histories.get((instrument, timeframe), [])

    def join(self, events: EventSink, market: MarketSink) -> frozenset[VenueId]:
        """Listen through the sessions that are open already.

        Returns:
            The venues that have one; all others are to be opened.
        """
        if self._session is not None:
            self._session.join(events, market)
        return self._venues

    def heard(self, instrument: InstrumentId, timeframe: str, now: int) -> list[Candle]:
        """The bars that came along, if none can have closed since; else none."""
        known = self.bars(instrument, timeframe)
        return known if known and known[-1].ts + 2 * timeframe_ns(timeframe) > now else []

    def seed(self, hub: MarketHub, venue: VenueId) -> None:
        """Give the markets of a venue the bars that came along."""
        for (instrument, timeframe), candles in self._histories.items():
            if instrument in hub.markets and venue_of(instrument) == venue:
                hub.series(instrument, timeframe).seed(candles)
