"""The emergency stop, the halt and the way back: one dialog that says exactly what happens, then it happens.

What is stopped is everything at first; the arrows choose a part of it, and the dialog says what of that is open.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from textual.widgets import Static

from console.actions import bindings
from console.errands import new_request_id
from engine.model.account import TradingMode
from engine.model.ids import symbol_of
from screens.dialogs import ConfirmDialog
from screens.emergency_parts import ALL, Part, parts
from screens.formats import exact
from screens.mode import mode_word
from screens.portfolio_figures import position_words
from screens.quit import count
from screens.sheet import Line, Sheet
from screens.where import HERE
from widgets.text import clean

if TYPE_CHECKING:
    from textual.binding import BindingType

    from console.app import QuarterdeckApp
    from engine.control.views import BotRow, EngineStatus, OrderRow, Place, PositionRow
    from screens.where import Where

__all__ = ["EmergencyDialog", "account_words", "halt_dialog", "resume_dialog"]

SHOWN = 4
REASON = "emergency stop by the operator"


def account_words(account: EngineStatus | Place | None) -> str:
    """Return which account it is, mode first: the PAPER account, the LIVE account main."""
    if account is None:
        return "the account"
    name = "" if account.account == account.mode.value else f" {clean(account.account)}"
    return f"the {mode_word(account)} account{name}"


def all_accounts(status: EngineStatus | None) -> str:
    """Return what a stop of everything is about: the account, or how many there are, real ones first."""
    places = [place for place in status.places if place.account] if status is not None else []
    if len(places) < 2:
        return account_words(status)
    words = sorted({mode_word(place) for place in places})
    return f"{'both' if len(places) == 2 else f'all {len(places)}'} accounts ({', '.join(words)})"


def consequences(
    orders: list[OrderRow] | None, positions: list[PositionRow] | None, where: Where = HERE, part: Part = ALL
) -> list[Line]:
    """Return what an emergency stop of a part of trading does, line by line; None is not known yet."""
    orders = None if orders is None else [order for order in orders if part.covers(order)]
    positions = None if positions is None else [position for position in positions if part.covers(position)]
    until = "until trading is resumed by hand" if part.everything else "there until resumed by hand"
    lines: list[Line] = [[("1  ", "accent"), (f"New orders are blocked {until}.", "text")]]
    lines.append([("2  ", "accent"), (_cancels(orders), "text")])
    for order in (orders or [])[:SHOWN]:
        at = order.price if order.price is not None else order.stop_price
        price = f" at {exact(at)}" if at is not None else ""
        place = where.on(order.instrument, order.account)
        words = f"{order.side} {exact(order.quantity - order.filled)} {symbol_of(order.instrument)}{price}{place}"
        lines.append([("   " + clean(words), "muted"), (f"  {clean(order.owner_name)}", "faint")])
    lines += _more(orders)
    lines.append([("3  ", "accent"), (_closes(positions), "text")])
    for position in (positions or [])[:SHOWN]:
        lines.append(
            [("   " + clean(position_words(position, where)), "muted"), (f"  {clean(position.owner_name)}", "faint")]
        )
    return lines + _more(positions)


def _cancels(orders: list[OrderRow] | None) -> str:
    if orders is None:
        return "All open orders are cancelled."
    return f"{count(len(orders), 'order', 'open')} {'is' if len(orders) == 1 else 'are'} cancelled."


def _closes(positions: list[PositionRow] | None) -> str:
    if positions is None:
        return "All open positions are closed at the market."
    return f"{count(len(positions), 'position', 'open')} {'is' if len(positions) == 1 else 'are'} closed at the market."


def _more(rows: list[Any] | None) -> list[Line]:
    hidden = len(rows or []) - SHOWN
    return [[(f"   and {hidden} more", "faint")]] if hidden > 0 else []


class EmergencyDialog(ConfirmDialog):
    """Asks once, whatever is open; a typed word is wanted when money is real."""

    BINDINGS: ClassVar[list[BindingType]] = bindings("focus", "dialog", "stop")

    def __init__(self, app: QuarterdeckApp) -> None:
        status = app.status.data
        live = status is not None and status.mode is TradingMode.LIVE
        account = all_accounts(status)
        link, request_id = app.link, new_request_id()

        async def run() -> Any:
            asked = {"reason": REASON, "close": True} | ({} if self._part.everything else {"scope": self._part.scope})
            return await link.call("risk.emergency_stop", asked, request_id=request_id)

        self._all = f"Stop all trading of {account} now:"
        self._part = ALL
        self._bots: list[BotRow] = []
        self._orders: list[OrderRow] | None = None
        self._positions: list[PositionRow] | None = None
        super().__init__(
            "EMERGENCY STOP",
            self._all,
            consequences(None, None),
            run=run,
            verb="Stop everything",
            busy="Stopping…",
            danger=True,
            word="STOP" if live else "",
        )

    def on_mount(self) -> None:
        """Ask what there is to cancel and to close; the stop need not wait for the answer."""
        self.deck.ask(self, "orders.list", {"open": True, "limit": 1000}, then=self._take_orders)
        self.deck.ask(self, "portfolio.positions", then=self._take_positions)
        self.deck.ask(self, "bots.list", then=self._take_bots)

    def action_part(self, step: int) -> None:
        """Choose the next part of trading, or the one before."""
        if self._under_way:
            return
        found = parts(self.deck.status.data, self._orders or [], self._positions or [], self._bots)
        here = next((place for place, one in enumerate(found) if one.scope == self._part.scope), 0)
        self._part = found[(here + step) % len(found)]
        self._verb = "Stop everything" if self._part.everything else "Stop this"
        self._sentence = self._all if self._part.everything else f"Stop {self._part.words} now, and nothing else:"
        self.query_one("#sentence", Static).update(self._sentence)
        self.query_one("#hint", Static).update(self._hint())
        # A key meant for the part before must not stop this one.
        self.guard_again()
        self._show()

    def _hint(self) -> str:
        return f"{super()._hint()}    ↑/↓: Another part"

    def _take_bots(self, bots: list[BotRow]) -> None:
        self._bots = list(bots)

    def _take_orders(self, orders: list[OrderRow]) -> None:
        self._orders = list(orders)
        self._show()

    def _take_positions(self, positions: list[PositionRow]) -> None:
        self._positions = list(positions)
        self._show()

    def _show(self) -> None:
        self.query_one("#details", Sheet).show(consequences(self._orders, self._positions, self.deck.where, self._part))


def halt_dialog(app: QuarterdeckApp) -> ConfirmDialog:
    """Ask whether new orders shall be blocked."""
    request_id = new_request_id()

    async def run() -> Any:
        reason = {"reason": "halted by the operator", "reducing": True}
        return await app.link.call("risk.halt", reason, request_id=request_id)

    sentence = "Block new orders. Cancels and orders that reduce a position still pass; nothing is closed."
    return ConfirmDialog("Halt trading", sentence, run=run, verb="Halt", danger=True)


def resume_dialog(app: QuarterdeckApp) -> ConfirmDialog:
    """Ask whether new orders shall be allowed again."""
    request_id = new_request_id()
    status = app.status.data
    why = f"Trading is {status.trading.value}: {status.trading_reason}" if status is not None else ""

    async def run() -> Any:
        return await app.link.call("risk.resume", {"reason": "resumed by the operator"}, request_id=request_id)

    sentence = "Allow new orders again, of bots as well."
    return ConfirmDialog("Resume trading", sentence, [[(clean(why), "muted")]], run=run, verb="Resume", danger=True)
