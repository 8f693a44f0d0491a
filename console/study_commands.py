"""The commands `backtest sweep|optimise|walk-forward …`, and those that look at stored studies."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from console.offline_call import Pair, call, do_job, in_home, pairs, table, utc
from console.plain import say, say_json
from console.study_text import show_study
from console.study_words import figure_text

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from console.cli import Invocation
    from engine.control.offline import Offline
    from engine.control.views_search import StudyRow, StudyView

__all__ = ["study_commands"]

OBJECTIVES = "sharpe, sortino, calmar, total_return, annual_return, max_drawdown, profit_factor, win_rate, expectancy"
_LOOK = (
    click.Option(["--rows"], type=click.IntRange(1, 5000), default=15, show_default=True, help="Most sets to show."),
    click.Option(["--x"], metavar="PARAM", help="Parameter across the heat map."),
    click.Option(["--y"], metavar="PARAM", help="Parameter down the heat map."),
    click.Option(["--figure"], metavar="NAME", help="Figure of the heat map; the first objective when left out."),
    click.Option(["--json", "as_json"], is_flag=True, help="Print one JSON object."),
)
_SEARCH = (
    click.Option(["--objective", "objectives"], metavar="NAME[,NAME]", default="sharpe", show_default=True,
                 help=f"What is searched for: {OBJECTIVES}."),
    click.Option(["--min-trades"], type=click.IntRange(min=0), help="A set with fewer trades ranks behind all others."),
    click.Option(["--seed"], type=click.IntRange(min=0), default=42, show_default=True, help="Seed of what is drawn."),
    click.Option(["--road"], type=click.Choice(["auto", "kernel", "event"]), default="auto", show_default=True,
                 help="Compiled kernel, event path, or the kernel where it can do what is asked."),
    click.Option(["--cluster"], metavar="dask://HOST:PORT", help="Compute on an existing Dask cluster."),
    click.Option(["--workers"], type=click.IntRange(1, 1024), help="Processes on this machine. Default: one a core."),
)  # fmt: skip
_RANGE = click.Option(
    ["--range", "ranges"], type=Pair(), multiple=True,
    help="Where to look, such as fast_ma=5:50, k=1:3:0.5 or kind=a,b; repeatable. Default: the declared bounds.",
)  # fmt: skip


def study_commands(
    shared: Sequence[click.Parameter], request: Callable[[dict[str, Any]], dict[str, Any]]
) -> list[click.Command]:
    """All commands.

    Args:
        shared: Options that say what is run, the same as those of `backtest run`.
        request: Turns them into the request's fields.
    """
    grid = click.Option(
        ["--grid", "grid"], type=Pair(), multiple=True, required=True,
        help="Values of a parameter: fast_ma=5:50:5 (from, to, step) or slow_ma=60,80,100; repeatable.",
    )  # fmt: skip
    sampler = click.Option(
        ["--sampler"], type=click.Choice(["auto", "tpe", "nsga2", "sobol"]), default="auto", show_default=True,
        help="How sets are chosen; auto is TPE for one objective and NSGA-II for two.",
    )  # fmt: skip

    even = click.Option(
        ["--sampler"], type=click.Choice(["sobol", "tpe"]), default="sobol", show_default=True,
        help="How sets are chosen: evenly, the same in every window, or by TPE anew in each.",
    )  # fmt: skip
    periods = [
        click.Option([f"--{name}"], type=click.IntRange(min=1), metavar="DAYS", help=f"{about} Default: the setting's.")
        for name, about in PERIODS.items()
    ]

    def trials(usual: int) -> list[click.Parameter]:
        return [
            click.Option(["--trials"], type=click.IntRange(min=1), default=usual, show_default=True, help="Sets tried.")
        ]

    draw = click.Option(["--random"], type=click.IntRange(min=1), help="Draw so many sets instead of taking all.")

    def starting(name: str, operation: str, own: Sequence[click.Parameter], maps: str, about: str) -> click.Command:
        @click.pass_obj
        def begin(
            invocation: Invocation, /, rows: int, x: str | None, y: str | None, figure: str | None, as_json: bool,
            **options: Any,
        ) -> None:  # fmt: skip
            given = pairs(options.pop(maps))
            asked = {**request(options), **({maps: given} if given else {})}

            async def work(host: Offline) -> Any:
                job = await do_job(host, operation, asked)
                return await host.call("backtests.study", _look(job.result, rows, x, y, figure))

            _show(in_home(invocation.home, work), rows, as_json)

        return click.Command(name, callback=begin, params=[*shared, *own, *_SEARCH, *_LOOK], help=about)

    return [
        starting("sweep", "backtests.sweep", [grid, draw], "grid", SWEEP),
        starting("walk-forward", "backtests.walk_forward", [_RANGE, *trials(50), even, *periods], "ranges", WALK),
        starting("optimise", "backtests.optimise", [_RANGE, *trials(100), sampler], "ranges", OPTIMISE),
        studies,
        study,
        export_study,
        delete_study,
    ]


SWEEP = """Try every combination of a grid of parameters on the same candles.

Combinations that the strategy's own rules refuse are left out and named. The table is sorted by the objective; beside
each figure stands the mean of its region, the set and its neighbours one step away: a lone peak is more likely luck
than a broad hill. ^C ends the sweep; what was finished until then is kept.
"""

PERIODS = {
    "training": "Days on which parameters are optimised.",
    "validation": "Days after them on which one set is chosen.",
    "test": "Days after those on which it is measured once.",
    "step": "Days from one window to the next.",
}
WALK = """Optimise, choose and measure again and again along the data.

In every window parameters are optimised on the training days, one set is chosen on the validation days among those in
the best regions, and measured once on the test days. The curve of all tests together counts each day once. Printed are
the windows, how the best parameters move, the ratio of test to training, and what speaks of overfitting.
"""
OPTIMISE = """Search the parameters of a strategy with Optuna.

Without --range, everything of the strategy's own that its declared bounds limit is searched. One objective is searched
with TPE, two (--objective sharpe,max_drawdown) with NSGA-II; then the sets that nothing beats in both are marked as the
front and drawn. The same seed gives the same search on any number of cores.
"""


def _look(study_id: str, rows: int, x: str | None, y: str | None, figure: str | None) -> dict[str, Any]:
    asked = {"id": study_id, "rows": rows, "x": x, "y": y, "figure": figure}
    return {name: value for name, value in asked.items() if value is not None}


def _show(view: StudyView, rows: int, as_json: bool) -> None:
    if as_json:
        import msgspec

        say_json(msgspec.to_builtins(view))
    else:
        show_study(view, rows)


# --- stored studies --------------------------------------------------------------------------------------------------


@click.command()
@click.option("--strategy", metavar="NAME", help="Only this strategy's.")
@click.option("--kind", type=click.Choice(["sweep", "optimise", "walk_forward"]), help="Only this kind.")
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True, help="Most rows, newest first.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array.")
@click.pass_obj
def studies(invocation: Invocation, strategy: str | None, kind: str | None, limit: int, as_json: bool) -> None:
    """List stored studies, the newest first."""
    rows: list[StudyRow] = call(
        invocation.home, "backtests.studies", {"strategy": strategy, "kind": kind, "limit": limit}
    )
    if as_json:
        import msgspec

        say_json(msgspec.to_builtins(rows))
        return
    if not rows:
        say("No study is stored yet; `quarterdeck backtest sweep` makes one.")
        return
    head = ("id", "run (UTC)", "kind", "strategy", "market", "timeframe", " tried", "objective", " best", " region", "")
    table(
        head,
        (
            (
                row.id[:8],
                utc(row.created),
                row.kind.replace("_", "-"),
                row.strategy,
                str(row.instrument),
                row.timeframe,
                f"{row.tried:,}",
                row.objective,
                figure_text(row.objective, row.best),
                figure_text(row.objective if row.kind != "walk_forward" else "ratio", row.stable),
                "" if row.complete else f"unfinished, {row.tried:,} of {row.sets:,}",
            )
            for row in rows
        ),
    )


@click.command()
@click.argument("study_id", metavar="ID")
@click.pass_obj
def study(
    invocation: Invocation, study_id: str, rows: int, x: str | None, y: str | None, figure: str | None, as_json: bool
) -> None:
    """Show a stored study. ID is what `backtest studies` shows, or the beginning of its hash."""
    _show(call(invocation.home, "backtests.study", _look(study_id, rows, x, y, figure)), rows, as_json)


study.params += _LOOK


@click.command("export-study")
@click.argument("study_id", metavar="ID")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--force", is_flag=True, help="Overwrite FILE when it exists.")
@click.pass_obj
def export_study(invocation: Invocation, study_id: str, file: Path, force: bool) -> None:
    """Write a stored study to FILE: .json for everything, .csv or .parquet for its table."""
    request = {"id": study_id, "file": str(file.expanduser().absolute()), "overwrite": force}
    say(call(invocation.home, "backtests.export_study", request))


@click.command("delete-study")
@click.argument("study_id", metavar="ID")
@click.pass_obj
def delete_study(invocation: Invocation, study_id: str) -> None:
    """Remove a stored study."""
    say(call(invocation.home, "backtests.delete_study", {"id": study_id}))
