"""What every strategy must keep to: inherit `StrategyConformance` and name the strategy.

The suite runs on recorded and on made-up candles. A strategy of one's own is tested the same way:

    class TestMine(StrategyConformance):
        strategy = "path/to/mine.py"
        recorded = "binance_BTCUSDT_1h"
"""

from __future__ import annotations

import ast
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pytest

from engine.errors import ConfigurationError
from engine.model.candle import Bars
from engine.model.signal import Signal, SignalAction, SignalDirection
from engine.strategy.contract import Holding, Strategy
from engine.strategy.loader import LoadedStrategy, StrategyRegistry
from engine.strategy.params import ParamSpec, describe_params
from engine.strategy.runner import StrategyRunner
from engine.strategy.signals import LEVEL_COLUMNS, SIGNAL_COLUMNS, SignalStrategy
from engine.strategy.toolkit import Toolkit
from tests.kit.candles import join_bars, recorded_bars, walk_bars
from tests.kit.strategy_driver import INSTRUMENT, Book, drive_batch, drive_live

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.model.candle import FloatArray

__all__ = ["StrategyConformance", "beyond", "bounds", "foreign_imports"]

ALLOWED_IMPORTS = {
    "__future__", "collections", "dataclasses", "enum", "functools", "itertools", "math", "msgspec", "numpy",
    "operator", "pydantic", "statistics", "typing",
}  # fmt: skip


class StrategyConformance:
    """The suite; a subclass sets the attributes.

    Attributes:
        strategy: Name of a built-in strategy, or path of a file.
        timeframe: Timeframe of the made-up candles.
        recorded: Candle file of the shared data.
        start, count: The stretch of it that is used.
        values: Parameters to run with, beside the defaults.
        exits: By reason of an exit, parameters under which it must occur on the made-up candles.
    """

    strategy: ClassVar[str]
    timeframe: ClassVar[str] = "1h"
    recorded: ClassVar[str]
    start: ClassVar[int] = 0
    count: ClassVar[int] = 2000
    values: ClassVar[dict[str, object]] = {}
    exits: ClassVar[dict[str, dict[str, object]]] = {}

    @pytest.fixture
    def loaded(self) -> LoadedStrategy:
        return StrategyRegistry().get(self.strategy)

    @pytest.fixture(params=["recorded", "made-up"])
    def bars(self, request: pytest.FixtureRequest) -> Bars:
        if request.param == "made-up":
            return walk_bars(7, 1500, self.timeframe, gaps=0.01)
        return recorded_bars(request.getfixturevalue("shared_data"), self.recorded, self.start, self.count)

    @pytest.fixture(params=["defaults", "values"])
    def make(self, request: pytest.FixtureRequest, loaded: LoadedStrategy) -> Callable[[], Strategy]:
        values = self.values if request.param == "values" else {}
        return lambda: loaded.build(values)

    # ------------------------------------------------------------------------------------------------------- columns

    def test_no_column_changes_with_what_comes_later(self, make: Callable[[], Strategy], bars: Bars) -> None:
        whole = make().columns(bars, Toolkit())
        other = walk_bars(11, len(bars), bars.timeframe, start=int(bars.ts[0]))
        for cut in np.random.default_rng(1).integers(1, len(bars), 8).tolist():
            later = other.ts > bars.ts[cut - 1]
            future = Bars(bars.timeframe, other.ts[later], *(c[later] * 3.0 for c in _values(other)))
            assert_same_bits(whole, make().columns(join_bars(bars.slice(0, cut), future), Toolkit()), cut)

    def test_columns_do_not_depend_on_how_the_history_was_cut(self, make: Callable[[], Strategy], bars: Bars) -> None:
        whole, strategy, rng = make().columns(bars, Toolkit()), make(), np.random.default_rng(2)
        for pieces in (1, 5, 60):
            cuts = [0, *sorted(rng.integers(0, len(bars) + 1, pieces).tolist()), len(bars)]
            parts: list[dict[str, FloatArray]] = []
            carry: dict[str, FloatArray] = {}
            for start, stop in pairwise(cuts):
                ta = Toolkit(carry)
                parts.append(strategy.columns(bars.slice(start, stop), ta))
                carry = ta.carry
            assert_same_bits(whole, {name: np.concatenate([part[name] for part in parts]) for name in whole}, len(bars))

    def test_all_columns_are_known_once_it_has_warmed_up(self, loaded: LoadedStrategy) -> None:
        strategy = loaded.build(self.values)
        warmup = strategy.warmup(self.timeframe)
        columns = strategy.columns(walk_bars(13, warmup + 50, self.timeframe), Toolkit())
        for name, column in columns.items():
            # A distance of no number means that there is none at that bar.
            if not (isinstance(strategy, SignalStrategy) and name in LEVEL_COLUMNS):
                assert np.isfinite(column[warmup - 1 :]).all(), name

    def test_columns_that_have_a_meaning_hold_what_may_stand_in_them(self, loaded: LoadedStrategy, bars: Bars) -> None:
        strategy = loaded.build(self.values)
        if not isinstance(strategy, SignalStrategy):
            return
        columns = strategy.columns(bars, Toolkit())
        entered = columns["entry"] != 0
        assert set(np.unique(columns["entry"])) <= {-1.0, 0.0, 1.0}
        for name, low, high in (
            ("confidence", 0.0, 1.0),
            ("size", 0.0, 1.0),
            ("entry_tag", 0, len(strategy.entry_tags) - 1),
        ):
            values = columns.get(name, np.full(len(bars), SIGNAL_COLUMNS[name]))[entered]
            assert ((values >= low) & (values <= high)).all(), name
        tags = columns.get("exit_tag", np.zeros(len(bars)))
        for name in ("exit_long", "exit_short"):
            left = columns.get(name, np.zeros(len(bars))) > 0
            assert ((tags[left] >= 0) & (tags[left] < len(strategy.exit_tags))).all(), name

    # ------------------------------------------------------------------------------------------------------- signals

    def test_it_trades_at_all(self, loaded: LoadedStrategy, bars: Bars) -> None:
        actions = {signal.action for signal in drive_batch(lambda: loaded.build(self.values), bars)}
        assert SignalAction.ENTER in actions

    def test_the_same_signals_come_in_bulk_and_bar_by_bar(self, make: Callable[[], Strategy], bars: Bars) -> None:
        assert drive_batch(make, bars) == drive_live(make, bars)

    def test_rows_it_says_it_sleeps_at_change_nothing(self, make: Callable[[], Strategy], bars: Bars) -> None:
        assert drive_batch(make, bars) == drive_batch(make, bars, every_row=True)

    def test_a_restart_at_any_bar_changes_nothing(self, make: Callable[[], Strategy], bars: Bars) -> None:
        restarts = set(np.random.default_rng(3).integers(0, len(bars), 40).tolist())
        assert drive_batch(make, bars) == drive_live(make, bars, restart_at=restarts)

    def test_two_runs_are_the_same(self, make: Callable[[], Strategy], bars: Bars) -> None:
        assert drive_batch(make, bars) == drive_batch(make, bars)

    def test_it_is_silent_while_it_warms_up(self, make: Callable[[], Strategy], bars: Bars) -> None:
        warmup = make().warmup(bars.timeframe)
        assert drive_live(make, bars.slice(0, warmup - 1)) == []

    def test_signals_below_the_threshold_are_dropped(self, loaded: LoadedStrategy, bars: Bars) -> None:
        everything = self._entries(loaded, bars, 0.0)
        assert everything
        threshold = min(float(np.median([signal.confidence for signal in everything])) + 0.01, 1.0)
        assert all(signal.confidence >= threshold for signal in self._entries(loaded, bars, threshold))

    def _entries(self, loaded: LoadedStrategy, bars: Bars, threshold: float) -> list[Signal]:
        signals = drive_batch(lambda: loaded.build({**self.values, "min_confidence": threshold}), bars)
        return [signal for signal in signals if signal.action is SignalAction.ENTER]

    def test_it_leaves_for_each_of_its_reasons(self, loaded: LoadedStrategy) -> None:
        bars = walk_bars(17, 5000, self.timeframe)
        for reason, values in self.exits.items():
            signals = drive_batch(lambda values=values: loaded.build(values), bars, Book(protected=False))  # type: ignore[misc]
            assert reason in {signal.reason for signal in signals if signal.action is SignalAction.EXIT}

    def test_an_exit_trades_against_the_position(self, make: Callable[[], Strategy], bars: Bars) -> None:
        book = Book()
        batch = StrategyRunner(make(), INSTRUMENT, timeframe=bars.timeframe).prepare(bars)
        for index in range(len(bars)):
            book.bar(float(bars.open[index]), float(bars.high[index]), float(bars.low[index]))
            signal = batch.signal(index, book.holding())
            if signal is not None and signal.action is SignalAction.EXIT:
                assert signal.direction is (SignalDirection.SELL if book.quantity > 0 else SignalDirection.BUY)
            if signal is not None:
                book.take(signal)

    # -------------------------------------------------------------------------------------------------------- bad data

    def test_no_bars_give_no_signals(self, make: Callable[[], Strategy], bars: Bars) -> None:
        runner = StrategyRunner(make(), INSTRUMENT, timeframe=bars.timeframe)
        assert runner.on_bars(bars.slice(0, 0), Holding()) == []
        runner.warm_up(bars.slice(0, 200))
        assert runner.on_bars(bars.slice(0, 0), Holding()) == []
        assert StrategyRunner(make(), INSTRUMENT, timeframe=bars.timeframe).prepare(bars.slice(0, 0)).wake == []

    def test_impossible_bars_are_left_out(self, make: Callable[[], Strategy], bars: Bars) -> None:
        broken, rows = _broken(bars)
        good = np.setdiff1d(np.arange(len(bars)), rows)
        clean = Bars(bars.timeframe, bars.ts[good], *(column[good] for column in _values(bars)))
        runner = StrategyRunner(make(), INSTRUMENT, timeframe=bars.timeframe)
        found = [signal for i in range(len(bars)) for signal in runner.on_bars(broken.slice(i, i + 1), Holding())]
        expected = StrategyRunner(make(), INSTRUMENT, timeframe=bars.timeframe).on_bars(clean, Holding())
        assert found == expected
        assert runner.broken == len(rows)

    def test_a_market_at_rest_is_left_alone(self, make: Callable[[], Strategy]) -> None:
        bars = walk_bars(1, 1000, self.timeframe)
        flat = np.full(len(bars), 100.0)
        still = Bars(bars.timeframe, bars.ts, flat, flat, flat, flat, np.zeros(len(bars)))
        assert drive_batch(make, still, every_row=True) == []

    # ------------------------------------------------------------------------------------------------------ parameters

    def test_values_out_of_bounds_are_refused(self, loaded: LoadedStrategy) -> None:
        for spec in describe_params(loaded.cls):
            for value in beyond(spec):
                with pytest.raises(ConfigurationError, match=spec.name):
                    loaded.build({spec.name: value})
        with pytest.raises(ConfigurationError, match="is not known"):
            loaded.build({"no_such_parameter": 1})

    def test_it_runs_at_every_bound(self, loaded: LoadedStrategy) -> None:
        bars = walk_bars(19, 400, self.timeframe)
        for spec in describe_params(loaded.cls):
            for value in bounds(spec):
                try:
                    strategy = loaded.build({spec.name: value})
                except ConfigurationError:
                    continue  # the bound of one parameter may contradict the default of another
                drive_batch(lambda strategy=strategy: strategy, bars)  # type: ignore[misc]

    def test_every_parameter_is_explained(self, loaded: LoadedStrategy) -> None:
        assert [spec.name for spec in describe_params(loaded.cls) if not spec.help.endswith(".")] == []

    # --------------------------------------------------------------------------------------------------------- source

    def test_it_imports_the_contract_and_the_nouns_alone(self, loaded: LoadedStrategy) -> None:
        assert foreign_imports(loaded.path) == set()

    def test_its_memory_survives_being_saved(self, loaded: LoadedStrategy, bars: Bars) -> None:
        runner = StrategyRunner(loaded.build(), INSTRUMENT, timeframe=bars.timeframe)
        runner.on_bars(bars.slice(0, 300), Holding())
        other = StrategyRunner(loaded.build(), INSTRUMENT, timeframe=bars.timeframe)
        other.restore(runner.save())
        assert other.memory == runner.memory
        assert other.save() == runner.save()


def foreign_imports(path: str) -> set[str]:
    """Modules that a strategy's file imports and may not."""
    names = set()
    for node in ast.walk(ast.parse(Path(path).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add("." * node.level + (node.module or ""))
    foreign = {name for name in names if name.partition(".")[0] not in ALLOWED_IMPORTS}
    return {name for name in foreign if not f"{name}.".startswith(("engine.model.", "engine.strategy."))}


def _values(bars: Bars) -> tuple[FloatArray, ...]:
    return bars.open, bars.high, bars.low, bars.close, bars.volume


def assert_same_bits(whole: dict[str, FloatArray], other: dict[str, FloatArray], rows: int) -> None:
    """The first rows of all columns are the same float64, NaN included."""
    assert whole.keys() == other.keys()
    for name, column in whole.items():
        assert np.asarray(column)[:rows].tobytes() == np.asarray(other[name])[:rows].tobytes(), name


def _broken(bars: Bars) -> tuple[Bars, list[int]]:
    """The bars with some made impossible, each in another way, and which."""
    fields: dict[str, Any] = {"ts": bars.ts.copy()}
    fields |= {name: column.copy() for name, column in zip(("o", "h", "l", "c", "v"), _values(bars), strict=True)}
    rows = list(range(150, len(bars), 97))
    for count, row in enumerate(rows):
        match count % 7:
            case 0:
                fields["c"][row] = np.nan
            case 1:
                fields["h"][row] = fields["l"][row] / 2
            case 2:
                fields["l"][row] = -1.0
            case 3:
                fields["v"][row] = -5.0
            case 4:
                fields["o"][row] = np.inf
            case 5:
                fields["l"][row] = fields["o"][row] = fields["c"][row] = 0.0
            case _:
                fields["v"][row] = np.nan
    return Bars(bars.timeframe, *fields.values()), rows


def beyond(spec: ParamSpec) -> list[object]:
    """Values that must be refused."""
    values: list[object] = ["north"] if spec.type in {"int", "float", "bool", "choice"} else []
    if spec.minimum is not None:
        values.append(spec.minimum if spec.exclusive_minimum else spec.minimum - 1)
    if spec.maximum is not None:
        values.append(spec.maximum if spec.exclusive_maximum else spec.maximum + 1)
    return [*values, float("nan")] if spec.type == "float" else values


def bounds(spec: ParamSpec) -> list[object]:
    """The outermost values that must be accepted."""
    low = [] if spec.minimum is None or spec.exclusive_minimum else [spec.minimum]
    high = [] if spec.maximum is None or spec.exclusive_maximum else [spec.maximum]
    return [*low, *high, *spec.choices, *([True, False] if spec.type == "bool" else [])]
