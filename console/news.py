"""What happens while one looks elsewhere: the list of facts, toasts for what matters, and ten seconds to think again.

Facts arrive in order and are never dropped; toasts are a courtesy and are bounded: the person's own fills and refusals
always, what bots do at most once in a while and then as a count, errors of the engine from medium severity on.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Literal

from msgspec.structs import replace

from screens.dialogs import SheetDialog
from screens.formats import clock, without_amounts
from widgets.text import clean

if TYPE_CHECKING:
    from console.app import QuarterdeckApp
    from engine.control.link import Delta, Subscription
    from engine.control.views import Activity, OrderRow
    from screens.sheet import Line

__all__ = ["INKS", "News"]

KEPT = 1000
BACKLOG = 300
UNDO_S = 10.0
BOT_TOAST_EVERY_S = 5.0
INKS = {"info": "muted", "good": "gain", "warning": "warn", "critical": "breach"}
"""Severity of a fact -> ink of its words."""
ERROR_TOASTS = 3
"""Toasts of errors at once; the rest is a count."""
SIGNS = {"info": "·", "good": "+", "warning": "!", "critical": "X"}


class News:
    """Hears the facts.

    Args:
        app: Shows toasts and knows the link.

    `facts` holds the newest thousand, oldest first; `version` grows with every change of it.
    """

    def __init__(self, app: QuarterdeckApp) -> None:
        self._app = app
        self._subscription: Subscription | None = None
        self._errors: Subscription | None = None
        self._noticed: int | None = None
        """Number of the last notice that was heard; None before the first look."""
        self._asked = False
        self.facts: deque[Activity] = deque(maxlen=KEPT)
        self.version = 0
        self._last_seq = 0
        self._bots_told = float("-inf")
        self._bots_untold = 0
        self._sent: OrderRow | None = None
        self._sent_at = 0.0

    @property
    def shown(self) -> list[Activity]:
        """The facts as they may be shown: without figures while amounts are hidden."""
        return [self._may_show(fact) for fact in self.facts]

    def _may_show(self, fact: Activity) -> Activity:
        return replace(fact, text=without_amounts(fact.text)) if self._app.privacy else fact

    def start(self) -> None:
        """Hear facts from now on, and ask for those of before."""
        self._subscription = self._app.store.listen("facts.activity", self._hear)
        self._errors = self._app.store.listen("errors.notices", self._notice)
        self._app.set_interval(0.5, self._look_back, name="backlog")

    def stop(self) -> None:
        """Hear no more."""
        for subscription in (self._subscription, self._errors):
            if subscription is not None:
                subscription.close()

    def begin_anew(self) -> None:
        """Forget all facts: they are another engine's, or of another time."""
        self.facts.clear()
        self.version += 1
        self._last_seq = 0
        self._noticed = None
        self._asked = False

    def _look_back(self) -> None:
        """Ask once for the facts before the console came; the journal's number is known when the engine has spoken."""
        status = self._app.status.data
        if self._asked or status is None or self._app.link.state == "lost":
            return
        self._asked = True
        cursor = max(0, status.seq - BACKLOG)
        self._app.ask(self._app, "facts.since", {"cursor": cursor, "limit": BACKLOG}, then=self._prepend)

    def _prepend(self, facts: list[Activity]) -> None:
        known = {fact.seq for fact in self.facts}
        older = [fact for fact in facts if fact.seq not in known]
        merged = sorted([*older, *self.facts], key=lambda fact: fact.seq)
        self.facts = deque(merged, maxlen=KEPT)
        self.version += 1

    def _hear(self, delta: Delta) -> None:
        facts = delta.data if isinstance(delta.data, list | tuple) else (delta.data,)
        for fact in facts:
            if fact.seq <= self._last_seq:
                continue
            self._last_seq = fact.seq
            self.facts.append(fact)
            self.version += 1
            if not delta.snapshot and self._app.link.state != "replay":
                self.tell(fact)

    def tell(self, fact: Activity) -> None:
        """Show a toast of a fact if it matters."""
        if fact.severity == "info":
            return
        fact = self._may_show(fact)
        if fact.owner not in {"", "manual"} and fact.severity == "good":
            self._tell_of_bots(fact)
            return
        levels: dict[str, Literal["information", "warning", "error"]] = {"warning": "warning", "critical": "error"}
        level = levels.get(fact.severity, "information")
        self._app.notify(clean(fact.text), severity=level, timeout=15 if level == "error" else 5, markup=False)

    def _notice(self, delta: Delta) -> None:
        """Tell of errors that are new since the last look; those of before the console came are on the sheet."""
        newest = delta.data[-1].number if delta.data else 0
        seen, self._noticed = self._noticed, newest
        if seen is None or newest < seen:
            # The first look, or another engine process: its numbers begin anew.
            return
        fresh = [row for row in delta.data if row.number > seen and row.severity != "low"]
        for row in fresh[-ERROR_TOASTS:]:
            bad = row.severity in {"critical", "high"}
            self._app.notify(
                clean(row.text),
                title=f"{row.severity.capitalize()}: {clean(row.component)}",
                severity="error" if bad else "warning",
                timeout=15 if bad else 5,
                markup=False,
            )
        if len(fresh) > ERROR_TOASTS:
            self._app.notify(f"{len(fresh) - ERROR_TOASTS} more errors; see Errors in the palette.", markup=False)

    def _tell_of_bots(self, fact: Activity) -> None:
        now = self._app.steady()
        if now - self._bots_told < BOT_TOAST_EVERY_S:
            self._bots_untold += 1
            return
        more = f" (and {self._bots_untold} more since)" if self._bots_untold else ""
        self._bots_told, self._bots_untold = now, 0
        self._app.notify(f"{clean(fact.owner)}: {clean(fact.text)}{more}", markup=False)

    def open(self) -> None:
        """Show the facts as a page, the newest last."""
        lines: list[Line] = []
        for fact in self.shown:
            ink = INKS.get(fact.severity, "text")
            lines.append([
                (f"{clock(fact.ts, self._app.zone)} ", "muted"),
                (f"{SIGNS.get(fact.severity, ' ')} ", ink),
                (clean(fact.text), "text" if fact.severity == "info" else ink),
            ])  # fmt: skip
        empty: list[Line] = [[("Nothing has happened yet.", "muted")]]
        self._app.push_screen(SheetDialog("Activity", lines or empty, end=True))

    # --- the order just sent

    def sent(self, order: OrderRow, words: str) -> None:
        """Remember an order that was just sent, and offer to cancel it."""
        self._sent, self._sent_at = order, self._app.steady()
        key = self._app.keymap.label("app.undo")
        self._app.notify(
            f"{words}\n{key}: cancel it while it is open (10 s)", title="Sent", timeout=UNDO_S, markup=False
        )

    @property
    def can_undo(self) -> bool:
        """Whether an order was sent within the last ten seconds."""
        return self._sent is not None and self._app.steady() - self._sent_at <= UNDO_S

    def undo(self) -> None:
        """Cancel the order just sent."""
        order = self._sent
        if order is None or not self.can_undo:
            self._app.notify("There is no order of the last ten seconds to cancel.", markup=False)
            return
        self._sent = None

        def done(_row: Any) -> str:
            return "Cancel requested; a fill that was under way may still arrive."

        self._app.operate("orders.cancel", {"client_id": order.client_id}, busy="cancelling", done=done)
