"""The event-path backtest: bars per second of whole runs, with the shortcuts and with every step taken at every bar.

Measured without loading the bars: preparing columns, matching, ledger, risk and figures are all in. Each run is in this
one process; a figure is the median of three.
"""

from __future__ import annotations

import importlib.util
import statistics
import time
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from engine.backtest.instruments import instrument_for
from engine.backtest.run import run_backtest
from engine.backtest.spec import BacktestSpec
from engine.model.candle import Bars
from storage.candle_sets import CandleSet
from strategies.static.mean_reversion import MeanReversion
from strategies.static.trend_following import TrendFollowing
from tests.bench.table import Row
from tests.kit.candles import recorded_bars
from tests.kit.workloads import Band, Crossing, plain_crossing, workload_spec

if TYPE_CHECKING:
    from engine.backtest.run import BacktestResult
    from engine.model.instrument import Instrument
    from engine.strategy.contract import Strategy

SHARED = Path(__file__).resolve().parents[3] / "shared"
BAR = 20_000
ROUNDS = 3
YEAR_2017 = (1_483_228_800 * 10**9, 1_514_764_800 * 10**9)


class _Measured(NamedTuple):
    wall: float
    """Bars per second."""
    cpu: float
    """Bars per second of processor time."""
    result: BacktestResult


def run() -> list[Row]:
    """Measure."""
    if not (SHARED / "data").is_dir():
        return [Row("event-path backtest", f"no recorded candles at {SHARED / 'data'}", f"≥ {BAR:,} bars/s")]
    rows = _trend()
    rows += _pair("mean reversion, okx ETH 5m", _recorded("okx_ETH-USDT-SWAP_5m", "okx", "ETH/USDT", MeanReversion))
    generator = SHARED / "bench" / "gen_data.py"
    return rows + (_workloads(generator) if generator.is_file() else [])


def _trend() -> list[Row]:
    bars = recorded_bars(SHARED / "data", "bitfinex_BTCUSD_1m_2016-2018")
    first, last = (int(bars.ts.searchsorted(moment)) for moment in YEAR_2017)
    case = _case(bars.slice(first, last), "bitfinex", "BTC/USD", TrendFollowing)
    fast, every = _median(case, shortcuts=True), _median(case, shortcuts=False)
    alike = _alike(fast.result, every.result)
    count = len(fast.result.trades)
    return [
        Row(
            f"event-path backtest, trend following, bitfinex BTC 1m of 2017 ({fast.result.bars:,} bars)",
            f"{fast.wall:,.0f} bars/s ({fast.cpu:,.0f} per CPU second)",
            f"≥ {BAR:,} bars/s",
            fast.wall >= BAR,
        ),
        Row(
            "  with every shortcut switched off",
            f"{every.wall:,.0f} bars/s ({every.cpu:,.0f} per CPU second)",
            f"≥ {BAR:,} bars/s",
            every.wall >= BAR,
        ),
        Row(
            "  same trades, equity and figures",
            f"{'yes' if alike else 'NO'}, {count:,} trades, {fast.result.orders:,} orders",
            "the same",
            alike,
        ),
    ]


def _pair(what: str, case: tuple[type[Strategy], Bars, BacktestSpec, Instrument]) -> list[Row]:
    fast, every = _median(case, shortcuts=True), _median(case, shortcuts=False)
    alike = "same trades" if _alike(fast.result, every.result) else "OTHER TRADES"
    held = f"{len(fast.result.trades):,} trades, in the market {fast.result.metrics['exposure']:.0%}"
    speed = f"{fast.wall:,.0f} bars/s ({fast.cpu:,.0f} per CPU second)"
    return [Row(f"{what} ({held})", f"{speed}; every step {every.wall:,.0f} ({every.cpu:,.0f}), {alike}")]


def _workloads(generator: Path) -> list[Row]:
    spec = importlib.util.spec_from_file_location("gen_data", generator)
    if spec is None or spec.loader is None:
        return []
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    frame = module.bars(200_000)
    ts = frame["timestamp"].to_numpy() * 1_000_000
    bars = Bars("1m", ts, *(frame[name].to_numpy() for name in ("open", "high", "low", "close", "volume")))
    rows = []
    for name, strategy in (("W1", Crossing), ("W2", Band)):
        instrument = _instrument(workload_spec(strategy, "1m"), bars, "SIM", "BTC/USDT")
        case = (strategy, bars, workload_spec(strategy, "1m"), instrument)
        rows += _pair(f"{name} on 200,000 generated 1m bars", case)
        if strategy is Crossing:
            trades, equity = plain_crossing(bars, str(instrument.current_rules.lot))
            ours = _once(case, shortcuts=True).result
            agree = len(ours.trades) == len(trades) and abs(float(ours.equity[-1]) - equity) < 1e-6
            rows.append(Row("  trades and final equity as a plain loop's", "yes" if agree else "NO", "the same", agree))
    return rows


def _recorded(
    name: str, venue: str, symbol: str, strategy: type[Strategy]
) -> tuple[type[Strategy], Bars, BacktestSpec, Instrument]:
    return _case(recorded_bars(SHARED / "data", name), venue, symbol, strategy)


def _case(
    bars: Bars, venue: str, symbol: str, strategy: type[Strategy]
) -> tuple[type[Strategy], Bars, BacktestSpec, Instrument]:
    spec = BacktestSpec(strategy=strategy.name, venue=venue, symbol=symbol, timeframe=bars.timeframe)
    return strategy, bars, spec, _instrument(spec, bars, venue, symbol)


def _instrument(spec: BacktestSpec, bars: Bars, venue: str, symbol: str) -> Instrument:
    # The generator's lots are finer than what its volumes show.
    chosen: dict[str, Any] = {"price_tick": Decimal("0.01"), "lot": Decimal("0.0001")} if venue == "SIM" else {}
    return instrument_for(spec.model_copy(update=chosen), CandleSet.of(venue, symbol, bars.timeframe), bars)


def _once(case: tuple[type[Strategy], Bars, BacktestSpec, Instrument], *, shortcuts: bool) -> _Measured:
    strategy, bars, spec, instrument = case
    wanted = spec.model_copy(update={"shortcuts": shortcuts})
    built = strategy.build({})
    wall, cpu = time.perf_counter(), time.process_time()
    result = run_backtest(wanted, built, instrument, bars)
    return _Measured(len(bars) / (time.perf_counter() - wall), len(bars) / max(time.process_time() - cpu, 1e-9), result)


def _median(case: tuple[type[Strategy], Bars, BacktestSpec, Instrument], *, shortcuts: bool) -> _Measured:
    rounds = [_once(case, shortcuts=shortcuts) for _ in range(ROUNDS)]
    wall = statistics.median(measured.wall for measured in rounds)
    return _Measured(wall, statistics.median(measured.cpu for measured in rounds), rounds[0].result)


def _alike(one: BacktestResult, other: BacktestResult) -> bool:
    return (
        one.trades == other.trades and one.equity.tobytes() == other.equity.tobytes() and one.metrics == other.metrics
    )
