"""How every part of the engine is, a row each, from the most to the least urgent for money."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engine.control.views import HealthRow
from engine.execution.connection import ConnectionState
from engine.model.entries import BotState, TradingState
from engine.model.faults import BreakerState, Severity
from engine.model.ids import venue_of
from engine.model.order import OrderStatus
from engine.model.verification import Grade

if TYPE_CHECKING:
    from engine.control.context import Context
    from engine.engine import Engine
    from engine.venue_unit import VenueUnit

__all__ = ["health_rows"]

OK, WARNING, FAILED, OFF = "ok", "warning", "failed", "off"
BACKLOG = 1_000
"""Facts that wait for the disk before it is worth a word."""
HOUR_NS = 3_600_000_000_000
STALE_MS = 10_000.0
LAG_MS = 50.0
LATE_ROUNDS = 3
"""Rounds of checks that may be missed before it is worth a word."""
BEHIND = 5_000
"""Facts that the history may be behind."""


def _row(component: str, state: str, summary: str, **figures: Any) -> HealthRow:
    return HealthRow(component=component, state=state, summary=summary, figures=figures)


def health_rows(context: Context) -> list[HealthRow]:
    """Every part of the engine now; without an engine only what a home folder has by itself."""
    engine = context.engine
    if context.replay is not None:
        return [_row("engine", OFF, "This is a replay of the past; how the engine's parts were then is not recorded.")]
    if engine is None:
        return [_row("engine", OFF, "No engine runs here."), _reports(context), _jobs(context)]
    return [
        _engine(engine),
        _journal(engine),
        _disk(engine),
        *(_venue(engine, unit) for unit in engine.venues.values()),
        _state(engine),
        _feeds(engine),
        _recorder(context, engine),
        _risk(engine),
        _bots(engine),
        _loop(engine),
        _errors(context, engine),
        _reports(context),
        _jobs(context),
        _backups(context),
        _clients(context),
    ]


def _engine(engine: Engine) -> HealthRow:
    if engine.failure or engine.ledger.failed:
        return _row("engine", FAILED, engine.failure or str(engine.ledger.failed))
    if engine.stopped:
        return _row("engine", OFF, "The engine has stopped.")
    hours = (engine.clock.now() - engine.started) / 3.6e12
    return _row("engine", OK, f"Running for {hours:.1f} h, release {engine.release}.", seq=engine.ledger.seq)


def _journal(engine: Engine) -> HealthRow:
    journal = engine.journal
    waiting = engine.ledger.seq - journal.durable_seq
    figures = {"durable": journal.durable_seq, "waiting": waiting, "snapshot": journal.snapshot_seq}
    if journal.failure is not None:
        return _row("journal", FAILED, journal.failure.message, **figures)
    if waiting > BACKLOG:
        return _row("journal", WARNING, f"{waiting:,} facts wait for the disk.", **figures)
    return _row("journal", OK, f"{journal.durable_seq:,} facts are safe.", **figures)


def _disk(engine: Engine) -> HealthRow:
    usage = engine.journal.usage
    if usage is None:
        return _row("disk", OFF, "The disk has not been looked at yet.")
    figures = {
        "journal_mb": round(usage.live / 1e6, 1),
        "snapshots_mb": round(usage.snapshots / 1e6, 1),
        "archive_mb": round(usage.archive / 1e6, 1),
        "budget_mb": round(usage.budget / 1e6),
        "free_mb": round(usage.free / 1e6),
    }
    if usage.words:
        # Beyond its budget the journal still takes every fact; without room on the disk it will not.
        return _row("disk", FAILED if usage.nearly_full else WARNING, usage.words, **figures)
    of = f" of {usage.budget / 1e6:,.0f}" if usage.budget else ""
    words = f"The journal takes {usage.total / 1e6:,.1f}{of} MB; {usage.free / 1e9:,.0f} GB are free."
    return _row("disk", OK, words, **figures)


def _venue(engine: Engine, unit: VenueUnit) -> HealthRow:
    orders = [order for order in engine.state.orders.values() if venue_of(order.instrument) == unit.id]
    unknown = sum(order.status is OrderStatus.UNKNOWN for order in orders)
    figures: dict[str, Any] = {"open_orders": len(orders), "unsent": engine.dispatcher.waiting, "unknown": unknown}
    line, breaker = unit.connection, unit.guard.breaker
    name = "venue" if len(engine.venues) == 1 else f"venue {unit.id}"
    figures |= {"connection": str(line.state), "losses": line.losses, "breaker": str(breaker.state)}
    if line.state in (ConnectionState.SAFE, ConnectionState.OFFLINE):
        return _row(name, FAILED, f"{line.reason} {line.attempts} attempts so far.", **figures)
    if line.state is not ConnectionState.ONLINE:
        return _row(name, WARNING, f"{unit.id} is in {line.state}: {line.reason}", **figures)
    if breaker.state is not BreakerState.CLOSED:
        why = breaker.standing.reason
        words = f"{unit.id} keeps failing ({why}): questions wait; orders and cancels still go there."
        return _row(name, WARNING, words, **figures)
    if unknown:
        words = f"{unit.id} is being asked what became of {unknown} order{'s' if unknown > 1 else ''}."
        return _row(name, WARNING, words, **figures)
    return _row(name, OK, f"{unit.id} answers; {len(orders)} orders are open.", **figures)


def _state(engine: Engine) -> HealthRow:
    """What the last round of checks, or else the verification of the start, has told."""
    monitor, report = engine.default.monitor, engine.default.report
    last, now = monitor.last, engine.clock.now()
    findings = last.findings if last is not None else report.findings if report is not None else ()
    figures = {"findings": len(findings), "round_ms": None if last is None else last.duration_ms}
    when = (
        "at the start"
        if last is None or monitor.checked_at is None
        else f"{(now - monitor.checked_at) / 1e9:.0f} s ago"
    )
    if report is None:
        return _row("state", OFF, "The state is being verified.", **figures)
    if findings:
        grave = any(f.grade in (Grade.CORRUPT, Grade.FAILED) for f in findings)
        words = f"{findings[0].text} {findings[0].correction}".strip()
        more = f" There are {len(findings) - 1} more." if len(findings) > 1 else ""
        return _row("state", FAILED if grave else WARNING, f"Checked {when}: {words}{more}", **figures)
    if (
        monitor.checked_at is not None
        and now - monitor.checked_at > LATE_ROUNDS * monitor.figures.validation_frequency * 1e9
    ):
        return _row("state", WARNING, f"The state was last checked {when}.", **figures)
    return _row("state", OK, f"Checked {when}: memory and {engine.venue.id} tell the same.", **figures)


def _feeds(engine: Engine) -> HealthRow:
    markets = engine.hub.markets.values()
    dead = [str(market.instrument.symbol) for market in markets if not market.live]
    age = engine.hub.feed_age_ns(engine.clock.now())
    age_ms = None if age is None else round(age / 1e6, 1)
    figures = {"markets": len(markets), "not_live": len(dead), "age_ms": age_ms}
    if dead:
        return _row("feeds", WARNING, f"No live book of {', '.join(dead)}.", **figures)
    if age_ms is not None and age_ms > STALE_MS:
        return _row("feeds", WARNING, f"The stalest market is {age_ms / 1e3:.0f} s old.", **figures)
    return _row("feeds", OK, f"{len(markets)} markets are live.", **figures)


def _recorder(context: Context, engine: Engine) -> HealthRow:
    if context.recording is None or context.recording.settings.what == "off":
        return _row("recorder", OFF, "Nothing is recorded; the setting recorder.what says so.")
    recorder, quota = context.recording.recorder, context.recording.settings.quota_bytes
    figures = {
        "markets": len(recorder.instruments),
        "rows": recorder.written_events,
        "bytes": recorder.written_bytes,
        "dropped": recorder.dropped,
        "quota_share": round(recorder.held_bytes / quota, 4),
    }
    if recorder.stopped:
        return _row("recorder", WARNING, f"{recorder.stopped} Recording has stopped; trading goes on.", **figures)
    if not recorder.instruments:
        return _row("recorder", OFF, "No market is recorded now.", **figures)
    words = f"{len(recorder.instruments)} markets are recorded; recordings take {recorder.held_bytes / 1e6:,.1f} MB."
    if recorder.dropped:
        return _row("recorder", WARNING, f"{words} {recorder.dropped:,} events were left out.", **figures)
    return _row("recorder", OK, words, **figures)


def _risk(engine: Engine) -> HealthRow:
    state, breakers = engine.state.trading_state(), len(engine.state.breakers)
    if state is TradingState.ACTIVE and not breakers:
        return _row("risk", OK, "Trading is active, no breaker is open.", breakers=0)
    return _row("risk", WARNING, f"Trading is {state}, {breakers} breakers are open.", breakers=breakers)


def _bots(engine: Engine) -> HealthRow:
    bots = engine.state.bots.values()
    running = sum(bot.state is BotState.RUNNING for bot in bots)
    failed = [bot.name for bot in bots if bot.state is BotState.ERROR]
    figures = {"bots": len(bots), "running": running, "failed": len(failed)}
    if failed:
        return _row("bots", WARNING, f"{', '.join(failed)} stopped by an error.", **figures)
    return _row("bots", OK, f"{running} of {len(bots)} bots are running.", **figures)


def _loop(engine: Engine) -> HealthRow:
    lag = engine.lag
    figures = {"last_second_ms": lag.last_second_ms, "p99_ms": lag.p99_ms, "worst_ms": lag.worst_ms}
    rounded = {name: round(value, 2) for name, value in figures.items()}
    state = WARNING if lag.p99_ms > LAG_MS else OK
    return _row("event loop", state, f"p99 of the last minute is {lag.p99_ms:.1f} ms late.", **rounded)


def _errors(context: Context, engine: Engine) -> HealthRow:
    book, groups = context.error_book, engine.errors.groups()
    since = engine.clock.now() - HOUR_NS
    recent = [group for group in groups if group.last > since]
    worst = max((group.severity for group in recent), key=lambda severity: severity.rank, default=Severity.LOW)
    figures = {
        "total": engine.errors.total,
        "kinds_last_hour": len(recent),
        "recoveries": len(engine.scenarios.under_way),
        "not_kept": engine.errors.dropped,
    }
    if book is not None and book.problem:
        return _row("errors", WARNING, f"Errors are not being kept: {book.problem}", **figures)
    if engine.scenarios.under_way:
        now = engine.scenarios.under_way[-1]
        return _row("errors", WARNING, f"{now.kind.words} ({now.subject}): {now.cause}", **figures)
    if worst.rank >= Severity.HIGH.rank:
        return _row("errors", WARNING, f"{len(recent)} kinds within an hour, the worst {worst}.", **figures)
    words = f"{len(recent)} kinds within an hour." if recent else "Nothing went wrong within an hour."
    return _row("errors", OK, words, **figures)


def _clients(context: Context) -> HealthRow:
    control = context.control
    if control is None:
        return _row("clients", OFF, "The socket for other consoles and commands is not open.")
    rows, counted = control.clients(), control.counters
    figures = {
        "connected": len(rows),
        "since_start": counted["clients"],
        "cut_off": counted["cut_off"],
        "refused_calls": counted["refused"],
        "strangers": counted["strangers"],
        "waiting": sum(row.waiting for row in rows),
        "replaced": sum(row.replaced for row in rows),
    }
    if counted["strangers"]:
        return _row("clients", WARNING, "Another user has tried to reach the engine and was refused.", **figures)
    words = ", ".join(row.actor for row in rows) if rows else "Nobody else is connected"
    return _row("clients", OK, f"{words}.", **figures)


def _reports(context: Context) -> HealthRow:
    reports, projector = context.reports, context.projector
    if reports is None:
        return _row("reports", OFF, "There is no report database here.")
    behind = projector.behind if projector is not None else None
    if reports.breaker.state is not BreakerState.CLOSED:
        why = reports.breaker.standing.reason
        return _row("reports", FAILED, f"The report database keeps failing and is left alone: {why}", behind=behind)
    if reports.problem:
        return _row("reports", FAILED, reports.problem, behind=behind)
    if not reports.is_open:
        return _row("reports", OFF, "The report database has not been needed yet.", behind=behind)
    if projector is not None and projector.problem:
        return _row("reports", WARNING, f"The history is not written: {projector.problem}", behind=behind)
    if context.quality_book is not None and context.quality_book.problem:
        problem = context.quality_book.problem
        return _row("reports", WARNING, f"Execution quality is not written: {problem}", behind=behind)
    if behind is not None and behind > BEHIND:
        return _row("reports", WARNING, f"The history is {behind:,} facts behind.", behind=behind)
    return _row("reports", OK, "The report database is open.", behind=behind)


def _jobs(context: Context) -> HealthRow:
    if context.jobs is None:
        return _row("jobs", OFF, "No heavy work is done here.")
    rows = context.jobs.rows()
    running, waiting = (sum(row.state == state for row in rows) for state in ("running", "queued"))
    words = f"{running} running, {waiting} waiting." if running or waiting else "Nothing is running."
    return _row("jobs", OK, words, running=running, waiting=waiting)


def _backups(context: Context) -> HealthRow:
    backups = context.backups
    if backups is None or not backups.every_hours:
        return _row("backups", OFF, "No backups are made by themselves here.")
    if backups.problem:
        return _row("backups", WARNING, f"The last backup failed: {backups.problem}")
    if backups.newest is None:
        return _row("backups", OK, f"One is made every {backups.every_hours:g} h.")
    hours = round((context.clock.now() - backups.newest) / 3.6e12, 1)
    return _row("backups", OK, f"The newest backup is {hours} h old.", hours=hours)
