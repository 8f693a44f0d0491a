"""State is a fold over the journal's facts."""

from __future__ import annotations

from engine.state.core import ENGINE_SCOPE, EngineState
from engine.state.money import EXTERNAL, external_shares
from engine.state.orders import RECENT_ORDERS

__all__ = ["ENGINE_SCOPE", "EXTERNAL", "RECENT_ORDERS", "EngineState", "external_shares"]
