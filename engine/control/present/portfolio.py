"""Views of money and positions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.control.present.orders import owner_name
from engine.control.views import BalanceRow, PortfolioOverview, PositionRow
from engine.model.decimals import ZERO
from engine.model.entries import BotState
from engine.model.order import OrderType
from engine.model.valuation import account_equity

if TYPE_CHECKING:
    from decimal import Decimal

    from engine.engine import Engine
    from engine.model.ids import Currency, Owner
    from engine.model.position import Position

__all__ = ["balance_rows", "day_change", "overview", "position_rows"]


def position_rows(engine: Engine) -> list[PositionRow]:
    """Every owner's open positions, the largest value first."""
    rows = [_row(engine, owner, p) for (owner, _, _), p in engine.state.owned.items() if p.lots]
    return sorted(rows, key=lambda row: -abs(row.value or ZERO))


def _row(engine: Engine, owner: Owner, position: Position) -> PositionRow:
    instrument = engine.state.instruments[position.instrument]
    mark, quantity = engine.mark(position.instrument), position.quantity
    cost = position.cost(instrument.multiplier)
    unrealised = None if mark is None else position.unrealised(mark, instrument.multiplier)
    stops = [
        order.stop_price
        for order in engine.state.orders.values()
        if order.owner == owner and order.instrument == position.instrument and order.type is OrderType.STOP_LOSS
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
        stop_price=stops[0] if stops else None,
        opened=position.lots[0].ts,
        settle=instrument.settle,
    )


def balance_rows(engine: Engine) -> list[BalanceRow]:
    """Every currency of the account that is not empty, the most valuable first."""
    base = engine.state.accounts[engine.account].base_currency
    equity = engine.equity()
    rows = []
    for currency, balance in engine.state.balances.get(engine.account, {}).items():
        if not balance.total and not balance.reserved:
            continue
        rate = engine.rates.rate(currency, base)
        value = None if rate is None else balance.total * rate
        rows.append(
            BalanceRow(
                currency=currency,
                free=balance.free,
                reserved=balance.reserved,
                total=balance.total,
                value=value,
                share=float(value / equity) if value is not None and equity else None,
            )
        )
    return sorted(rows, key=lambda row: -(row.value or ZERO))


def day_change(engine: Engine, equity: Decimal | None) -> tuple[Decimal | None, float | None]:
    """Equity against the start of the UTC day, as an amount and as a fraction."""
    entry = engine.state.equity.get(engine.account)
    if entry is None or equity is None:
        return None, None
    change = equity - entry.day_start
    return change, float(change / entry.day_start) if entry.day_start > 0 else None


def overview(engine: Engine) -> PortfolioOverview:
    """The account in figures."""
    state, account = engine.state, engine.account
    base = state.accounts[account].base_currency
    value = account_equity(state, account, engine.rates, engine.mark)
    equity = value.value if value.known else None
    change, change_pct = day_change(engine, equity)
    entry = state.equity.get(account)
    positions = position_rows(engine)
    exposure = _sum_in(engine, [(row.settle, abs(row.value) if row.value is not None else None) for row in positions])
    sums = [(currency, s) for (owner, currency), s in state.sums.items() if owner == account]
    peak = max(entry.peak, equity) if entry is not None and equity is not None else None
    return PortfolioOverview(
        account=account,
        currency=base,
        equity=equity,
        cash=state.balance(account, base).total,
        exposure=exposure,
        exposure_pct=float(exposure / equity) if exposure is not None and equity else None,
        unrealised=_sum_in(engine, [(row.settle, row.unrealised) for row in positions]),
        realised=_sum_in(engine, [(currency, s.realised) for currency, s in sums]) or ZERO,
        fees=_sum_in(engine, [(currency, s.fees) for currency, s in sums]) or ZERO,
        day_change=change,
        day_change_pct=change_pct,
        drawdown_pct=float(1 - equity / peak) if peak and equity is not None else None,
        peak=peak,
        open_positions=len(positions),
        running_bots=sum(bot.state is BotState.RUNNING for bot in state.bots.values()),
        deposits=_sum_in(engine, [(currency, s.deposits) for currency, s in sums]) or ZERO,
        unvalued=value.missing,
    )


def _sum_in(engine: Engine, amounts: list[tuple[Currency, Decimal | None]]) -> Decimal | None:
    """Amounts of several currencies in the account's own; None when one of them is not known."""
    base = engine.state.accounts[engine.account].base_currency
    total = ZERO
    for currency, amount in amounts:
        if amount is None:
            return None
        if amount:
            rate = engine.rates.rate(currency, base)
            if rate is None:
                return None
            total += amount * rate
    return total
