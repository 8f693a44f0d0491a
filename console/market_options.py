"""Options of `backtest run` for several markets, and the request that they make."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from console.offline_call import pairs, strategy_name

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["MARKET_OPTIONS", "market_options", "markets_request"]

MARKET_OPTIONS = ("markets", "latency", "report_latency", "data_latency", "fee_tier", "balance", "funding")
_TABLES = (".parquet", ".csv")
_NOT_FOR_MARKETS = ("fills", "slippage", "gaps", "road")


def market_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options of a run over several markets."""
    options = (
        click.option(
            "--market",
            "markets",
            multiple=True,
            metavar="VENUE:SYMBOL[:TIMEFRAME][@DATA]",
            help="A market of a strategy on books; repeatable. DATA is a file of quotes or a recording.",
        ),
        click.option("--latency", multiple=True, metavar="[VENUE=]MS", help="Time of an order to a venue; repeatable."),
        click.option("--report-latency", multiple=True, metavar="[VENUE=]MS", help="Time of its answer; repeatable."),
        click.option("--data-latency", multiple=True, metavar="[VENUE=]MS", help="Delay of its market; repeatable."),
        click.option(
            "--fee-tier",
            multiple=True,
            metavar="VOLUME:MAKER:TAKER",
            help="Fees from a traded volume of 30 days on; repeatable.",
        ),
        click.option("--balance", multiple=True, metavar="VENUE:CURRENCY=AMOUNT", help="Money besides the capital."),
        click.option("--funding", multiple=True, metavar="VENUE:SYMBOL=FILE", help="Funding rates of a perpetual."),
    )
    for option in reversed(options):
        command = option(command)
    return command


def markets_request(options: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """The operation and its request.

    Raises:
        click.UsageError: Something is not written as it must be.
    """
    for name in ("venue", "symbol"):
        if options[name]:
            raise click.UsageError(f"Leave out --{name}: each --market names its own.")
    stray = [name for name in _NOT_FOR_MARKETS if options[name]]
    if stray:
        raise click.UsageError(f"--{stray[0]} is about bars and does not go with --market.")
    funding = _table(options["funding"], "--funding", str)
    request = {
        "strategy": strategy_name(str(options["strategy"])),
        "markets": [_market(text, funding) for text in options["markets"]],
        "params": pairs(options["params"]),
        "capital": options["capital"],
        "request_ms": _milliseconds(options["latency"], "--latency"),
        "report_ms": _milliseconds(options["report_latency"], "--report-latency"),
        "data_ms": _milliseconds(options["data_latency"], "--data-latency"),
        "fee_tiers": [_tier(text) for text in options["fee_tier"]],
        "balances": _table(options["balance"], "--balance", str),
    }
    for name in ("timeframe", "start", "end", "maker_fee", "taker_fee", "allow_short", "profile"):
        if options[name] is not None:
            request[name] = options[name]
    if options["limits"]:
        request["limits"] = pairs(options["limits"])
    if funding:
        raise click.UsageError(f"--funding {next(iter(funding))} belongs to no --market.")
    return "backtests.run_markets", request


def _market(text: str, funding: dict[str, str]) -> dict[str, Any]:
    name, _, data = text.partition("@")
    venue, _, rest = name.partition(":")
    parts = rest.split(":")
    if not venue or not parts[0]:
        raise click.UsageError(f"--market {text}: write venue and symbol, such as binance:BTC/USDT:1h.")
    timeframe = None
    if len(parts) > 1 and parts[-1][:1].isdigit():
        timeframe = parts.pop()
    symbol = ":".join(parts)
    market: dict[str, Any] = {"venue": venue, "symbol": symbol, "timeframe": timeframe}
    if data:
        path = Path(data).expanduser()
        kind = "quotes" if path.suffix in _TABLES and _is_quotes(path) else "recording"
        market[kind] = str(path.absolute()) if path.exists() else data
    found = funding.pop(f"{venue}:{symbol}", None)
    if found is not None:
        market["funding"] = str(Path(found).expanduser().absolute())
    return market


def _is_quotes(path: Path) -> bool:
    """Whether a table holds quotes rather than trades or candles; a file that is not there is told of later."""
    if not path.is_file():
        return True
    if path.suffix == ".csv":
        with path.open(encoding="utf-8") as file:
            return "bid" in file.readline().lower()
    import pyarrow.parquet as pq

    return "bid" in pq.read_schema(path).names


def _milliseconds(texts: tuple[str, ...], option: str) -> dict[str, float]:
    table = {}
    for text in texts:
        venue, sign, value = text.rpartition("=")
        try:
            table[venue.lower() if sign else "*"] = float(value)
        except ValueError:
            raise click.UsageError(f"{option} {text}: write milliseconds, such as 5 or binance=5.") from None
    return table


def _tier(text: str) -> dict[str, str]:
    parts = text.split(":")
    if len(parts) != 3:
        raise click.UsageError(f"--fee-tier {text}: write volume, maker and taker fee, such as 1000000:0.0002:0.0004.")
    return dict(zip(("volume", "maker", "taker"), parts, strict=True))


def _table(texts: tuple[str, ...], option: str, kind: Callable[[str], str]) -> dict[str, str]:
    table = {}
    for text in texts:
        name, sign, value = text.partition("=")
        if not sign or not value:
            raise click.UsageError(f"{option} {text}: write a name, = and a value.")
        table[name] = kind(value)
    return table
