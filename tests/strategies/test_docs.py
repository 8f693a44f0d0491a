"""The page about strategies is true: its example runs, its tables are the declarations."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from engine.strategy.indicators import MoreIndicators
from engine.strategy.loader import StrategyRegistry
from engine.strategy.params import ParamSpec, describe_params
from engine.strategy.toolkit import HigherToolkit, Toolkit
from tests.conftest import ROOT
from tests.kit.candles import walk_bars
from tests.kit.strategy_conformance import StrategyConformance

if TYPE_CHECKING:
    from pathlib import Path

    from engine.strategy.loader import LoadedStrategy

PAGE = (ROOT / "docs" / "strategies.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


def table(specs: list[ParamSpec]) -> str:
    """The parameters as the page must show them."""
    lines = ["| parameter | default | allowed | meaning |", "|---|---|---|---|"]
    for spec in specs:
        default = "yes" if spec.default is True else "no" if spec.default is False else spec.default
        allowed = "yes, no" if spec.type == "bool" else spec.bounds or "text"
        lines.append(f"| `{spec.name}` | {default} | {allowed} | {spec.help} |")
    return "\n".join(lines)


@pytest.mark.parametrize("section", ["shared", *(loaded.name for loaded in StrategyRegistry().all())])
def test_the_parameter_tables_are_the_declarations(section: str) -> None:
    name = "trend_following" if section == "shared" else section
    specs = describe_params(StrategyRegistry().get(name).cls)
    expected = table([spec for spec in specs if spec.own == (section != "shared")])
    shown = PAGE.partition(f"<!-- parameters: {section} -->\n\n")[2].partition("\n\n")[0]
    assert shown.strip() == expected, f"replace the table by:\n{expected}"


def test_the_page_names_every_indicator() -> None:
    parts = (Toolkit, MoreIndicators, HigherToolkit)
    public = {name for part in parts for name in vars(part) if not name.startswith("_")}
    assert {name for name in public if not re.search(rf"\b(ta|hour)\.{name}\(", PAGE)} == set()


def test_the_example_is_short() -> None:
    assert len(BLOCKS[0].strip().splitlines()) <= 45


def test_the_snippet_of_a_higher_timeframe_runs() -> None:
    bars = walk_bars(1, 900)
    names: dict[str, object] = {"ta": Toolkit(), "bars": bars}
    exec(BLOCKS[2], names)
    assert len(names["trend"]) == len(bars)  # type: ignore[arg-type]


class TestExample(StrategyConformance):
    """The example of the page keeps the contract like any other strategy."""

    strategy = "my_breakout"
    recorded = "binance_BTCUSDT_1h"
    start = 8000

    @pytest.fixture
    def loaded(self, tmp_path: Path) -> LoadedStrategy:
        path = tmp_path / "breakout.py"
        path.write_text(BLOCKS[0], encoding="utf-8")
        return StrategyRegistry().get(str(path))


class TestSignalsExample(StrategyConformance):
    """So does the one that is columns and rules."""

    strategy = "my_breakout_signals"
    recorded = "binance_BTCUSDT_1h"
    start = 8000

    @pytest.fixture
    def loaded(self, tmp_path: Path) -> LoadedStrategy:
        path = tmp_path / "breakout_signals.py"
        path.write_text(BLOCKS[1], encoding="utf-8")
        return StrategyRegistry().get(str(path))
