"""How money, lots and executions move the state."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine import events as ev
from engine.errors import StateConsistencyError
from engine.model.account import Balance
from engine.model.decimals import ZERO
from engine.model.entries import Sums
from engine.model.ids import Owner
from engine.model.instrument import InstrumentKind
from engine.model.position import Position

if TYPE_CHECKING:
    from collections.abc import Callable
    from decimal import Decimal
    from typing import Any, TypeVar

    from engine.model.fill import Fill
    from engine.model.ids import AccountId, Currency, InstrumentId
    from engine.state.core import EngineState

    Handlers = dict[type[Any], Callable[[EngineState, Any, int], None]]
    _Key = TypeVar("_Key")

__all__ = ["CASH_KINDS", "EXTERNAL", "HANDLERS", "book_fill", "money"]

EXTERNAL = Owner("external")
RECENT_EXTERNAL = 10_000
CASH_KINDS = frozenset({InstrumentKind.SPOT, InstrumentKind.MARGIN})


def _entry(mapping: dict[_Key, Sums], key: _Key) -> Sums:
    found = mapping.get(key)
    if found is None:
        found = mapping[key] = Sums()
    return found


def _instrument_defined(state: EngineState, event: ev.InstrumentDefined, _ts: int) -> None:
    state.instruments[event.instrument.id] = event.instrument


def _account_opened(state: EngineState, event: ev.AccountOpened, _ts: int) -> None:
    state.accounts[event.account.id] = event.account
    state.balances.setdefault(event.account.id, {})


def money(state: EngineState, account: AccountId, currency: Currency) -> tuple[Balance, Sums]:
    """The balance and the running sums of one currency of an account, made when missing."""
    held = state.balances.get(account)
    if held is None:
        raise StateConsistencyError(f"The account {account} is not known.")
    balance = held.get(currency)
    if balance is None:
        balance = held[currency] = Balance(currency=currency)
    return balance, _entry(state.sums, (account, currency))


def _deposited(state: EngineState, event: ev.Deposited, _ts: int) -> None:
    balance, sums = money(state, event.account, event.currency)
    balance.total += event.amount
    sums.deposits += event.amount
    _shift_equity(state, event.account, event.currency, event.amount)


def _withdrawn(state: EngineState, event: ev.Withdrawn, _ts: int) -> None:
    balance, sums = money(state, event.account, event.currency)
    balance.total -= event.amount
    sums.deposits -= event.amount
    _shift_equity(state, event.account, event.currency, -event.amount)


def _transferred(state: EngineState, event: ev.Transferred, _ts: int) -> None:
    for account in (event.source, event.target):
        if account not in state.balances:
            raise StateConsistencyError(f"The account {account} is not known.")
    source, out = money(state, event.source, event.currency)
    target, into = money(state, event.target, event.currency)
    source.total -= event.amount
    out.deposits -= event.amount
    target.total += event.amount
    into.deposits += event.amount
    _shift_equity(state, event.source, event.currency, -event.amount)
    _shift_equity(state, event.target, event.currency, event.amount)


def _shift_equity(state: EngineState, account: AccountId, currency: Currency, amount: Decimal) -> None:
    entry = state.equity.get(account)
    base = state.accounts[account].base_currency
    if entry is None:
        return
    if currency != base:
        # The value of other currencies is a matter of marks; the next recorded equity starts the comparison anew.
        del state.equity[account]
        return
    entry.equity += amount
    entry.peak += amount
    entry.day_start += amount


def _balance_adjusted(state: EngineState, event: ev.BalanceAdjusted, _ts: int) -> None:
    balance, sums = money(state, event.account, event.currency)
    balance.total += event.amount
    sums.adjustments += event.amount


def _funding_paid(state: EngineState, event: ev.FundingPaid, _ts: int) -> None:
    balance, sums = money(state, event.account, event.currency)
    balance.total -= event.amount
    sums.funding += event.amount
    _entry(state.owner_sums, (event.owner, event.currency)).funding += event.amount
    for position in (
        state.positions.get((event.account, event.instrument)),
        state.owned.get((event.owner, event.account, event.instrument)),
    ):
        if position is not None:
            position.funding += event.amount


def _interest_charged(state: EngineState, event: ev.InterestCharged, _ts: int) -> None:
    balance, sums = money(state, event.account, event.currency)
    balance.total -= event.amount
    sums.interest += event.amount


def _external_order(state: EngineState, event: ev.ExternalOrderSeen, _ts: int) -> None:
    key = f"{event.account}|{event.venue_order_id}"
    state.external_orders.pop(key, None)
    if event.open:
        state.external_orders[key] = event


def _external_fill(state: EngineState, event: ev.ExternalFillSeen, _ts: int) -> None:
    key = event.fill.key
    if key in state.external_fills:
        return
    book_fill(state, event.fill, EXTERNAL)
    state.external_fills[key] = event.fill.ts
    if len(state.external_fills) > RECENT_EXTERNAL:
        del state.external_fills[next(iter(state.external_fills))]


def _fills_caught_up(state: EngineState, event: ev.FillsCaughtUp, _ts: int) -> None:
    state.cursors[event.account] = event.cursor
    forgotten = state.forgotten.get(event.account)
    if forgotten is not None:
        forgotten.caught_up()


def book_fill(state: EngineState, fill: Fill, owner: Owner) -> None:
    """Move money and lots for an execution; all look-ups that may fail come first."""
    instrument = state.instruments.get(fill.instrument)
    if instrument is None:
        raise StateConsistencyError(f"The instrument {fill.instrument} of a fill is not known.")
    account, settle, sign = fill.account, instrument.settle, fill.side.sign
    fee_balance, fee_sums = money(state, account, fill.fee_currency)
    settle_balance, sums = money(state, account, settle)
    notional = fill.price * fill.quantity * instrument.multiplier
    cash = instrument.kind in CASH_KINDS
    in_base = cash and fill.fee_currency == instrument.base and fill.fee != ZERO
    # A fee taken in base units is a sale of those units at the fill's price that pays the fee.
    fee_value = fill.fee * fill.price * instrument.multiplier if in_base else fill.fee
    own_sums = _entry(state.owner_sums, (owner, settle))
    whole, own = _position_pair(state, owner, account, fill.instrument)
    realised = whole.book(sign * fill.quantity, fill.price, instrument.multiplier, fill.ts)
    own_realised = own.book(sign * fill.quantity, fill.price, instrument.multiplier, fill.ts)
    if in_base:
        realised += whole.book(-fill.fee, fill.price, instrument.multiplier, fill.ts)
        own_realised += own.book(-fill.fee, fill.price, instrument.multiplier, fill.ts)
    if cash:
        base_balance, _ = money(state, account, instrument.base)
        base_balance.total += sign * fill.quantity
        settle_balance.total -= sign * notional
    else:
        settle_balance.total += realised
    fee_balance.total -= fill.fee
    sums.realised += realised
    sums.volume += notional
    sums.fills += 1
    own_sums.realised += own_realised
    own_sums.volume += notional
    own_sums.fills += 1
    if in_base or fill.fee_currency == settle:
        sums.fees += fee_value
        own_sums.fees += fee_value
        whole.fees += fee_value
        own.fees += fee_value
    else:
        fee_sums.fees += fill.fee
        _entry(state.owner_sums, (owner, fill.fee_currency)).fees += fill.fee


def _position_pair(
    state: EngineState, owner: Owner, account: AccountId, instrument: InstrumentId
) -> tuple[Position, Position]:
    whole = state.positions.get((account, instrument))
    if whole is None:
        whole = state.positions[account, instrument] = Position(account=account, instrument=instrument)
    own = state.owned.get((owner, account, instrument))
    if own is None:
        own = state.owned[owner, account, instrument] = Position(account=account, instrument=instrument)
    return whole, own


HANDLERS: Handlers = {
    ev.InstrumentDefined: _instrument_defined,
    ev.AccountOpened: _account_opened,
    ev.Deposited: _deposited,
    ev.Withdrawn: _withdrawn,
    ev.Transferred: _transferred,
    ev.BalanceAdjusted: _balance_adjusted,
    ev.FundingPaid: _funding_paid,
    ev.InterestCharged: _interest_charged,
    ev.ExternalOrderSeen: _external_order,
    ev.ExternalFillSeen: _external_fill,
    ev.FillsCaughtUp: _fills_caught_up,
}
