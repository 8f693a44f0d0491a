"""The page about strategies on books is true: its example keeps the contract, its tables name what is there."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from engine.strategy.loader import LoadedStrategy, StrategyRegistry
from engine.strategy.quoting import EventStrategy
from engine.strategy.views import Context, MarketView
from tests.conftest import ROOT
from tests.kit.event_conformance import EventConformance

if TYPE_CHECKING:
    from pathlib import Path

PAGE = (ROOT / "docs" / "strategies.md").read_text(encoding="utf-8").partition("## Strategies on books")[2]
EXAMPLE = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)[0]


def test_the_page_names_every_hook() -> None:
    hooks = {name for name in vars(EventStrategy) if name.startswith("on_")}
    assert {name for name in hooks if f"`{name}(" not in PAGE} == set()


@pytest.mark.parametrize("cls", [Context, MarketView])
def test_the_page_names_what_can_be_called(cls: type) -> None:
    calls = {name for name, member in vars(cls).items() if callable(member) and not name.startswith("_")}
    assert {name for name in calls - {"drain"} if not re.search(rf"\b{name}\(", PAGE)} == set()


class TestExample(EventConformance):
    """The example of the page keeps the contract like any other strategy."""

    strategy = "my_two_quotes"

    @pytest.fixture
    def loaded(self, tmp_path: Path) -> LoadedStrategy:
        path = tmp_path / "two_quotes.py"
        path.write_text(EXAMPLE, encoding="utf-8")
        return StrategyRegistry().get(str(path))

    def test_it_trades_on_both_sides(self, loaded: LoadedStrategy) -> None:
        driver = self.drive(loaded, {"spread": 0.0005})
        assert {fill.side for fill in driver.fills} == {"buy", "sell"}
        assert driver.context.memory.fills == len(driver.fills)
