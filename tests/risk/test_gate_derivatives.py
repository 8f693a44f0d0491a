"""The gate on perpetuals: leverage, one position an account, kinds that are not traded, margin instead of the value."""

from __future__ import annotations

from decimal import Decimal as D

import msgspec
import pytest

from engine import events as ev
from engine.errors import OrderRejectionError
from engine.model.ids import MANUAL, InstrumentId
from engine.model.instrument import InstrumentKind
from engine.model.margin import MarginMode, MarginTier
from engine.model.order import OrderSide
from engine.model.signal import Signal, SignalAction, SignalDirection
from engine.state import EngineState
from tests.kit.limits import loose
from tests.risk.house import BOT, OTHER_BOT, PAPER, PERP, USDT, House

BUY, SELL = OrderSide.BUY, OrderSide.SELL
FREE = loose(max_position_size_pct=D(1), allow_short=True, max_leverage=D(5), max_portfolio_exposure=D(1))


def lever(house: House, leverage: str, mode: MarginMode = MarginMode.ISOLATED) -> None:
    house.ledger.record(ev.MarginSet(account=PAPER, instrument=PERP, leverage=D(leverage), mode=mode))


@pytest.fixture
def house() -> House:
    return House(FREE)


def test_leverage_makes_the_margin_smaller_and_the_limit_of_exposure_stays(house: House) -> None:
    assert house.codes(BUY, "0.21", PERP, price="50000") == ["insufficient_balance", "position_size"]
    lever(house, "5")
    assert house.codes(BUY, "0.19", PERP, price="50000") == []
    order = house.submit(BUY, "0.19", PERP, price="50000")
    assert order.reserve_unit == D(10_000)
    assert house.state.balance(PAPER, USDT).reserved == D(1_900)
    assert house.codes(BUY, "0.02", PERP, price="50000") == ["position_size"]


def test_more_leverage_than_the_limits_allow_opens_nothing_and_closes_everything(house: House) -> None:
    house.trade(BUY, "0.1", PERP)
    lever(house, "6")
    assert "leverage" in house.codes(BUY, "0.01", PERP, price="50000")
    assert house.codes(SELL, "0.1", PERP) == []


def test_a_venues_tier_bounds_the_leverage_of_a_larger_position(house: House) -> None:
    known = house.state.instruments[PERP]
    tiers = (
        MarginTier(maintenance=D("0.01"), max_leverage=D(5)),
        MarginTier(maintenance=D("0.02"), max_leverage=D(2), from_notional=D(5_000)),
    )
    rules = msgspec.structs.replace(known.current_rules, margin=tiers)
    house.ledger.record(ev.InstrumentDefined(instrument=msgspec.structs.replace(known, rules=(rules,))))
    lever(house, "5")
    assert house.codes(BUY, "0.05", PERP, price="50000") == []
    assert house.codes(BUY, "0.15", PERP, price="50000") == ["leverage"]


def test_a_position_uses_its_margin_and_what_reduces_it_holds_nothing(house: House) -> None:
    lever(house, "2")
    house.trade(BUY, "0.1", PERP)
    assert house.risk.picture.free_funds(PAPER, USDT) == D(7_500)
    assert house.state.balance(PAPER, USDT).free == D(10_000)
    order = house.submit(SELL, "0.1", PERP, price="51000")
    assert order.reserve_unit == 0
    assert house.state.balance(PAPER, USDT).reserved == 0


def test_an_open_loss_in_cross_mode_is_not_free(house: House) -> None:
    lever(house, "5", MarginMode.CROSS)
    house.trade(BUY, "0.1", PERP)
    house.price(PERP, "45000")
    house.risk.picture.look()
    assert house.risk.picture.free_funds(PAPER, USDT) == D(10_000) - D(900) - D(500)
    house.price(PERP, "55000")
    house.risk.picture.look()
    assert house.risk.picture.free_funds(PAPER, USDT) == D(10_000) - D(1_100)


def test_two_bots_never_stand_against_each_other_in_one_position(house: House) -> None:
    house.trade(BUY, "0.02", PERP, owner=BOT)
    codes = house.codes(SELL, "0.01", PERP, owner=OTHER_BOT, price="50000")
    assert codes == ["opposed"]
    assert house.codes(BUY, "0.01", PERP, owner=OTHER_BOT, price="50000") == []
    assert house.codes(SELL, "0.01", PERP, owner=BOT) == []
    assert house.codes(SELL, "0.01", PERP, owner=MANUAL) == []


def test_a_bots_capital_is_not_stretched_by_leverage(house: House) -> None:
    lever(house, "5")
    assert house.codes(BUY, "0.05", PERP, owner=BOT, price="50000") == ["insufficient_capital"]
    signal = Signal(
        action=SignalAction.ENTER,
        direction=SignalDirection.BUY,
        instrument=PERP,
        confidence=1.0,
        reason="test",
        ts=1,
        strategy="test",
    )
    unlevered, levered = House(FREE), house
    sizes = [
        one.risk.sizer.size(signal, one.state.instruments[PERP], BOT, D(50_000))[0] for one in (unlevered, levered)
    ]
    assert sizes[0] == sizes[1] > 0


@pytest.mark.parametrize("kind", [InstrumentKind.INVERSE_PERPETUAL, InstrumentKind.DATED_FUTURE])
def test_a_contract_of_another_kind_is_refused_with_a_sentence(house: House, kind: InstrumentKind) -> None:
    strange = msgspec.structs.replace(house.state.instruments[PERP], id=InstrumentId("SIM:BTC/USD:BTC"), kind=kind)
    house.ledger.record(ev.InstrumentDefined(instrument=strange))
    with pytest.raises(OrderRejectionError, match="not traded here; choose spot or a linear perpetual") as error:
        house.submit(BUY, "0.01", strange.id, price="50000")
    assert error.value.error_code == "kind"


def test_the_venues_mark_values_a_position(house: House) -> None:
    house.trade(BUY, "0.1", PERP)
    house.markets[PERP] = msgspec.structs.replace(house.markets[PERP], fair=D(40_000))
    house.risk.picture.look()
    assert house.risk.picture.equity(PAPER).value == D(9_000)
    assert isinstance(house.state, EngineState)
