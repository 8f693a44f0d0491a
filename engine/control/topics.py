"""Topics: what can be watched, how often it is sent, and who watches.

State topics are newest-wins: a watcher gets the present view, then a new one whenever it differs, no more often than
the topic's interval. Topics of facts are in order and complete from the moment of subscribing, and told only once
durable. Views are built once for all watchers of the same topic and filters.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from engine import events as ev
from engine.control.facts import Fact, FactLog
from engine.control.link import Delta, DeltaHandler
from engine.control.present.activity import activity
from engine.control.present.algos import parent_row
from engine.control.present.bots import bot_row
from engine.control.present.market import book_view, candle_view, ticker_row, trades_view
from engine.control.present.measured import metrics_view, regimes_view
from engine.control.present.orders import fill_row, order_row
from engine.control.present.portfolio import balance_rows, overview, position_rows
from engine.control.present.risk import risk_view
from engine.control.present.status import engine_status
from engine.control.present.venues import venue_rows
from engine.control.topic_table import FACT_TOPICS, STATE_FILTERS, fits, wanted_filters
from engine.control.views_errors import NoticeRow
from engine.errors import NotFoundError, QuarterdeckError
from engine.logs import get_logger
from engine.model.ids import InstrumentId
from storage.journal import Query

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from engine.control.context import Context
    from engine.control.views_replay import ReplayView
    from engine.engine import Engine

__all__ = ["FACT_TOPICS", "STATE_TOPICS", "StateTopic", "Topics", "Watcher"]

log = get_logger(__name__)

STEP_S = 0.05
"""How often topics are looked at."""
NOTICES = 50
"""Notices that are shown at once."""
OWN_S = 0.04
"""Shortest time between two views of one's own money, so that every step looks: what a console shows of it may be a
quarter of a second old, and drawing five times a second takes most of that."""
KEPT_FACTS = 500
"""Facts told to a new watcher at once."""
FAILED_S = 1.0
"""Pause before a view that could not be made is tried again."""
PAGE = 200
"""Facts read from the journal at once: putting them into words is work of the loop."""


@dataclass(frozen=True, slots=True)
class StateTopic:
    """One newest-wins topic."""

    doc: str
    """What it shows, in one sentence."""
    interval_s: float
    """Shortest time between two views."""
    build: Callable[[Context, dict[str, Any]], Any]
    version: Callable[[Context, dict[str, Any]], object]
    """Something that differs whenever the view could; compared before anything is built."""
    filters: Mapping[str, Any] = field(default_factory=dict)
    """Filter -> default; a default of None means that it must be given."""


def _market(context: Context, filters: dict[str, Any]) -> object:
    market = context.need_engine().hub.market(InstrumentId(filters["instrument"]))
    return market.version, context.need_engine().state.seq


def _trades(context: Context, filters: dict[str, Any]) -> object:
    return context.need_engine().hub.market(InstrumentId(filters["instrument"])).trades


def _candles(context: Context, filters: dict[str, Any]) -> object:
    hub, instrument = context.need_engine().hub, InstrumentId(filters["instrument"])
    series = hub.series(instrument, str(filters["timeframe"]))
    # A bar also closes by time alone.
    return hub.market(instrument).trades, series.closed[-1] if series.closed else None, series.growing


def _markets(context: Context, _: dict[str, Any]) -> object:
    return sum(market.version for market in context.need_engine().hub.markets.values())


def _facts(context: Context, _: dict[str, Any]) -> object:
    return context.need_engine().state.seq


def _valued(context: Context, filters: dict[str, Any]) -> object:
    return _facts(context, filters), _markets(context, filters)


def _parents(context: Context, filters: dict[str, Any]) -> object:
    # What is due by a schedule moves with time alone.
    return _facts(context, filters), context.need_engine().state.parents and _always(context, filters)


def _always(context: Context, _: dict[str, Any]) -> object:
    return context.need_engine().clock.now()


def _jobs(context: Context, _: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(context.jobs.rows()) if context.jobs is not None else ()


def _notices(context: Context, _: dict[str, Any]) -> tuple[NoticeRow, ...]:
    newest = tuple(context.need_engine().errors.notices)[-NOTICES:]
    return tuple(
        NoticeRow(number=n.number, ts=n.ts, severity=str(n.severity), component=n.component, text=n.text)
        for n in newest
    )


def _replay(context: Context, _: dict[str, Any]) -> ReplayView:
    return context.need_replay().view()


STATE_TOPICS: dict[str, StateTopic] = {
    "engine.status": StateTopic(
        "The engine as a whole: mode, age, lag, halts, equity.",
        0.5,
        lambda c, f: engine_status(c.need_engine()),
        _always,
    ),
    "market.book": StateTopic(
        "The top of a book with our own orders in it.",
        0.1,
        lambda c, f: book_view(c.need_engine(), InstrumentId(f["instrument"]), int(f["depth"])),
        _market,
        STATE_FILTERS["market.book"],
    ),
    "market.trades": StateTopic(
        "Recent public trades, newest first.",
        0.2,
        lambda c, f: trades_view(c.need_engine(), InstrumentId(f["instrument"]), int(f["limit"])),
        _trades,
        STATE_FILTERS["market.trades"],
    ),
    "market.candles": StateTopic(
        "The last closed and the growing candle of a timeframe.",
        0.25,
        lambda c, f: candle_view(c.need_engine(), InstrumentId(f["instrument"]), str(f["timeframe"])),
        _candles,
        STATE_FILTERS["market.candles"],
    ),
    "market.tickers": StateTopic(
        "Every market in a line.",
        0.5,
        lambda c, f: tuple(ticker_row(m) for m in c.need_engine().hub.markets.values()),
        _markets,
    ),
    "algos.state": StateTopic(
        "Parent orders that run, newest first.",
        0.25,
        lambda c, f: tuple(parent_row(c.need_engine(), p) for p in reversed(c.need_engine().state.parents.values())),
        _parents,
    ),
    "orders.open": StateTopic(
        "Open orders, newest first.",
        0.1,
        lambda c, f: tuple(order_row(c.need_engine(), o) for o in reversed(c.need_engine().state.orders.values())),
        _facts,
    ),
    "portfolio.overview": StateTopic("The account in figures.", OWN_S, lambda c, f: overview(c.need_engine()), _valued),
    "portfolio.positions": StateTopic(
        "Open positions by owner.", OWN_S, lambda c, f: tuple(position_rows(c.need_engine())), _valued
    ),
    "portfolio.balances": StateTopic(
        "Balances by currency.", OWN_S, lambda c, f: tuple(balance_rows(c.need_engine())), _valued
    ),
    "bots.state": StateTopic(
        "All bots, the newest first.",
        OWN_S,
        lambda c, f: tuple(bot_row(c.need_engine(), b) for b in reversed(c.need_engine().state.bots.values())),
        _valued,
    ),
    "risk.metrics": StateTopic(
        "Value at risk, expected shortfall, drawdown and Sharpe ratio of what is held.",
        1.0,
        lambda c, f: metrics_view(c.need_engine()),
        lambda c, f: (c.need_engine().risk_watch.metrics, c.need_engine().risk_watch.problem),
    ),
    "risk.regimes": StateTopic(
        "Market regimes, and what they make of sizes, limits and stops.",
        5.0,
        lambda c, f: regimes_view(c.need_engine()),
        _always,
    ),
    "risk.state": StateTopic(
        "Trading state, limits in use and breakers.", 1.0, lambda c, f: risk_view(c.need_engine()), _always
    ),
    "errors.notices": StateTopic(
        "What a person should know of errors, the newest last; the number counts up within a process.",
        0.25,
        _notices,
        lambda c, f: c.need_engine().errors.last_number,
    ),
    "replay.state": StateTopic("Where a replay stands; only a replay has it.", 0.1, _replay, _replay),
    "venues.state": StateTopic(
        "How the way to every venue is.", 1.0, lambda c, f: tuple(venue_rows(c.need_engine())), _always
    ),
    "jobs.state": StateTopic("Jobs that wait, run or have ended.", 0.25, _jobs, _jobs),
}


class Watcher:
    """One subscription. Implements `engine.control.link.Subscription`."""

    __slots__ = ("_topics", "closed", "filters", "handler", "seq", "topic")

    def __init__(self, topics: Topics, topic: str, handler: DeltaHandler, filters: dict[str, Any]) -> None:
        self.topic = topic
        self.handler = handler
        self.filters = filters
        self.seq = 0
        self.closed = False
        self._topics = topics

    def close(self) -> None:
        """Hear no more."""
        self.closed = True
        self._topics.forget(self)

    def tell(self, data: Any, *, snapshot: bool, seq: int | None = None) -> None:
        """Hand a message over; whatever the handler raises stays with it."""
        if self.closed:
            return
        self.seq = self.seq + 1 if seq is None else seq
        try:
            self.handler(Delta(self.topic, self.seq, snapshot, data))
        except Exception:
            # A watcher's fault must not keep the others from hearing.
            log.exception("a watcher failed", topic=self.topic)


@dataclass(slots=True)
class _Shared:
    """All watchers of one topic with the same filters."""

    topic: StateTopic
    filters: dict[str, Any]
    watchers: list[Watcher] = field(default_factory=list)
    version: object = None
    data: Any = None
    due: int = 0
    failed: bool = False


class Topics:
    """All subscriptions of one engine."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._shared: dict[tuple[str, tuple[tuple[str, Any], ...]], _Shared] = {}
        self._facts: dict[str, list[Watcher]] = {name: [] for name in FACT_TOPICS}
        self._waiting: deque[tuple[int, str, Any]] = deque()
        self._fresh: list[tuple[str, Watcher]] = []
        self._listeners: list[Callable[[], None]] = []
        begins = context.engine.ledger.seq if context.engine is not None else 0
        self.logs: dict[str, FactLog] = {name: FactLog(begins) for name in FACT_TOPICS}
        """The newest facts of every topic of facts."""
        self._listen()

    def _listen(self) -> None:
        engine = self._context.engine
        if engine is not None:
            engine.ledger.subscribe(self._on_record)
            engine.journal.on_durable(self._on_durable)

    def begin_anew(self, lately: Sequence[ev.Record] = ()) -> None:
        """Go on with another engine that was put into the context: every watcher gets a snapshot of it.

        Args:
            lately: Facts that a new watcher is told at once, oldest first.
        """
        self._waiting.clear()
        engine = self._context.need_engine()
        begins = lately[0].seq - 1 if lately else engine.ledger.seq
        for log_ in self.logs.values():
            log_.begin_anew(begins)
        for record in lately:
            self._on_record(record)
        while self._waiting:
            seq, topic, data = self._waiting.popleft()
            self.logs[topic].add(Fact(seq, data))
        for topic, watchers in self._facts.items():
            self._fresh += [(topic, watcher) for watcher in watchers if not watcher.closed]
            watchers.clear()
        for shared in self._shared.values():
            shared.version = shared.data = None
            shared.due = 0
        self._listen()
        for listener in tuple(self._listeners):
            listener()

    def subscribe(self, topic: str, handler: DeltaHandler, filters: Mapping[str, Any]) -> Watcher:
        """Begin to watch; the first message comes on a later turn of the loop.

        Raises:
            NotFoundError: There is no such topic.
            ValidationError: A filter is unknown or missing.
        """
        wanted = wanted_filters(topic, filters, {name: entry.filters for name, entry in STATE_TOPICS.items()})
        watcher = Watcher(self, topic, handler, wanted)
        if topic in self._facts:
            self._fresh.append((topic, watcher))
            return watcher
        found = STATE_TOPICS[topic]
        # A wrong instrument or timeframe is the caller's fault and said at once.
        found.build(self._context, wanted)
        key = (topic, tuple(sorted(wanted.items())))
        shared = self._shared.setdefault(key, _Shared(found, wanted))
        shared.watchers.append(watcher)
        shared.due = 0
        shared.version = None
        return watcher

    def forget(self, watcher: Watcher) -> None:
        """Drop a watcher; topics nobody watches cost nothing."""
        for watchers in self._facts.values():
            if watcher in watchers:
                watchers.remove(watcher)
        for key, shared in list(self._shared.items()):
            if watcher in shared.watchers:
                shared.watchers.remove(watcher)
                if not shared.watchers:
                    del self._shared[key]

    async def run(self) -> None:
        """Send what is due, until cancelled; one topic a turn, so that the loop is never held for long."""
        clock = self._context.clock
        while True:
            self._greet()
            for shared in list(self._shared.values()):
                if clock.monotonic() >= shared.due:
                    self._send(shared, clock.monotonic())
                    await asyncio.sleep(0)
            await clock.sleep(STEP_S)

    def _send(self, shared: _Shared, now: int) -> None:
        try:
            version = shared.topic.version(self._context, shared.filters)
            if version == shared.version:
                return
            data = shared.topic.build(self._context, shared.filters)
        except Exception as error:  # one view that cannot be made must not stop the others
            if not shared.failed:
                log.warning("a topic cannot be shown", problem=str(error), exc_info=_trace(error))
                self._report(error, "show a topic")
            shared.failed = True
            shared.due = now + int(FAILED_S * 1e9)
            return
        changed = data != shared.data
        shared.version, shared.data, shared.failed = version, data, False
        shared.due = now + int(shared.topic.interval_s * 1e9)
        for watcher in tuple(shared.watchers):
            if changed or not watcher.seq:
                watcher.tell(data, snapshot=True)

    def _report(self, error: Exception, what: str) -> None:
        if self._context.engine is not None:
            self._context.engine.errors.report(error, component="topics", operation=what)

    # --- facts -------------------------------------------------------------------------------------------------------

    def on_facts(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Have a function called whenever facts were told; what is returned ends that."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    async def page(self, topic: str, cursor: int) -> tuple[list[Fact], int]:
        """Facts after a cursor from the journal, oldest first, and the cursor behind them.

        Raises:
            NotFoundError: There is no such topic of facts, or no journal to read.
        """
        reader = self._context.reader
        if reader is None or topic not in self.logs:
            raise NotFoundError(f"The facts of {topic} before {self.logs[topic].floor} cannot be read here.")
        query = Query(kinds=("OrderFilled",)) if topic == "orders.fills" else Query()
        page = await reader.since(cursor, PAGE, query)
        return list(_told(self._context.need_engine(), topic, page.records)), page.cursor

    def _on_record(self, record: ev.Record) -> None:
        engine = self._context.need_engine()
        for topic in FACT_TOPICS:
            for fact in _told(engine, topic, (record,)):
                self._waiting.append((fact.seq, topic, fact.data))

    def _on_durable(self, durable: int) -> None:
        while self._waiting and self._waiting[0][0] <= durable:
            seq, topic, data = self._waiting.popleft()
            self.logs[topic].add(Fact(seq, data))
            for watcher in tuple(self._facts[topic]):
                if fits(watcher.filters, data):
                    watcher.tell(data, snapshot=False, seq=seq)
        for log_ in self.logs.values():
            log_.reach(durable)
        for listener in tuple(self._listeners):
            listener()

    def _greet(self) -> None:
        fresh, self._fresh = self._fresh, []
        for topic, watcher in fresh:
            kept = self.logs[topic].last(KEPT_FACTS)
            told = tuple(fact.data for fact in kept if fits(watcher.filters, fact.data))
            watcher.tell(told, snapshot=True, seq=self.logs[topic].newest)
            if not watcher.closed:
                self._facts[topic].append(watcher)


def _told(engine: Engine, topic: str, records: Iterable[ev.Record]) -> Iterable[Fact]:
    """What a topic says of these facts; about some it says nothing."""
    for record in records:
        try:
            if topic == "facts.activity":
                data: Any = activity(engine.state, record)
            else:
                data = fill_row(engine, record.seq, record.event) if isinstance(record.event, ev.OrderFilled) else None
        except Exception as error:  # a fact that cannot be put into words must not harm whoever booked it
            log.exception("a fact cannot be told", fact=ev.event_name(record.event), seq=record.seq)
            engine.errors.report(error, component="topics", operation=f"tell {ev.event_name(record.event)}")
            continue
        if data is not None:
            yield Fact(record.seq, data)


def _trace(error: Exception) -> Exception | None:
    return None if isinstance(error, QuarterdeckError) else error
