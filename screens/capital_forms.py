"""What an operator may do about capital: each says what will happen first, and is kept with its reason."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from console.errands import new_request_id
from engine.model.ids import symbol_of
from screens.dialogs import ConfirmDialog, SheetDialog
from screens.form_dialog import FormDialog
from screens.form_fields import Field, Kind
from screens.formats import DASH, MASK, age, exact, number, percent
from screens.risk_forms import WHY
from screens.sheet import wrap
from widgets.text import clean, fit

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from console.app import QuarterdeckApp
    from engine.control.views_capital import AccountRow, CapitalView, ExposureView, HedgeRow
    from screens.sheet import Line

__all__ = [
    "MoneyForm",
    "PreserveForm",
    "ReleaseForm",
    "UnlockProfitForm",
    "exposure_lines",
    "settle_dialog",
    "show_hedges",
]

WIDTH = 70
"""Cells of a line."""


def _accounts(rows: Sequence[AccountRow]) -> tuple[tuple[str, str], ...]:
    return tuple((row.account, clean(row.account)) for row in rows)


class MoneyForm(FormDialog):
    """Puts money in or takes it out; with real money it is planned, and booked when it has moved."""

    def __init__(self, app: QuarterdeckApp, view: CapitalView, *, coming_in: bool) -> None:
        verb = "Put money in" if coming_in else "Take money out"
        said = (
            f"{verb}: every rule is asked first, and nothing moves where one forbids it. Paper money moves at once; "
            "real money is planned here, sent by you, and booked when the account shows it."
        )
        super().__init__("Deposit" if coming_in else "Withdraw", said)
        self._link, self._view, self._coming_in = app.link, view, coming_in

    def first_fields(self) -> list[Field]:
        """Return account, amount, currency and why."""
        accounts = _accounts(self._view.accounts)
        first = self._view.accounts[0] if self._view.accounts else None
        return [
            Field("account", "Account", Kind.CHOICE, accounts[0][0] if accounts else "", accounts,
                  help="The account whose money it is."),
            Field("amount", "Amount", Kind.NUMBER, minimum="0", above=True, help="How much of the currency."),
            Field("currency", "Currency", value=first.currency if first else "", optional=True,
                  help="Currency; empty for the account's base currency."),
            Field("reason", "Why", value="by the operator", help=WHY),
        ]  # fmt: skip

    async def send(self, texts: Mapping[str, str], request_id: str) -> Any:
        """Ask for it."""
        asked = {
            "account": texts["account"],
            "amount": texts["amount"].replace(",", "").strip(),
            "currency": texts["currency"].strip(),
            "reason": texts["reason"].strip(),
        }
        operation = "capital.deposit" if self._coming_in else "capital.withdraw"
        return await self._link.call(operation, asked, request_id=request_id)


class PreserveForm(FormDialog):
    """Stops flows and new allocations."""

    VERB: ClassVar[str] = "Preserve"
    BUSY: ClassVar[str] = "Preserving…"

    def __init__(self, app: QuarterdeckApp) -> None:
        said = "Flows and new allocations stop, and what is not at work returns to the reserve. No order is touched."
        super().__init__("Preserve capital", said, danger=True)
        self._link = app.link

    def first_fields(self) -> list[Field]:
        """Return why."""
        return [Field("reason", "Why", help=WHY)]

    async def send(self, texts: Mapping[str, str], request_id: str) -> Any:
        """Preserve it, of all accounts."""
        return await self._link.call("capital.preserve", {"reason": texts["reason"].strip()}, request_id=request_id)


class ReleaseForm(FormDialog):
    """Lets preserved capital flow again."""

    VERB: ClassVar[str] = "Release"
    BUSY: ClassVar[str] = "Releasing…"

    def __init__(self, app: QuarterdeckApp, kept: Sequence[AccountRow]) -> None:
        why = "; ".join(f"{clean(row.account)}: {clean(row.preserved).rstrip('.')}" for row in kept)
        super().__init__("Release capital", f"Let preserved capital flow again. It is preserved because: {why}.")
        self._link = app.link

    def first_fields(self) -> list[Field]:
        """Return why."""
        return [Field("reason", "Why", help=WHY)]

    async def send(self, texts: Mapping[str, str], request_id: str) -> Any:
        """Release it, of all accounts."""
        return await self._link.call("capital.release", {"reason": texts["reason"].strip()}, request_id=request_id)


class UnlockProfitForm(FormDialog):
    """Asks for locked profit before its time."""

    VERB: ClassVar[str] = "Ask"
    BUSY: ClassVar[str] = "Asking…"

    def __init__(self, app: QuarterdeckApp, view: CapitalView) -> None:
        said = "Ask for locked profit before its time. It opens when the notice has run, not at once."
        super().__init__("Unlock profit", said, danger=True)
        self._link, self._locks = app.link, view.locks
        self._now, self._hidden = app.now(), app.privacy

    def first_fields(self) -> list[Field]:
        """Return which, and why."""
        choices = tuple(
            (
                row.lock,
                f"{MASK if self._hidden else number(row.amount)} {row.currency} of {clean(row.account)}, "
                f"opens in {age(self._now, row.unlocks_at)}",
            )
            for row in self._locks
        )
        return [
            Field("lock", "Profit", Kind.CHOICE, choices[0][0], choices, help="The locked profit that is meant."),
            Field("reason", "Why", help=WHY),
        ]

    async def send(self, texts: Mapping[str, str], request_id: str) -> Any:
        """Ask for it."""
        row = next(row for row in self._locks if row.lock == texts["lock"])
        asked = {"lock": row.lock, "account": row.account, "reason": texts["reason"].strip()}
        return await self._link.call("capital.unlock", asked, request_id=request_id)


def settle_dialog(app: QuarterdeckApp, row: AccountRow) -> ConfirmDialog:
    """Ask whether an account's profit shall be settled now."""
    request_id = new_request_id()

    async def run() -> Any:
        return await app.link.call("capital.settle", {"account": row.account}, request_id=request_id)

    sentence = f"Settle the profit that {clean(row.account)} has made since it was last settled."
    details = wrap("A part of it is locked; the rest is put to work. No order is sent.", 60, "muted")
    return ConfirmDialog("Settle profit", sentence, details, run=run, verb="Settle", busy="Settling…")


def show_hedges(app: QuarterdeckApp) -> None:
    """Ask for exposures, and show them: with the hedges to be sent where there are any and this console may."""

    def show(view: ExposureView) -> None:
        lines = exposure_lines(view, hidden=app.privacy)
        if not view.hedges or app.link.state == "replay" or app.preferences.read_only:
            app.push_screen(SheetDialog("Exposure to currencies", lines))
            return
        app.push_screen(_hedge_dialog(app, view, lines))

    app.ask(app, "capital.exposure", then=show)


def _hedge_dialog(app: QuarterdeckApp, view: ExposureView, lines: list[Line]) -> ConfirmDialog:
    request_id = new_request_id()

    async def run() -> Any:
        return await app.link.call("capital.hedge", {}, request_id=request_id)

    orders = "; ".join(_order_words(row) for row in view.hedges)
    sentence = f"{orders}, at the market."
    return ConfirmDialog("Hedge currencies", sentence, lines, run=run, verb="Send", busy="Sending…", danger=True)


def _order_words(row: HedgeRow) -> str:
    return f"{row.side.value.capitalize()} {exact(row.quantity)} {symbol_of(row.instrument)} of {clean(row.account)}"


def exposure_lines(view: ExposureView, *, hidden: bool) -> list[Line]:
    """Each currency with its worth, share and limit, and why a hedge is planned."""
    lines: list[Line] = []
    for row in view.rows:
        value = DASH if row.value is None else MASK if hidden else f"{number(row.value)} {view.currency}"
        limit = "" if row.limit is None else f" of {percent(row.limit, 0)}"
        share = DASH if row.share is None else f"{percent(row.share, 1)}{limit}"
        ink = "breach" if row.over else "warn" if row.value is None else "text"
        lines.append([
            (fit(clean(row.currency), 7), "strong"),
            (fit(clean(row.account), 14), "muted"),
            (f"{value:>18}  ", "text"),
            (share, ink),
        ])  # fmt: skip
    if not view.rows:
        lines.append([("No currency but the base one is held.", "muted")])
    for hedge in view.hedges:
        after = f"{percent(hedge.exposure, 1)} → {percent(hedge.after, 1)}"
        lines += wrap(f"{_order_words(hedge)}: {clean(hedge.reason)} ({after})", WIDTH, "muted")
    if view.rows and not view.hedges:
        lines.append([("Nothing is to be hedged.", "muted")])
    return lines
