"""How exceeded limits move the state."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine import events as ev
from engine.model.limit_facts import BreachEntry

if TYPE_CHECKING:
    from engine.state.core import EngineState
    from engine.state.money import Handlers

__all__ = ["HANDLERS"]


def _breached(state: EngineState, event: ev.LimitBreached, ts: int) -> None:
    state.breaches[event.limit, event.scope] = BreachEntry(
        event.limit, event.scope, event.used, event.most, event.reason, ts
    )


def _healed(state: EngineState, event: ev.LimitHealed, _ts: int) -> None:
    state.breaches.pop((event.limit, event.scope), None)


HANDLERS: Handlers = {ev.LimitBreached: _breached, ev.LimitHealed: _healed}
