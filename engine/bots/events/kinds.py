"""Tells whether a bot decides on books or on bars, also where its strategy cannot be had any more."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from engine.bots.protection import BotMemory

if TYPE_CHECKING:
    from engine.bots.builder import Library
    from engine.bots.config import BotConfig

__all__ = ["on_books", "saved_memory"]


def on_books(library: Library, config: BotConfig, memory: bytes = b"") -> bool:
    """Whether a bot of this configuration decides on books.

    Args:
        library: Knows the strategies.
        config: The bot's.
        memory: What the bot saved last, which tells it where its strategy cannot be had.
    """
    try:
        return library.on_events(config.strategy, config.strategy_file, config.source)
    except Exception:  # a strategy's file is outside: whatever it raises, its position is judged all the same
        return bool(config.markets) or _saved_on_books(memory)


def saved_memory(body: bytes) -> BotMemory:
    """What a bot saved last; an empty one where nothing was saved or it cannot be read."""
    try:
        return msgspec.msgpack.decode(body, type=BotMemory)
    except msgspec.MsgspecError:
        return BotMemory()


def _saved_on_books(memory: bytes) -> bool:
    try:
        msgspec.msgpack.decode(saved_memory(memory).runner, type=_Told)
    except msgspec.MsgspecError:
        return False
    return True


class _Told(msgspec.Struct, frozen=True):
    """What the memory of a bot on books has, and that of a bot on bars has not."""

    schema: int
    bars: dict[str, int]
