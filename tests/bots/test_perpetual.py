"""A bot on a perpetual: short as well as long, protected either way, and in step with what a venue closes by force."""

from __future__ import annotations

from decimal import Decimal as D

import msgspec
import pytest

from engine import events as ev
from engine.model.fill import Fill, FillCause
from engine.model.ids import ClientOrderId, TradeId, VenueOrderId
from engine.model.instrument import InstrumentKind
from engine.model.order import Liquidity, OrderSide
from tests.bots.house import BOT, LOOSE, MARKET, PAPER, SELL, USDT, VENUE, House
from tests.venues.paper.helpers import make_instrument


@pytest.fixture
def house(monkeypatch: pytest.MonkeyPatch) -> House:
    perpetual = msgspec.structs.replace(make_instrument(lot="0.001"), kind=InstrumentKind.LINEAR_PERPETUAL)
    monkeypatch.setattr("tests.bots.house.make_instrument", lambda **_: perpetual)
    return House(limits=LOOSE.model_copy(update={"allow_short": True}))


def test_a_wish_to_sell_opens_a_short_with_its_stop_above(house: House) -> None:
    house.enter(SELL, stop=105.0, target=90.0)
    assert house.at_venue() == [("market", D(1), None)]
    house.flat()
    assert house.bot.quantity == D(-1)
    assert sorted(house.at_venue()) == [("stop_loss", D(1), D(105)), ("take_profit", D(1), D(90))]
    assert house.bot.holding().quantity == -1


def test_the_stop_of_a_short_closes_it_when_the_price_rises(house: House) -> None:
    house.enter(SELL, stop=105.0)
    house.flat()
    house.bar(104, 106, 103, 104)
    assert house.bot.quantity == 0
    assert house.at_venue() == []
    assert house.state.balance(PAPER, USDT).total == D(99_995)


def test_the_opposite_wish_closes_a_short(house: House) -> None:
    house.enter(SELL, stop=105.0)
    house.flat()
    house.enter()
    house.flat(95.0)
    assert house.bot.quantity == 0
    assert house.state.balance(PAPER, USDT).total == D(100_005)


def test_what_a_venue_closes_by_force_is_followed_by_the_stop(house: House) -> None:
    house.enter(SELL, stop=105.0)
    house.flat()
    forced = Fill(
        venue=VENUE, account=PAPER, instrument=MARKET, trade_id=TradeId("A1"), venue_order_id=VenueOrderId("A"),
        client_id=ClientOrderId("adl"), side=OrderSide.BUY, price=D(99), quantity=D("0.4"), fee=D(0), fee_currency=USDT,
        liquidity=Liquidity.TAKER, ts=house.clock.now(), cause=FillCause.DELEVERAGING,
    )  # fmt: skip
    house.desk.on_event(PAPER, ev.OrderFilled(fill=forced))
    assert house.bot.quantity == D("-0.6")
    (told,) = house.facts(ev.PositionLiquidated)
    assert told.owner == BOT
    house.bot.on_record(house.journal.records[-1])
    assert house.at_venue() == [("stop_loss", D("0.6"), D(105))]
