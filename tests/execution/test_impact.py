"""Estimates by hand, and a calibration that finds what own executions show and keeps to the prior without them."""

from __future__ import annotations

import asyncio
import math
from decimal import Decimal as D
from typing import TYPE_CHECKING

import numpy as np
import pytest

from engine.clock import SimulatedClock
from engine.errors import ExchangeConnectionError
from engine.execution.impact import PRIOR, Conditions, PartSeen, calibrate, conditions_of, estimate, table_of, walk_cost
from engine.execution.impact_desk import AGAIN_NS, FRESH_NS, ImpactDesk, observation, part_of
from engine.execution.schedules.volume import VolumeProfile
from engine.model.algos import MarketPlan, Parent
from engine.model.candle import Candle
from engine.model.ids import AccountId, ClientOrderId, Currency, InstrumentId, Owner, ParentId
from engine.model.impact import ImpactEstimate
from engine.model.market import BookUpdate, OrderBook
from engine.model.order import Decision, Order, OrderRequest, OrderSide, OrderStatus, OrderType, TimeInForce
from engine.venues.markets.listing import spot_instrument

if TYPE_CHECKING:
    from collections.abc import Sequence

BUY, SELL = OrderSide.BUY, OrderSide.SELL
BTC = InstrumentId("SIM:BTC/USDT")
INSTRUMENT = spot_instrument("SIM", "BTC/USDT", price_places=1, quantity_places=2, min_notional=D(1), fee=D(0))
HOUR = 3_600_000_000_000


def book() -> OrderBook:
    found = OrderBook(BTC)
    found.apply(BookUpdate(BTC, 0, 1, True, ((999, 100), (990, 300)), ((1001, 100), (1010, 300))))
    return found


CONDITIONS = Conditions(0.04, VolumeProfile(np.full(24, 100.0)))


def test_walking_a_book_by_hand() -> None:
    asks = [(1001, 100), (1010, 300)]
    assert walk_cost(asks, 1000.0, 100)[0] == pytest.approx(0.001)
    assert walk_cost(asks, 1000.0, 200)[0] == pytest.approx(0.0055)
    assert walk_cost(asks, 1000.0, 401) == (None, 400)
    assert walk_cost([(999, 1)], 1000.0, 1)[0] == pytest.approx(0.001)


def test_an_estimate_is_the_book_s_while_that_is_deep_enough_and_the_model_s_beyond() -> None:
    small = estimate(INSTRUMENT, book(), BUY, D(2), CONDITIONS)
    assert small is not None
    assert small.scale is not None
    assert small.cost == small.walk == pytest.approx(0.0055)
    assert small.half_spread == pytest.approx(0.001)
    assert small.depth_share == 0.5
    assert small.scale == pytest.approx(0.04 * math.sqrt(2 / 2400))
    assert small.model == pytest.approx(0.001 + small.scale)
    large = estimate(INSTRUMENT, book(), BUY, D(24), CONDITIONS)
    assert large is not None
    assert (large.walk, large.depth_share, large.volume_share) == (None, 6.0, 0.01)
    assert large.cost == large.model == pytest.approx(0.001 + 0.004)


def test_what_is_not_known_is_not_estimated() -> None:
    assert estimate(INSTRUMENT, OrderBook(BTC), BUY, D(1)) is None
    assert estimate(INSTRUMENT, book(), BUY, D("0.001")) is None
    assert estimate(INSTRUMENT, book(), SELL, D(5)) is None
    told = estimate(INSTRUMENT, book(), SELL, D(1))
    assert told is not None
    assert (told.scale, told.model) == (None, None)
    assert told.cost == pytest.approx(0.001)


def candles(closes: Sequence[float]) -> list[Candle]:
    return [
        Candle(
            instrument=BTC, timeframe="1h", ts=n * HOUR, open=c, high=c, low=c, close=c, volume=10.0, closed=True
        )
        for n, c in enumerate(closes)
    ]  # fmt: skip


def test_conditions_come_from_candles() -> None:
    found = conditions_of(candles([100, 101, 100, 101, 100]))
    assert found is not None
    assert found.sigma == pytest.approx(math.log(1.01) * math.sqrt(24))
    assert found.profile.daily == 240
    assert conditions_of(candles([100, 100])) is None
    assert conditions_of(candles([100, 100, 100])) is None


def test_without_own_executions_the_prior_holds() -> None:
    known = calibrate(table_of([]))
    assert (known.permanent, known.temporary, known.seen) == (PRIOR.permanent, PRIOR.temporary, 0)


@pytest.mark.parametrize(("count", "near"), [(1, 0.5), (2000, 0.05)])
def test_many_executions_outweigh_the_prior_and_few_do_not(count: int, near: float) -> None:
    chance = np.random.default_rng(3)
    true = (0.3, 2.0)
    parts = []
    for _ in range(count):
        before, share = chance.uniform(0, 0.9), chance.uniform(0.05, 0.3)
        noise = chance.normal(0, 0.01)
        parts.append(
            PartSeen(
                size=0.01,
                scale=0.05,
                before=before,
                share=share,
                cost=0.05 * (true[0] * before + true[1] * share) + noise,
                variance=0.0001,
            )
        )
    known = calibrate(table_of(parts))
    distance = abs(known.permanent - true[0]) + abs(known.temporary - true[1])
    from_prior = abs(PRIOR.permanent - true[0]) + abs(PRIOR.temporary - true[1])
    assert known.seen == count
    assert known.deviations[0] < PRIOR.deviations[0]
    assert distance < from_prior + 0.1
    if count > 1:
        assert known.permanent == pytest.approx(true[0], abs=2 * near)
        assert known.temporary == pytest.approx(true[1], abs=8 * near)
    else:
        assert known.temporary == pytest.approx(PRIOR.temporary, abs=near)


def order(**more: object) -> Order:
    told = ImpactEstimate(cost=0.002, half_spread=0.001, walk=0.002, scale=0.004, volume_share=0.01)
    fields: dict[str, object] = {
        "client_id": ClientOrderId("a"), "account": AccountId("paper"), "instrument": BTC, "owner": Owner("manual"),
        "side": BUY, "type": OrderType.MARKET, "quantity": D(2), "price": None, "stop_price": None,
        "tif": TimeInForce.GTC, "post_only": False, "reduce_only": False, "oco_group": None,
        "status": OrderStatus.FILLED, "created": 0, "updated": 4 * 10**9, "reserve_currency": Currency("USDT"),
        "reserve_unit": D(0), "filled": D(2), "cost": D("200.6"),
        "decision": Decision(reason="x", best_bid=D("99.9"), best_ask=D("100.1"), impact=told),
    }  # fmt: skip
    return Order(**{**fields, **more})  # type: ignore[arg-type]


def test_an_ended_order_that_took_is_an_observation() -> None:
    part = observation(order())
    assert part is not None
    assert (part.scale, part.before, part.share) == (0.004, 0.0, 1.0)
    assert part.cost == pytest.approx(0.003 - 0.001)
    assert part.variance == pytest.approx(0.04**2 * 4 / 86_400)
    sold = observation(order(side=SELL))
    assert sold is not None
    assert sold.cost == pytest.approx(-0.003 - 0.001)
    assert observation(order(filled=D(0))) is None
    assert observation(order(decision=Decision(reason="x", best_bid=D(1), best_ask=D(2)))) is None


class Candles:
    """A history that can fail."""

    def __init__(self) -> None:
        self.asked = 0
        self.fails = False

    async def __call__(self, _: InstrumentId, timeframe: str, limit: int) -> list[Candle]:
        self.asked += 1
        assert (timeframe, limit) == ("1h", 480)
        if self.fails:
            raise ExchangeConnectionError("It is away.")
        return candles([100.0 + n % 2 for n in range(50)])


async def test_conditions_are_fetched_once_an_hour_and_again_soon_after_a_failure() -> None:
    clock, history = SimulatedClock(HOUR), Candles()
    desk = ImpactDesk(clock, lambda _: (INSTRUMENT, book()), history, lambda _: None)
    history.fails = True
    await desk.look(BTC)
    assert desk.conditions(BTC) is None
    clock.set(clock.now() + AGAIN_NS - 1)
    await desk.look(BTC)
    assert history.asked == 1
    history.fails = False
    clock.set(clock.now() + 1)
    await asyncio.gather(desk.look(BTC), desk.look(BTC))
    assert history.asked == 2
    first = desk.conditions(BTC)
    assert first is not None
    clock.set(clock.now() + FRESH_NS - 1)
    await desk.look(BTC)
    assert history.asked == 2
    clock.set(clock.now() + 1)
    history.fails = True
    await desk.look(BTC)
    assert history.asked == 3
    assert desk.conditions(BTC) is first


async def test_the_days_of_the_profile_are_a_setting() -> None:
    asked: list[int] = []

    async def history(_: InstrumentId, timeframe: str, limit: int) -> list[Candle]:
        asked.append(limit)
        return candles([100.0 + n % 2 for n in range(50)])

    desk = ImpactDesk(SimulatedClock(HOUR), lambda _: None, history, lambda _: None, days=3)
    await desk.look(BTC)
    assert asked == [72]


async def test_own_orders_change_the_coefficients_of_their_instrument_alone() -> None:
    desk = ImpactDesk(SimulatedClock(HOUR), lambda _: (INSTRUMENT, book()), Candles(), lambda _: None)
    assert desk.coefficients(BTC) == calibrate(table_of([]))
    desk.recall([order(), order(filled=D(0))])
    assert desk.coefficients(BTC).seen == 1
    assert desk.coefficients(InstrumentId("SIM:ETH/USDT")).seen == 0


@pytest.mark.parametrize(
    ("kind", "price", "post_only", "told"),
    [
        (OrderType.MARKET, None, False, True),
        (OrderType.LIMIT, "100.1", False, True),
        (OrderType.LIMIT, "100.0", False, False),
        (OrderType.LIMIT, "100.1", True, False),
        (OrderType.STOP_LOSS, None, False, False),
    ],
)
def test_only_what_takes_at_once_has_an_estimate(
    kind: OrderType, price: str | None, post_only: bool, told: bool
) -> None:
    desk = ImpactDesk(SimulatedClock(HOUR), lambda _: (INSTRUMENT, book()), Candles(), lambda _: None)
    request = OrderRequest(
        account=AccountId("paper"), instrument=BTC, owner=Owner("manual"), side=BUY, type=kind, quantity=D(1),
        price=None if price is None else D(price), post_only=post_only,
    )  # fmt: skip
    assert (desk.of_request(request) is not None) is told
    blind = ImpactDesk(SimulatedClock(HOUR), lambda _: None, Candles(), lambda _: None)
    assert blind.of_request(request) is None


def whole(**more: object) -> Parent:
    told = ImpactEstimate(cost=0.002, half_spread=0.001, walk=0.002, scale=0.004, volume_share=0.01)
    fields: dict[str, object] = {
        "id": ParentId("twap-1"), "owner": Owner("manual"), "account": AccountId("paper"), "instrument": BTC,
        "side": BUY, "quantity": D(10), "plan": MarketPlan(), "opened": 0, "updated": 0, "since": 0,
        "decision": Decision(reason="x", best_bid=D("99.9"), best_ask=D("100.1"), impact=told), "executed": D(5),
    }  # fmt: skip
    return Parent(**{**fields, **more})  # type: ignore[arg-type]


def test_an_order_of_a_parent_is_held_against_the_parents_beginning() -> None:
    part = part_of(order(parent="twap-1"), whole(), D(3))
    assert part is not None
    assert (part.size, part.scale, part.before, part.share) == (0.01, 0.004, 0.3, 0.2)
    assert part.cost == pytest.approx(0.003 - 0.001)
    assert part.variance == pytest.approx(0.04**2 * 4 / 86_400)
    assert part_of(order(side=SELL), whole(), D(0)) is None
    # What rested has paid no impact.
    resting = Decision(reason="x", best_bid=D("99.9"), best_ask=D("100.1"))
    assert part_of(order(decision=resting), whole(), D(0)) is None
    assert part_of(order(), whole(decision=Decision(reason="x")), D(0)) is None


def test_what_the_orders_of_parents_have_cost_is_recalled_after_a_restart() -> None:
    def desk(executed: str) -> ImpactDesk:
        parent = whole(executed=D(executed))
        return ImpactDesk(SimulatedClock(HOUR), lambda _: None, Candles(), lambda _: None, lambda _: parent)

    children = [order(parent="twap-1"), order(parent="twap-1")]
    known, short = desk("4"), desk("2")
    known.recall(children)
    assert known.coefficients(BTC).seen == 2
    short.recall(children)
    assert short.coefficients(BTC).seen == 1


def test_orders_of_like_size_count_more() -> None:
    small = PartSeen(size=0.001, scale=0.001, before=0.0, share=1.0, cost=0.001, variance=1e-12)
    large = PartSeen(size=0.01, scale=0.003, before=0.0, share=1.0, cost=0.009, variance=1e-12)
    table = table_of([small, large] * 50)
    assert calibrate(table, 0.001).temporary == pytest.approx(1, abs=0.05)
    assert calibrate(table, 0.01).temporary == pytest.approx(3, abs=0.05)
    assert 1 < calibrate(table).temporary < 3
