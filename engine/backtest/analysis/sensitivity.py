"""Parameter sensitivity: the run again with each of its numbers a little smaller and larger, all else the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engine.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from engine.backtest.outcome import BacktestResult

__all__ = ["sensitivity", "variations"]

STEPS = (-0.2, -0.1, 0.1, 0.2)
"""Changes of a parameter, as fractions of its value."""
FIGURES = ("total_return", "sharpe", "max_drawdown", "trades")
FRAGILE = 1.0
"""A fall of the Sharpe ratio by more than this for a tenth is fragile."""


def variations(params: Mapping[str, Any]) -> list[tuple[str, float | int]]:
    """Parameter and value of each variation; whole numbers move by at least 1, switches, words and zeros stay."""
    found: list[tuple[str, float | int]] = []
    for name, value in params.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not value:
            continue
        moved: dict[float | int, None] = {}
        for step in STEPS:
            if isinstance(value, int):
                change = max(1, round(abs(value * step)))
                moved[value + change if step > 0 else value - change] = None
            else:
                moved[round(value * (1.0 + step), 12)] = None
        found += [(name, changed) for changed in moved]
    return found


def sensitivity(
    params: Mapping[str, Any],
    base: Mapping[str, float | None],
    run: Callable[[Mapping[str, Any]], BacktestResult],
    progress: Callable[[float], None] | None = None,
) -> dict[str, Any]:
    """Vary each parameter on the real bars.

    Args:
        params: Of the run.
        base: Its metrics.
        run: Runs it with these changes; raises ConfigurationError where the strategy does not take them.
        progress: Hears the share done.

    Returns:
        `rows` (parameter, value, change as a fraction, and the figures; `refused` where the strategy does not take the
        value), `parameters` (the widest change of each figure by parameter, the most sensitive first), `fragile`.
    """
    rows: list[dict[str, Any]] = []
    planned = variations(params)
    for done, (name, value) in enumerate(planned, 1):
        row: dict[str, Any] = {"parameter": name, "value": value, "change": value / params[name] - 1.0}
        try:
            metrics = run({name: value}).metrics
            row |= {figure: metrics.get(figure) for figure in FIGURES}
        except ConfigurationError as error:
            row["refused"] = error.message
        rows.append(row)
        if progress is not None:
            progress(done / len(planned))
    parameters = [_widest(name, rows, base) for name in dict.fromkeys(name for name, _ in planned)]
    parameters.sort(key=lambda entry: abs(entry["sharpe"] or 0.0), reverse=True)
    return {
        "base": {figure: base.get(figure) for figure in FIGURES},
        "rows": rows,
        "parameters": parameters,
        "fragile": [entry["parameter"] for entry in parameters if (entry["sharpe"] or 0.0) < -FRAGILE],
    }


def _widest(name: str, rows: list[dict[str, Any]], base: Mapping[str, float | None]) -> dict[str, Any]:
    """The change of each figure that lies farthest from the run's own, over all variations of a parameter."""
    entry: dict[str, Any] = {"parameter": name}
    for figure in FIGURES:
        own = base.get(figure)
        changes = [
            row[figure] - own
            for row in rows
            if row["parameter"] == name and own is not None and row.get(figure) is not None
        ]
        entry[figure] = max(changes, key=abs, default=None)
    return entry
