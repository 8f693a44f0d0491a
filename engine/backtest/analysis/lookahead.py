"""Look-ahead analysis: does a strategy's past change when the future is taken away?

The data are cut at random bars and at bars with signals. What the strategy says about the bars before a cut must be
what it says about them with all data at hand; and bars that come one at a time, as live, must give what they give at
once.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.backtest.analysis.probe import differing
from engine.backtest.report import iso_time
from engine.errors import DataError, StrategyError

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.backtest.analysis.probe import Answer, Probe
    from engine.model.candle import Bars

__all__ = ["look_ahead"]

FED = 3
"""Bars handed over one at a time after each cut."""


def look_ahead(
    probe: Probe,
    bars: Bars,
    *,
    cuts: int = 20,
    seed: int = 42,
    progress: Callable[[float], None] | None = None,
) -> dict[str, Any]:
    """Compare what a strategy says with and without the bars after a cut.

    Args:
        probe: The strategy and its market.
        bars: All bars.
        cuts: At how many bars to cut; half of them right after bars with signals where there are any.
        seed: Random start value.
        progress: Hears the share done.

    Returns:
        `biased`, `cuts`, `bars`, `signals` (with all data), and `findings`: for each column (or `signals`) that changes
        its `bar`, the `whole` and the `cut` value, at how many of the cuts, how many bars before the cut it goes back
        (`reach`) and a `sentence`.

    Raises:
        DataError: There are too few bars to cut.
        StrategyError: The strategy fails with all data.
    """
    least = probe.warmup + FED + 2
    if len(bars) < least + 2:
        raise DataError(
            f"There are {len(bars)} bars; {least + 2} are needed to cut after the warm-up of {probe.warmup}."
        )
    whole = probe.ask(bars)
    places = _places(whole, least, len(bars) - FED - 1, cuts, seed)
    book = _Book(bars)
    for done, place in enumerate(places, 1):
        _cut(probe, bars, whole, place, book)
        if progress is not None:
            progress(done / len(places))
    findings = book.findings()
    return {
        "biased": bool(findings),
        "cuts": len(places),
        "seed": seed,
        "bars": len(bars),
        "columns": sorted(whole.columns),
        "signals": len(whole.signals),
        "findings": findings,
    }


def _places(whole: Answer, least: int, most: int, cuts: int, seed: int) -> list[int]:
    rng = np.random.default_rng(seed)
    signals = [row for row in whole.signals if least <= row < most]
    chosen = set(rng.choice(signals, min(len(signals), cuts // 2), replace=False).tolist()) if signals else set()
    room = np.setdiff1d(np.arange(least, most), np.array(sorted(chosen), dtype=np.int64))
    chosen |= set(rng.choice(room, min(len(room), cuts - len(chosen)), replace=False).tolist())
    return sorted(int(place) for place in chosen)


def _cut(probe: Probe, bars: Bars, whole: Answer, place: int, book: _Book) -> None:
    """Take away all bars after `place` and ask again; then hand the next few over one at a time."""
    known = place + 1
    try:
        part = probe.ask(bars.slice(0, known))
    except StrategyError as error:
        book.note("signals", place, place, None, f"fails: {error.message}", "signals")
        return
    for name, column in whole.columns.items():
        rows = differing(column[:known], part.columns[name])
        if len(rows):
            book.note(name, place, int(rows[-1]), float(column[rows[-1]]), float(part.columns[name][rows[-1]]), "cut")
            book.reach(name, place - int(rows[0]))
    _compare_signals(whole, part, place, book)
    try:
        fed = probe.fed(bars.slice(0, known + FED), known)
    except Exception as error:
        book.note("columns", place, known, None, f"fails: {error}", "fed")
        return
    for name, column in fed.items():
        rows = differing(whole.columns[name][known : known + FED], column)
        if len(rows):
            at = int(rows[0])
            book.note(name, place, known + at, float(whole.columns[name][known + at]), float(column[at]), "fed")


def _compare_signals(whole: Answer, part: Answer, place: int, book: _Book) -> None:
    for row in sorted(set(whole.signals) | set(part.signals), reverse=True):
        one, other = whole.signals.get(row, "nothing"), part.signals.get(row, "nothing")
        if row <= place and one != other:
            book.note("signals", place, row, one, other, "signals")
            return


class _Book:
    """Findings by column, with the first example of each."""

    def __init__(self, bars: Bars) -> None:
        self._bars = bars
        self._found: dict[tuple[str, str], dict[str, Any]] = {}

    def note(self, name: str, place: int, row: int, whole: Any, cut: Any, kind: str) -> None:
        known = self._found.get((name, kind))
        if known is not None:
            known["times"] += 1
            return
        self._found[name, kind] = {
            "column": name,
            "kind": kind,
            "bar": iso_time(int(self._bars.ts[row])),
            "cut_after": iso_time(int(self._bars.ts[place])),
            "whole": _known(whole),
            "cut": _known(cut),
            "times": 1,
            "reach": 0,
        }

    def reach(self, name: str, rows: int) -> None:
        known = self._found[name, "cut"]
        known["reach"] = max(known["reach"], rows + 1)

    def findings(self) -> list[dict[str, Any]]:
        return [{**found, "sentence": _sentence(found)} for found in self._found.values()]


def _sentence(found: dict[str, Any]) -> str:
    name, whole, cut = found["column"], _text(found["whole"]), _text(found["cut"])
    where = f"At the bar of {found['bar']}"
    the = f"the column {name}" if name != "columns" else "a column"
    if found["kind"] == "fed":
        return (
            f"{where} {the} is {whole} with all bars at once and {cut} when bars come one at a time, as "
            "they do live: every look into the past must go through `ta`."
        )
    if found["kind"] == "signals":
        return f"{where} it wants {whole} with all data and {cut} when the data end with {found['cut_after']}."
    reach = found["reach"]
    why = (
        f"values up to {reach} bars before the end change, so it sees that far ahead"
        if reach <= 200
        else "values long before the end change, so it uses the whole range (a mean, minimum or maximum of everything)"
    )
    return (
        f"{where} the column {name} is {whole} with all data and {cut} when they end with {found['cut_after']}: {why}."
    )


def _known(value: Any) -> Any:
    """A number that is not known is None, so that findings can be compared and stored."""
    return None if isinstance(value, float) and math.isnan(value) else value


def _text(value: Any) -> str:
    if value is None:
        return "not known"
    return f"{value:.10g}" if isinstance(value, float) else str(value)
