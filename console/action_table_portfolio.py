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
    A(
        "portfolio.exits", "p", "exits", "Protect",
        "Place a stop, a target or both for the chosen position.", Tier.CONFIRM, footer=2,
    ),
    A("portfolio.cancel", "c", "cancel", "Cancel", "Cancel the chosen order.", Tier.CONFIRM, footer=3, danger=True),
    A("portfolio.replace", "r", "replace", "Replace", "Change the chosen order.", Tier.CONFIRM, footer=4),
    A("portfolio.range", "t", "range(1)", "Range", "Show equity over the next longer range.", footer=5),
    A("portfolio.range_back", "T", "range(-1)", "Shorter", "Show equity over the next shorter range."),
    A("portfolio.pane", "v", "pane", "Orders/fills", "Change between open orders and fills."),
    A(
        "portfolio.margin", "L", "margin", "Leverage",
        "Set leverage and margin mode of the chosen position.", Tier.CONFIRM,
    ),
    A("portfolio.capital", "A", "capital", "Capital", "Show capital: reserve, pools, locked profit, movements."),
    A("portfolio.dust", "D", "dust", "Dust", "Show what is held and is too small to be sold."),
    A(
        "portfolio.rebalance", "B", "rebalance", "Rebalance",
        "Show how capital would be shared out anew, and do it.", Tier.CONFIRM,
    ),
    A("portfolio.market", "m", "market", "Market", "Show the market of the chosen row.", footer=6),
)  # fmt: skip
