"""Backtests in words: rows of the tables, figures in groups, assumptions, trades, and two runs beside each other."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC
from typing import TYPE_CHECKING

from engine.model.ids import symbol_of
from screens.formats import DASH, age, at, compact, day, exact, number, percent
from screens.sheet import Line, wrap
from screens.where import HERE, WHERE, short_symbol
from widgets.live_table import Cell, Column
from widgets.table_cells import signed
from widgets.text import clean, fit

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import tzinfo

    from engine.control.views import BacktestRow, BacktestTradeRow, BacktestView, DatasetRow, JobRow
    from screens.where import Where
    from widgets.glyphs import Glyphs

__all__ = [
    "DATA_COLUMNS",
    "GROUPS",
    "RUNNING",
    "RUN_COLUMNS",
    "TRADE_COLUMNS",
    "assumption_lines",
    "compare_lines",
    "data_cells",
    "day_label",
    "job_parts",
    "metric_lines",
    "metric_text",
    "run_cells",
    "run_title",
    "trade_cells",
]

RUN_COLUMNS = (
    Column("strategy", "Strategy", 15, flex=True),
    Column("symbol", "Market", 9),
    WHERE,
    Column("timeframe", "Bar", 3, priority=3),
    Column("period", "Period", 17, priority=6),
    Column("trades", "Trades", 6, align="right", priority=2),
    Column("return", "Return", 10, align="right"),
    Column("sharpe", "Sharpe", 6, align="right", priority=1),
    Column("drawdown", "Drawdn", 7, align="right", priority=1),
    Column("wins", "Wins", 6, align="right", priority=5),
    Column("verdict", "Verdict", 7, priority=3),
    Column("created", "Run", 7, align="right", priority=7),
)
DATA_COLUMNS = (
    Column("venue", "Venue", 9, flex=True),
    Column("symbol", "Symbol", 9),
    Column("timeframe", "Bar", 4),
    Column("rows", "Bars", 10, align="right"),
    Column("start", "From", 10),
    Column("end", "To", 10),
    Column("gaps", "Gaps", 5, align="right", priority=1),
    Column("missing", "Missing", 7, align="right", priority=2),
    Column("bytes", "Size", 7, align="right", priority=3),
)
TRADE_COLUMNS = (
    Column("side", "Side", 7),
    Column("entry", "Entered", 14),
    Column("exit", "Left", 14, priority=1),
    Column("held", "Held", 7, align="right", priority=4),
    Column("entry_price", "Entry", 10, align="right", priority=2),
    Column("exit_price", "Exit", 10, align="right", priority=3),
    Column("quantity", "Amount", 10, align="right", priority=5),
    Column("fees", "Fees", 8, align="right", priority=6),
    Column("pnl", "P&L", 11, align="right"),
    Column("reason", "Left because", 12, flex=True),
)
PERCENT, RATIO, MONEY, COUNT, DAYS, HOURS = "percent", "ratio", "money", "count", "days", "hours"
GROUPS: dict[str, tuple[tuple[str, str, str], ...]] = {
    "Return": (
        ("total_return", "Total", PERCENT),
        ("annual_return", "A year", PERCENT),
        ("benchmark_return", "Holding", PERCENT),
        ("end_equity", "Equity at end", MONEY),
        ("annual_volatility", "Volatility/year", PERCENT),
        ("exposure", "Time in market", PERCENT),
        ("days", "Length", DAYS),
    ),
    "Risk": (
        ("sharpe", "Sharpe", RATIO),
        ("sortino", "Sortino", RATIO),
        ("calmar", "Calmar", RATIO),
        ("max_drawdown", "Deepest drawdown", PERCENT),
        ("max_drawdown_days", "it took", DAYS),
        ("value_at_risk_95", "VaR 95 %, a day", PERCENT),
        ("value_at_risk_99", "VaR 99 %, a day", PERCENT),
        ("expected_shortfall_95", "Shortfall 95 %", PERCENT),
        ("beta", "Beta to holding", RATIO),
        ("correlation", "Correlation", RATIO),
    ),
    "Trades": (
        ("trades", "Trades", COUNT),
        ("win_rate", "Won", PERCENT),
        ("profit_factor", "Profit factor", RATIO),
        ("expectancy", "Mean", MONEY),
        ("average_win", "Mean win", MONEY),
        ("average_loss", "Mean loss", MONEY),
        ("best_trade", "Best", MONEY),
        ("worst_trade", "Worst", MONEY),
        ("average_holding_hours", "Mean time held", HOURS),
        ("fees", "Fees", MONEY),
    ),
}
"""Figures by group: name in the run's metrics, label, and how it is written."""
SIGNED = frozenset({"total_return", "annual_return", "benchmark_return", "expectancy", "best_trade", "worst_trade"})
"""Figures whose sign is good or bad."""
NS = 1_000_000_000
LABEL = 16
VALUE = 11
GROUP = LABEL + VALUE
SIDE = 22
"""Cells of one of two runs that are compared."""
GUTTER = 2
RUNNING = frozenset({"queued", "running"})


def metric_text(name: str, kind: str, value: float | None) -> str:
    """Return a figure as it is written; a dash where it could not be computed."""
    if value is None:
        return DASH
    plus = name in SIGNED
    if kind == PERCENT:
        return percent(value, signed=plus)
    if kind == COUNT:
        return f"{value:,.0f}"
    units = {DAYS: " d", HOURS: " h"}
    return f"{number(value, 1 if kind in units else 2, signed=plus)}{units.get(kind, '')}"


def _ink(name: str, value: float | None) -> str:
    if value is None:
        return "faint"
    if name in SIGNED and value:
        return "gain" if value > 0 else "loss"
    return "text"


def _short(ns: int, zone: tzinfo) -> str:
    return at(ns, zone)[2:] if ns else DASH


def day_label(ns: int) -> str:
    """Return the UTC day of a time, for the end of an axis."""
    return day(ns, UTC)


def run_title(row: BacktestRow) -> str:
    """Return what ran on what, and when."""
    when = f"{day(row.start, UTC)} to {day(row.end, UTC)}"
    return f"{row.strategy} {symbol_of(row.instrument)} {row.timeframe} · {when}"


def _ratio(value: float | None, ink: str = "text") -> Cell:
    return Cell(number(value), ink if value is not None else "faint", value=float("nan") if value is None else value)


def run_cells(
    row: BacktestRow, glyphs: Glyphs, now: int, *, marked: bool = False, where: Where = HERE
) -> tuple[Cell, ...]:
    """Return a stored run as a row; a marked one waits for another to be compared with."""
    total, unknown = row.total_return, float("nan")
    gained = Cell(DASH, "faint", value=unknown) if total is None else signed(percent(total), total, glyphs)
    verdict = Cell(f"{glyphs.ok} pass", "ok") if row.passed else Cell(f"{glyphs.breach} fail", "muted")
    period = f"{day(row.start, UTC)[:7]} – {day(row.end, UTC)[:7]}"
    name = f"{glyphs.own} {row.strategy}" if marked else row.strategy
    return (
        Cell(name, "own" if marked else "text"),
        Cell(short_symbol(row.instrument)),
        where.cell(row.instrument),
        Cell(row.timeframe, "muted"),
        Cell(period, "muted", value=row.start),
        Cell(f"{row.trades:,}", value=row.trades),
        gained,
        _ratio(row.sharpe),
        Cell(percent(row.max_drawdown, 1), value=unknown if row.max_drawdown is None else row.max_drawdown),
        Cell(percent(row.win_rate, 0), "muted", value=unknown if row.win_rate is None else row.win_rate),
        verdict,
        Cell(age(row.created, now), "muted", value=row.created),
    )


def data_cells(row: DatasetRow) -> tuple[Cell, ...]:
    """Return stored candles as a row."""
    return (
        Cell(row.venue),
        Cell(row.symbol),
        Cell(row.timeframe, "muted"),
        Cell(f"{row.rows:,}", value=row.rows),
        Cell(day(row.start, UTC), value=row.start),
        Cell(day(row.end, UTC), value=row.end),
        Cell(f"{row.gaps:,}", "warn" if row.gaps else "muted", value=row.gaps),
        Cell(f"{row.missing:,}", "muted", value=row.missing),
        Cell(f"{compact(row.bytes)}B", "muted", value=row.bytes),
    )


def trade_cells(row: BacktestTradeRow, glyphs: Glyphs) -> tuple[Cell, ...]:
    """Return a closed trade as a row; times are UTC, as the candles are."""
    long = row.side.value == "buy"
    held = row.exit_time - row.entry_time
    return (
        Cell(f"{glyphs.buy} long" if long else f"{glyphs.sell} short", "bid" if long else "ask"),
        Cell(_short(row.entry_time, UTC), value=row.entry_time),
        Cell(_short(row.exit_time, UTC), "muted", value=row.exit_time),
        Cell(age(row.entry_time, row.exit_time), "muted", value=held),
        Cell(exact(row.entry_price), value=row.entry_price),
        Cell(exact(row.exit_price), value=row.exit_price),
        Cell(exact(row.quantity), "muted", value=row.quantity),
        Cell(number(row.fees), "muted", value=row.fees),
        signed(number(row.pnl), row.pnl, glyphs),
        Cell(row.reason, "muted"),
    )


# --- figures in groups


def _metric_line(view: BacktestView, name: str, label: str, kind: str) -> Line:
    value = view.metrics.get(name)
    return [(fit(label, LABEL), "muted"), (fit(metric_text(name, kind, value), VALUE, "right"), _ink(name, value))]


def _group(view: BacktestView, title: str) -> list[Line]:
    return [[(fit(title, GROUP), "title")], *(_metric_line(view, *entry) for entry in GROUPS[title])]


def _verdict(view: BacktestView) -> str:
    """Which of the two requirements the run meets."""
    metrics = view.metrics
    ratio, needed = metrics.get("sharpe"), metrics.get("required_sharpe")
    fall, allowed = metrics.get("max_drawdown"), metrics.get("max_drawdown_limit")
    if needed is None or allowed is None:
        return "by Sharpe and drawdown"
    reached = ratio is not None and ratio >= needed
    within = fall is not None and fall <= allowed
    first = f"Sharpe {'at least' if reached else 'below'} {needed:g}"
    return f"{first}, drawdown {'within' if within else 'beyond'} {allowed:.0%}"


def metric_lines(view: BacktestView, width: int, glyphs: Glyphs) -> list[Line]:
    """Return the verdict and all figures in as many columns as there is room for."""
    row = view.row
    word, ink = (f"{glyphs.ok} passed", "ok") if row.passed else (f"{glyphs.breach} failed", "warn")
    lines: list[Line] = [[(word, ink), (f"  {_verdict(view)}", "muted")], []]
    columns = max(1, min(3, (width + GUTTER) // (GROUP + GUTTER)))
    stacks = [_group(view, title) for title in GROUPS]
    if columns == 2:
        stacks = [[*stacks[0], [], *stacks[2]], stacks[1]]
    elif columns == 1:
        stacks = [[*stacks[0], [], *stacks[1], [], *stacks[2]]]
    for number_ in range(max(len(stack) for stack in stacks)):
        line: Line = []
        for stack in stacks:
            parts = stack[number_] if number_ < len(stack) else []
            line += parts or [(" " * GROUP, "text")]
            line.append((" " * GUTTER, "text"))
        lines.append(line[:-1])
    return lines


def assumption_lines(view: BacktestView, width: int) -> list[Line]:
    """Return everything a run assumed, warnings first, then its parameters."""
    warnings = {key: text for key, text in view.assumptions.items() if key.startswith("warning_")}
    others = {key: text for key, text in view.assumptions.items() if key not in warnings}
    lines: list[Line] = []
    for text in warnings.values():
        first, *rest = wrap(text, max(10, width - 2), "warn") or [[("", "warn")]]
        lines += [[("! ", "warn"), *first], *([("  ", "warn"), *line] for line in rest)]
    if warnings:
        lines.append([])
    label = max((len(key) for key in others), default=0) + 2
    for key, text in others.items():
        wrapped = wrap(text, max(10, width - label)) or [[]]
        lines.append([(fit(clean(key.replace("_", " ")), label), "muted"), *wrapped[0]])
        lines += [[(" " * label, "text"), *line] for line in wrapped[1:]]
    lines += [[], [("Parameters", "title")]]
    lines += wrap("  ".join(f"{name}={value}" for name, value in view.params.items()) or "none", width)
    return [*lines, [], [("Hash ", "muted"), (clean(view.row.hash), "faint"), ("  equal hash, equal result", "faint")]]


# --- two runs beside each other


def compare_lines(one: BacktestView, other: BacktestView, glyphs: Glyphs) -> list[Line]:
    """Return two runs side by side, figure by figure, the better one marked where better has a meaning."""
    runs = (one, other)
    lines = [_about("Strategy", *(view.row.strategy for view in runs))]
    lines.append(_about("Market", *(f"{symbol_of(view.row.instrument)} {view.row.timeframe}" for view in runs)))
    lines.append(_about("From", *(day(view.row.start, UTC) for view in runs)))
    lines.append(_about("To", *(day(view.row.end, UTC) for view in runs)))
    for name in dict.fromkeys([*one.params, *other.params]):
        first, second = (str(view.params.get(name, DASH)) for view in runs)
        if first != second:
            lines.append(_about(name, first, second, "own"))
    for title, entries in GROUPS.items():
        lines += [[], [(title, "title")]]
        lines += [_compared(name, label, kind, runs, glyphs) for name, label, kind in entries]
    return lines


def _about(label: str, first: str, second: str, ink: str = "text") -> Line:
    sides = ((f"{fit(clean(text), SIDE, 'right', '…')}   ", ink) for text in (first, second))
    return [(fit(clean(label), LABEL + 2), "muted"), *sides]


BETTER = {
    "total_return": 1, "annual_return": 1, "sharpe": 1, "sortino": 1, "calmar": 1, "max_drawdown": -1, "win_rate": 1,
    "max_drawdown_days": -1, "profit_factor": 1, "expectancy": 1, "value_at_risk_95": -1, "value_at_risk_99": -1,
    "expected_shortfall_95": -1, "annual_volatility": -1, "fees": -1,
}  # fmt: skip
"""Figures of which more (1) or less (-1) is better."""


def _compared(name: str, label: str, kind: str, runs: Sequence[BacktestView], glyphs: Glyphs) -> Line:
    first, second = (view.metrics.get(name) for view in runs)
    lead = 0.0 if first is None or second is None else (first - second) * BETTER.get(name, 0)
    line: Line = [(fit(label, LABEL + 2), "muted")]
    for value, ahead in ((first, lead > 0), (second, lead < 0)):
        text = fit(metric_text(name, kind, value), SIDE, "right")
        line.append((f"{text} {glyphs.ok if ahead else ' '} ", "ok" if ahead else _ink(name, value)))
    return line


# --- jobs


@dataclass(frozen=True, slots=True)
class JobParts:
    """A job in a line: words before the bar, the share done, words after it."""

    head: str
    share: float | None
    tail: tuple[str, ...]
    """What is said after it, the least important first."""
    ink: str


def job_parts(jobs: Sequence[JobRow], since: int, now: int, glyphs: Glyphs, key: str) -> JobParts | None:
    """Return the line about jobs: the running one, else one that failed since `since`; None when there is nothing."""
    running = [job for job in jobs if job.state in RUNNING]
    current = next((job for job in running if job.state == "running"), running[-1] if running else None)
    if current is not None:
        waiting = len(running) - 1
        queue = f"{waiting} waiting" if waiting else ""
        head = f"{glyphs.follow} {clean(current.title)}"
        words = clean(current.message) or current.state
        return JobParts(head, current.progress, (words, _left(current, now), queue, f"{key} cancels"), "accent")
    failed = next((job for job in jobs if job.state == "failed" and job.finished > since), None)
    if failed is None:
        return None
    return JobParts(f"{glyphs.breach} {clean(failed.title)} failed: {clean(failed.message)}", None, (), "breach")


def _left(job: JobRow, now: int) -> str:
    spent = max(0, now - job.started)
    if job.progress <= 0.02 or spent < NS:
        return ""
    return f"{age(now, now + int(spent * (1 - job.progress) / job.progress))} left"
