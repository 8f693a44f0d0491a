"""What holds for every run: shortcuts change nothing, the future changes nothing, and the money adds up."""

from __future__ import annotations

from decimal import Decimal as D
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.backtest.run import run_backtest
from engine.model.limits import RiskLimits
from engine.venues.paper.settings import BAR_PRESETS
from strategies.static.mean_reversion import MeanReversion
from strategies.static.trend_following import TrendFollowing
from tests.backtest.helpers import make_instrument, make_spec, same
from tests.kit.candles import recorded_bars, walk_bars

if TYPE_CHECKING:
    from pathlib import Path

    from engine.backtest.run import BacktestResult
    from engine.model.candle import Bars
    from engine.strategy.contract import Strategy

LIMITS = {
    "usual": RiskLimits(),
    # one unlucky trade is enough to trip the first, two the second, three the third
    "tight": RiskLimits(max_daily_loss_pct=D("0.0004"), breaker_drawdown_pct=D("0.0012"), max_drawdown_pct=D("0.002")),
    "tightest": RiskLimits(
        max_daily_loss_pct=D("0.01"), breaker_drawdown_pct=D("0.0008"), max_drawdown_pct=D("0.0008")
    ),
}
TREND: dict[str, Any] = {"fast_ma": 5, "slow_ma": 20, "volume_factor": 0.5, "rsi_long": 50.0, "rsi_short": 50.0}
REVERSION: dict[str, Any] = {"confirm": False, "volume_factor": 0.5, "entry_threshold": 1.5}


@st.composite
def trend(draw: st.DrawFn) -> Strategy:
    values = {
        "fast_ma": draw(st.integers(2, 10)),
        "slow_ma": draw(st.integers(11, 40)),
        "trail_atr": draw(st.sampled_from([0.5, 2.0, 5.0])),
        "max_levels": draw(st.integers(1, 4)),
        "max_bars": draw(st.sampled_from([0, 3, 30])),
        "position_size_pct": draw(st.sampled_from([0.01, 0.05, 0.1])),
    }
    return TrendFollowing.build(TREND | values)


@st.composite
def reversion(draw: st.DrawFn) -> Strategy:
    values = {
        "lookback_period": draw(st.integers(5, 40)),
        "stop_atr": draw(st.sampled_from([0.5, 2.0])),
        "target_atr": draw(st.sampled_from([0.5, 3.0])),
        "max_bars": draw(st.sampled_from([0, 5])),
        "confirm": draw(st.booleans()),
        "position_size_pct": draw(st.sampled_from([0.01, 0.1])),
    }
    return MeanReversion.build(REVERSION | {"confirm_ma": 5} | values)


@st.composite
def cases(draw: st.DrawFn) -> tuple[Strategy, Bars, dict[str, Any]]:
    bars = walk_bars(draw(st.integers(0, 50)), 1500, "15m", gaps=draw(st.sampled_from([0.0, 0.05])))
    begin = draw(st.integers(0, 400))
    more = {
        "allow_short": draw(st.booleans()),
        "fills": draw(st.sampled_from(sorted(BAR_PRESETS))),
        "slippage": draw(st.sampled_from([None, "linear", "fixed"])),
        "limits": LIMITS[draw(st.sampled_from(sorted(LIMITS)))],
        "capital": D(draw(st.sampled_from(["1000", "10000", "1000000"]))),
    }
    return draw(st.one_of(trend(), reversion())), bars.slice(begin, draw(st.integers(begin + 100, 1500))), more


def run(strategy: Strategy, bars: Bars, *, shortcuts: bool = True, **more: Any) -> BacktestResult:
    """A run of a strategy built anew."""
    instrument = make_instrument(margin=bool(more.get("allow_short")))
    spec = make_spec(bars.timeframe, shortcuts=shortcuts, **more)
    return run_backtest(spec, type(strategy)(strategy.params), instrument, bars)


def check_money(result: BacktestResult, bars: Bars, capital: D) -> None:
    """Cash from trades and equity from balances are two ways to the same figures."""
    assert result.equity[0] == float(capital)
    total = sum((trade.pnl for trade in result.trades), D(0))
    assert result.equity[-1] == pytest.approx(float(capital + total), rel=1e-12)
    assert len(result.ts) == len(result.equity) == len(result.benchmark) == len(bars) + 1
    earned = capital
    for trade, following in pairwise([*result.trades, None]):
        assert trade is not None
        earned += trade.pnl
        close = int(result.ts.searchsorted(trade.exit_time, side="right"))
        if following is None or following.entry_time >= result.ts[min(close, len(result.ts) - 1)]:
            # flat at that close: what equity says is what the trades have earned
            assert result.equity[min(close, len(result.ts) - 1)] == pytest.approx(float(earned), rel=1e-12)
        if following is not None:
            assert trade.exit_time <= following.entry_time


def check_prices(result: BacktestResult, bars: Bars) -> None:
    """Nobody buys or sells far from where the market was."""
    for trade in result.trades:
        first = max(int(bars.ts.searchsorted(trade.entry_time, side="right")) - 1, 0)
        last = int(bars.ts.searchsorted(trade.exit_time, side="right"))
        low, high = float(bars.low[first:last].min()), float(bars.high[first:last].max())
        for price in (trade.entry_price, trade.exit_price):
            assert low * 0.994 <= float(price) <= high * 1.006
        assert trade.excursion_for >= 0
        assert trade.excursion_against >= 0


RELAXED = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@RELAXED
@given(cases())
def test_shortcuts_change_nothing_and_a_run_repeats_exactly(case: tuple[Strategy, Bars, dict[str, Any]]) -> None:
    strategy, bars, more = case
    quick = run(strategy, bars, **more)
    assert same(quick, run(strategy, bars, shortcuts=False, **more))
    assert same(quick, run(strategy, bars, **more))
    check_money(quick, bars, more["capital"])
    if more["fills"] == "quarterdeck":
        # Elsewhere no order is too large for a bar, and slippage grows with it.
        check_prices(quick, bars)


@RELAXED
@given(cases(), st.data())
def test_what_comes_later_changes_nothing_before(
    case: tuple[Strategy, Bars, dict[str, Any]], data: st.DataObject
) -> None:
    strategy, bars, more = case
    cut = data.draw(st.integers(1, len(bars)), label="cut")
    whole, part = run(strategy, bars, **more), run(strategy, bars.slice(0, cut), **more)
    closed = [trade for trade in part.trades if trade.reason != "end of data"]
    assert closed == whole.trades[: len(closed)]
    # the last value of the part holds the cost of closing at the end of the data
    assert part.equity[:-1].tolist() == whole.equity[: len(part.equity) - 1].tolist()


@pytest.mark.parametrize(
    ("strategy", "name", "start", "count", "least"),
    [
        (TrendFollowing.build(), "binance_BTCUSDT_1h", 0, None, 50),
        (TrendFollowing.build(), "coinbase_BTC-USD_1h", 0, 12_000, 15),
        (TrendFollowing.build(), "bitfinex_BTCUSD_1m_2016-2018", 300_000, 60_000, 50),
        (MeanReversion.build(), "okx_ETH-USDT-SWAP_5m", 0, 20_000, 200),
        (MeanReversion.build(), "binance_ETHUSDT_15m", 0, None, 200),
        (MeanReversion.build({"confirm_ma": 10}), "bittrex_ADA-BTC_5m", 0, None, 10),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
@pytest.mark.parametrize("allow_short", [False, True], ids=["long", "both sides"])
def test_built_in_strategies_trade_recorded_markets(
    shared_data: Path,
    strategy: Strategy,
    name: str,
    start: int,
    count: int | None,
    least: int,
    allow_short: bool,
) -> None:
    bars = recorded_bars(shared_data, name, start, count)
    instrument = make_instrument(margin=allow_short, tick="0.00000001", lot="0.00001")
    more: dict[str, Any] = {"allow_short": allow_short, "slippage": "fixed"}
    capital = D(10_000) if bars.close[0] > 1 else D(1)
    found = []
    for shortcuts in (True, False):
        spec = make_spec(bars.timeframe, shortcuts=shortcuts, limits=RiskLimits(), capital=capital, **more)
        found.append(run_backtest(spec, type(strategy)(strategy.params), instrument, bars))
    result, every = found
    assert same(result, every)
    assert len(result.trades) >= least
    assert {trade.side for trade in result.trades} == ({"buy", "sell"} if allow_short else {"buy"})
    known = {"protective stop", "take profit", "trailing stop", "opposite crossover", "time limit", "back at the mean"}
    assert {trade.reason for trade in result.trades} <= known | {"stop", "target", "end of data"}
    # two per cent of equity at a time, at most three levels, and costs in proportion
    assert all(trade.quantity * trade.entry_price < capital * D("0.07") for trade in result.trades)
    fees = float(sum(trade.quantity * (trade.entry_price + trade.exit_price) for trade in result.trades)) * 0.001
    assert result.metrics["fees"] == pytest.approx(fees, rel=1e-6)
    assert result.metrics["max_drawdown"] < 0.15  # type: ignore[operator]
    check_money(result, bars, capital)
    check_prices(result, bars)
