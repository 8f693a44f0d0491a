"""Cancelling and changing orders: each says exactly what will be asked of the venue, and asks once."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, ClassVar

from textual.containers import Horizontal
from textual.widgets import Input, Static

from console.actions import bindings
from console.errands import new_request_id
from engine.model.ids import MANUAL, symbol_of
from screens.dialogs import ConfirmDialog, Dialog
from screens.formats import exact, figure_text
from screens.market_figures import order_words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.app import ComposeResult
    from textual.binding import BindingType
    from textual.events import Blur, Focus

    from console.app import QuarterdeckApp
    from engine.control.views import InstrumentRow, OrderRow
    from screens.sheet import Line

__all__ = ["AmountInput", "ReplaceDialog", "amount_field", "cancel_all_dialog", "cancel_dialog", "decimal_of"]


def cancel_dialog(app: QuarterdeckApp, row: OrderRow) -> ConfirmDialog:
    """Ask whether one order shall be cancelled."""
    request_id = new_request_id()

    async def run() -> Any:
        return await app.link.call("orders.cancel", {"client_id": row.client_id}, request_id=request_id)

    details: list[Line] = [[("A fill that is under way may still arrive.", "muted")]]
    if row.owner != MANUAL:
        details.insert(0, [(f"It belongs to {row.owner_name}, which may send another.", "warn")])
    return ConfirmDialog(
        "Cancel order",
        f"Cancel: {order_words(row)}.",
        details,
        run=run,
        verb="Cancel it",
        busy="Cancelling…",
        danger=True,
    )


def cancel_all_dialog(app: QuarterdeckApp, instrument: str, rows: Sequence[OrderRow]) -> ConfirmDialog:
    """Ask whether all of one's own orders of an instrument shall be cancelled."""
    request_id = new_request_id()

    async def run() -> Any:
        asked = {"instrument": instrument, "owner": str(MANUAL)}
        return await app.link.call("orders.cancel_all", asked, request_id=request_id)

    orders = "your open order" if len(rows) == 1 else f"your {len(rows)} open orders"
    details: list[Line] = [[(f"· {order_words(row)}", "muted")] for row in rows]
    return ConfirmDialog(
        "Cancel all orders",
        f"Cancel {orders} of {symbol_of(rows[0].instrument)}:",
        details,
        run=run,
        verb="Cancel them",
        busy="Cancelling…",
        danger=True,
    )


def decimal_of(text: str) -> Decimal | None:
    """Return a typed amount, or None when it is none; thousands separators are allowed."""
    try:
        value = Decimal(figure_text(text))
    except InvalidOperation:
        return None
    return value if value.is_finite() and value >= 0 else None


class AmountInput(Input):
    """A field whose whole text is chosen on arrival, so that typing replaces it.

    News of the focus arrives on a later turn, and keys may be quicker: whoever moves the focus by a key calls `arrive`
    at once, and the late news chooses nothing that was typed meanwhile.
    """

    def __init__(self, value: str, *, placeholder: str, id: str) -> None:
        super().__init__(value, placeholder=placeholder, restrict=r"[0-9.,%]*", max_length=24, compact=True, id=id)
        self._arrived = False

    def arrive(self) -> None:
        """Choose the whole text now."""
        self._arrived = True
        self.action_select_all()

    def _on_focus(self, event: Focus) -> None:
        self.select_on_focus = not self._arrived
        super()._on_focus(event)

    def _on_blur(self, event: Blur) -> None:
        self._arrived = False
        super()._on_blur(event)


def amount_field(value: str, id: str, placeholder: str = "") -> AmountInput:
    """Return a one-line field for an amount, without a blinking cursor."""
    field = AmountInput(value, placeholder=placeholder, id=id)
    field.cursor_blink = False
    return field


class ReplaceDialog(Dialog[Any]):
    """New values for a working order, then the question.

    Args:
        app: Knows the link.
        row: The order as it is.
        instrument: Its instrument, for the steps; None where it is not known.
    """

    BINDINGS: ClassVar[list[BindingType]] = bindings("focus", "dialog", "ticket")
    SCOPE: ClassVar[str] = "ticket"
    DEFAULT_CSS: ClassVar[str] = """
    ReplaceDialog > #box { width: 52; }
    ReplaceDialog Horizontal { height: 1; }
    ReplaceDialog .strong { margin-bottom: 1; }
    ReplaceDialog .label { width: 12; color: $muted; }
    ReplaceDialog .was { width: 16; color: $muted; margin-left: 1; }
    ReplaceDialog Input, ReplaceDialog Input:focus { border: none; height: 1; padding: 0; width: 1fr; }
    """

    def __init__(self, app: QuarterdeckApp, row: OrderRow, instrument: InstrumentRow | None) -> None:
        super().__init__("Change order")
        self._link = app.link
        self._row = row
        self._instrument = instrument
        self._request_id = new_request_id()
        self._reviewing = False

    def body(self) -> ComposeResult:
        """Yield the order and its fields."""
        row = self._row
        yield Static(order_words(row), classes="strong", markup=False)
        for name, label, value in self._fields():
            with Horizontal():
                yield Static(label, classes="label", markup=False)
                yield amount_field(exact(value), name)
                yield Static(f"was {exact(value)}", classes="was", markup=False)
        trouble = Static("", classes="trouble", markup=False, id="trouble")
        trouble.display = False
        yield trouble
        yield Static("Enter: Review    Tab: Next field    Esc: Back", classes="hint", markup=False)

    def _fields(self) -> list[tuple[str, str, Decimal]]:
        row = self._row
        prices = [("price", "Price", row.price), ("stop_price", "Stop price", row.stop_price)]
        amounts: list[tuple[str, str, Decimal]] = [("quantity", "Amount", row.quantity)]
        return amounts + [(name, label, value) for name, label, value in prices if value is not None]

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Review."""
        event.stop()
        self.action_review()

    def action_move(self, step: int) -> None:
        """Go to another field."""
        if step > 0:
            self.focus_next("Input")
        else:
            self.focus_previous("Input")

    def action_nudge(self, direction: int) -> None:
        """Move the focused figure by one step."""
        nudge(self.focused, self._instrument, direction)

    def action_flip(self) -> None:
        """An order's side cannot be changed."""

    def action_review(self) -> None:
        """Show exactly what would be asked."""
        changes: dict[str, Decimal] = {}
        for name, label, before in self._fields():
            value = decimal_of(self.query_one(f"#{name}", Input).value)
            if value is None or not value:
                self._trouble(f"{label}: write a figure above zero, such as {exact(before)}.")
                return
            if value != before:
                changes[name] = value
        if not changes:
            self._trouble("Nothing has changed yet.")
            return
        # Enter may be pressed again before the question is on the screen; there is only ever one.
        if self.armed and not self._reviewing:
            self._reviewing = True
            self.app.push_screen(self._question(changes), self._done)

    def _question(self, changes: dict[str, Decimal]) -> ConfirmDialog:
        row, link = self._row, self._link
        words = {"quantity": "amount", "price": "price", "stop_price": "stop price"}
        before = {name: value for name, _, value in self._fields()}
        parts = [f"{words[name]} {exact(before[name])} → {exact(value)}" for name, value in changes.items()]
        request_id = self._request_id

        async def run() -> Any:
            asked = {"client_id": row.client_id, **changes}
            return await link.call("orders.replace", asked, request_id=request_id)

        # After an answer, good or bad, another try is another request.
        self._request_id = new_request_id()
        sentence = f"Change {order_words(row)}: {', '.join(parts)}."
        details: list[Line] = [[("Its place in the queue at the venue may be lost.", "muted")]]
        return ConfirmDialog("Change order", sentence, details, run=run, verb="Change it", busy="Changing…")

    def _done(self, result: Any) -> None:
        self._reviewing = False
        if result is not None:
            self.notify("The order was changed.", markup=False)
            if self.is_current:
                self.dismiss(result)

    def _trouble(self, text: str) -> None:
        trouble = self.query_one("#trouble", Static)
        trouble.update(text)
        trouble.display = True


def nudge(field: object, instrument: InstrumentRow | None, direction: int) -> None:
    """Move the figure in a field by one step of its instrument: a tick, or for amounts a lot."""
    if not isinstance(field, Input) or instrument is None:
        return
    step = instrument.lot if field.id == "quantity" else instrument.price_tick
    value = decimal_of(field.value)
    if value is not None:
        field.value = exact(max(Decimal(0), value + direction * step)).replace(",", "")
        field.cursor_position = len(field.value)
