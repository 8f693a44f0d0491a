"""The commands `report …`: what a person hands to others."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from console.plain import say
from console.progress import progress_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from console.cli import Invocation
    from engine.control.tax import TaxReport
    from engine.model.quality import GroupQuality

__all__ = ["report"]

MOST_NOTES = 50
"""So many are printed; a missing rate may make one for every trade."""


@click.group()
def report() -> None:
    """Write reports for others, such as a tax office."""


@report.command()
@click.option("--year", type=click.IntRange(2009, 2200), help="Calendar year; the last whole one unless said.")
@click.option(
    "--method",
    type=click.Choice(["fifo", "lifo", "hifo", "average"]),
    default="fifo",
    show_default=True,
    help="Which units are given up first: oldest, newest, dearest, or at the average cost of all.",
)
@click.option("--currency", default="USDT", show_default=True, help="Currency of the report.")
@click.option("--timezone", default="UTC", show_default=True, help="Whose calendar a year is, such as Europe/Berlin.")
@click.option("--cash", multiple=True, metavar="CODE", help="A currency that counts one for one as the report's own.")
@click.option(
    "--rates",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="CSV with date,currency,rate for what the journal cannot value, such as USDT in EUR.",
)
@click.option("--by-account", is_flag=True, help="Keep units of every account apart; else all are one pool.")
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), help="File of the rows; else printed.")
@click.option("--force", is_flag=True, help="Take the place of a file that exists.")
@click.pass_obj
def tax(
    invocation: Invocation,
    year: int | None,
    method: str,
    currency: str,
    timezone: str,
    cash: tuple[str, ...],
    rates: Path | None,
    by_account: bool,
    output: Path | None,
    force: bool,
) -> None:
    """Every disposal and income of a year as CSV, with its lot; sums and open questions on the standard error.

    Trades, fees in any asset, derivatives, funding and interest count; moves between own accounts do not. It computes
    and decides nothing about your taxes: which method is allowed, and what is taxed, is your country's law.
    """
    from engine.control.tax import as_csv, report_tax

    if output is not None and output.exists() and not force:
        raise click.ClickException(f"{output} exists already; choose another name, or say --force.")
    lines = _read(rates) if rates is not None else None
    with progress_line("reading the journal") as progress:
        found = report_tax(
            invocation.home,
            year=year if year is not None else datetime.now(UTC).year - 1,
            method=method,  # type: ignore[arg-type]
            currency=currency,
            timezone=timezone,
            cash=cash,
            rates=lines,
            by_account=by_account,
            progress=progress,
        )
    text = as_csv(found)
    if output is None:
        say(text.rstrip("\n"))
    else:
        _write(output, text)
    _say_sums(found, output)


@report.command()
@click.option(
    "--by",
    type=click.Choice(["venue", "symbol", "bot", "strategy", "algorithm", "type", "parent", "all"]),
    default="venue",
    show_default=True,
    help="What orders are put together by.",
)
@click.option("--since", metavar="WHEN", help="Only orders from then on: 2026-03-01, 14:30, 2h ago; else all.")
@click.option("--csv", "as_rows", is_flag=True, help="All figures as CSV, fit for other programs.")
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), help="File of the report; else printed.")
@click.option("--force", is_flag=True, help="Take the place of a file that exists.")
@click.pass_obj
def quality(
    invocation: Invocation, by: str, since: str | None, as_rows: bool, output: Path | None, force: bool
) -> None:
    """What executions cost against decision and arrival prices, how fast they were, and what was executed.

    Read from the journal itself, archive included; no engine needs to run.
    """
    from console.when import moment
    from engine.control.quality_report import as_csv, report_quality

    if output is not None and output.exists() and not force:
        raise click.ClickException(f"{output} exists already; choose another name, or say --force.")
    start = 0 if since is None else moment(since, time.time_ns())
    with progress_line("reading the journal") as progress:
        groups = report_quality(invocation.home, by=by, since=start, progress=progress)
    text = as_csv(groups) if as_rows else "\n".join(_quality_lines(groups, by))
    if output is None:
        say(text.rstrip("\n"))
    else:
        _write(output, text if text.endswith("\n") else f"{text}\n")


def _quality_lines(groups: Sequence[GroupQuality], by: str) -> Iterator[str]:
    """A head and a line for each group; a dash for what is not known."""
    if not groups:
        yield "No orders are recorded in that time."
        return
    yield (
        f"{by:<24} {'orders':>7} {'value':>16} {'cost':>12} {'bps':>8} {'delay':>8} {'fill':>6} {'ack ms':>8} "
        f"{'1st fill':>9} {'score':>6} {'profit':>14}"
    )
    for group in groups:
        yield (
            f"{group.name[:24]:<24} {group.orders:>7,} {group.value:>12,.2f} {group.currency:<4}"
            f"{group.shortfall:>12,.2f} {_dash(group.shortfall_bps, 2):>8} {_dash(group.delay_bps, 2):>8} "
            f"{'-' if group.fill_rate is None else format(group.fill_rate, '.1%'):>6} {_dash(group.ack_ms, 0):>8} "
            f"{_dash(group.fill_ms, 0):>9} {_dash(group.score, 0):>6} {group.profit:>+14,.2f}"
        )
        for mark in group.marks:
            if mark.bps is not None:
                yield f"    {mark.seconds} s after: {mark.bps:+.2f} bps in favour"
    yield "cost: positive is worse than the decision's price; delay is its part before the sending; -: not recorded."


def _dash(value: float | None, places: int) -> str:
    return "-" if value is None else f"{value:,.{places}f}"


def _read(file: Path) -> list[str]:
    try:
        return file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not text in UTF-8"
        raise click.ClickException(f"{file} cannot be read: {why}.") from error


def _write(file: Path, text: str) -> None:
    """Write a file whole or not at all."""
    new = file.with_name(f".{file.name}.{os.getpid()}.new")
    try:
        new.write_text(text, encoding="utf-8")
        new.replace(file)
    except OSError as error:
        new.unlink(missing_ok=True)
        raise click.ClickException(f"{file} cannot be written: {error.strerror}.") from error


def _say_sums(found: TaxReport, output: Path | None) -> None:
    where = f" are in {output}" if output is not None else ""
    rows = f"{len(found.rows):,} rows of {found.year} ({found.timezone}, {found.method}, {found.currency}){where}."
    say(rows, err=True)
    for one in found.sums:
        unvalued = f", {one.unvalued:,} without a value" if one.unvalued else ""
        say(
            f"  {one.kind:<11} {one.rows:>7,} rows  proceeds {one.proceeds:,.2f}  cost {one.cost:,.2f}  "
            f"gain {one.gain:+,.2f}{unvalued}",
            err=True,
        )
    say(f"  together    gain {found.gain:+,.2f} {found.currency}", err=True)
    for note in found.notes[:MOST_NOTES]:
        say(f"  look at: {note}", err=True)
    if len(found.notes) > MOST_NOTES:
        say(f"  look at: {len(found.notes) - MOST_NOTES:,} more of these.", err=True)
    for difference in found.differences:
        say(f"  DOES NOT ADD UP: {difference}", err=True)
    if found.differences:
        raise click.exceptions.Exit(1)
