"""The one step of a parent order: what holds for every algorithm, around the machine of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.execution.algos import entering, protecting
from engine.execution.algos.contract import Action, Cancel, End
from engine.model.algos import (
    BracketPlan,
    IcebergPlan,
    LimitPlan,
    MarketPlan,
    ParentStatus,
    ParticipationPlan,
    SchedulePlan,
    TrailingPlan,
)
from engine.model.decimals import ZERO

if TYPE_CHECKING:
    from engine.execution.algos.contract import View

__all__ = ["MOST_FUTILE", "MOST_REFUSED", "SLIPPED", "decide", "pause_ns"]

NS_PER_S = 1_000_000_000
MOST_FUTILE = 8
"""Orders in a row of which nothing came, after which a parent stops."""
MOST_REFUSED = 8
"""Refusals of the risk gate in a row after which it stops."""
LONGEST_PAUSE_S = 60
SLIPPED = "slippage"
"""Begins the reason of a parent that stopped because its price had become too bad."""


def pause_ns(times: int) -> int:
    """How long to wait after so many failures in a row: 1, 2, 4, 8 … seconds, at most a minute."""
    return min(2 ** max(times - 1, 0), LONGEST_PAUSE_S) * NS_PER_S if times else 0


def decide(view: View) -> list[Action]:
    """What a parent order does at one moment. Pure; the same view gives the same actions."""
    parent = view.parent
    if parent.status is ParentStatus.ENDING:
        return _end(view)
    over = _over(view) or _given_up(view)
    if over is not None:
        return [over]
    if parent.futile and view.now < parent.last_placed + pause_ns(parent.futile):
        return []
    match parent.plan:
        case BracketPlan() as plan:
            return _slipped_before(view) or protecting.bracket(view, plan)
        case TrailingPlan() as plan:
            return protecting.trailing(view, plan)
    if parent.status is ParentStatus.PAUSED:
        return _withdraw(view, "it is paused")
    if view.in_doubt or view.blocked or view.quote is None:
        return []
    return _slipped(view) or _enter(view)


def _enter(view: View) -> list[Action]:
    match view.parent.plan:
        case MarketPlan() as plan:
            return entering.market(view, plan)
        case LimitPlan() as plan:
            return entering.limit(view, plan)
        case SchedulePlan() as plan:
            return entering.schedule(view, plan)
        case ParticipationPlan() as plan:
            return entering.participation(view, plan)
        case IcebergPlan() as plan:
            return entering.iceberg(view, plan)
        case _:
            return []


def _withdraw(view: View, why: str) -> list[Action]:
    return [Cancel(client_id=order.client_id, why=why) for order in view.children if not order.cancel_requested]


def _end(view: View) -> list[Action]:
    parent = view.parent
    if view.children:
        return _withdraw(view, parent.reason)
    if not parent.remaining:
        return [End(status=ParentStatus.DONE, why="everything is executed")]
    status = ParentStatus.STOPPED if parent.stopping else ParentStatus.CANCELLED
    return [End(status=status, why=parent.reason)]


def _over(view: View) -> End | None:
    """The end of a parent of which nothing is left to be done."""
    parent = view.parent
    if view.children:
        return None
    if isinstance(parent.plan, BracketPlan):
        if view.held >= view.least:
            return None
        if not (parent.exited or view.room < view.least):
            return End(status=ParentStatus.CANCELLED, why=parent.reason) if view.withdrawn else None
        return End(status=ParentStatus.DONE, why="what was entered is closed" if parent.exited else "it is executed")
    if view.room >= view.least:
        return None
    rest = parent.remaining
    why = "everything is executed" if not rest else f"the last {rest.normalize():f} are too small to be ordered"
    return End(status=ParentStatus.DONE, why=why)


def _given_up(view: View) -> End | None:
    parent = view.parent
    if isinstance(parent.plan, BracketPlan) and view.held >= view.least:
        # What is held must not be left without its exits.
        return None
    if parent.futile >= MOST_FUTILE:
        why = f"{parent.futile} orders in a row came to nothing, the last one was {parent.trouble}"
        return End(status=ParentStatus.STOPPED, why=why)
    if view.refusals >= MOST_REFUSED:
        return End(status=ParentStatus.STOPPED, why=f"the risk gate refused {view.refusals} orders in a row")
    return None


def _slipped_before(view: View) -> list[Action]:
    """The end of a bracket whose price has become too bad before it has entered; what is held keeps its exits."""
    waits = view.parent.status is not ParentStatus.RUNNING or view.blocked or view.quote is None
    if waits or view.children or view.held >= view.least:
        return []
    return _slipped(view)


def _slipped(view: View) -> list[Action]:
    most, slippage = view.parent.max_slippage, view.slippage()
    if most is None or slippage is None or slippage <= max(most, ZERO):
        return []
    why = f"{SLIPPED}: its price is {slippage:.3%} worse than at its arrival, more than its limit of {most:.3%}"
    return [End(status=ParentStatus.STOPPED, why=why)]
