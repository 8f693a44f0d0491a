"""Sizes of entries: methods, caps, lots, and that the gate takes them."""

from __future__ import annotations

import random
from decimal import Decimal as D
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import events as ev
from engine.model.ids import MANUAL, Currency, InstrumentId
from engine.model.risk import Quote
from engine.model.signal import Signal, SignalAction, SignalDirection
from engine.risk.sizing import Room, fit
from engine.risk.sizing_methods import wanted_value
from tests.kit.limits import loose
from tests.risk.house import BOT, BTC, BUY, ETH, ETHBTC, OTHER_BOT, PAPER, PERP, SELL, SOL, House, instrument

if TYPE_CHECKING:
    from engine.model.ids import Owner

FINE = instrument(SOL, "0.01", "0.01", min_notional=D(5), min_quantity=D("0.05"), max_quantity=D(50))


@pytest.mark.parametrize(
    ("method", "more", "expected"),
    [
        ("fixed_percentage", {}, "200"),
        ("fixed_percentage", {"confidence": D("0.5"), "atr": D(9)}, "200"),
        ("confidence_weighted", {"confidence": D("0.75")}, "150"),
        ("confidence_weighted", {"confidence": D(0)}, "0"),
        ("confidence_weighted", {"confidence": D(3)}, "200"),
        # the target is 2 % a period: an ATR of 2 % keeps the size, 4 % halves it, 1 % doubles it
        ("volatility_adjusted", {"atr": D(2), "price": D(100)}, "200"),
        ("volatility_adjusted", {"atr": D(4), "price": D(100)}, "100"),
        ("volatility_adjusted", {"atr": D(1), "price": D(100)}, "400"),
        ("volatility_adjusted", {}, "200"),
        ("volatility_adjusted", {"atr": D(0), "price": D(100)}, "200"),
    ],
)
def test_methods(method: Any, more: dict[str, Any], expected: str) -> None:
    assert wanted_value(method, D(10000), D("0.02"), **more) == D(expected)


def room(why: str = "what is left of the largest position", **more: str) -> Room:
    values = {"price": "100", "worst": "102", "left": "1000", "funds": "1000", "funds_per_unit": "102"}
    figures = {name: D(value) for name, value in {**values, **more}.items()}
    return Room(why=why, **figures)


@pytest.mark.parametrize(
    ("value", "more", "quantity", "reason"),
    [
        ("200", {}, "2", ""),
        ("200.99", {}, "2", ""),
        ("201", {}, "2.01", ""),
        ("5000", {}, "9.80", ""),
        ("5000", {"funds": "1020", "left": "1100"}, "10", ""),
        ("5000", {"left": "300"}, "2.94", ""),
        ("5000", {"left": "306"}, "3", ""),
        ("5000", {"left": "305.99"}, "2.99", ""),
        ("90000", {"left": "90000", "funds": "90000"}, "50", ""),
        ("5", {}, "0.05", ""),
        ("4.99", {}, "0", "the wanted size (0.0499 SOL) is below the smallest order of 0.05"),
        ("5", {"price": "99"}, "0", "the wanted size (4.95 USDT) is below the smallest order value of 5.00 USDT"),
        ("200", {"funds": "0"}, "0", "the free capital (0 SOL) is below the smallest order of 0.05"),
        ("200", {"funds": "-7"}, "0", "the free capital (0 SOL) is below the smallest order of 0.05"),
        ("200", {"left": "-1"}, "0", "what is left of the largest position (0 SOL) is below the smallest order"),
    ],
)
def test_caps_and_lots(value: str, more: dict[str, str], quantity: str, reason: str) -> None:
    got, why = fit(D(value), room(**more), FINE)
    assert got == D(quantity)
    assert why.startswith(reason)
    assert bool(why) is (got == 0)


def signal(key: InstrumentId, side: SignalDirection = SignalDirection.BUY, **more: Any) -> Signal:
    return Signal(
        instrument=key,
        strategy="test",
        action=SignalAction.ENTER,
        direction=side,
        confidence=more.pop("confidence", 0.8),
        ts=0,
        reason="test",
        metadata=more,
    )


def size(house: House, key: InstrumentId, owner: Owner = BOT, **more: Any) -> tuple[D, str]:
    mark = house.markets[key].mark
    assert mark is not None
    return house.risk.sizer.size(signal(key, **more), house.state.instruments[key], owner, mark)


def test_the_default_is_two_percent_of_equity() -> None:
    assert size(House(), SOL) == (D(2), "")
    house = House()
    house.ledger.record(ev.Deposited(account=PAPER, currency=Currency("BTC"), amount=D("0.2")))
    # equity is 20,000 USDT and ETH is worth 2,500
    assert size(house, ETHBTC) == (D("0.16"), "")


def test_a_signal_may_name_its_own_size_and_volatility() -> None:
    house = House(loose(position_size_method="volatility_adjusted"))
    assert size(house, SOL, position_size_pct=0.05)[0] == 5
    assert size(house, SOL, position_size_pct=0.05, atr=4.0)[0] == D("2.5")
    assert size(house, SOL, position_size_pct="nonsense", atr=-1.0)[0] == 2
    house.risk.change_limits("test", {"position_size_method": "confidence_weighted"})
    assert size(house, SOL, confidence=0.5)[0] == 1


def test_nothing_is_larger_than_a_tenth_of_equity_with_what_is_held() -> None:
    house = House()
    # at the collar of 2 % that is what 1,000 USDT buy
    assert size(house, SOL, position_size_pct=0.5)[0] == D("9.80")
    house.trade(BUY, "7", SOL, owner=OTHER_BOT)
    assert size(house, SOL, position_size_pct=0.5)[0] == D("2.94")
    house.trade(BUY, "3", SOL, owner=OTHER_BOT, price="100")
    assert size(house, SOL) == (
        D(0),
        "what is left of the largest position (0 SOL) is below the smallest order of 0.01",
    )


def test_a_bots_capital_caps_the_size_with_collar_and_fee() -> None:
    house = House(loose(max_position_size_pct=D(1)))
    quantity, _ = size(house, BTC, position_size_pct=1.0)
    assert quantity == D("0.03917")
    assert house.codes(BUY, quantity, owner=BOT) == []
    assert house.codes(BUY, quantity + D("0.00001"), owner=BOT) != []


def test_the_spread_is_paid_for() -> None:
    house = House()
    house.markets[SOL] = Quote(bid=D(98), ask=D(102), last=D(100), ts=house.now)
    quantity, _ = size(house, SOL, position_size_pct=0.5)
    assert quantity == D("9.61")
    assert house.codes(BUY, quantity, SOL, owner=BOT) == []


def test_what_cannot_be_valued_is_not_sized() -> None:
    house = House()
    house.trade(BUY, "0.01", BTC)
    house.markets.pop(BTC)
    assert size(house, SOL) == (D(0), "the portfolio cannot be valued: no price is known for SIM:BTC/USDT")


def test_derivatives_are_sized_in_both_directions() -> None:
    house = House(loose(allow_short=True))
    key = house.state.instruments[PERP]
    quantity, why = house.risk.sizer.size(signal(PERP, SignalDirection.SELL), key, MANUAL, D(50000))
    assert (quantity, why) == (D("0.004"), "")
    house.submit(SELL, quantity, PERP)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    pct=st.floats(0.0001, 1.0),
    cap=st.floats(0.02, 1.0),
    exposure=st.floats(0.05, 1.0),
)
def test_every_size_is_taken_by_the_gate(seed: int, pct: float, cap: float, exposure: float) -> None:
    rng = random.Random(seed)
    limits = loose(
        max_position_size_pct=D(repr(cap)), max_portfolio_exposure=D(repr(exposure)), max_orders_per_second=1000
    )
    house = House(limits)
    house.ledger.record(ev.Deposited(account=PAPER, currency=Currency("BTC"), amount=D("0.05")))
    for _ in range(12):
        key, owner = rng.choice((BTC, ETH, SOL, ETHBTC)), rng.choice((MANUAL, BOT, OTHER_BOT))
        quantity, why = size(house, key, owner, position_size_pct=pct)
        assert bool(quantity) is (not why)
        if quantity:
            house.trade(BUY, quantity, key, owner=owner)
