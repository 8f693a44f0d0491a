"""A run in parts: its trades by month, week, day, hour, regime, symbol, side, tag and reason, its returns by period."""

from __future__ import annotations

import re
from collections import defaultdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.backtest.metrics import NS_PER_DAY, daily_equity
from engine.model.adaptation import AdaptiveSettings
from engine.model.order import OrderSide

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from engine.model.candle import Bars, FloatArray, IntArray

__all__ = ["BREAKDOWNS", "TradeFacts", "breakdowns", "monthly_returns", "regime_labels", "tag_of"]

_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_NUMBER = re.compile(r"[-+]?\d+(?:[.,]\d+)*\s*%?")


class TradeFacts:
    """What a breakdown needs to know of one trade.

    Attributes:
        entry, exit: UTC nanoseconds.
        value: Of the position at its entry, quote currency.
        pnl: After fees, quote currency.
    """

    __slots__ = ("entry", "exit", "fees", "pnl", "reason", "side", "symbol", "tag", "value")

    def __init__(
        self,
        *,
        entry: int,
        exit: int,
        side: OrderSide,
        value: float,
        pnl: float,
        fees: float,
        symbol: str,
        tag: str,
        reason: str,
    ) -> None:
        self.entry, self.exit, self.side, self.value, self.pnl, self.fees = entry, exit, side, value, pnl, fees
        self.symbol, self.tag, self.reason = symbol, tag, reason


def tag_of(reason: str) -> str:
    """What the reasons of many trades have in common: what stands before a colon, without numbers that differ."""
    return " ".join(_NUMBER.sub(" ", reason.partition(":")[0]).split()).strip(" ,;") or "not given"


def _time(ts: int) -> datetime:
    return datetime.fromtimestamp(ts // 10**9, UTC)


def _week(trade: TradeFacts) -> str:
    year, week, _ = _time(trade.exit - 1).isocalendar()
    return f"{year}-W{week:02d}"


BREAKDOWNS: dict[str, Callable[[TradeFacts], str]] = {
    "month": lambda trade: f"{_time(trade.exit - 1):%Y-%m}",
    "week": _week,
    "day": lambda trade: f"{_time(trade.exit - 1):%Y-%m-%d}",
    "weekday": lambda trade: f"{_time(trade.entry).weekday()} {_WEEKDAYS[_time(trade.entry).weekday()]}",
    "hour": lambda trade: f"{_time(trade.entry):%H}:00",
    "symbol": lambda trade: trade.symbol,
    "side": lambda trade: "long" if trade.side is OrderSide.BUY else "short",
    "entry_tag": lambda trade: trade.tag,
    "exit_reason": lambda trade: tag_of(trade.reason),
}
"""By what trades are grouped. Profit counts when a trade ends; weekday and hour are those of the entry, UTC."""


def breakdowns(
    trades: Sequence[TradeFacts], more: Mapping[str, Callable[[TradeFacts], str]] | None = None, *, most: int = 400
) -> dict[str, list[dict[str, Any]]]:
    """The trades in groups: `key`, `trades`, `pnl`, `win_rate`, `mean_return`, `profit_factor`, `best`, `worst`, fees.

    Args:
        trades: The run's.
        more: Further ways to group, by name.
        most: Groups of one breakdown; of more, the last are kept.
    """
    return {name: _grouped(trades, key)[-most:] for name, key in {**BREAKDOWNS, **(more or {})}.items()}


def _grouped(trades: Iterable[TradeFacts], key: Callable[[TradeFacts], str]) -> list[dict[str, Any]]:
    groups: dict[str, list[TradeFacts]] = defaultdict(list)
    for trade in trades:
        groups[key(trade)].append(trade)
    return [{"key": name, **_sums(groups[name])} for name in sorted(groups)]


def _sums(trades: Sequence[TradeFacts]) -> dict[str, Any]:
    profits = [trade.pnl for trade in trades]
    gain, loss = sum(p for p in profits if p > 0), -sum(p for p in profits if p < 0)
    shares = [trade.pnl / trade.value for trade in trades if trade.value > 0]
    return {
        "trades": len(trades),
        "pnl": sum(profits),
        "win_rate": sum(p > 0 for p in profits) / len(profits),
        "mean_return": sum(shares) / len(shares) if shares else None,
        "profit_factor": gain / loss if loss > 0 else None,
        "best": max(profits),
        "worst": min(profits),
        "fees": sum(trade.fees for trade in trades),
    }


# --- returns by period -----------------------------------------------------------------------------------------------


def monthly_returns(ts: IntArray, equity: FloatArray) -> list[dict[str, Any]]:
    """Return of each calendar month (UTC) of an equity curve: `month`, `return`, `days`; the first and last in part.

    Args:
        ts: UTC nanoseconds, ascending; the first is the start.
        equity: Value at each.
    """
    if len(ts) < 2:
        return []
    daily = daily_equity(ts, equity)
    first = (int(ts[1]) - 1) // NS_PER_DAY
    months = [f"{_time((first + day) * NS_PER_DAY):%Y-%m}" for day in range(len(daily) - 1)]
    found: list[dict[str, Any]] = []
    start = 0
    for day in range(1, len(months) + 1):
        if day == len(months) or months[day] != months[start]:
            before, after = float(daily[start]), float(daily[day])
            found.append(
                {"month": months[start], "return": after / before - 1.0 if before > 0 else None, "days": day - start}
            )
            start = day
    return found


# --- regimes ---------------------------------------------------------------------------------------------------------


def regime_labels(bars: Bars, at: Sequence[int], settings: AdaptiveSettings | None = None) -> list[str]:
    """The market's regime at the close of some bars, such as `high volatility, trending up`, or `not known`.

    The engine's definitions on the bars' own timeframe: volatility of the last bars ranked among its own past, trend by
    the average directional index; nothing is confirmed over several readings, and nothing later than a bar is used.

    Args:
        bars: Of one market.
        at: Rows of the bars; one below 0 is not known.
        settings: Windows and thresholds; None takes the usual ones.
    """
    known = settings or AdaptiveSettings()
    trends = _trends(bars, known)
    steps = np.diff(np.log(bars.close))
    window = known.volatility_bars
    past = (
        np.lib.stride_tricks.sliding_window_view(steps, window).std(axis=1, ddof=1) if len(steps) >= window else steps
    )
    labels = []
    for row in at:
        level = _level(past, row - window, known)
        trend = trends[row] if row >= 0 else ""
        labels.append(f"{level} volatility, {trend}" if level and trend else "not known")
    return labels


def _level(past: FloatArray, place: int, settings: AdaptiveSettings) -> str:
    """Rank of one rolling volatility among those before it; nothing while there are fewer than 50."""
    if place < 49:
        return ""
    before, now = past[max(0, place + 1 - settings.history_bars) : place + 1], past[place]
    percentile = 100.0 * (float((before < now).sum()) + 0.5 * float((before == now).sum())) / len(before)
    if percentile > settings.high_percentile:
        return "high"
    return "low" if percentile <= settings.low_percentile else "medium"


def _trends(bars: Bars, settings: AdaptiveSettings) -> list[str]:
    """Wilder's directional movement at each bar (Wilder, New Concepts in Technical Trading Systems, 1978)."""
    period, count = settings.trend_bars, len(bars)
    trends = [""] * count
    up, down = np.diff(bars.high), -np.diff(bars.low)
    plus, minus = np.where((up > down) & (up > 0), up, 0.0), np.where((down > up) & (down > 0), down, 0.0)
    before = bars.close[:-1]
    ranges = np.maximum(bars.high[1:], before) - np.minimum(bars.low[1:], before)
    sums = [0.0, 0.0, 0.0]
    index, first = None, 0.0
    for place, row in enumerate(zip(ranges.tolist(), plus.tolist(), minus.tolist(), strict=True)):
        if place < period:
            sums = [total + value for total, value in zip(sums, row, strict=True)]
        else:
            sums = [total + value - total / period for total, value in zip(sums, row, strict=True)]
        if place < period - 1:
            continue
        _, rise, fall = sums
        dx = 100.0 * abs(rise - fall) / (rise + fall) if rise + fall > 0 else 0.0
        if index is None:
            first += dx
            index = first / period if place == 2 * period - 2 else None
        else:
            index += (dx - index) / period
        if index is not None:
            trending = index >= settings.trend_strength and rise != fall
            trends[place + 1] = ("trending up" if rise > fall else "trending down") if trending else "ranging"
    return trends
