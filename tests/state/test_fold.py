"""The fold: every history replays to the same state, and money is conserved whichever way it is counted."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings

from engine import events as ev
from engine.errors import IllegalTransitionError, StateConsistencyError
from engine.model.decimals import exact
from engine.model.ids import AccountId, ClientOrderId, Currency, InstrumentId, Owner
from engine.model.instrument import InstrumentKind
from engine.model.order import TRANSITIONS, OrderStatus, can_move
from engine.state import RECENT_ORDERS, EngineState
from tests.kit.histories import histories, session

if TYPE_CHECKING:
    from collections.abc import Iterator

RELAXED = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def replay(records: list[ev.Record]) -> EngineState:
    state = EngineState()
    for record in records:
        state.apply(record)
    return state


@RELAXED
@given(histories())
def test_a_journal_replays_to_the_same_state(records: list[ev.Record]) -> None:
    stored = [ev.encode_record(record) for record in records]
    assert replay(records).state_hash() == replay([ev.decode_record(body) for body in stored]).state_hash()


@RELAXED
@given(histories())
def test_a_snapshot_at_any_point_and_the_tail_give_the_state_of_the_whole_history(records: list[ev.Record]) -> None:
    whole = replay(records).state_hash()
    middle = len(records) // 2
    state = EngineState.from_sections(list(replay(records[:middle]).sections()))
    for record in records[middle:]:
        state.apply(record)
    assert state.state_hash() == whole


@RELAXED
@given(histories())
def test_funds_held_are_those_of_the_open_orders(records: list[ev.Record]) -> None:
    state = replay(records)
    held: dict[tuple[AccountId, Currency], Decimal] = defaultdict(Decimal)
    groups: dict[tuple[str, Currency, AccountId], Decimal] = {}
    with exact():
        for order in state.orders.values():
            if order.oco_group is None:
                held[order.account, order.reserve_currency] += order.reserved
            else:
                key = (order.oco_group, order.reserve_currency, order.account)
                groups[key] = max(groups.get(key, Decimal(0)), order.reserved)
        for (_, currency, account), amount in groups.items():
            held[account, currency] += amount
    for account, balances in state.balances.items():
        for currency, balance in balances.items():
            assert balance.reserved == held[account, currency]


def _once(records: list[ev.Record]) -> Iterator[ev.Event]:
    """All facts without repeats of executions and funding payments."""
    seen: set[str] = set()
    for record in records:
        event = record.event
        match event:
            case ev.OrderFilled(fill=fill) | ev.ExternalFillSeen(fill=fill):
                key = fill.key
            case ev.FundingPaid() if event.payment:
                key = event.payment
            case _:
                key = f"fact {record.seq}"
        if key not in seen:
            yield event
        seen.add(key)


def _cash_flows(records: list[ev.Record]) -> dict[tuple[AccountId, Currency], Decimal]:
    """Every balance counted a second way: from the facts alone, without lots, positions or sums."""
    flows: dict[tuple[AccountId, Currency], Decimal] = defaultdict(Decimal)
    instruments = {}
    for event in _once(records):
        match event:
            case ev.InstrumentDefined():
                instruments[event.instrument.id] = event.instrument
            case ev.Deposited() | ev.BalanceAdjusted():
                flows[event.account, event.currency] += event.amount
            case ev.Withdrawn() | ev.FundingPaid() | ev.InterestCharged():
                flows[event.account, event.currency] -= event.amount
            case ev.Transferred():
                flows[event.source, event.currency] -= event.amount
                flows[event.target, event.currency] += event.amount
            case ev.OrderFilled() | ev.ExternalFillSeen():
                fill = event.fill
                instrument = instruments[fill.instrument]
                flows[fill.account, fill.fee_currency] -= fill.fee
                if instrument.kind is InstrumentKind.SPOT:
                    value = fill.price * fill.quantity * instrument.multiplier
                    flows[fill.account, instrument.base] += fill.side.sign * fill.quantity
                    flows[fill.account, instrument.quote] -= fill.side.sign * value
            case _:
                pass
    return flows


@RELAXED
@given(histories())
def test_change_of_equity_is_profit_less_costs_plus_money_moved(records: list[ev.Record]) -> None:
    """Δequity = realised + Δunrealised - fees - funding - interest + net deposits + adjustments, per currency.

    The left side is the balances (derivatives add their open profit); the right side is built from lots and sums. Units
    of a spot base are valued at the marks below, which is what makes realised and unrealised profit meet the cash.
    """
    state = replay(records)
    for account in state.accounts:
        _check_account(state, account)


def _check_account(state: EngineState, account: AccountId) -> None:
    mark = Decimal("123.45")
    with exact():
        cash: dict[Currency, Decimal] = defaultdict(Decimal)
        for currency, balance in state.balances[account].items():
            cash[currency] += balance.total
        expected: dict[Currency, Decimal] = defaultdict(Decimal)
        for (owner, currency), sums in state.sums.items():
            if owner == account:
                expected[currency] += sums.realised - sums.fees - sums.funding - sums.interest
                expected[currency] += sums.deposits + sums.adjustments
        for (owner, instrument_id), position in state.positions.items():
            instrument = state.instruments[instrument_id]
            if owner != account or instrument.kind is not InstrumentKind.SPOT:
                continue
            # Selling every lot at the mark turns units into cash and unrealised into realised profit.
            cash[instrument.base] -= position.quantity
            cash[instrument.quote] += mark * position.quantity * instrument.multiplier
            expected[instrument.quote] += position.unrealised(mark, instrument.multiplier)
        assert {c: v for c, v in cash.items() if v} == {c: v for c, v in expected.items() if v}


@RELAXED
@given(histories())
def test_balances_equal_the_cash_flows_of_the_facts(records: list[ev.Record]) -> None:
    state = replay(records)
    flows = _cash_flows(records)
    derivative = {i.id for i in state.instruments.values() if i.kind is not InstrumentKind.SPOT}
    with exact():
        for (account, instrument), position in state.positions.items():
            if instrument in derivative:
                flows[account, state.instruments[instrument].settle] += position.realised
    for account, balances in state.balances.items():
        for currency, balance in balances.items():
            assert balance.total == flows[account, currency], (account, currency)


@RELAXED
@given(histories())
def test_owners_parts_add_up_to_the_accounts_position(records: list[ev.Record]) -> None:
    state = replay(records)
    parts: dict[tuple[AccountId, InstrumentId], Decimal] = defaultdict(Decimal)
    for (_, account, instrument), position in state.owned.items():
        parts[account, instrument] += position.quantity
    for key, position in state.positions.items():
        assert position.quantity == parts[key]


@RELAXED
@given(histories())
def test_a_fill_told_twice_changes_nothing(records: list[ev.Record]) -> None:
    state = replay(records)
    fills = [record.event for record in records if isinstance(record.event, ev.OrderFilled)]
    known = [event for event in fills if state.has_fill(event.fill)]
    before = [body for name, body in state.sections() if name != "meta"]
    for event in known:
        state.apply(ev.Record(state.seq + 1, state.meta.ts, state.meta.epoch, event))
    assert [body for name, body in state.sections() if name != "meta"] == before


def test_ended_orders_are_kept_in_bounded_number() -> None:
    records = session(5_000, seed=3)
    state = replay(records)
    assert len(state.recent) <= RECENT_ORDERS
    assert not set(state.recent) & set(state.orders)
    assert all(not order.is_open for order in state.recent.values())


def test_a_fact_out_of_turn_is_refused_and_changes_nothing() -> None:
    records = session(50, seed=1)
    state = replay(records)
    before = state.state_hash()
    with pytest.raises(StateConsistencyError, match="gap"):
        state.apply(ev.Record(state.seq + 2, 0, state.meta.epoch, ev.EngineStopped(reason="x")))
    with pytest.raises(StateConsistencyError, match="older"):
        state.apply(ev.Record(state.seq + 1, 0, state.meta.epoch - 1, ev.EngineStopped(reason="x")))
    assert state.state_hash() == before


def test_an_illegal_move_is_refused_and_changes_nothing() -> None:
    records = session(400, seed=2)
    state = replay(records)
    done = next(order for order in state.recent.values() if order.status is OrderStatus.FILLED)
    before = state.state_hash()
    event = ev.OrderCanceled(client_id=done.client_id, reason="late notice", ts=1)
    with pytest.raises(IllegalTransitionError, match="filled"):
        state.apply(ev.Record(state.seq + 1, 0, state.meta.epoch, event))
    unknown = ev.OrderSubmitted(client_id=ClientOrderId("Qnever"))
    with pytest.raises(StateConsistencyError, match="not known"):
        state.apply(ev.Record(state.seq + 1, 0, state.meta.epoch, unknown))
    assert state.state_hash() == before


def test_a_cancelled_order_that_was_filled_after_all_is_filled() -> None:
    assert can_move(OrderStatus.CANCELED, OrderStatus.FILLED)
    assert not can_move(OrderStatus.FILLED, OrderStatus.CANCELED)
    assert set(TRANSITIONS) == set(OrderStatus)


def test_an_unknown_owner_has_no_money() -> None:
    state = EngineState()
    assert state.balance(AccountId("none"), Currency("USDT")).total == 0
    assert state.position(AccountId("none"), InstrumentId("SIM:BTC/USDT")) is None
    assert (Owner("x"), AccountId("none"), InstrumentId("y")) not in state.owned
