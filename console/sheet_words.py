"""The tear sheet of a run in the terminal."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import click

from console.analysis_words import number, share
from console.offline_call import table, utc
from console.plain import say
from console.plots import NARROWEST, bar_chart, time_chart

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.control.views_analyses import AnalysisView

__all__ = ["say_sheet"]

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_FIGURES = (
    ("total_return", share), ("annual_return", share), ("benchmark_return", share), ("annual_volatility", share),
    ("sharpe", number), ("sortino", number), ("calmar", number), ("max_drawdown", share), ("exposure", share),
    ("trades", number), ("win_rate", share), ("profit_factor", number), ("expectancy", number), ("fees", number),
    ("value_at_risk_95", share), ("expected_shortfall_95", share),
)  # fmt: skip
_RELATIVE = (
    ("alpha", share), ("beta", number), ("correlation", number), ("information_ratio", number),
    ("tracking_error", share), ("up_capture", share), ("down_capture", share), ("better_days", share),
)  # fmt: skip
_PARTS = ("month", "weekday", "hour", "regime", "symbol", "side", "entry_tag", "exit_reason")


def say_sheet(view: AnalysisView, trades: int) -> None:
    """Print figures, charts, months, breakdowns and the last trades."""
    sheet = view.result
    run = sheet["run"]
    say(f"{run['strategy']} on {run['market']}, {utc(run['start'])} to {utc(run['end'])} UTC")
    say(f"id {run['id'][:8]}, hash {run['hash']}")
    for name, text in sheet["assumptions"].items():
        if name.startswith("warning_"):
            say(f"! {text}")
    _say_figures(sheet)
    width = shutil.get_terminal_size((100, 30)).columns
    if width >= NARROWEST and len(sheet["curve"]["ts"]) > 1:
        _say_charts(sheet, width)
    _say_months(sheet["months"], sheet["years"])
    _say_falls(sheet["drawdowns"])
    for name in _PARTS:
        if sheet["breakdowns"].get(name):
            _say_groups(name, sheet["breakdowns"][name])
    _say_trades(sheet["trades"], trades)


def _say_figures(sheet: dict[str, Any]) -> None:
    shown = [(name.replace("_", " "), write(sheet["metrics"].get(name))) for name, write in _FIGURES]
    shown += [(name.replace("_", " "), write(sheet["relative"].get(name))) for name, write in _RELATIVE]
    shown.append(("Sharpe above 0", share(sheet["sharpe"]["probabilistic"])))
    needed = sheet["sharpe"]["minimum_record_days"]
    shown.append(("days to be sure", "never" if needed is None else f"{needed:,.0f}"))
    half = (len(shown) + 1) // 2
    say("\nFigures")
    for left, right in zip(shown[:half], [*shown[half:], ("", "")], strict=False):
        say(f"  {left[0]:<22}{left[1]:>14}    {right[0]:<24}{right[1]:>12}".rstrip())


def _say_charts(sheet: dict[str, Any], width: int) -> None:
    curve, rolling, spread = sheet["curve"], sheet["rolling_sharpe"], sheet["distribution"]
    charts = [
        time_chart(curve["ts"], {"equity": curve["equity"], "bought and held": curve["benchmark"]}, width=width),
        time_chart(curve["ts"], {"": curve["drawdown"]}, width=width, height=9, title="drawdown"),
    ]
    if len(rolling["ts"]) > 1:
        title = f"Sharpe ratio of the last {rolling['days']} days"
        charts.append(time_chart(rolling["ts"], {"": rolling["values"]}, width=width, height=9, title=title))
    if spread["counts"]:
        middle = [(a + b) / 2 for a, b in zip(spread["edges"][:-1], spread["edges"][1:], strict=True)]
        labels = [f"{value:.1%}" if place % 6 == 0 else "" for place, value in enumerate(middle)]
        charts.append(bar_chart(labels, spread["counts"], width=width, height=11, title="daily returns"))
    for chart in charts:
        say()
        click.echo(chart)


def _say_months(months: Sequence[dict[str, Any]], years: Sequence[dict[str, Any]]) -> None:
    """One row a year; a gain has a plus, a loss a minus, the largest of each is marked."""
    if not months:
        return
    known = {month["month"]: month["return"] for month in months}
    ends = [value for value in known.values() if value is not None]
    best, worst = max(ends, default=None), min(ends, default=None)

    def cell(value: float | None) -> str:
        if value is None:
            return ""
        mark = "*" if len(ends) > 1 and value in (best, worst) else ""
        return f"{value:+.1%}{mark}"

    say("\nReturns by month (* the best and the worst)")
    table(
        ("", *(f" {name}" for name in _MONTHS), " year"),
        (
            (
                year["year"],
                *(cell(known.get(f"{year['year']}-{n:02d}")) for n in range(1, 13)),
                f"{year['return']:+.1%}",
            )
            for year in years
        ),
    )


def _say_falls(falls: Sequence[dict[str, Any]]) -> None:
    if not falls:
        return
    say("\nDeepest drawdowns")
    table(
        ("from", "trough", "recovered", " depth", " days"),
        (
            (utc(fall["start"])[:10], utc(fall["trough"])[:10],
             "never" if fall["recovery"] is None else utc(fall["recovery"])[:10], share(fall["depth"]),
             f"{fall['days']:,.0f}")
            for fall in falls
        ),
    )  # fmt: skip


def _say_groups(name: str, rows: Sequence[dict[str, Any]]) -> None:
    shown = rows[-24:]
    more = f" (the last {len(shown)} of {len(rows)})" if len(shown) < len(rows) else ""
    say(f"\nBy {name.replace('_', ' ')}{more}")
    table(
        ("", " trades", " profit", " won", " mean", " profit factor", " best", " worst"),
        (
            (str(row["key"]), f"{row['trades']:,}", f"{row['pnl']:+,.2f}", share(row["win_rate"]),
             share(row["mean_return"]), number(row["profit_factor"]), f"{row['best']:+,.2f}", f"{row['worst']:+,.2f}")
            for row in shown
        ),
    )  # fmt: skip


def _say_trades(trades: Sequence[dict[str, Any]], most: int) -> None:
    if not trades or not most:
        return
    say(f"\nTrades (the last {min(most, len(trades))} of {len(trades):,})")
    head = (
        "entry (UTC)",
        "exit (UTC)",
        "side",
        " quantity",
        " entry",
        " exit",
        " fees",
        " profit",
        "opened by",
        "closed by",
    )
    table(
        head,
        (
            (trade["entry_time"][:16].replace("T", " "), trade["exit_time"][:16].replace("T", " "), trade["side"],
             f"{trade['quantity']:.8g}", f"{trade['entry_price']:.8g}", f"{trade['exit_price']:.8g}",
             f"{trade['fees']:.2f}", f"{trade['pnl']:+.2f}", trade["entry_reason"] or "", trade["reason"])
            for trade in trades[-most:]
        ),
    )  # fmt: skip
