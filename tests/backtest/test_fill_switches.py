"""What each `--fills` makes of the same bars: candles in, trades out, as in the tables of the other backtesters."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, get_args

import pytest

from console.backtest_commands import FILL_RULES
from engine.backtest.spec import FillRules
from engine.venues.paper.settings import BAR_PRESETS
from screens.backtest_forms import FILLS
from tests.backtest.helpers import FLAT, enter, leave, play
from tests.backtest.test_report import described

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from engine.strategy.contract import Wish
    from tests.backtest.helpers import Row

NAMES = get_args(FillRules)
HIGH, LOW = (104.0, 105.0, 103.0, 104.0), (96.0, 97.0, 95.0, 96.0)
Case = tuple[str, list[tuple[float, ...]], dict[int, "Wish"], dict[str, str]]


def of(others: str, **named: str) -> dict[str, str]:
    """The same for all but those that are named."""
    return dict.fromkeys(NAMES, others) | named


CASES: list[Case] = [
    (
        "in and out at the next open",
        # 50 units of 1,000 slip by 50 bps × √0.05 and pay half a basis point of spread
        [FLAT, FLAT, FLAT, FLAT],
        {0: enter(), 2: leave()},
        of("100.12→99.88: out", next_open="100→100: out", freqtrade="100→100: out")
        | {"backtesting_py": "100→100: out", "nautilus": "100→100: out"},
    ),
    (
        "stop and target in one bar, the target nearer to the open",
        [FLAT, FLAT, (102, 107, 94, 100), FLAT],
        {0: enter(stop=95, target=106)},
        of("100.12→105.88: take profit", next_open="100→106: take profit", nautilus="100→106: take profit")
        | {"pessimistic": "100.12→94.89: protective stop"}
        | dict.fromkeys(("freqtrade", "backtesting_py"), "100→95: protective stop"),
    ),
    (
        "stop and target in one bar, the stop nearer to the open",
        [FLAT, FLAT, (97, 107, 94, 100), FLAT],
        {0: enter(stop=95, target=106)},
        of("100.12→94.89: protective stop", next_open="100→95: protective stop", nautilus="100→106: take profit")
        | {"fixed_ohlc": "100.12→105.88: take profit"}
        | dict.fromkeys(("freqtrade", "backtesting_py"), "100→95: protective stop"),
    ),
    (
        "a bar that moves through the stop",
        [HIGH, HIGH, (102, 103, 98, 101), FLAT],
        {0: enter(stop=100)},
        # half of 10,000 is 48.076 units at 104: 100 × (1 − 50 bps × √0.048076) = 99.890, down
        of("104→100: protective stop")
        | dict.fromkeys(("quarterdeck", "pessimistic", "fixed_ohlc", "touch"), "104.12→99.89: protective stop"),
    ),
    (
        "a gap over the stop, the stop within the bar",
        [HIGH, HIGH, (95, 101, 90, 92), FLAT],
        {0: enter(stop=100)},
        of("104.12→94.89: protective stop", freqtrade="104→100: protective stop")
        | dict.fromkeys(("next_open", "backtesting_py", "nautilus"), "104→95: protective stop"),
    ),
    (
        "a gap with the whole bar below the stop",
        [HIGH, HIGH, (90, 94, 88, 91), FLAT],
        {0: enter(stop=100)},
        of("104.12→89.9: protective stop")
        | dict.fromkeys(("next_open", "freqtrade", "backtesting_py", "nautilus"), "104→90: protective stop"),
    ),
    (
        "a gap over the target, the target within the bar",
        [LOW, LOW, (105, 106, 99, 104), FLAT],
        {0: enter(stop=80, target=100)},
        of("96.12→104.88: take profit", next_open="96→105: take profit", backtesting_py="96→105: take profit")
        | dict.fromkeys(("freqtrade", "nautilus"), "96→100: take profit"),
    ),
    (
        "an entry and its stop within the bar of the entry",
        [FLAT, (100, 101, 94, 96), FLAT],
        {0: enter(stop=95)},
        of("100.12→94.89: protective stop")
        | dict.fromkeys(("next_open", "freqtrade", "backtesting_py", "nautilus"), "100→95: protective stop"),
    ),
]


@pytest.mark.parametrize("fills", NAMES)
@pytest.mark.parametrize(("rows", "script", "expected"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_golden(fills: str, rows: Sequence[Row], script: Mapping[int, Wish], expected: dict[str, str]) -> None:
    (trade,) = play(rows, script, fills=fills).trades
    said = f"{trade.entry_price.normalize():f}→{trade.exit_price.normalize():f}: {trade.reason}"
    assert said == expected[fills]


@pytest.mark.parametrize("fills", NAMES)
def test_a_thin_market_caps_only_where_that_is_assumed(fills: str) -> None:
    (trade,) = play([FLAT] * 6, {0: enter(stop=50)}, fills=fills, volume=100.0).trades
    capped = BAR_PRESETS[fills].participation is not None
    # 10 units a bar of 100 on the five bars after the decision, or all of the 50 at once
    assert trade.quantity == Decimal(50)
    assert (trade.entry_price == Decimal(100)) is not capped
    assert capped is (fills in ("quarterdeck", "pessimistic", "fixed_ohlc", "touch"))


@pytest.mark.parametrize("fills", NAMES)
def test_a_report_says_what_was_assumed(fills: str) -> None:
    said, _ = described([FLAT] * 5, fills=fills)
    assert said["fills"].startswith(f"Fill rules {fills}: ")
    first = {"fixed_ohlc": "open, high, low", "nautilus": "open, high, low"}
    stops = dict.fromkeys(("pessimistic", "freqtrade", "backtesting_py"), "every stop that the bar's range")
    assert said["path"].startswith(
        f"Inside a bar the price goes {({**first, **stops}).get(fills, 'open, the extreme')}"
    )
    assert ("warning_touch" in said) is BAR_PRESETS[fills].touch
    assert ("warning_open_fill" in said) is (fills in ("next_open", "freqtrade", "backtesting_py", "nautilus"))


def test_every_door_takes_the_same_names() -> None:
    assert set(NAMES) == set(BAR_PRESETS) == set(FILL_RULES) == {name for name, _ in FILLS}
