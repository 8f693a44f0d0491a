"""The commands `strategies …`: list them, begin one from a template, check one."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

import click

from console.offline_call import Pair, call, do_job, in_home, pairs, table
from console.plain import say, say_json

if TYPE_CHECKING:
    from console.cli import Invocation
    from engine.control.offline import Offline
    from engine.control.views import StrategyRow

__all__ = ["strategies"]


@click.group()
def strategies() -> None:
    """List, begin and check strategies."""


@strategies.command("list")
@click.option("--params", is_flag=True, help="Show every parameter with its default and bounds.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array.")
@click.pass_obj
def list_strategies(invocation: Invocation, params: bool, as_json: bool) -> None:
    """List built-in strategies and those in the home's `strategies` folder."""
    rows: list[StrategyRow] = call(invocation.home, "strategies.list")
    if as_json:
        import msgspec

        say_json(msgspec.to_builtins(rows))
        return
    table(
        ("name", "version", "timeframe", "from", "what it does"),
        ((row.name, row.version, row.timeframe, row.source, row.description) for row in rows),
    )
    for row in rows if params else ():
        say(f"\n{row.name}")
        head = ("  parameter", "default", "bounds", "what it is")
        table(head, ((f"  {p.name}", p.default, _bounds(p), p.help) for p in row.params))


def _bounds(param: Any) -> str:
    if param.choices:
        return ", ".join(param.choices)
    return f"{param.minimum} to {param.maximum}" if param.minimum or param.maximum else ""


@strategies.command()
@click.argument("name")
@click.option(
    "--template",
    type=click.Choice(["trend", "reversion", "breakout", "quoting", "blank"]),
    default="trend",
    show_default=True,
    help="What it begins as.",
)
@click.option("--check/--no-check", default=True, help="Check the new file at once. Default: check.")
@click.pass_obj
def new(invocation: Invocation, name: str, template: str, check: bool) -> None:
    """Write a strategy NAME of your own, from a template, into the home's `strategies` folder, and check it."""
    row: StrategyRow = call(invocation.home, "strategies.new", {"name": name, "template": template})
    say(f"{invocation.home / 'strategies' / (row.name + '.py')} is written: {row.description}")
    if check:
        _show_check(_checked(invocation, {"strategy": row.name}), whole=False)
    say(f"Edit it, then `quarterdeck strategies check {row.name}`.")


@strategies.command("check")
@click.argument("strategy", metavar="NAME|FILE")
@click.option("--param", "params", type=Pair(), multiple=True, help="A parameter of the strategy; repeatable.")
@click.option("--venue", metavar="binance", help="Venue of stored candles. Default: the longest stored ones.")
@click.option("--symbol", metavar="BTC/USDT", help="Symbol of those candles.")
@click.option("--timeframe", metavar="1h", help="Length of a bar; the strategy's own when left out.")
@click.option("--bars", type=click.IntRange(300, 20_000), help="Bars of each history. Default: 1500.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as one JSON object.")
@click.pass_obj
def check_strategy(invocation: Invocation, /, as_json: bool, **options: Any) -> None:
    """Check that a strategy keeps to what every strategy must keep to, built-in or your own.

    It runs on a made-up market and on stored candles of its timeframe: no look into the future, the same signals in a
    backtest and live, nothing lost at a restart, bounds that hold, and more. A check that fails ends the command with
    status 1.
    """
    request = {name: value for name, value in options.items() if value is not None}
    request["params"] = pairs(request["params"])
    report = _checked(invocation, request)
    if as_json:
        say_json(report)
    else:
        _show_check(report, whole=True)
    if not report["passed"]:
        click.get_current_context().exit(1)


def _checked(invocation: Invocation, request: dict[str, Any]) -> dict[str, Any]:
    async def work(host: Offline) -> dict[str, Any]:
        return (await do_job(host, "strategies.check", request)).report

    return in_home(invocation.home, work)


def _show_check(report: dict[str, Any], *, whole: bool) -> None:
    """Every check once; where one fails, on which history and why."""
    ran = ", ".join(f"{name} ({count:,})" for name, count in report["histories"].items())
    say(f"{report['strategy']} {report['version']} {report['timeframe']} on {ran}")
    checks: dict[str, list[dict[str, Any]]] = {}
    for one in report["checks"]:
        checks.setdefault(one["check"], []).append(one)
    for words, results in checks.items():
        failed = any(one["state"] == "failed" for one in results)
        if whole or failed:
            say(f"  {'failed' if failed else 'ok':<6}  {words}")
        for one in results:
            if one["said"] and (whole or one["state"] != "passed"):
                place = f"{one['history']}: " if one["history"] else ""
                for line in textwrap.wrap(place + one["said"], 100):
                    say(f"          {line}")
    count, wrong = len(report["checks"]), report["failed"]
    say(f"{wrong} of {count} checks failed." if wrong else f"All {count} checks passed.")
