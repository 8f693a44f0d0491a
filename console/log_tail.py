"""The end of a log file for a person: lines read from behind, followed across rotation, one sentence a record."""

from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

__all__ = ["last_lines", "record_text", "show_log"]

LEVELS = ("debug", "info", "warning", "error", "critical")
HEAD = frozenset({"timestamp", "level", "logger", "event", "exception"})
BLOCK = 64 * 1024
LOOK_S = 0.25


def show_log(
    path: Path, count: int, level: str, say: Callable[[str], object], *, follow: bool = False, raw: bool = False
) -> None:
    """Show the last records of a log, and go on with new ones if wanted.

    Args:
        path: The file.
        count: How many records of that level to begin with.
        level: Least level shown.
        say: Prints a line.
        follow: Go on until interrupted.
        raw: Show lines as they are.
    """
    shown: list[str] = []
    with path.open("rb") as file:
        # Records below the level are read over, so more lines than wanted may have to be looked at.
        for line in last_lines(file.fileno()):
            if len(shown) >= count:
                break
            text = _text(line, level, raw=raw)
            if text is not None:
                shown.append(text)
        end = file.seek(0, os.SEEK_END)
    for text in reversed(shown):
        say(text)
    if follow:
        for line in _new_lines(path, end):
            text = _text(line, level, raw=raw)
            if text is not None:
                say(text)


def last_lines(descriptor: int) -> Iterator[str]:
    """The lines of a file from the last to the first, reading no more of it than is asked for."""
    position = os.fstat(descriptor).st_size
    rest = b""
    while position > 0:
        size = min(BLOCK, position)
        position -= size
        first, *lines = (os.pread(descriptor, size, position) + rest).split(b"\n")
        for line in reversed(lines):
            if line:
                yield line.decode("utf-8", "replace")
        rest = first
    if rest:
        yield rest.decode("utf-8", "replace")


def record_text(record: dict[str, Any]) -> str:
    """One record as a person reads it: when, how grave, what, and its fields."""
    when = str(record.get("timestamp", ""))[:19].replace("T", " ")
    fields = " ".join(f"{name}={_value(value)}" for name, value in record.items() if name not in HEAD)
    head = f"{when} {str(record.get('level', '')).upper():<8} {record.get('event', '')}"
    trace = record.get("exception")
    return f"{head}  {fields}".rstrip() + (f"\n{trace}" if trace else "")


def _value(value: Any) -> str:
    return value if isinstance(value, str) and " " not in value else json.dumps(value, ensure_ascii=False)


def _text(line: str, level: str, *, raw: bool) -> str | None:
    """A line as it is shown; None when it is below the level."""
    try:
        record = json.loads(line)
    except ValueError:
        return line
    if not isinstance(record, dict):
        return line
    said = str(record.get("level", "info")).lower()
    if said in LEVELS and LEVELS.index(said) < LEVELS.index(level.lower()):
        return None
    return line if raw else record_text(record)


def _new_lines(path: Path, position: int) -> Iterator[str]:
    """Lines as they are written; a file that is begun anew is read from its beginning."""
    rest, over = b"", False
    file = path.open("rb")
    try:
        file.seek(position)
        while True:
            data = file.read()
            *lines, rest = (rest + data).split(b"\n")
            yield from (line.decode("utf-8", "replace") for line in lines)
            if data:
                continue
            if over:
                file.close()
                file, rest, over = path.open("rb"), b"", False
            elif _replaced(path, file.fileno()):
                # Read once more: something may have been written just before.
                over = True
            else:
                time.sleep(LOOK_S)
    finally:
        file.close()


def _replaced(path: Path, descriptor: int) -> bool:
    try:
        return not os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False
