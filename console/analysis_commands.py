"""The commands `backtest montecarlo …`: what can be found out about stored runs and strategies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from console.analysis_words import say_monte_carlo
from console.offline_call import do_job, in_home
from console.plain import say_json

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


COMMANDS: tuple[click.Command, ...] = (montecarlo,)
"""What belongs to the group `backtest`."""
