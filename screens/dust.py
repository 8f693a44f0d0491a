"""Dust: what is held and no order can sell, with its value and why."""

from __future__ import annotations

from typing import TYPE_CHECKING

from screens.dialogs import SheetDialog
from screens.formats import DASH, MASK, exact
from widgets.text import clean

if TYPE_CHECKING:
    from collections.abc import Sequence

    from console.app import QuarterdeckApp
    from engine.control.views_emergency import DustRow
    from screens.sheet import Line

__all__ = ["dust_lines", "show_dust"]


def show_dust(app: QuarterdeckApp) -> None:
    """Ask for dust, and show it."""

    def show(rows: Sequence[DustRow]) -> None:
        app.push_screen(SheetDialog("Dust", dust_lines(rows, hidden=app.privacy)))

    app.ask(app, "portfolio.dust", then=show)


def dust_lines(rows: Sequence[DustRow], *, hidden: bool = False) -> list[Line]:
    """Return what is dust, the largest value first.

    Args:
        rows: As the engine gives them.
        hidden: Whether amounts are hidden.
    """
    if not rows:
        return [[("Everything that is held can be sold.", "muted")]]
    lines: list[Line] = [[("What no order can sell. It counts as no position, and no exit is tried.", "muted")], []]
    for row in rows:
        amount = MASK if hidden else exact(row.quantity)
        value = MASK if hidden else DASH if row.value is None else f"{row.value:,.2f}"
        whose = clean(row.owner_name) or "nobody's"
        lines.append([(f"{amount} {clean(row.currency)}", "strong"), (f"  worth {value}  ", "text"), (whose, "faint")])
        lines.append([(f"  {clean(row.account)} at {clean(row.venue)}: {clean(row.reason)}", "muted")])
    return lines
