"""What keys do on the dashboard: each leads to the flow of the screen it belongs to."""

from __future__ import annotations

from console.actions import Action, Tier

__all__ = ["DASHBOARD"]

A = Action

DASHBOARD = (
    A("dashboard.new_bot", "n", "new_bot", "New bot", "Create a bot.", footer=1),
    A("dashboard.bot", "p", "start_pause", "Start/pause", "Start the chosen bot, or pause it.", Tier.CONFIRM, footer=2),
    A("dashboard.buy", "b", "trade('buy')", "Buy", "Buy on the chosen market.", Tier.CONFIRM, footer=3),
    A("dashboard.sell", "s", "trade('sell')", "Sell", "Sell on the chosen market.", Tier.CONFIRM),
    A("dashboard.backtest", "t", "backtest", "Backtest", "Set up a backtest.", footer=4),
    A(
        "dashboard.halt", "H", "halt", "Halt", "Stop new orders, or allow them again.",
        Tier.CONFIRM, footer=5, danger=True,
    ),
)  # fmt: skip
