"""Trading with care: half the size, nothing opened where nothing is heard, exits always."""

from __future__ import annotations

from decimal import Decimal as D

import pytest

from engine.errors import OrderRejectionError
from engine.model.ids import VenueId
from engine.model.order import OrderType
from engine.model.risk import RefusalCode
from engine.model.signal import Signal, SignalAction, SignalDirection
from engine.resilience.caution import Caution
from tests.kit.limits import loose
from tests.risk.house import BOT, BTC, BUY, ETH, SELL, VENUE, House

LIMITS = loose(position_size_pct=D("0.04"), max_position_size_pct=D("0.1"))


def entry(house: House) -> Signal:
    return Signal(
        instrument=ETH,
        strategy="quiet",
        action=SignalAction.ENTER,
        direction=SignalDirection.BUY,
        confidence=1.0,
        ts=house.now,
        reason="test",
    )


def sized(house: House) -> D:
    return house.risk.sizer.size(entry(house), house.state.instruments[ETH], BOT, D(2500))[0]


def codes(house: House, quantity: str, key: str = ETH) -> list[RefusalCode]:
    request = house.request(BUY, D(quantity), key)  # type: ignore[arg-type]
    return [refusal.code for refusal in house.gate.check(request, house.now).refusals]


def test_entries_are_half_as_large_and_so_is_the_largest_position() -> None:
    house = House(LIMITS)
    assert sized(house) == D("0.16")
    assert codes(house, "0.3") == []
    house.risk.caution.careful("feeds", "Nothing is heard of BTC/USDT.")
    assert sized(house) == D("0.08")
    assert codes(house, "0.3") == [RefusalCode.POSITION_SIZE]
    message = house.gate.check(house.request(BUY, D("0.3"), ETH), house.now).message
    assert "more than 5 % of equity (500.00 USDT, while trading with care)" in message
    house.risk.caution.well("feeds")
    assert sized(house) == D("0.16")


def test_two_reasons_do_not_make_it_smaller_twice_and_both_must_go() -> None:
    caution = Caution(D("0.5"))
    caution.careful("a", "A fails.")
    caution.careful("b", "B fails.")
    assert caution.factor == D("0.5")
    caution.well("a")
    assert (caution.conservative, caution.words) == (True, "B fails. Entries are 50% of their usual size.")
    caution.well("b")
    assert (caution.factor, caution.words) == (D(1), "")


@pytest.mark.parametrize("closes", [True, False], ids=["the venue is closed", "the market is not heard"])
def test_where_nothing_may_be_opened_reductions_and_cancels_pass(closes: bool) -> None:
    house = House(LIMITS)
    house.fill(house.submit(BUY, "0.1", ETH))
    rests = house.submit(BUY, "0.01", ETH, type=OrderType.LIMIT, price=D(2400))
    caution = house.risk.caution
    if closes:
        caution.close(VENUE, "SIM cannot be reached.")
    else:
        caution.unheard(ETH, "Nothing is heard of ETH/USDT.")
    assert RefusalCode.UNAVAILABLE in codes(house, "0.01")
    assert (codes(house, "0.001", BTC) == []) is not closes
    with pytest.raises(OrderRejectionError, match="Nothing new is opened there"):
        house.submit(BUY, "0.01", ETH)
    house.submit(SELL, "0.1", ETH)
    house.desk.cancel(rests.client_id, "by hand")
    caution.reopen(VENUE)
    caution.heard(ETH)
    assert codes(house, "0.01") == []


def test_another_venue_is_not_closed_with_it() -> None:
    caution = Caution()
    caution.close(VenueId("OTHER"), "OTHER cannot be reached.")
    assert caution.obstacle(ETH) == ""
    assert not caution.conservative
