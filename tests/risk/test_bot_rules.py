"""Bots keep their own stricter limits, and neither stand nor trade against each other in one account."""

from __future__ import annotations

from decimal import Decimal as D
from typing import Any

import msgspec
import pytest

from engine import events as ev
from engine.model.capital import PoolMeasure
from engine.model.ids import InstrumentId
from engine.model.order import OrderSide
from engine.model.risk import RefusalCode
from engine.model.signal import Signal, SignalAction, SignalDirection
from tests.kit.limits import loose
from tests.risk.house import BOT, BTC, ETH, OTHER_BOT, PAPER, PERP, SOL, House

BUY, SELL = OrderSide.BUY, OrderSide.SELL
LOOSE = loose(max_position_size_pct=D(1), position_size_pct=D("0.1"), allow_short=True, max_portfolio_exposure=D(1))
# A market order counts as filled 2 % beyond the touch.


@pytest.fixture
def house() -> House:
    return House(LOOSE)


def limited(house: House, **risk: Any) -> None:
    """Give the first bot limits of its own."""
    config = msgspec.json.encode({"risk": risk})
    house.ledger.record(ev.BotConfigured(bot=BOT, config=config, capital=D(2000)))


# --- own limits ------------------------------------------------------------------------------------------------------


def test_a_bots_own_position_limit_holds_to_the_cent_and_only_for_it(house: House) -> None:
    limited(house, max_position_size_pct="0.05")
    assert house.codes(BUY, "0.00979", owner=BOT) == []
    assert house.codes(BUY, "0.0098", owner=BOT) == ["position_size"]
    assert house.codes(BUY, "0.0098", owner=OTHER_BOT) == []
    house.trade(BUY, "0.0098", owner=OTHER_BOT)
    assert house.codes(BUY, "0.00979", owner=BOT) == [], "what others hold does not count"
    message = house.check(BUY, "0.011", owner=BOT).refusals[0].message
    assert message.startswith(
        "The position of bot bot1 in SIM:BTC/USDT could come to 561.56 USDT, more than its own 5 % (500.00 USDT); "
    )


def test_its_own_exposure_and_number_of_positions_count_what_it_has_elsewhere(house: House) -> None:
    limited(house, max_portfolio_exposure="0.1", max_total_positions=1)
    house.trade(BUY, "0.2", ETH, owner=BOT)
    assert house.codes(BUY, "0.0097", BTC, owner=BOT) == ["positions"]
    assert set(house.codes(BUY, "0.0101", BTC, owner=BOT)) == {"positions", "exposure"}
    assert house.codes(BUY, "0.1958", ETH, owner=BOT) == [], "the same position may grow"
    assert house.codes(BUY, "0.1962", ETH, owner=BOT) == ["exposure"]
    assert house.codes(SELL, "0.2", ETH, owner=BOT) == []


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [("max_orders_per_minute", 1, "order_rate"), ("stale_market_s", 1.0, "stale_market")],
)
def test_limits_that_are_judged_alike_for_all_are_stricter_for_it(
    house: House, name: str, value: float, code: str
) -> None:
    limited(house, **{name: value})
    house.trade(BUY, "1", SOL, owner=BOT)
    house.later(1.5)
    assert house.codes(BUY, "1", SOL, owner=BOT) == [code]
    assert house.codes(BUY, "1", SOL, owner=OTHER_BOT) == []


def test_its_own_daily_loss_and_drawdown_stop_its_entries_at_the_limit_and_never_its_exits(house: House) -> None:
    limited(house, max_daily_loss_pct="0.05", max_drawdown_pct="0.2")
    house.trade(BUY, "10", SOL, owner=BOT)
    house.price(SOL, "90.01")
    assert house.codes(BUY, "1", SOL, owner=BOT) == []
    house.price(SOL, "90")
    assert house.codes(BUY, "1", SOL, owner=BOT) == ["locked"]
    assert house.codes(SELL, "10", SOL, owner=BOT) == []
    measured = PoolMeasure(owner=BOT, capital=D(2000), result=D(-100))
    house.ledger.record(ev.PoolsMeasured(account=PAPER, day=19_000, pools=(measured,)))
    assert house.codes(BUY, "1", SOL, owner=BOT) == [], "a new day begins where the last one ended"
    house.ledger.record(
        ev.PoolsMeasured(account=PAPER, day=19_001, pools=(msgspec.structs.replace(measured, result=D(300)),))
    )
    house.ledger.record(
        ev.PoolsMeasured(account=PAPER, day=19_002, pools=(msgspec.structs.replace(measured, result=D(-100)),))
    )
    assert house.codes(BUY, "1", SOL, owner=BOT) == ["locked"], "400 from the best, a fifth of 2,000"
    house.price(SOL, "91")
    assert house.codes(BUY, "1", SOL, owner=BOT) == []


def test_sizes_follow_a_bots_own_limits(house: House) -> None:
    limited(house, max_position_size_pct="0.04")
    signal = Signal(
        instrument=SOL,
        action=SignalAction.ENTER,
        direction=SignalDirection.BUY,
        confidence=1.0,
        reason="test",
        ts=house.now,
        strategy="test",
    )
    instrument = house.state.instruments[SOL]
    quantity, _ = house.risk.sizer.size(signal, instrument, BOT, D(100))
    assert quantity == D("3.92")
    assert house.codes(BUY, quantity, SOL, owner=BOT) == []
    assert house.risk.sizer.size(signal, instrument, OTHER_BOT, D(100))[0] > D("9.8")


# --- against each other ----------------------------------------------------------------------------------------------


def test_a_bot_does_not_enter_against_another_in_another_contract_of_the_same_market(house: House) -> None:
    house.trade(BUY, "0.01", BTC, owner=OTHER_BOT)
    verdict = house.check(SELL, "0.01", PERP, owner=BOT)
    assert [refusal.code for refusal in verdict.refusals] == [RefusalCode.OPPOSED]
    assert verdict.refusals[0].value == OTHER_BOT
    assert "bots do not enter against each other" in verdict.refusals[0].message
    assert house.codes(BUY, "0.01", PERP, owner=BOT) == []
    assert house.codes(SELL, "0.01", PERP) == [], "by hand it is somebody's decision"
    house.trade(SELL, "0.01", BTC, owner=OTHER_BOT)
    assert house.codes(SELL, "0.01", PERP, owner=BOT) == []


def test_an_entry_that_still_works_counts_and_a_protective_order_does_not(house: House) -> None:
    order = house.submit(SELL, "0.01", PERP, owner=OTHER_BOT, price="50500")
    assert house.codes(BUY, "0.01", BTC, owner=BOT, price="49000") == ["opposed"]
    house.cancelled(order)
    house.trade(BUY, "0.01", BTC, owner=OTHER_BOT)
    house.submit(SELL, "0.01", BTC, owner=OTHER_BOT, price="60000")
    assert house.codes(BUY, "0.01", PERP, owner=BOT) == []


@pytest.mark.parametrize(("price", "codes"), [(None, []), ("50099.99", []), ("50100", ["crossing"])])
def test_an_entry_never_executes_against_another_bots_order(house: House, price: str | None, codes: list[str]) -> None:
    house.trade(BUY, "0.01", BTC, owner=OTHER_BOT)
    house.accept(house.submit(SELL, "0.01", BTC, owner=OTHER_BOT, price="50100"))
    assert house.codes(BUY, "0.005", BTC, owner=BOT, price=price) == codes


def test_at_the_market_the_touch_decides(house: House) -> None:
    house.trade(BUY, "0.01", BTC, owner=OTHER_BOT)
    house.accept(house.submit(SELL, "0.01", BTC, owner=OTHER_BOT, price="50000"))
    assert house.codes(BUY, "0.005", BTC, owner=BOT) == ["crossing"]
    assert house.codes(BUY, "0.005", BTC, owner=OTHER_BOT) == [], "a bot's own orders are its own business"
    assert house.codes(BUY, "0.005", InstrumentId("SIM:ETH/USDT"), owner=BOT) == []
