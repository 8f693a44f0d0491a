"""How margin settings, funding and adopted positions in derivatives move the state."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine import events as ev
from engine.errors import StateConsistencyError
from engine.model.entries import Moved
from engine.model.instrument import CASH_KINDS
from engine.model.margin import UNLEVERED, MarginSetting
from engine.state.money import EXTERNAL, entry_of, money, part_of, position_of, remember_move

if TYPE_CHECKING:
    from decimal import Decimal

    from engine.model.ids import Owner
    from engine.state.core import EngineState
    from engine.state.money import Handlers

__all__ = ["HANDLERS", "RECENT_PAYMENTS"]

RECENT_PAYMENTS = 10_000
"""Funding payments that are remembered, so that a repeat is known."""


def _margin_set(state: EngineState, event: ev.MarginSet, _ts: int) -> None:
    key, setting = (event.account, event.instrument), MarginSetting(event.leverage, event.mode)
    wanted = state.wanted_margin(*key)
    if event.adopted and setting != wanted:
        state.wishes[key] = wanted
    else:
        state.wishes.pop(key, None)
    if setting == UNLEVERED:
        state.margins.pop(key, None)
    else:
        state.margins[key] = setting


def _funding_paid(state: EngineState, event: ev.FundingPaid, _ts: int) -> None:
    payment = f"{event.account}|{event.payment}"
    if event.payment and payment in state.payments:
        return
    balance, sums = money(state, event.account, event.currency)
    balance.total -= event.amount
    sums.funding += event.amount
    whole = state.positions.get((event.account, event.instrument))
    held = whole is not None
    if whole is not None:
        whole.funding += event.amount
    rest = event.amount
    for part in event.parts:
        _bear(state, event, part.owner, part.amount, held=held)
        rest -= part.amount
    _bear(state, event, event.owner, rest, held=held)
    key = (event.account, event.instrument)
    if key in state.moved:
        # The next payment is later than this one: what was held before it is asked for no more.
        state.moved[key] = [moved for moved in state.moved[key] if moved.ts > event.ts]
        if not state.moved[key]:
            del state.moved[key]
    if event.payment:
        state.payments[payment] = event.ts
        if len(state.payments) > RECENT_PAYMENTS:
            del state.payments[next(iter(state.payments))]


def _bear(state: EngineState, event: ev.FundingPaid, owner: Owner, amount: Decimal, *, held: bool) -> None:
    entry_of(state.owner_sums, (owner, event.currency)).funding += amount
    if held:
        # Where the account has ever held something, the parts add up to the whole, nobody's included.
        part_of(state, owner, event.account, event.instrument).funding += amount


def _funding_caught_up(state: EngineState, event: ev.FundingCaughtUp, _ts: int) -> None:
    state.funding_cursors[event.account] = event.cursor


def _position_adopted(state: EngineState, event: ev.PositionAdopted, _ts: int) -> None:
    instrument = state.instruments.get(event.instrument)
    if instrument is None or instrument.kind in CASH_KINDS:
        raise StateConsistencyError(f"The derivative {event.instrument} of an adopted position is not known.")
    balance, sums = money(state, event.account, instrument.settle)
    own_sums = entry_of(state.owner_sums, (EXTERNAL, instrument.settle))
    step = (event.quantity, event.price, instrument.multiplier, event.ts)
    # Booked as if it were executed at that price, so that equity is what it was.
    realised = position_of(state, event.account, event.instrument).book_average(*step)
    balance.total += realised
    sums.realised += realised
    own_sums.realised += part_of(state, EXTERNAL, event.account, event.instrument).book_average(*step)
    remember_move(state, event.account, event.instrument, Moved(event.ts, EXTERNAL, event.quantity))


HANDLERS: Handlers = {
    ev.MarginSet: _margin_set,
    ev.FundingPaid: _funding_paid,
    ev.FundingCaughtUp: _funding_caught_up,
    ev.PositionAdopted: _position_adopted,
}
