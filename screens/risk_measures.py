"""Measured risk in words: what could be lost, which regimes the markets are in, what adapts to them, stress tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.model.ids import InstrumentId, symbol_of
from screens.formats import DASH, MASK, age, number, percent
from screens.sheet import Line, wrap
from widgets.text import clean, fit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from engine.control.views_risk import AdaptedRow, MethodRow, MetricsView, RegimeRow, RegimesView, StressView

__all__ = ["measured_lines", "stress_lines"]

METHODS = {"historical": "historical", "parametric": "parametric", "cornish_fisher": "Cornish-Fisher"}
LEVEL_INKS = {"low": "ok", "medium": "text", "high": "warn", "elevated": "warn"}
LIMITS = {
    "max_daily_loss_pct": "loss of the day",
    "breaker_drawdown_pct": "drawdown stop",
    "max_drawdown_pct": "hard drawdown",
    "max_portfolio_exposure": "exposure",
}
"""Name of a limit -> how it is called among those that a scenario breaks."""
OLD_NS = 120 * 10**9
"""Metrics that are older say so."""
WIDTH = 92
WAITING = "Risk is measured a moment after the start."


def measured_lines(
    metrics: MetricsView | None, regimes: RegimesView | None, now: int, width: int, *, hidden: bool = False
) -> list[Line]:
    """Return what is measured: value at risk by each method, drawdown, ratio, regimes, adapted values.

    Args:
        metrics: The newest metrics; None before the first are known.
        regimes: The regimes; None before they are known.
        now: The engine's time in nanoseconds.
        width: Cells to fill.
        hidden: Whether amounts of money are hidden.
    """
    lines: list[Line] = []
    if metrics is None or not metrics.ts:
        lines += wrap((metrics.problem if metrics is not None else "") or WAITING, width, "muted")
    else:
        lines += _metrics(metrics, now, width, hidden)
    if regimes is not None:
        lines += _regimes(regimes, width)
    return lines


def _metrics(view: MetricsView, now: int, width: int, hidden: bool) -> Iterator[Line]:
    yield [
        (f"{'VaR ' + percent(view.confidence, 0):<16}", "muted"),
        (f"{'1 day':>8}{'5 days':>9}{'ES 1 d':>9}{'ES 5 d':>9}", "muted"),
    ]
    for row in view.methods:
        chosen = row.method == view.method
        figures = (row.var_1d_pct, row.var_5d_pct, row.es_1d_pct, row.es_5d_pct)
        text = "".join(f"{DASH if figure is None else percent(figure):>{9 if place else 8}}" for place, figure in
                       enumerate(figures))  # fmt: skip
        yield [
            (f"{METHODS.get(row.method, clean(row.method)):<16}", "strong" if chosen else "text"),
            (text, "strong" if chosen else "text"),
        ]
    shown = next((row for row in view.methods if row.method == view.method), None)
    if shown is not None and shown.var_1d is not None:
        yield _money(shown, view.currency, hidden)
    yield [
        ("Drawdown ", "muted"),
        (_share(view.current_drawdown), "text"),
        (" now, ", "muted"),
        (_share(view.max_drawdown), "text"),
        (" deepest · Sharpe ", "muted"),
        (DASH if view.sharpe is None else f"{view.sharpe:.2f}", "text"),
    ]
    if view.largest is not None:
        yield [
            ("Largest ", "muted"),
            (f"{clean(symbol_of(InstrumentId(view.largest_name)))} {percent(view.largest, 0)}", "text"),
            (" of exposure, three ", "muted"),
            (_share(view.largest_three, 0), "text"),
        ]
    old = now - view.ts > OLD_NS
    yield [
        (f"From {view.days} past days", "muted"),
        (f" · measured {age(view.ts, now)} ago" if old else "", "warn"),
    ]
    notes = [row.note for row in view.methods if row.note and row.method == view.method]
    if view.missing:
        counted = "" if view.covered is None else f"; {percent(view.covered, 0)} of the exposure is counted"
        notes.append(f"Not counted, for want of history or price: {', '.join(view.missing)}{counted}.")
    if view.problem:
        notes.append(view.problem)
    for note in dict.fromkeys(notes):
        yield from wrap(note, width, "warn" if view.missing or view.problem else "muted")


def _money(row: MethodRow, currency: str, hidden: bool) -> Line:
    amounts = [MASK if hidden else DASH if part is None else number(part, 2) for part in (row.var_1d, row.es_1d)]
    return [
        ("A bad day costs ", "muted"), (amounts[0], "text"), (", a worse one ", "muted"), (amounts[1], "text"),
        (f" {clean(currency)}", "muted"),
    ]  # fmt: skip


def _share(value: float | None, places: int = 2) -> str:
    return DASH if value is None else percent(value, places)


def _regimes(view: RegimesView, width: int) -> Iterator[Line]:
    for row in view.regimes:
        if row.volatility or row.trend or row.correlation or not row.fresh:
            yield from _regime(row, width)
    for adapted in view.adapted:
        if adapted.value != adapted.base:
            yield _adapted(adapted)


def _regime(row: RegimeRow, width: int) -> Iterator[Line]:
    name = clean(row.scope if row.scope == "portfolio" else symbol_of(InstrumentId(row.scope)))
    parts: Line = [(f"{fit(name, 11)} ", "muted")]
    words = [part for part in (row.volatility and f"{row.volatility} volatility", row.trend) if part]
    if row.correlation:
        words.append(f"{row.correlation} correlation")
    ink = LEVEL_INKS.get(row.correlation or row.volatility, "text") if row.fresh else "faint"
    if words:
        parts.append((", ".join(words), ink))
    if row.fresh:
        yield parts
        return
    if not words:
        parts.append((clean(row.reading), "faint"))
    else:
        parts.append((" (too old to adapt to)", "faint"))
    yield parts


def _adapted(row: AdaptedRow) -> Line:
    where = "" if row.scope == "portfolio" else f" {clean(symbol_of(InstrumentId(row.scope)))}"
    if row.name.startswith("stop"):
        change = f"× {row.value.normalize():f}"
    else:
        change = f"{percent(row.base)} → {percent(row.value)}"
    label = LIMITS.get(row.label, clean(row.label))
    return [(f"{label}{where} ", "muted"), (change, "accent"), (f" ({clean(row.cause)})", "faint")]


def stress_lines(view: StressView, *, hidden: bool = False) -> list[Line]:
    """Return a stress test, three lines a scenario: what it loses, what it breaks, how it was found."""
    lines: list[Line] = [
        [("What would happen to what is held now; nothing is traded.", "muted")],
        [],
    ]
    for row in view.scenarios:
        if row.loss is None:
            figures, ink = "not known", "warn"
        else:
            amount = MASK if hidden else number(abs(row.loss), 2)
            word = "gains" if row.loss < 0 else "loses"
            share = "" if row.loss_pct is None else f", {percent(abs(row.loss_pct))} of equity"
            figures, ink = f"{word} {amount} {clean(view.currency)}{share}", "breach" if row.breached else "text"
        lines.append([(f"{fit(clean(row.label), 26)} ", "strong"), (figures, ink)])
        if row.breached:
            named = ", ".join(LIMITS.get(name, clean(name)) for name in row.breached)
            lines.append([("  breaks: ", "muted"), (named, "breach")])
        lines += [[("  ", "text"), *line] for line in wrap(row.note, WIDTH, "faint")]
    return lines
