"""What the commands that need no engine share: running an operation, times as a person writes them, tables, JSON."""

from __future__ import annotations

import asyncio
import os
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from console.home import prepare_home
from engine.model.text import clean

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

    from engine.control.offline import Offline
    from engine.control.views import JobRow

__all__ = ["Pair", "Until", "call", "do_job", "in_home", "pairs", "strategy_name", "table", "utc"]

T = TypeVar("T")
POLL_S = 0.05


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


async def do_job(host: Offline, operation: str, params: Mapping[str, Any]) -> JobRow:
    """Run an operation that begins a job, and wait for its end, telling a person how far it is.

    Raises:
        ClickException: The job failed; the message is its own.
    """
    job: JobRow = await host.call(operation, params)
    watched = sys.stderr.isatty()
    while job.state in ("queued", "running"):
        await asyncio.sleep(POLL_S)
        job = await host.call("jobs.get", {"id": job.id})
        if watched:
            click.echo(f"\r\x1b[2K{job.progress:4.0%} {clean(job.message)}", nl=False, err=True)
    if watched:
        click.echo("\r\x1b[2K", nl=False, err=True)
    if job.state != "done":
        raise click.ClickException(clean(job.message) or f"The job was {job.state}.")
    return job


def utc(ns: int) -> str:
    """UTC nanoseconds to the minute."""
    return f"{datetime.fromtimestamp(ns // 10**9, UTC):%Y-%m-%d %H:%M}"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print aligned columns; those whose head begins with a space are set to the right."""
    lines = [tuple(name.strip() for name in head), *(tuple(clean(cell) for cell in row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    for line in lines:
        cells = (
            text.rjust(width) if name.startswith(" ") else text.ljust(width)
            for name, text, width in zip(head, line, widths, strict=True)
        )
        click.echo("  ".join(cells).rstrip())


class Until(click.ParamType[str]):
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


class Pair(click.ParamType[tuple[str, str]]):
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


def strategy_name(named: str) -> str:
    """A strategy as its operation wants it: a file by its whole path, since work happens in another folder."""
    if named.endswith(".py") or os.sep in named:
        return str(Path(named).expanduser().absolute())
    return named
