"""Our event path as a child: `python -m tests.bench.peers.ours_event REQUEST RESULT`."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.backtest.instruments import instrument_for
from engine.backtest.run import run_backtest
from engine.backtest.spec import BacktestSpec, data_hash, run_hash
from storage.candle_sets import CandleSet
from tests.bench.peers.children import kit
from tests.bench.peers.data import as_bars
from tests.kit import workloads
from tests.kit.workloads import Band, Crossing, workload_spec

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.backtest.run import BacktestResult
    from engine.model.candle import Bars
    from engine.strategy.contract import Strategy

LOT = Decimal("0.0001")
TICK = Decimal("0.01")
STRATEGIES: dict[str, type[Strategy]] = {"W1": Crossing, "W2": Band}


class _Given:
    def __init__(self, result: BacktestResult, bars: Bars, identity: str) -> None:
        self.result, self.bars, self.identity = result, bars, identity


def _prepare(data: kit.Columns, request: dict[str, Any]) -> Callable[[], _Given]:
    strategy = STRATEGIES[request["workload"]]
    bars = as_bars({name: data.numpy(name) for name in data.values})
    spec = workload_spec(strategy, "1m", shortcuts=request["variant"] != "no-skip", lot=LOT, price_tick=TICK)
    spec = BacktestSpec.model_validate(spec.model_dump() | request.get("spec", {}))
    instrument = instrument_for(spec, CandleSet.of("SIM", "BTC/USDT", "1m"), bars)
    source = Path(workloads.__file__).read_text(encoding="utf-8")
    identity = run_hash(spec, source, data_hash(bars), _release())
    built = strategy.build({})
    return lambda: _Given(run_backtest(spec, built, instrument, bars), bars, identity)


def _release() -> str:
    from importlib.metadata import version

    return version("quarterdeck")


def _read(given: _Given, request: dict[str, Any]) -> dict[str, Any]:
    ts, trades = given.bars.ts, []
    for trade in given.result.trades:
        entered, left = (int(ts.searchsorted(when, side="right")) - 1 for when in (trade.entry_time, trade.exit_time))
        left += trade.reason == "end of data"
        trades.append([entered, left, *(float(v) for v in (trade.entry_price, trade.exit_price, trade.quantity))])
    return {"trades": trades, "equity": float(given.result.equity[-1]), "hash": given.identity}


if __name__ == "__main__":
    kit.main(_release(), {"W1": _prepare, "W2": _prepare}, _read)
