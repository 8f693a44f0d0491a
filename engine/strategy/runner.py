"""Runs one strategy on one instrument, over a history at once or bar by bar, with the same signals either way.

All of a strategy's own code is called from here and nowhere else, behind one guard: whatever it raises becomes a
`StrategyError` that names the strategy, the place in its file and the bar.
"""

from __future__ import annotations

import math
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec

from engine.errors import DataValidationError, StrategyError
from engine.model.candle import timeframe_ns
from engine.model.signal import Signal, SignalAction, SignalDirection
from engine.strategy.contract import Holding, Strategy, StrategyMemory, Wish
from engine.strategy.faults import THEIR_FAULTS, cause_text, line_in, source_file
from engine.strategy.params import params_hash

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from engine.model.candle import Bars, FloatArray
    from engine.model.ids import InstrumentId
    from engine.strategy.rows import Rows

__all__ = ["MOST_SAVED_BYTES", "STATE_MISMATCH", "Batch", "StrategyRunner"]

STATE_MISMATCH = "state_mismatch"
"""`error_code` of a saved state that cannot be taken up; the way out is to warm up anew."""
MOST_SAVED_BYTES = 1 << 20
"""Most that a strategy may remember, its indicators' carry included: it is booked after every bar."""
_FORMAT = 1
_HISTORY_FACTOR = 5
"""After five warm-ups a Wilder average holds less than a hundredth of what it began with."""


class _Saved(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A runner's whole state as bytes hold it."""

    format: int
    strategy: str
    version: str
    params: str
    timeframe: str
    schema: int
    last_ts: int
    seen: int
    memory: bytes
    carry: dict[str, list[float]]


class Batch:
    """A history made ready: columns computed once, rows at hand.

    Attributes:
        bars: The bars.
        columns: The strategy's columns by name, float64 of shape (len(bars),).
        first: First row at which the strategy may decide.
        wake: Rows from `first` on at which it could do anything while flat, ascending.
        wake_held: The same while it holds something and the close lies within `Strategy.keeps_between`.
        rows: Named tuples by row number.
    """

    def __init__(self, runner: StrategyRunner, bars: Bars, columns: dict[str, FloatArray], rows: Rows, first: int):
        self._runner = runner
        self.bars = bars
        self.columns = columns
        self.rows = rows
        self.first = first
        strategy = runner.strategy
        self.wake = self._rows(columns.get(strategy.wake_column))
        self.wake_held = self._rows(strategy.wakes_held(columns))

    def _rows(self, column: FloatArray | None) -> list[int]:
        """The rows that a column marks; all from the first decision on where there is none."""
        if column is None:
            return list(range(self.first, len(self.bars)))
        marked: list[int] = (self.first + column[self.first :].nonzero()[0]).tolist()
        return marked

    def __len__(self) -> int:
        return len(self.bars)

    def signal(self, index: int, holding: Holding) -> Signal | None:
        """Ask the strategy at the close of one row; None while it warms up. Rows are asked in ascending order.

        Raises:
            StrategyError: The strategy failed or wished for something impossible.
        """
        return None if index < self.first else self._runner.decide(self.rows[index], holding)


class StrategyRunner:
    """One strategy at work on one instrument and timeframe.

    Args:
        strategy: The strategy; the runner owns its memory.
        instrument: What its signals are for.
        timeframe: Timeframe of the bars; None takes the strategy's default.
        timer: Monotonic nanoseconds, such as a clock's `monotonic`; None measures nothing.

    Attributes:
        warmup: Bars that must have been seen before the strategy is asked.
        memory: What the strategy remembers.
        last_ts: Open of the newest bar taken in, UTC ns; -1 before the first.
        seen: Bars taken in.
        broken: Bars left out because they were impossible.
        latency_ns: How long the last `on_bars` took; 0 without a timer.
    """

    def __init__(
        self,
        strategy: Strategy,
        instrument: InstrumentId,
        *,
        timeframe: str | None = None,
        timer: Callable[[], int] | None = None,
    ) -> None:
        self.strategy = strategy
        self.instrument = instrument
        self.timeframe = timeframe or strategy.timeframe
        self.memory: StrategyMemory = strategy.Memory()
        self.last_ts = -1
        self.seen = 0
        self.broken = 0
        self.latency_ns = 0
        self.params_hash = params_hash(strategy)
        self._length = timeframe_ns(self.timeframe)
        self._timer = timer
        self._carry: dict[str, FloatArray] = {}
        self._failure: StrategyError | None = None
        self._file = source_file(type(strategy))
        self._facts: dict[str, float | str] = {
            "version": strategy.version,
            "params": self.params_hash,
            "position_size_pct": float(strategy.params.position_size_pct),
        }
        with self._guard("warmup"):
            self.warmup = max(int(strategy.warmup(self.timeframe)), 1)

    @property
    def history(self) -> int:
        """Bars worth loading before the start where there are that many, so that averages forget their beginning."""
        return _HISTORY_FACTOR * self.warmup

    # ------------------------------------------------------------------------------------------------------- in bulk

    def prepare(self, bars: Bars) -> Batch:
        """Take in a whole history and give row by row access to it.

        Raises:
            DataValidationError: A bar is impossible, out of order or of another timeframe; nothing was taken in.
            StrategyError: The strategy failed.
        """
        from engine.strategy.rows import Rows
        from engine.strategy.soundness import first_fault

        self._check_timeframe(bars)
        fault = first_fault(bars, self.last_ts)
        if fault:
            raise DataValidationError(
                f"Row {fault[0]} of the {self.timeframe} history of {self.instrument} {fault[1]}. Import it again or "
                "choose a range without it.",
                details={"row": fault[0]},
            )
        first = max(self.warmup - 1 - self.seen, 0)
        columns = self._columns(bars)
        return Batch(self, bars, columns, Rows(bars, columns), first)

    def warm_up(self, bars: Bars) -> None:
        """Take in history without asking for decisions; bars already seen and impossible ones are left out.

        Raises:
            DataValidationError: The bars are of another timeframe.
            StrategyError: The strategy failed.
        """
        self._columns(self._usable(bars))

    # ----------------------------------------------------------------------------------------------------- bar by bar

    def on_bars(self, bars: Bars, holding: Holding) -> list[Signal]:
        """Take in newly closed bars and ask at each; bars already seen and impossible ones are left out.

        Args:
            bars: Closed bars of the runner's timeframe, oldest first; usually one.
            holding: What the bot holds now; several bars at once are all asked with it.

        Returns:
            The signals, oldest first; empty while warming up.

        Raises:
            DataValidationError: The bars are of another timeframe.
            StrategyError: The strategy failed; every later call raises the same until a new runner is made.
        """
        from engine.strategy.rows import Rows

        began = self._timer() if self._timer else 0
        fresh = self._usable(bars)
        first = max(self.warmup - 1 - self.seen, 0)
        rows = Rows(fresh, self._columns(fresh))
        signals = [self.decide(rows[index], holding) for index in range(first, len(rows))]
        if self._timer:
            self.latency_ns = self._timer() - began
        return [signal for signal in signals if signal is not None]

    def decide(self, row: Any, holding: Holding) -> Signal | None:
        """Ask the strategy at one row and check what it wishes for.

        Raises:
            StrategyError: It failed or wished for something impossible.
        """
        if self._failure:
            raise self._failure
        try:
            wish = self.strategy.decide(row, self.memory, holding)
            return None if wish is None else self._signal(wish, row, holding)
        except THEIR_FAULTS as error:  # a strategy's own code may raise anything, and must harm nobody else
            raise self._failed("decide", error, row.ts) from error

    # -------------------------------------------------------------------------------------------------- saved state

    def save(self) -> bytes:
        """Memory and indicators' carry as bytes, for `restore`.

        Raises:
            StrategyError: The memory holds something that cannot be saved, or more than MOST_SAVED_BYTES.
        """
        with self._guard("Memory"):
            memory = msgspec.msgpack.encode(self.memory, enc_hook=_plain)
        saved = _Saved(
            format=_FORMAT,
            strategy=self.strategy.name,
            version=self.strategy.version,
            params=self.params_hash,
            timeframe=self.timeframe,
            schema=self.strategy.Memory.schema,
            last_ts=self.last_ts,
            seen=self.seen,
            memory=memory,
            carry={key: values.tolist() for key, values in self._carry.items()},
        )
        data = msgspec.msgpack.encode(saved)
        if len(data) > MOST_SAVED_BYTES:
            raise StrategyError(
                f"The strategy {self.strategy.name} remembers {len(data) / (1 << 20):.1f} MB, and may remember "
                f"{MOST_SAVED_BYTES >> 20} MB; let it forget what is old, or keep it in a file."
            )
        return data

    def restore(self, data: bytes, *, memory_only: bool = False) -> None:
        """Take up a saved state; on an error nothing has changed.

        Args:
            data: What `save` returned.
            memory_only: Take up the memory alone, for changed parameters or a new version with the same memory; the
                indicators then need `warm_up`.

        Raises:
            StrategyError: It was saved by something else (`error_code` is STATE_MISMATCH).
        """
        import numpy as np

        try:
            saved = msgspec.msgpack.decode(data, type=_Saved)
            memory = msgspec.msgpack.decode(saved.memory, type=self.strategy.Memory)
        except msgspec.MsgspecError as error:
            raise self._mismatch(f"cannot be read ({error})") from error
        expected = {"format": _FORMAT, "strategy": self.strategy.name, "schema": self.strategy.Memory.schema}
        if not memory_only:
            expected |= {
                "version": self.strategy.version,
                "params": self.params_hash,
                "timeframe": self.timeframe,
            }
        for field, value in expected.items():
            if getattr(saved, field) != value:
                raise self._mismatch(f"has {field} {getattr(saved, field)}, this one {value}")
        self.memory = memory
        if not memory_only:
            self.last_ts, self.seen = saved.last_ts, saved.seen
            self._carry = {key: np.array(values, dtype=np.float64) for key, values in saved.carry.items()}

    def _mismatch(self, what: str) -> StrategyError:
        return StrategyError(
            f"The saved state of {self.strategy.name} on {self.instrument} {what}. Warm up anew from history; what the "
            "strategy remembered of an open position is lost, so look at its stop.",
            error_code=STATE_MISMATCH,
        )

    # ------------------------------------------------------------------------------------------------------- inside

    def _columns(self, bars: Bars) -> dict[str, FloatArray]:
        """Feed bars through the strategy's indicators and keep what the next ones need."""
        import numpy as np

        from engine.strategy.rows import check_columns
        from engine.strategy.toolkit import Toolkit

        if self._failure:
            raise self._failure
        ta = Toolkit(self._carry)
        with self._guard("columns", bars), np.errstate(all="ignore"):
            columns = check_columns(self.strategy.columns(bars, ta), len(bars))
        self._carry = ta.carry
        if len(bars):
            self.last_ts = int(bars.ts[-1])
            self.seen += len(bars)
        return columns

    def _usable(self, bars: Bars) -> Bars:
        """The bars that are new and possible."""
        from engine.strategy.soundness import sound_bars

        self._check_timeframe(bars)
        fresh = bars.slice(int(bars.ts.searchsorted(self.last_ts, side="right")), len(bars))
        sound = sound_bars(fresh, self.last_ts)
        self.broken += len(fresh) - len(sound)
        return sound

    def _check_timeframe(self, bars: Bars) -> None:
        if bars.timeframe != self.timeframe:
            raise DataValidationError(
                f"{self.strategy.name} runs on bars of {self.timeframe} and was given bars of {bars.timeframe}; load "
                f"those of {self.timeframe} or start it on {bars.timeframe}."
            )

    def _signal(self, wish: object, row: Any, holding: Holding) -> Signal | None:
        """The signal of a wish, or None where there is nothing to do."""
        if not isinstance(wish, Wish):
            raise StrategyError(f"decide() must return a Wish or None, not {type(wish).__name__}")
        if not 0.0 <= wish.confidence <= 1.0:
            raise StrategyError(f"the confidence {wish.confidence} is not within 0 to 1")
        if not 0.0 < wish.size <= 1.0:
            raise StrategyError(f"the size {wish.size} is not above 0 and up to 1")
        direction, side = wish.direction, holding.side
        if wish.action is SignalAction.ENTER:
            if direction is SignalDirection.HOLD:
                raise StrategyError("a wish to enter must say BUY or SELL")
            if wish.confidence < self.strategy.params.min_confidence:
                return None
            side = 1 if direction is SignalDirection.BUY else -1
        elif side == 0:
            return None
        elif wish.action is SignalAction.EXIT:
            direction = SignalDirection.SELL if side > 0 else SignalDirection.BUY
        else:
            direction = SignalDirection.HOLD
        if wish.action is not SignalAction.EXIT:
            _check_price("stop", wish.stop, row.close, side)
            _check_price("target", wish.target, row.close, -side)
        return Signal(
            instrument=self.instrument,
            strategy=self.strategy.name,
            action=wish.action,
            direction=direction,
            confidence=wish.confidence,
            ts=row.ts + self._length,
            reason=wish.reason,
            stop=wish.stop,
            target=wish.target,
            size=wish.size,
            metadata=self._facts,
        )

    @contextmanager
    def _guard(self, method: str, bars: Bars | None = None) -> Iterator[None]:
        try:
            yield
        except THEIR_FAULTS as error:  # a strategy's own code may raise anything, and must harm nobody else
            raise self._failed(method, error, int(bars.ts[0]) if bars is not None and len(bars) else None) from error

    def _failed(self, method: str, error: BaseException, ts: int | None) -> StrategyError:
        line = line_in(error, self._file)
        place = f"{method}()" + (f", line {line} of {self._file}" if line else "")
        when = f" at the bar of {datetime.fromtimestamp(ts // 10**9, UTC):%Y-%m-%d %H:%M:%S} UTC" if ts else ""
        cause = error.message if isinstance(error, StrategyError) else cause_text(error)
        self._failure = StrategyError(
            f"The strategy {self.strategy.name} failed in {place}{when}: {cause.rstrip('.')}. It decides nothing more; "
            "correct it and start the bot again.",
            details={"strategy": self.strategy.name, "method": method, "bar_ts": ts, "line": line, "cause": cause},
        )
        return self._failure


def _check_price(name: str, price: float | None, close: float, below: int) -> None:
    """A protective price must lie on its own side of the close: the stop of a long below, its target above."""
    if price is None:
        return
    if not math.isfinite(price) or price <= 0:
        raise StrategyError(f"the {name} {price} is no price")
    if below * (close - price) <= 0:
        raise StrategyError(f"the {name} {price:g} is on the wrong side of the close {close:g}")


def _plain(value: Any) -> object:
    """A number out of an array, as a strategy may well remember, is saved as the plain number it is."""
    if hasattr(value, "dtype") and hasattr(value, "item") and not getattr(value, "shape", ()):
        return value.item()
    raise TypeError(f"a memory holds plain values, not {type(value).__name__}")
