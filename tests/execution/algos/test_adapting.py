"""Schedules adapt to spread, depth and volatility, and never by more than one slice."""

from __future__ import annotations

from decimal import Decimal as D

import msgspec
import pytest

from engine.execution.algos.contract import Place, View, Wait, worst_price
from engine.execution.algos.machine import decide
from engine.execution.algos.weather import LEAST, Weather
from engine.model.algos import IcebergPlan, LimitPlan, MarketPlan, Parent, ParentStatus, ParticipationPlan, SchedulePlan
from engine.model.ids import MANUAL, ParentId
from engine.model.impact import ImpactEstimate
from engine.model.order import Decision, OrderSide
from engine.model.risk import Quote
from engine.model.schedule import Slice
from tests.execution.algos.yard import BUY, NS, SELL, Yard
from tests.venues.paper.helpers import BTC, PAPER, START, make_instrument

SLICES = tuple(Slice(n * 60 * NS, D(n + 1) / 4) for n in range(4))
USUAL = Decision(
    reason="test", best_bid=D("99.99"), best_ask=D("100.01"),
    impact=ImpactEstimate(cost=0.001, half_spread=0.0001, scale=0.002, volume_share=0.01),
)  # fmt: skip


def view(seconds: float = 60, executed: str = "2.5", urgency: float = 0.5, **more: object) -> View:
    """A TWAP of 10 in four slices of a minute; its usual volatility is 2 % a day."""
    parent = Parent(
        id=ParentId("twap-1"), owner=MANUAL, account=PAPER, instrument=BTC, side=BUY, quantity=D(10),
        plan=SchedulePlan(name="twap", slices=SLICES, urgency=urgency), decision=USUAL, opened=START, updated=START,
        since=START, arrival=D(100), executed=D(executed), cost=D(executed) * 100,
    )  # fmt: skip
    now = START + int(seconds * NS)
    values: dict[str, object] = {
        "parent": parent, "children": (), "now": now, "instrument": make_instrument(),
        "quote": Quote(D("99.99"), D("100.01"), None, now), "visible": D(100),
    }  # fmt: skip
    return View(**(values | more))  # type: ignore[arg-type]


def sent(seen: View) -> list[str]:
    return [f"{a.type} {a.quantity.normalize():f}" if isinstance(a, Place) else "wait" for a in decide(seen)]


def wide(bid: str, ask: str) -> Quote:
    return Quote(D(bid), D(ask), None, START)


@pytest.mark.parametrize(("quote", "acts"), [(wide("99.97", "100.03"), True), (wide("99.969", "100.031"), False)])
def test_a_slice_waits_while_the_spread_is_more_than_three_times_the_usual_one(quote: Quote, acts: bool) -> None:
    assert sent(view(quote=quote)) == (["market 2.5"] if acts else ["wait"])
    (waits,) = decide(view(quote=wide("99", "101")))
    assert isinstance(waits, Wait)
    assert waits.why == "its slice waits: the spread of 2.000% is wide"


def test_a_late_slice_waits_no_longer() -> None:
    assert sent(view(seconds=119, quote=wide("99", "101"))) == ["wait"]
    assert sent(view(seconds=120, quote=wide("99", "101"))) == ["market 5"]
    # The last one may wait as long as the one before it.
    assert sent(view(seconds=239, executed="7.5", quote=wide("99", "101"))) == ["wait"]
    assert sent(view(seconds=240, executed="7.5", quote=wide("99", "101"))) == ["market 2.5"]


@pytest.mark.parametrize(
    ("urgency", "sigma", "seconds", "acts"),
    [
        (0.4, 0.0401, 60, ["wait"]),
        (0.4, 0.04, 60, ["market 2.5"]),
        (0.4, 0.0401, 120, ["market 5"]),
        (0.5, 1.0, 60, ["market 2.5"]),
        (0.6, 0.04, 60, ["market 2.5"]),
        (0.6, 0.0401, 60, ["market 5"]),
        (0.6, None, 60, ["market 2.5"]),
        (0.6, 0.0401, 179, ["market 7.5"]),
        # More than one slice behind, it catches up slice by slice.
        (0.6, 0.0401, 180, ["market 2.5"]),
    ],
)
def test_a_restless_market_holds_the_patient_back_and_hurries_the_urgent_by_one_slice(
    urgency: float, sigma: float | None, seconds: float, acts: list[str]
) -> None:
    assert sent(view(seconds=seconds, urgency=urgency, sigma=sigma)) == acts


@pytest.mark.parametrize(("visible", "acts"), [("5", ["market 2.5"]), ("4", ["market 2"]), ("0", [])])
def test_a_slice_takes_at_most_half_of_what_is_visible(visible: str, acts: list[str]) -> None:
    assert sent(view(visible=D(visible))) == acts


def test_a_slippage_limit_bounds_every_order_and_its_depth() -> None:
    parent = view().parent
    parent.max_slippage = D("0.01")
    assert worst_price(parent) == 101
    assert worst_price(_with(parent, price=D("100.5"))) == D("100.5")
    sold = _with(parent, price=D("99.5"))
    sold.side = OrderSide.SELL
    assert worst_price(sold) == D("99.5")
    (place,) = decide(view(parent=parent))
    assert (place.type, place.price) == ("limit", 101)  # type: ignore[union-attr]


def _with(parent: Parent, price: D) -> Parent:
    copied = msgspec.structs.replace(parent)
    assert isinstance(parent.plan, SchedulePlan)
    copied.plan = msgspec.structs.replace(parent.plan, price=price)
    return copied


def test_the_books_depth_counts_up_to_the_worst_price() -> None:
    yard = Yard()
    assert yard.hub.depth(BTC, BUY, None) == 500
    assert yard.hub.depth(BTC, BUY, D("100.01")) == 500
    assert yard.hub.depth(BTC, BUY, D("100.009")) == 0
    assert yard.hub.depth(BTC, SELL, D("99.99")) == 500
    assert yard.hub.depth(BTC, SELL, D("99.991")) == 0


@pytest.mark.parametrize(
    "plan",
    [
        MarketPlan(),
        LimitPlan(every_ns=NS),
        ParticipationPlan(rate=D(1), every_ns=NS),
        IcebergPlan(price=D(110), display=D(2)),
    ],
)
def test_no_order_is_worse_than_the_slippage_limit_and_beyond_it_the_parent_stops(plan: object) -> None:
    yard = Yard()
    parent = yard.open(plan, max_slippage=D("0.001"))  # type: ignore[arg-type]
    yard.market("99.99", "100.1", size="1")
    for _ in range(20):
        yard.traded("100", "1")
        yard.step(1)
    assert all(place.command.price is not None and place.command.price <= D("100.1") for place in yard.wire.places)
    if parent.is_open:
        yard.market("100.2", "100.3")
        yard.step(1)
        yard.step(1)
        assert parent.status is ParentStatus.STOPPED
        assert yard.stopped


def test_every_order_and_its_parent_keep_their_own_estimate() -> None:
    yard = Yard()
    asked: list[D] = []

    def estimate(request: object) -> ImpactEstimate:
        asked.append(request.quantity)  # type: ignore[attr-defined]
        return ImpactEstimate(cost=float(asked[-1]), half_spread=0.0)

    yard.desk.estimate = estimate
    parent = yard.open(SchedulePlan(name="twap", slices=SLICES))
    assert parent.decision.impact is not None
    assert parent.decision.impact.cost == 10
    (order,) = yard.state.recent.values()
    assert order.decision.impact is not None
    assert order.decision.impact.cost == 2.5


def test_volatility_is_told_after_two_minutes_of_prices_ten_seconds_apart() -> None:
    weather = Weather()
    for n in range(LEAST):
        assert weather.sigma is None
        weather.look(n * 10 * NS, 100.0 * (1.001 if n % 2 else 1.0))
        weather.look(n * 10 * NS + 5 * NS, 500.0)
    assert weather.sigma == pytest.approx(0.0009995 * (8640**0.5), rel=1e-4)
