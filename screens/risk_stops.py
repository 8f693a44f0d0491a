"""Emergency stops in words: how far each is, and what it could not close and why."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.model.ids import symbol_of
from screens.formats import MASK, age, exact
from widgets.text import clean

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.control.views import RiskView
    from engine.control.views_emergency import StopRow
    from screens.sheet import Line

__all__ = ["stop_lines", "unclosable_words"]


def unclosable_words(stops: Sequence[StopRow]) -> str:
    """Return how many positions emergency stops could not close, and which is the first of them and why."""
    rows = [row for stop in stops for row in stop.unclosable]
    return f"{len(rows)} could not be closed: {symbol_of(rows[0].instrument)}, {clean(rows[0].reason)}"


def stop_lines(view: RiskView, now: int, *, hidden: bool = False) -> list[Line]:
    """Return every emergency stop that is not released: how far it is, and what it could not close and why.

    Args:
        view: As the engine gives it.
        now: UTC nanoseconds.
        hidden: Whether amounts are hidden.
    """
    lines: list[Line] = []
    for stop in view.stops:
        done = "done" if stop.done else f"{stop.orders} orders to cancel, {stop.positions} positions to close"
        lines.append([(f"{clean(stop.scope)}  ", "strong"), (done, "ok" if stop.done else "breach")])
        lines.append([(f"  since {age(stop.began, now)} by {clean(stop.actor)}: {clean(stop.reason)}", "muted")])
        lines += [[(f"  {clean(problem)}", "warn")] for problem in stop.problems]
        for row in stop.unclosable:
            value = "" if row.value is None else f" worth {MASK if hidden else exact(row.value)}"
            lines.append(
                [
                    (f"  {MASK if hidden else exact(row.quantity)} {clean(row.instrument)}{value}  ", "text"),
                    (clean(row.owner_name), "faint"),
                ]
            )
            lines.append([(f"    {clean(row.reason)}", "breach")])
        lines.append([])
    return lines[:-1] or [[("No emergency stop is in force.", "muted")]]
