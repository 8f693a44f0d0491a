"""jesse's project: routes, configuration, strategies and exported candles; code is read as a tree and never run."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any

from engine.control.moving.candles import candles_in
from engine.control.moving.freqtrade_strategy import snake
from engine.control.moving.plan import BotDraft, MovePlan
from engine.control.moving.reading import MISSING, classes_of, literal, read_tree
from engine.control.moving.venues import venue_of_theirs
from engine.errors import DataError, NotFoundError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["read_jesse"]

_METHODS = {
    "should_long": "The column `entry` is 1 where it is true.",
    "should_short": "The column `entry` is -1 where it is true.",
    "go_long": "Sizes come from `position_size_pct` and the column `size`; its stop is `stop_distance`.",
    "go_short": "Sizes come from `position_size_pct` and the column `size`; its stop is `stop_distance`.",
    "should_cancel_entry": "An entry is a market order, or a parent order with a duration: `--execution`.",
    "should_cancel": "An entry is a market order, or a parent order with a duration: `--execution`.",
    "filters": "Put the conditions into the column `entry`.",
    "update_position": "`custom_stop`, `custom_exit` and `adjust_position` are asked at every close.",
    "on_open_position": "Stop and target are the columns `stop_distance` and `target_distance`.",
    "on_close_position": "There is no hook at a fill.",
    "on_increased_position": "There is no hook at a fill; `max_levels` and `add_distance` add levels.",
    "on_reduced_position": "A position is left as a whole.",
    "before": "Write it into the columns.",
    "after": "Write it into the columns.",
    "dna": "Give parameters by value: `--param NAME=VALUE`.",
    "hyperparameters": "Declare them in `Params`, each with bounds; `backtest sweep` and `search` vary them.",
    "trading_hours": "Make it a column of the hour, from `bars.ts`.",
    "watch_list": "Charts show the columns by themselves.",
}


def read_jesse(path: Path, venue: str = "") -> MovePlan:
    """What a jesse project (or one file of it) holds, in our nouns.

    Args:
        path: Its folder, or a folder or file of candles.
        venue: What candles are from where their names do not say.

    Raises:
        NotFoundError: There is nothing of it.
        DataError: A file cannot be read.
    """
    plan = MovePlan(program="jesse", path=str(path))
    routes = _routes(path / "routes.py", plan) if (path / "routes.py").is_file() else []
    exchanges = _exchanges(path / "config.py", plan) if (path / "config.py").is_file() else {}
    strategies = _strategies(path / "strategies", plan) if (path / "strategies").is_dir() else {}
    for number, route in enumerate(routes, 1):
        _bot(route, number, exchanges, strategies, plan)
    storage = next((sub for sub in (path / "storage", path / "candles") if sub.is_dir()), path)
    plan.candles, _ = candles_in(storage, "jesse", venue)
    if not (routes or strategies or plan.candles):
        raise NotFoundError(
            f"There are no routes.py, no strategies and no candle files of jesse in {path}. Name the project's folder. "
            "Candles in its database are exported first, as CSV or as JSON rows, named like "
            "`binance_BTC-USDT_1m.csv`."
        )
    return plan


def _values_of(file: Path) -> dict[str, Any]:
    found = {}
    for node in read_tree(file).body:
        if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            value = literal(node.value)
            if value is not MISSING:
                found[node.targets[0].id] = value
    return found


def _routes(file: Path, plan: MovePlan) -> list[tuple[str, str, str, str]]:
    """Exchange, symbol, timeframe and strategy of each route."""
    values = _values_of(file)
    found: list[tuple[str, str, str, str]] = []
    for one in values.get("routes") or []:
        if isinstance(one, dict):
            parts = [one.get(name) for name in ("exchange", "symbol", "timeframe", "strategy")]
        else:
            parts = list(one)[:4] if isinstance(one, list) else []
        if len(parts) == 4 and all(isinstance(part, str) for part in parts):
            found.append((str(parts[0]), str(parts[1]), str(parts[2]), str(parts[3])))
        else:
            plan.leave(f"the route {one}", file.name, "it is not written out as four texts", "Create the bot by hand.")
    for one in values.get("data_routes") or values.get("extra_candles") or []:
        plan.leave(f"the data route {one}", file.name, "a strategy here sees its own market alone",
                   "A higher timeframe of it is `ta.higher(bars, '4h')`.")  # fmt: skip
    return found


def _exchanges(file: Path, plan: MovePlan) -> dict[str, Any]:
    """Balances, fees and leverage by exchange."""
    config = _values_of(file).get("config")
    env = config.get("env") if isinstance(config, dict) else None
    found = env.get("exchanges") if isinstance(env, dict) else None
    if not isinstance(found, dict):
        plan.leave("config.py", file.name, "its exchanges are not plain values", "Give fees and capital by hand.")
        return {}
    return {str(name): values for name, values in found.items() if isinstance(values, dict)}


def _strategies(folder: Path, plan: MovePlan) -> dict[str, str]:
    """Class -> name that a strategy of ours would have; what their code says is listed with what it becomes."""
    found: dict[str, str] = {}
    for file in sorted(folder.glob("*/__init__.py")):
        try:
            classes = classes_of(read_tree(file))
        except DataError as error:
            plan.leave("a strategy", str(file), error.message, "Correct the file.")
            continue
        for node in classes:
            methods = {part.name: part for part in node.body if isinstance(part, ast.FunctionDef)}
            if not {"should_long", "go_long"} & methods.keys():
                continue
            name = snake(node.name)
            found[file.parent.name] = name
            where = f"{file.parent.name}:{node.lineno}"
            plan.leave(
                f"the strategy {node.name}", where,
                "its code decides bar by bar on single numbers, which is not translated into columns",
                f"`quarterdeck strategies new {name} --template blank`, then write it with what follows.",
            )  # fmt: skip
            for method, todo in _METHODS.items():
                if method in methods:
                    plan.leave(f"{node.name}.{method}()", f"{file.parent.name}:{methods[method].lineno}",
                               "code is not translated", todo)  # fmt: skip
            _say_parameters(node.name, methods.get("hyperparameters"), plan)
    return found


def _say_parameters(name: str, method: ast.FunctionDef | None, plan: MovePlan) -> None:
    if method is None:
        return
    for part in method.body:
        if not isinstance(part, ast.Return) or not isinstance(part.value, ast.List):
            continue
        for one in part.value.elts:
            # `type` is a class, not a value; the rest are values.
            pairs = zip(one.keys, one.values, strict=True) if isinstance(one, ast.Dict) else ()
            values = {literal(key): literal(value) for key, value in pairs}
            low, high, default = (values.get(key) for key in ("min", "max", "default"))
            if isinstance(values.get("name"), str):
                kind = "float" if any(isinstance(v, float) for v in (low, high, default)) else "int"
                line = f'{values["name"]}: {kind} = Field({default}, ge={low}, le={high}, description="…")'
                plan.leave(f"{name}, parameter {values['name']}", "", "it belongs into `Params`", line)


def _bot(
    route: tuple[str, str, str, str], number: int, exchanges: dict[str, Any], known: dict[str, str], plan: MovePlan
) -> None:
    exchange, symbol, timeframe, strategy = route
    futures = "perpetual" in exchange.lower() or "futures" in exchange.lower()
    venue, native = venue_of_theirs(exchange, futures=futures)
    pair = symbol.upper().replace("-", "/")
    if futures:
        pair = f"{pair}:{pair.partition('/')[2]}"
    if not native:
        plan.leave(f"the exchange {exchange}", "routes.py", "it is traded over the general adapter",
                   f"Check it with `quarterdeck venue check {venue}` before you trade there.")  # fmt: skip
    values = exchanges.get(exchange, {})
    balance, fee = values.get("balance"), values.get("fee")
    if isinstance(fee, int | float) and fee:
        plan.backtest |= {"--maker-fee": f"{fee}", "--taker-fee": f"{fee}"}
    leverage = values.get("futures_leverage")
    if isinstance(leverage, int | float) and leverage > 1:
        plan.leave(f"futures_leverage {leverage}", "config.py", "leverage belongs to the account",
                   f"`quarterdeck margin set {venue.upper()}:{pair} {leverage:g}`.")  # fmt: skip
    plan.bots.append(
        BotDraft(
            name=f"{known.get(strategy, snake(strategy))[:20]} {number}",
            strategy="",
            timeframe=timeframe,
            instruments=(f"{venue.upper()}:{pair}",),
            capital=f"{balance:g}" if isinstance(balance, int | float) else "",
        )
    )
    plan.taken.append(f"The route {exchange} {symbol} {timeframe}; its strategy {strategy} is to be written.")
