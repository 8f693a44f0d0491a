"""How operations are typed: what stands without an option's name, short spellings, and what is asked before sending.

Everything else about a command follows from the operation's request. An operation that is not named here is reached
all the same, with an option for every field.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["NOT_COMMANDS", "OF_ACCOUNTS", "POSITIONAL", "PREVIEWED", "PROMPTED", "SHORTHANDS", "SINGULAR", "Shorthand"]


class Shorthand(NamedTuple):
    """An option that says a field, and with it the values of others."""

    option: str
    field: str
    implies: dict[str, str]
    help: str


_LIMIT = Shorthand("--limit", "price", {"type": "limit"}, "A limit order at this price.")
_STOP = Shorthand("--stop", "stop_price", {"type": "stop_loss"}, "A stop order with this trigger price.")
_EXIT_STOP = Shorthand("--stop", "stop_price", {}, "Trigger price of the stop.")
_EXIT_TARGET = Shorthand("--target", "target_price", {}, "Trigger price of the take-profit order.")
_PROFIT = Shorthand("--take-profit", "stop_price", {"type": "take_profit"}, "A take-profit order with this trigger.")

SHORTHANDS: dict[str, tuple[Shorthand, ...]] = {
    "orders.place": (_LIMIT, _STOP, _PROFIT),
    "orders.preview": (_LIMIT, _STOP, _PROFIT),
    "orders.place_exits": (_EXIT_STOP, _EXIT_TARGET),
    "orders.preview_exits": (_EXIT_STOP, _EXIT_TARGET),
}
"""Operation -> shorter ways to say some of its fields."""

POSITIONAL: dict[str, tuple[str, ...]] = {
    "alerts.acknowledge": ("ids",),
    "algos.accelerate": ("id", "factor"),
    "algos.cancel": ("id",),
    "algos.pause": ("id",),
    "algos.resume": ("id",),
    "algos.start": ("side", "quantity", "instrument"),
    "api.describe": ("noun",),
    "config.get": ("key",),
    "config.set": ("values",),
    "backtests.delete": ("id",),
    "backtests.export": ("id", "file"),
    "backtests.get": ("id",),
    "backtests.report": ("id",),
    "bots.configure": ("bot",),
    "bots.create": ("name", "strategy", "instrument"),
    "bots.delete": ("bot",),
    "bots.export": ("bot", "file"),
    "bots.get": ("bot",),
    "bots.import": ("file",),
    "bots.pause": ("bot",),
    "bots.report": ("bot",),
    "bots.resume": ("bot",),
    "bots.rollback": ("bot", "version"),
    "bots.start": ("bot",),
    "bots.stop": ("bot",),
    "bots.swap": ("bot",),
    "bots.versions": ("bot",),
    "capital.confirm": ("transfer",),
    "capital.deposit": ("amount",),
    "capital.drop": ("transfer",),
    "capital.route": ("amount", "source", "target"),
    "capital.transfer": ("amount", "source", "target"),
    "capital.unlock": ("lock",),
    "capital.withdraw": ("amount",),
    "data.delete": ("venue", "symbol", "timeframe"),
    "data.download": ("venue", "symbol"),
    "data.export": ("file",),
    "data.import": ("file",),
    "facts.since": ("cursor",),
    "instruments.search": ("query",),
    "instruments.unwatch": ("instrument",),
    "instruments.watch": ("instrument",),
    "jobs.cancel": ("id",),
    "jobs.get": ("id",),
    "quality.trade": ("id",),
    "keys.remove": ("venue", "account"),
    "keys.test": ("venue", "account"),
    "live.consent": ("account",),
    "live.withdraw": ("account",),
    "margin.set": ("instrument", "leverage"),
    "margin.show": ("instrument",),
    "market.book": ("instrument",),
    "market.candles": ("instrument",),
    "market.trades": ("instrument",),
    "moving.run": ("program", "path"),
    "orders.cancel": ("client_id",),
    "orders.estimate": ("side", "quantity", "instrument"),
    "orders.place": ("side", "quantity", "instrument"),
    "orders.place_exits": ("side", "quantity", "instrument"),
    "orders.place_route": ("side", "quantity", "symbol"),
    "orders.preview": ("side", "quantity", "instrument"),
    "orders.preview_exits": ("side", "instrument"),
    "orders.replace": ("client_id",),
    "orders.route": ("side", "quantity", "symbol"),
    "portfolio.close": ("instrument",),
    "portfolio.history": ("range",),
    "recordings.candles": ("id", "instrument"),
    "recordings.delete": ("id",),
    "risk.lock": ("scope",),
    "risk.reset_breaker": ("breaker",),
    "risk.set_limits": ("limits",),
    "risk.trip_breaker": ("breaker", "scope"),
    "risk.unlock": ("lock",),
    "strategies.backtest": ("strategy",),
    "strategies.check": ("strategy",),
    "strategies.config": ("name",),
    "strategies.load": ("file",),
    "strategies.new": ("name",),
    "strategies.performance": ("name",),
}
"""Operation -> fields that are given by their place. A mapping takes all that is left, as NAME=VALUE."""

SINGULAR = {
    "universe": "universe",
    "params": "param",
    "execution": "execution",
    "risk": "risk",
    "limits": "limit",
    "values": "value",
}
"""Field that holds several -> the option that is repeated for each."""

NOT_COMMANDS = frozenset({"replay", "live.arm", "live.disarm"})
"""Nouns and operations that are no commands: they move what only the console that opened it has."""

OF_ACCOUNTS = frozenset({"orders.list", "portfolio.balances", "portfolio.overview", "portfolio.positions"})
"""Operations that tell what accounts hold: what is not known yet must not look like nothing."""

PROMPTED = {"live.consent": "typed"}
"""Operation -> a required field that `console.live_prompt` asks a person for when it is left out."""

PREVIEWED = {"orders.place": "orders.preview", "orders.place_exits": "orders.preview_exits"}
"""Operation -> another that tells, before a person is asked, what it would come to."""
