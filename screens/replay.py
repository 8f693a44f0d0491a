"""Dialogs of the time machine: where in the past to go, and how to leave it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from console.when import EXAMPLES, moment
from engine.errors import QuarterdeckError
from screens.form_dialog import FormDialog
from screens.form_fields import Field, Kind
from screens.formats import at
from screens.options import Option, OptionsDialog

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from console.app import QuarterdeckApp
    from engine.control.views_replay import SessionRow

__all__ = ["GoDialog", "LeaveReplayDialog"]

NOTHING = "-"


class GoDialog(FormDialog):
    """Asks where in the past to go; ends with the parameters of `replay.seek`."""

    VERB: ClassVar[str] = "Go"
    HELP: ClassVar[str | None] = f"A moment, such as {EXAMPLES}; or the number of a fact; or a session's beginning."

    def __init__(self, app: QuarterdeckApp, sessions: Sequence[SessionRow], *, title: str = "Go to") -> None:
        super().__init__(title)
        self._sessions = sessions
        self._zone = app.zone
        self._zone_name = app.zone_name
        self._now = app.now

    def first_fields(self) -> list[Field]:
        """Return a moment, a fact, a session; the first that says something counts."""
        choices = [(NOTHING, NOTHING)]
        for row in self._sessions:
            ended = "" if row.orderly else ", not ended in order"
            choices.append((str(row.number), f"{row.number}: {at(row.begin, self._zone)}{ended}"))
        return [
            Field("moment", "Moment", help=f"Such as {EXAMPLES}; {self._zone_name}.", optional=True),
            Field("fact", "Fact", Kind.WHOLE, minimum="1", help="Number of a fact.", optional=True),
            Field("session", "Session", Kind.CHOICE, NOTHING, tuple(choices), help="Its beginning."),
        ]

    def judge(self, texts: Mapping[str, str]) -> dict[str, str]:
        """A moment must be one, and something must be said."""
        try:
            wanted = self._wanted(texts)
        except QuarterdeckError as error:
            return {"moment": error.message}
        return {} if wanted else {"moment": "say a moment, a fact or a session"}

    def _wanted(self, texts: Mapping[str, str]) -> dict[str, Any]:
        if text := texts.get("moment", "").strip():
            return {"ts": moment(text, self._now(), self._zone)}
        if text := texts.get("fact", "").strip():
            return {"seq": int(text.replace(",", ""))}
        session = texts.get("session", NOTHING)
        return {} if session == NOTHING else {"session": int(session)}

    async def send(self, texts: Mapping[str, str], request_id: str) -> Any:
        """Return where to go."""
        return self._wanted(texts)


class LeaveReplayDialog(OptionsDialog):
    """Asks where to go from the past; ends with the key of the answer."""

    def __init__(self) -> None:
        super().__init__(
            "The past is shown",
            [[("Nothing of it can be changed; the engine trades on in the present.", "muted")]],
            [
                Option("present", "b", "Back to the present", ""),
                Option("console", "l", "Leave the console", "the engine goes on"),
            ],
        )
