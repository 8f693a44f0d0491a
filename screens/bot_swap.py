"""Giving a bot another strategy while it runs, and bringing one of its earlier versions back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from screens.bot_forms import StrategyPicker, timeframe_choices
from screens.dialogs import ConfirmDialog
from screens.form_fields import Field, Kind
from screens.formats import at
from screens.options import Option, OptionsDialog
from screens.request import request
from widgets.text import clean

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from console.app import QuarterdeckApp
    from engine.control.views import BotRow, StrategyRow
    from engine.control.views_bots import BotVersion
    from screens.sheet import Line

__all__ = ["SwapBotDialog", "rollback_dialog", "versions_dialog"]

MOST = 9
"""Versions that can be chosen by a digit, the newest ones; the command `bots rollback` knows all."""


class SwapBotDialog(StrategyPicker):
    """Gives a bot another strategy; position, stop, capital and limits stay. Ends with the bot.

    Args:
        app: Knows the link.
        row: The bot as it is.
        strategies: What can be chosen.
    """

    VERB: ClassVar[str] = "Swap it"
    BUSY: ClassVar[str] = "Swapping the strategy…"

    def __init__(self, app: QuarterdeckApp, row: BotRow, strategies: Sequence[StrategyRow]) -> None:
        # The present one is offered first: chosen again, it takes in the version that its file holds now.
        present = sorted(strategies, key=lambda strategy: strategy.name != row.strategy)
        super().__init__(f"Swap the strategy of {row.name}", present)
        self._link = app.link
        self._row = row

    def all_fields(self, texts: Mapping[str, str]) -> list[Field]:
        """Return the strategy, the length of its bars, and its parameters."""
        found = self.strategy(texts)
        kept = found is not None and found.name == self._row.strategy
        bars = self._row.timeframe
        return [
            *self.strategy_fields(texts),
            Field("timeframe", "Bar", Kind.CHOICE, bars, timeframe_choices(bars),
                  help="Length of a bar; the new strategy takes in as much of the past as it needs."),
            *self.parameter_fields(texts, self._row.params if kept else {}),
        ]  # fmt: skip

    async def send(self, texts: Mapping[str, str], request_id: str) -> Any:
        """Swap the strategy."""
        named, row = self.named(texts), self._row
        if named["strategy"] == row.strategy:
            # What has gone back to its default must be said: what is not said stays as the bot has it.
            back = {param.name: param.default for param in self.parameters(texts) if param.name in row.params}
            named["params"] = {**back, **named["params"]}
            if named["strategy_file"] is None:
                # Its own file, or none, as it is.
                named["strategy_file"] = row.strategy_file or None
        asked = {"bot": row.id, "timeframe": texts["timeframe"], **named}
        return await self._link.call("bots.swap", asked, request_id=request_id)


def versions_dialog(app: QuarterdeckApp, row: BotRow, versions: Sequence[BotVersion]) -> OptionsDialog:
    """Ask which version of a bot shall come back; ends with its number as text.

    Args:
        app: Knows the zone of times.
        row: The bot.
        versions: All of them, the newest first.
    """
    options = []
    for place, version in enumerate(versions[:MOST], 1):
        label = f"{version.version}  {at(version.ts, app.zone)}  {clean(version.strategy)}"
        note = "in force" if version.in_force else clean(version.changed) or "as it was made"
        options.append(Option(str(version.version), str(place), label, note))
    more = len(versions) - MOST
    said: list[Line] = [[("Its position, its stop and its capital stay as they are.", "muted")]]
    if more > 0:
        said.append([(f"{more} older ones: quarterdeck bots versions {clean(row.name)}", "muted")])
    return OptionsDialog(f"Versions of {clean(row.name)}", said, tuple(options))


def rollback_dialog(app: QuarterdeckApp, row: BotRow, version: BotVersion) -> ConfirmDialog:
    """Ask whether a version of a bot shall come back; ends with the bot."""
    params = ", ".join(f"{name} {value}" for name, value in version.params.items()) or "its defaults"
    details: list[Line] = [[(f"{clean(version.strategy)} on {version.timeframe} with {clean(params)}.", "text")]]
    if not version.kept:
        details.append([("Its source is not kept: the strategy comes back as it is now.", "warn")])
    run = request(app.link, "bots.rollback", {"bot": row.id, "version": version.version})
    sentence = f"Bring version {version.version} of {clean(row.name)} back."
    return ConfirmDialog("Roll back", sentence, details, run=run, verb="Roll back", busy="Rolling back…")
