"""What this console knows of its own permission to send orders with real money, and the way to ask for it.

The permission belongs to the console's connection and ends with it; only the engine decides. What is kept here is
what it said last, for the status line, and is forgotten when the link is lost.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from screens.settings_figures import left_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from console.app import QuarterdeckApp
    from engine.control.views_live import ArmedRow, LiveView

__all__ = ["ArmedState"]

NOTHING_LIVE = "No account is live here; set mode = 'live' for a venue first."


class ArmedState:
    """See the module.

    Args:
        app: Shows it.
    """

    def __init__(self, app: QuarterdeckApp) -> None:
        self._app = app
        self._rows: tuple[ArmedRow, ...] = ()

    def take(self, view: LiveView) -> None:
        """Know what the engine says."""
        self._rows = tuple(row for row in view.armed if row.mine)

    def forget(self) -> None:
        """The connection has ended, and with it every permission."""
        self._rows = ()

    def words(self) -> str:
        """`ARMED 14:59` while this console is armed; empty when it is not."""
        now = self._app.now()
        until = min((row.until for row in self._rows if row.until > now), default=0)
        return f"ARMED {left_text(until, now)}" if until else ""

    def ask(self, account: str = "", why: str = "", then: Callable[[], None] | None = None) -> None:
        """Open the form that arms.

        Args:
            account: The one that is meant; empty for the one that `why` names, else the first.
            why: Why it is wanted, such as the engine's refusal.
            then: Told once the console is armed.
        """
        if not self._app.may_act():
            return

        def open_form(view: LiveView) -> None:
            from screens.settings_forms import ArmForm

            self.take(view)
            if not view.accounts:
                self._app.notify(NOTHING_LIVE, severity="warning", markup=False)
                return
            named = (str(row.account) for row in view.accounts if str(row.account) in why.split())
            self._app.push_screen(ArmForm(self._app, view, account or next(named, ""), why), done)

        def done(reply: Any) -> None:
            if reply is not None:
                self._app.notify("Armed. Nothing was sent by it.", markup=False)
                if then is not None:
                    then()

        screen = self._app.deck_screen
        if screen is not None:
            self._app.ask(screen, "live.status", then=open_form, group="arm")

    def disarm(self, then: Callable[[], None] | None = None) -> None:
        """Take the permission back."""

        def done(view: LiveView) -> None:
            self.take(view)
            if then is not None:
                then()

        self._app.operate("live.disarm", busy="disarming", done="This console is disarmed.", then=done)
