"""Stopping and deleting bots: what becomes of orders and positions is asked every time, and said in full."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from engine.model.ids import symbol_of
from screens.dialogs import ConfirmDialog
from screens.options import Option, OptionsDialog
from screens.request import request
from widgets.text import clean

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from console.app import QuarterdeckApp
    from engine.control.views import BotRow
    from screens.sheet import Line

__all__ = ["all_dialog", "delete_dialog", "stop_dialog"]

STOPS = (
    Option("cancel_orders", "o", "Cancel its orders", "its position stays, unprotected"),
    Option("leave", "l", "Leave everything", "its orders go on at the venue"),
    Option("close", "p", "Close its position", "at the market, no order stays", danger=True),
)
"""What may become of a bot's orders and position when it stops."""


def stop_dialog(row: BotRow, orders: int, units: str) -> OptionsDialog:
    """Ask what shall become of a bot's orders and position; ends with the policy.

    Args:
        row: The bot.
        orders: How many open orders it has.
        units: Its position in words.
    """
    working = "1 open order" if orders == 1 else f"{orders or 'no'} open orders"
    holds = f"holds {units} {symbol_of(row.instrument)}" if row.position else "holds no position"
    said: list[Line] = [[(f"{clean(row.name)} {holds} and has {working}.", "text")]]
    return OptionsDialog(f"Stop {clean(row.name)}", said, STOPS)


def delete_dialog(app: QuarterdeckApp, row: BotRow) -> ConfirmDialog:
    """Ask whether a stopped bot shall be deleted."""
    run = request(app.link, "bots.delete", {"bot": row.id})
    details: list[Line] = [[("Its orders, fills and profit stay in the history.", "muted")]]
    sentence = f"Delete the bot {clean(row.name)} ({clean(row.strategy)} on {symbol_of(row.instrument)})."
    return ConfirmDialog("Delete bot", sentence, details, run=run, verb="Delete it", busy="Deleting…", danger=True)


def all_dialog(
    app: QuarterdeckApp, rows: Sequence[BotRow], verb: str, sentence: str, params: Callable[[BotRow], dict[str, Any]]
) -> ConfirmDialog:
    """Ask whether something shall be done to several bots; every one of them is tried.

    Args:
        app: Knows the link.
        rows: The bots.
        verb: `pause` or `stop`.
        sentence: What becomes of their orders and positions.
        params: What is asked for one of them.
    """
    calls = [request(app.link, f"bots.{verb}", params(row)) for row in rows]
    word = verb.capitalize()

    async def run() -> Any:
        answers = await asyncio.gather(*(call() for call in calls), return_exceptions=True)
        refused = [answer for answer in answers if isinstance(answer, Exception)]
        if refused:
            raise refused[0]
        return [answer for answer in answers if not isinstance(answer, BaseException)]

    count = "1 bot" if len(rows) == 1 else f"{len(rows)} bots"
    details: list[Line] = [[(f"· {clean(row.name)}  {symbol_of(row.instrument)}", "muted")] for row in rows]
    return ConfirmDialog(
        f"{word} bots", f"{word} {count}. {sentence}", details, run=run, verb=f"{word} all", danger=verb == "stop"
    )
