"""The limits in force: what the settings say until somebody changes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.model.limits import RiskLimits

if TYPE_CHECKING:
    from engine.state import EngineState

__all__ = ["StateLimits"]


class StateLimits:
    """The limits in force: those last journalled, else the ones from the settings."""

    def __init__(self, state: EngineState, settings: RiskLimits | None = None) -> None:
        self._state = state
        self._settings = settings if settings is not None else RiskLimits()
        self._body = b""
        self._limits = self._settings

    def take_settings(self, settings: RiskLimits) -> None:
        """The settings say otherwise now; limits that were journalled still outrank them."""
        if not self._body:
            self._limits = settings
        self._settings = settings

    def __call__(self) -> RiskLimits:
        """The limits as of the last fact.

        Raises:
            ConfigurationError: The journalled limits do not fit this release; the gate then refuses every entry.
        """
        body = self._state.meta.limits
        if body is not self._body:
            self._limits = RiskLimits.decode(body) if body else self._settings
            self._body = body
        return self._limits
