"""One run on the compiled road, with the same result as on the event path."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.backtest.kernel import layout as x
from engine.backtest.kernel.rules import require
from engine.backtest.kernel.setup import columns_of, fault, given, roi_of, series_of
from engine.backtest.outcome import check_gaps, outcome
from engine.backtest.trades import TradeBook
from engine.errors import DataError
from engine.model.decimals import exact
from engine.model.fill import Fill
from engine.model.ids import AccountId, ClientOrderId, TradeId, VenueId, VenueOrderId
from engine.model.order import Liquidity, OrderSide
from engine.model.risk import RefusalCode
from engine.risk.breakers import BREAKERS, Measured, trip_reason
from engine.risk.emergency import EMERGENCY_REASON
from engine.strategy.runner import StrategyRunner

if TYPE_CHECKING:
    from engine.backtest.outcome import BacktestResult
    from engine.backtest.spec import BacktestSpec
    from engine.model.candle import Bars
    from engine.model.instrument import Instrument
    from engine.strategy.contract import Strategy
    from engine.strategy.runner import Batch
    from engine.strategy.signals import SignalStrategy

__all__ = ["run_kernel"]

ACCOUNT = AccountId("backtest")
END_OF_DATA = "end of data"
NOT_SIZED = "not_sized"
_FILLS = 4096
_WHY = {
    x.WHY_STOP: "stop",
    x.WHY_TRAIL: "trailing stop",
    x.WHY_TARGET: "target",
    x.WHY_STEP: "stepped target",
    x.WHY_TIME: "time limit",
}
_FIXED = {x.BY_STOP: "protective stop", x.BY_TARGET: "take profit", x.BY_END: END_OF_DATA}


def run_kernel(
    spec: BacktestSpec, strategy: Strategy, instrument: Instrument, bars: Bars, *, history: Bars | None = None
) -> BacktestResult:
    """Run one specification on the compiled road.

    Args:
        spec: What to run.
        strategy: The strategy, built with the specification's parameters.
        instrument: What is traded, with the fees of the specification in its rules.
        bars: Closed bars of the specification's timeframe, oldest first.
        history: Bars before the first one, from which the strategy warms up; nothing is traded on them.

    Raises:
        ConfigurationError: The kernel cannot run it; every reason is named.
        DataError: There are no bars, one is impossible, or some are missing and the specification wants none to be.
        StrategyError: The strategy failed.
    """
    signals = require(spec, strategy, instrument)
    if not len(bars):
        raise DataError("There are no bars in that range; look at `quarterdeck data list` for what is stored.")
    check_gaps(spec, bars)
    runner = StrategyRunner(strategy, instrument.id, timeframe=spec.timeframe)
    if history is not None and len(history):
        runner.warm_up(history)
    batch = runner.prepare(bars)
    done = _Pass(spec, signals, instrument, bars, batch)
    return done.result()


class _Pass:
    """One compiled pass and what it left behind."""

    def __init__(
        self, spec: BacktestSpec, strategy: SignalStrategy, instrument: Instrument, bars: Bars, batch: Batch
    ) -> None:
        from engine.backtest.kernel.loop import simulate

        self.spec, self.strategy, self.instrument, self.bars = spec, strategy, instrument, bars
        self.warmup = min(batch.first, len(bars))
        self.columns = batch.columns
        self.rows = batch.rows
        p, q = given(spec, strategy, instrument, batch.first)
        q[x.RECORD] = 1
        self.k, self.s = np.zeros(x.K_SIZE, dtype=np.int64), np.zeros(x.S_SIZE)
        self.halts = np.zeros((x.HALTS_KEPT, x.H_SIZE))
        book, daily = np.zeros((x.LOTS_KEPT, 2), dtype=np.int64), np.zeros(days_of(bars, int(q[x.LENGTH])))
        size = _FILLS
        while True:
            self.fills = np.zeros((size, x.F_SIZE), dtype=np.int64)
            q[x.FILLS_ROOM] = size
            out = self.fills, book, self.halts, daily
            simulate(series_of(bars), columns_of(batch.columns), *roi_of(strategy), self.k, self.s, p, q, out)
            if self.k[x.STATUS] != x.FULL:
                break
            size *= 8
        if self.k[x.STATUS] != x.OK:
            raise fault(strategy, self.k, self._when(int(self.k[x.STATUS_ROW])))

    def _when(self, row: int) -> str:
        return f" at the bar of {datetime.fromtimestamp(int(self.bars.ts[row]) // 10**9, UTC):%Y-%m-%d %H:%M} UTC"

    def result(self) -> BacktestResult:
        """Everything that a run gives."""
        trades = TradeBook(self.instrument)
        changes: list[tuple[int, float, float]] = []
        cash, units = self.spec.capital, Decimal(0)
        for line in self.fills[: self.k[x.FILLS]].tolist():
            fill = self._fill(line)
            trades.add(fill, self._reason(line), self._wanted(line))
            with exact():
                cash -= fill.side.sign * fill.price * fill.quantity + fill.fee
                units += fill.side.sign * fill.quantity
            changes.append((line[x.F_BAR], float(cash), float(units)))
        return outcome(
            self.spec,
            self.bars,
            trades.closed,
            changes,
            orders=int(self.k[x.ORDERS]),
            refusals=self._refusals(),
            forced_close=bool(self.k[x.BUSY]),
            halts=[(int(halt[x.H_TS]), self._halt_reason(halt)) for halt in self._halts()],
            warmup=self.warmup,
        )

    def _fill(self, line: list[int]) -> Fill:
        instrument, rules = self.instrument, self.instrument.current_rules
        with exact():
            price, quantity = line[x.F_TICKS] * rules.price_tick, line[x.F_LOTS] * rules.lot
            fee = instrument.notional(price, quantity) * rules.taker_fee
        return Fill(
            venue=VenueId(instrument.venue),
            account=ACCOUNT,
            instrument=instrument.id,
            trade_id=TradeId(""),
            venue_order_id=VenueOrderId(""),
            client_id=ClientOrderId(""),
            side=OrderSide.BUY if line[x.F_SIDE] > 0 else OrderSide.SELL,
            price=price,
            quantity=quantity,
            fee=fee,
            fee_currency=instrument.quote,
            liquidity=Liquidity.TAKER,
            ts=line[x.F_TS],
        )

    def _wanted(self, line: list[int]) -> Decimal:
        if line[x.F_KIND] in (x.BY_STOP, x.BY_TARGET):
            with exact():
                return line[x.F_WANTED] * self.instrument.current_rules.price_tick
        return Decimal(repr(float(self.bars.close[line[x.F_ROW]])))

    # --- words -------------------------------------------------------------------------------------------------------

    def _reason(self, line: list[int]) -> str:
        kind, row, code = line[x.F_KIND], line[x.F_ROW], line[x.F_CODE]
        if kind == x.BY_ENTRY:
            return self._entry_reason(row) if code == 1 else f"level {code}"
        if kind == x.BY_CLOSE:
            tag = self.columns.get("exit_tag")
            return self.strategy.exit_tags[0 if tag is None else int(tag[row])] if code == x.WHY_SIGNAL else _WHY[code]
        if kind == x.BY_EMERGENCY:
            return f"{EMERGENCY_REASON}: {self._halt_reason(self._halts()[-1])}"
        return _FIXED[kind]

    def _entry_reason(self, row: int) -> str:
        tags = self.columns.get("entry_tag")
        return self.strategy.words_of_entry(self.rows[row], 0 if tags is None else int(tags[row]))

    def _halts(self) -> Any:
        return self.halts[: min(int(self.k[x.HALTS]), x.HALTS_KEPT)]

    def _halt_reason(self, halt: Any) -> str:
        breaker = BREAKERS[int(halt[x.H_BREAKER])]
        equity, reference = (Decimal(repr(round(float(halt[n]), 8))) for n in (x.H_EQUITY, x.H_REFERENCE))
        measured = Measured(
            equity=equity, peak=reference, day_start=reference, week_start=reference, month_start=reference
        )
        return trip_reason(breaker, ACCOUNT, measured, self.spec.limits, self.instrument.quote)

    def _refusals(self) -> dict[str, int]:
        counts = {
            NOT_SIZED: x.NOT_SIZED,
            str(RefusalCode.HALTED): x.REFUSED_HALTED,
            str(RefusalCode.REDUCING): x.REFUSED_REDUCING,
            "insufficient_balance": x.REFUSED_MONEY,
        }
        return {name: int(self.k[slot]) for name, slot in counts.items() if self.k[slot]}


def days_of(bars: Bars, length: int) -> int:
    """UTC days that bars touch, the first and the last included."""
    day = 86_400 * 10**9
    return int((int(bars.ts[-1]) + length - 1) // day - (int(bars.ts[0]) + length - 1) // day) + 1
