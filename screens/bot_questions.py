"""Starting and pausing a bot: says what will happen, and asks once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.model.entries import BotState
from engine.model.ids import symbol_of
from screens.dialogs import ConfirmDialog
from screens.formats import exact
from screens.request import request
from widgets.text import clean

if TYPE_CHECKING:
    from console.app import QuarterdeckApp
    from engine.control.views import BotRow
    from screens.sheet import Line

__all__ = ["start_or_pause"]


def start_or_pause(app: QuarterdeckApp, row: BotRow) -> ConfirmDialog:
    """Ask whether a running bot shall be paused, a paused one go on, or one at rest be started."""
    name = clean(row.name)
    about = f"{row.strategy} on {symbol_of(row.instrument)} {row.timeframe}"
    details: list[Line] = []
    if row.state is BotState.RUNNING:
        verb, title, sentence = "pause", "Pause bot", f"Pause {name}: {about}. It sends no new orders until resumed."
        if row.position:
            words = f"Its position of {exact(row.position)} and its working orders stay as they are."
            details.append([(words, "muted")])
    elif row.state is BotState.PAUSED:
        verb, title, sentence = "resume", "Resume bot", f"Resume {name}: {about}. It may send orders again."
    else:
        verb, title = "start", "Start bot"
        sentence = f"Start {name}: {about}, with {exact(row.capital)} {row.currency}. It sends orders by itself."
        if row.reason:
            details.append([(f"It stopped before: {clean(row.reason)}", "warn")])

    run = request(app.link, f"bots.{verb}", {"bot": row.id})
    return ConfirmDialog(title, sentence, details, run=run, verb=verb.capitalize(), busy="Under way…")
