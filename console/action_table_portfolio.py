"""What keys do on the portfolio screen."""

from __future__ import annotations

from console.actions import Action, Tier

__all__ = ["CAPITAL", "PORTFOLIO"]

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
    A(
        "portfolio.cancel", "c", "cancel", "Cancel",
        "Cancel the chosen order or algorithm.", Tier.CONFIRM, footer=3, danger=True,
    ),
    A("portfolio.replace", "r", "replace", "Replace", "Change the chosen order.", Tier.CONFIRM, footer=4),
    A("portfolio.range", "t", "range(1)", "Range", "Show equity over the next longer range.", footer=5),
    A("portfolio.range_back", "T", "range(-1)", "Shorter", "Show equity over the next shorter range."),
    A("portfolio.pane", "v", "pane", "Orders/fills", "Change between open orders and fills."),
    A("portfolio.algos", "w", "algos", "Algorithms", "Show the algorithms at work, or orders and fills again."),
    A("portfolio.hold", "space", "hold", "Pause", "Pause the chosen algorithm, or let it go on."),
    A("portfolio.faster", "f", "pace('2')", "Faster", "Let the chosen algorithm run twice as fast."),
    A("portfolio.slower", "F", "pace('0.5')", "Slower", "Let the chosen algorithm run half as fast."),
    A(
        "portfolio.margin", "L", "margin", "Leverage",
        "Set leverage and margin mode of the chosen position.", Tier.CONFIRM,
    ),
    A("portfolio.capital", "A", "capital", "Capital", "Show capital as it stands, and move it in or out."),
    A("portfolio.dust", "i", "dust", "Dust", "Show what is held and is too small to be sold."),
    A(
        "portfolio.rebalance", "B", "rebalance", "Rebalance",
        "Show how capital would be shared out anew, and do it.", Tier.CONFIRM,
    ),
    A("portfolio.market", "m", "market", "Market", "Show the market of the chosen row.", footer=6),
)  # fmt: skip

CAPITAL = (
    A("capital.deposit", "d", "deposit", "Deposit", "Put money in; the rules are asked first.", Tier.CONFIRM),
    A("capital.withdraw", "w", "withdraw", "Withdraw", "Take money out; the rules are asked first.", Tier.CONFIRM),
    A(
        "capital.preserve", "x", "preserve", "Preserve/release",
        "Stop flows and bring idle capital into the reserve, or let it flow again; says why.",
        Tier.CONFIRM, danger=True,
    ),
    A("capital.settle", "s", "settle", "Settle", "Lock a part of the profit and put the rest to work.", Tier.CONFIRM),
    A("capital.unlock", "u", "unlock", "Unlock", "Ask for locked profit before its time; says why.", Tier.CONFIRM),
    A("capital.hedge", "e", "hedge", "Hedge", "Show exposure to currencies, and send the hedges.", Tier.CONFIRM),
    A("capital.rebalance", "B", "rebalance", "Rebalance", "Show how it would be shared out, and do it.", Tier.CONFIRM),
)  # fmt: skip
