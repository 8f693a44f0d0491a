"""What keys do on the portfolio screen."""

from __future__ import annotations

from console.actions import Action, Tier

__all__ = ["PORTFOLIO"]

A = Action

PORTFOLIO = (
    A(
        "portfolio.close", "x", "close", "Close",
        "Close the chosen position at the market.", Tier.CONFIRM, footer=1, danger=True,
    ),
    A("portfolio.cancel", "c", "cancel", "Cancel", "Cancel the chosen order.", Tier.CONFIRM, footer=2, danger=True),
    A("portfolio.replace", "r", "replace", "Replace", "Change the chosen order.", Tier.CONFIRM, footer=3),
    A("portfolio.range", "t", "range(1)", "Range", "Show equity over the next longer range.", footer=4),
    A("portfolio.range_back", "T", "range(-1)", "Shorter", "Show equity over the next shorter range."),
    A("portfolio.pane", "v", "pane", "Orders/fills", "Change between open orders and fills."),
    A("portfolio.market", "m", "market", "Market", "Show the market of the chosen row.", footer=5),
)  # fmt: skip
