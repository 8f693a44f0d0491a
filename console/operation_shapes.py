"""How operations are typed: what stands without an option's name, short spellings, and what is asked before sending.

Everything else about a command follows from the operation's request. An operation that is not named here is reached
all the same, with an option for every field.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["NOT_COMMANDS", "POSITIONAL", "PREVIEWED", "SHORTHANDS", "SINGULAR", "Shorthand"]


class Shorthand(NamedTuple):
    """An option that says a field, and with it the values of others."""

    option: str
    field: str
    implies: dict[str, str]
    help: str


_LIMIT = Shorthand("--limit", "price", {"type": "limit"}, "A limit order at this price.")
_STOP = Shorthand("--stop", "stop_price", {"type": "stop_loss"}, "A stop order with this trigger price.")
_PROFIT = Shorthand("--take-profit", "stop_price", {"type": "take_profit"}, "A take-profit order with this trigger.")

SHORTHANDS: dict[str, tuple[Shorthand, ...]] = {
    "orders.place": (_LIMIT, _STOP, _PROFIT),
    "orders.preview": (_LIMIT, _STOP, _PROFIT),
}
"""Operation -> shorter ways to say some of its fields."""

POSITIONAL: dict[str, tuple[str, ...]] = {
    "alerts.acknowledge": ("ids",),
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
    "bots.get": ("bot",),
    "bots.pause": ("bot",),
    "bots.resume": ("bot",),
    "bots.start": ("bot",),
    "bots.stop": ("bot",),
    "data.delete": ("venue", "symbol", "timeframe"),
    "data.export": ("file",),
    "data.import": ("file",),
    "facts.since": ("cursor",),
    "jobs.cancel": ("id",),
    "jobs.get": ("id",),
    "market.book": ("instrument",),
    "market.candles": ("instrument",),
    "market.trades": ("instrument",),
    "orders.cancel": ("client_id",),
    "orders.place": ("side", "quantity", "instrument"),
    "orders.preview": ("side", "quantity", "instrument"),
    "orders.replace": ("client_id",),
    "portfolio.close": ("instrument",),
    "portfolio.history": ("range",),
    "risk.reset_breaker": ("breaker",),
    "risk.set_limits": ("limits",),
    "strategies.backtest": ("strategy",),
    "strategies.config": ("name",),
    "strategies.load": ("file",),
    "strategies.performance": ("name",),
}
"""Operation -> fields that are given by their place. A mapping takes all that is left, as NAME=VALUE."""

SINGULAR = {"params": "param", "limits": "limit", "values": "value"}
"""Field that holds several -> the option that is repeated for each."""

NOT_COMMANDS = frozenset({"replay"})
"""Nouns that are no commands: they move what only the console that opened it has."""

PREVIEWED = {"orders.place": "orders.preview"}
"""Operation -> another that tells, before a person is asked, what it would come to."""
