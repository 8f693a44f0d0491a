"""The commands `backtest …`: run one on stored candles, list, show, export and delete stored runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from console.analysis_commands import COMMANDS
from console.market_options import MARKET_OPTIONS, market_options, markets_request
from console.offline_call import Pair, Until, call, do_job, in_home, pairs, strategy_name, table, utc
from console.plain import say, say_json
from console.plots import NARROWEST, time_chart
from console.quote_commands import quote_sweep
from console.study_commands import study_commands

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from console.cli import Invocation
    from engine.control.offline import Offline
    from engine.control.views import BacktestRow, BacktestTradeRow, BacktestView

__all__ = ["backtest"]

FILL_RULES = (
    "quarterdeck",
    "next_open",
    "pessimistic",
    "fixed_ohlc",
    "touch",
    "freqtrade",
    "backtesting_py",
    "nautilus",
)
"""What `--fills` takes; the specification has the same names."""


@click.group()
def backtest() -> None:
    """Run backtests on stored candles and look at stored runs."""


for _command in (*COMMANDS, quote_sweep):
    backtest.add_command(_command)


@backtest.command()
@click.option("--strategy", required=True, metavar="NAME|FILE", help="Name of a strategy, or a file that defines one.")
@click.option("--venue", metavar="binance", help="Venue of the stored candles.")
@click.option("--symbol", metavar="BTC/USDT", help="Base and quote.")
@click.option("--timeframe", metavar="1h", help="Length of a bar; the strategy's own when left out.")
@click.option(
    "--from", "start", metavar="TIME", help="First bar: a day or an ISO time, UTC. Default: the first stored."
)
@click.option(
    "--to", "end", type=Until(), metavar="TIME", help="Last day, whole; or an ISO time, exclusive. Default: all."
)
@click.option("--param", "params", type=Pair(), multiple=True, help="A parameter of the strategy; repeatable.")
@click.option(
    "--capital", metavar="AMOUNT", default="10000", show_default=True, help="Starting capital, quote currency."
)
@click.option("--maker-fee", metavar="FRACTION", help="Fee of resting orders. Default: 0.001.")
@click.option("--taker-fee", metavar="FRACTION", help="Fee of orders that take liquidity. Default: 0.001.")
@click.option(
    "--fills",
    type=click.Choice(FILL_RULES),
    help="How bars fill orders: ours, ours with one assumption changed, or as another backtester does it. "
    "Default: quarterdeck.",
)
@click.option(
    "--slippage",
    type=click.Choice(["square_root", "linear", "fixed", "none"]),
    help="Slippage model; the fill rules' own when left out.",
)
@click.option(
    "--profile",
    type=click.Choice(["settings", "research"]),
    help="Risk limits to begin with: those of the settings, or all at their widest. Default: settings.",
)
@click.option("--limit", "limits", type=Pair(), multiple=True, help="A risk limit that shall differ; repeatable.")
@click.option("--allow-short", is_flag=True, default=None, help="Let the account sell what it does not have.")
@click.option("--gaps", type=click.Choice(["skip", "fail"]), help="What missing bars do. Default: skip.")
@click.option(
    "--no-skip",
    "--no-shortcuts",
    "no_skip",
    is_flag=True,
    help="Visit every bar, also those at which nothing can happen; slower, with the same facts.",
)
@click.option(
    "--road",
    type=click.Choice(["event", "kernel"]),
    help="The event path, or the compiled kernel, which runs signal strategies with the same trades. Default: event.",
)
@click.option("--trades", type=click.IntRange(min=0), default=10, show_default=True, help="Last trades to show.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@market_options
@click.pass_obj
def run(invocation: Invocation, /, trades: int, as_json: bool, **options: Any) -> None:
    """Run a strategy over stored candles and keep the result.

    The run takes the same path as live trading: strategy, sizing, risk gate, orders, ledger; only clock, market and
    venue are simulated. A decision at a bar's close acts from the next bar's open on. What was assumed is printed
    first.

    A strategy that decides on books names its markets by --market, one or several at one or several venues: stored
    candles (books are then made out of volume and volatility) or, behind an @, a file of quotes or a recording. All
    are walked on one time axis.

    --json prints one object: `hash` (equal hashes mean equal trades), `assumptions`, `metrics` (fractions of 1; null
    where a figure cannot be computed) and `trades`: entry_time and exit_time in ISO 8601 UTC, side (buy for a long,
    sell for a short), entry_price, exit_price, quantity, fees, pnl (after fees, quote currency) and reason. Prices,
    quantities and money are JSON numbers: the shortest that give the exact decimals' nearest doubles.
    """
    operation, request = markets_request(options) if options["markets"] else ("backtests.run", _request(options))

    async def work(host: Offline) -> Any:
        job = await do_job(host, operation, request)
        return await host.call(_shown_by(as_json), {"id": job.result})

    _show(in_home(invocation.home, work), trades, as_json)


def _request(options: dict[str, Any]) -> dict[str, Any]:
    """The options as the operation wants them; what was left out stays the operation's to choose."""
    if not options["venue"] or not options["symbol"]:
        raise click.UsageError("Name --venue and --symbol, or the markets of a strategy on books by --market.")
    stray = [name for name in MARKET_OPTIONS if options.get(name)]
    if stray:
        raise click.UsageError(f"--{stray[0].replace('_', '-')} goes with --market.")
    request = {name: value for name, value in options.items() if value is not None and name not in MARKET_OPTIONS}
    request["params"] = pairs(request["params"])
    request["limits"] = pairs(request["limits"])
    if not request["limits"]:
        del request["limits"]
    request["shortcuts"] = not request.pop("no_skip")
    request["strategy"] = strategy_name(str(request["strategy"]))
    return request


# --- stored runs -----------------------------------------------------------------------------------------------------


@backtest.command("list")
@click.option("--strategy", metavar="NAME", help="Only this strategy's.")
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True, help="Most rows, newest first.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array.")
@click.pass_obj
def list_runs(invocation: Invocation, strategy: str | None, limit: int, as_json: bool) -> None:
    """List stored runs, the newest first."""
    rows: list[BacktestRow] = call(invocation.home, "backtests.list", {"strategy": strategy, "limit": limit})
    if as_json:
        import msgspec

        say_json(msgspec.to_builtins(rows))
        return
    if not rows:
        say("No backtest is stored yet; `quarterdeck backtest run` makes one.")
        return
    head = (
        "id",
        "run (UTC)",
        "strategy",
        "market",
        "timeframe",
        "from",
        "to",
        " trades",
        " return",
        " Sharpe",
        " drawdown",
    )
    table(
        head,
        (
            (
                row.id[:8],
                utc(row.created),
                row.strategy,
                str(row.instrument),
                row.timeframe,
                utc(row.start)[:10],
                utc(row.end)[:10],
                f"{row.trades:,}",
                _share(row.total_return),
                _number(row.sharpe),
                _share(row.max_drawdown),
            )
            for row in rows
        ),
    )


@backtest.command()
@click.argument("run_id", metavar="ID")
@click.option("--trades", type=click.IntRange(min=0), default=10, show_default=True, help="Last trades to show.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, as `backtest run --json`.")
@click.pass_obj
def show(invocation: Invocation, run_id: str, trades: int, as_json: bool) -> None:
    """Show a stored run. ID is what `backtest list` shows, or the beginning of its hash."""
    _show(call(invocation.home, _shown_by(as_json), {"id": run_id}), trades, as_json)


@backtest.command()
@click.argument("run_id", metavar="ID")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--part",
    type=click.Choice(["all", "trades", "equity", "metrics"]),
    help="What to write. Default: everything to .json, the trades to .csv and .parquet.",
)
@click.option("--force", is_flag=True, help="Overwrite FILE when it exists.")
@click.pass_obj
def export(invocation: Invocation, run_id: str, file: Path, part: str | None, force: bool) -> None:
    """Write a stored run to FILE: .json, .csv or .parquet."""
    request = {"id": run_id, "file": str(file.expanduser().absolute()), "part": part, "overwrite": force}
    say(call(invocation.home, "backtests.export", request))


@backtest.command()
@click.argument("run_id", metavar="ID")
@click.pass_obj
def delete(invocation: Invocation, run_id: str) -> None:
    """Remove a stored run with its trades and equity."""
    say(call(invocation.home, "backtests.delete", {"id": run_id}))


# --- showing ---------------------------------------------------------------------------------------------------------


def _shown_by(as_json: bool) -> str:
    return "backtests.report" if as_json else "backtests.get"


def _show(reply: Any, trades: int, as_json: bool) -> None:
    if as_json:
        say_json(reply)
        return
    view: BacktestView = reply
    row = view.row
    say(f"{row.strategy} on {row.instrument} {row.timeframe}, {utc(row.start)} to {utc(row.end)} UTC")
    say(f"id {row.id[:8]}, hash {row.hash}\n")
    _show_assumptions(view)
    _show_metrics(view)
    _show_curve(view)
    _show_trades(view.trades, trades)


def _show_assumptions(view: BacktestView) -> None:
    import textwrap

    say("Assumptions")
    width = max(_width(), NARROWEST)
    for name, text in view.assumptions.items():
        label = name.removeprefix("warning_").replace("_", " ")
        label = f"! {label}" if name.startswith("warning_") else f"  {label}"
        lines = textwrap.wrap(text, width - 20) or [""]
        say(f"{label:<18}  {lines[0]}")
        for line in lines[1:]:
            say(f"{'':<18}  {line}")
    given = ", ".join(f"{name}={value}" for name, value in view.params.items())
    for index, line in enumerate(textwrap.wrap(given, width - 20)):
        say(f"{'  parameters' if not index else '':<18}  {line}")


_FIGURES = (
    ("end_equity", "money"), ("total_return", "share"), ("annual_return", "share"), ("benchmark_return", "share"),
    ("annual_volatility", "share"), ("sharpe", "number"), ("sortino", "number"), ("calmar", "number"),
    ("max_drawdown", "share"), ("max_drawdown_days", "number"), ("exposure", "share"), ("trades", "count"),
    ("win_rate", "share"), ("profit_factor", "number"), ("average_win", "money"), ("average_loss", "money"),
    ("expectancy", "money"), ("best_trade", "money"), ("worst_trade", "money"), ("average_holding_hours", "number"),
    ("fees", "money"), ("beta", "number"), ("correlation", "number"), ("value_at_risk_95", "share"),
    ("expected_shortfall_95", "share"), ("value_at_risk_99", "share"), ("expected_shortfall_99", "share"),
)  # fmt: skip
"""What a person is shown, in this order, and how; --json has everything."""


def _show_metrics(view: BacktestView) -> None:
    say("\nFigures")
    words = {"share": _share, "number": _number, "money": _money, "count": _count}
    shown = [(name.replace("_", " "), words[kind](view.metrics.get(name))) for name, kind in _FIGURES]
    half = (len(shown) + 1) // 2
    for left, right in zip(shown[:half], [*shown[half:], ("", "")], strict=False):
        say(f"  {left[0]:<22}{left[1]:>14}    {right[0]:<24}{right[1]:>12}".rstrip())
    say(f"  {'Passed' if view.row.passed else 'Failed'}: {_verdict(view.metrics)}.")


def _verdict(metrics: Mapping[str, Any]) -> str:
    """Which of the two requirements a run meets, with the figures."""
    ratio, needed = metrics.get("sharpe"), metrics.get("required_sharpe")
    fall, allowed = metrics.get("max_drawdown"), metrics.get("max_drawdown_limit")
    if needed is None or allowed is None:
        return "the requirements of this run were not stored"
    reached = ratio is not None and ratio >= needed
    within = fall is not None and fall <= allowed
    first = f"the Sharpe ratio {_number(ratio)} {'reaches' if reached else 'misses'} the required {needed:g}"
    return f"{first}, the drawdown {_share(fall)} {'is within' if within else 'exceeds'} the {allowed:.0%} allowed"


def _show_curve(view: BacktestView) -> None:
    width = _width()
    if width < NARROWEST or len(view.equity) < 2:
        return
    ts = [point.ts for point in view.equity]
    held = {point.ts: point.equity for point in view.benchmark}
    curves: dict[str, Sequence[float | None]] = {
        "equity": [point.equity for point in view.equity],
        "bought and held": [held.get(at) for at in ts],
    }
    say()
    click.echo(time_chart(ts, curves, width=width))


def _show_trades(trades: tuple[BacktestTradeRow, ...], most: int) -> None:
    if not trades or not most:
        return
    say(f"\nTrades (the last {min(most, len(trades))} of {len(trades):,})")
    head = ("entry (UTC)", "exit (UTC)", "side", " quantity", " entry", " exit", " fees", " profit", "closed by")
    table(
        head,
        (
            (
                utc(trade.entry_time),
                utc(trade.exit_time),
                str(trade.side),
                f"{trade.quantity.normalize():f}",
                f"{trade.entry_price.normalize():f}",
                f"{trade.exit_price.normalize():f}",
                f"{trade.fees:.2f}",
                f"{trade.pnl:+.2f}",
                trade.reason,
            )
            for trade in trades[-most:]
        ),
    )


def _width() -> int:
    import shutil

    return shutil.get_terminal_size((100, 30)).columns


def _share(value: float | None) -> str:
    return "—" if value is None else f"{value:.2%}"


def _number(value: float | None) -> str:
    return "—" if value is None else f"{value:,.2f}"


def _count(value: float | None) -> str:
    return f"{value or 0:,.0f}"


def _money(value: float | None) -> str:
    return "—" if value is None else f"{value:,.2f}"


# --- studies ---------------------------------------------------------------------------------------------------------

_NOT_FOR_STUDIES = {"trades", "as_json", "road", *MARKET_OPTIONS}
for command in study_commands([param for param in run.params if param.name not in _NOT_FOR_STUDIES], _request):
    backtest.add_command(command)
