"""What the commands that need no engine share: running an operation, times as a person writes them, tables, JSON."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

import click

from console.home import prepare_home

if TYPE_CHECKING:
    from pathlib import Path

    from engine.control.offline import Offline

__all__ = ["Pair", "Until", "call", "in_home", "pairs", "show_json", "table", "utc"]

T = TypeVar("T")


def in_home(home: Path, work: Callable[[Offline], Awaitable[T]]) -> T:
    """Do something with the operations of a home folder; what it refuses with ends the command in a sentence."""
    from engine.control.offline import offline

    async def run() -> T:
        async with offline(prepare_home(home)) as host:
            return await work(host)

    return asyncio.run(run())


def call(home: Path, operation: str, params: Mapping[str, Any] | None = None) -> Any:
    """Run one operation and give its reply."""
    return in_home(home, lambda host: host.call(operation, params))


def show_json(data: Any) -> None:
    """Print one JSON object or array."""
    click.echo(json.dumps(data, indent=2, ensure_ascii=False))


def utc(ns: int) -> str:
    """UTC nanoseconds to the minute."""
    return f"{datetime.fromtimestamp(ns // 10**9, UTC):%Y-%m-%d %H:%M}"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print aligned columns; those whose head begins with a space are set to the right."""
    lines = [tuple(name.strip() for name in head), *(tuple(row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    for line in lines:
        cells = (
            text.rjust(width) if name.startswith(" ") else text.ljust(width)
            for name, text, width in zip(head, line, widths, strict=True)
        )
        click.echo("  ".join(cells).rstrip())


class Until(click.ParamType):
    """The end of a range: a day counts whole, a time is where the range ends."""

    name = "time"

    def convert(self, value: Any, _param: click.Parameter | None, _ctx: click.Context | None) -> str:
        """The end as the operations want it, which never includes the moment named."""
        text = str(value).strip()
        try:
            day = datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
        except ValueError:
            return text
        return (day + timedelta(days=1)).isoformat()


class Pair(click.ParamType):
    """`NAME=VALUE`."""

    name = "NAME=VALUE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        """Name and value, both without spaces around them."""
        if isinstance(value, tuple):
            return value
        name, sign, rest = str(value).partition("=")
        if not sign or not name.strip():
            self.fail(f"{value!r} is not NAME=VALUE, such as fast_ma=20.", param, ctx)
        return name.strip(), rest.strip()


def pairs(given: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Pairs as a mapping.

    Raises:
        UsageError: A name is given twice.
    """
    found: dict[str, str] = {}
    for name, value in given:
        if name in found:
            raise click.UsageError(f"{name} is given twice.")
        found[name] = value
    return found
