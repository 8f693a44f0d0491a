"""How money, lots and executions move the state."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple

from engine import events as ev
from engine.errors import StateConsistencyError
from engine.model.account import Balance
from engine.model.decimals import ZERO
from engine.model.entries import Moved, Sums
from engine.model.fill import FillCause
from engine.model.ids import Owner
from engine.model.instrument import CASH_KINDS
from engine.model.position import Position
from engine.model.shares import apportion
from engine.state.shifts import forget_equity, shift_guards

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, TypeVar

    from engine.model.fill import Fill
    from engine.model.ids import AccountId, Currency, InstrumentId
    from engine.model.instrument import Instrument
    from engine.state.core import EngineState

    Handlers = dict[type[Any], Callable[[EngineState, Any, int], None]]
    _Key = TypeVar("_Key")

__all__ = [
    "EXTERNAL",
    "HANDLERS",
    "Share",
    "book_fill",
    "entry_of",
    "external_shares",
    "money",
    "part_of",
    "position_of",
    "remember_move",
]

EXTERNAL = Owner("external")
RECENT_EXTERNAL = 10_000
RECENT_MOVES = 1_000
"""Changes of a position in a derivative that are kept between two funding payments."""
FEE_UNIT = Decimal("1e-8")
"""In which the fee of a forced closing is split over its owners."""


def entry_of(mapping: dict[_Key, Sums], key: _Key) -> Sums:
    """Running sums under a key, made when missing."""
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
    return balance, entry_of(state.sums, (account, currency))


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
        forget_equity(state, account)
        return
    entry.equity += amount
    entry.peak += amount
    entry.day_start += amount
    shift_guards(state, account, amount)


def _balance_adjusted(state: EngineState, event: ev.BalanceAdjusted, _ts: int) -> None:
    balance, sums = money(state, event.account, event.currency)
    balance.total += event.amount
    sums.adjustments += event.amount


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
    _book(state, event.fill, external_shares(state, event.fill))
    state.external_fills[key] = event.fill.ts
    if len(state.external_fills) > RECENT_EXTERNAL:
        del state.external_fills[next(iter(state.external_fills))]


def _fills_caught_up(state: EngineState, event: ev.FillsCaughtUp, _ts: int) -> None:
    state.cursors[event.account] = event.cursor
    if event.opening is not None:
        state.openings[event.account] = event.opening
    forgotten = state.forgotten.get(event.account)
    if forgotten is not None:
        forgotten.caught_up()


class Share(NamedTuple):
    """An owner's part of an execution."""

    owner: Owner
    quantity: Decimal
    """Signed: positive bought."""
    fee: Decimal


def external_shares(state: EngineState, fill: Fill) -> list[Share]:
    """Whose an execution of somebody else's order is.

    What the venue closes by force was everybody's who held of it: all owners' parts shrink in the proportion in which
    the account's position does. Everything else is nobody's here, and so is what goes beyond the position.
    """
    signed = fill.side.sign * fill.quantity
    instrument, whole = state.instruments.get(fill.instrument), state.positions.get((fill.account, fill.instrument))
    held = whole.quantity if whole is not None else ZERO
    derivative = instrument is not None and instrument.kind not in CASH_KINDS
    if fill.cause is FillCause.TRADE or instrument is None or not derivative or held * signed >= ZERO:
        return [Share(EXTERNAL, signed, fill.fee)]
    closed = max(signed, -held) if signed < ZERO else min(signed, -held)
    parts = {
        owner: part.quantity
        for (owner, account, what), part in state.owned.items()
        if account == fill.account and what == fill.instrument
    }
    quantities = apportion(closed, parts, instrument.current_rules.lot)
    fees = apportion(fill.fee, {owner: abs(q) for owner, q in quantities.items()}, FEE_UNIT) if fill.fee else {}
    shares = [Share(owner, quantity, fees.get(owner, ZERO)) for owner, quantity in quantities.items()]
    if closed != signed:
        shares.append(Share(EXTERNAL, signed - closed, ZERO))
    return shares


def book_fill(state: EngineState, fill: Fill, owner: Owner) -> None:
    """Move money and lots for an execution of one owner; all look-ups that may fail come first."""
    _book(state, fill, [Share(owner, fill.side.sign * fill.quantity, fill.fee)])


def _book(state: EngineState, fill: Fill, shares: Sequence[Share]) -> None:
    instrument = state.instruments.get(fill.instrument)
    if instrument is None:
        raise StateConsistencyError(f"The instrument {fill.instrument} of a fill is not known.")
    account, settle, signed = fill.account, instrument.settle, fill.side.sign * fill.quantity
    fee_balance, fee_sums = money(state, account, fill.fee_currency)
    settle_balance, sums = money(state, account, settle)
    notional = fill.price * fill.quantity * instrument.multiplier
    cash = instrument.kind in CASH_KINDS
    in_base = cash and fill.fee_currency == instrument.base and fill.fee != ZERO
    whole = position_of(state, account, fill.instrument)
    realised = _move(whole, instrument, fill, signed, fill.fee if in_base else ZERO)
    if cash:
        base_balance, _ = money(state, account, instrument.base)
        base_balance.total += signed
        settle_balance.total -= fill.side.sign * notional
    else:
        settle_balance.total += realised
    fee_balance.total -= fill.fee
    sums.realised += realised
    sums.volume += notional
    sums.fills += 1
    # A fee taken in base units is a sale of those units at the fill's price that pays the fee.
    fee_value = fill.fee * fill.price * instrument.multiplier if in_base else fill.fee
    settled = in_base or fill.fee_currency == settle
    if settled:
        sums.fees += fee_value
        whole.fees += fee_value
    else:
        fee_sums.fees += fill.fee
    for share in shares:
        _book_share(state, fill, instrument, share, in_base=in_base, settled=settled)


def _book_share(
    state: EngineState, fill: Fill, instrument: Instrument, share: Share, *, in_base: bool, settled: bool
) -> None:
    own = part_of(state, share.owner, fill.account, fill.instrument)
    sums = entry_of(state.owner_sums, (share.owner, instrument.settle))
    sums.realised += _move(own, instrument, fill, share.quantity, share.fee if in_base else ZERO)
    sums.volume += fill.price * abs(share.quantity) * instrument.multiplier
    sums.fills += 1
    if settled:
        value = share.fee * fill.price * instrument.multiplier if in_base else share.fee
        sums.fees += value
        own.fees += value
    else:
        entry_of(state.owner_sums, (share.owner, fill.fee_currency)).fees += share.fee
    if instrument.kind not in CASH_KINDS:
        remember_move(state, fill.account, fill.instrument, Moved(fill.ts, share.owner, share.quantity))


def _move(position: Position, instrument: Instrument, fill: Fill, quantity: Decimal, base_fee: Decimal) -> Decimal:
    """Book an execution on a position; returns the profit that was realised."""
    if instrument.kind not in CASH_KINDS:
        return position.book_average(quantity, fill.price, instrument.multiplier, fill.ts)
    realised = position.book(quantity, fill.price, instrument.multiplier, fill.ts)
    if base_fee:
        realised += position.book(-base_fee, fill.price, instrument.multiplier, fill.ts)
    return realised


def remember_move(state: EngineState, account: AccountId, instrument: InstrumentId, moved: Moved) -> None:
    """Keep a change of a position in a derivative, so that funding can be split as it was held."""
    trail = state.moved.setdefault((account, instrument), [])
    trail.append(moved)
    del trail[:-RECENT_MOVES]


def position_of(state: EngineState, account: AccountId, instrument: InstrumentId) -> Position:
    """The account's whole position, made when missing."""
    whole = state.positions.get((account, instrument))
    if whole is None:
        whole = state.positions[account, instrument] = Position(account=account, instrument=instrument)
    return whole


def part_of(state: EngineState, owner: Owner, account: AccountId, instrument: InstrumentId) -> Position:
    """An owner's part of it, made when missing."""
    own = state.owned.get((owner, account, instrument))
    if own is None:
        own = state.owned[owner, account, instrument] = Position(account=account, instrument=instrument)
    return own


HANDLERS: Handlers = {
    ev.InstrumentDefined: _instrument_defined,
    ev.AccountOpened: _account_opened,
    ev.Deposited: _deposited,
    ev.Withdrawn: _withdrawn,
    ev.Transferred: _transferred,
    ev.BalanceAdjusted: _balance_adjusted,
    ev.InterestCharged: _interest_charged,
    ev.ExternalOrderSeen: _external_order,
    ev.ExternalFillSeen: _external_fill,
    ev.FillsCaughtUp: _fills_caught_up,
}
