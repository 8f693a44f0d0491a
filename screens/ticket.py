"""The order ticket: filled in by keyboard, judged as one types, sent once and only after it has been read.

One ticket has one request id: however often Enter is pressed, the engine sends one order. Only after the engine has
refused definitely does the ticket take another.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any, ClassVar

from textual.containers import Horizontal
from textual.content import Content
from textual.widgets import Input, Static

from console.actions import bindings
from console.errands import new_request_id
from engine.errors import EngineNotRunningError, QuarterdeckError, UnknownOutcomeError
from engine.model.order import OrderSide, OrderType
from screens.dialogs import ConfirmDialog, Dialog
from screens.emergency import account_words
from screens.fields import ChoiceField
from screens.formats import MASK, decimals_of, exact, number, percent
from screens.mode import is_live, mode_word
from screens.order_dialogs import amount_field, decimal_of, nudge
from screens.sheet import Line, Sheet, wrap
from screens.ticket_algo import ALGO_FIELDS, WAYS, algo_params, algo_sentence, estimate_asked, estimate_words, fields_of
from widgets.text import clean

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.app import ComposeResult
    from textual.binding import BindingType
    from textual.timer import Timer
    from textual.worker import WorkType

    from console.app import QuarterdeckApp
    from engine.control.views import BookView, EngineStatus, InstrumentRow, OrderPreview, Place
    from engine.control.views_execution import EstimateView
    from engine.control.views_orders import SizeSuggestion

__all__ = ["TicketDialog", "preview_lines"]

DEBOUNCE_S = 0.15
AGAIN_S = 1.0
"""While the ticket is open the market moves on: the preview is asked for again."""
VERDICT_LINES = 4
WIDTH = 42
HUNDRED = Decimal(100)
TYPES = [(kind.value, word, "text") for kind, word in (
    (OrderType.LIMIT, "limit"), (OrderType.MARKET, "market"), (OrderType.STOP_LOSS, "stop"),
    (OrderType.TAKE_PROFIT, "take profit"),
)]  # fmt: skip
TIFS = [
    ("GTC", "until cancelled", "text"),
    ("IOC", "now or cancel the rest", "text"),
    ("FOK", "all now or none", "text"),
]
ONLY = [("", "–", "muted"), ("post_only", "as maker (post only)", "text"), ("reduce_only", "to reduce", "text")]


def suggestion_lines(suggested: SizeSuggestion | None, *, hidden: bool = False) -> list[Line]:
    """Return the size that the configured method gives and how to take it; nothing while it is not known."""
    if suggested is None:
        return []
    if not suggested.quantity:
        return wrap(f"No size is suggested: {suggested.reason}.", WIDTH, "muted")
    size = MASK if hidden else exact(suggested.quantity)
    return [
        [("Suggested ", "muted"), (size, "strong"), ("  ^t takes it", "muted")],
        *wrap(f"By {suggested.words}.", WIDTH, "muted"),
    ]


def preview_lines(
    preview: OrderPreview | None,
    error: str,
    *,
    hidden: bool = False,
    suggested: SizeSuggestion | None = None,
    estimate: Sequence[str] = (),
) -> list[Line]:
    """Return what the ticket says about itself: cost, fee, funds and the verdict; always the same number of lines.

    Args:
        preview: As the engine judges it; None before.
        error: What is wrong with the fields, or why it cannot be judged.
        hidden: Whether funds are hidden.
        suggested: The size that the configured method gives; None while it is not known.
        estimate: What is said of the chosen algorithm; empty for one order.
    """
    if error:
        lines: list[Line] = wrap(error, WIDTH, "warn")
        return [[], [], [], *lines, *[[]] * VERDICT_LINES][: 3 + VERDICT_LINES]
    if preview is None:
        lines = [
            [("Fill in the amount to see cost and verdict.", "muted")],
            *suggestion_lines(suggested, hidden=hidden),
        ]
        return [*lines, *[[]] * (3 + VERDICT_LINES)][: 3 + VERDICT_LINES]
    money = preview.currency
    slippage = "" if preview.slippage_pct is None else f"slippage {percent(preview.slippage_pct, 3)}"
    if preview.impact is not None and preview.impact.walk is None:
        slippage = f"impact ~{percent(preview.impact.cost, 3)}"
    quote = preview.available_currency == money
    free = MASK if hidden else number(preview.available) if quote else exact(preview.available)
    word = "Costs" if preview.side is OrderSide.BUY else "Brings"
    price = f"at {exact(preview.expected_price)}" if preview.expected_price is not None else ""
    if preview.leverage is not None:
        at = preview.liquidation_price
        slippage = f"{exact(preview.leverage)}x, " + ("no liquidation" if at is None else f"liq. {exact(at)}")
    last = _row(word, f"{number(preview.total)} {money}", f"free {free} {preview.available_currency}")
    if preview.margin is not None:
        last = _row("Margin", f"{number(preview.margin)} {money}", f"free {free} {preview.available_currency}")
    lines = [
        _row("Value", f"{number(preview.notional)} {money}", price),
        _row("Fee", f"{number(preview.fee, 4)} {money}", slippage),
        last,
    ]
    if preview.passed:
        verdict: list[Line] = [[("✓ The risk gate lets it pass.", "ok")]]
        if estimate:
            verdict += [line for words in estimate for line in wrap(clean(words), WIDTH, "text")]
        else:
            verdict += wrap(preview.advice, WIDTH, "warn")
    else:
        verdict = []
        for refusal in preview.refusals:
            first, *rest = wrap(refusal.message, WIDTH - 2, "breach")
            verdict += [[("✗ ", "breach"), *first], *([("  ", "breach"), *line] for line in rest)]
    return [*lines, *verdict, *[[]] * VERDICT_LINES][: 3 + VERDICT_LINES]


def _row(label: str, value: str, note: str) -> Line:
    return [(f"{label:<7}", "muted"), (f"{clean(value):>15}", "strong"), (f"  {clean(note)}", "muted")]


class TicketDialog(Dialog[Any]):
    """A ticket for one order; ends with the order, or None.

    Args:
        app: Knows the link.
        instrument: What is traded.
        side: Buy or sell at first.
        book: The present book, for a price to begin with.
        price: A scaled price to begin with, as under the ladder's cursor.
    """

    BINDINGS: ClassVar[list[BindingType]] = bindings("focus", "dialog", "ticket")
    SCOPE: ClassVar[str] = "ticket"
    HELP: ClassVar[str | None] = (
        "The amount is in base units, or a share of the free funds such as 5%; ctrl+t takes the suggested size. "
        "Enter shows exactly what would be "
        "sent; nothing is sent before."
    )
    AUTO_FOCUS = "#quantity"
    DEFAULT_CSS: ClassVar[str] = """
    TicketDialog { align: right middle; background: $background 0%; }
    TicketDialog > #box { width: 48; padding: 0 1; }
    TicketDialog.-buy > #box { border: round $bid; border-title-color: $bid; }
    TicketDialog.-sell > #box { border: round $ask; border-title-color: $ask; }
    TicketDialog.-live > #box { border: heavy $live; border-title-color: $live; }
    TicketDialog Horizontal { height: 1; }
    TicketDialog .label { width: 10; color: $muted; }
    TicketDialog .unit { width: 8; color: $muted; margin-left: 1; }
    TicketDialog Input, TicketDialog Input:focus { border: none; height: 1; padding: 0; width: 1fr; }
    TicketDialog #verdict { margin-top: 1; max-height: 8; }
    TicketDialog .hint { margin: 0; }
    """

    def __init__(
        self,
        app: QuarterdeckApp,
        instrument: InstrumentRow,
        side: OrderSide,
        book: BookView | None,
        price: int | None = None,
    ) -> None:
        super().__init__()
        self._link = app.link
        self._where = app.where
        self._status = app.status.data
        self._instrument = instrument
        self._side = side
        self._price = _first_price(instrument, side, book, price)
        self._request_id = new_request_id()
        self._timer: Timer | None = None
        self._asked = 0
        self._preview: OrderPreview | None = None
        self._preview_of: dict[str, Any] = {}
        self._estimate: list[str] = []
        self._error = ""
        self._suggested: SizeSuggestion | None = None
        self._suggested_of: dict[str, Any] = {}
        self._review_wanted = False
        self._reviewing = False
        # Before there is anything in it a class costs nothing; later it restyles the whole ticket.
        self.add_class(f"-{side.value}")
        self.set_class(is_live(self._place()), "-live")

    # --- what it looks like

    def body(self) -> ComposeResult:
        """Yield the fields, the verdict and the keys."""
        sides = [("buy", "▲ BUY", "bid"), ("sell", "▼ SELL", "ask")]
        base, quote = self._instrument.base, self._instrument.quote
        price = "" if self._price is None else f"{self._price:f}"
        accounts = self._where.accounts(self._instrument.id.partition(":")[0])
        if len(accounts) > 1:
            choices = [(name, name, "text") for name in accounts]
            yield from self._field("Account", ChoiceField(choices, accounts[0], id="account"))
        yield from self._field("Side", ChoiceField(sides, self._side.value, id="side"))
        yield from self._field("Type", ChoiceField(TYPES, "limit", id="type"))
        spot = self._instrument.multiplier == 1 and ":" not in self._instrument.symbol
        unit, example = (base, "0.01 or 5%") if spot else ("contr.", "10 or 5%")
        yield from self._field("Amount", amount_field("", "quantity", example), unit)
        yield from self._field("Price", amount_field(price, "price"), quote)
        yield from self._field("Stop at", amount_field(price, "stop_price"), quote)
        yield from self._field("In force", ChoiceField(TIFS, "GTC", id="tif"))
        yield from self._field("Only", ChoiceField(ONLY, "", id="only"))
        yield from self._field("By", ChoiceField(WAYS, "", id="by"))
        for name, known in ALGO_FIELDS.items():
            field = amount_field(known.first, name, known.example)
            yield from self._field(known.label, field, base if name == "display" else known.unit)
        yield Sheet(preview_lines(None, ""), id="verdict")
        yield Static("Enter: Review   ^↑ ^↓: Tick   Esc: Back", classes="hint", markup=False)

    def _field(self, label: str, field: Input | ChoiceField, unit: str = "") -> ComposeResult:
        with Horizontal(id=f"row-{field.id}"):
            yield Static(label, classes="label", markup=False)
            yield field
            if unit:
                yield Static(clean(unit), classes="unit", markup=False)

    def on_mount(self) -> None:
        """Show the fields of the type, and judge again while the market moves."""
        self.query_one("#verdict", Sheet).can_focus = False
        self._shape()
        self._ask_size()
        self.set_interval(AGAIN_S, self._ask, name="preview again")

    def _shape(self) -> None:
        """Show side and type by title, colour and fields."""
        side, kind = self.query_one("#side", ChoiceField).value, self._kind
        if not self.has_class(f"-{side}"):
            self.remove_class("-buy", "-sell").add_class(f"-{side}")
        self.query_one("#box").border_title = Content(
            f"{self._mode}{side.upper()} {clean(self._instrument.symbol)}{self._where.beside(self._instrument.id)}"
        )
        self.set_class(is_live(self._place()), "-live")
        stops = kind in {OrderType.STOP_LOSS, OrderType.TAKE_PROFIT}
        self.query_one("#row-price").display = kind is OrderType.LIMIT
        self.query_one("#row-stop_price").display = stops
        self.query_one("#row-by").display = not stops
        way = self._way
        for name in ALGO_FIELDS:
            self.query_one(f"#row-{name}").display = name in fields_of(way)
        self.query_one("#row-tif").display = kind is OrderType.LIMIT and not way

    @property
    def _mode(self) -> str:
        """The word that stands before the title where money is real."""
        place = self._place()
        return f"{mode_word(place)} · " if place is not None and is_live(place) else ""

    def _place(self) -> Place | EngineStatus | None:
        """Where the order goes: not every account of an engine need be real."""
        named = self._value("account") if self.is_mounted and self.query("#account") else ""
        return self._where.place(self._instrument.id, named) or self._status

    @property
    def _way(self) -> str:
        """The algorithm; empty for one order."""
        return "" if self._kind in {OrderType.STOP_LOSS, OrderType.TAKE_PROFIT} else self._value("by")

    @property
    def _kind(self) -> OrderType:
        return OrderType(self.query_one("#type", ChoiceField).value)

    # --- the preview

    def asked(self) -> dict[str, Any] | str:
        """Return the request as the fields have it, or what is still wrong with them."""
        kind = self._kind
        fields: dict[str, Any] = {"instrument": self._instrument.id, "side": self._value("side"), "type": kind.value}
        wrong = self._put_amount(fields)
        if wrong is not None:
            return wrong
        names = {OrderType.MARKET: "", OrderType.LIMIT: "price"}
        if name := names.get(kind, "stop_price"):
            price = decimal_of(self.query_one(f"#{name}", Input).value)
            if not price:
                return f"Write a {name.replace('_', ' ')} above zero."
            fields[name] = price
        if way := self._way:
            params = algo_params(way, lambda name: self.query_one(f"#{name}", Input).value)
            if isinstance(params, str):
                return params
            fields["by"] = params
        elif kind is OrderType.LIMIT:
            fields["tif"] = self._value("tif")
        if self.query("#account"):
            fields["account"] = self._value("account")
        if only := self._value("only"):
            fields[only] = True
        return fields

    def _put_amount(self, fields: dict[str, Any]) -> str | None:
        """Put the amount into a request; what is wrong with it, None for nothing."""
        typed = self.query_one("#quantity", Input).value.strip()
        if not typed:
            return ""
        amount = decimal_of(typed.removesuffix("%"))
        if not amount:
            return "Write an amount above zero such as 0.01, or a share of the free funds such as 5%."
        if typed.endswith("%"):
            if amount > HUNDRED:
                return "More than 100% of the free funds cannot be used."
            fields["percent"] = amount / HUNDRED
        else:
            fields["quantity"] = amount
        return None

    def _value(self, name: str) -> str:
        return self.query_one(f"#{name}", ChoiceField).value

    def _changed(self) -> None:
        """Ask again when typing has paused."""
        self._review_wanted = False
        if self._timer is not None:
            self._timer.stop()
        self._timer = self.set_timer(DEBOUNCE_S, self._ask, name="preview")

    @property
    def pending(self) -> bool:
        """Whether the verdict on what the fields say is still to come."""
        return self._timer is not None or self._asked > 0

    def _ask(self) -> None:
        self._timer = None
        if not self.is_current and not self._review_wanted:
            # What the person is reading above the ticket must not change below it.
            return
        asked = self.asked()
        self._ask_size()
        if isinstance(asked, str):
            self._show(None, asked, {})
            return

        # A function and not a coroutine: the next question may cancel this one before it has begun.
        async def work() -> None:
            await self._ask_engine(asked)

        task: WorkType[None] = work
        self.run_worker(task, name="preview", group="preview", exclusive=True, exit_on_error=False)

    def _ask_size(self) -> None:
        """Ask for the size of an entry where it is not known for this side and account."""
        wanted: dict[str, Any] = {"instrument": self._instrument.id, "side": self._value("side")}
        if self.query("#account"):
            wanted["account"] = self._value("account")
        if wanted == self._suggested_of:
            return
        self._suggested, self._suggested_of = None, wanted

        async def work() -> None:
            try:
                found = await self._link.call("orders.suggest_size", wanted)
            except QuarterdeckError:
                # The ticket does without; what is wrong with the market its preview says.
                return
            if wanted == self._suggested_of:
                self._suggested = found
                self._show(self._preview, self._error, self._preview_of, self._estimate)

        task: WorkType[None] = work
        self.run_worker(task, name="size", group="size", exclusive=True, exit_on_error=False)

    async def _ask_engine(self, asked: dict[str, Any]) -> None:
        self._asked += 1
        plain = {name: value for name, value in asked.items() if name != "by"}
        estimate: list[str] = []
        try:
            preview = await self._link.call("orders.preview", plain)
            if "by" in asked and preview.passed:
                view: EstimateView = await self._link.call("orders.estimate", estimate_asked(preview, asked["by"]))
                estimate = estimate_words(view, asked["by"]["algorithm"])
        except QuarterdeckError as error:
            self._show(None, f"{error.title}: {error.message}", asked)
            return
        finally:
            self._asked -= 1
        self._show(preview, "", asked, estimate)
        if self._review_wanted and asked == self.asked():
            self._review()

    def _show(
        self, preview: OrderPreview | None, error: str, asked: dict[str, Any], estimate: Sequence[str] = ()
    ) -> None:
        self._preview, self._error, self._preview_of, self._estimate = preview, error, asked, list(estimate)
        if self.is_mounted:
            sheet = self.query_one("#verdict", Sheet)
            hidden, suggested = self.deck.privacy, self._suggested
            sheet.show(preview_lines(preview, error, hidden=hidden, suggested=suggested, estimate=estimate))
            sheet.drain()

    # --- keys

    def on_choice_field_changed(self, event: ChoiceField.Changed) -> None:
        """Follow another side or type."""
        event.stop()
        self._shape()
        self._changed()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Follow what is typed."""
        event.stop()
        self._changed()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Review."""
        event.stop()
        self.action_review()

    def action_move(self, step: int) -> None:
        """Go to another field."""
        if step > 0:
            self.focus_next("Input, ChoiceField")
        else:
            self.focus_previous("Input, ChoiceField")

    def action_nudge(self, direction: int) -> None:
        """Move the focused figure by one step."""
        nudge(self.focused, self._instrument, direction)

    def action_flip(self) -> None:
        """Change between buying and selling."""
        self.query_one("#side", ChoiceField).action_turn(1)

    def action_suggest(self) -> None:
        """Take the suggested size for the amount."""
        if self._suggested is None or not self._suggested.quantity:
            self.notify("No size is suggested now.", severity="warning", markup=False)
            return
        self.query_one("#quantity", Input).value = f"{self._suggested.quantity:f}"

    def action_accept(self) -> None:
        """Review, from a field in which nothing is typed as well."""
        self.action_review()

    def action_review(self) -> None:
        """Show exactly what would be sent, as soon as the engine has judged it as it now stands."""
        asked = self.asked()
        if isinstance(asked, str):
            self._show(None, asked or "Write an amount first, such as 0.01 or 5%.", {})
        elif self._preview is not None and self._preview_of == asked:
            self._review()
        else:
            self._review_wanted = True
            self._ask()

    def _review(self) -> None:
        self._review_wanted = False
        preview = self._preview
        # The ticket counts as current below its own question too, so only the flag tells a second Enter from the first.
        if preview is None or self._reviewing or not self.is_current:
            return
        if not preview.passed:
            self.notify("Not sent: risk refuses it.", severity="warning", markup=False)
            return
        self._reviewing = True
        self.app.push_screen(self._question(preview), self._answered)

    def _question(self, preview: OrderPreview) -> ConfirmDialog:
        place = self._place()
        account = account_words(place).removeprefix("the ")
        details = preview_lines(preview, "", hidden=self.deck.privacy)[:3]
        details = [[("Sent to  ", "muted"), (f" {account} ", "live" if is_live(place) else "paper")], *details]
        asked = dict(self._preview_of)
        asked.pop("percent", None)
        asked["quantity"] = preview.quantity
        operation, sentence = "orders.place", preview.sentence
        if (params := asked.pop("by", None)) is not None:
            operation, sentence = "algos.start", algo_sentence(preview, params)
            del asked["type"]
            asked |= params
            details += [[(clean(words), "muted")] for words in self._estimate]

        async def run() -> Any:
            try:
                return await self._link.call(operation, asked, request_id=self._request_id)
            except (EngineNotRunningError, UnknownOutcomeError):
                # It may have been done: the same id asks what became of it.
                raise
            except QuarterdeckError:
                self._request_id = new_request_id()
                raise

        title = f"Send this {preview.side.value} order?"
        return ConfirmDialog(title, sentence, details, run=run, verb="Send", busy="Sending…")

    def _answered(self, order: Any) -> None:
        self._reviewing = False
        if order is not None and "by" in self._preview_of:
            self.notify(f"{order.id} is at work; 3 w shows how it goes.", markup=False)
            if self.is_current:
                self.dismiss(None)
        elif order is not None:
            words = self._preview.sentence if self._preview is not None else "The order was sent."
            self.deck.news.sent(order, words)
            if self.is_current:
                self.dismiss(order)


def _first_price(
    instrument: InstrumentRow, side: OrderSide, book: BookView | None, price: int | None
) -> Decimal | None:
    """Return the price to begin with: the one pointed at, else the best of one's own side."""
    if price is None and book is not None:
        levels = book.bids if side is OrderSide.BUY else book.asks
        price = levels[0][0] if levels else None
    if price is None:
        return None
    value = Decimal(price).scaleb(-instrument.price_scale)
    return value.quantize(Decimal(1).scaleb(-decimals_of(instrument.price_tick)))
