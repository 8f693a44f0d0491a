"""The commands `backtest montecarlo …`: what can be found out about stored runs and strategies."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from console.analysis_words import (
    say_comparison,
    say_look_ahead,
    say_monte_carlo,
    say_overfitting,
    say_recursive,
    say_significance,
)
from console.offline_call import Pair, Until, call, do_job, in_home, pairs, strategy_name, table, utc
from console.parity_command import parity
from console.plain import say, say_json
from console.sheet_words import say_sheet

if TYPE_CHECKING:
    from collections.abc import Callable

    from console.cli import Invocation
    from engine.control.offline import Offline
    from engine.control.views_analyses import AnalysisView

__all__ = ["COMMANDS"]


def _analysed(
    invocation: Invocation,
    operation: str,
    request: dict[str, Any],
    as_json: bool,
    shown: Callable[[AnalysisView], None],
) -> AnalysisView:
    """Do an analysis and show what it found."""

    async def work(host: Offline) -> AnalysisView:
        job = await do_job(host, operation, request)
        found: AnalysisView = await host.call("backtests.analysis", {"id": job.result})
        return found

    view = in_home(invocation.home, work)
    if as_json:
        say_json({"id": view.row.id, "kind": view.row.kind, "params": view.params, **view.result})
    else:
        shown(view)
    return view


@click.command()
@click.argument("run_id", metavar="ID")
@click.option(
    "--method",
    type=click.Choice(["prices", "parametric", "noise", "returns", "trades"]),
    default="prices",
    show_default=True,
    help="What is drawn.",
)
@click.option("--iterations", type=click.IntRange(10, 100_000), default=1000, show_default=True, help="Paths each.")
@click.option("--seed", type=click.IntRange(0), default=42, show_default=True, help="Random start value.")
@click.option("--level", "levels", type=click.FloatRange(0.5, 0.9999), multiple=True, default=(0.95, 0.99))
@click.option(
    "--scenario",
    "scenarios",
    type=click.Choice(["normal", "stress", "extreme"]),
    multiple=True,
    default=("normal", "stress", "extreme"),
    help="Volatility as it was, twice it, or four times with jumps; repeatable. Default: all three.",
)
@click.option("--block", type=click.FloatRange(1.0), help="Mean bars of a block. Default: the cube root of the bars.")
@click.option("--noise", type=click.FloatRange(0, 5, min_open=True), default=0.25, show_default=True, help="For noise.")
@click.option("--sensitivity/--no-sensitivity", default=True, show_default=True, help="Also vary each parameter.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def montecarlo(invocation: Invocation, /, run_id: str, as_json: bool, **options: Any) -> None:
    r"""Draw random paths of a stored run: what it might have come to.

    \b
    prices      blocks of the market's bars, traded again by the strategy
    parametric  a volatility fitted to the market, with its own shocks, traded again
    noise       the market's bars with noise on each close, traded again
    returns     blocks of the run's own returns
    trades      the run's trades in random order
    """
    request = {"id": run_id, **{name: value for name, value in options.items() if value is not None}}
    request["levels"], request["scenarios"] = list(request["levels"]), list(request["scenarios"])
    _analysed(invocation, "backtests.montecarlo", request, as_json, say_monte_carlo)


@click.command()
@click.argument("run_id", metavar="ID")
@click.option(
    "--trials", type=click.IntRange(1), help="Variants tried. Default: the stored runs of this strategy here."
)
@click.option(
    "--iterations", type=click.IntRange(100, 100_000), default=1000, show_default=True, help="Random traders."
)
@click.option("--seed", type=click.IntRange(0), default=42, show_default=True, help="Random start value.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def significance(invocation: Invocation, /, run_id: str, as_json: bool, **options: Any) -> None:
    """Tell a stored run from chance.

    The deflated Sharpe ratio corrects for the variants that were tried, random entries trade as often, as long and as
    dearly as the run did.
    """
    request = {"id": run_id, **{name: value for name, value in options.items() if value is not None}}
    _analysed(invocation, "backtests.significance", request, as_json, say_significance)


@click.command()
@click.argument("run_ids", metavar="ID ID…", nargs=-1, required=True)
@click.option("--blocks", type=click.IntRange(2, 24), default=16, show_default=True, help="Parts of time, even.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def overfitting(invocation: Invocation, /, run_ids: tuple[str, ...], blocks: int, as_json: bool) -> None:
    """Say how likely the choice of the best of several stored runs is overfitted (CSCV)."""
    request = {"ids": list(run_ids), "blocks": blocks}
    _analysed(invocation, "backtests.overfitting", request, as_json, say_overfitting)


@click.command()
@click.argument("run_ids", metavar="ID ID…", nargs=-1, required=True)
@click.option(
    "--weights",
    type=click.Choice(["equal", "minimum_variance", "maximum_sharpe", "risk_parity"]),
    help="Weights of a portfolio of the runs. Default: all four ways.",
)
@click.option("--capital", type=click.FloatRange(0, min_open=True), default=10_000.0, help="Capital of each run.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def compare(
    invocation: Invocation, /, run_ids: tuple[str, ...], weights: str | None, capital: float, as_json: bool
) -> None:
    """Put stored runs side by side on the same capital and days, weigh them and say which to choose."""
    request = {"ids": list(run_ids), "weights": weights, "capital": capital}
    _analysed(invocation, "backtests.compare", request, as_json, say_comparison)


def _of_strategy(command: Callable[..., None]) -> Callable[..., None]:
    """Options of commands that check a strategy on candles."""
    options = (
        click.option("--strategy", required=True, metavar="NAME|FILE", help="A strategy, or a file that defines one."),
        click.option("--venue", required=True, metavar="binance", help="Venue of the stored candles."),
        click.option("--symbol", required=True, metavar="BTC/USDT", help="Base and quote."),
        click.option("--timeframe", metavar="1h", help="Length of a bar; the strategy's own when left out."),
        click.option("--from", "start", metavar="TIME", help="First bar. Default: the first stored."),
        click.option("--to", "end", type=Until(), metavar="TIME", help="Last day, whole. Default: all."),
        click.option("--param", "params", type=Pair(), multiple=True, help="A parameter; repeatable."),
        click.option("--cuts", type=click.IntRange(1, 1000), default=20, show_default=True, help="Bars looked at."),
        click.option("--seed", type=click.IntRange(0), default=42, show_default=True, help="Random start value."),
        click.option("--json", "as_json", is_flag=True, help="Print one JSON object."),
    )
    for option in reversed(options):
        command = option(command)
    return command


@click.command()
@_of_strategy
@click.pass_obj
def lookahead(invocation: Invocation, /, as_json: bool, **options: Any) -> None:
    """Check whether a strategy sees the future; the status is 1 when it does.

    The data are cut at random bars and at bars with signals. What the strategy says about the bars before must not
    change, and bars that come one at a time must give what they give at once.
    """
    view = _analysed(invocation, "backtests.lookahead", _asked(options), as_json, say_look_ahead)
    if view.result["biased"]:
        raise click.exceptions.Exit(1)


@click.command()
@_of_strategy
@click.pass_obj
def recursive(invocation: Invocation, /, as_json: bool, **options: Any) -> None:
    """Check how much a strategy depends on the amount of history; the status is 1 when its warm-up is too short."""
    view = _analysed(invocation, "backtests.recursive", _asked(options), as_json, say_recursive)
    if not view.result["sufficient"]:
        raise click.exceptions.Exit(1)


def _asked(options: dict[str, Any]) -> dict[str, Any]:
    request = {name: value for name, value in options.items() if value is not None}
    request["params"] = pairs(request["params"])
    request["strategy"] = strategy_name(str(request["strategy"]))
    return request


@click.command()
@click.argument("run_id", metavar="ID")
@click.option("--html", "file", type=click.Path(path_type=Path), metavar="FILE", help="Write the sheet as one page.")
@click.option("--force", is_flag=True, help="Overwrite FILE when it exists.")
@click.option("--trades", type=click.IntRange(min=0), default=10, show_default=True, help="Last trades to show.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def report(invocation: Invocation, /, run_id: str, file: Path | None, force: bool, trades: int, as_json: bool) -> None:
    """Put everything about a stored run on one sheet: here, as JSON, or as an HTML page that needs nothing else."""
    request: dict[str, Any] = {"id": run_id, "overwrite": force}
    if file is not None:
        request["file"] = str(file.expanduser().absolute())

    def shown(view: AnalysisView) -> None:
        if file is None:
            say_sheet(view, trades)
        else:
            say(f"The sheet of {view.row.title} is in {file}.")

    _analysed(invocation, "backtests.tearsheet", request, as_json, shown)


@click.command()
@click.option("--run", "run_id", metavar="ID", help="Only of this run.")
@click.option("--kind", help="Only of this kind, such as montecarlo.")
@click.option("--show", "analysis_id", metavar="ANALYSIS", help="Print one of them as JSON.")
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True, help="Most rows, newest first.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array.")
@click.pass_obj
def analyses(
    invocation: Invocation,
    /,
    run_id: str | None,
    kind: str | None,
    analysis_id: str | None,
    limit: int,
    as_json: bool,
) -> None:
    """List what was found out about runs and strategies, the newest first."""
    if analysis_id is not None:
        view: AnalysisView = call(invocation.home, "backtests.analysis", {"id": analysis_id})
        say_json({"id": view.row.id, "kind": view.row.kind, "params": view.params, **view.result})
        return
    rows = call(invocation.home, "backtests.analyses", {"id": run_id, "kind": kind, "limit": limit})
    if as_json:
        import msgspec

        say_json(msgspec.to_builtins(rows))
    elif not rows:
        say("No analysis is stored yet; `quarterdeck backtest montecarlo ID` makes one.")
    else:
        head = ("id", "made (UTC)", "kind", "of", " seconds")
        table(head, ((row.id[:8], utc(row.created), row.kind, row.title, f"{row.seconds:.1f}") for row in rows))


COMMANDS: tuple[click.Command, ...] = (
    analyses,
    report,
    montecarlo,
    significance,
    overfitting,
    compare,
    lookahead,
    recursive,
    parity,
)
"""What belongs to the group `backtest`."""
