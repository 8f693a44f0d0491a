"""Walk-forward analysis: windows along the data, choices that have not seen the test, days counted once, warnings."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from engine.backtest.search.kernel_trials import KernelTrials
from engine.backtest.search.outcome import KEPT
from engine.backtest.search.places import Here
from engine.backtest.search.space import ranges_for
from engine.backtest.search.spec import WalkForwardSpec
from engine.backtest.search.stability import judge, moved
from engine.backtest.search.walk_forward import ratio_figure, run_walk_forward
from engine.backtest.search.windows import NS_PER_DAY, stitched, windows_of
from engine.errors import DataError
from engine.model.backtest_settings import WalkForwardSettings
from engine.model.candle import Bars
from strategies.static.mean_reversion import MeanReversion
from tests.backtest.search.bench_kit import make_bench, reversion

if TYPE_CHECKING:
    from engine.backtest.search.bench import Bench

HOUR = 3_600_000_000_000
RANGES = {"lookback_period": "10:40", "entry_threshold": "1:2.5"}
SHORT = WalkForwardSettings(training_period=12, validation_period=5, test_period=6, step_size=3, min_trades=4)


def walked(bench: Bench, **others: Any) -> dict[str, Any]:
    spec = WalkForwardSpec(run=bench.spec, **{"ranges": RANGES, "trials": 8, "windows": SHORT, **others})
    return run_walk_forward(spec, bench, reversion(), Here(), "key", lambda *_: None, lambda _: None)


@pytest.fixture(scope="module")
def bench() -> Bench:
    return make_bench(40 * 24, deep=True)


@pytest.fixture(scope="module")
def found(bench: Bench) -> dict[str, Any]:
    return walked(bench)


# --- windows


def test_the_defaults_are_those_of_the_specification() -> None:
    one = WalkForwardSettings()
    assert (one.training_period, one.validation_period, one.test_period, one.step_size, one.min_trades) == (
        365, 30, 30, 7, 50
    )  # fmt: skip


def test_two_years_hold_forty_four_windows_of_the_defaults() -> None:
    ts = np.arange(731 * 24, dtype=np.int64) * HOUR
    windows = windows_of(ts, 0, HOUR, WalkForwardSettings())
    assert len(windows) == (731 - 425) // 7 + 1 == 44
    first, last = windows[0], windows[-1]
    assert (first.training, first.validation, first.test) == ((0, 8760), (8760, 9480), (9480, 10200))
    assert last.test.last <= len(ts)
    assert {later.training.first - one.training.first for one, later in pairwise(windows)} == {168}


def test_windows_begin_at_midnight_and_pass_over_gaps() -> None:
    ts = np.arange(5, 60 * 24, dtype=np.int64) * HOUR
    windows = windows_of(ts, 0, HOUR, SHORT)
    assert int(ts[windows[0].training.first]) == NS_PER_DAY
    # Whoever takes ten days out loses the windows with nothing in a period.
    holed = ts[(ts < 14 * NS_PER_DAY) | (ts >= 24 * NS_PER_DAY)]
    for window in windows_of(holed, 0, HOUR, SHORT):
        assert window.validation.last > window.validation.first


def test_data_shorter_than_a_window_say_how_long_one_is() -> None:
    ts = np.arange(20 * 24, dtype=np.int64) * HOUR
    with pytest.raises(DataError, match="A window has 23 days"):
        windows_of(ts, 0, HOUR, SHORT)


def test_each_day_counts_once_as_the_latest_window_has_it() -> None:
    def curve(first: int, values: list[float]) -> tuple[Any, Any]:
        ts = np.array([first, *(first + 1 + k for k in range(len(values) - 1))]) * NS_PER_DAY
        return ts.astype(np.int64), np.array(values)

    days, gains = stitched([curve(10, [100, 110, 121, 121]), curve(11, [50, 40, 44])])
    assert days.tolist() == [10, 11, 12]
    assert gains == pytest.approx([0.1, -0.2, 0.1])


# --- the whole


def test_a_window_is_optimised_chosen_and_measured_on_data_of_its_own(bench: Bench, found: dict[str, Any]) -> None:
    windows = windows_of(bench.bars.ts, 0, HOUR, SHORT)
    rows = found["details"]["windows"]
    assert len(rows) == len(windows) == 6
    trials = KernelTrials(bench)
    for window, row in zip(windows, rows, strict=True):
        assert row["training"][1] == row["validation"][0]
        assert row["validation"][1] == row["test"][0]
        outcome = trials.outcome(row["params"], window.training)
        assert outcome.metrics["sharpe"] == row["scores"]["training"]
        test = trials.curve(row["params"], window.test)
        assert test.metrics["sharpe"] == row["scores"]["test"]
        assert row["trades"]["test"] == test.metrics["trades"]


def test_nothing_that_is_chosen_has_seen_its_test(bench: Bench, found: dict[str, Any]) -> None:
    """Prices after a window's validation may be anything: its parameters stay."""
    first = windows_of(bench.bars.ts, 0, HOUR, SHORT)[0]
    bars, at = bench.bars, first.test.first

    def turned(column: Any) -> Any:
        return np.concatenate((column[:at], column[at:][::-1]))

    columns = [turned(column) for column in (bars.open, bars.high, bars.low, bars.close, bars.volume)]
    # Backwards, a bar closes where it opened.
    columns[0][at:], columns[3][at:] = columns[3][at:].copy(), columns[0][at:].copy()
    twisted = replace(bench, bars=Bars("1h", bars.ts, *columns))
    row, before = walked(twisted)["details"]["windows"][0], found["details"]["windows"][0]
    assert row["params"] == before["params"]
    assert row["scores"]["training"] == before["scores"]["training"]
    assert row["scores"]["test"] != before["scores"]["test"]


def test_the_stitched_curve_covers_all_test_days_once(found: dict[str, Any]) -> None:
    rows, curve = found["details"]["windows"], found["details"]["stitched"]
    days = (rows[-1]["test"][1] - rows[0]["test"][0]) // NS_PER_DAY
    assert len(curve["ts"]) == len(curve["equity"]) == len(curve["benchmark"]) == days + 1
    assert np.diff(curve["ts"]).tolist() == [NS_PER_DAY] * days
    assert curve["figures"]["total_return"] == pytest.approx(curve["equity"][-1] / 10_000 - 1)
    # Of a window that is not the last, only the days up to the next one's test are in it.
    own = SHORT.step_size
    assert curve["equity"][own] != curve["equity"][own - 1] or rows[0]["trades"]["test"] == 0


def test_windows_with_too_few_trades_are_flagged_and_not_counted(bench: Bench) -> None:
    strict = SHORT.model_copy(update={"min_trades": 1000})
    result = walked(bench, windows=strict)
    assert all("fewer than 1000" in row["flagged"] for row in result["details"]["windows"])
    assert result["details"]["verdict"]["compared"] == 0
    assert "nothing can be concluded" in result["assumptions"]["warning_nothing_counted"]
    assert "6 of 6 windows" in result["assumptions"]["warning_flagged"]


def test_it_is_repeatable_and_tpe_searches_each_window_anew(bench: Bench, found: dict[str, Any]) -> None:
    assert walked(bench) == found
    other = walked(bench, sampler="tpe")
    assert "TPE" in other["assumptions"]["search"]
    assert len(other["details"]["windows"]) == len(found["details"]["windows"])


# --- the verdict


def row(training: float | None, test: float | None) -> dict[str, Any]:
    return {"compared": {"training": training, "test": test}}


def test_the_ratio_of_test_to_training_and_its_warning() -> None:
    good = judge([row(2.0, 1.5), row(1.0, 1.5), row(None, 9.0)], [], "sharpe", 0.5)
    assert (good["ratio"], good["compared"], good["better"], good["warnings"]) == (1.0, 2, 1.0, {})
    bad = judge([row(2.0, 1.0), row(2.0, -0.5)], [], "sharpe", 0.5)
    assert bad["ratio"] == 0.125
    assert "0.12 of that in training, below 0.5" in bad["warnings"]["overfitted"]
    none = judge([row(-1.0, 1.0)], [], "sharpe", 0.5)
    assert none["ratio"] is None
    assert "no edge" in none["warnings"]["nothing_found"]


def test_a_parameter_that_wanders_over_its_range_is_named() -> None:
    ranges = ranges_for(MeanReversion, {"lookback_period": "10:50", "entry_threshold": "1:3", "confirm": "yes,no"})
    sets: list[dict[str, Any]] = [
        {"lookback_period": value, "entry_threshold": 2.0 + value / 1000, "confirm": value > 20}
        for value in (10, 50, 10, 50)
    ]
    moves = {entry["name"]: entry for entry in moved(sets, ranges)}
    assert (moves["lookback_period"]["share"], moves["lookback_period"]["changes"]) == (0.5, 3)
    assert moves["lookback_period"]["wanders"]
    assert not moves["entry_threshold"]["wanders"]
    assert (moves["confirm"]["mean"], moves["confirm"]["changes"]) == (None, 3)
    warning = judge([row(1.0, 1.0)], list(moves.values()), "sharpe", 0.5)["warnings"]["wandering"]
    assert "The best lookback_period moves" in warning


def test_returns_of_periods_of_different_length_are_compared_by_the_year() -> None:
    assert [ratio_figure(name) for name in ("sharpe", "total_return", "max_drawdown")] == [
        "sharpe", "annual_return", "sharpe"
    ]  # fmt: skip
    assert set(map(ratio_figure, KEPT[:3])) <= set(KEPT)


def test_the_event_path_walks_to_the_same_windows(bench: Bench) -> None:
    few = {"trials": 3, "windows": SHORT.model_copy(update={"step_size": 9})}
    fast, slow = walked(bench, **few), walked(replace(bench, road="event"), **few)
    assert [row["params"] for row in fast["details"]["windows"]] == [
        row["params"] for row in slow["details"]["windows"]
    ]
    assert fast["details"]["stitched"]["equity"] == pytest.approx(slow["details"]["stitched"]["equity"], rel=1e-9)
