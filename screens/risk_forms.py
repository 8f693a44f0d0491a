"""What an operator may do about risk: each says exactly what happens and asks why; the reason is kept for the audit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from engine.errors import ConfigurationError
from screens.dialogs import ConfirmDialog
from screens.form_dialog import FormDialog
from screens.form_fields import NO, YES, YES_NO, Field, Kind
from screens.request import request
from screens.risk_figures import changed_limits, difference_lines, limit_fields
from widgets.text import clean

if TYPE_CHECKING:
    from collections.abc import Mapping

    from console.app import QuarterdeckApp
    from engine.control.views import RiskView
    from engine.control.views_guards import BreakerRow

__all__ = ["HaltForm", "LimitsForm", "ResetForm", "ResumeForm"]

WHY = "Why, for the audit; everybody who asks later reads it."
EVERYTHING = "all"
HALT_REASON = "by the operator"


class HaltForm(FormDialog):
    """Halts trading, or lets orders only reduce."""

    VERB: ClassVar[str] = "Halt"
    BUSY: ClassVar[str] = "Halting…"

    def __init__(self, app: QuarterdeckApp) -> None:
        said = "Nothing is cancelled or closed by this; ^x stops everything. Cancels always pass."
        super().__init__("Halt trading", said, danger=True)
        self._link = app.link

    def first_fields(self) -> list[Field]:
        """Return how far, and why."""
        ways = (("reducing", "only reduce"), ("halted", "halt"))
        help_ = "Only reduce: entries are refused until you resume. Halt: the same, and resuming checks everything."
        return [
            Field("how", "New orders", Kind.CHOICE, "reducing", ways, help=help_),
            Field("reason", "Why", value=HALT_REASON, help=WHY),
        ]

    async def send(self, texts: Mapping[str, str], request_id: str) -> Any:
        """Halt."""
        asked = {"reason": texts["reason"].strip(), "reducing": texts["how"] == "reducing"}
        return await self._link.call("risk.halt", asked, request_id=request_id)


class ResumeForm(FormDialog):
    """Lets trading go on."""

    VERB: ClassVar[str] = "Resume"
    BUSY: ClassVar[str] = "Checking everything…"

    def __init__(self, app: QuarterdeckApp, view: RiskView) -> None:
        self._halts = view.halts
        whole = next((halt for halt in view.halts if halt.scope == EVERYTHING), None)
        first = whole or next(iter(view.halts), None)
        why = clean(first.reason if first is not None else view.reason).rstrip(".") or "no reason was given"
        state = view.trading.value if first is None else first.trading.value
        what = "Trading" if first is None or first is whole else clean(first.scope)
        said = f"Allow new orders again, of bots as well. {what} is {state}: {why}."
        super().__init__("Resume trading", said, danger=True)
        self._link = app.link

    def first_fields(self) -> list[Field]:
        """Return what, where more than one part is held, and why."""
        why = Field("reason", "Why", help=WHY)
        if len(self._halts) < 2 and all(halt.scope == EVERYTHING for halt in self._halts):
            return [why]
        held = tuple((halt.scope, clean(halt.scope)) for halt in self._halts)
        help_ = "The part of trading that goes on; the others stay as they are."
        return [Field("scope", "What", Kind.CHOICE, held[0][0], held, help=help_), why]

    async def send(self, texts: Mapping[str, str], request_id: str) -> Any:
        """Resume."""
        asked = {"reason": texts["reason"].strip()}
        if texts.get("scope", EVERYTHING) != EVERYTHING:
            asked["scope"] = texts["scope"]
        return await self._link.call("risk.resume", asked, request_id=request_id)


class ResetForm(FormDialog):
    """Closes a breaker again."""

    VERB: ClassVar[str] = "Reset"
    BUSY: ClassVar[str] = "Resetting…"

    def __init__(self, app: QuarterdeckApp, row: BreakerRow) -> None:
        label = clean(row.label)
        said = (
            f"Close the breaker {label}. It opened because {clean(row.reason).rstrip('.') or 'its limit was reached'}."
        )
        super().__init__(f"Reset {label}", said, danger=True)
        self._link = app.link
        self._row = row

    def first_fields(self) -> list[Field]:
        """Return why, and whether it shall be closed though its condition persists."""
        force = "Reset although the condition persists; the loss is then measured anew from now."
        return [
            Field("reason", "Why", help=WHY),
            Field("force", "Even if it persists", Kind.CHOICE, NO, YES_NO, help=force),
        ]

    async def send(self, texts: Mapping[str, str], request_id: str) -> Any:
        """Reset."""
        asked = {
            "breaker": self._row.name,
            "account": self._row.account,
            "reason": texts["reason"].strip(),
            "force": texts["force"] == YES,
        }
        if self._row.scope and not self._row.account:
            asked["scope"] = self._row.scope
        return await self._link.call("risk.reset_breaker", asked, request_id=request_id)


class LimitsForm(FormDialog):
    """Changes risk limits: a form, then a question that shows before and after.

    Args:
        app: Knows the link.
        values: The limits in force by name.
    """

    VERB: ClassVar[str] = "Review"

    def __init__(self, app: QuarterdeckApp, values: Mapping[str, object]) -> None:
        super().__init__("Risk limits")
        self._link = app.link
        self._values = dict(values)
        self._fields = limit_fields(values)

    def first_fields(self) -> list[Field]:
        """Return every limit."""
        return self._fields

    def judge(self, texts: Mapping[str, str]) -> dict[str, str]:
        """Refuse limits that do not fit together."""
        # Loaded when somebody edits limits: an attached console begins sooner without.
        from engine.model.limits import RiskLimits

        changes: dict[str, object] = dict(changed_limits(self._fields, texts))
        if not changes:
            return {self.form.field.name: "nothing has changed yet"}
        try:
            RiskLimits().changed({**self._values, **changes})
        except ConfigurationError as error:
            faults = error.details.get("faults")
            said = clean(str(faults[0]) if isinstance(faults, list) and faults else error.message)
            for field in sorted(self._fields, key=lambda field: -len(field.name)):
                said = said.replace(field.name, field.label.lower())
            return {next(iter(changes)): said.removeprefix("Value error, ").rstrip(".")}
        return {}

    def accepted(self, texts: Mapping[str, str]) -> None:
        """Show exactly what would change, and ask once."""
        changes = changed_limits(self._fields, texts)
        count = "1 limit" if len(changes) == 1 else f"{len(changes)} limits"
        dialog = ConfirmDialog(
            "Change risk limits",
            f"Change {count}; the new values hold from the next check on:",
            difference_lines(self._fields, texts),
            run=request(self._link, "risk.set_limits", {"limits": changes}),
            verb="Change",
            busy="Changing…",
            danger=True,
        )
        self.app.push_screen(dialog, self._done)

    def _done(self, reply: Any) -> None:
        if reply is not None:
            self.dismiss(reply)
