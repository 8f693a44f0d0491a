"""Paths on the compiled road are worth what the kernel says of each alone, which is what the event path says."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from engine.backtest.analysis.bootstrap import SCENARIOS
from engine.backtest.analysis.paths import PriceModel
from engine.backtest.analysis.rerun import EventTraded, traded
from engine.backtest.analysis.sensitivity import sensitivity, variations
from engine.backtest.kernel.road import run_kernel
from engine.backtest.run import run_backtest
from engine.errors import ConfigurationError
from engine.strategy.toolkit import Toolkit
from strategies.static.trend_following import TrendFollowing
from tests.backtest.analysis.biased import Clean
from tests.backtest.analysis.test_bias import walk
from tests.backtest.helpers import make_instrument, make_spec

if TYPE_CHECKING:
    from engine.strategy.contract import Strategy

PARAMS: dict[str, Any] = {"volume_factor": 0.5, "rsi_long": 50.0, "position_size_pct": 0.1}


def prepared(cls: type[Strategy], params: dict[str, Any], before: int) -> Any:
    """What an analysis gets of a stored run, without a store."""
    bars = walk(900, seed=3)
    return SimpleNamespace(
        spec=make_spec(strategy=cls.name, params=cls.build(params).params.model_dump()),
        loaded=SimpleNamespace(build=cls.build),
        instrument=make_instrument(),
        history=bars.slice(0, before),
        bars=bars.slice(before, 900),
    )


@pytest.mark.parametrize("before", [0, 255])
def test_every_path_is_worth_what_both_roads_say(before: int) -> None:
    run = prepared(TrendFollowing, PARAMS, before)
    trader, compiled, words = traded(run)
    assert compiled
    assert words == "Paths are traded on the compiled road."
    paths = PriceModel(run.bars, "prices").draw(np.random.default_rng(1), 6, SCENARIOS["stress"])
    equity, profits = trader(paths)
    for path in range(6):
        strategy = TrendFollowing.build(run.spec.params)
        alone = run_kernel(run.spec, strategy, run.instrument, paths.bars(path), history=run.history)
        assert equity[path] == pytest.approx(alone.equity, rel=1e-12)
        own = profits[path][~np.isnan(profits[path])]
        assert own.tolist() == pytest.approx([float(trade.pnl) for trade in alone.trades], rel=1e-9, abs=1e-9)
        assert len(own) > 0
    events, same = EventTraded(run)(paths)
    assert equity == pytest.approx(events, rel=1e-12)
    assert np.nansum(profits) == pytest.approx(np.nansum(same))


def test_what_the_kernel_refuses_goes_the_other_way_and_says_why() -> None:
    trader, compiled, words = traded(prepared(Clean, {}, 0))
    assert isinstance(trader, EventTraded)
    assert not compiled
    assert "no signal strategy" in words


def test_the_compiled_average_is_the_plain_one_bit_for_bit() -> None:
    from engine.backtest.analysis.compiled import CompiledToolkit

    rng = np.random.default_rng(9)
    values = rng.normal(100.0, 5.0, 500)
    values[[3, 40, 41, 300]] = np.nan
    for period in (1, 2, 14, 60):
        plain, compiled = Toolkit(), CompiledToolkit()
        assert plain.wilder(values, period).tobytes() == compiled.wilder(values, period).tobytes()
        assert plain.ema(values, period).tobytes() == compiled.ema(values, period).tobytes()
        # In two parts, the second with the carry of the first.
        first, second = CompiledToolkit(), Toolkit()
        start = first.wilder(values[:37], period)
        end = CompiledToolkit(first.carry).wilder(values[37:], period)
        whole = second.wilder(values, period)
        assert np.concatenate((start, end)).tobytes() == whole.tobytes()


def test_parameters_are_varied_by_hand() -> None:
    planned = variations({"fast": 20, "few": 2, "share": 0.5, "zero": 0, "on": True, "word": "1h"})
    assert planned == [
        ("fast", 16), ("fast", 18), ("fast", 22), ("fast", 24), ("few", 1), ("few", 3), ("share", 0.4),
        ("share", 0.45), ("share", 0.55), ("share", 0.6),
    ]  # fmt: skip


def test_the_most_sensitive_parameter_comes_first() -> None:
    def run(changes: dict[str, Any]) -> Any:
        (name, value), *_ = changes.items()
        if value > 23:
            raise ConfigurationError("too large")
        ratio = 1.0 - (3.0 if name == "b" else 0.1) * abs(value - 20)
        return SimpleNamespace(metrics={"sharpe": ratio, "total_return": 0.1, "max_drawdown": None, "trades": 5.0})

    base = {"sharpe": 1.0, "total_return": 0.2, "max_drawdown": 0.1, "trades": 5.0}
    heard: list[float] = []
    found = sensitivity({"a": 20, "b": 20}, base, run, heard.append)  # type: ignore[arg-type]
    assert [entry["parameter"] for entry in found["parameters"]] == ["b", "a"]
    assert found["parameters"][0]["sharpe"] == pytest.approx(-12.0)
    assert found["parameters"][0]["max_drawdown"] is None
    assert found["fragile"] == ["b"]
    assert [row["refused"] for row in found["rows"] if "refused" in row] == ["too large", "too large"]
    assert heard[-1] == 1.0


def test_the_event_path_and_the_kernel_vary_alike() -> None:
    from engine.backtest.analysis.rerun import with_params

    run = prepared(TrendFollowing, PARAMS, 255)
    fast, slow = (with_params(run, compiled=compiled)({"fast_ma": 15}) for compiled in (True, False))
    assert fast.metrics == slow.metrics
    base = run_backtest(run.spec, TrendFollowing.build(run.spec.params), run.instrument, run.bars, history=run.history)
    assert base.metrics != slow.metrics
