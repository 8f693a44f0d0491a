"""The command `import`: move in from freqtrade, hummingbot or jesse, and see what could not be taken over."""

from __future__ import annotations

import shlex
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from console.offline_call import do_job, in_home
from console.plain import say, say_json

if TYPE_CHECKING:
    from console.cli import Invocation
    from engine.control.offline import Offline

__all__ = ["create_command", "import_from"]

WIDTH = 100


@click.group("import")
def import_from() -> None:
    """Move in from another program: candles, pairs, stakes, fees, stops, strategies.

    Nothing of the other program is run, and keys are never read.
    """


def _command(program: str, what: str) -> click.Command:
    @click.argument("path", type=click.Path(path_type=Path))
    @click.option("--venue", metavar="binance", default="", help="Venue of candles whose files do not say it.")
    @click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
    @click.option("--replace", is_flag=True, help="Let new candles take the place of different stored ones.")
    @click.option("--json", "as_json", is_flag=True, help="Print the report as one JSON object.")
    @click.pass_obj
    def run(invocation: Invocation, /, path: Path, as_json: bool, **options: Any) -> None:
        request = {"program": program, "path": str(path.expanduser().absolute()), **options}

        async def work(host: Offline) -> dict[str, Any]:
            return (await do_job(host, "moving.run", request)).report

        report = in_home(invocation.home, work)
        if as_json:
            say_json(report)
        else:
            _show(report)

    return click.command(program, help=what)(run)


import_from.add_command(
    _command(
        "freqtrade",
        "Take over PATH: a user_data folder, a config.json, a strategy or candles (feather, json, json.gz, parquet). "
        "Pair lists become a universe, the ROI table and stops become rules, conditions become columns; what could not "
        "be translated is listed with the reason.",
    )
)
import_from.add_command(
    _command(
        "hummingbot",
        "Take over PATH: its folder, a strategy or controller file (.yml), or candles (.csv). Market making and "
        "arbitrage become bots with our strategies; what has no like there is listed with the reason.",
    )
)
import_from.add_command(
    _command(
        "jesse",
        "Take over PATH: a project's folder, or exported candles. Routes become bots, balances and fees are taken; a "
        "strategy's code is not translated: what each part becomes is listed.",
    )
)


def _show(report: dict[str, Any]) -> None:
    _list("Taken over" if not report["dry_run"] else "Would be taken over", report["taken"])
    if report["candle_files"]:
        say(f"\nCandles: {report['candle_files']:,} files")
        for row in report["stored"] or report["candles"]:
            said = f"{row['bars']:,} bars, {row['added']:,} new" if "set" in row else row["file"]
            say(f"  {row.get('set') or _set_of(row)}: {said}")
    for bot in report["bots"]:
        say(f"\nThe bot {bot['name']}")
        say(f"  {create_command(bot)}")
    if report["settings"]:
        pairs = " ".join(shlex.quote(f"{name}={value}") for name, value in report["settings"].items())
        say(f"\nFor all bots together\n  quarterdeck config set {pairs}")
    if report["backtest"]:
        options = " ".join(f"{name} {value}" for name, value in report["backtest"].items())
        say(f"\nBacktests with the same costs\n  quarterdeck backtest run … {options}")
    if report["left"]:
        say(f"\nNot taken over, or not as it was ({len(report['left'])})")
    for left in report["left"]:
        place = f" ({left['where']})" if left["where"] else ""
        _wrap(f"- {left['what']}{place}: {left['reason'].rstrip('.')}.", "  ")
        _wrap(left["todo"], "    → ")


def _list(head: str, lines: list[str]) -> None:
    say(head if lines else f"{head}: nothing")
    for line in lines:
        _wrap(line, "  ")


def _wrap(text: str, indent: str) -> None:
    for number, line in enumerate(textwrap.wrap(text, WIDTH - len(indent)) or [""]):
        say(f"{indent if not number else ' ' * len(indent)}{line}")


def _set_of(row: dict[str, Any]) -> str:
    return f"{row['venue']} {row['symbol']} {row['timeframe']}"


def create_command(bot: dict[str, Any]) -> str:
    """The command that makes a bot of a draft."""
    parts = ["quarterdeck", "bots", "create", bot["name"], bot["strategy"] or "STRATEGY"]
    parts.append(bot["instruments"][0] if bot["instruments"] else "INSTRUMENT")
    parts += [part for other in bot["instruments"][1:] for part in ("--markets", other)]
    parts += ["--timeframe", bot["timeframe"]]
    parts += ["--capital", bot["capital"]] if bot["capital"] else []
    if bot["universe"]:
        rule = bot["universe"].items()
        said = ",".join(f"{n}={';'.join(v) if isinstance(v, list | tuple) else v}" for n, v in rule)
        parts += ["--universe", said]
    for option, field in (("--param", "params"), ("--risk", "risk")):
        for name, value in bot[field].items():
            parts += [option, f"{name}={value}"]
    return shlex.join(parts)
