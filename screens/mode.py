"""In which mode an engine trades, in one word, and whether that is real money or a testnet's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.model.account import TradingMode

if TYPE_CHECKING:
    from engine.control.views import EngineStatus, Place

__all__ = ["is_live", "mode_word"]


def is_live(status: EngineStatus | Place | None) -> bool:
    """Whether orders leave for an exchange; what a testnet has counts as money here."""
    return status is not None and status.mode is TradingMode.LIVE


def mode_word(status: EngineStatus | Place) -> str:
    """PAPER, LIVE, or TESTNET where orders leave for testnets alone."""
    return "TESTNET" if is_live(status) and status.testnet else status.mode.value.upper()
