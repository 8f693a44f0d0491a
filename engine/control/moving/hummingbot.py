"""hummingbot's folder: strategy files (`conf/strategies/*.yml`), controllers (`conf/controllers/*.yml`) and candles.

A file is a list of `name: value` lines; its comments, and everything that is encrypted, are left alone.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from engine.control.moving.candles import candles_in
from engine.control.moving.plan import BotDraft, MovePlan
from engine.control.moving.reading import read_text
from engine.control.moving.venues import venue_of_theirs
from engine.errors import NotFoundError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["read_flat_yaml", "read_hummingbot"]

_LINE = re.compile(r"([A-Za-z_][A-Za-z0-9_]*):(?:\s+(.*))?")
_ITEM = re.compile(r"\s*-\s+(.*)")
Values = dict[str, Any]


def read_flat_yaml(text: str) -> Values:
    """The top-level `name: value` lines of a file, lists of plain values included; nested parts are MISSING from it."""
    found: Values = {}
    name = ""
    for line in text.splitlines():
        plain = re.sub(r"(^|\s)#.*$", "", line).rstrip()
        item = _ITEM.fullmatch(plain)
        if item and name and isinstance(found.get(name), list | None):
            found[name] = [*(found[name] or []), _plain(item[1])]
            continue
        match = _LINE.fullmatch(plain)
        if match is not None:
            name = match[1]
            found[name] = _plain(match[2] or "")
    return found


def _plain(text: str) -> Any:
    text = text.strip()
    if text in ("", "null", "None", "~"):
        return None
    if text.startswith("[") and text.endswith("]"):
        return [_plain(part) for part in text[1:-1].split(",") if part.strip()]
    if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"":
        return text[1:-1]
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    try:
        return int(text) if re.fullmatch(r"[-+]?\d+", text) else float(text)
    except ValueError:
        return text


def read_hummingbot(path: Path, venue: str = "") -> MovePlan:
    """What a hummingbot folder (or one of its files) holds, in our nouns.

    Args:
        path: Its folder, a `.yml` file, or a folder or file of candles.
        venue: What candles are from where their names do not say.

    Raises:
        NotFoundError: There is nothing of it.
        DataError: A file cannot be read.
    """
    plan = MovePlan(program="hummingbot", path=str(path))
    for file in _files(path):
        values = read_flat_yaml(read_text(file))
        name = str(values.get("controller_name") or values.get("strategy") or "")
        if not name:
            continue
        reader = _READERS.get(name)
        if reader is None:
            plan.leave(f"the strategy {name}", file.name, "there is no such strategy here", _NEAREST.get(name, _BUILD))
            continue
        reader(values, file, plan)
    data = path / "data" if (path / "data").is_dir() else path
    plan.candles, _ = candles_in(data, "hummingbot", venue)
    if not (plan.bots or plan.candles or plan.left):
        raise NotFoundError(
            f"There is no strategy file, no controller and no candle file of hummingbot in {path}. Name its folder, "
            "the one with `conf` in it, or one of its .yml files."
        )
    if plan.bots:
        plan.leave("the keys of the exchanges", "conf/connectors", "keys are never read from other programs",
                   "`quarterdeck keys add VENUE` keeps them sealed.")  # fmt: skip
    return plan


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path] if path.suffix in (".yml", ".yaml") else []
    folders = [path / "conf" / "strategies", path / "conf" / "controllers", path / "conf", path]
    files = [file for folder in folders if folder.is_dir() for file in sorted(folder.glob("*.yml"))]
    return list(dict.fromkeys(files))


_BUILD = "Begin with `quarterdeck strategies new` or look at `quarterdeck strategies list`."
_NEAREST = {
    "avellaneda_market_making": "`avellaneda_stoikov` quotes by the same formula with its own parameters.",
    "amm_arb": "There is no decentralised exchange here; between central ones `cross_exchange_arbitrage` trades.",
    "spot_perpetual_arbitrage": "`cross_exchange_arbitrage` trades two venues; funding is not its reason to trade.",
    "fixed_grid": "`grid` buys a step down and sells a step up.",
    "grid_strike": "`grid` buys a step down and sells a step up, within a range.",
    "liquidity_mining": "`market_making` on a universe quotes several markets.",
    "twap": "`quarterdeck algos start` trades one order in parts.",
    "dman_v3": "`dca` adds below, with one target over the mean.",
    "bollinger_v1": "`bollinger_reversion` trades the same bands.",
    "macd_bb_v1": "`macd_cross` and `bollinger_reversion` are the nearest.",
    "supertrend_v1": "`supertrend` follows the same line.",
}


# --- market making ---------------------------------------------------------------------------------------------------


def _percent(value: Any) -> float | None:
    return float(value) / 100 if isinstance(value, int | float) else None


def _instrument(exchange: Any, pair: Any, plan: MovePlan) -> tuple[str, str]:
    """`VENUE:BASE/QUOTE` and the quote currency."""
    name = str(exchange or "")
    venue, native = venue_of_theirs(name, futures="perpetual" in name.lower())
    symbol = str(pair or "").upper().replace("-", "/")
    quote = symbol.partition("/")[2]
    if "perpetual" in name.lower() and quote:
        symbol = f"{symbol}:{quote}"
    if not native:
        plan.leave(f"the exchange {name}", "", "it is traded over the general adapter",
                   f"Check it with `quarterdeck venue check {venue}` before you trade there.")  # fmt: skip
    return f"{venue.upper()}:{symbol}", quote


def _say_rest(values: Values, used: set[str], file: Path, plan: MovePlan, hints: dict[str, str]) -> None:
    """Everything that differs from nothing and was not used."""
    for name, value in values.items():
        if name in used or value in (None, False, 0, -1, -1.0, "", []):
            continue
        todo = hints.get(name, "Look for its like in `quarterdeck strategies config`.")
        plan.leave(f"{name}: {value}", file.name, "it has no like in the strategy that was chosen", todo)


_COMMON = {
    "template_version",
    "strategy",
    "exchange",
    "market",
    "id",
    "controller_name",
    "controller_type",
    "candles_config",
}
_PMM_HINTS = {
    "ping_pong_enabled": "Inventory skew keeps the two sides in balance.",
    "price_ceiling": "Pause the bot there by a price alert.",
    "price_floor": "Pause the bot there by a price alert.",
    "minimum_spread": "`min_profit_per_trade` keeps quotes from being too near.",
    "filled_order_delay": "`fill_delay` in seconds.",
    "price_source": "Quotes are around the venue's own book.",
    "order_optimization_enabled": "`competitive_quotes` does that, and is on.",
    "add_transaction_costs": "Fees are always part of the least distance.",
}


def _pure(values: Values, file: Path, plan: MovePlan) -> None:
    """pure_market_making -> market_making."""
    spreads = [_percent(values.get(name)) for name in ("bid_spread", "ask_spread")]
    known = [one for one in spreads if one is not None]
    params: Values = {}
    if known:
        params["base_spread"] = sum(known)
        if len(known) == 2 and known[0] != known[1]:
            plan.leave("bid_spread and ask_spread", file.name, "here both sides have the same distance",
                       "Their sum is the spread; inventory skew makes the sides differ.")  # fmt: skip
    for theirs, ours in (("order_levels", "order_levels"), ("order_refresh_time", "order_refresh_time"),
                         ("filled_order_delay", "fill_delay"), ("hanging_orders_enabled", "hanging_orders"),
                         ("inventory_skew_enabled", "inventory_skew")):  # fmt: skip
        if isinstance(values.get(theirs), bool | int | float):
            params[ours] = values[theirs]
    for theirs, ours in (
        ("inventory_target_base_pct", "target_inventory"),
        ("hanging_orders_cancel_pct", "hanging_cancel"),
    ):
        share = _percent(values.get(theirs))
        if share is not None:
            params[ours] = share
    amount = values.get("order_amount")
    if isinstance(amount, int | float) and str(values.get("market")).upper().startswith("BTC-"):
        params["base_order_size"] = float(amount)
    elif amount is not None:
        todo = "Give `base_order_size` in BTC of the same worth."
        plan.leave(f"order_amount: {amount}", file.name, "the first level's size is said in BTC here", todo)
    used = _COMMON | {
        "bid_spread", "ask_spread", "order_levels", "order_refresh_time", "filled_order_delay", "order_amount",
        "hanging_orders_enabled", "inventory_skew_enabled", "inventory_target_base_pct", "hanging_orders_cancel_pct",
    }  # fmt: skip
    _say_rest(values, used, file, plan, _PMM_HINTS)
    instrument, _ = _instrument(values.get("exchange"), values.get("market"), plan)
    _add_bot(plan, file, "market_making", (instrument,), params)


def _pmm_controller(values: Values, file: Path, plan: MovePlan) -> None:
    """pmm_simple and pmm_dynamic -> market_making."""
    buys = values.get("buy_spreads")
    buys = buys if isinstance(buys, list) else [buys]
    numbers = [float(one) for one in buys if isinstance(one, int | float)]
    params: Values = {}
    if numbers:
        # Theirs are fractions of the price, one a level.
        params |= {"base_spread": 2 * numbers[0], "order_levels": len(numbers)}
    if isinstance(values.get("executor_refresh_time"), int | float):
        params["order_refresh_time"] = float(values["executor_refresh_time"])
    used = _COMMON | {"buy_spreads", "sell_spreads", "executor_refresh_time", "connector_name", "trading_pair",
                      "total_amount_quote"}  # fmt: skip
    hints = {
        "stop_loss": "`stop_loss_inventory` and the risk limits end a position.",
        "take_profit": "A quoter takes its profit by the other quote.",
        "time_limit": "There is no time limit of a quote's position.",
        "leverage": "Set it with `quarterdeck margin set`.",
    }
    _say_rest(values, used, file, plan, hints)
    instrument, _ = _instrument(values.get("connector_name"), values.get("trading_pair"), plan)
    total = values.get("total_amount_quote")
    _add_bot(plan, file, "market_making", (instrument,), params, str(total) if isinstance(total, int | float) else "")


# --- between venues --------------------------------------------------------------------------------------------------


def _cross(values: Values, file: Path, plan: MovePlan) -> None:
    """cross_exchange_market_making, xemm and arbitrage -> cross_exchange_arbitrage."""
    places = (
        ("maker_market", "maker_market_trading_pair", "taker_market", "taker_market_trading_pair"),
        ("primary_market", "primary_market_trading_pair", "secondary_market", "secondary_market_trading_pair"),
        ("maker_connector", "maker_trading_pair", "taker_connector", "taker_trading_pair"),
    )
    names = next((four for four in places if values.get(four[0])), places[0])
    instruments = tuple(
        _instrument(values.get(exchange), values.get(pair), plan)[0]
        for exchange, pair in ((names[0], names[1]), (names[2], names[3]))
    )
    params: Values = {}
    least = values.get("min_profitability")
    if isinstance(least, int | float):
        # In strategy files a percentage, in controllers a fraction.
        params["min_profit_threshold"] = float(least) / (1 if values.get("controller_name") else 100)
    if values.get("strategy") != "arbitrage":
        todo = "It trades when both books together pay more than `min_profit_threshold`; nothing rests."
        plan.leave("a maker's quote on one venue", file.name, "the arbitrage here takes on both sides at once", todo)
    _say_rest(values, _COMMON | {*names, "min_profitability"}, file, plan, {})
    total = values.get("total_amount_quote")
    capital = str(total) if isinstance(total, int | float) else ""
    _add_bot(plan, file, "cross_exchange_arbitrage", instruments, params, capital)


def _avellaneda(values: Values, file: Path, plan: MovePlan) -> None:
    """avellaneda_market_making -> avellaneda_stoikov."""
    params: Values = {}
    if isinstance(values.get("risk_factor"), int | float):
        params["gamma"] = float(values["risk_factor"])
    if isinstance(values.get("order_refresh_time"), int | float):
        params["refresh_s"] = float(values["order_refresh_time"])
    target = _percent(values.get("inventory_target_base_pct"))
    if target is not None:
        params["target_inventory_pct"] = target
    used = _COMMON | {"risk_factor", "order_refresh_time", "inventory_target_base_pct"}
    _say_rest(values, used, file, plan, {"order_amount": "`order_size_pct`, a fraction of the capital."})
    instrument, _ = _instrument(values.get("exchange"), values.get("market"), plan)
    _add_bot(plan, file, "avellaneda_stoikov", (instrument,), params)


def _add_bot(
    plan: MovePlan, file: Path, strategy: str, instruments: tuple[str, ...], params: Values, capital: str = ""
) -> None:
    name = re.sub(r"[^A-Za-z0-9 _.-]", "-", file.stem.removeprefix("conf_"))[:32]
    kept = _fitting(strategy, params, file, plan)
    plan.bots.append(
        BotDraft(name=name, strategy=strategy, timeframe="1m", instruments=instruments, capital=capital, params=kept)
    )
    plan.taken.append(f"{file.name}, as a bot with the strategy {strategy} on {' and '.join(instruments)}.")


def _fitting(strategy: str, params: Values, file: Path, plan: MovePlan) -> Values:
    """The parameters that the strategy takes; what it refuses is left."""
    from engine.errors import ConfigurationError
    from engine.strategy.loader import StrategyRegistry

    cls = StrategyRegistry().get(strategy).cls
    kept: Values = {}
    for name, value in params.items():
        try:
            cls.build({**kept, name: value})
        except ConfigurationError as error:
            plan.leave(f"{name}={value}", file.name, error.message, "Choose a value that it takes.")
        else:
            kept[name] = value
    return kept


_READERS: dict[str, Callable[[Values, Path, MovePlan], None]] = {
    "pure_market_making": _pure,
    "pmm_simple": _pmm_controller,
    "pmm_dynamic": _pmm_controller,
    "cross_exchange_market_making": _cross,
    "cross_exchange_mining": _cross,
    "xemm_multiple_levels": _cross,
    "arbitrage": _cross,
    "arbitrage_controller": _cross,
    "avellaneda_market_making": _avellaneda,
}
