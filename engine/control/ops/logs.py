"""The operation on the log: its newest lines, by level and text."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

import orjson

from engine.control.registry import operation
from engine.control.requests_listing import LogQuery
from engine.control.views_records import LogLine
from engine.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from engine.control.context import Context

MOST_BYTES = 8 << 20
"""How far back a log is read, from its end."""
BLOCK = 1 << 16
_OWN = frozenset({"timestamp", "level", "logger", "event"})


@operation("logs.tail", LogQuery, offline=True)
async def tail(context: Context, request: LogQuery) -> list[LogLine]:
    """The newest lines of a log of at least a level, with a text in them; the oldest of them first."""
    return await asyncio.to_thread(_tail, context.home / "logs" / f"{request.log}.log", request)


def _tail(file: Path, request: LogQuery) -> list[LogLine]:
    least, text = logging.getLevelName(request.level), (request.text or "").lower()
    found: list[LogLine] = []
    try:
        for raw in _backwards(file):
            if text and text not in raw.lower():
                continue
            line = _line(raw)
            if line is None or _rank(line.level) < least:
                continue
            found.append(line)
            if len(found) >= request.limit:
                break
    except FileNotFoundError:
        return []
    except OSError as error:
        raise DataError(f"The log {file} cannot be read: {error.strerror}.") from error
    return found[::-1]


def _backwards(file: Path) -> Iterator[str]:
    """Whole lines from the end of a file on."""
    with file.open("rb") as source:
        place = source.seek(0, 2)
        oldest = max(0, place - MOST_BYTES)
        rest = b""
        while place > oldest:
            step = min(BLOCK, place - oldest)
            place -= step
            source.seek(place)
            lines = (source.read(step) + rest).split(b"\n")
            rest = lines.pop(0)
            for line in reversed(lines):
                if line:
                    yield line.decode("utf-8", "replace")
        if rest and place == 0:
            yield rest.decode("utf-8", "replace")


def _line(raw: str) -> LogLine | None:
    try:
        values: Any = orjson.loads(raw)
    except orjson.JSONDecodeError:
        # What a process printed before its log was open: plain text.
        values = None
    if not isinstance(values, dict):
        return LogLine(ts="", level="", logger="", event=raw)
    return LogLine(
        ts=str(values.get("timestamp", "")),
        level=str(values.get("level", "")),
        logger=str(values.get("logger", "")),
        event=str(values.get("event", "")),
        fields={key: value for key, value in values.items() if key not in _OWN},
    )


def _rank(level: str) -> int:
    rank = logging.getLevelName(level.upper())
    # A line without a level may be a trace of a crash: it is never left out.
    return rank if isinstance(rank, int) else logging.CRITICAL
