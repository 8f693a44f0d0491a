"""The screens by name, imported together: importing one takes longer than a loop that trades may be held."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from console.actions import ALL_SCREENS
from screens.backtests import BacktestsScreen
from screens.bots import BotsScreen
from screens.dashboard import DashboardScreen
from screens.market import MarketScreen
from screens.portfolio import PortfolioScreen
from screens.quality import QualityScreen
from screens.risk import RiskScreen
from screens.settings import SettingsScreen

if TYPE_CHECKING:
    from collections.abc import Callable

    from textual.screen import Screen

__all__ = ["modes"]


def modes() -> dict[str, str | Callable[[], Screen[Any]]]:
    """What Textual wants as the app's modes."""
    classes = (
        DashboardScreen,
        BotsScreen,
        PortfolioScreen,
        MarketScreen,
        RiskScreen,
        BacktestsScreen,
        SettingsScreen,
        QualityScreen,
    )
    return dict(zip(ALL_SCREENS, classes, strict=True))
