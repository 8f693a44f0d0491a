"""What a backtest reads, and the hash that tells one run from another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from engine.backtest.prepare import prepare_run
from engine.backtest.spec import BacktestSpec
from engine.errors import ConfigurationError, DataError, NotFoundError
from engine.strategy.loader import StrategyRegistry
from storage.candle_sets import CandleSet
from storage.candles import CandleStore
from tests.kit.candles import walk_bars

if TYPE_CHECKING:
    from pathlib import Path

HOUR = 3_600_000_000_000
START = 1_640_995_200 * 1_000_000_000
"""2022-01-01 00:00 UTC."""
KEY = CandleSet.of("binance", "BTC/USDT", "1h")
BARS = walk_bars(5, 2000, "1h", start=START)
REGISTRY = StrategyRegistry()
EAGER = {"fast_ma": 5, "slow_ma": 12, "rsi_long": 50, "volume_factor": 0}


@pytest.fixture
def store(tmp_path: Path) -> CandleStore:
    store = CandleStore(tmp_path / "candles")
    store.merge(KEY, BARS)
    return store


def spec(**changes: Any) -> BacktestSpec:
    values = {"strategy": "trend_following", "venue": "binance", "symbol": "BTC/USDT", "timeframe": "1h", **changes}
    return BacktestSpec.model_validate(values)


def test_a_run_has_everything_it_reads_and_begins_anew_each_time(store: CandleStore) -> None:
    run = prepare_run(spec(params=EAGER), store, REGISTRY, "1")

    assert len(run.bars) == 2000
    assert len(run.history) == 0
    assert run.instrument.id == "BINANCE:BTC/USDT"
    assert (run.spec.params["slow_ma"], run.spec.params["trail_atr"]) == (12, 2.0)
    first, second = run.execute(), run.execute()
    assert first.trades
    assert first.trades == second.trades
    np.testing.assert_array_equal(first.equity, second.equity)
    assert "data" in run.assumptions(first)


def test_equal_runs_have_equal_hashes_however_they_are_written(store: CandleStore) -> None:
    plain = prepare_run(spec(), store, REGISTRY, "1").run_hash

    for other in (
        spec(symbol="btc-usdt", venue="Binance"),
        spec(params={"fast_ma": "20", "rsi_long": 60}),
        spec(capital="10000.00"),
        spec(start=START, end=START + 2000 * HOUR),
        spec(shortcuts=False),
    ):
        assert prepare_run(other, store, REGISTRY, "1").run_hash == plain


def test_whatever_changes_the_result_changes_the_hash(store: CandleStore) -> None:
    hashes = [
        prepare_run(one, store, REGISTRY, release).run_hash
        for one, release in (
            (spec(), "1"),
            (spec(), "2"),
            (spec(params={"fast_ma": 21}), "1"),
            (spec(end=START + 1999 * HOUR), "1"),
            (spec(capital=20_000), "1"),
            (spec(taker_fee="0.002"), "1"),
            (spec(fills="nautilus"), "1"),
            (spec(strategy="mean_reversion"), "1"),
            (spec(limits={"max_position_size_pct": "0.2"}), "1"),
        )
    ]
    changed = walk_bars(5, 2000, "1h", start=START)
    changed.volume[7] += 1
    store.merge(KEY, changed, replace=True)
    hashes.append(prepare_run(spec(), store, REGISTRY, "1").run_hash)

    assert len(set(hashes)) == len(hashes)


def test_the_same_source_under_another_path_is_the_same_run(store: CandleStore, tmp_path: Path) -> None:
    source = (
        "from engine.strategy.contract import Strategy\n"
        "class Idle(Strategy):\n"
        '    """Does nothing."""\n'
        '    name = "idle"\n'
        "    def warmup(self, timeframe): return 1\n"
        "    def columns(self, bars, ta): return {}\n"
        "    def decide(self, row, memory, holding): return None\n"
    )
    hashes = []
    for name in ("one.py", "two.py"):
        (tmp_path / name).write_text(source)
        run = prepare_run(spec(strategy_file=str(tmp_path / name)), store, StrategyRegistry(), "1")
        hashes.append(run.run_hash)
    (tmp_path / "one.py").write_text(source + "# changed\n")
    hashes.append(prepare_run(spec(strategy_file=str(tmp_path / "one.py")), store, StrategyRegistry(), "1").run_hash)

    assert hashes[0] == hashes[1] != hashes[2]


def test_bars_before_the_start_warm_the_strategy_up_and_are_not_traded(store: CandleStore) -> None:
    start = START + 1000 * HOUR

    run = prepare_run(spec(start=start, params=EAGER), store, REGISTRY, "1")
    result = run.execute()

    assert len(run.history) == 5 * 21
    assert int(run.history.ts[-1]) == start - HOUR
    assert result.warmup == 0
    assert min(trade.entry_time for trade in result.trades) >= start


def test_a_range_without_bars_is_answered_with_what_there_is(store: CandleStore) -> None:
    with pytest.raises(DataError, match=r"from 2023-01-01 00:00 UTC; stored are 2,000 from 2022-01-01 00:00 UTC to"):
        prepare_run(spec(start=START + 365 * 24 * HOUR), store, REGISTRY, "1")
    with pytest.raises(DataError, match=r"before 2021-12-31 23:00 UTC; stored are 2,000"):
        prepare_run(spec(end=START - HOUR), store, REGISTRY, "1")


def test_too_few_bars_for_the_warm_up_are_counted(store: CandleStore) -> None:
    with pytest.raises(
        DataError, match="needs 51 bars before it decides; up to the end of the range there are only 30"
    ):
        prepare_run(spec(end=START + 30 * HOUR), store, REGISTRY, "1")


def test_what_is_not_there_is_named_with_what_is_near(store: CandleStore) -> None:
    with pytest.raises(NotFoundError, match="did you mean trend_following"):
        prepare_run(spec(strategy="trend_followin"), store, REGISTRY, "1")
    with pytest.raises(NotFoundError, match="there are some of binance BTC/USDT 1h"):
        prepare_run(spec(symbol="ETH/USDT"), store, REGISTRY, "1")
    with pytest.raises(ConfigurationError, match="did you mean slow_ma"):
        prepare_run(spec(params={"slow_mas": 50}), store, REGISTRY, "1")
