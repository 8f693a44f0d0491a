"""What keys do on the screen of execution quality."""

from __future__ import annotations

from console.actions import Action

__all__ = ["QUALITY"]

A = Action

QUALITY = (
    A(
        "quality.by", "v", "by(1)", "Group by",
        "Sum orders up by venue, market, bot, algorithm or parent order.", footer=1,
    ),
    A("quality.by_back", "V", "by(-1)", "Back", "Sum orders up by what came before."),
    A("quality.range", "t", "range(1)", "Since", "Look at orders of the next longer time.", footer=2),
    A("quality.range_back", "T", "range(-1)", "Shorter", "Look at orders of the next shorter time."),
    A("quality.renew", "r", "renew", "Read again", "Read the records again.", footer=3),
)  # fmt: skip
