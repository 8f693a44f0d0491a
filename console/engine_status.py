"""What is known of a home folder's engine from outside: its own word when it answers, the lock's when it does not.

An engine that does not answer is a state like any other: it hangs, was stopped by a signal, or is just starting.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from console.home import command_line
from console.quick_look import engine_figures
from console.watch import Alarm, read_alarm, watchdog_pid
from engine.control.lock import find_holder
from engine.errors import QuarterdeckError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from engine.control.lock import LockHolder

__all__ = ["ANSWER_S", "Look", "facts", "line", "look", "sentences"]

ANSWER_S = 2.0
"""Seconds that an engine has to answer."""
MB = 1_000_000


@dataclass(frozen=True, slots=True)
class Look:
    """What a look from outside has found."""

    home: Path
    holder: LockHolder | None
    """Who holds the lock; None when no engine runs."""
    figures: dict[str, Any] | None = None
    """What the engine says of itself; None when it does not answer."""
    watchdog: int = 0
    """Process that would restart it; 0 for none."""
    alarm: Alarm | None = None
    """The last word of a watchdog that gave up."""


def look(home: Path, patience: float = ANSWER_S) -> Look:
    """Look at the engine of a home folder.

    Raises:
        QuarterdeckError: The lock cannot be read, so nobody can tell.
    """
    holder = find_holder(home)
    if holder is None:
        return Look(home, None, alarm=read_alarm(home))
    try:
        figures = engine_figures(home, patience)
    except (OSError, ValueError, KeyError, QuarterdeckError):
        figures = None
    return Look(home, holder, figures, watchdog_pid(home), read_alarm(home))


def facts(found: Look) -> dict[str, Any]:
    """The look as one JSON object."""
    said: dict[str, Any] = {"running": found.holder is not None, "home": str(found.home)}
    if found.holder is not None:
        said["answers"] = found.figures is not None
        if found.holder.pid:
            since = datetime.fromtimestamp(found.holder.started / 1e9, UTC)
            said |= {"pid": found.holder.pid, "release": found.holder.release, "since": since.isoformat()}
        said["watchdog"] = found.watchdog
    if found.figures is not None:
        said["status"] = found.figures
    if found.alarm is not None:
        said["alarm"] = {"at": datetime.fromtimestamp(found.alarm.at / 1e9, UTC).isoformat(), "text": found.alarm.text}
    return said


def sentences(found: Look) -> Iterator[str]:
    """The look for a person, a line each."""
    if found.holder is None:
        yield f"No engine is running in {found.home}."
    elif not found.holder.pid:
        yield f"An engine in {found.home} is just starting or ending."
    elif found.figures is None:
        yield from _silent(found, found.holder)
    else:
        yield from _figures(found, found.holder, found.figures)
    if found.alarm is not None:
        when = datetime.fromtimestamp(found.alarm.at / 1e9, UTC)
        yield f"ALARM of {when:%Y-%m-%d %H:%M:%S} UTC: {found.alarm.text}"


def line(found: Look) -> str:
    """The look in one short line."""
    if found.holder is None:
        return "ALARM: engine not restarted" if found.alarm is not None else "no engine"
    figures = found.figures
    if figures is None:
        return f"ENGINE SILENT (process {found.holder.pid})" if found.holder.pid else "engine starting"
    halted = figures.get("trading") not in ("active", None)
    parts = [
        str(figures.get("mode", "")).upper(),
        str(figures.get("trading")).upper() if halted else "",
        "FAILED" if figures.get("failure") else "",
        f"{figures.get('running_bots')} bots",
        f"{figures.get('open_orders')} orders",
        f"{figures['open_positions']} pos" if "open_positions" in figures else "",
        f"{_amount(figures.get('equity'))} {figures.get('base_currency', '')}".rstrip(),
    ]
    return " · ".join(part for part in parts if part)


def _silent(found: Look, holder: LockHolder) -> Iterator[str]:
    since = datetime.fromtimestamp(holder.started / 1e9, UTC)
    yield (
        f"An engine is running in {found.home}: process {holder.pid}, release {holder.release}, since "
        f"{since:%Y-%m-%d %H:%M:%S} UTC; this is what its lock says."
    )
    yield (
        f"It does not answer: it is still starting, hangs, or was stopped by a signal. {_watched(found)} "
        f"`{command_line(found.home, 'engine logs')}` shows its last words, "
        f"`{command_line(found.home, 'stop --now')}` ends it."
    )


def _figures(found: Look, holder: LockHolder, said: dict[str, Any]) -> Iterator[str]:
    yield (
        f"An engine is running in {found.home}: process {said['pid']}, release {said['release']}, "
        f"since {datetime.fromtimestamp(holder.started / 1e9, UTC):%Y-%m-%d %H:%M:%S} UTC."
    )
    if "started" not in said:
        yield "It speaks another protocol than this command, so it tells no more; both should be of one release."
    rows = {
        "mode": str(said.get("mode", "")).upper() + (f", up {_span(said)}" if "started" in said else ""),
        "trading": _trading(said),
        "bots": f"{said.get('running_bots')} running",
        "orders": f"{said.get('open_orders')} open",
        "positions": f"{said['open_positions']} open" if "open_positions" in said else "",
        "equity": f"{_amount(said.get('equity'))} {said.get('base_currency', '')}".rstrip(),
        "lag": f"{said['lag_ms']:.1f} ms, 99 % of the last minute {said['lag_p99_ms']:.1f} ms"
        if "lag_ms" in said
        else "",
        "memory": f"{said['rss_bytes'] / MB:,.0f} MB" if "rss_bytes" in said else "",
        "journal": _journal(said),
        "watched": _watched(found),
    }
    for name, text in rows.items():
        if text:
            yield f"{name:<10} {text}"


def _trading(said: dict[str, Any]) -> str:
    if said.get("failure"):
        return f"FAILED: {said['failure']}"
    reason = said.get("trading_reason")
    state = str(said.get("trading", ""))
    return state if state == "active" else f"{state.upper()}: {reason}" if reason else state.upper()


def _journal(said: dict[str, Any]) -> str:
    if "durable_seq" not in said:
        return ""
    waiting = said["seq"] - said["durable_seq"]
    budget = said.get("journal_budget_bytes", 0)
    room = f"{said.get('journal_bytes', 0) / MB:,.1f}" + (f" of {budget / MB:,.0f}" if budget else "")
    behind = f", {waiting:,} waiting for the disk" if waiting else ""
    return f"{said['durable_seq']:,} facts are safe{behind}; {room} MB"


def _watched(found: Look) -> str:
    if found.watchdog:
        return f"Watchdog {found.watchdog} restarts it after a crash."
    return "No watchdog of this folder looks after it."


def _span(said: dict[str, Any]) -> str:
    minutes = max(0, said["now"] - said["started"]) // 60_000_000_000
    days, hours, rest = minutes // 1440, minutes // 60 % 24, minutes % 60
    return f"{days} d {hours} h" if days else f"{hours} h {rest} min" if hours else f"{rest} min"


def _amount(value: Any) -> str:
    return "–" if value is None else f"{Decimal(str(value)):,.2f}"
