"""Hand-made bars, a strategy that wishes what it is told, and runs of both."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import Field

from engine.backtest.run import run_backtest
from engine.backtest.spec import BacktestSpec
from engine.model.candle import Bars, timeframe_ns
from engine.model.ids import Currency, InstrumentId, VenueId
from engine.model.instrument import Instrument, InstrumentKind, InstrumentRules
from engine.strategy.contract import Holding, Strategy, StrategyMemory, StrategyParams, Wish
from tests.kit.workloads import GENEROUS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from engine.backtest.run import BacktestResult
    from engine.backtest.trades import ClosedTrade
    from engine.model.candle import FloatArray
    from engine.strategy.toolkit import Toolkit

    Row = tuple[float, ...]
    Script = Mapping[int, Wish]

__all__ = [
    "FLAT",
    "HOUR",
    "START",
    "Scripted",
    "enter",
    "leave",
    "make_bars",
    "make_instrument",
    "make_spec",
    "play",
    "same",
    "scripted",
    "told",
]

START = 1_700_006_400 * 1_000_000_000
"""2023-11-15 00:00 UTC."""
HOUR = 3_600_000_000_000
FLAT = (100.0, 100.0, 100.0, 100.0)
"""A bar in which nothing happens at 100."""


def make_bars(rows: Sequence[Row], timeframe: str = "1h", volume: float = 1000.0) -> Bars:
    """Bars of open, high, low, close and, where it is not `volume`, volume."""
    full = np.array([(*row, volume)[:5] for row in rows], dtype=np.float64).reshape(len(rows), 5)
    ts = START + np.arange(len(rows), dtype=np.int64) * timeframe_ns(timeframe)
    return Bars(timeframe, ts, *(np.ascontiguousarray(full[:, column]) for column in range(5)))


def make_instrument(*, margin: bool = False, tick: str = "0.01", lot: str = "0.001", **rules: str) -> Instrument:
    """BTC/USDT with a fee of 0.1 % a side."""
    terms: dict[str, Any] = {
        name: Decimal(value) for name, value in ({"maker_fee": "0.001", "taker_fee": "0.001"} | rules).items()
    }
    return Instrument(
        id=InstrumentId("SIM:BTC/USDT"),
        venue=VenueId("SIM"),
        symbol="BTC/USDT",
        kind=InstrumentKind.MARGIN if margin else InstrumentKind.SPOT,
        base=Currency("BTC"),
        quote=Currency("USDT"),
        settle=Currency("USDT"),
        rules=(InstrumentRules(valid_from=0, price_tick=Decimal(tick), lot=Decimal(lot), **terms),),
    )


def make_spec(timeframe: str = "1h", **others: Any) -> BacktestSpec:
    """A specification under limits that stand in nobody's way."""
    plain: dict[str, Any] = {
        "strategy": "scripted", "venue": "SIM", "symbol": "BTC/USDT", "timeframe": timeframe, "limits": GENEROUS
    }  # fmt: skip
    return BacktestSpec(**(plain | others))


class ScriptedParams(StrategyParams):
    """What can be set."""

    position_size_pct: float = Field(0.5, ge=0.001, le=1.0, description="Size of one entry as a fraction of equity.")


class Scripted(Strategy):
    """Wishes at each bar what a script says, and wakes up nowhere else while flat."""

    name = "scripted"
    Params = ScriptedParams

    def __init__(self, params: StrategyParams) -> None:
        super().__init__(params)
        self.script: Script = {}
        self.boom = -1
        """Bar at which it fails."""
        self.seen: Callable[[int, Holding], None] | None = None
        self.length = HOUR

    def warmup(self, timeframe: str) -> int:
        return 1

    def columns(self, bars: Bars, ta: Toolkit) -> dict[str, FloatArray]:
        asked = [*self.script, self.boom]
        self.length = timeframe_ns(bars.timeframe)
        number = (bars.ts - START) // self.length
        return {"wake": np.isin(number, asked).astype(np.float64)}

    def decide(self, row: Any, memory: StrategyMemory, holding: Holding) -> Wish | None:
        number = (row.ts - START) // self.length
        if number == self.boom:
            raise ZeroDivisionError("no luck")
        if self.seen is not None:
            self.seen(number, holding)
        return self.script.get(number)


def scripted(script: Script, *, size: float = 0.5, boom: int = -1) -> Scripted:
    """The strategy of a script, entering with that fraction of the equity."""
    strategy = Scripted(ScriptedParams(position_size_pct=size))
    strategy.script, strategy.boom = script, boom
    return strategy


def enter(side: int = 1, stop: float | None = 1.0, target: float | None = None, reason: str = "in") -> Wish:
    """Enter; the stop of a long lies, unless asked otherwise, where no price goes."""
    return Wish.enter(side, 1.0, reason, stop=stop, target=target)


def leave(reason: str = "out") -> Wish:
    """Close everything."""
    return Wish.exit(reason)


def play(
    rows: Sequence[Row],
    script: Script,
    *,
    size: float = 0.5,
    volume: float = 1000.0,
    instrument: Instrument | None = None,
    **spec: Any,
) -> BacktestResult:
    """Run a script over bars."""
    bars = make_bars(rows, volume=volume)
    traded = instrument or make_instrument(margin=bool(spec.get("allow_short")))
    return run_backtest(make_spec(**spec), scripted(script, size=size), traded, bars)


def told(trade: ClosedTrade) -> str:
    """A trade in a line: side, quantity, prices, fees, result, reason; times as hours since the start."""
    times = [(ts - START) / HOUR for ts in (trade.entry_time, trade.exit_time)]
    prices = f"{trade.entry_price.normalize():f}→{trade.exit_price.normalize():f}"
    return (
        f"{trade.side} {trade.quantity.normalize():f} {prices} at {times[0]:.4g}→{times[1]:.4g} h, "
        f"fees {trade.fees.normalize():f}, {trade.pnl.normalize():+f}: {trade.reason}"
    )


def same(one: BacktestResult, other: BacktestResult) -> bool:
    """Whether two runs are the same in everything that a run gives."""
    return (
        one.trades == other.trades
        and one.equity.tobytes() == other.equity.tobytes()
        and one.metrics == other.metrics
        and (one.orders, one.refusals, one.halts) == (other.orders, other.refusals, other.halts)
    )
