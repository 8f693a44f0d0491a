"""freqtrade's folder: config.json, strategies, candles; keys in it are neither read nor shown."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from engine.control.moving.candles import candles_in
from engine.control.moving.freqtrade_strategy import TheirStrategy, find_strategies, snake, write_strategy
from engine.control.moving.plan import BotDraft, MovePlan, StrategyDraft
from engine.control.moving.reading import read_json, read_text
from engine.control.moving.venues import venue_of_theirs
from engine.errors import DataError, NotFoundError, ValidationError
from engine.model.candle import timeframe_ns

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["read_freqtrade"]

_OF_STRATEGY = (
    "minimal_roi", "stoploss", "trailing_stop", "trailing_stop_positive", "trailing_stop_positive_offset",
    "trailing_only_offset_is_reached",
)  # fmt: skip
_SECRET = ("key", "secret", "password", "uid", "accountid", "walletaddress", "privatekey")
_SILENT = {
    "$schema", "add_config_files", "bot_name", "config_files", "datadir", "dataformat_ohlcv", "dataformat_trades",
    "db_url", "dry_run", "dry_run_wallet", "exchange", "fee", "fiat_display_currency", "internals", "log_config",
    "logfile", "margin_mode", "max_open_trades", "pairlists", "process_only_new_candles", "protections",
    "recursive_strategy_search", "reduce_df_footprint", "stake_amount", "stake_currency", "strategy", "strategy_path",
    "timeframe", "tradable_balance_ratio", "available_capital", "trading_mode", "user_data_dir", "verbosity",
    "version", "initial_state", "use_exit_signal", "ticker_interval", *_OF_STRATEGY,
}  # fmt: skip
_ELSEWHERE = {
    "telegram": "Alerts go to many places: `quarterdeck config set alerts.…`; tokens are not copied.",
    "webhook": "Alerts go to many places: `quarterdeck config set alerts.…`.",
    "discord": "Alerts go to many places: `quarterdeck config set alerts.…`; tokens are not copied.",
    "api_server": "The control socket is there by itself (docs/control-api.md).",
    "freqai": "Models are not part of a strategy file here.",
    "order_types": "Entries: `bots create --execution`; stops rest at the venue wherever it can hold them.",
    "order_time_in_force": "Entries: `bots create --execution algorithm=…`.",
    "unfilledtimeout": "Entries are market orders, or parent orders with a duration of their own.",
    "entry_pricing": "`bots create --execution algorithm=chase` or `peg` chooses the side of the book.",
    "exit_pricing": "Exits go at the market.",
    "exit_profit_only": "Put the condition into `custom_exit`.",
    "exit_profit_offset": "Put the condition into `custom_exit`.",
    "ignore_roi_if_entry_signal": "Put the condition into `custom_exit`.",
    "position_adjustment_enable": "`adjust_position`, or the column `add_distance` with `max_levels` in `rules()`.",
    "max_entry_position_adjustment": "`max_levels` in `rules()`.",
    "amend_last_stake_amount": "Sizes are a fraction of equity; there is no last stake.",
    "edge": "There is no such module.",
    "external_message_consumer": "`quarterdeck watch` prints every topic as JSON lines.",
}
"""Their setting -> what to do instead."""


def read_freqtrade(path: Path, venue: str = "") -> MovePlan:
    """What a freqtrade folder (or one file of it) holds, in our nouns; nothing is run, keys are not read.

    Args:
        path: `user_data`, its parent, a config.json, a strategy's .py, a folder or file of candles.
        venue: What candles are from where their folder does not say.

    Raises:
        NotFoundError: There is nothing of theirs.
        DataError: A file that is named cannot be read.
    """
    plan = MovePlan(program="freqtrade", path=str(path))
    config_file, strategy_files = _files(path)
    config = _config(config_file, plan) if config_file else {}
    place = venue or _venue(config, config_file, plan)
    theirs = _chosen(find_strategies(strategy_files), config)
    timeframe = _timeframe(config, theirs, plan)
    drafts = _strategies(theirs, config, timeframe, plan)
    if config:
        plan.bots.append(_bot(config, config_file or path, place, drafts, timeframe, plan))
    data = next((sub for sub in (path / "data", path / "user_data" / "data") if sub.is_dir()), path)
    if data.is_dir() or not (config or theirs):
        plan.candles, unknown = candles_in(data, "freqtrade", place)
        for file in unknown:
            plan.leave("a file of candles", str(file), "its name says no pair and timeframe, or it is no trade price",
                       "Take it in with `quarterdeck data import`, naming venue, symbol and timeframe.")  # fmt: skip
    if not (config or theirs or plan.candles):
        raise NotFoundError(
            f"There is no config.json, no strategy and no candle file of freqtrade in {path}. Name its user_data "
            "folder or a file of it."
        )
    return plan


def _files(path: Path) -> tuple[Path | None, list[Path]]:
    """The configuration and the strategies' files."""
    if path.is_file():
        return (path, []) if path.suffix in (".json", ".jsonc") else (None, [path] if path.suffix == ".py" else [])
    places = [path, path / "user_data"]
    configs = [found for place in places for found in sorted(place.glob("config*.json")) if found.is_file()]
    folders = [place / "strategies" for place in places]
    code = [file for folder in folders if folder.is_dir() for file in sorted(folder.glob("*.py"))]
    code += [file for file in sorted(path.glob("*.py")) if "IStrategy" in read_text(file)] if not code else []
    whole = next((file for file in configs if file.name == "config.json"), configs[0] if configs else None)
    return whole, [file for file in code if file.name != "__init__.py"]


def _config(file: Path, plan: MovePlan) -> dict[str, Any]:
    """The settings with those of the files that they name, and without anything secret."""
    config = read_json(file)
    for name in config.get("add_config_files") or []:
        try:
            config = {**read_json(file.parent / str(name)), **config}
        except DataError as error:
            plan.leave(f"add_config_files {name}", file.name, error.message, "Name a file that is there.")
    exchange = {k: v for k, v in (config.get("exchange") or {}).items() if k.lower() not in _SECRET}
    config["exchange"] = exchange
    for name in sorted(config.keys() - _SILENT):
        todo = _ELSEWHERE.get(name, "Look for its like with `quarterdeck config list`.")
        plan.leave(f"the setting {name}", file.name, "there is no such setting here", todo)
    return config


def _venue(config: dict[str, Any], file: Path | None, plan: MovePlan) -> str:
    name = str((config.get("exchange") or {}).get("name") or "")
    if not name:
        return ""
    venue, native = venue_of_theirs(name, futures=config.get("trading_mode") == "futures")
    plan.taken.append(f"The exchange {name}, here {venue}.")
    plan.leave("the keys of the exchange", file.name if file else "", "keys are never read from other programs",
               f"`quarterdeck keys add {venue}` keeps them sealed.")  # fmt: skip
    if not native:
        plan.leave(f"the exchange {name}", file.name if file else "", "it is traded over the general adapter",
                   f"Check it with `quarterdeck venue check {venue}` before you trade there.")  # fmt: skip
    return venue


def _chosen(found: list[TheirStrategy], config: dict[str, Any]) -> list[TheirStrategy]:
    """The strategy that the settings name, else all."""
    named = [one for one in found if one.name == config.get("strategy")]
    return named or found


def _timeframe(config: dict[str, Any], theirs: list[TheirStrategy], plan: MovePlan) -> str:
    said = config.get("timeframe") or config.get("ticker_interval")
    said = said or next((one.values["timeframe"] for one in theirs if isinstance(one.values.get("timeframe"), str)), "")
    if not said:
        return "5m"
    try:
        timeframe_ns(str(said))
    except ValidationError as error:
        plan.leave(f"the timeframe {said}", "", error.message, "Choose another; 5m is taken.")
        return "5m"
    return str(said)


def _strategies(
    theirs: list[TheirStrategy], config: dict[str, Any], timeframe: str, plan: MovePlan
) -> list[StrategyDraft]:
    settings = {name: config[name] for name in _OF_STRATEGY if name in config}
    for one in theirs:
        own = one.values.get("timeframe")
        source = write_strategy(one, settings, str(own) if isinstance(own, str) and not config else timeframe, plan)
        if source:
            draft = StrategyDraft(name=snake(one.name), source=source, origin=f"{one.file.name}, {one.name}")
            plan.strategies.append(draft)
            plan.taken.append(f"The columns and conditions of {one.name}, as the strategy {draft.name}.")
        for name in ("order_types", "order_time_in_force", "position_adjustment_enable", "exit_profit_only"):
            if one.values.get(name) and name not in config:
                plan.leave(name, one.where(), "it is no part of a strategy here", _ELSEWHERE[name])
    return plan.strategies


# --- the bot ---------------------------------------------------------------------------------------------------------


def _bot(
    config: dict[str, Any], file: Path, venue: str, drafts: list[StrategyDraft], timeframe: str, plan: MovePlan
) -> BotDraft:
    quote = str(config.get("stake_currency") or "USDT").upper()
    capital, most = _capital(config, file, plan)
    symbols, universe = _pairs(config, file, quote, plan)
    _protections(config, file, timeframe, plan)
    if isinstance(config.get("fee"), int | float):
        fee = f"{Decimal(repr(config['fee'])):f}"
        plan.backtest |= {"--maker-fee": fee, "--taker-fee": fee}
        plan.taken.append(f"The fee {float(fee):.3%} for backtests; live the venue's own count.")
    name = re.sub(r"[^A-Za-z0-9 _.-]", "-", str(config.get("bot_name") or "freqtrade"))[:32] or "freqtrade"
    share = round(1 / most, 4) if most else 0.1
    if share > 0.1:
        plan.leave(
            f"a stake of {share:.0%} of the capital", file.name, "one entry of a bot is at most 10 % of its capital",
            "Give the bot more capital, or let it hold more positions.",
        )  # fmt: skip
    return BotDraft(
        name=name,
        strategy=drafts[0].name if drafts else "",
        timeframe=timeframe,
        instruments=tuple(f"{venue.upper()}:{symbol}" for symbol in symbols) if venue else (),
        universe=universe,
        capital=capital,
        params={"position_size_pct": max(min(share, 0.1), 0.001)} if most else {},
        risk={"max_total_positions": most} if most else {},
    )


def _capital(config: dict[str, Any], file: Path, plan: MovePlan) -> tuple[str, int]:
    """What the bot may use in all, and the most positions; 0 for no limit."""
    most = config.get("max_open_trades")
    most = int(most) if isinstance(most, int | float) and 0 < most < 10_000 else 0
    stake, ratio = config.get("stake_amount"), config.get("tradable_balance_ratio", 0.99)
    wallet = config.get("available_capital") or config.get("dry_run_wallet")
    wallet = wallet.get(config.get("stake_currency")) if isinstance(wallet, dict) else wallet
    if isinstance(stake, int | float) and most:
        total = Decimal(repr(stake)) * most
        plan.taken.append(f"{most} stakes of {stake}, here a capital of {total.normalize():f}.")
    elif isinstance(wallet, int | float):
        total = Decimal(repr(wallet)) * Decimal(repr(ratio))
        plan.taken.append(f"The balance {wallet} times {ratio}, here a capital of {total.normalize():f}.")
    else:
        plan.leave("stake_amount", file.name, "it says no amount, and neither does a balance",
                   "Give the bot a capital: `bots create --capital`.")  # fmt: skip
        return "", most
    return f"{total.normalize():f}", most


def _pairs(config: dict[str, Any], file: Path, quote: str, plan: MovePlan) -> tuple[list[str], dict[str, Any]]:
    exchange = config.get("exchange") or {}
    white = [str(pair).upper() for pair in exchange.get("pair_whitelist") or []]
    black = [str(pair).upper() for pair in exchange.get("pair_blacklist") or []]
    universe: dict[str, Any] = {"quote": quote}
    if config.get("trading_mode") == "futures":
        universe["kind"] = "perpetual"
    lists = config.get("pairlists") or [{"method": "StaticPairList"}]
    for one in lists:
        handler = _LISTS.get(str(one.get("method")))
        if handler is None:
            reason, todo = "there is no such rule of a universe", "See `quarterdeck universe show --help`."
            plan.leave(f"the pair list {one.get('method')}", file.name, reason, todo)
        else:
            handler(one, universe, plan, file.name)
    moving = any(str(one.get("method")) in _RANKED for one in lists)
    plain = [pair for pair in white if re.fullmatch(r"[A-Z0-9]+/[A-Z0-9]+(:[A-Z0-9]+)?", pair)]
    patterns = [_pattern(pair) for pair in white if pair not in plain]
    denied = [_pattern(pair) for pair in black]
    for pair, pattern in zip([*[p for p in white if p not in plain], *black], [*patterns, *denied], strict=True):
        if pattern is None:
            plan.leave(f"the pattern {pair}", file.name, "it cannot be said with * and ?", "Add it by hand.")
    deny = tuple(pattern for pattern in denied if pattern)
    if moving or any(patterns):
        allow = tuple(pattern for pattern in (*plain, *patterns) if pattern) if not moving else ()
        universe |= {name: value for name, value in (("allow", allow), ("deny", deny)) if value}
        plan.taken.append("The pair lists, as a universe.")
        # Its instrument names the venue alone.
        return plain[:1] or [f"BTC/{quote}"], universe
    kept = [pair for pair in plain if pair not in black]
    plan.taken.append(f"{len(kept)} pair{'' if len(kept) == 1 else 's'} of the whitelist.")
    if len(kept) == 1 and not universe.keys() - {"quote", "kind"}:
        return kept, {}
    return kept[:1], universe | {"allow": tuple(kept), "top": min(max(len(kept), 1), 200)}


def _pattern(regex: str) -> str | None:
    """A regular expression of theirs as a pattern with *; None where it says more."""
    text = regex.upper()
    if re.fullmatch(r"[A-Z0-9]+/[A-Z0-9]+(:[A-Z0-9]+)?", text):
        return text
    group = re.fullmatch(r"\((?:\.\*)?([A-Z0-9|]+)\)/(.+)", text)
    if group and "|" not in group[1]:
        text = f"{group[1]}/{group[2]}"
    text = text.replace(".*", "*").replace(".+", "?*")
    return text if re.fullmatch(r"[A-Z0-9*?]+/[A-Z0-9*?:]+", text) else None


# --- pair lists ------------------------------------------------------------------------------------------------------


def _static(_: dict[str, Any], __: dict[str, Any], ___: MovePlan, ____: str) -> None:
    """A fixed list is the whitelist itself."""


def _volume(one: dict[str, Any], universe: dict[str, Any], plan: MovePlan, where: str) -> None:
    universe["top"] = min(int(one.get("number_assets") or 20), 200)
    if one.get("min_value"):
        universe["min_volume"] = str(one["min_value"])
    if one.get("refresh_period"):
        universe["refresh_s"] = max(float(one["refresh_period"]), 60.0)
    if one.get("lookback_days") or one.get("lookback_timeframe"):
        plan.leave("VolumePairList over several days", where, "here the volume is that of a day", "Nothing, mostly.")
    if one.get("sort_key") not in (None, "quoteVolume"):
        plan.leave(f"VolumePairList by {one['sort_key']}", where, "here the rank is by volume in quote currency", "—")


def _age(one: dict[str, Any], universe: dict[str, Any], *_: Any) -> None:
    universe["min_age_days"] = int(one.get("min_days_listed") or 10)
    if one.get("max_days_listed"):
        universe["max_age_days"] = int(one["max_days_listed"])


def _spread(one: dict[str, Any], universe: dict[str, Any], *_: Any) -> None:
    universe["max_spread"] = str(one.get("max_spread_ratio") or 0.005)


def _price(one: dict[str, Any], universe: dict[str, Any], plan: MovePlan, where: str) -> None:
    for theirs in ("min_price", "max_price"):
        if one.get(theirs):
            universe[theirs] = str(one[theirs])
    for theirs in ("low_price_ratio", "max_value"):
        if one.get(theirs):
            plan.leave(f"PriceFilter {theirs}", where, "there is no such rule", "Use min_price.")


def _volatility(one: dict[str, Any], universe: dict[str, Any], *_: Any) -> None:
    universe["volatility_days"] = int(one.get("lookback_days") or 10)
    for theirs in ("min_volatility", "max_volatility"):
        if one.get(theirs) is not None:
            universe[theirs] = str(one[theirs])


def _change(one: dict[str, Any], universe: dict[str, Any], plan: MovePlan, where: str) -> None:
    if one.get("number_assets"):
        universe["top"] = min(int(one["number_assets"]), 200)
        plan.leave(
            "PercentChangePairList", where, "here the rank is by volume, and the change is a bound", "min_change"
        )
    if one.get("min_value") is not None:
        universe["min_change"] = str(Decimal(repr(one["min_value"])) / 100)


def _silent(name: str, reason: str, todo: str) -> Callable[..., None]:
    def note(_: dict[str, Any], __: dict[str, Any], plan: MovePlan, where: str) -> None:
        plan.leave(f"the pair list {name}", where, reason, todo)

    return note


def _delisting(_: dict[str, Any], __: dict[str, Any], plan: MovePlan, ____: str) -> None:
    plan.taken.append("Markets that the venue delists leave a universe by themselves.")


_RANKED = {"VolumePairList", "PercentChangePairList", "MarketCapPairList", "RemotePairList", "ProducerPairList"}
_LISTS: dict[str, Callable[..., None]] = {
    "StaticPairList": _static,
    "VolumePairList": _volume,
    "AgeFilter": _age,
    "SpreadFilter": _spread,
    "PriceFilter": _price,
    "VolatilityFilter": _volatility,
    "PercentChangePairList": _change,
    "DelistFilter": _delisting,
    "PrecisionFilter": _silent(
        "PrecisionFilter", "a stop is put on the price grid, and one that cannot be is refused", "Nothing."
    ),
    "ShuffleFilter": _silent("ShuffleFilter", "the order of members means nothing here", "Nothing."),
}


# --- protections -----------------------------------------------------------------------------------------------------


def _protections(config: dict[str, Any], file: Path, timeframe: str, plan: MovePlan) -> None:
    bar = timeframe_ns(timeframe) / 1e9
    for one in config.get("protections") or []:
        method = str(one.get("method"))

        def span(name: str, one: dict[str, Any] = one) -> float:
            candles = one.get(f"{name}_candles")
            return float(candles) * bar if candles else float(one.get(name) or 60) * 60

        match method:
            case "CooldownPeriod":
                found: dict[str, Any] = {"cooldown_s": span("stop_duration")}
            case "StoplossGuard":
                per_pair = bool(one.get("only_per_pair"))
                stops = "stop_guard_stops" if per_pair else "stop_guard_global_stops"
                found = {stops: int(one.get("trade_limit") or 10), "stop_guard_window_s": span("lookback_period")}
                found["stop_guard_lock_s"] = span("stop_duration")
            case "LowProfitPairs":
                found = {"low_profit_trades": int(one.get("trade_limit") or 1)}
                found["low_profit_required"] = str(one.get("required_profit") or 0)
                found |= {"low_profit_window_s": span("lookback_period"), "low_profit_lock_s": span("stop_duration")}
            case "MaxDrawdown":
                found = {"equity_lock_pct": str(one.get("max_allowed_drawdown") or 0)}
                found |= {"equity_lock_window_s": span("lookback_period"), "equity_lock_s": span("stop_duration")}
            case _:
                plan.leave(f"the protection {method}", file.name, "there is no such lock", "See `quarterdeck risk`.")
                continue
        plan.settings |= {f"protections.{name}": value for name, value in found.items()}
        plan.taken.append(f"The protection {method}, as settings of all bots together.")
