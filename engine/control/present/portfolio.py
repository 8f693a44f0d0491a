"""Views of money and positions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.control.present.derivatives import standing_view
from engine.control.present.dust import is_dust
from engine.control.present.orders import owner_name
from engine.control.views import BalanceRow, PortfolioOverview, PositionRow
from engine.model.decimals import ZERO
from engine.model.entries import BotState
from engine.model.order import OrderType
from engine.model.standing import free_funds

if TYPE_CHECKING:
    from collections.abc import Sequence
    from decimal import Decimal

    from engine.engine import Engine
    from engine.model.ids import Currency, Owner, VenueId
    from engine.model.order import Order
    from engine.model.position import Position

__all__ = ["balance_rows", "day_change", "overview", "position_rows"]


def position_rows(engine: Engine) -> list[PositionRow]:
    """Every owner's open positions but dust, the largest value first."""
    rows = [
        _row(engine, owner, p) for (owner, _, _), p in engine.state.owned.items() if p.lots and not is_dust(engine, p)
    ]
    return sorted(rows, key=lambda row: -abs(row.value or ZERO))


def _row(engine: Engine, owner: Owner, position: Position) -> PositionRow:
    instrument = engine.state.instruments[position.instrument]
    mark, quantity = engine.mark(position.instrument), position.quantity
    cost = position.cost(instrument.multiplier)
    unrealised = None if mark is None else position.unrealised(mark, instrument.multiplier)
    stops = [
        order
        for order in engine.state.orders.values()
        if (order.owner, order.account, order.instrument) == (owner, position.account, position.instrument)
        and order.type is OrderType.STOP_LOSS
        and order.side.sign * quantity < 0
    ]
    return PositionRow(
        account=position.account,
        instrument=position.instrument,
        owner=owner,
        owner_name=owner_name(engine, owner),
        quantity=quantity,
        entry_price=position.average_price() or ZERO,
        mark=mark,
        value=None if mark is None else instrument.notional(mark, quantity),
        unrealised=unrealised,
        unrealised_pct=float(unrealised / abs(cost)) if unrealised is not None and cost else None,
        realised=position.realised,
        fees=position.fees,
        stop_price=stops[0].stop_price if stops else None,
        stop_quantity=_covered(stops, abs(quantity), instrument.current_rules.lot) if stops else None,
        opened=position.lots[0].ts,
        settle=instrument.settle,
        standing=standing_view(engine, position, mark),
    )


def _covered(stops: Sequence[Order], held: Decimal, lot: Decimal) -> Decimal:
    """Sum up what the stops would sell of a position; a rest that no order could be about is not uncovered."""
    covered = sum((order.remaining for order in stops), ZERO)
    return held if held - covered < lot else covered


def balance_rows(engine: Engine) -> list[BalanceRow]:
    """Every currency of every account that is not empty, the most valuable first."""
    base, whole = engine.base_currency, engine.total()
    rows = []
    for account, unit in engine.accounts.items():
        for currency, balance in engine.state.balances.get(account, {}).items():
            if not balance.total and not balance.reserved:
                continue
            own = unit.accounts[account].base_currency
            rate = _across(engine.rates.rate(currency, own, unit.id), engine.rates.rate(own, base))
            value = None if rate is None else balance.total * rate
            rows.append(
                BalanceRow(
                    currency=currency,
                    free=free_funds(engine.state, account, currency, engine.mark),
                    reserved=balance.reserved,
                    total=balance.total,
                    value=value,
                    share=float(value / whole.value) if value is not None and whole.known and whole.value else None,
                    account=account,
                )
            )
    return sorted(rows, key=lambda row: -(row.value or ZERO))


def _across(first: Decimal | None, second: Decimal | None) -> Decimal | None:
    return None if first is None or second is None else first * second


def day_change(engine: Engine, equity: Decimal | None) -> tuple[Decimal | None, float | None]:
    """Equity of all accounts against the start of the UTC day, as an amount and as a fraction."""
    if equity is None:
        return None, None
    start = ZERO
    for account in engine.open_accounts():
        entry = engine.state.equity.get(account.id)
        rate = engine.rates.rate(account.base_currency, engine.base_currency)
        if entry is None or rate is None:
            return None, None
        start += entry.day_start * rate
    change = equity - start
    return change, float(change / start) if start > 0 else None


def overview(engine: Engine) -> PortfolioOverview:
    """All accounts together in figures."""
    state, base, accounts = engine.state, engine.base_currency, engine.open_accounts()
    whole = engine.total()
    equity = whole.value if whole.known else None
    change, change_pct = day_change(engine, equity)
    positions = [row for row in position_rows(engine) if row.account in engine.accounts]
    # What may be held besides where nothing is known yet is anybody's guess, and no zero.
    known = all(engine.knows(account) for account in engine.accounts)
    values = [(row.settle, abs(row.value) if row.value is not None else None) for row in positions]
    exposure = _sum_in(engine, values) if known else None
    ids = {account.id for account in accounts}
    sums = [(currency, s) for (owner, currency), s in state.sums.items() if owner in ids]
    # A peak is that of one account: several ones were highest at different times.
    entry = state.equity.get(accounts[0].id) if len(accounts) == 1 else None
    peak = max(entry.peak, equity) if entry is not None and equity is not None else None
    return PortfolioOverview(
        account=engine.account,
        currency=base,
        equity=equity,
        cash=sum((state.balance(account.id, base).total for account in accounts), ZERO),
        exposure=exposure,
        exposure_pct=float(exposure / equity) if exposure is not None and equity else None,
        unrealised=_sum_in(engine, [(row.settle, row.unrealised) for row in positions]) if known else None,
        realised=_sum_in(engine, [(currency, s.realised) for currency, s in sums]) or ZERO,
        fees=_sum_in(engine, [(currency, s.fees) for currency, s in sums]) or ZERO,
        day_change=change,
        day_change_pct=change_pct,
        drawdown_pct=float(1 - equity / peak) if peak and equity is not None else None,
        peak=peak,
        open_positions=len(positions),
        running_bots=sum(bot.state is BotState.RUNNING for bot in state.bots.values()),
        deposits=_sum_in(engine, [(currency, s.deposits) for currency, s in sums]) or ZERO,
        unvalued=whole.missing,
        accounts=len(engine.accounts),
    )


def _sum_in(engine: Engine, amounts: list[tuple[Currency, Decimal | None]]) -> Decimal | None:
    """Amounts of several currencies in the one in which all accounts are valued; None when one is not known."""
    total = ZERO
    for currency, amount in amounts:
        if amount is None:
            return None
        if amount:
            rate = engine.rates.rate(currency, engine.base_currency, _only_venue(engine))
            if rate is None:
                return None
            total += amount * rate
    return total


def _only_venue(engine: Engine) -> VenueId | None:
    """The venue, where there is one alone; what several have is valued between them."""
    return next(iter(engine.venues)) if len(engine.venues) == 1 else None
