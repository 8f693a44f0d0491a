"""How a bot is and what it has done, in words. Pure functions of views."""

from __future__ import annotations

from typing import TYPE_CHECKING

from screens.formats import DASH, age, number, percent
from screens.sheet import Line, wrap
from widgets.table_cells import signed
from widgets.text import clean, fit

if TYPE_CHECKING:
    from decimal import Decimal

    from engine.control.views import BotRow
    from engine.control.views_bots import BotReport
    from screens.bots_figures import Look

__all__ = ["health_lines"]

LABEL = 10
STATES = 6
"""States of its life that are shown."""
NS = 1_000_000_000
WARN, BREACH = 0.8, 1.0


def _line(label: str, *parts: tuple[str, str]) -> Line:
    return [(fit(label, LABEL), "muted"), *((clean(text), ink) for text, ink in parts)]


def _used(label: str, used: float | None, limit: float, unit: str, decimals: int = 0) -> Line:
    if used is None or not limit:
        what = "not told apart from the engine's" if label == "Memory" else "not known yet"
        return _line(label, (what if limit else DASH, "faint"))
    share = used / limit
    ink = "breach" if share >= BREACH else "warn" if share >= WARN else "text"
    return _line(label, (f"{number(used, decimals)} of {number(limit, 0)} {unit}", ink), (f"  {share:.0%}", "muted"))


def health_lines(row: BotRow, report: BotReport | None, look: Look, width: int) -> list[Line]:
    """Return how a bot is run, what it uses, how often it was restarted, and what it has done so far.

    Args:
        row: The bot.
        report: What it has done; None while that is not known.
        look: How figures are shown.
        width: Columns there are.
    """
    setup, health = row.setup, row.health
    own, cpu = setup.isolation == "process", None if health.cpu_share is None else health.cpu_share * 100
    alive = ("alive", "gain") if health.alive else ("not up", "muted")
    lines = [
        _line("Runs in", ("its own process" if own else "the engine", "text"), ("  ", "text"), alive),
        _used("Memory", health.memory_mb, health.memory_limit_mb, "MB"),
        _used("Processor", cpu, health.cpu_limit * 100, "%", 1),
        _used("Storage", health.storage_mb if health.storage_limit_mb else None, health.storage_limit_mb, "MB", 1),
    ]
    if health.throttled:
        lines.append(_line("", ("throttled: it uses more than it may", "warn")))
    if health.gave_up:
        lines.append(_line("Restarts", (f"given up after {health.tries} within an hour", "breach")))
    elif health.next_try:
        wait = max(0, health.next_try - look.now) // NS
        lines.append(_line("Restarts", (f"next in {wait} s", "warn"), (f"  {health.tries} this hour", "muted")))
    else:
        lines.append(_line("Restarts", (f"{health.tries} this hour", "text")))
    if health.looked_after:
        lines.append(_line("Position", ("protected without the bot", "warn")))
    waits = setup.mode == "live" if setup.auto_resume is None else not setup.auto_resume
    resumes = "waits after a crash" if waits else "resumes itself"
    lines.append(_line("Priority", (str(setup.priority), "text"), (f"  {setup.mode}, {resumes}", "muted")))
    for name, value in setup.risk.items():
        lines.append(_line("Limit", (f"{name} {value}", "text")))
    return [*lines, *_report_lines(report, look, width)] if report is not None else lines


def _report_lines(report: BotReport, look: Look, width: int) -> list[Line]:
    def money(value: Decimal | None) -> tuple[str, str]:
        if value is None:
            return DASH, "muted"
        cell = signed(look.money(value), value, look.glyphs)
        return cell.text, cell.ink

    up = age(look.now - int(report.uptime_s * NS), look.now) if report.uptime_s else DASH
    rate = f"  {percent(report.win_rate, 0)} won" if report.win_rate is not None else ""
    sharpe = DASH if report.sharpe is None else number(report.sharpe, 2)
    lines: list[Line] = [
        [],
        _line("Up", (up, "text"), (f"  failed {report.failures}", "warn" if report.failures else "muted")),
        _line("Trades", (str(report.trades), "text"), (rate, "muted")),
        _line("Today", money(report.profit_day), (f" {report.currency}", "muted")),
        _line("In all", money(report.profit_total), (f" {report.currency}", "muted")),
        _line("Drawdown", (percent(report.drawdown, 1), "text"), (f"  Sharpe {sharpe}, {report.days} d", "muted")),
        [],
    ]
    for moment in report.states[:STATES]:
        ago = fit(age(moment.ts, look.now), LABEL)
        words = f"{moment.state} {moment.reason}".strip()
        first, *_ = wrap(words, max(10, width - LABEL), "text") or [[]]
        lines.append([(ago, "muted"), *first])
    return lines
