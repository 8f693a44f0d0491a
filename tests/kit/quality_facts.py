"""What execution quality adds to a history."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from engine import events as ev
from engine.model.ids import Currency
from engine.model.quality_facts import MarkOut

if TYPE_CHECKING:
    from tests.kit.histories import HistoryMaker

__all__ = ["quality"]

HORIZONS = (60, 300, 900)
NS_PER_S = 1_000_000_000


def quality(maker: HistoryMaker) -> None:
    """The market after an execution is noted, or was not known; an execution was poor."""
    rng, state, now = maker.rng, maker.state, maker.records[-1].ts
    if rng.randrange(4) == 0:
        order = next(iter(reversed(state.recent.values())), None)
        if order is not None and order.filled:
            maker.book(
                ev.PoorExecution(
                    subject=order.client_id, instrument=order.instrument, owner=order.owner, slippage=Decimal("0.0123"),
                    limit=Decimal("0.005"), price=Decimal(100), cost=Decimal("1.5"), currency=Currency("USDT"), ts=now,
                )
            )  # fmt: skip
        return
    if not state.mark_outs:
        return
    waiting = list(state.mark_outs.values())[rng.randrange(min(5, len(state.mark_outs)))]
    left = [seconds * NS_PER_S for seconds in HORIZONS if seconds * NS_PER_S not in waiting.done]
    if rng.random() < 0.2:
        marks = tuple(MarkOut(horizon) for horizon in left)
    else:
        mid = maker.price(state.instruments[waiting.instrument])
        marks = (MarkOut(left[0], mid, now),)
    last = len(marks) == len(left)
    maker.book(ev.MarkOutRecorded(client_id=waiting.client_id, fill_ts=waiting.ts, marks=marks, last=last))
