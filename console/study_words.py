"""Figures and parameters of studies as words."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["figure_text", "set_words", "value_text"]

SHARES = frozenset({"total_return", "annual_return", "max_drawdown", "annual_volatility", "win_rate", "exposure"})
"""Figures that are fractions of 1."""


def figure_text(name: str, value: float | None) -> str:
    """A figure as it is written; a dash where it could not be computed."""
    if value is None:
        return "—"
    if name in SHARES:
        return f"{value:.2%}"
    return f"{value:,.0f}" if name == "trades" else f"{value:,.2f}"


def value_text(value: object) -> str:
    """The value of a parameter."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def set_words(params: Mapping[str, object]) -> str:
    """Parameters in a line."""
    return " ".join(f"{name}={value_text(value)}" for name, value in params.items())
