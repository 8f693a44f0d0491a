"""The commands `data …`: candles in, out, and what is stored."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from console.offline_call import Until, call, do_job, in_home, table, utc
from console.plain import say, say_json

if TYPE_CHECKING:
    from collections.abc import Callable

    from console.cli import Invocation

__all__ = ["data"]


def _set_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The three names of a set of candles."""
    options = (
        click.option("--timeframe", required=True, metavar="1h", help="Length of a bar, such as 1m, 15m, 1h, 1d."),
        click.option("--symbol", required=True, metavar="BTC/USDT", help="Base and quote."),
        click.option("--venue", required=True, metavar="binance", help="Where the candles are from."),
    )
    for option in options:
        command = option(command)
    return command


@click.group()
def data() -> None:
    """Download, import, list, export and delete candles."""


@data.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@_set_options
@click.option("--replace", is_flag=True, help="Let new values take the place of different stored ones.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as one JSON object.")
@click.pass_obj
def import_file(
    invocation: Invocation, file: Path, venue: str, symbol: str, timeframe: str, replace: bool, as_json: bool
) -> None:
    """Take the candles of a Parquet or CSV FILE (also .csv.gz) into the store.

    Every bar is checked; a file with a broken one is refused with line and value, and nothing of it is kept. Rows that
    repeat another one exactly are dropped and counted. Importing the same file again changes nothing. The file is
    never changed. Times are taken as UTC unless they name a zone; their unit (s, ms, µs, ns) is recognised and said.
    """
    request = {
        "file": str(file.expanduser().absolute()),
        "venue": venue,
        "symbol": symbol,
        "timeframe": timeframe,
        "replace": replace,
    }
    report = in_home(invocation.home, lambda host: do_job(host, "data.import", request)).report
    if as_json:
        say_json(report)
    else:
        _show_report(file, report)


def _show_report(file: Path, report: dict[str, Any]) -> None:
    key = report["key"]
    words = f"{key['venue'].lower()} {key['symbol']} {key['timeframe']}"
    say(f"{file.name}: {report['format']}, times as {report['times']}")
    say(f"{report['bars']:,} bars of {words} from {utc(report['start'])} to {utc(report['end'])} UTC")
    facts = [
        (report["added"], "added"),
        (report["identical"], "already stored, the same"),
        (report["replaced"], "took the place of other values"),
        (report["duplicates"], "duplicate rows dropped"),
        (report["zero_volume"], "bars without volume"),
    ]
    for count, what in facts:
        if count or what == "added":
            say(f"  {count:>9,}  {what}")
    gaps, missing = report["gaps"], report["missing"]
    say(f"  {gaps:>9,}  gaps" + (f", {missing:,} bars missing; the longest:" if gaps else ""))
    longest = sorted(report["longest_gaps"], key=lambda gap: -gap["bars"])[:5]
    for gap in longest:
        say(f"             from {utc(gap['start'])} UTC: {gap['bars']:,} bars")
    say(f"  {report['stored_rows']:>9,}  bars of it are stored now")


@data.command()
@click.argument("venue")
@click.argument("symbol")
@click.option("--timeframe", required=True, metavar="1m", help="Length of a bar, such as 1m, 15m, 1h, 1d.")
@click.option(
    "--from", "start", metavar="TIME", help="First bar: a day or an ISO time, UTC; none for the first stored."
)
@click.option(
    "--to", "end", type=Until(), metavar="TIME", help="Last day, whole; or an ISO time, exclusive. None: now."
)
@click.option("--json", "as_json", is_flag=True, help="Print the report as one JSON object.")
@click.pass_obj
def download(
    invocation: Invocation, venue: str, symbol: str, timeframe: str, start: str | None, end: str | None, as_json: bool
) -> None:
    """Fetch the candles of SYMBOL at VENUE (binance, binanceusdm, okx, coinbase, or any name that ccxt knows).

    No key and no engine is needed. Only what is not stored is asked for, so a download that was stopped goes on where
    it was when it is started again, and holes in what is stored are filled. Requests keep to the exchange's limits.
    """
    request = {"venue": venue, "symbol": symbol, "timeframe": timeframe, "start": start, "end": end}
    job = in_home(invocation.home, lambda host: do_job(host, "data.download", request))
    if as_json:
        say_json(job.report)
        return
    report = job.report
    key = report["key"]
    say(
        f"{key['venue'].lower()} {key['symbol']} {key['timeframe']} from {utc(report['start'])} to {utc(report['end'])}"
    )
    say(f"  {report['fetched']:>9,}  bars fetched, with {report['requests']:,} requests")
    say(f"  {report['known']:>9,}  bars were stored already")
    if report["missing"]:
        say(f"  {report['missing']:>9,}  bars the exchange does not have, in {report['gaps']:,} gaps")


@data.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array.")
@click.pass_obj
def list_sets(invocation: Invocation, as_json: bool) -> None:
    """List all stored candles."""
    rows = call(invocation.home, "data.list")
    if as_json:
        import msgspec

        say_json(msgspec.to_builtins(rows))
        return
    if not rows:
        say("No candles are stored yet; `quarterdeck data download` or `data import` brings some in.")
        return
    head = ("venue", "symbol", "timeframe", " bars", "from (UTC)", "to (UTC)", " gaps", " missing", " MB")
    table(
        head,
        (
            (
                row.venue.lower(),
                row.symbol,
                row.timeframe,
                f"{row.rows:,}",
                utc(row.start),
                utc(row.end),
                f"{row.gaps:,}",
                f"{row.missing:,}",
                f"{row.bytes / 1e6:.1f}",
            )
            for row in rows
        ),
    )


@data.command("export")
@click.argument("file", type=click.Path(path_type=Path))
@_set_options
@click.option("--from", "start", metavar="TIME", help="First bar: a day or an ISO time, UTC.")
@click.option("--to", "end", type=Until(), metavar="TIME", help="Last day, whole; or an ISO time, exclusive.")
@click.option("--force", is_flag=True, help="Overwrite FILE when it exists.")
@click.pass_obj
def export(
    invocation: Invocation,
    file: Path,
    venue: str,
    symbol: str,
    timeframe: str,
    start: str | None,
    end: str | None,
    force: bool,
) -> None:
    """Write stored candles to FILE, which ends in .parquet, .csv or .csv.gz; `data import` reads it back unchanged."""
    request = {
        "file": str(file.expanduser().absolute()),
        "venue": venue,
        "symbol": symbol,
        "timeframe": timeframe,
        "start": start,
        "end": end,
        "overwrite": force,
    }
    say(call(invocation.home, "data.export", request))


@data.command()
@_set_options
@click.confirmation_option("--yes", prompt="Remove these candles?", help="Do not ask.")
@click.pass_obj
def delete(invocation: Invocation, venue: str, symbol: str, timeframe: str) -> None:
    """Remove stored candles; results of backtests on them stay."""
    request = {"venue": venue, "symbol": symbol, "timeframe": timeframe}
    say(call(invocation.home, "data.delete", request))
