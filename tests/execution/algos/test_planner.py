"""Plans that follow from the market: VWAP, implementation shortfall, and what fits an order by itself."""

from __future__ import annotations

import asyncio
from decimal import Decimal as D
from typing import TYPE_CHECKING, Any

import pytest

from engine.bots.execution import ENTRY_ALGORITHMS, Execution
from engine.clock import SimulatedClock
from engine.errors import ConflictError, ValidationError
from engine.execution.algos.planner import Planner, Wish
from engine.execution.impact_desk import ImpactDesk
from engine.execution.selection import Algorithm, SelectionSettings
from engine.model.algos import LimitPlan, MarketPlan, ParticipationPlan, SchedulePlan, plan_name
from engine.model.candle import Candle
from engine.model.ids import MANUAL
from engine.model.market import OrderBook
from engine.model.order import OrderRequest, OrderSide, OrderType
from engine.model.schedule import horizon_of
from tests.execution.algos.yard import BUY, NS
from tests.venues.paper.helpers import BTC, PAPER, make_instrument, snapshot

if TYPE_CHECKING:
    from collections.abc import Sequence

HOUR = 3600 * NS
NOON = 20_000 * 24 * HOUR + 12 * HOUR


async def _history(*_: object) -> Sequence[Candle]:
    """Twenty days; from noon on three times as much is traded as before."""
    begin = NOON - 480 * HOUR
    return [
        Candle(
            instrument=BTC, timeframe="1h", ts=begin + n * HOUR, open=100, high=101, low=99, close=100.0 + n % 2,
            volume=300.0 if n % 24 < 12 else 100.0, closed=True,
        )
        for n in range(480)
    ]  # fmt: skip


def planner(*, known: bool = True, book: bool = True, at: int = NOON) -> Planner:
    instrument, depth = make_instrument(), OrderBook(BTC)
    depth.apply(snapshot([("99.99", "50")], [("100.01", "50")]))
    clock = SimulatedClock(at)
    desk = ImpactDesk(clock, lambda _: (instrument, depth) if book else None, _history, lambda _: None)
    if known:
        asyncio.run(desk.look(BTC))
    return Planner(desk, clock)


def request(quantity: str = "100", side: OrderSide = BUY) -> OrderRequest:
    return OrderRequest(
        account=PAPER, instrument=BTC, owner=MANUAL, side=side, type=OrderType.MARKET, quantity=D(quantity)
    )


def wish(algorithm: Algorithm, **more: Any) -> Wish:
    return Wish(
        algorithm=algorithm, duration_ns=more.pop("duration_ns", 2 * HOUR), slices=more.pop("slices", 4), **more
    )


def test_a_vwap_is_as_large_as_the_volume_of_its_hours() -> None:
    plan = planner(at=NOON + 11 * HOUR).schedule(wish(Algorithm.VWAP, participation=D("0.1")), request())
    # The profile's day: 300 from noon to midnight, 100 after it.
    assert [step.share for step in plan.slices] == [D("0.375"), D("0.75"), D("0.875"), D(1)]
    assert (plan.name, plan.participation) == ("vwap", D("0.1"))


def test_a_shortfall_is_the_earlier_the_more_urgent_and_even_without_urgency() -> None:
    first = [
        planner().schedule(wish(Algorithm.SHORTFALL, urgency=urgency), request()).slices[0].share
        for urgency in (0.0, 0.2, 0.5, 0.9)
    ]
    assert first[0] == D("0.25")
    assert first == sorted(first)
    assert first[-1] > first[0]
    now = planner().schedule(wish(Algorithm.SHORTFALL, urgency=1.0), request())
    assert [step.share for step in now.slices] == [1]
    with pytest.raises(ValidationError):
        planner().schedule(wish(Algorithm.SHORTFALL, urgency=1.1), request())


@pytest.mark.parametrize("algorithm", [Algorithm.VWAP, Algorithm.SHORTFALL])
def test_what_is_not_known_is_said_to_a_person_and_becomes_equal_slices_for_a_bot(algorithm: Algorithm) -> None:
    blind = planner(known=False)
    with pytest.raises(ConflictError, match="use twap"):
        blind.schedule(wish(algorithm), request())
    plan = blind.fallback(wish(algorithm), request())
    assert plan.name == "twap"
    assert [step.share for step in plan.slices] == [D("0.25"), D("0.5"), D("0.75"), D(1)]
    with pytest.raises(ConflictError):
        planner(book=False).schedule(wish(Algorithm.SHORTFALL), request())


@pytest.mark.parametrize(
    ("quantity", "urgency", "price", "kind", "name"),
    [
        ("1", 0.5, None, LimitPlan, "chase"),
        ("1", 0.95, None, MarketPlan, "market"),
        ("1", 0.95, "100.5", LimitPlan, "chase"),
        ("500", 0.1, None, SchedulePlan, "vwap"),
        ("500", 0.5, None, SchedulePlan, "implementation_shortfall"),
        ("500", 1.0, None, MarketPlan, "market"),
    ],
)
def test_the_plan_that_fits_follows_from_size_and_urgency(
    quantity: str, urgency: float, price: str | None, kind: type, name: str
) -> None:
    chosen = planner().automatic(request(quantity), urgency, None if price is None else D(price))
    assert isinstance(chosen.plan, kind)
    assert plan_name(chosen.plan) == name
    assert chosen.reason
    if price is not None:
        assert chosen.plan.price == D(price)  # type: ignore[union-attr]
    if isinstance(chosen.plan, SchedulePlan):
        # 500 are a tenth of what is traded in a day; at most a tenth of the volume takes a day.
        assert horizon_of(chosen.plan.slices) > 20 * HOUR


def test_the_limit_of_impact_and_the_share_of_volume_are_settings() -> None:
    usual = planner().choice(request("40"), 0.5)
    assert usual.algorithm is Algorithm.LIMIT
    strict = Planner(planner()._impact, SimulatedClock(NOON), SelectionSettings(impact_limit=1e-9, participation=0.5))
    assert strict.choice(request("60"), 0.5).algorithm is Algorithm.SHORTFALL
    wider = Planner(planner()._impact, SimulatedClock(NOON), SelectionSettings(participation=0.5))
    assert wider.choice(request("500"), 0.5).duration_ns < planner().choice(request("500"), 0.5).duration_ns


@pytest.mark.parametrize("algorithm", ENTRY_ALGORITHMS)
def test_every_algorithm_of_a_bot_is_a_plan(algorithm: str) -> None:
    execution = Execution(algorithm=algorithm, duration_s=600, slices=3, participation=D("0.2"))  # type: ignore[arg-type]
    assert execution.at_once is (algorithm == "market")
    plan = execution.plan(request("1"), planner())
    assert plan_name(plan) == ("chase" if algorithm == "auto" else algorithm)
    if isinstance(plan, SchedulePlan | ParticipationPlan):
        assert D("0.2") in (getattr(plan, "participation", None), getattr(plan, "rate", None))
    assert not Execution(max_slippage=D("0.01")).at_once
