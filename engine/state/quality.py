"""How executions wait for what the market does after them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from engine import events as ev
from engine.model.ids import ClientOrderId, InstrumentId

if TYPE_CHECKING:
    from engine.model.fill import Fill
    from engine.state.core import EngineState
    from engine.state.money import Handlers

__all__ = ["HANDLERS", "PENDING", "AwaitedMark", "await_marks", "mark_key"]

PENDING = 1_000
"""Executions that wait at most; the oldest of more goes without."""


class AwaitedMark(msgspec.Struct):
    """Executions of an order at one time, after which the market is still to be noted."""

    client_id: ClientOrderId
    instrument: InstrumentId
    ts: int
    """UTC nanoseconds of the executions, not later than they were booked."""
    done: list[int] = []
    """Horizons that have been noted, in nanoseconds."""


def mark_key(client_id: ClientOrderId, ts: int) -> str:
    """Under which executions of an order at one time are kept."""
    return f"{client_id}@{ts}"


def await_marks(state: EngineState, fill: Fill, ts: int) -> None:
    """An execution of one of our orders was booked at a time."""
    at = min(fill.ts, ts)
    key = mark_key(fill.client_id, at)
    if key in state.mark_outs:
        return
    state.mark_outs[key] = AwaitedMark(fill.client_id, fill.instrument, at)
    if len(state.mark_outs) > PENDING:
        del state.mark_outs[next(iter(state.mark_outs))]


def _recorded(state: EngineState, event: ev.MarkOutRecorded, _ts: int) -> None:
    key = mark_key(event.client_id, event.fill_ts)
    entry = state.mark_outs.get(key)
    if entry is None:
        return
    entry.done += [mark.horizon for mark in event.marks]
    if event.last:
        del state.mark_outs[key]


HANDLERS: Handlers = {ev.MarkOutRecorded: _recorded}
