"""The runner checks what a strategy says, guards every call, and can be saved and taken up again."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pytest

from engine.errors import DataValidationError, StrategyError
from engine.model.candle import Bars, timeframe_ns
from engine.model.signal import Signal, SignalAction, SignalDirection
from engine.strategy.contract import Holding, Strategy, StrategyMemory, StrategyParams, Wish
from engine.strategy.runner import MOST_SAVED_BYTES, STATE_MISMATCH, StrategyRunner
from tests.kit.candles import START, walk_bars
from tests.kit.strategy_driver import INSTRUMENT

if TYPE_CHECKING:
    from engine.model.candle import FloatArray
    from engine.strategy.toolkit import Toolkit

LONG, FLAT, SHORT = Holding(2.0, 100.0), Holding(), Holding(-2.0, 100.0)
Decide = Callable[[Any, "CountMemory"], Wish | None]


class CountMemory(StrategyMemory):
    asked: int = 0
    price: float = -math.inf


class Scripted(Strategy):
    """A strategy that says what a test tells it to."""

    name = "scripted"
    Memory = CountMemory
    timeframe = "5m"

    def __init__(self, params: StrategyParams) -> None:
        super().__init__(params)
        self.script: Decide = lambda row, memory: None
        self.column: Callable[[Bars, Toolkit], dict[str, Any]] = lambda bars, ta: {"mean": ta.sma(bars.close, 3)}

    def warmup(self, timeframe: str) -> int:
        return 3

    def columns(self, bars: Bars, ta: Toolkit) -> dict[str, FloatArray]:
        return self.column(bars, ta)

    def decide(self, row: Any, memory: CountMemory, holding: Holding) -> Wish | None:
        memory.asked += 1
        return self.script(row, memory)


class Grown(Scripted):
    """The same with a memory of another schema."""

    class Memory(CountMemory):
        """Of a newer kind."""

        schema = 2


def runner(script: Decide | None = None, *, cls: type[Scripted] = Scripted, **values: object) -> StrategyRunner:
    strategy = cls.build(values)
    assert isinstance(strategy, Scripted)
    if script:
        strategy.script = script
    return StrategyRunner(strategy, INSTRUMENT)


def signals(wish: object, holding: Holding, **values: object) -> list[Signal]:
    """What becomes of one wish at the close of the fourth bar."""
    bars = walk_bars(1, 4)
    run = runner(lambda row, memory: wish if row.ts == bars.ts[3] else None, **values)  # type: ignore[arg-type,return-value]
    return run.on_bars(bars, holding)


CLOSE = float(walk_bars(1, 4).close[3])


def test_a_wish_becomes_a_signal_known_at_the_close_of_its_bar() -> None:
    (signal,) = signals(Wish.enter(1, 0.7, "why", stop=CLOSE * 0.9, target=CLOSE * 1.2), FLAT)
    assert signal.instrument == INSTRUMENT
    assert signal.strategy == "scripted"
    assert (signal.action, signal.direction) == (SignalAction.ENTER, SignalDirection.BUY)
    assert (signal.confidence, signal.reason) == (0.7, "why")
    assert (signal.stop, signal.target) == (CLOSE * 0.9, CLOSE * 1.2)
    assert signal.ts == START + 4 * timeframe_ns("5m")
    assert signal.metadata == {
        "version": "1.0.0",
        "params": runner().params_hash,
        "position_size_pct": 0.02,
    }


def test_an_exit_names_the_side_of_the_closing_order() -> None:
    assert [s.direction for s in signals(Wish.exit("x"), LONG)] == [SignalDirection.SELL]
    assert [s.direction for s in signals(Wish.exit("x"), SHORT)] == [SignalDirection.BUY]
    assert [s.direction for s in signals(Wish.protect("x", stop=CLOSE / 2), LONG)] == [SignalDirection.HOLD]


def test_nothing_can_be_left_or_protected_while_flat() -> None:
    assert signals(Wish.exit("x"), FLAT) == []
    assert signals(Wish.protect("x", stop=1.0), FLAT) == []


def test_the_threshold_holds_for_entries_and_never_for_exits() -> None:
    assert signals(Wish.enter(1, 0.59, "x"), FLAT) == []
    assert len(signals(Wish.enter(1, 0.6, "x"), FLAT)) == 1
    assert signals(Wish.enter(1, 0.89, "x"), FLAT, min_confidence=0.9) == []
    unsure = Wish(SignalAction.EXIT, confidence=0.1, reason="x")
    assert len(signals(unsure, LONG, min_confidence=0.9)) == 1


@pytest.mark.parametrize(
    ("wish", "holding", "says"),
    [
        (Wish.enter(1, 1.01, "x"), FLAT, "confidence"),
        (Wish.enter(1, math.nan, "x"), FLAT, "confidence"),
        (Wish(SignalAction.ENTER, reason="x"), FLAT, "BUY or SELL"),
        (Wish.enter(1, 0.9, "x", stop=CLOSE), FLAT, "wrong side"),
        (Wish.enter(1, 0.9, "x", stop=CLOSE + 1), FLAT, "wrong side"),
        (Wish.enter(-1, 0.9, "x", stop=CLOSE - 1), FLAT, "wrong side"),
        (Wish.enter(1, 0.9, "x", target=CLOSE - 1), FLAT, "wrong side"),
        (Wish.protect("x", stop=CLOSE + 1), LONG, "wrong side"),
        (Wish.protect("x", target=CLOSE + 1), SHORT, "wrong side"),
        (Wish.enter(1, 0.9, "x", stop=math.nan), FLAT, "no price"),
        (Wish.enter(1, 0.9, "x", stop=-5.0), FLAT, "no price"),
        ("buy!", FLAT, "must return a Wish or None, not str"),
    ],
)
def test_an_impossible_wish_is_the_strategys_failure(wish: object, holding: Holding, says: str) -> None:
    with pytest.raises(StrategyError, match=says) as caught:
        signals(wish, holding)
    assert "scripted" in caught.value.message


def test_a_failure_names_place_bar_and_cause_and_lasts() -> None:
    def fail(row: Any, memory: CountMemory) -> Wish | None:
        raise ZeroDivisionError("so it goes")

    run = runner(fail)
    with pytest.raises(StrategyError, match=r"2023-11-15 00:10:00 UTC: ZeroDivisionError: so it goes") as caught:
        run.on_bars(walk_bars(1, 4), FLAT)
    assert caught.value.details["method"] == "decide"
    assert caught.value.details["line"]
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    with pytest.raises(StrategyError, match="so it goes"):
        run.on_bars(walk_bars(1, 6).slice(4, 6), FLAT)


def test_a_strategy_that_wants_to_end_the_program_only_ends_itself() -> None:
    def leave(row: Any, memory: CountMemory) -> Wish | None:
        raise SystemExit(3)

    with pytest.raises(StrategyError, match="SystemExit"):
        runner(leave).on_bars(walk_bars(1, 4), FLAT)


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        ([1.0], "must return a dict"),
        ({"mean": np.zeros(3)}, r"mean has shape \(3,\)"),
        ({"close": np.zeros(4)}, "'close' cannot be used"),
        ({"my mean": np.zeros(4)}, "cannot be used"),
        ({"class": np.zeros(4)}, "cannot be used"),
        ({"_mean": np.zeros(4)}, "cannot be used"),
        ({"mean": ["a"] * 4}, "ValueError"),
    ],
)
def test_columns_that_cannot_be_rows_are_the_strategys_failure(columns: Any, says: str) -> None:
    run = runner()
    run.strategy.column = lambda bars, ta: columns  # type: ignore[attr-defined]
    with pytest.raises(StrategyError, match=says):
        run.on_bars(walk_bars(1, 4), FLAT)


def test_a_division_by_zero_in_a_column_is_no_failure() -> None:
    run = runner()
    run.strategy.column = lambda bars, ta: {"odd": bars.close / (bars.close - bars.close)}  # type: ignore[attr-defined]
    assert run.on_bars(walk_bars(1, 4), FLAT) == []


def test_rows_hold_the_bar_and_the_columns_as_plain_numbers() -> None:
    rows: list[Any] = []
    bars = walk_bars(2, 6)
    runner(lambda row, memory: rows.append(row)).on_bars(bars, FLAT)
    assert len(rows) == 4
    assert rows[0]._fields == ("ts", "open", "high", "low", "close", "volume", "mean")
    assert type(rows[0].ts) is int
    assert type(rows[0].mean) is float
    assert rows[-1][:6] == (
        bars.ts[5], bars.open[5], bars.high[5], bars.low[5], bars.close[5], bars.volume[5],
    )  # fmt: skip


def test_rows_are_the_same_across_blocks() -> None:
    bars = walk_bars(3, 9000)
    batch = runner().prepare(bars)
    for index in (0, 4095, 4096, 8191, 8192, 8999, 17):
        assert batch.rows[index].ts == bars.ts[index]
        assert batch.rows[index].close == bars.close[index]
    with pytest.raises(IndexError):
        batch.rows[9000]
    assert (len(batch), len(batch.rows), batch.first, batch.wake[0], len(batch.wake)) == (9000, 9000, 2, 2, 8998)


def test_wake_lists_the_rows_to_ask_at_from_the_warm_up_on() -> None:
    run = runner()
    run.strategy.column = lambda bars, ta: {"wake": np.array([1.0, 1, 0, 1, np.nan, 0, 1])}  # type: ignore[attr-defined]
    assert run.prepare(walk_bars(1, 7)).wake == [3, 4, 6]


def test_bars_seen_before_are_passed_over() -> None:
    run, bars = runner(), walk_bars(4, 10)
    run.on_bars(bars.slice(0, 7), FLAT)
    run.on_bars(bars.slice(3, 9), FLAT)
    assert (run.seen, run.last_ts, run.broken) == (9, bars.ts[8], 0)
    assert run.memory.asked == 7  # type: ignore[attr-defined]


def test_warming_up_takes_bars_in_without_asking() -> None:
    run, bars = runner(), walk_bars(4, 10)
    run.warm_up(bars.slice(0, 8))
    assert run.memory.asked == 0  # type: ignore[attr-defined]
    run.on_bars(bars.slice(8, 10), FLAT)
    assert run.memory.asked == 2  # type: ignore[attr-defined]
    assert (run.warmup, run.history) == (3, 15)


def test_bars_of_another_timeframe_are_refused() -> None:
    for call in (runner().prepare, runner().warm_up):
        with pytest.raises(DataValidationError, match="runs on bars of 5m and was given bars of 1h"):
            call(walk_bars(1, 4, "1h"))


def test_a_history_with_an_impossible_bar_is_refused_whole() -> None:
    bars = walk_bars(1, 9)
    bars.high[5] = bars.low[5] / 2
    run = runner()
    with pytest.raises(DataValidationError, match="Row 5") as caught:
        run.prepare(bars)
    assert caught.value.details == {"row": 5}
    assert run.seen == 0


@pytest.mark.parametrize("shift", [-timeframe_ns("5m"), -1, -(10**12)])
def test_bars_out_of_order_or_overlapping_are_left_out(shift: int) -> None:
    bars = walk_bars(1, 9)
    bars.ts[5] += shift
    with pytest.raises(DataValidationError, match="Row 5"):
        runner().prepare(bars)
    run = runner()
    run.on_bars(bars, FLAT)
    assert (run.seen, run.broken) == (8, 1)


def test_the_time_of_a_call_is_measured_with_the_timer_given() -> None:
    ticks = iter([1000, 1750])
    run = StrategyRunner(Scripted.build(), INSTRUMENT, timer=lambda: next(ticks))
    run.on_bars(walk_bars(1, 1), FLAT)
    assert run.latency_ns == 750


# ------------------------------------------------------------------------------------------------------- saved state


def test_a_saved_state_is_taken_up_whole() -> None:
    bars = walk_bars(5, 30)
    first, second = runner(), runner()
    first.on_bars(bars.slice(0, 20), FLAT)
    second.restore(first.save())
    assert second.memory == first.memory
    assert (second.last_ts, second.seen) == (first.last_ts, first.seen)
    assert second.save() == first.save()


def test_numbers_out_of_arrays_can_be_remembered_and_other_things_cannot() -> None:
    run = runner()
    run.memory.price = np.float64(3.5)  # type: ignore[attr-defined]
    other = runner()
    other.restore(run.save())
    assert other.memory == CountMemory(0, 3.5)
    run.memory.price = object()  # type: ignore[attr-defined]
    with pytest.raises(StrategyError, match="plain values, not object"):
        run.save()


class Noted(Scripted):
    """One that remembers text."""

    class Memory(StrategyMemory):
        """Text."""

        text: str = ""


@pytest.mark.parametrize(("more", "fits"), [(0, True), (1, False)])
def test_it_may_remember_a_megabyte_and_not_a_byte_more(more: int, fits: bool) -> None:
    run = runner(cls=Noted)
    memory: Any = run.memory
    # So long that MessagePack's lengths take as many bytes as they do at the limit.
    memory.text = "x" * 100_000
    memory.text = "x" * (100_000 + MOST_SAVED_BYTES - len(run.save()) + more)
    if fits:
        assert len(run.save()) == MOST_SAVED_BYTES
        return
    with pytest.raises(StrategyError, match=r"remembers 1\.0 MB, and may remember 1 MB"):
        run.save()


@pytest.mark.parametrize(
    "other",
    [
        lambda: runner(cls=Grown),
        lambda: runner(min_confidence=0.7),
        lambda: StrategyRunner(Scripted.build(), INSTRUMENT, timeframe="15m"),
    ],
)
def test_a_state_of_something_else_is_refused_with_the_way_out(other: Callable[[], StrategyRunner]) -> None:
    saved = runner()
    saved.on_bars(walk_bars(5, 30), FLAT)
    run = other()
    with pytest.raises(StrategyError, match="Warm up anew from history") as caught:
        run.restore(saved.save())
    assert caught.value.error_code == STATE_MISMATCH
    assert run.seen == 0
    run.warm_up(walk_bars(5, 30, run.timeframe))
    assert run.seen == 30


@pytest.mark.parametrize("data", [b"", b"nonsense", msgspec.msgpack.encode({"format": 1})])
def test_bytes_that_are_no_state_are_refused(data: bytes) -> None:
    with pytest.raises(StrategyError, match="cannot be read") as caught:
        runner().restore(data)
    assert caught.value.error_code == STATE_MISMATCH


def test_the_memory_alone_survives_a_change_of_parameters() -> None:
    bars, saved = walk_bars(5, 30), runner()
    saved.on_bars(bars, FLAT)
    run = runner(min_confidence=0.7)
    run.warm_up(bars)
    run.restore(saved.save(), memory_only=True)
    assert run.memory == saved.memory
    assert run.seen == 30
