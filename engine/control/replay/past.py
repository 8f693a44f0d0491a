"""An engine of the past: the departments over a state that was folded from the journal, and nothing that could act.

Its clock stands where the replay stands. Its markets know only what was journalled of them, and its journal takes
nothing. Whatever was not recorded is unknown here, never guessed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

from engine import events as ev
from engine.clock import SystemClock
from engine.engine import Engine
from engine.errors import ConflictError
from engine.market.hub import Market, MarketHub
from engine.model.account import Account, TradingMode
from engine.model.ids import Currency, VenueId
from engine.model.risk import Quote
from engine.model.venue import Capabilities, VenueStatus
from engine.venue_unit import VenuePlan
from storage.journal.schema import Meta

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from engine.bots.manager import Library
    from engine.config import Settings
    from engine.errors import JournalError, StaleEpochError
    from engine.model.candle import Candle
    from engine.model.ids import AccountId, InstrumentId
    from engine.model.instrument import Instrument
    from engine.state import EngineState
    from storage.journal.past import Session
    from storage.journal.usage import Usage

__all__ = ["RECORDED_NS", "PastClock", "PastHub", "past_engine"]

RECORDED_NS = 30 * 1_000_000_000
"""How long a recorded price stands for its market: marks are journalled every ten seconds while something is held."""


class PastClock:
    """Tells the time at which the replay stands; measures and sleeps in real time."""

    def __init__(self) -> None:
        self._real = SystemClock()
        self.position = 0
        """UTC nanoseconds."""

    def now(self) -> int:
        """Where the replay stands, UTC nanoseconds."""
        return self.position

    def monotonic(self) -> int:
        """Nanoseconds that never go back, of real time."""
        return self._real.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Wait that long in real time."""
        await self._real.sleep(seconds)


class PastMarket(Market):
    """A market of which only recorded prices are known: marks, and what decisions saw of the book."""

    def __init__(self, instrument: Instrument, hub: PastHub) -> None:
        super().__init__(instrument)
        self._hub = hub

    def quote(self) -> Quote | None:
        """The newest recorded prices; None where none was recorded within RECORDED_NS."""
        return self._hub.recorded(self.instrument.id)


class PastHub(MarketHub):
    """The markets of a replay.

    Args:
        clock: Where the replay stands.
        state: Carries the recorded marks.
    """

    def __init__(self, clock: PastClock, state: EngineState) -> None:
        super().__init__()
        self._clock = clock
        self._state = state
        self._seen: dict[InstrumentId, Quote] = {}
        for instrument in state.instruments.values():
            self.add(instrument)

    def add(self, instrument: Instrument) -> Market:
        """Keep an instrument's recorded prices."""
        market = self.markets.get(instrument.id)
        if market is None:
            market = self.markets[instrument.id] = PastMarket(instrument, self)
        return market

    def quote(self, instrument: InstrumentId) -> Quote | None:
        """The newest recorded prices; None where none was recorded within RECORDED_NS."""
        return self.recorded(instrument)

    def recorded(self, instrument: InstrumentId) -> Quote | None:
        """See `quote`."""
        entry, seen = self._state.marks.get(instrument), self._seen.get(instrument)
        found = seen
        if entry is not None and (seen is None or entry.ts > seen.ts):
            found = Quote(None, None, entry.price, entry.ts)
        return found if found is not None and 0 <= self._clock.now() - found.ts <= RECORDED_NS else None

    def feed_age_ns(self, now: int) -> int | None:
        """Not recorded."""
        return None

    def hear(self, record: ev.Record) -> None:
        """Take in what a fact says about instruments and prices."""
        event = record.event
        if isinstance(event, ev.InstrumentDefined):
            self.add(event.instrument)
        elif isinstance(event, ev.OrderIntended):
            used = event.decision
            if used.mark is not None or (used.best_bid is not None and used.best_ask is not None):
                self._seen[event.instrument] = Quote(used.best_bid, used.best_ask, used.mark, record.ts)
        for market in self.markets.values():
            market.version += 1


class PastVenue:
    """Stands where a venue would; there is nobody to ask."""

    def __init__(self, venue: VenueId) -> None:
        self.id = venue
        nothing: frozenset[NoReturn] = frozenset()
        self.capabilities = Capabilities(
            kinds=nothing, order_types=nothing, times_in_force=nothing, post_only=False, reduce_only=False,
            amend=False, oco=False, lookup_by_client_id=False, candles=False,
        )  # fmt: skip

    @property
    def status(self) -> VenueStatus:
        """Nobody is there."""
        return VenueStatus.OFFLINE

    async def candles(
        self, instrument: InstrumentId, timeframe: str, *, end: int | None = None, limit: int = 500
    ) -> Sequence[Candle]:
        """None were recorded."""
        return ()


class _PastJournal:
    """What departments ask of a journal; it takes nothing and is always up to date."""

    def __init__(self, state: EngineState, journal_id: str) -> None:
        self.recovered = _Recovered(state)
        self.nonce = ""
        self._state = state
        self._journal_id = journal_id
        self._on_durable: list[Callable[[int], None]] = []

    @property
    def meta(self) -> Meta:
        return Meta(self._journal_id, self._state.meta.instance, self._state.meta.epoch)

    @property
    def epoch(self) -> int:
        return self._state.meta.epoch

    @property
    def durable_seq(self) -> int:
        return self._state.seq

    @property
    def snapshot_seq(self) -> int:
        return 0

    @property
    def usage(self) -> Usage | None:
        return None

    def start(self) -> None:
        """Do nothing: nothing is written."""

    async def close(self) -> None:
        """Do nothing: the tape is the player's."""

    @property
    def failure(self) -> JournalError | StaleEpochError | None:
        return None

    def append(self, record: ev.Record) -> None:
        raise ConflictError(NOTHING_CHANGES)

    async def wait_durable(self, seq: int) -> None:
        """Return at once: all that is told is durable."""

    def on_durable(self, callback: Callable[[int], None]) -> None:
        self._on_durable.append(callback)

    def on_failure(self, callback: Callable[[JournalError | StaleEpochError], None]) -> None:
        """Never called: nothing is written."""

    def tell(self) -> None:
        for callback in tuple(self._on_durable):
            callback(self._state.seq)


@dataclass(slots=True)
class _Recovered:
    state: EngineState


NOTHING_CHANGES = "This is a replay of the past: nothing can be changed in it. Go back to the present to act."


@dataclass(slots=True)
class PastEngine:
    """An engine at one moment, and how it is moved on."""

    engine: Engine
    hub: PastHub
    clock: PastClock
    _journal: _PastJournal

    def follow(self, record: ev.Record) -> None:
        """Let the next fact happen."""
        self.clock.position = record.ts
        self.engine.ledger.follow(record)
        if isinstance(record.event, ev.EngineStarted):
            self.engine.pid, self.engine.release, self.engine.started = (
                record.event.pid,
                record.event.release,
                record.ts,
            )
        self._journal.tell()


def past_engine(
    *,
    state: EngineState,
    journal_id: str,
    settings: Settings,
    account: AccountId,
    library: Library,
    clock: PastClock,
    session: Session | None,
    lately: Sequence[ev.Record],
) -> PastEngine:
    """Set the departments over a state of the past.

    Args:
        state: As folded; it is moved on in place.
        journal_id: Of the journal.
        settings: Those of today: limits that were never journalled are theirs.
        account: Whose state is shown.
        library: Never asked to make anything.
        clock: Stands at the state's last fact, or later.
        session: The engine process that had booked it; None before the first.
        lately: The facts of the hour before, oldest first, for what only counts for an hour.
    """
    hub, journal = PastHub(clock, state), _PastJournal(state, journal_id)
    engine = Engine(
        settings=settings,
        journal=journal,
        venues=_plans(state, account),
        library=library,
        clock=clock,
        release=session.release if session is not None else "",
        hub=hub,
    )
    engine.ledger.failed = NOTHING_CHANGES
    for unit in engine.venues.values():
        # What was booked then is all that there is to know.
        unit.recovered = True
    if session is not None:
        engine.pid, engine.started = session.pid, session.begin
    engine.ledger.subscribe(hub.hear)
    engine.ledger.subscribe(lambda record: _count(engine, record))
    for record in lately:
        hub.hear(record)
        engine.recall(record)
        _count(engine, record)
    return PastEngine(engine, hub, clock, journal)


def _plans(state: EngineState, first: AccountId) -> list[VenuePlan]:
    """Every venue of the past with its accounts, that of one account first."""
    nobody = Account(id=first, venue=VenueId(""), mode=TradingMode.PAPER, base_currency=Currency(""))
    accounts = sorted(state.accounts.values(), key=lambda account: account.id != first) or [nobody]
    by_venue: dict[VenueId, list[Account]] = {}
    for account in accounts:
        by_venue.setdefault(account.venue, []).append(account)
    # Nobody asks them for more: nothing of the past acts.
    return [VenuePlan(venue=PastVenue(key), accounts=tuple(those)) for key, those in by_venue.items()]  # type: ignore[arg-type]


def _count(engine: Engine, record: ev.Record) -> None:
    if isinstance(record.event, ev.OrderIntended):
        engine.risk.gate.throttle.count(record.event.owner, record.ts)
