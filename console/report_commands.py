"""The commands `report …`: what a person hands to others."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from console.plain import say
from console.progress import progress_line

if TYPE_CHECKING:
    from console.cli import Invocation
    from engine.control.tax import TaxReport

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
