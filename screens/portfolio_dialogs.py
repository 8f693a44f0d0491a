"""Closing a position: says exactly which order is sent for whom, and asks once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from console.errands import new_request_id
from engine.model.ids import MANUAL, symbol_of
from screens.dialogs import ConfirmDialog
from screens.formats import exact, number
from screens.portfolio_figures import position_words
from screens.sheet import wrap
from screens.where import HERE
from widgets.text import clean

if TYPE_CHECKING:
    from console.app import QuarterdeckApp
    from engine.control.views import InstrumentRow, PositionRow
    from screens.sheet import Line
    from screens.where import Where

__all__ = ["close_dialog", "closing_words"]

WIDTH = 60
"""Cells of a line in the question."""


def closing_words(row: PositionRow, instrument: InstrumentRow | None, where: Where = HERE) -> str:
    """Return the order that closes a position, in words; whole lots are sent, what is less stays."""
    quantity = abs(row.quantity)
    if instrument is not None:
        quantity = quantity // instrument.lot * instrument.lot
    side = "Sell" if row.quantity > 0 else "Buy"
    place = where.on(row.instrument, row.account)
    return f"{side} {exact(quantity)} {symbol_of(row.instrument)}{place} at the market, reducing only."


def close_dialog(app: QuarterdeckApp, row: PositionRow) -> ConfirmDialog:
    """Ask whether one owner's position shall be closed at the market."""
    request_id, manual = new_request_id(), row.owner == MANUAL
    owner = "yours" if manual else f"of the bot {clean(row.owner_name)}"

    async def run() -> Any:
        asked = {"instrument": row.instrument, "owner": row.owner, "account": row.account}
        return await app.link.call("portfolio.close", asked, request_id=request_id)

    details: list[Line] = [
        [("Position  ", "muted"), (f"{position_words(row, app.where)}, {owner}", "text")],
        [("Entry     ", "muted"), (f"{exact(row.entry_price)}, now {exact(row.mark)}", "text")],
    ]
    if row.value is not None:
        details.append([("Worth     ", "muted"), (f"about {number(abs(row.value))} {row.settle}", "text")])
    if row.unrealised is not None:
        ink = "gain" if row.unrealised > 0 else "loss" if row.unrealised < 0 else "text"
        details.append([("Result    ", "muted"), (f"{number(row.unrealised, signed=True)} {row.settle}", ink)])
    if manual:
        details.append([("Your working orders on that side are cancelled first.", "muted")])
    else:
        details += wrap(f"{row.owner_name} goes on and may enter again; pause it to keep it out.", WIDTH, "warn")
    return ConfirmDialog(
        "Close position",
        closing_words(row, app.instruments.get(row.instrument), app.where),
        details,
        run=run,
        verb="Close it",
        busy="Closing…",
        danger=True,
    )
