"""The running sums against a count from scratch, over generated histories."""

from __future__ import annotations

import random
from decimal import Decimal as D
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.model.commitments import Commitments
from engine.model.instrument import InstrumentKind
from engine.model.order import OrderSide
from engine.state import EngineState
from tests.kit.histories import PROPERTY_MIX, HistoryMaker

if TYPE_CHECKING:
    from engine.model.ids import AccountId, Currency, InstrumentId, Owner

    Sums = dict[tuple[AccountId, InstrumentId, Owner], tuple[D, D, D, D, dict[Currency, D]]]


def shown(commitments: Commitments) -> Sums:
    """Everything that is not zero."""
    sums: Sums = {}
    for (owner, account, instrument), line in commitments.owned.items():
        reserved = {currency: held for currency, held in line.reserved.items() if held}
        if line.quantity or line.buys or line.sells or reserved:
            sums[account, instrument, owner] = (line.quantity, line.cost, line.buys, line.sells, reserved)
    return sums


def counted(state: EngineState) -> Sums:
    """The same, summed without any index."""
    sums: Sums = {}
    keys = {(a, i, o) for (o, a, i) in state.owned} | {
        (x.account, x.instrument, x.owner) for x in state.orders.values()
    }
    for account, instrument_id, owner in keys:
        instrument = state.instruments[instrument_id]
        position = state.owned.get((owner, account, instrument_id))
        quantity = position.quantity if position is not None else D(0)
        cost = position.cost(instrument.multiplier) if position is not None else D(0)
        working = {OrderSide.BUY: D(0), OrderSide.SELL: D(0)}
        reserved: dict[Currency, D] = {}
        groups: dict[tuple[str, OrderSide], list[tuple[D, D, Currency]]] = {}
        for order in state.orders.values():
            if (order.account, order.instrument, order.owner) == (account, instrument_id, owner):
                name = order.client_id if order.oco_group is None else f"oco {order.oco_group}"
                part = (order.working, order.reserved, order.reserve_currency)
                groups.setdefault((name, order.side), []).append(part)
        for (_, side), parts in groups.items():
            working[side] += max(part[0] for part in parts)
            if instrument.kind is not InstrumentKind.SPOT or side is OrderSide.BUY:
                currency = parts[0][2]
                reserved[currency] = reserved.get(currency, D(0)) + max(part[1] for part in parts)
        reserved = {currency: held for currency, held in reserved.items() if held}
        if quantity or any(working.values()) or reserved:
            sums[account, instrument_id, owner] = (
                quantity, cost, working[OrderSide.BUY], working[OrderSide.SELL], reserved,
            )  # fmt: skip
    return sums


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32), steps=st.integers(10, 250), asked=st.integers(1, 40))
def test_sums_kept_fact_by_fact_equal_a_count_from_scratch(seed: int, steps: int, asked: int) -> None:
    records = HistoryMaker(random.Random(seed), bots=3, mix=PROPERTY_MIX, wanted_open=12).grow(steps)
    state = EngineState()
    commitments = Commitments(state)
    for record in records:
        state.apply(record)
        commitments.hear(record)
        if record.seq % asked == 0:
            commitments.fresh()
            assert shown(commitments) == counted(state)


def test_facts_that_were_not_heard_are_made_up_for() -> None:
    records = HistoryMaker(random.Random(7), bots=3, mix=PROPERTY_MIX).grow(600)
    state = EngineState()
    commitments = Commitments(state)
    for record in records:
        state.apply(record)
        if record.seq % 3:
            commitments.hear(record)
        if record.seq % 50 == 0:
            commitments.fresh()
            assert shown(commitments) == counted(state)


def test_the_accounts_sums_are_those_of_its_owners() -> None:
    maker = HistoryMaker(random.Random(11), bots=4)
    maker.grow(800)
    commitments = Commitments(maker.state)
    commitments.fresh()
    for (account, instrument), line in commitments.lines.items():
        owned = [part for (_, a, i), part in commitments.owned.items() if (a, i) == (account, instrument)]
        assert line.buys == sum(part.buys for part in owned)
        assert line.sells == sum(part.sells for part in owned)
        assert line.quantity == sum(part.quantity for part in owned)
