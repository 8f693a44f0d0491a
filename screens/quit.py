"""Leaving: the engine goes on, unless one says that it shall stop, and then what becomes of orders and positions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from console.ending import ExitIntent
from console.errands import new_request_id
from screens.dialogs import ConfirmDialog
from screens.options import Option, OptionsDialog

if TYPE_CHECKING:
    from console.app import QuarterdeckApp
    from screens.sheet import Line

__all__ = ["QuitDialog"]

STAY = Option("detach", "l", "Leave the engine running", "trading goes on")
DETACH = Option("detach", "l", "Leave this console", "the engine goes on")
GIVE_UP = Option("detach", "l", "Leave this console", "nobody looks for the engine")
STOPS = (
    Option("leave", "o", "Stop, leave orders and positions", "as they are"),
    Option("cancel_orders", "x", "Stop and cancel all orders", "positions stay", danger=True),
    Option("close", "X", "Stop, cancel all, close all", "at the market", danger=True),
)
SENTENCES = {
    "leave": "Stop the engine. {orders} and {positions} stay as they are; nobody watches them until it starts again.",
    "cancel_orders": "Stop the engine after cancelling {orders}. {positions} stay; nobody watches them meanwhile.",
    "close": "Stop the engine after cancelling {orders} and closing {positions} at the market.",
}


def count(number: int | None, noun: str, kind: str = "") -> str:
    """Return a count in words: 1 open order, 3 open orders."""
    kind = f"{kind} " if kind else ""
    if number is None:
        return f"all {kind}{noun}s"
    return f"{number} {kind}{noun}" + ("" if number == 1 else "s")


class QuitDialog(OptionsDialog):
    """Asks how to leave."""

    def __init__(self, app: QuarterdeckApp) -> None:
        status, lost = app.status.data, app.link.state == "lost"
        self._stay = GIVE_UP if lost else DETACH if app.preferences.attached else STAY
        said: list[Line] = []
        if lost:
            said.append([("The link to the engine is lost; leaving does not affect it.", "warn")])
        elif app.preferences.read_only:
            said.append([("This console may only look; the engine is not affected.", "muted")])
        elif status is not None:
            said.append([
                (f"{count(status.running_bots, 'running bot')}, {count(status.open_orders, 'open order')}. ", "strong"),
                ("Later: quarterdeck stop", "muted"),
            ])  # fmt: skip
        only_leave = lost or app.preferences.read_only
        super().__init__("Leave the console", said, [self._stay] if only_leave else [self._stay, *STOPS])

    def on_mount(self) -> None:
        """Ask how many positions are open, for what is said next."""
        self._positions: int | None = None
        self.deck.ask(self, "portfolio.positions", then=self._count)

    def _count(self, rows: list[Any]) -> None:
        self._positions = len(rows)

    def _choose(self, option: Option) -> None:
        if not self.armed:
            return
        if option is self._stay:
            self.deck.exit(ExitIntent.DETACH)
            return
        status = self.deck.status.data
        sentence = SENTENCES[option.key].format(
            orders=count(status.open_orders if status is not None else None, "order", "open"),
            positions=count(self._positions, "position", "open"),
        )
        link = self.deck.link
        request_id = new_request_id()

        async def run() -> Any:
            return await link.call("engine.stop", {"positions": option.key}, request_id=request_id)

        dialog = ConfirmDialog(
            "Stop the engine", sentence, run=run, verb="Stop the engine", busy="Stopping…", danger=True
        )
        self.app.push_screen(dialog, self._stopped)

    def _stopped(self, done: Any) -> None:
        if done is not None:
            self.deck.exit(ExitIntent.STOP)
