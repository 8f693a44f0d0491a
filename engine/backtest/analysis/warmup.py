"""Recursive analysis: how much a strategy's columns and signals depend on the amount of history before them.

The same bars are looked at with more and less history. What the host loads at a start (`StrategyRunner.history`) must
give nearly what the whole history gives, and after the declared warm-up nothing may be missing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from engine.backtest.report import iso_time
from engine.errors import DataError
from engine.strategy.contract import Holding

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.backtest.analysis.probe import Probe
    from engine.model.candle import Bars, FloatArray

__all__ = ["warm_up_check"]

FACTORS = (1.0, 2.0, 5.0, 10.0)
"""Amounts of history, in warm-ups; five are what a host loads."""
TOLERANCE = 0.01
"""Largest difference at a host's history, as a share of a value or, for values near zero, of the column's deviation."""


def warm_up_check(
    probe: Probe,
    bars: Bars,
    *,
    places: int = 20,
    seed: int = 42,
    tolerance: float = TOLERANCE,
    progress: Callable[[float], None] | None = None,
) -> dict[str, Any]:
    """Look at the same bars with different amounts of history.

    Args:
        probe: The strategy and its market.
        bars: All bars.
        places: At how many random bars to look.
        seed: Random start value.
        tolerance: Largest relative difference that passes.
        progress: Hears the share done.

    Returns:
        `sufficient`, `warmup`, `history`, `places`, `columns`: for each column and amount of history the largest
        relative difference (null where nothing was known), with `bar`, `whole` and `short` value; and `findings`, each
        with a `sentence`.

    Raises:
        DataError: There are too few bars.
        StrategyError: The strategy failed.
    """
    amounts = sorted({max(1, round(factor * probe.warmup)) for factor in FACTORS} | {probe.history})
    most = probe.history
    amounts = [amount for amount in amounts if amount <= max(len(bars) - 2, 0)]
    if most > len(bars) - 2:
        raise DataError(f"There are {len(bars)} bars; {most + 2:,} are needed for a warm-up of {probe.warmup:,} bars.")
    longest = amounts[-1]
    whole = probe.ask(bars)
    rng = np.random.default_rng(seed)
    room = np.arange(longest - 1, len(bars))
    ends = np.sort(rng.choice(room, min(places, len(room)), replace=False))
    scales = {name: _scale(column) for name, column in whole.columns.items()}
    worst: dict[tuple[str, int], dict[str, Any]] = {}
    signals: list[dict[str, Any]] = []
    for done, end in enumerate(ends.tolist(), 1):
        before = bars.slice(0, end + 1)
        # Not the columns of all bars: what a strategy reads of the future is another analysis' matter.
        columns, reference = probe.runner().prepare(before).columns, _wanted(probe, before)
        for amount in amounts:
            part = bars.slice(end + 1 - amount, end + 1)
            batch = probe.runner().prepare(part)
            _note_columns(worst, columns, batch.columns, scales, amount, int(bars.ts[end]))
            wanted = _wanted(probe, part)
            if wanted != reference:
                signals.append(
                    {"history": amount, "bar": iso_time(int(bars.ts[end])), "whole": reference, "short": wanted}
                )
        if progress is not None:
            progress(done / len(ends))
    findings = _findings(worst, signals, probe, tolerance)
    return {
        "sufficient": not findings,
        "warmup": probe.warmup,
        "history": probe.history,
        "places": len(ends),
        "seed": seed,
        "tolerance": tolerance,
        "columns": [
            {"column": name, "history": amount, **worst[name, amount]} for name, amount in sorted(worst, key=str)
        ],
        "signals": signals,
        "findings": findings,
    }


def _scale(column: FloatArray) -> float:
    known = column[np.isfinite(column)]
    return float(known.std()) if len(known) else 0.0


def _wanted(probe: Probe, bars: Bars) -> str:
    """What the strategy wants at the last bar while flat, in words."""
    batch = probe.runner().prepare(bars)
    signal = batch.signal(len(bars) - 1, Holding())
    return "nothing" if signal is None else f"{signal.action} {signal.direction}"


def _note_columns(
    worst: dict[tuple[str, int], dict[str, Any]],
    whole: dict[str, FloatArray],
    part: dict[str, FloatArray],
    scales: dict[str, float],
    amount: int,
    ts: int,
) -> None:
    for name, column in whole.items():
        long, short = float(column[-1]), float(part[name][-1])
        if np.isnan(long) and np.isnan(short):
            difference: float | None = 0.0
        elif np.isnan(long) or np.isnan(short):
            difference = None
        else:
            difference = 0.0 if long == short else abs(long - short) / max(abs(long), scales[name], 1e-300)
        known = worst.get((name, amount))
        if known is None or _rank(difference) > _rank(known["difference"]):
            worst[name, amount] = {
                "difference": difference,
                "bar": iso_time(ts),
                "whole": None if np.isnan(long) else long,
                "short": None if np.isnan(short) else short,
            }


def _rank(difference: float | None) -> float:
    return float("inf") if difference is None else difference


def _findings(
    worst: dict[tuple[str, int], dict[str, Any]], signals: list[dict[str, Any]], probe: Probe, tolerance: float
) -> list[dict[str, Any]]:
    found = []
    for (name, amount), entry in worst.items():
        at = f"At the bar of {entry['bar']} the column {name}"
        if entry["difference"] is None and amount >= probe.warmup:
            words = (
                f"{at} is not known with {amount:,} bars of history and {_text(entry['whole'])} with all; the declared "
                f"warm-up of {probe.warmup:,} bars is too short."
            )
        elif amount == probe.history and _rank(entry["difference"]) > tolerance:
            words = (
                f"{at} is {_text(entry['short'])} with {amount:,} bars of history, which is what a start loads, and "
                f"{_text(entry['whole'])} with all: {entry['difference']:.2%} apart; declare a longer warm-up."
            )
        else:
            continue
        found.append({"column": name, "history": amount, **entry, "sentence": words})
    for entry in signals:
        if entry["history"] == probe.history:
            words = (
                f"At the bar of {entry['bar']} it wants {entry['whole']} with all history and {entry['short']} with "
                f"{entry['history']:,} bars, which is what a start loads."
            )
            found.append({"column": "signals", **entry, "difference": None, "sentence": words})
    return found


def _text(value: float | None) -> str:
    return "not known" if value is None else f"{value:.10g}"
