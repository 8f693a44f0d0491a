"""The command `backtest quote-sweep`: many figures of the quoting rule over recorded quotes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from console.offline_call import do_job, in_home, table
from console.plain import say, say_json

if TYPE_CHECKING:
    from console.cli import Invocation
    from engine.control.offline import Offline

__all__ = ["quote_sweep"]

_SORTS = ("profit", "max_drawdown", "fills", "volume", "fees", "largest_position", "two_sided")


@click.command("quote-sweep")
@click.option("--quotes", required=True, metavar="FILE", help="Quotes: ts (ns) or timestamp (ms), bid, ask, sizes.")
@click.option("--venue", default="sim", show_default=True, help="Venue of the quotes, for its rules.")
@click.option("--symbol", required=True, metavar="BTC/USDT", help="Base and quote.")
@click.option(
    "--param", "params", multiple=True, metavar="NAME=V1,V2,…", help="Values of a parameter of rule_quoter; repeatable."
)
@click.option("--capital", default="100000", show_default=True, metavar="AMOUNT", help="Starting capital.")
@click.option("--maker-fee", default="0.001", show_default=True, metavar="FRACTION", help="Fee of resting orders.")
@click.option("--sort", type=click.Choice(_SORTS), default="profit", show_default=True, help="What comes first.")
@click.option("--top", type=click.IntRange(1, 1000), default=20, show_default=True, help="Rows to show.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def quote_sweep(invocation: Invocation, /, params: tuple[str, ...], as_json: bool, **options: Any) -> None:
    """Try a grid of figures of the strategy rule_quoter over a file of quotes.

    Every set is one compiled pass that fills as the event path does without latency and with the limits of the profile
    research; the best set is also run on the event path, and it is said whether the fills are equal. Without latency
    and with own orders that move nobody the figures flatter: run what is chosen with `backtest run --market`.
    """
    request = options | {"grid": dict(_values(text) for text in params)}
    request["quotes"] = str(Path(request["quotes"]).expanduser().absolute())

    async def work(host: Offline) -> Any:
        return await do_job(host, "backtests.sweep_quotes", request)

    report = in_home(invocation.home, work).report
    if as_json:
        say_json(report)
        return
    say(f"{report['sets']:,} sets over {report['quotes']:,} quotes of {report['market']}; {report['checked']}.\n")
    names = list(report["rows"][0]["params"])
    head = (*names, " profit", " drawdown", " fills", " volume", " fees", " largest", " two-sided")
    table(
        head,
        (
            (
                *(f"{row['params'][name]:g}" for name in names),
                f"{row['profit']:+,.2f}",
                f"{row['max_drawdown']:.2%}",
                f"{row['fills']:,.0f}",
                f"{row['volume']:,.0f}",
                f"{row['fees']:,.2f}",
                f"{row['largest_position']:g}",
                f"{row['two_sided']:.1%}",
            )
            for row in report["rows"]
        ),
    )


def _values(text: str) -> tuple[str, list[float | bool]]:
    name, sign, values = text.partition("=")
    if not sign or not values:
        raise click.UsageError(f"--param {text}: write a name, = and values, such as spread=0.0002,0.0005.")
    return name, [_value(part, text) for part in values.split(",")]


def _value(part: str, text: str) -> float | bool:
    word = part.strip().lower()
    if word in ("yes", "true", "no", "false"):
        return word in ("yes", "true")
    try:
        return int(word) if word.lstrip("-").isdecimal() else float(word)
    except ValueError:
        raise click.UsageError(f"--param {text}: {part!r} is no number.") from None
