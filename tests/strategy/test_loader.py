"""Strategies are found in the package, the folder and by path, and a bad file is named with line and cause."""

from __future__ import annotations

import hashlib
import re
import sys
from typing import TYPE_CHECKING

import pytest

from engine.errors import NotFoundError, StrategyLoadError
from engine.strategy.contract import StrategyType
from engine.strategy.loader import StrategyRegistry
from engine.strategy.params import strategy_hash
from tests.kit.candles import walk_bars
from tests.kit.strategy_driver import drive_batch

if TYPE_CHECKING:
    from pathlib import Path

SOURCE = '''"""One strategy."""
from __future__ import annotations
from typing import Any
from pydantic import Field
from engine.strategy.contract import Holding, Strategy, StrategyMemory, StrategyParams, Wish

class Params(StrategyParams):
    period: int = Field(5, ge=1, description="Bars.")

class Memory(StrategyMemory):
    seen: int = 0

class Mine(Strategy):
    """Buys every dip."""
    name = "NAME"
    version = "2.1.0"
    Params = Params
    Memory = Memory

    def warmup(self, timeframe: str) -> int:
        return self.params.period

    def columns(self, bars: Any, ta: Any) -> dict[str, Any]:
        return {"low5": ta.lowest(bars.low, self.params.period)}

    def decide(self, row: Any, memory: Memory, holding: Holding) -> Wish | None:
        memory.seen += 1
        return Wish.enter(1, 1.0, "dip") if row.low == row.low5 else None
'''


BUILT_IN = [
    "adaptive_momentum", "avellaneda_stoikov", "bollinger_reversion", "breakout", "cross_exchange_arbitrage", "dca",
    "glft", "grid", "macd_cross", "market_making", "mean_reversion", "rule_quoter", "supertrend", "trend_following",
    "triangular_arbitrage", "turtle", "volatility_breakout",
]  # fmt: skip


def write(folder: Path, stem: str = "mine", name: str = "mine", **replacing: str) -> Path:
    """A strategy file, with pieces of the good source replaced."""
    text = SOURCE.replace("NAME", name)
    for old, new in replacing.items():
        assert old in text
        text = text.replace(old, new)
    path = folder / f"{stem}.py"
    path.write_text(text)
    return path


def test_the_built_in_strategies_are_found_with_version_and_source_hash() -> None:
    registry = StrategyRegistry()
    assert [loaded.name for loaded in registry.all()] == BUILT_IN
    assert registry.warnings == []
    loaded = registry.get("trend_following")
    assert (loaded.version, loaded.kind, loaded.origin) == ("1.0.0", StrategyType.STATIC, "built-in")
    assert loaded.path.endswith("strategies/static/trend_following.py")
    assert loaded.source_hash == strategy_hash(loaded.cls)
    assert loaded.summary.startswith("Moving-average crossover")


def test_a_file_in_the_folder_is_found_under_its_name(tmp_path: Path) -> None:
    path = write(tmp_path)
    write(tmp_path, "_left_out", "left_out")
    registry = StrategyRegistry(tmp_path)
    loaded = registry.get("mine")
    assert (loaded.name, loaded.version, loaded.origin, loaded.path) == ("mine", "2.1.0", "folder", str(path))
    assert loaded.source_hash == hashlib.sha256(path.read_bytes()).hexdigest()[:16]
    assert "left_out" not in {other.name for other in registry.all()}


@pytest.mark.parametrize("by", ["path", "folder"])
def test_an_own_strategy_trades_like_a_built_in_one(tmp_path: Path, by: str) -> None:
    path = write(tmp_path)
    loaded = StrategyRegistry(tmp_path).get("mine") if by == "folder" else StrategyRegistry().get(str(path))
    signals = drive_batch(lambda: loaded.build({"period": "7"}), walk_bars(1, 200))
    assert {signal.reason for signal in signals} == {"dip"}


def test_a_file_of_the_same_name_as_another_strategy_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, name="trend_following")
    registry = StrategyRegistry(tmp_path)
    assert registry.get("trend_following").origin == "built-in"
    assert len(registry.warnings) == 1
    assert "has the same name" in registry.warnings[0]
    with pytest.raises(StrategyLoadError, match="has the same name"):
        registry.load_file(path)


def test_the_same_file_named_again_is_loaded_anew(tmp_path: Path) -> None:
    registry = StrategyRegistry()
    first = registry.load_file(write(tmp_path))
    second = registry.load_file(write(tmp_path, **{"2.1.0": "2.2.0"}))
    assert (first.version, second.version) == ("2.1.0", "2.2.0")
    assert first.source_hash != second.source_hash
    assert registry.get("mine") is second
    registry.scan()
    assert registry.get("mine") is second


def test_a_built_in_strategy_can_be_named_by_its_path() -> None:
    registry = StrategyRegistry()
    loaded = registry.get("trend_following")
    assert registry.get(loaded.path) is loaded


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("from typing import Any", "from typing import Any\nimport no_such_module", r"line 4, .*ModuleNotFoundError"),
        ("from typing import Any", "def (", r"line 3, .*SyntaxError"),
        ("from typing import Any", "from typing import Any\nraise SystemExit(1)", r"line 4, .*SystemExit: 1"),
        ("class Mine(Strategy)", "class Mine", "found: none"),
        ('name = "mine"', 'name = "My Strategy"', "must be lower-case"),
        ("def decide(", "def dicide(", "Mine lacks decide"),
        ("Field(5, ge=1", "Field(0, ge=1", "defaults are not valid: .*period"),
        ("class Params(StrategyParams)", "class Params", "subclass of StrategyParams"),
        ("class Memory(StrategyMemory)", "class Memory", "subclass of StrategyMemory"),
        ("seen: int = 0", "seen: int", "TypeError"),
        ("seen: int = 0", "seen: object = len", "TypeError"),
        ("class Mine(", "class Other(Strategy):\n    name = 'other'\n\nclass Mine(", "found: Other, Mine"),
    ],
)
def test_a_named_file_that_cannot_be_loaded_says_where_and_why(tmp_path: Path, old: str, new: str, says: str) -> None:
    path = write(tmp_path, **{old: new})
    before = {name for name in sys.modules if name.startswith("own_strategy_")}
    with pytest.raises(StrategyLoadError, match=says) as caught:
        StrategyRegistry().get(str(path))
    assert str(path) in caught.value.message
    # Modules of registries that are gone leave whenever they are collected, also meanwhile: none may have come.
    assert {name for name in sys.modules if name.startswith("own_strategy_")} <= before


def test_a_scan_notes_what_it_passed_over_and_goes_on(tmp_path: Path) -> None:
    write(tmp_path, "bad", "bad", **{"from typing import Any": "import no_such_module"})
    write(tmp_path, "good", "good")
    registry = StrategyRegistry(tmp_path)
    assert [loaded.name for loaded in registry.all()] == sorted([*BUILT_IN, "good"])
    assert len(registry.warnings) == 1
    assert re.search(r"bad\.py, line 3, .*no_such_module", registry.warnings[0])
    with pytest.raises(StrategyLoadError, match="no_such_module"):
        registry.get("bad")
    (tmp_path / "bad.py").unlink()
    assert registry.scan() == []


def test_an_unknown_name_brings_the_nearest_known_one() -> None:
    with pytest.raises(NotFoundError, match="did you mean trend_following"):
        StrategyRegistry().get("trend_folowing")
    with pytest.raises(NotFoundError, match=f"there are: {', '.join(BUILT_IN)}"):
        StrategyRegistry().get("qqq")


def test_a_path_that_is_not_there_says_so(tmp_path: Path) -> None:
    with pytest.raises(StrategyLoadError, match="No such file"):
        StrategyRegistry().get(str(tmp_path / "none.py"))


def test_a_folder_that_is_not_there_is_an_empty_one(tmp_path: Path) -> None:
    assert [loaded.name for loaded in StrategyRegistry(tmp_path / "none").all()] == BUILT_IN
