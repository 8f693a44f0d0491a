"""A stop and a target for a position of one's own: proposed, filled in, judged by the engine, asked for once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from textual.widgets import Input, Static

from engine.errors import QuarterdeckError
from engine.model.order import OrderSide
from screens.dialogs import ConfirmDialog
from screens.formats import MASK, exact, number, percent
from screens.market_figures import HELD_WORDS
from screens.order_dialogs import AmountsDialog, decimal_of
from screens.portfolio_figures import contract_of, position_words
from screens.request import request
from widgets.text import clean

if TYPE_CHECKING:
    from decimal import Decimal

    from textual.app import ComposeResult

    from console.app import QuarterdeckApp
    from engine.control.views import InstrumentRow, OrderRow, PositionRow
    from engine.control.views_orders import ExitsPreview
    from screens.sheet import Line

__all__ = ["ExitsDialog", "exit_side", "outcome_words", "waits_words"]

AT_VENUE = "rests at the venue"


def exit_side(row: PositionRow) -> OrderSide:
    """Return the side of an order that reduces a position."""
    return OrderSide.SELL if row.quantity > 0 else OrderSide.BUY


def outcome_words(row: PositionRow, instrument: InstrumentRow | None, price: Decimal | None, *, hidden: bool) -> str:
    """Return what a position would have made at a price, before fees, with the distance from the market.

    Unknown while it is not known how much a contract is.
    """
    if price is None or not price:
        return "none"
    away = "" if not row.mark else f"{percent(price / row.mark - 1, 1, signed=True)}, "
    contract = contract_of(row.instrument, instrument)
    if contract is None:
        return f"{away}unknown {row.settle}"
    made = MASK if hidden else number((price - row.entry_price) * row.quantity * contract, signed=True)
    return f"{away}{made} {row.settle}"


def waits_words(view: ExitsPreview) -> list[Line]:
    """Return where the stop and the target wait, a line each; what ends with the engine is a warning."""
    told = ((view.stop_price, "Stop", view.stop_held), (view.target_price, "Target", view.target_held))
    return [
        [(f"{name:<8}", "muted"), (HELD_WORDS if held else AT_VENUE, "warn" if held else "ok")]
        for price, name, held in told
        if price is not None
    ]


class ExitsDialog(AmountsDialog):
    """Stop, target and amount for one position; either price may be left out.

    Args:
        app: Knows the link.
        row: The position.
        view: What the engine proposes.
        orders: Open orders of the account, of which some may be exits already.
    """

    HELP: ClassVar[str | None] = (
        "A stop ends a loss, a target takes a gain; the first that is executed ends the other. Leave one of the two "
        "empty to place the other alone."
    )
    AUTO_FOCUS = "#stop_price"
    DEFAULT_CSS: ClassVar[str] = """
    ExitsDialog > #box { width: 58; }
    ExitsDialog .note { width: 22; }
    ExitsDialog #about { margin-top: 1; color: $muted; width: 1fr; height: auto; }
    """

    def __init__(self, app: QuarterdeckApp, row: PositionRow, view: ExitsPreview, orders: list[OrderRow]) -> None:
        words = f"{position_words(row, app.where)}, entry {exact(row.entry_price)}, now {exact(row.mark)}"
        super().__init__("Stop and target", words[:1].upper() + words[1:], app.instruments.get(row.instrument))
        self._link = app.link
        self._known = app.instruments
        self._row = row
        self._view = view
        self._hidden = app.privacy
        self._working = [
            order
            for order in orders
            if (order.owner, order.account, order.instrument, order.side)
            == (row.owner, row.account, row.instrument, view.side)
        ]

    def rows(self) -> list[tuple[str, str, Decimal | None, str]]:
        """Return the proposed prices and the whole amount."""
        view = self._view
        return [
            ("stop_price", "Stop", view.stop_price, self._note(view.stop_price)),
            ("target_price", "Target", view.target_price, self._note(view.target_price)),
            ("quantity", "Amount", view.quantity, f"of {exact(abs(self._row.quantity))}"),
        ]

    def more(self) -> ComposeResult:
        """Yield that there are orders of this side already."""
        count = len(self._working)
        if count:
            orders = "one order works" if count == 1 else f"{count} orders work"
            yield Static(f"On this side {orders} already.", markup=False, id="about")

    def _note(self, price: Decimal | None) -> str:
        # Asked for anew each time: it may have become known since the dialog was opened.
        return outcome_words(self._row, self._known.get(self._row.instrument), price, hidden=self._hidden)

    def on_input_changed(self, event: Input.Changed) -> None:
        """Say what the position would have made there."""
        if event.input.id in {"stop_price", "target_price"}:
            self.query_one(f"#note-{event.input.id}", Static).update(self._note(decimal_of(event.value)))

    def review(self) -> None:
        """Have the engine judge it, then show exactly what would be sent."""
        asked: dict[str, Any] = {}
        for name, label, *_ in self.rows():
            typed = self.typed(name)
            value = decimal_of(typed)
            if typed and not value:
                self.trouble(f"{label}: write a figure above zero, or nothing.")
                return
            if value:
                asked[name] = value
        if "quantity" not in asked:
            self.trouble("Amount: write how much the orders shall be about.")
        elif len(asked) == 1:
            self.trouble("Write a stop, a target, or both.")
        else:
            self.run_worker(self._judge(asked), name="exits", exclusive=True, exit_on_error=False)

    async def _judge(self, asked: dict[str, Any]) -> None:
        row, view = self._row, self._view
        asked = {"instrument": row.instrument, "account": row.account, "side": view.side, **asked}
        try:
            judged: ExitsPreview = await self._link.call("orders.preview_exits", asked)
        except QuarterdeckError as error:
            self.trouble(error.message)
            return
        if judged.refusals:
            self.trouble("\n".join(clean(refusal.message) for refusal in judged.refusals))
            return
        self.put(self._question(asked, judged))

    def _question(self, asked: dict[str, Any], judged: ExitsPreview) -> ConfirmDialog:
        details = waits_words(judged)
        if judged.stop_held or judged.target_held:
            details.append([("An engine that is down does not watch the price.", "muted")])
        run = request(self._link, "orders.place_exits", asked)
        return ConfirmDialog(
            "Protect this position?", f"{judged.sentence}.", details, run=run, verb="Place", busy="Placing…"
        )

    def done(self) -> str:
        """Return that they are on their way."""
        return "The exits are on their way; each is told when it works."
