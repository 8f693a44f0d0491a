"""The command `backtest parity`: what a bot did beside what a backtest of the same time does."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from console.offline_call import Until, do_job, in_home, table, utc
from console.plain import say, say_json

if TYPE_CHECKING:
    from console.cli import Invocation
    from engine.control.offline import Offline
    from engine.control.views_analyses import AnalysisView

__all__ = ["parity"]

WIDTH = 100


@click.command()
@click.option("--bot", required=True, metavar="NAME", help="The bot's name or id.")
@click.option("--session", metavar="ID", default="", help="A recording: its time and its candles are used.")
@click.option(
    "--from", "start", metavar="TIME", help="Begin of the time: a day or an ISO time, UTC. Default: its start."
)
@click.option("--to", "end", type=Until(), metavar="TIME", help="Last day, whole; or an ISO time, exclusive.")
@click.option("--fills", metavar="RULES", help="How bars fill orders, as in `backtest run`.")
@click.option("--any-version", is_flag=True, help="Compare although another version of the strategy traded.")
@click.option("--trades", type=click.IntRange(min=0), default=20, show_default=True, help="Trades to show.")
@click.option("--export", type=click.Path(path_type=Path), help="Also write a .json (all) or .csv file (the trades).")
@click.option("--force", is_flag=True, help="Overwrite that file when it exists.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def parity(
    invocation: Invocation,
    /,
    trades: int,
    export: Path | None,
    force: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Replay what a bot did, on paper or live, through the backtester, and say where and why they differ.

    The bot's configuration, equity and fees at the beginning of the time are used; its candles must be stored (or
    recorded: --session). Each difference of a price is split into fills (how far the backtest's own price lies from the
    decision's close or trigger), latency (until the order was sent), spread and slippage, as far as that was recorded.
    """
    target = "" if export is None else str(export.expanduser().absolute())
    request = {name: value for name, value in options.items() if value is not None}

    async def work(host: Offline) -> AnalysisView:
        job = await do_job(host, "backtests.parity", request)
        found: AnalysisView = await host.call("backtests.analysis", {"id": job.result})
        if export is not None:
            await host.call("backtests.export_parity", {"id": job.result, "file": target, "overwrite": force})
        return found

    view = in_home(invocation.home, work)
    if as_json:
        say_json({"id": view.row.id, **view.result})
        return
    _show(view, trades)
    if export is not None:
        say(f"\nwritten to {export}")


def _show(view: AnalysisView, most: int) -> None:
    found = view.result
    say(f"{found['bot']}: {found['strategy']} {found['version']} on {found['instrument']} {found['timeframe']}")
    say(f"{utc(found['start'])} to {utc(found['end'])} UTC, id {view.row.id[:8]}\n")
    summary = found["summary"]
    counts = ", ".join(f"{summary[state]} {state}" for state in ("equal", "differs", "missing", "extra"))
    say(f"Trades      {summary['recorded_trades']} recorded, {summary['tested_trades']} in the backtest: {counts}")
    say(f"Profit      {summary['recorded_pnl']:+,.2f} recorded, {summary['tested_pnl']:+,.2f} in the backtest")
    parts = ", ".join(f"{name} {_money(value)}" for name, value in summary["worse_by"].items())
    say(f"Prices      worse than the backtest's by {parts}")
    for kind, count in summary["reasons"].items():
        say(f"            {count} on one side alone: {kind}")
    for span in found["spans"]:
        end = "the end" if span["end"] is None else utc(span["end"])
        _wrap(f"! {utc(span['start'])} to {end}: {span['words']}")
    _trades(found["trades"], most)
    for note in found["notes"]:
        _wrap(f"! {note}")


def _trades(rows: list[dict[str, Any]], most: int) -> None:
    shown = rows[:most]
    if not shown:
        return
    say(f"\nTrades (the first {len(shown)} of {len(rows):,})")
    head = ("entry (UTC)", "side", "", " recorded", " backtest", " profit", " backtest", "why")
    table(head, [_line(row) for row in shown])
    say()


def _line(row: dict[str, Any]) -> tuple[str, ...]:
    recorded, tested = row["recorded"], row["tested"]
    return (
        utc(row["entry_time"]),
        row["side"],
        row["state"],
        "—" if recorded is None else f"{recorded['entry_price']:.8g}",
        "—" if tested is None else f"{tested['entry_price']:.8g}",
        "—" if recorded is None else _money(recorded["pnl"]),
        "—" if tested is None else _money(tested["pnl"]),
        "; ".join(row["why"]),
    )


def _money(value: float | None) -> str:
    return "not recorded" if value is None else f"{value:+,.2f}"


def _wrap(text: str) -> None:
    for number, line in enumerate(textwrap.wrap(text, WIDTH)):
        say(line if not number else f"  {line}")
