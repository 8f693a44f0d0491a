"""The view of dust: what is held and no order can sell."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.control.present.orders import owner_name
from engine.control.views_emergency import DustRow
from engine.model.decimals import ZERO
from engine.model.dust import too_small
from engine.model.instrument import CASH_KINDS
from engine.state import EXTERNAL

if TYPE_CHECKING:
    from collections.abc import Iterator
    from decimal import Decimal

    from engine.engine import Engine
    from engine.model.ids import AccountId, Currency, Owner
    from engine.model.instrument import Instrument
    from engine.model.position import Position

__all__ = ["dust_rows", "is_dust"]


def is_dust(engine: Engine, position: Position) -> bool:
    """Whether no order can close a position: it counts as none then."""
    return bool(
        too_small(engine.state.instruments[position.instrument], position.quantity, engine.mark(position.instrument))
    )


def dust_rows(engine: Engine, account: AccountId | None = None) -> list[DustRow]:
    """Everything that is dust, in one account or in all, the largest value first.

    What is left of somebody's position is named apart from what is nobody's, such as a rest that was in the account
    before it was opened here.
    """
    rows = [row for row in (*_of_owners(engine), *_of_nobody(engine)) if account in (None, row.account)]
    return sorted(rows, key=lambda row: -(row.value or ZERO))


def _of_owners(engine: Engine) -> Iterator[DustRow]:
    for (owner, account, _), position in engine.state.owned.items():
        known = engine.state.instruments[position.instrument]
        if not position.lots or owner == EXTERNAL or known.kind not in CASH_KINDS or position.quantity <= ZERO:
            continue
        why = too_small(known, position.quantity, engine.mark(known.id))
        if why:
            yield _row(engine, account, known, position.quantity, why, owner)


def _of_nobody(engine: Engine) -> Iterator[DustRow]:
    state = engine.state
    owned: dict[tuple[AccountId, Currency], Decimal] = {}
    for (owner, account, _), position in state.owned.items():
        known = state.instruments[position.instrument]
        if owner != EXTERNAL and known.kind in CASH_KINDS:
            key = account, known.base
            owned[key] = owned.get(key, ZERO) + position.quantity
    for account in state.balances:
        entry = state.accounts.get(account)
        if entry is None:
            continue
        sold_at = {
            known.base: known
            for known in state.instruments.values()
            if known.kind in CASH_KINDS and known.venue == entry.venue and known.quote == entry.base_currency
        }
        for currency, balance in state.balances[account].items():
            rest = balance.total - max(ZERO, owned.get((account, currency), ZERO))
            market = sold_at.get(currency)
            if market is None or rest <= ZERO:
                continue
            why = too_small(market, rest, engine.mark(market.id))
            if why:
                yield _row(engine, account, market, rest, why)


def _row(
    engine: Engine, account: AccountId, known: Instrument, quantity: Decimal, why: str, owner: Owner | None = None
) -> DustRow:
    rate = engine.rates.rate(known.base, engine.state.accounts[account].base_currency, known.venue)
    return DustRow(
        account=account,
        venue=known.venue,
        currency=known.base,
        quantity=quantity,
        instrument=known.id,
        owner_name="" if owner is None else owner_name(engine, owner),
        value=None if rate is None else quantity * rate,
        reason=why,
    )
