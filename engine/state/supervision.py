"""How plans to bring failed bots back move the state."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine import events as ev
from engine.errors import StateConsistencyError
from engine.model.bot_facts import RestartEntry

if TYPE_CHECKING:
    from engine.state.core import EngineState
    from engine.state.money import Handlers

__all__ = ["HANDLERS"]


def _restart_planned(state: EngineState, event: ev.BotRestartPlanned, _ts: int) -> None:
    if event.bot not in state.bots:
        raise StateConsistencyError(f"The bot {event.bot} is not known.")
    if event.tries or event.due or event.gave_up:
        state.restarts[event.bot] = RestartEntry(
            tries=event.tries, due=event.due, entries=event.entries, gave_up=event.gave_up
        )
    else:
        state.restarts.pop(event.bot, None)


HANDLERS: Handlers = {ev.BotRestartPlanned: _restart_planned}
