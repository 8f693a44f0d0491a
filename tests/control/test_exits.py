"""Exits of a position of one's own: proposed, judged, placed as a pair of which one ends the other, or one alone."""

from __future__ import annotations

from decimal import Decimal as D
from typing import TYPE_CHECKING

import msgspec
import pytest

from engine.control.present.orders import plain
from engine.errors import ConflictError, NotFoundError, ValidationError
from engine.execution.emulation.held import WAITING, must_hold
from engine.model.order import OrderStatus, OrderType
from engine.venues.paper.venue import CAPABILITIES
from tests.control.house import BTC, Deck, deck

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture
async def on(tmp_path: Path) -> AsyncIterator[Deck]:
    async with deck(tmp_path) as ship:
        await ship.market(quantity="0.01")
        yield ship


async def test_a_stop_and_a_target_are_proposed_on_both_sides_of_the_market(on: Deck) -> None:
    view = await on.call("orders.preview_exits", instrument=BTC, side="sell")
    mark = on.engine.mark(view.instrument)
    assert mark is not None
    assert view.quantity == D("0.01")
    assert view.stop_price < mark < view.target_price
    assert abs(view.stop_price / mark - D("0.98")) < D("0.002")
    assert abs(view.target_price / mark - D("1.04")) < D("0.002")
    assert (view.stop_held, view.target_held, view.refusals) == (False, False, ())
    assert view.sentence.startswith("SELL 0.01 BTC of BTC/USDT: stop at ")
    assert view.sentence.count("rests at the venue") == 2
    assert not on.engine.state.orders


async def test_the_exits_that_were_previewed_are_placed_and_one_ends_the_other(on: Deck) -> None:
    view = await on.call("orders.preview_exits", instrument=BTC, side="sell")
    stop, target = await on.call(
        "orders.place_exits",
        "once",
        instrument=BTC,
        side="sell",
        quantity=view.quantity,
        stop_price=view.stop_price,
        target_price=view.target_price,
    )
    assert (stop.type, target.type) == (OrderType.STOP_LOSS, OrderType.TAKE_PROFIT)
    assert stop.reduce_only
    await on.reaches(stop, OrderStatus.ACCEPTED)
    await on.reaches(target, OrderStatus.ACCEPTED)
    (row,) = await on.call("portfolio.positions")
    assert (row.stop_price, row.stop_quantity) == (view.stop_price, row.quantity)
    await on.market(quantity="0.005")
    (row,) = await on.call("portfolio.positions")
    assert row.quantity > D("0.0149")
    assert (row.stop_price, row.stop_quantity) == (view.stop_price, D("0.01"))
    await on.call("orders.cancel", client_id=stop.client_id)
    await on.reaches(target, OrderStatus.CANCELED)


@pytest.mark.parametrize(
    ("field", "kind"), [("stop_price", OrderType.STOP_LOSS), ("target_price", OrderType.TAKE_PROFIT)]
)
async def test_one_of_the_two_may_be_placed_alone(on: Deck, field: str, kind: OrderType) -> None:
    view = await on.call("orders.preview_exits", instrument=BTC, side="sell")
    asked = {"instrument": BTC, "side": "sell", "quantity": D("0.01"), field: getattr(view, field)}
    judged = await on.call("orders.preview_exits", **asked)
    assert f"{'stop' if field == 'stop_price' else 'target'} at {plain(getattr(view, field))}" in judged.sentence
    assert "ends the other" not in judged.sentence
    (placed,) = await on.call("orders.place_exits", **asked)
    assert placed.type is kind
    order = on.engine.state.order(placed.client_id)
    assert order is not None
    assert order.oco_group is None


async def test_exits_the_wrong_way_round_and_exits_of_nothing_are_refused_with_a_sentence(on: Deck) -> None:
    wrong = {
        "instrument": BTC,
        "side": "sell",
        "quantity": D("0.01"),
        "stop_price": D(90_000),
        "target_price": D(80_000),
    }
    for operation in ("orders.preview_exits", "orders.place_exits"):
        with pytest.raises(ValidationError, match="the target is above the stop"):
            await on.call(operation, **wrong)
    with pytest.raises(ValidationError, match="a stop price, a target price, or both"):
        await on.call("orders.place_exits", instrument=BTC, side="sell", quantity=D("0.01"))
    with pytest.raises(ConflictError, match="no position in SIM:BTC/USDT that a buy would reduce"):
        await on.call("orders.preview_exits", instrument=BTC, side="buy")
    with pytest.raises(NotFoundError, match="SIM has no account other"):
        await on.call("orders.preview_exits", instrument=BTC, side="sell", account="other")
    assert not on.engine.state.orders


@pytest.mark.parametrize(("field", "away"), [("stop_price", "1.01"), ("target_price", "0.99")])
async def test_an_exit_that_the_market_has_passed_already_is_refused(on: Deck, field: str, away: str) -> None:
    view = await on.call("orders.preview_exits", instrument=BTC, side="sell")
    mark = on.engine.mark(view.instrument)
    assert mark is not None
    price = round(mark * D(away), 1)
    for operation in ("orders.preview_exits", "orders.place_exits"):
        with pytest.raises(ValidationError, match="wrong side of the market"):
            await on.call(operation, instrument=BTC, side="sell", quantity=D("0.01"), **{field: price})


async def test_more_than_is_held_is_refused_before_anything_is_sent(on: Deck) -> None:
    judged = await on.call(
        "orders.preview_exits", instrument=BTC, side="sell", quantity=D(5), stop_price=D(20_000), target_price=D(90_000)
    )
    assert judged.refusals


@pytest.mark.parametrize(
    ("oco", "types", "cash", "beside", "held"),
    [
        (True, WAITING, True, True, False),
        (False, WAITING, True, True, True),
        (False, WAITING, True, False, False),
        (False, WAITING, False, True, False),
        (True, frozenset(), True, False, True),
        (True, frozenset(), False, False, True),
    ],
)
def test_what_a_venue_cannot_keep_waits_in_the_engine(
    oco: bool, types: frozenset[OrderType], cash: bool, beside: bool, held: bool
) -> None:
    able = msgspec.structs.replace(CAPABILITIES, oco=oco, order_types=types)
    assert must_hold(able, OrderType.TAKE_PROFIT, cash=cash, beside=beside) is held
