"""A strategy of one's own: what the templates write passes every check, and the checks find what is planted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from engine.errors import ConfigurationError, ValidationError
from engine.strategy.conformance import CHECKS, TRADES, CheckResult, run_checks
from engine.strategy.event_conformance import ASKS, EVENT_CHECKS, run_event_checks
from engine.strategy.loader import StrategyRegistry
from engine.strategy.templates import TEMPLATES, new_strategy
from tests.kit.candles import walk_bars

if TYPE_CHECKING:
    from pathlib import Path

PLAIN = '''"""Planted."""
from typing import Any
from pydantic import Field
from engine.strategy.contract import Strategy, StrategyParams, Wish

class PlantedParams(StrategyParams):
    period: int = Field(100, ge=2, le=1000, description="Bars of the average.")

class Planted(Strategy):
    """Holds while the price closes above its average."""
    name = "planted"
    Params = PlantedParams

    def warmup(self, timeframe):
        return self.params.period

    def columns(self, bars, ta):
        return {"average": ta.sma(bars.close, self.params.period)}

    def decide(self, row, memory, holding):
        if holding.side == 0:
            return Wish.enter(1, 0.8, "above the average") if row.close > row.average else None
        return Wish.exit("below the average") if row.close < row.average else None
'''
"""A good strategy, into which faults are planted."""
BARS = walk_bars(7, 500, "1h", gaps=0.01)


def checked(folder: Path, source: str) -> dict[str, CheckResult]:
    """What the checks say of a strategy, by their words."""
    path = folder / "own.py"
    path.write_text(source, encoding="utf-8")
    loaded = StrategyRegistry().load_file(path)
    if loaded.on_events:
        return {result.check: result for result in run_event_checks(loaded)}
    return {result.check: result for result in run_checks(loaded, {"made-up": BARS})}


@pytest.mark.parametrize("template", TEMPLATES)
def test_what_a_template_writes_passes_every_check(template: str, tmp_path: Path) -> None:
    results = checked(tmp_path, new_strategy("my_own", template))
    assert {words: result.said for words, result in results.items() if result.state == "failed"} == {}
    expected = {check.words for check in CHECKS} | {TRADES}
    if template == "quoting":
        expected = {words for words, _ in EVENT_CHECKS} | {ASKS}
    assert set(results) == expected


def test_a_template_is_given_the_name_throughout() -> None:
    source = new_strategy("night_owl", "trend")
    assert 'name = "night_owl"' in source
    assert "class NightOwl(SignalStrategy):" in source
    assert "Params = NightOwlParams" in source
    assert "mine" not in source.lower().replace("determine", "")


def test_a_name_or_template_that_cannot_be_is_refused() -> None:
    for name in ("My-Strategy", "class", "", "ä", "x" * 49):
        with pytest.raises(ValidationError, match="cannot be used"):
            new_strategy(name, "trend")
    with pytest.raises(ConfigurationError, match="blank"):
        new_strategy("mine_too", "moon")


PLANTED = {
    "No column changes with what comes later.": (
        'return {"average": ta.sma(bars.close, self.params.period)}',
        'import numpy as np\n        return {"average": np.append(bars.close[1:], bars.close[-1:])}',
        "looks into the future",
    ),
    "Columns do not depend on how the history was cut.": (
        'return {"average": ta.sma(bars.close, self.params.period)}',
        'return {"average": bars.close.cumsum() / (1 + bars.close.argsort().argsort())}',
        "when the bars come in pieces",
    ),
    "All columns are known once it has warmed up.": (
        "return self.params.period",
        "return 3",
        "larger number from warmup",
    ),
    "It imports the contract and the nouns alone.": (
        "from pydantic import Field",
        "import socket\nfrom pydantic import Field",
        "It imports socket",
    ),
    "Every parameter is explained.": ('description="Bars of the average."', 'description=""', "period"),
}


@pytest.mark.parametrize("check", PLANTED)
def test_what_is_planted_is_found(check: str, tmp_path: Path) -> None:
    good, bad, words = PLANTED[check]
    source = PLAIN
    assert good in source
    result = checked(tmp_path, source.replace(good, bad))[check]
    assert result.state == "failed"
    assert words in result.said


def test_what_is_remembered_beside_the_memory_is_found_at_a_restart(tmp_path: Path) -> None:
    asked = (
        "self.asked = getattr(self, 'asked', 0) + 1\n        if self.asked % 9 == 7:\n            return None\n        "
    )
    source = PLAIN.replace("if holding.side == 0:", asked + "if holding.side == 0:")
    results = checked(tmp_path, source)
    assert results["A restart at any bar changes nothing."].state == "failed"
    assert "`Memory`" in results["A restart at any bar changes nothing."].said


def test_a_strategy_that_fails_is_told_and_not_raised(tmp_path: Path) -> None:
    source = PLAIN.replace("if holding.side == 0:", "raise RuntimeError('boom')\n        if 1:")
    results = checked(tmp_path, source)
    assert "boom" in results["Two runs are the same."].said
    assert results["Every parameter is explained."].state == "passed"
