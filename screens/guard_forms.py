"""What an operator may do about breakers and locks by hand; each asks why, and the reason is kept for the audit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from screens.form_dialog import FormDialog
from screens.form_fields import Field
from screens.risk_forms import WHY
from widgets.text import clean

if TYPE_CHECKING:
    from collections.abc import Mapping

    from console.app import QuarterdeckApp
    from engine.control.views_guards import BreakerRow, LockRow

__all__ = ["TripForm", "UnlockForm"]


class TripForm(FormDialog):
    """Opens a breaker by hand, or keeps an open one open."""

    VERB: ClassVar[str] = "Open"
    BUSY: ClassVar[str] = "Opening…"

    def __init__(self, app: QuarterdeckApp, row: BreakerRow) -> None:
        label = clean(row.label)
        does = "Keep the open breaker" if row.open else "Open the breaker"
        said = f"{does} {label} until it is reset by hand. Entries are refused in its scope; exits pass."
        super().__init__(f"Open {label}", said, danger=True)
        self._link = app.link
        self._row = row

    def first_fields(self) -> list[Field]:
        """Return why."""
        return [Field("reason", "Why", help=WHY)]

    async def send(self, texts: Mapping[str, str], request_id: str) -> Any:
        """Open it."""
        asked = {"breaker": self._row.name, "scope": self._row.scope, "reason": texts["reason"].strip()}
        return await self._link.call("risk.trip_breaker", asked, request_id=request_id)


class UnlockForm(FormDialog):
    """Ends a lock before its time."""

    VERB: ClassVar[str] = "Lift"
    BUSY: ClassVar[str] = "Lifting…"

    def __init__(self, app: QuarterdeckApp, row: LockRow) -> None:
        said = f"Bots may enter again at once. It was placed because: {clean(row.reason)}"
        super().__init__(f"Lift the lock {clean(row.lock)}", said, danger=True)
        self._link = app.link
        self._row = row

    def first_fields(self) -> list[Field]:
        """Return why."""
        return [Field("reason", "Why", help=WHY)]

    async def send(self, texts: Mapping[str, str], request_id: str) -> Any:
        """Lift it."""
        asked = {"lock": self._row.lock, "reason": texts["reason"].strip()}
        return await self._link.call("risk.unlock", asked, request_id=request_id)
