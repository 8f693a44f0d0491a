"""The benchmark workloads against plain loops that know nothing of the product: same trades, same equity."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from engine.backtest.run import run_backtest
from engine.model.candle import Bars
from tests.backtest.helpers import make_instrument
from tests.kit.candles import recorded_bars, walk_bars
from tests.kit.workloads import Band, Crossing, plain_band, plain_crossing, workload_spec

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from engine.backtest.run import BacktestResult
    from engine.strategy.contract import Strategy
    from tests.kit.workloads import PlainTrade

TICK, LOT = "0.00000001", "0.0001"
NOISE = 1e-7
"""Room for float against decimal in a price or a quantity."""


def w1(bars: Bars) -> tuple[list[PlainTrade], float]:
    return plain_crossing(bars, LOT)


def w2(bars: Bars) -> tuple[list[PlainTrade], float]:
    return plain_band(bars, LOT, float(TICK))


WORKLOADS = [pytest.param(Crossing, w1, id="W1"), pytest.param(Band, w2, id="W2")]


def run(strategy: type[Strategy], bars: Bars, *, shortcuts: bool) -> BacktestResult:
    instrument = make_instrument(tick=TICK, lot=LOT)
    return run_backtest(
        workload_spec(strategy, bars.timeframe, shortcuts=shortcuts), strategy.build({}), instrument, bars
    )


def compare(result: BacktestResult, bars: Bars, plain: tuple[list[PlainTrade], float]) -> None:
    trades, equity = plain
    assert len(result.trades) == len(trades)
    for number, (ours, theirs) in enumerate(zip(result.trades, trades, strict=True)):
        entered = int(bars.ts.searchsorted(ours.entry_time, side="right")) - 1
        left = int(bars.ts.searchsorted(ours.exit_time, side="right")) - 1
        if ours.reason == "end of data":
            left += 1
        assert (entered, left) == (theirs.entry_bar, theirs.exit_bar), number
        assert float(ours.entry_price) == pytest.approx(theirs.entry_price, abs=NOISE), number
        assert float(ours.exit_price) == pytest.approx(theirs.exit_price, abs=NOISE), number
        assert float(ours.quantity) == pytest.approx(theirs.quantity, abs=NOISE), number
    assert result.equity[-1] == pytest.approx(equity, rel=1e-9)
    assert result.refusals == {}


@pytest.mark.parametrize("shortcuts", [True, False], ids=["shortcuts", "every step"])
@pytest.mark.parametrize(("strategy", "plain"), WORKLOADS)
def test_a_seeded_walk(
    strategy: type[Strategy], plain: Callable[[Bars], tuple[list[PlainTrade], float]], shortcuts: bool
) -> None:
    walk = walk_bars(5, 6000, "1m")
    bars = Bars(
        "1m", walk.ts, *(column.round(2) for column in (walk.open, walk.high, walk.low, walk.close, walk.volume))
    )
    result = run(strategy, bars, shortcuts=shortcuts)
    assert len(result.trades) > 30
    compare(result, bars, plain(bars))


@pytest.mark.parametrize(
    ("name", "start", "count"),
    [("binance_ETHUSDT_1h", 4000, 9000), ("bitfinex_BTCUSD_1m_2016-2018", 600_000, 15_000)],
)
@pytest.mark.parametrize(("strategy", "plain"), WORKLOADS)
def test_recorded_candles(
    shared_data: Path,
    strategy: type[Strategy],
    plain: Callable[[Bars], tuple[list[PlainTrade], float]],
    name: str,
    start: int,
    count: int,
) -> None:
    bars = recorded_bars(shared_data, name, start, count)
    result = run(strategy, bars, shortcuts=True)
    assert len(result.trades) > 30
    compare(result, bars, plain(bars))
