"""OKX's account as model objects: balances of trading and funding account together, positions, funding, permissions."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from engine.errors import ValidationError
from engine.model.decimals import exact as exact_context
from engine.model.ids import AccountId, Currency
from engine.model.venue import FundingPayment, MarginMode, Permissions, VenueBalance, VenuePosition
from engine.venues.okx.messages import (
    AssetRow,
    BalanceRow,
    BillRow,
    ConfigRow,
    CurrencyRow,
    PositionRow,
    exact,
    maybe,
    ms,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from engine.model.instrument import Instrument

__all__ = [
    "FUNDING_BILLS",
    "HEDGED",
    "SIMPLE",
    "mode_note",
    "parse_balances",
    "parse_funding",
    "parse_mode",
    "parse_permissions",
    "parse_position",
    "parse_positions",
]

FUNDING_BILLS = "8"
"""Type of the bills that settle funding."""
HEDGED = (
    "This OKX account is in long/short mode (posMode long_short_mode), in which a contract can be held both ways at "
    "once; set Position mode to One-way (Net) in OKX's trading settings to trade swaps here."
)
SIMPLE = (
    "This OKX account is in Spot mode (acctLv 1), which has no swaps; set Account mode to Futures mode at OKX to trade "
    "them here."
)
_ZERO = Decimal(0)


def parse_balances(trading: Iterable[BalanceRow], funding: Iterable[AssetRow]) -> list[VenueBalance]:
    """One balance per currency out of both accounts (spec VENUE-39).

    The total is what the trading account holds without open profit and loss (equity minus `upl`, so that margin set
    aside for isolated positions counts), plus the funding account. Only what the trading account has available can pay
    for orders: everything else, the whole funding account included, counts as locked until it is moved at OKX.
    """
    totals: dict[str, Decimal] = {}
    free: dict[str, Decimal] = {}
    with exact_context():
        for account in trading:
            for row in account.details:
                totals[row.ccy] = totals.get(row.ccy, _ZERO) + _held(row)
                free[row.ccy] = free.get(row.ccy, _ZERO) + exact(row.avail_bal)
        for asset in funding:
            totals[asset.ccy] = totals.get(asset.ccy, _ZERO) + exact(asset.bal)
        return [
            VenueBalance(
                currency=Currency(name), total=total, locked=max(_ZERO, total - max(_ZERO, free.get(name, _ZERO)))
            )
            for name, total in sorted(totals.items())
            if total
        ]


def _held(row: CurrencyRow) -> Decimal:
    equity = maybe(row.eq)
    return exact(row.cash_bal) if equity is None else equity - exact(row.upl)


def parse_position(account: AccountId, instrument: Instrument, row: PositionRow) -> VenuePosition | None:
    """One open position; None for a closed one.

    Raises:
        ValidationError: It belongs to an account in long/short mode.
    """
    quantity = exact(row.pos)
    if not quantity:
        return None
    if row.pos_side not in ("net", ""):
        raise ValidationError(HEDGED)
    mode = parse_mode(row.mgn_mode)
    mark = maybe(row.mark_px)
    return VenuePosition(
        account=account,
        instrument=instrument.id,
        quantity=quantity,
        entry_price=exact(row.avg_px),
        mark_price=mark if mark is not None else exact(row.avg_px),
        unrealised=exact(row.upl),
        leverage=maybe(row.lever) or Decimal(1),
        margin_mode=mode,
        margin=exact(row.margin if mode is MarginMode.ISOLATED else row.imr),
        maintenance=exact(row.mmr),
        updated=ms(row.u_time),
        liquidation_price=maybe(row.liq_px) or None,
    )


def parse_positions(
    account: AccountId, find: Callable[[str], Instrument | None], rows: Iterable[PositionRow]
) -> list[VenuePosition]:
    """Open positions in what is traded here; others (options, dated futures, margin on spot) are left out.

    Raises:
        ValidationError: The account is in long/short mode and holds a position.
    """
    found = []
    for row in rows:
        instrument = find(row.inst_id) if row.inst_type == "SWAP" else None
        position = None if instrument is None else parse_position(account, instrument, row)
        if position is not None:
            found.append(position)
    return found


def parse_mode(text: str) -> MarginMode:
    """Margin mode of a position or a setting."""
    return MarginMode.CROSS if text == "cross" else MarginMode.ISOLATED


def parse_funding(account: AccountId, find: Callable[[str], Instrument | None], row: BillRow) -> FundingPayment | None:
    """One settled payment; None for a bill of another kind, or of what is not traded here.

    OKX writes what was paid as a negative `pnl`.
    """
    instrument = find(row.inst_id)
    if row.type not in (FUNDING_BILLS, "") or instrument is None:
        return None
    amount = maybe(row.pnl)
    return FundingPayment(
        id=row.bill_id,
        account=account,
        instrument=instrument.id,
        currency=Currency(row.ccy),
        amount=-(amount if amount is not None else exact(row.bal_chg)),
        ts=ms(row.ts),
    )


def parse_permissions(row: ConfigRow) -> Permissions:
    """What a key may do and whether the account is fit for swaps."""
    allowed = {part.strip() for part in row.perm.split(",")}
    note = mode_note(row)
    return Permissions(
        read=bool(allowed & {"read_only", "trade", "withdraw"}),
        trade="trade" in allowed,
        withdraw="withdraw" in allowed,
        derivatives="trade" in allowed and not note,
        ip_restricted=bool(row.ip),
        note=note,
    )


def mode_note(row: ConfigRow) -> str:
    """Why an account cannot trade swaps here; empty when it can."""
    if row.pos_mode == "long_short_mode":
        return HEDGED
    return SIMPLE if row.acct_lv == "1" else ""
