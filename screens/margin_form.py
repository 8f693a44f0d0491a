"""Sets leverage and margin mode of a perpetual: says what is possible, and what it means."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from screens.form_dialog import FormDialog
from screens.form_fields import Field, Kind
from screens.formats import exact
from widgets.text import clean

if TYPE_CHECKING:
    from collections.abc import Mapping

    from console.app import QuarterdeckApp
    from engine.control.views_margin import MarginView

__all__ = ["MarginForm"]

MODES = (("isolated", "isolated"), ("cross", "cross"))
ABOUT_MODE = (
    "Isolated: a liquidation takes the margin of this position at most. Cross: everything in the account stands for "
    "it. It can change while there is no position and no order."
)


class MarginForm(FormDialog):
    """A form for one instrument of one account.

    Args:
        app: Knows the link.
        view: What holds now.
    """

    VERB: ClassVar[str] = "Set"
    BUSY: ClassVar[str] = "Asking the venue…"

    def __init__(self, app: QuarterdeckApp, view: MarginView) -> None:
        said = (
            f"Account {view.account}. The venue allows up to {exact(view.most)}x, your limits up to "
            f"{exact(view.limit)}x. Leverage does not make orders larger; it makes their margin smaller."
        )
        super().__init__(f"Margin of {clean(view.instrument)}", said)
        self._link = app.link
        self._view = view

    def first_fields(self) -> list[Field]:
        """Return leverage and mode as they are."""
        view = self._view
        most = min(view.most, max(view.limit, view.leverage))
        modes = tuple(choice for choice in MODES if choice[0] in view.modes) or MODES
        return [
            Field(
                "leverage", "Leverage", Kind.NUMBER, exact(view.leverage), minimum="1", maximum=exact(most), unit="x",
                help="Value of a position over its margin. The higher, the nearer is the liquidation price.",
            ),
            Field("mode", "Margin", Kind.CHOICE, str(view.mode), modes, help=ABOUT_MODE),
        ]  # fmt: skip

    async def send(self, texts: Mapping[str, str], request_id: str) -> Any:
        """Set both at the venue."""
        asked = {
            "instrument": self._view.instrument,
            "account": self._view.account,
            "leverage": texts["leverage"].strip().removesuffix("x"),
            "mode": texts["mode"],
        }
        return await self._link.call("margin.set", asked, request_id=request_id)
