"""What holds for any sequence of orders, cancels and fills."""

from __future__ import annotations

import random
from decimal import Decimal as D
from typing import TYPE_CHECKING

from hypothesis import example, given, settings
from hypothesis import strategies as st

from engine.errors import OrderRejectionError
from engine.model.entries import TradingState
from engine.model.ids import MANUAL
from engine.model.instrument import InstrumentKind
from engine.model.order import OrderSide, OrderType
from engine.model.risk import RefusalCode
from tests.kit.limits import loose
from tests.risk.house import BOT, BTC, BUY, ETH, OTHER_BOT, PAPER, PERP, SELL, SOL, House

if TYPE_CHECKING:
    from engine.model.limits import RiskLimits

KEYS = (BTC, ETH, SOL, PERP)
OWNERS = (MANUAL, BOT, OTHER_BOT)
PRICES = {BTC: D(50000), ETH: D(2500), SOL: D(100), PERP: D(50000)}
LIMITS = loose(allow_short=True, max_portfolio_exposure=D("0.3"), max_total_positions=3)


class Session:
    """Random trading of a person and two bots; marks stay where they are, limit orders fill at the mark."""

    def __init__(self, rng: random.Random, limits: RiskLimits = LIMITS) -> None:
        self.rng = rng
        self.house = House(limits)
        self.entries = 0

    def step(self) -> None:
        action = self.rng.choices((self.order, self.fill, self.cancel, self.wait), (5, 4, 1, 1))[0]
        action()

    def order(self) -> None:
        rng, house = self.rng, self.house
        key = rng.choice(KEYS)
        instrument = house.state.instruments[key]
        quantity = instrument.floor_quantity(D(rng.randrange(20, 1500)) / PRICES[key])
        side = rng.choice((BUY, SELL))
        kind = rng.choice((OrderType.MARKET, OrderType.LIMIT, OrderType.STOP_LOSS))
        price = PRICES[key] if kind is OrderType.LIMIT else None
        stop = PRICES[key] if kind is OrderType.STOP_LOSS else None
        group = rng.choice((None, None, None, "a", "b"))
        request = house.request(
            side, quantity, key, rng.choice(OWNERS), type=kind, price=price, stop_price=stop, oco_group=group
        )
        try:
            house.desk.submit(request)
        except OrderRejectionError:
            return
        self.entries += 1

    def fill(self) -> None:
        orders = list(self.house.state.orders.values())
        if not orders:
            return
        order = self.rng.choice(orders)
        lot = self.house.state.instruments[order.instrument].current_rules.lot
        lots = int(order.remaining / lot)
        if not lots:
            return
        for sibling in self.house.state.siblings(order):
            self.house.cancelled(sibling)
        self.house.fill(order, lot * self.rng.randint(1, lots))

    def cancel(self) -> None:
        orders = list(self.house.state.orders.values())
        if orders:
            self.house.cancelled(self.rng.choice(orders))

    def wait(self) -> None:
        self.house.later(self.rng.random() * 20)
        self.house.refresh()

    def least(self, key: str) -> D:
        instrument = self.house.state.instruments[key]  # type: ignore[index]
        return instrument.current_rules.min_notional if instrument.kind is InstrumentKind.SPOT else D(0)

    def value(self, key: str) -> D:
        position = next((p for (_, i), p in self.house.state.positions.items() if i == key), None)
        return abs(position.quantity) * PRICES[key] if position is not None else D(0)  # type: ignore[index]


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32), steps=st.integers(5, 120))
@example(seed=1063850, steps=27)
def test_accepted_orders_never_lead_beyond_the_limits_whatever_fills(seed: int, steps: int) -> None:
    session = Session(random.Random(seed))
    state = session.house.state
    equity = D(10000)
    for _ in range(steps):
        session.step()
        values = [session.value(key) for key in KEYS]
        assert max(values) <= LIMITS.max_position_size_pct * equity
        assert sum(values) <= LIMITS.max_portfolio_exposure * equity
        # What is too small for an order that closes it is dust, and no position.
        held = [value for key, value in zip(KEYS, values, strict=True) if value >= session.least(key)]
        assert sum(1 for value in held if value) <= LIMITS.max_total_positions
        for balances in state.balances.values():
            assert all(balance.free >= 0 for balance in balances.values())
        for (owner, _, key), position in state.owned.items():
            if owner != MANUAL and state.instruments[key].kind is InstrumentKind.SPOT:
                assert position.quantity >= 0
        for bot in (BOT, OTHER_BOT):
            budget = session.house.risk.budgets.budget(bot)
            assert budget is not None
            # filled at the mark without fees, a bot cannot have spent more than it was given
            assert budget.invested <= budget.capital


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    steps=st.integers(5, 80),
    trading=st.sampled_from(list(TradingState)),
    age=st.floats(0, 10_000),
    heard=st.booleans(),
    share=st.integers(1, 100),
)
def test_what_can_only_shrink_a_position_always_passes(
    seed: int, steps: int, trading: TradingState, age: float, heard: bool, share: int
) -> None:
    session = Session(random.Random(seed))
    house = session.house
    for _ in range(steps):
        session.step()
    for _ in range(130):
        house.gate.throttle.count(BOT, house.now)
    if trading is not TradingState.ACTIVE:
        house.risk.hold("test", "property", trading)
    house.later(age)
    if not heard:
        house.markets.clear()
    picture = house.risk.picture
    picture.look()
    for (owner, account, key), position in house.state.owned.items():
        if not position.lots:
            continue
        instrument = house.state.instruments[key]
        side = OrderSide.SELL if position.quantity > 0 else OrderSide.BUY
        most = picture.reducible(owner, account, instrument, side)
        quantity = instrument.floor_quantity(min(most, abs(position.quantity)) * share / 100)
        if not quantity:
            continue
        verdict = house.check(side, quantity, key, owner=owner, reduce_only=True)
        assert verdict.passed
        assert verdict.reduces
        over = house.check(side, most + instrument.current_rules.lot, key, owner=owner, reduce_only=True)
        assert RefusalCode.REDUCE_ONLY in [refusal.code for refusal in over.refusals]


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32), steps=st.integers(5, 80))
def test_every_way_of_filling_reductions_only_shrinks_the_owners_position(seed: int, steps: int) -> None:
    """Accepted reductions of one owner and side are filled in any order, entries not at all: no sign ever turns."""
    session = Session(random.Random(seed))
    house, rng = session.house, session.rng
    for _ in range(steps):
        session.step()
    for order in list(house.state.orders.values()):
        house.cancelled(order)
    held = {key: p.quantity for key, p in house.state.owned.items() if p.lots and key[0] != MANUAL}
    for _ in range(20):
        if not held:
            return
        owner, _, key = rng.choice(list(held))
        side = SELL if held[owner, PAPER, key] > 0 else BUY
        lot = house.state.instruments[key].current_rules.lot
        request = house.request(side, lot * rng.randint(1, 400), key, owner)
        if house.gate.check(request, house.now).reduces:
            house.desk.submit(request)
    orders = list(house.state.orders.values())
    rng.shuffle(orders)
    for order in orders:
        before = house.held(order.instrument, order.owner)
        house.fill(order)
        after = house.held(order.instrument, order.owner)
        assert abs(after) < abs(before)
        assert after * before >= 0


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32), steps=st.integers(1, 60))
def test_a_gate_that_hears_every_fact_and_one_that_hears_none_agree(seed: int, steps: int) -> None:
    from engine.model.commitments import Commitments
    from engine.risk.gate import RiskGate

    session = Session(random.Random(seed))
    house = session.house
    for _ in range(steps):
        session.step()
    deaf = RiskGate(house.state, house, house.risk.limits, Commitments(house.state), house.risk.budgets)
    deaf.throttle = house.gate.throttle
    for key in KEYS:
        for side in (BUY, SELL):
            for owner in OWNERS:
                instrument = house.state.instruments[key]
                request = house.request(side, instrument.floor_quantity(D(400) / PRICES[key]), key, owner)
                # The last digits of a value may differ, because sums are added up in another order.
                one, other = deaf.check(request, house.now), house.gate.check(request, house.now)
                assert (one.message, one.reduces) == (other.message, other.reduces)
                assert [why.code for why in one.refusals] == [why.code for why in other.refusals]
