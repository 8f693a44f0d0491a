"""What keys do on the screen of bots."""

from __future__ import annotations

from console.actions import Action, Tier

__all__ = ["BOTS"]

A = Action

BOTS = (
    A("bots.new", "n", "new", "New", "Make a bot: strategy, instrument, capital and parameters.", footer=1),
    A("bots.start", "s", "start", "Start", "Start the chosen bot.", Tier.CONFIRM, footer=2),
    A(
        "bots.pause", "p", "pause", "Pause", "Pause the chosen bot, or let a paused one go on.", Tier.CONFIRM, footer=3,
    ),
    A(
        "bots.stop", "x", "stop", "Stop", "Stop the chosen bot: leave its orders, cancel them, or close its position.",
        Tier.CONFIRM, footer=4, danger=True,
    ),
    A("bots.edit", "e", "edit", "Edit", "Change capital and parameters of a stopped bot.", footer=5),
    A("bots.swap", "w", "swap", "Swap", "Give the chosen bot another strategy, or a new version; its position stays."),
    A("bots.versions", "V", "versions", "Versions", "Show the versions of the chosen bot, and bring one back."),
    A(
        "bots.delete", "D", "delete", "Delete", "Delete a stopped bot; its history stays.",
        Tier.CONFIRM, footer=7, danger=True,
    ),
    A("bots.page", "v", "page", "Page", "Show another page of the chosen bot beside it.", footer=6),
    A("bots.pause_all", "P", "pause_all", "Pause all", "Pause every running bot.", Tier.CONFIRM),
    A("bots.stop_all", "X", "stop_all", "Stop all", "Stop every bot.", Tier.CONFIRM, danger=True),
)  # fmt: skip
