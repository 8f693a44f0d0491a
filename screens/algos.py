"""Parent orders at work: their rows, what is said of the chosen one, and what can be asked of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from console.errands import new_request_id
from engine.model.algos import ParentStatus
from engine.model.ids import MANUAL, symbol_of
from screens.dialogs import ConfirmDialog
from screens.formats import DASH, MASK, exact, percent
from screens.market_figures import side_cell
from screens.where import HERE, WHERE, short_symbol
from widgets.table_cells import Cell, Column
from widgets.text import clean

if TYPE_CHECKING:
    from console.app import QuarterdeckApp
    from engine.control.views_algos import ParentRow
    from screens.sheet import Line
    from screens.where import Where
    from widgets.glyphs import Glyphs

__all__ = ["ALGO_COLUMNS", "ALGO_WORDS", "NO_ALGOS", "algo_cells", "algo_words", "cancel_algo_dialog"]

NO_ALGOS = "No algorithm is at work. 4 b = buy, By: TWAP and others"
ALGO_WORDS = {
    "market": "market", "chase": "chase", "peg": "peg", "twap": "TWAP", "vwap": "VWAP",
    "implementation_shortfall": "shortfall", "pov": "POV", "iceberg": "iceberg", "bracket": "bracket",
    "trailing": "trailing",
}  # fmt: skip
ALGO_COLUMNS = (
    Column("algorithm", "Algorithm", 9),
    Column("side", "Side", 6),
    Column("quantity", "Amount", 9, align="right"),
    Column("symbol", "Symbol", 8),
    WHERE,
    Column("done", "Done", 5, align="right"),
    Column("due", "Due", 5, align="right", priority=3),
    Column("slippage", "Slip", 8, align="right", priority=1),
    Column("state", "State", 8),
    Column("owner", "Owner", 10, priority=4),
    Column("orders", "Orders", 6, align="right", priority=5),
    Column("why", "How it goes", 14, flex=True, priority=2),
)


def algo_cells(row: ParentRow, glyphs: Glyphs, *, hidden: bool = False, where: Where = HERE) -> tuple[Cell, ...]:
    """Return a parent order as a row of the table."""
    state, ink = _state(row)
    slip = row.slippage_pct
    return (
        Cell(ALGO_WORDS.get(row.algorithm, clean(row.algorithm)), "strong"),
        side_cell(row.side, glyphs),
        Cell(MASK if hidden else exact(row.quantity), value=row.quantity),
        Cell(short_symbol(row.instrument)),
        where.cell(row.instrument, row.account),
        Cell(percent(row.progress, 0), value=row.progress),
        Cell(DASH if row.due is None else percent(row.due, 0), "muted", value=row.due),
        Cell(
            DASH if slip is None else percent(slip, signed=True),
            "muted" if slip is None else "loss" if slip > 0 else "gain",
            value=slip,
        ),
        Cell(state, ink),
        Cell(row.owner_name, "muted"),
        Cell(str(row.orders), "muted", value=row.orders),
        Cell(clean(row.reason or row.about), "warn" if row.reason else "muted"),
    )


def _state(row: ParentRow) -> tuple[str, str]:
    if row.status is ParentStatus.RUNNING:
        return ("running", "ok") if row.pace == 100 else (f"at {percent(row.pace / 100, 0)}", "warn")
    return row.status.value, "warn" if row.status is ParentStatus.PAUSED else "muted"


def algo_words(row: ParentRow, where: Where = HERE) -> str:
    """Return a parent order in words, for a sentence about it."""
    done = f", {percent(row.progress, 0)} of it done" if row.executed else ""
    name = ALGO_WORDS.get(row.algorithm, row.algorithm)
    place = where.on(row.instrument, row.account)
    return f"{name} {row.side.value} {exact(row.quantity)} {symbol_of(row.instrument)}{done}{place}"


def cancel_algo_dialog(app: QuarterdeckApp, row: ParentRow) -> ConfirmDialog:
    """Ask whether a parent order shall end."""
    request_id = new_request_id()

    async def run() -> Any:
        return await app.link.call("algos.cancel", {"id": row.id}, request_id=request_id)

    details: list[Line] = [[("It places nothing more, and its orders are cancelled; what is done stays.", "muted")]]
    if row.algorithm in ("bracket", "trailing"):
        details.append([("Its stop goes too: what is held is not protected any more.", "warn")])
    if row.owner != MANUAL:
        details.append([(f"It belongs to {clean(row.owner_name)}, which may send another.", "warn")])
    return ConfirmDialog(
        "Cancel algorithm",
        f"Cancel: {clean(algo_words(row, app.where))}.",
        details,
        run=run,
        verb="Cancel it",
        busy="Cancelling…",
        danger=True,
    )
