"""Analyses of runs in words: months and parts of a run, what chance might have made of it, and several runs weighed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from screens.formats import DASH, number, percent
from screens.sheet import Line, wrap
from widgets.text import clean, fit

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["comparison_lines", "odds_lines", "parts_lines"]

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
CELL = 10
LABEL = 6
KEY = 32
PARTS = ("side", "regime", "entry_tag", "exit_reason", "weekday", "hour")
ODDS = (
    ("total_return", "Total return", True), ("annual_return", "A year", True), ("sharpe", "Sharpe", False),
    ("sortino", "Sortino", False), ("calmar", "Calmar", False), ("max_drawdown", "Drawdown", True),
    ("annual_volatility", "Volatility", True), ("value_at_risk_95", "VaR 95 %, a day", True),
    ("trades", "Trades", False), ("win_rate", "Won", True), ("profit_factor", "Profit factor", False),
)  # fmt: skip
"""Figures of random paths: name, label, and whether it is a fraction."""
FIGURE = 17


def _ink(value: float | None) -> str:
    if not value:
        return "muted"
    return "gain" if value > 0 else "loss"


def _share(value: float | None) -> str:
    return DASH if value is None else percent(value, 1, signed=True)


# --- months and parts


def parts_lines(sheet: dict[str, Any], width: int) -> list[Line]:
    """Return the months as a table of years, and below it the trades in groups.

    Args:
        sheet: A stored tear sheet.
        width: Columns there are.
    """
    lines = _months(sheet["months"], sheet["years"], width)
    for name in PARTS:
        rows = sheet["breakdowns"].get(name) or []
        if rows:
            lines += [[], [(fit(f"By {name.replace('_', ' ')}", KEY), "title"), *_head(width)]]
            lines += [_group(row, width) for row in rows]
    return lines


def _months(months: Sequence[dict[str, Any]], years: Sequence[dict[str, Any]], width: int) -> list[Line]:
    known = {month["month"]: month["return"] for month in months}
    # Of more years than fit the last ones are shown.
    shown = list(years)[-max(1, (width - LABEL) // CELL) :]
    lines: list[Line] = [[(fit("Return", LABEL), "title"), *((fit(y["year"], CELL, "right"), "title") for y in shown)]]
    for index, name in enumerate(MONTHS, 1):
        values = [known.get(f"{year['year']}-{index:02d}") for year in shown]
        cells = [("" if value is None else _share(value), _ink(value)) for value in values]
        lines.append([(fit(name, LABEL), "muted"), *((fit(text, CELL, "right"), ink) for text, ink in cells)])
    whole = [(fit(_share(year["return"]), CELL, "right"), _ink(year["return"])) for year in shown]
    return [*lines, [(fit("Year", LABEL), "text"), *whole]]


def _head(width: int) -> Line:
    return [(fit(name, size, "right"), "muted") for name, size in _columns(width)]


def _columns(width: int) -> list[tuple[str, int]]:
    """The columns that fit beside the key, the most important first."""
    columns = [("Trades", 8), ("Profit", 12), ("Won", 8), ("Factor", 8), ("Best", 12), ("Worst", 12)]
    room, kept = width - KEY, []
    for name, size in columns:
        if size > room:
            break
        room -= size
        kept.append((name, size))
    return kept


def _group(row: dict[str, Any], width: int) -> Line:
    key = str(row["key"])
    # Weekdays carry their number so that they sort.
    key = key[2:] if key[:2].strip().isdigit() and key[1:2] == " " else key
    values = {
        "Trades": (f"{row['trades']:,}", "text"),
        "Profit": (number(row["pnl"], signed=True), _ink(row["pnl"])),
        "Won": (percent(row["win_rate"], 0), "muted"),
        "Factor": (number(row["profit_factor"]), "muted"),
        "Best": (number(row["best"], signed=True), "muted"),
        "Worst": (number(row["worst"], signed=True), "muted"),
    }
    cells = [(fit(values[name][0], size, "right"), values[name][1]) for name, size in _columns(width)]
    return [(fit(clean(key), KEY - 2, "left", "…") + "  ", "text"), *cells]


# --- what chance might have made of it


def odds_lines(paths: dict[str, Any], width: int) -> list[Line]:
    """Return the spread of the figures by scenario, and what may go wrong.

    Args:
        paths: A stored Monte Carlo.
        width: Columns there are.
    """
    lines = wrap(f"{paths['iterations']:,} paths a scenario, {paths['method']}, seed {paths['seed']}.", width, "muted")
    level = f"{max(paths['levels']) * 100:g}"
    for name, scenario in paths["scenarios"].items():
        lines += [[], [(fit(name.capitalize(), FIGURE), "title"), *_spread_head(level, width)]]
        for figure, label, is_share in ODDS:
            spread = scenario["metrics"].get(figure)
            if spread is not None and spread["known"]:
                lines.append([(fit(label, FIGURE), "muted"), *_spread(spread, level, width, is_share=is_share)])
        lines += _dangers(scenario, width)
    return lines


def _spread_columns(level: str, width: int) -> list[str]:
    names = ["The run", "Median", f"{level} % from", "to", "Lowest", "Highest"]
    return names[: max(2, (width - FIGURE) // CELL)]


def _spread_head(level: str, width: int) -> Line:
    return [(fit(name, CELL, "right"), "muted") for name in _spread_columns(level, width)]


def _spread(spread: dict[str, Any], level: str, width: int, *, is_share: bool) -> Line:
    low, high = spread["intervals"][level]
    values = [spread["actual"], spread["median"], low, high, spread["lowest"], spread["highest"]]
    shown = values[: len(_spread_columns(level, width))]
    texts = [DASH if value is None else percent(value, 1) if is_share else number(value) for value in shown]
    inks = ["strong", "text", *["muted"] * 4]
    return [(fit(text, CELL, "right"), ink) for text, ink in zip(texts, inks, strict=False)]


def _dangers(scenario: dict[str, Any], width: int) -> list[Line]:
    chances, worst = scenario["probabilities"], scenario["worst"]
    falls = ", ".join(f"{fall:.0%} {chance:.0%}" for fall, chance in scenario["drawdown"]["exceeds"] if chance >= 0.005)
    words = (
        f"Loses {chances['loss']:.1%} of the time; beyond the drawdown limit {chances['drawdown_limit']:.1%}. "
        f"Worst: {worst['total_return']:+.1%} with a drawdown of {worst['max_drawdown']:.1%}."
    )
    return wrap(words + (f" Drawdowns beyond: {falls}." if falls else ""), width, "text")


# --- several runs


def comparison_lines(result: dict[str, Any], width: int) -> list[Line]:
    """Return several runs side by side, their correlations, weights, and which to choose.

    Args:
        result: A stored comparison.
        width: Columns there are.
    """
    runs = result["runs"]
    lines = [*wrap(result["recommendation"]["choice"], width, "strong")]
    for text in result["recommendation"]["warnings"]:
        first, *rest = wrap(text, max(10, width - 2), "warn") or [[]]
        lines += [[("! ", "warn"), *first], *([("  ", "warn"), *line] for line in rest)]
    size = 9
    head = ("Return", "Sharpe", "Sortino", "Calmar", "Drawdn")
    key = max(12, width - size * len(head))
    lines += [[], _row("Run", head, key, size, "title")]
    for run in runs:
        texts = (
            _share(run["total_return"]), number(run["sharpe"]), number(run["sortino"]), number(run["calmar"]),
            percent(run["max_drawdown"], 1),
        )  # fmt: skip
        lines.append(_row(run["name"], texts, key, size, "text"))
    places = [f"{place})" for place in range(1, len(runs) + 1)]
    shown = max(1, (width - key) // size)
    lines += [[], _row("Correlation", places[:shown], key, size, "title")]
    for place, (run, line) in enumerate(zip(runs, result["correlation"], strict=True)):
        lines.append(_row(f"{places[place]} {run['name']}", [number(v) for v in line[:shown]], key, size, "text"))
    lines += [[], [("Portfolios", "title")]]
    for method, found in result["portfolios"].items():
        lines += _weights(method.replace("_", " "), found, runs, width)
    return lines


def _row(label: str, texts: Iterable[str], key: int, size: int, ink: str) -> Line:
    return [(fit(clean(label), key - 1, "left", "…") + " ", ink), *((fit(text, size, "right"), ink) for text in texts)]


def _weights(method: str, found: dict[str, Any], runs: Sequence[dict[str, Any]], width: int) -> list[Line]:
    if "refusal" in found:
        return wrap(f"{method}: {found['refusal']}", width, "muted")
    parts = [f"{run['id'][:8]} {weight:.0%}" for run, weight in zip(runs, found["weights"], strict=True) if weight]
    figures = f"Sharpe {number(found['sharpe'])}, drawdown {percent(found['max_drawdown'], 1)}"
    return wrap(f"{method}: {', '.join(parts)}; {figures}", width, "text")
