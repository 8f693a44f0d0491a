"""A run that skips bars books exactly the facts of one that visits every bar, and of one that takes every step."""

from __future__ import annotations

from decimal import Decimal as D
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from engine import events as ev
from engine.backtest.run import run_backtest
from engine.backtest.walk import Pace
from engine.events import encode_record
from engine.model.limits import RiskLimits
from strategies.static.mean_reversion import MeanReversion
from strategies.static.trend_following import TrendFollowing
from tests.backtest.helpers import Scripted, enter, leave, make_bars, make_instrument, make_spec, same, scripted
from tests.backtest.test_properties import cases
from tests.kit.candles import recorded_bars, walk_bars
from tests.kit.workloads import Band, Crossing, workload_spec

if TYPE_CHECKING:
    from pathlib import Path

    from engine.backtest.run import BacktestResult
    from engine.backtest.spec import BacktestSpec
    from engine.model.candle import Bars
    from engine.model.instrument import Instrument
    from engine.strategy.contract import Strategy

DAY = 24


def journal_of(
    spec: BacktestSpec, strategy: Strategy, instrument: Instrument, bars: Bars, pace: Pace
) -> tuple[BacktestResult, list[bytes], list[ev.Event]]:
    """A run, its facts as a journal holds them, and the facts themselves."""
    facts: list[bytes] = []
    events: list[ev.Event] = []

    def hear(record: ev.Record) -> None:
        facts.append(encode_record(record))
        events.append(record.event)

    built = type(strategy)(strategy.params)
    if isinstance(strategy, Scripted) and isinstance(built, Scripted):
        built.script = strategy.script
    return run_backtest(spec, built, instrument, bars, pace=pace, hear=hear), facts, events


def alike(spec: BacktestSpec, strategy: Strategy, bars: Bars, **rules: Any) -> tuple[BacktestResult, list[ev.Event]]:
    """Run at every pace; the facts must be the same byte for byte."""
    instrument = make_instrument(margin=spec.allow_short, **rules)
    result, facts, events = journal_of(spec, strategy, instrument, bars, Pace.EVERY_STEP)
    for pace in (Pace.EVERY_BAR, Pace.SKIP):
        other, found, _ = journal_of(spec, strategy, instrument, bars, pace)
        for number, (theirs, ours) in enumerate(zip(facts, found, strict=False)):
            assert ours == theirs, (pace, number, events[number])
        assert len(found) == len(facts), pace
        assert same(result, other), pace
    return result, events


@pytest.mark.parametrize("strategy", [Crossing, Band], ids=["W1", "W2"])
@pytest.mark.parametrize("limits", ["wide", "usual"])
def test_workloads(strategy: type[Strategy], limits: str) -> None:
    bars = walk_bars(7, 6_000, "1m")
    spec = workload_spec(strategy, "1m")
    if limits == "usual":
        spec = spec.model_copy(update={"limits": RiskLimits()})
    built = strategy.build({} if limits == "wide" else {"position_size_pct": 0.05})
    result, _ = alike(spec, built, bars, tick="0.00000001", lot="0.0001")
    assert len(result.trades) > 20


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(cases())
def test_random_markets_and_settings(case: tuple[Strategy, Bars, dict[str, Any]]) -> None:
    strategy, bars, more = case
    alike(make_spec(bars.timeframe, **more), strategy, bars)


@pytest.mark.parametrize(
    ("strategy", "name", "start", "count"),
    [
        (TrendFollowing.build(), "bitfinex_BTCUSD_1m_2016-2018", 402_000, 6_000),
        (MeanReversion.build(), "okx_ETH-USDT-SWAP_5m", 3_000, 6_000),
        (MeanReversion.build({"confirm_ma": 10}), "bittrex_ADA-BTC_5m", 0, None),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
@pytest.mark.parametrize("allow_short", [False, True], ids=["long", "both sides"])
def test_recorded_markets(
    shared_data: Path, strategy: Strategy, name: str, start: int, count: int | None, allow_short: bool
) -> None:
    bars = recorded_bars(shared_data, name, start, count)
    capital = D(10_000) if bars.close[0] > 1 else D(1)
    spec = make_spec(bars.timeframe, limits=RiskLimits(), capital=capital, allow_short=allow_short)
    result, _ = alike(spec, strategy, bars, tick="0.00000001", lot="0.00001")
    assert result.trades


def fall(days: int, to: float, *, at: int) -> Bars:
    """Hours at 100 that fall to a price at one of them, and stay there."""
    close = np.where(np.arange(days * DAY) < at, 100.0, to)
    opened = np.concatenate(([100.0], close[:-1]))
    rows = np.column_stack((opened, np.maximum(opened, close) + 0.5, np.minimum(opened, close) - 0.5, close))
    return make_bars([tuple(row) for row in rows.tolist()])


TRIPS: list[tuple[str, dict[str, Any], float]] = [
    ("daily_loss", {"max_daily_loss_pct": D("0.03")}, 92.0),
    ("weekly_loss", {"max_weekly_loss_pct": D("0.03")}, 92.0),
    ("monthly_loss", {"max_monthly_loss_pct": D("0.03")}, 92.0),
    ("drawdown", {"breaker_drawdown_pct": D("0.03")}, 92.0),
    ("max_drawdown", {"breaker_drawdown_pct": D("0.03"), "max_drawdown_pct": D("0.03")}, 92.0),
]


@pytest.mark.parametrize(("name", "tight", "to"), TRIPS, ids=[trip[0] for trip in TRIPS])
def test_every_breaker_trips_at_the_same_bar(name: str, tight: dict[str, Any], to: float) -> None:
    bars = fall(40, to, at=60)
    script = {number: enter() for number in range(2, 40 * DAY, 7)} | {100: leave()}
    wide = {"max_position_size_pct": D(1), "max_daily_loss_pct": D(1), "max_weekly_loss_pct": D(1)}
    wide |= {"max_monthly_loss_pct": D(1), "breaker_drawdown_pct": D(1), "max_drawdown_pct": D(1)}
    limits = RiskLimits(**(wide | {"max_class_exposure": D(1), "max_currency_exposure": D(1)} | tight))
    _, events = alike(make_spec(limits=limits), scripted(script, size=0.5), bars)
    tripped = [event for event in events if isinstance(event, ev.BreakerTripped)]
    assert name in {event.breaker for event in tripped}
    if name == "max_drawdown":
        assert any(isinstance(event, ev.OrderIntended) and event.owner == "backtest" for event in events)
    if name in ("daily_loss", "weekly_loss"):
        # both close by themselves: the one on trial after a day, the other when the week is over
        assert any(isinstance(event, ev.BreakerReset) and event.breaker == name for event in events)
