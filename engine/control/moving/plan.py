"""What is found in another program's files, said in our nouns, and what is left with the reason."""

from __future__ import annotations

from typing import Any

import msgspec

__all__ = ["BotDraft", "CandleSource", "Left", "MovePlan", "StrategyDraft"]


class CandleSource(msgspec.Struct, frozen=True, kw_only=True):
    """A file of candles."""

    file: str
    venue: str
    symbol: str
    timeframe: str


class StrategyDraft(msgspec.Struct, frozen=True, kw_only=True):
    """A strategy of ours, made from one of theirs."""

    name: str
    source: str
    """The whole file."""
    origin: str
    """Theirs: file and class."""


class BotDraft(msgspec.Struct, frozen=True, kw_only=True):
    """A bot as `bots.create` takes it."""

    name: str
    strategy: str
    """Empty while none of theirs could be translated: it is then a person's choice."""
    timeframe: str
    instruments: tuple[str, ...] = ()
    """`VENUE:BASE/QUOTE`; with a universe those that are always meant."""
    universe: dict[str, Any] = {}
    """Fields of a universe's rule that differ from its defaults; empty for a fixed list."""
    capital: str = ""
    """In quote currency; empty where nothing says it."""
    params: dict[str, Any] = {}
    risk: dict[str, Any] = {}


class Left(msgspec.Struct, frozen=True, kw_only=True):
    """Something that was not taken over, or not as it was."""

    what: str
    where: str
    """File, and line where there is one."""
    reason: str
    todo: str


class MovePlan(msgspec.Struct, kw_only=True):
    """What an import would do."""

    program: str
    path: str
    candles: list[CandleSource] = []
    strategies: list[StrategyDraft] = []
    bots: list[BotDraft] = []
    settings: dict[str, Any] = {}
    """Settings of ours that mean what theirs did for all bots together; a person sets them."""
    backtest: dict[str, str] = {}
    """Options of `backtest run` that mean the same as theirs, such as fees."""
    taken: list[str] = []
    """What was taken over, a sentence each."""
    left: list[Left] = []

    def leave(self, what: str, where: str, reason: str, todo: str) -> None:
        """Note what was not taken over."""
        found = Left(what=what, where=where, reason=reason, todo=todo)
        if found not in self.left:
            self.left.append(found)
