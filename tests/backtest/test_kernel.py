"""The compiled kernel gives what the event path gives, keeps to every limit or refuses, and sums up many sets alike."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.backtest.instruments import instrument_for
from engine.backtest.kernel import Field, obstacles, run_kernel
from engine.backtest.kernel.fills import grid
from engine.backtest.kernel.rules import CONDITIONAL, KEPT
from engine.backtest.kernel.setup import given as numbers_of
from engine.backtest.run import run_backtest
from engine.backtest.spec import BacktestSpec
from engine.errors import ConfigurationError, DataError, StrategyError
from engine.model.limits import RiskLimits
from engine.strategy.signals import PositionRules
from storage.candle_sets import CandleSet
from strategies.static.mean_reversion import MeanReversion
from strategies.static.trend_following import TrendFollowing
from tests.backtest.helpers import FLAT, make_bars, make_instrument, make_spec, scripted
from tests.kit.candles import recorded_bars
from tests.kit.parity import LIMITS, differences, given_strategy, random_bars, random_columns, random_rules, random_spec
from tests.kit.workloads import Crossing, workload_spec

if TYPE_CHECKING:
    from pathlib import Path

    from engine.strategy.contract import Strategy

FILLS = BacktestSpec.model_fields["fills"].annotation.__args__  # type: ignore[union-attr]


def chance(seed: int, limits: str, fills: str, *, count: int = 250, **more: Any) -> tuple[Any, ...]:
    """A random run under these limits and fill rules."""
    rng = np.random.default_rng(seed)
    timeframe, short = str(rng.choice(["1m", "1h", "4h"])), bool(rng.random() < 0.4)
    bars = random_bars(rng, count, timeframe)
    columns, rules = random_columns(rng, bars, short=short), random_rules(rng)
    found = LIMITS[limits]
    spec = random_spec(
        rng, timeframe, fills=fills, allow_short=short, **more, **({} if found is None else {"limits": found})
    )
    instrument = make_instrument(
        margin=short,
        min_notional=str(rng.choice(["0", "10"])),
        taker_fee=str(rng.choice(["0.001", "0", "0.0004"])),
    )
    size = float(rng.choice([0.02, 0.1, 0.5, 0.95]))
    return spec, given_strategy(columns, rules, position_size_pct=size), instrument, bars


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), limits=st.sampled_from(list(LIMITS)), fills=st.sampled_from(FILLS))
def test_both_roads_give_the_same(seed: int, limits: str, fills: str) -> None:
    found, _ = differences(*chance(seed, limits, fills))
    assert found == []


@pytest.mark.parametrize("fills", FILLS)
def test_they_do_with_every_way_of_filling_under_the_usual_limits(fills: str) -> None:
    found, event = differences(*chance(11, "usual", fills))
    assert found == []
    assert event.trades


@pytest.mark.parametrize(
    ("limits", "label"),
    [
        ("daily", "Loss of the day"),
        ("weekly", "Loss of the week"),
        ("monthly", "Loss of the month"),
        ("drawdown", "Drawdown"),
        ("hard", "Hard drawdown"),
    ],
)
def test_they_do_when_each_breaker_trips(limits: str, label: str) -> None:
    tripped = 0
    for seed in range(3):
        spec, strategy, instrument, bars = chance(seed, limits, "backtesting_py", count=400)
        strategy = given_strategy(strategy.columns(bars, None), PositionRules(stop_pct=0.01), position_size_pct=0.95)
        found, event = differences(spec, strategy, instrument, bars)
        assert found == []
        tripped += any(reason.startswith(label) for _, reason in event.halts)
    assert tripped


WINDOWS = [
    pytest.param("binance_BTCUSDT_1h", "binance", "BTC/USDT", TrendFollowing, 0, 1500, id="Binance"),
    pytest.param("bitfinex_BTCUSD_1m_2016-2018", "bitfinex", "BTC/USD", MeanReversion, 600_000, 3000, id="2017"),
    pytest.param("ftx_BTC-PERP_1m", "ftx", "BTC/USD", TrendFollowing, 0, 3000, id="FTX"),
    pytest.param("okx_BTC-USDT-SWAP_5m", "okx", "BTC/USDT", MeanReversion, 20_000, 3000, id="OKX"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "venue", "symbol", "cls", "start", "count"), WINDOWS)
def test_they_do_on_recorded_candles(
    shared_data: Path, name: str, venue: str, symbol: str, cls: type[Strategy], start: int, count: int
) -> None:
    bars = recorded_bars(shared_data, name, start, count)
    strategy = cls.build({"confirm": False} if cls is MeanReversion else {})
    spec = BacktestSpec(strategy=cls.name, venue=venue, symbol=symbol, timeframe=bars.timeframe)
    instrument = instrument_for(spec, CandleSet.of(venue, symbol, bars.timeframe), bars)
    found, event = differences(spec, strategy, instrument, bars.slice(500, len(bars)), bars.slice(0, 500))
    assert found == []
    assert event.orders


# --- limits ----------------------------------------------------------------------------------------------------------


def test_every_limit_is_kept_or_can_be_refused() -> None:
    assert set(KEPT) | set(CONDITIONAL) == set(RiskLimits.model_fields)
    assert not set(KEPT) & set(CONDITIONAL)


@pytest.mark.parametrize(
    ("limits", "timeframe", "name"),
    [
        ({"position_size_method": "kelly"}, "1h", "position_size_method"),
        ({"risk_mode": "dynamic"}, "1h", "risk_mode"),
        ({"max_orders_per_minute": 3}, "15s", "max_orders_per_minute"),
    ],
)
def test_a_limit_that_it_cannot_keep_is_named(limits: dict[str, Any], timeframe: str, name: str) -> None:
    spec = make_spec(timeframe, limits=RiskLimits(**limits))
    strategy = given_strategy({"entry": np.zeros(5)}, PositionRules())
    assert [name in text for text in obstacles(spec, strategy, make_instrument())] == [True]
    with pytest.raises(ConfigurationError, match=name):
        run_kernel(spec, strategy, make_instrument(), make_bars([FLAT] * 5, timeframe))


def test_what_only_python_runs_is_named() -> None:
    plain = given_strategy({"entry": np.zeros(5)}, PositionRules())
    hooked = type("Hooked", (type(plain),), {"custom_stop": lambda self, row, memory, holding: None})(plain.params)
    assert obstacles(make_spec(), plain, make_instrument()) == []
    with pytest.raises(ConfigurationError, match="hook custom_stop"):
        run_kernel(make_spec(), hooked, make_instrument(), make_bars([FLAT] * 5))
    with pytest.raises(ConfigurationError, match="no signal strategy"):
        run_kernel(make_spec(), scripted({}), make_instrument(), make_bars([FLAT] * 5))
    with pytest.raises(ConfigurationError, match="margin"):
        run_kernel(make_spec(), plain, make_instrument(margin=True), make_bars([FLAT] * 5))


def test_an_impossible_wish_ends_the_run_as_on_the_event_path() -> None:
    for column in ({"confidence": np.full(5, 1.5)}, {"size": np.full(5, 2.0)}, {"target_distance": np.full(5, 1e-20)}):
        strategy = given_strategy({"entry": np.ones(5), **column}, PositionRules())
        for road in (run_backtest, run_kernel):
            with pytest.raises(StrategyError):
                road(make_spec(), strategy, make_instrument(), make_bars([FLAT] * 5))


def test_bars_are_needed_and_gaps_refused_where_the_specification_says_so() -> None:
    strategy = given_strategy({"entry": np.zeros(4)}, PositionRules())
    bars = make_bars([FLAT] * 5)
    with pytest.raises(DataError, match="no bars"):
        run_kernel(make_spec(), strategy, make_instrument(), bars.slice(0, 0))
    bars.ts[3:] += 3_600_000_000_000
    with pytest.raises(DataError, match="1 bars are missing"):
        run_kernel(make_spec(gaps="fail"), strategy, make_instrument(), bars.slice(1, 5))


@settings(max_examples=200, deadline=None)
@given(
    thousandths=st.integers(1, 10**9),
    factor=st.sampled_from([1.0, 0.98, 1.04, 1.0005]),
    tick=st.sampled_from(["0.01", "0.05", "0.5", "0.002"]),
)
def test_levels_are_rounded_as_exact_decimals_are(thousandths: int, factor: float, tick: str) -> None:
    price = thousandths / 1000 * factor
    instrument = make_instrument(tick=tick)
    strategy = given_strategy({"entry": np.zeros(1)}, PositionRules())
    p, q = numbers_of(make_spec(), strategy, instrument, 0)
    assert grid.py_func(price, p, q) * Decimal(tick) == instrument.round_price(Decimal(repr(price)))


# --- many sets -------------------------------------------------------------------------------------------------------


def test_many_sets_come_to_what_each_comes_to_alone() -> None:
    rng = np.random.default_rng(3)
    bars = random_bars(rng, 3000, "1h")
    spec, instrument = workload_spec(Crossing, "1h"), make_instrument()
    field = Field(spec, Crossing, instrument, bars.slice(500, 3000), bars.slice(0, 500))
    sets = [{"fast": fast, "slow": slow} for fast in (5, 10) for slow in (20, 60)]
    told: list[float] = []
    found = field.evaluate([*sets, {"fast": 0}], workers=2, progress=told.append)
    assert told == [0.2, 0.4, 0.6, 0.8, 1.0]
    assert "fast" in found[-1].error
    assert found[-1].metrics == {}
    for values, summary in zip(sets, found, strict=False):
        alone = run_kernel(spec, Crossing.build(values), instrument, bars.slice(500, 3000), history=bars.slice(0, 500))
        assert summary.params == values
        assert len(alone.trades) > 10
        for name, value in summary.metrics.items():
            assert value == pytest.approx(alone.metrics[name], rel=1e-9, abs=1e-12), name
