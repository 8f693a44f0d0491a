"""Risk metrics of fifty positions with five hundred days of returns, and what they take of the loop."""

from __future__ import annotations

import asyncio
import time
from decimal import Decimal as D
from typing import TYPE_CHECKING

import numpy as np

from engine.model.adaptation import AdaptiveSettings
from engine.model.candle import Bars, Candle
from engine.model.ids import AccountId, Currency, InstrumentId, VenueId
from engine.model.limits import RiskLimits
from engine.model.risk_metrics import DayEquity
from engine.model.risk_settings import MetricsSettings, StressSettings
from engine.risk.holdings import Held, Holdings
from engine.risk.portfolio import measure
from engine.risk.regimes import read
from engine.risk.returns import DailyReturns
from engine.risk.stress import Losses, stress
from tests.bench.table import Row, percentile

if TYPE_CHECKING:
    from collections.abc import Callable

POSITIONS, DAYS, ROUNDS = 50, 500, 200
DAY = 86_400_000_000_000
TODAY = 20_000
SETTINGS = MetricsSettings(history_days=DAYS)


def run() -> list[Row]:
    """Measure everything of this module."""
    held, returns, days = _portfolio()
    metrics = measure(held, returns, days, SETTINGS)
    assert metrics.days == DAYS
    assert metrics.covered == 1.0
    times = _times(lambda: measure(held, returns, days, SETTINGS))
    typical, worst = percentile(times, 50), percentile(times, 99)
    limits, scenarios = RiskLimits(), StressSettings()
    tested = _times(lambda: stress(held, returns, limits, Losses(), scenarios, SETTINGS))
    return [
        Row(
            f"risk metrics of {POSITIONS} positions, {DAYS} days, three methods",
            f"p50 {typical:.2f} ms, p99 {worst:.2f} ms",
            "≤ 20 ms, off the loop if more",
            worst <= 20,
        ),
        Row("  longest hold of the loop while they are computed in a thread", f"{asyncio.run(_hold()):.2f} ms"),
        Row("  all stress tests of the same portfolio", f"p50 {percentile(tested, 50):.2f} ms"),
        Row(f"  correlations of all pairs of {POSITIONS} markets, computed anew", f"{_correlations(returns):.1f} ms"),
        Row("  regimes of one market from 745 bars", f"p50 {_regimes():.2f} ms"),
    ]


def _portfolio() -> tuple[Holdings, DailyReturns, dict[int, DayEquity]]:
    rng = np.random.default_rng(7)
    common = rng.standard_t(4, DAYS + 1) * 0.02
    returns, held = DailyReturns(DAYS), []
    for number in range(POSITIONS):
        key = InstrumentId(f"SIM:C{number:02d}/USDT")
        closes = 100.0 * np.exp(np.cumsum(0.7 * common + rng.standard_t(4, DAYS + 1) * 0.02))
        first = TODAY - DAYS - 1
        returns.take(
            key, [Candle(key, "1d", (first + i) * DAY, c, c, c, c, 1.0) for i, c in enumerate(closes.tolist())]
        )
        held.append(
            Held(
                instrument=key,
                account=AccountId("paper"),
                venue=VenueId("SIM"),
                value=float(rng.normal(1_000, 2_000)),
                derivative=False,
            )
        )
    whole = Holdings(
        ts=TODAY * DAY,
        currency=Currency("USDT"),
        equity=D(100_000),
        held=tuple(held),
        unpriced=(),
        equity_by_venue={VenueId("SIM"): 100_000.0},
    )
    value = 100_000.0
    days = {}
    for day in range(TODAY - 400, TODAY):
        value *= 1.0 + float(rng.normal(0.0005, 0.01))
        days[day] = DayEquity(D(repr(round(value, 2))), D(0), Currency("USDT"))
    return whole, returns, days


def _times(work: Callable[[], object]) -> list[float]:
    times = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        work()
        times.append((time.perf_counter() - began) * 1e3)
    return times


async def _hold() -> float:
    """Longest time in milliseconds that the loop did not come round."""
    held, returns, days = _portfolio()
    work = asyncio.create_task(asyncio.to_thread(measure, held, returns, days, SETTINGS))
    longest, before = 0.0, time.perf_counter()
    while not work.done():
        await asyncio.sleep(0)
        now = time.perf_counter()
        longest, before = max(longest, now - before), now
    await work
    return longest * 1e3


def _correlations(returns: DailyReturns) -> float:
    began = time.perf_counter()
    returns.warm()
    took = (time.perf_counter() - began) * 1e3
    assert returns.mean_correlation(returns.instruments) is not None
    return took


def _regimes() -> float:
    close = 100.0 * np.exp(np.cumsum(np.random.default_rng(1).normal(0, 0.004, 745)))
    bars = Bars("1h", np.arange(745) * 3_600_000_000_000, close, close * 1.002, close * 0.998, close, np.ones(745))
    settings = AdaptiveSettings()
    return percentile(_times(lambda: read(InstrumentId("SIM:A/USDT"), bars, settings)), 50)
