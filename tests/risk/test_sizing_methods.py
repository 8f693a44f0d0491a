"""The methods of sizing, as a table of figures that were worked out by hand."""

from __future__ import annotations

from decimal import Decimal as D
from typing import Any

import pytest

from engine.model.entries import ExitEntry
from engine.model.ids import AccountId
from engine.model.limits import RiskLimits
from engine.model.signal import Signal, SignalAction, SignalDirection
from engine.risk.sizing_methods import heat_factor, kelly_fraction, parity_factor, wanted_value
from tests.kit.limits import loose
from tests.risk.house import BOT, BTC, BUY, ETH, SELL, SOL, House

DAY = 86_400 * 1_000_000_000
NOW = 100 * DAY


# 10,000 of equity and a base of 2 %, which is 200.
@pytest.mark.parametrize(
    ("method", "known", "expected"),
    [
        ("fixed_percentage", {}, "200"),
        ("fixed_percentage", {"confidence": D("0.1"), "atr": D(5), "kelly": D("0.2"), "parity": D(3)}, "200"),
        # Kelly: equity times its fraction, 0 where there is no edge, the base where nothing is known.
        ("kelly", {"kelly": D("0.25")}, "2500"),
        ("kelly", {"kelly": D("0.1")}, "1000"),
        ("kelly", {"kelly": D(0)}, "0"),
        ("kelly", {}, "200"),
        # Volatility: 200 x 2 % / (ATR / price).
        ("volatility_adjusted", {"atr": D(1), "price": D(100)}, "400"),
        ("volatility_adjusted", {"atr": D(2), "price": D(100)}, "200"),
        ("volatility_adjusted", {"atr": D(5), "price": D(100)}, "80"),
        ("volatility_adjusted", {"atr": D(1000), "price": D(50000)}, "200"),
        ("volatility_adjusted", {"price": D(100)}, "200"),
        # Confidence: 200 x confidence, between 0 and 1.
        ("confidence_weighted", {"confidence": D("0.6")}, "120"),
        ("confidence_weighted", {"confidence": D("-0.1")}, "0"),
        ("confidence_weighted", {"confidence": D("1.1")}, "200"),
        # Risk parity: 200 x the parity factor.
        ("risk_parity", {"parity": D("0.5")}, "100"),
        ("risk_parity", {"parity": D("1.5")}, "300"),
        ("risk_parity", {}, "200"),
    ],
)
def test_golden_sizes(method: Any, known: dict[str, D], expected: str) -> None:
    assert wanted_value(method, D(10_000), D("0.02"), **known) == D(expected)


def trades(*results: str, cost: str = "100", days_ago: float = 1) -> list[ExitEntry]:
    ts = int(NOW - days_ago * DAY)
    return [
        ExitEntry(BOT, AccountId("paper"), BTC, D(result), stopped=False, ts=ts, cost=D(cost)) for result in results
    ]


@pytest.mark.parametrize(
    ("closed", "expected"),
    [
        # W = 0.6, R = 2: 0.6 - 0.4 / 2 = 0.4, capped.
        (trades(*["2"] * 6, *["-1"] * 4), "0.25"),
        # W = 0.5, R = 1.25: 0.5 - 0.5 / 1.25.
        (trades(*["5"] * 5, *["-4"] * 5), "0.1"),
        # W = 0.5, R = 1: no edge, and below that never less than nothing.
        (trades(*["1"] * 5, *["-1"] * 5), "0"),
        (trades(*["1"] * 2, *["-1"] * 8), "0"),
        (trades(*["-1"] * 10), "0"),
        # Losses of nothing: the win rate itself, capped.
        (trades(*["1"] * 10), "0.25"),
        (trades("1", "1", *["0"] * 8), "0.2"),
        # Nine trades are too few; so are ten of which one is older than thirty days or of no known cost.
        (trades(*["2"] * 5, *["-1"] * 4), None),
        ([*trades(*["2"] * 5, *["-1"] * 4), *trades("2", days_ago=30.01)], None),
        ([*trades(*["2"] * 5, *["-1"] * 4), *trades("2", cost="0")], None),
        ([*trades(*["5"] * 5, *["-4"] * 4), *trades("-4", days_ago=29.99)], "0.1"),
        # A result counts by what the position cost: 10 of 1,000 is less than 5 of 100.
        ([*trades(*["50"] * 5, cost="1000"), *trades(*["-4"] * 5)], "0.1"),
    ],
)
def test_kellys_fraction(closed: list[ExitEntry], expected: str | None) -> None:
    assert kelly_fraction(closed, NOW) == (None if expected is None else D(expected))


@pytest.mark.parametrize(
    ("new", "held", "expected"),
    [
        (0.02, [], "1"),
        (0.02, [0.02, 0.02], "1"),
        # Weights (1/s) / sum(1/s): 25 of 75 for the wild one of two, 50 of 75 for the calm one; times two.
        (0.04, [0.02], "0.6666666666666666"),
        (0.02, [0.04], "1.3333333333333333"),
        (0.02, [0.0], "1"),
        (0.0, [0.02], None),
    ],
)
def test_risk_parity_is_inverse_to_volatility(new: float, held: list[float], expected: str | None) -> None:
    found = parity_factor(new, held)
    assert (None if found is None else float(found)) == (None if expected is None else pytest.approx(float(expected)))


@pytest.mark.parametrize(
    ("correlated", "most", "expected"),
    [("0", "5000", "1"), ("1250", "5000", "0.75"), ("4999", "5000", "0.0002"), ("5000", "5000", "0"),
     ("9000", "5000", "0"), ("0", "0", "0")],
)  # fmt: skip
def test_portfolio_heat(correlated: str, most: str, expected: str) -> None:
    assert heat_factor(D(correlated), D(most)) == D(expected)


# --- through the sizer ------------------------------------------------------------------------------------------------


class Scripted:
    """Correlations and volatilities as they are wanted."""

    def between(self, one: str, other: str) -> float | None:
        return 0.9 if {one, other} == {ETH, SOL} else 0.0

    def volatility(self, instrument: str) -> float | None:
        known: dict[str, float] = {ETH: 0.02, SOL: 0.04}
        return known.get(instrument)


def sized(made: House, key: Any = SOL, **metadata: Any) -> D:
    signal = Signal(
        instrument=key, ts=made.now, action=SignalAction.ENTER, direction=SignalDirection.BUY, confidence=0.5,
        reason="test", strategy="test", metadata=metadata,
    )  # fmt: skip
    mark = made.markets[key].mark
    assert mark is not None
    return made.risk.sizer.size(signal, made.state.instruments[key], BOT, mark)[0]


def house(**limits: Any) -> House:
    made = House(loose(**limits))
    made.risk.grouping.clusters._correlations = Scripted()
    made.risk._volatilities = Scripted()
    return made


def test_the_method_of_the_limits_is_everybodys_and_a_signal_may_name_another() -> None:
    made = house(position_size_method="volatility_adjusted")
    # A day moves SOL by 4 %: half of 2 SOL; without a volatility the base.
    assert sized(made) == D(1)
    assert sized(made, BTC) == D("0.004")
    assert sized(made, size_method="fixed_percentage") == D(2)
    assert sized(made, size_method="confidence_weighted") == D(1)
    assert sized(made, size_method="nonsense") == D(1)


def test_an_entry_is_smaller_by_what_is_known_to_move_with_it() -> None:
    made = house(max_correlated_exposure=D("0.2"))
    assert sized(made) == D(2)
    made.trade(BUY, "0.2", ETH, price="2500")
    # A quarter of what may move together is taken.
    assert sized(made) == D("1.5")
    assert sized(made, BTC) == D("0.004")


def test_risk_parity_looks_at_what_is_held() -> None:
    made = house(position_size_method="risk_parity", max_correlated_exposure=D(10))
    assert sized(made) == D(2)
    made.trade(BUY, "0.1", ETH, price="2500")
    assert sized(made) == pytest.approx(D("1.32"), abs=D("0.01"))


def test_kelly_goes_by_the_bots_own_trades_once_there_are_ten() -> None:
    made = house(position_size_method="kelly", max_position_size_pct=D(1), max_orders_per_second=100)
    for number in range(10):
        assert sized(made) == pytest.approx(D(2), abs=D("0.01"))
        made.trade(BUY, "1", SOL, owner=BOT, price="100")
        made.price(SOL, "105" if number % 2 else "96")
        made.trade(SELL, "1", SOL, owner=BOT)
        made.price(SOL, "100")
    assert [entry.cost for entry in made.state.exits.values()] == [D(100)] * 10
    # W = 0.5, R = 5 / 4: a tenth of equity, 1,000.5 of 10,005.
    assert sized(made) == D("10.00")


def test_no_size_is_larger_than_the_largest_position_whatever_the_method() -> None:
    assert RiskLimits().max_position_size_pct == D("0.1")
    made = house(position_size_method="volatility_adjusted")
    assert sized(made, position_size_pct=0.1, atr=0.1) == D("9.80")
