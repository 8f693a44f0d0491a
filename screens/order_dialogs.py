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
from screens.request import request

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.app import ComposeResult
    from textual.binding import BindingType
    from textual.events import Blur, Focus

    from console.app import QuarterdeckApp
    from engine.control.views import InstrumentRow, OrderRow
    from screens.sheet import Line

__all__ = [
    "AmountInput",
    "AmountsDialog",
    "ReplaceDialog",
    "amount_field",
    "cancel_all_dialog",
    "cancel_dialog",
    "decimal_of",
]


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
        f"Cancel: {order_words(row, app.where)}.",
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
    details: list[Line] = [[(f"· {order_words(row, app.where)}", "muted")] for row in rows]
    return ConfirmDialog(
        "Cancel all orders",
        f"Cancel {orders} of {symbol_of(rows[0].instrument)}{app.where.beside(instrument)}:",
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


class AmountsDialog(Dialog[Any]):
    """A few amounts to fill in, then the question.

    Subclasses give the rows and what is made of them; what is wrong is said below the fields.

    Args:
        title: The heading.
        words: What it is about.
        instrument: Whose steps the keys use; None where it is not known.
    """

    BINDINGS: ClassVar[list[BindingType]] = bindings("focus", "dialog", "ticket")
    SCOPE: ClassVar[str] = "ticket"
    DEFAULT_CSS: ClassVar[str] = """
    AmountsDialog > #box { width: 52; }
    AmountsDialog Horizontal { height: 1; }
    AmountsDialog .strong { margin-bottom: 1; }
    AmountsDialog .label { width: 12; color: $muted; }
    AmountsDialog .note { width: 16; color: $muted; margin-left: 1; }
    AmountsDialog Input, AmountsDialog Input:focus { border: none; height: 1; padding: 0; width: 1fr; }
    """

    def __init__(self, title: str, words: str, instrument: InstrumentRow | None) -> None:
        super().__init__(title)
        self._words = words
        self._instrument = instrument
        self._reviewing = False

    def rows(self) -> list[tuple[str, str, Decimal | None, str]]:
        """Return name, label, first value and note of every field."""
        raise NotImplementedError

    def review(self) -> None:
        """Look at what was filled in, and `put` the question, or say the `trouble`."""
        raise NotImplementedError

    def done(self) -> str:
        """Return what is said once it was done."""
        raise NotImplementedError

    def more(self) -> ComposeResult:
        """Yield what stands below the fields."""
        yield from ()

    def body(self) -> ComposeResult:
        """Yield what it is about and its fields."""
        yield Static(self._words, classes="strong", markup=False)
        for name, label, value, note in self.rows():
            with Horizontal():
                yield Static(label, classes="label", markup=False)
                yield amount_field("" if value is None else exact(value), name)
                yield Static(note, classes="note", markup=False, id=f"note-{name}")
        yield from self.more()
        trouble = Static("", classes="trouble", markup=False, id="trouble")
        trouble.display = False
        yield trouble
        yield Static("Enter: Review    Tab: Next field    Esc: Back", classes="hint", markup=False)

    def typed(self, name: str) -> str:
        """Return what stands in a field."""
        return self.query_one(f"#{name}", Input).value.strip()

    def put(self, question: ConfirmDialog) -> None:
        """Ask the question; there is only ever one, however often Enter is pressed before it is on the screen."""
        if not self._reviewing:
            self._reviewing = True
            self.app.push_screen(question, self._done)

    def _done(self, result: Any) -> None:
        self._reviewing = False
        if result is not None:
            self.notify(self.done(), markup=False)
            if self.is_current:
                self.dismiss(result)

    def trouble(self, text: str) -> None:
        """Say what is wrong."""
        trouble = self.query_one("#trouble", Static)
        trouble.update(text)
        trouble.display = True

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
        """The side is what it is."""

    def action_suggest(self) -> None:
        """No size is suggested for what exists already."""

    def action_review(self) -> None:
        """Show exactly what would be asked."""
        if self.armed and not self._reviewing:
            self.review()


class ReplaceDialog(AmountsDialog):
    """New values for a working order, then the question.

    Args:
        app: Knows the link.
        row: The order as it is.
        instrument: Its instrument, for the steps; None where it is not known.
    """

    def __init__(self, app: QuarterdeckApp, row: OrderRow, instrument: InstrumentRow | None) -> None:
        super().__init__("Change order", order_words(row, app.where), instrument)
        self._link = app.link
        self._row = row

    def rows(self) -> list[tuple[str, str, Decimal | None, str]]:
        """Return what can be changed."""
        return [(name, label, value, f"was {exact(value)}") for name, label, value in self._fields()]

    def _fields(self) -> list[tuple[str, str, Decimal]]:
        row = self._row
        prices = [("price", "Price", row.price), ("stop_price", "Stop price", row.stop_price)]
        amounts: list[tuple[str, str, Decimal]] = [("quantity", "Amount", row.quantity)]
        return amounts + [(name, label, value) for name, label, value in prices if value is not None]

    def review(self) -> None:
        """Show exactly what would be asked."""
        changes: dict[str, Decimal] = {}
        for name, label, before in self._fields():
            value = decimal_of(self.typed(name))
            if value is None or not value:
                self.trouble(f"{label}: write a figure above zero, such as {exact(before)}.")
                return
            if value != before:
                changes[name] = value
        if not changes:
            self.trouble("Nothing has changed yet.")
            return
        self.put(self._question(changes))

    def _question(self, changes: dict[str, Decimal]) -> ConfirmDialog:
        words = {"quantity": "amount", "price": "price", "stop_price": "stop price"}
        before = {name: value for name, _, value in self._fields()}
        parts = [f"{words[name]} {exact(before[name])} → {exact(value)}" for name, value in changes.items()]
        run = request(self._link, "orders.replace", {"client_id": self._row.client_id, **changes})
        sentence = f"Change {self._words}: {', '.join(parts)}."
        details: list[Line] = [[("Its place in the queue at the venue may be lost.", "muted")]]
        return ConfirmDialog("Change order", sentence, details, run=run, verb="Change it", busy="Changing…")

    def done(self) -> str:
        """Return that it was changed."""
        return "The order was changed."


def nudge(field: object, instrument: InstrumentRow | None, direction: int) -> None:
    """Move the figure in a field by one step of its instrument: a tick, or for amounts a lot."""
    if not isinstance(field, Input) or instrument is None:
        return
    step = instrument.lot if field.id == "quantity" else instrument.price_tick
    value = decimal_of(field.value)
    if value is not None:
        field.value = exact(max(Decimal(0), value + direction * step)).replace(",", "")
        field.cursor_position = len(field.value)
