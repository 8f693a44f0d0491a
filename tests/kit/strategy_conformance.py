"""What every strategy must keep to: inherit `StrategyConformance` and name the strategy.

The checks are those of `engine.strategy.conformance`, on recorded and on made-up candles. A strategy of one's own is
tested the same way:

    class TestMine(StrategyConformance):
        strategy = "path/to/mine.py"
        recorded = "binance_BTCUSDT_1h"
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import pytest

from engine.model.signal import SignalAction
from engine.strategy.conformance import CHECKS, Case, Check, beyond, bounds, foreign_imports
from engine.strategy.loader import LoadedStrategy, StrategyRegistry
from tests.kit.candles import recorded_bars, walk_bars
from tests.kit.strategy_driver import Book, drive_batch

if TYPE_CHECKING:
    from engine.model.candle import Bars

__all__ = ["StrategyConformance", "beyond", "bounds", "foreign_imports"]


def _named(check: Check) -> str:
    return check.words.rstrip(".").replace(" ", "-")


class StrategyConformance:
    """The suite; a subclass sets the attributes.

    Attributes:
        strategy: Name of a built-in strategy, or path of a file.
        timeframe: Timeframe of the made-up candles.
        recorded: Candle file of the shared data.
        start, count: The stretch of it that is used.
        made_up: How many made-up candles are used.
        values: Parameters to run with, beside the defaults.
        exits: By reason of an exit, parameters under which it must occur on the made-up candles.
    """

    strategy: ClassVar[str]
    timeframe: ClassVar[str] = "1h"
    recorded: ClassVar[str]
    start: ClassVar[int] = 0
    count: ClassVar[int] = 2000
    made_up: ClassVar[int] = 1500
    values: ClassVar[dict[str, object]] = {}
    exits: ClassVar[dict[str, dict[str, object]]] = {}

    @pytest.fixture
    def loaded(self) -> LoadedStrategy:
        return StrategyRegistry().get(self.strategy)

    @pytest.fixture(params=["recorded", "made-up"])
    def bars(self, request: pytest.FixtureRequest) -> Bars:
        if request.param == "made-up":
            return walk_bars(7, self.made_up, self.timeframe, gaps=0.01)
        return recorded_bars(request.getfixturevalue("shared_data"), self.recorded, self.start, self.count)

    @pytest.fixture(params=["defaults", "values"])
    def case(self, request: pytest.FixtureRequest, loaded: LoadedStrategy, bars: Bars) -> Case:
        return Case(loaded, bars, self.values if request.param == "values" else {})

    @pytest.mark.parametrize("check", [check for check in CHECKS if not check.once], ids=_named)
    def test_on_every_history(self, check: Check, case: Case) -> None:
        check.run(case)

    @pytest.mark.parametrize("check", [check for check in CHECKS if check.once], ids=_named)
    def test_of_itself(self, check: Check, loaded: LoadedStrategy) -> None:
        for values in ({}, self.values):
            check.run(Case(loaded, walk_bars(7, 100, self.timeframe), values))

    def test_it_trades_at_all(self, loaded: LoadedStrategy, bars: Bars) -> None:
        actions = {signal.action for signal in drive_batch(lambda: loaded.build(self.values), bars)}
        assert SignalAction.ENTER in actions

    def test_it_leaves_for_each_of_its_reasons(self, loaded: LoadedStrategy) -> None:
        bars = walk_bars(17, 5000, self.timeframe)
        for reason, values in self.exits.items():
            signals = drive_batch(lambda values=values: loaded.build(values), bars, Book(protected=False))  # type: ignore[misc]
            assert reason in {signal.reason for signal in signals if signal.action is SignalAction.EXIT}
