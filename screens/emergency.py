"""The emergency stop, the halt and the way back: one dialog that says exactly what happens, then it happens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from console.errands import new_request_id
from engine.model.account import TradingMode
from engine.model.ids import symbol_of
from screens.dialogs import ConfirmDialog
from screens.formats import exact
from screens.mode import mode_word
from screens.portfolio_figures import position_words
from screens.quit import count
from screens.sheet import Line, Sheet
from screens.where import HERE
from widgets.text import clean

if TYPE_CHECKING:
    from console.app import QuarterdeckApp
    from engine.control.views import EngineStatus, OrderRow, Place, PositionRow
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


def consequences(orders: list[OrderRow] | None, positions: list[PositionRow] | None, where: Where = HERE) -> list[Line]:
    """Return what an emergency stop does, line by line; None is not known yet."""
    lines: list[Line] = [[("1  ", "accent"), ("New orders are blocked until trading is resumed by hand.", "text")]]
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

    def __init__(self, app: QuarterdeckApp) -> None:
        status = app.status.data
        live = status is not None and status.mode is TradingMode.LIVE
        account = all_accounts(status)
        link, request_id = app.link, new_request_id()

        async def run() -> Any:
            return await link.call("risk.emergency_stop", {"reason": REASON, "close": True}, request_id=request_id)

        self._orders: list[OrderRow] | None = None
        self._positions: list[PositionRow] | None = None
        super().__init__(
            "EMERGENCY STOP",
            f"Stop all trading of {account} now:",
            consequences(None, None),
            run=run,
            verb="Stop everything",
            busy="Stopping everything…",
            danger=True,
            word="STOP" if live else "",
        )

    def on_mount(self) -> None:
        """Ask what there is to cancel and to close; the stop need not wait for the answer."""
        self.deck.ask(self, "orders.list", {"open": True, "limit": 1000}, then=self._take_orders)
        self.deck.ask(self, "portfolio.positions", then=self._take_positions)

    def _take_orders(self, orders: list[OrderRow]) -> None:
        self._orders = list(orders)
        self._show()

    def _take_positions(self, positions: list[PositionRow]) -> None:
        self._positions = list(positions)
        self._show()

    def _show(self) -> None:
        self.query_one("#details", Sheet).show(consequences(self._orders, self._positions, self.deck.where))


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
