"""Our event path as a child: `python -m tests.bench.peers.ours_event REQUEST RESULT`."""

from __future__ import annotations

from decimal import Decimal
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from engine.backtest.instruments import instrument_for
from engine.backtest.run import run_backtest
from engine.backtest.spec import BacktestSpec, data_hash, run_hash
from storage.candle_sets import CandleSet
from tests.bench.peers.catalog import LOT
from tests.bench.peers.children import kit
from tests.bench.peers.data import as_bars
from tests.kit import workloads
from tests.kit.workloads import Band, Crossing, workload_spec

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.model.candle import Bars
    from engine.model.instrument import Instrument
    from engine.strategy.contract import Strategy

TICK = Decimal("0.01")
STRATEGIES: dict[str, type[Strategy]] = {"W1": Crossing, "W2": Band}


class Given(NamedTuple):
    """Everything of a run, and what it gave."""

    spec: BacktestSpec
    strategy: type[Strategy]
    instrument: Instrument
    bars: Bars
    identity: str
    """The run's hash."""
    result: Any = None


def given(data: kit.Columns, request: dict[str, Any]) -> Given:
    """What a request asks for: its workload, and `spec` where something else is wanted than the workload's settings."""
    strategy = STRATEGIES[request["workload"]]
    bars = as_bars({name: data.numpy(name) for name in data.values})
    spec = workload_spec(strategy, "1m", shortcuts=request["variant"] != "no-skip", lot=Decimal(LOT), price_tick=TICK)
    others = {"capital": Decimal(int(kit.CAPITAL))}
    spec = BacktestSpec.model_validate(spec.model_dump() | others | request.get("spec", {}))
    instrument = instrument_for(spec, CandleSet.of("SIM", "BTC/USDT", "1m"), bars)
    source = Path(workloads.__file__).read_text(encoding="utf-8")
    return Given(spec, strategy, instrument, bars, run_hash(spec, source, data_hash(bars), release()))


def release() -> str:
    """The installed release."""
    return version("quarterdeck")


def read(done: Given, request: dict[str, Any]) -> dict[str, Any]:
    """Trades by bars, and the final equity."""
    ts, trades = done.bars.ts, []
    for trade in done.result.trades:
        entered, left = (int(ts.searchsorted(when, side="right")) - 1 for when in (trade.entry_time, trade.exit_time))
        left += trade.reason == "end of data"
        trades.append([entered, left, *(float(v) for v in (trade.entry_price, trade.exit_price, trade.quantity))])
    return {"trades": trades, "equity": float(done.result.equity[-1]), "hash": done.identity}


def _prepare(data: kit.Columns, request: dict[str, Any]) -> Callable[[], Given]:
    made = given(data, request)
    built = made.strategy.build({})
    return lambda: made._replace(result=run_backtest(made.spec, built, made.instrument, made.bars))


if __name__ == "__main__":
    kit.main(release(), {"W1": _prepare, "W2": _prepare}, read)
