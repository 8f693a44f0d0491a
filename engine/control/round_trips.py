"""Round trips out of the history of executions: fills of one owner paired from flat to flat, and what they add up to.

All of it happens in the thread of the reports, in short slices, so that the engine's loop does not feel it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from engine.backtest.metrics import daily_equity, drawdown, returns_of
from engine.backtest.trades import TradeBook
from engine.control.views_records import RoundTripRow, StrategyFigures
from engine.model.decimals import ZERO
from engine.model.fill import Fill
from engine.model.ids import AccountId, ClientOrderId, Currency, InstrumentId, Owner, TradeId, VenueId, VenueOrderId
from engine.risk.measures import sharpe
from storage.journal.pacing import Pacer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from decimal import Decimal

    from engine.model.instrument import Instrument
    from storage.database import Database
    from storage.tables import FillHistoryRow

__all__ = ["MOST_FILLS", "RoundTrips", "figures_of", "round_trips"]

MOST_FILLS = 20_000
"""Executions that are paired at once, the newest ones."""
BATCH = 200
RISK_FREE_RATE = 0.02


class RoundTrips(NamedTuple):
    """What was paired."""

    rows: list[RoundTripRow]
    """The last closed first."""
    complete: bool
    """False when older executions were left out."""


async def round_trips(
    database: Database,
    instruments: Mapping[InstrumentId, Instrument],
    name: Callable[[str], str],
    *,
    owners: Sequence[str] | None = None,
    instrument: str | None = None,
) -> RoundTrips:
    """Pair executions into round trips.

    Args:
        database: The reports.
        instruments: Id -> instrument; executions of others cannot be paired and are left out.
        name: Gives an owner's name.
        owners: Whose; None for everybody's.
        instrument: Only this one's; None for all.
    """
    from storage.repositories.repository import Repository
    from storage.tables import FillHistoryRow

    pacer = Pacer()
    async with database.reading() as session:
        table = Repository(session, FillHistoryRow)
        query = table.query().sorted_by("-ts_ns")
        if owners is not None:
            query = query.one_of("owner", owners)
        if instrument is not None:
            query = query.equal(instrument=instrument)
        found: list[FillHistoryRow] = []
        complete = True
        async for row in table.stream(query, batch=BATCH):
            pacer.pause()
            if len(found) == MOST_FILLS:
                complete = False
                break
            found.append(row)
    books: dict[tuple[str, str], TradeBook] = {}
    rows: list[RoundTripRow] = []
    pacer.begin()
    for fill in reversed(found):
        pacer.pause()
        known = instruments.get(InstrumentId(fill.instrument))
        if known is None:
            continue
        book = books.setdefault((fill.owner, fill.instrument), TradeBook(known))
        closed = book.add(_fill(fill), "")
        if closed is not None:
            rows.append(
                RoundTripRow(
                    owner=Owner(fill.owner),
                    owner_name=name(fill.owner),
                    instrument=InstrumentId(fill.instrument),
                    side=closed.side,
                    entry_time=closed.entry_time,
                    exit_time=closed.exit_time,
                    entry_price=closed.entry_price,
                    exit_price=closed.exit_price,
                    quantity=closed.quantity,
                    fees=closed.fees,
                    pnl=closed.pnl,
                    currency=known.settle,
                )
            )
    return RoundTrips(rows[::-1], complete)


def _fill(row: FillHistoryRow) -> Fill:
    return Fill(
        venue=VenueId(row.venue),
        account=AccountId(row.account),
        instrument=InstrumentId(row.instrument),
        trade_id=TradeId(row.trade_id),
        venue_order_id=VenueOrderId(row.venue_order_id),
        client_id=ClientOrderId(row.client_order_id),
        side=row.side,
        quantity=row.quantity,
        price=row.price,
        fee=row.fee,
        fee_currency=Currency(row.fee_currency),
        liquidity=row.liquidity,
        ts=row.ts_ns,
    )


def figures_of(
    rows: Sequence[RoundTripRow], capital: Mapping[Currency, Decimal], start: int, end: int
) -> tuple[StrategyFigures, ...]:
    """Figures of round trips closed in a window, one for each currency.

    Args:
        rows: Round trips.
        capital: What those who made them may use, by currency; every currency of it gets a figure.
        start: UTC nanoseconds, included.
        end: UTC nanoseconds, not included.
    """
    within = [row for row in rows if start <= row.exit_time < end]
    currencies = sorted({*capital, *(row.currency for row in within)})
    return tuple(
        _figures(currency, [row for row in within if row.currency == currency], capital.get(currency, ZERO), start, end)
        for currency in currencies
    )


def _figures(
    currency: Currency, rows: Sequence[RoundTripRow], capital: Decimal, start: int, end: int
) -> StrategyFigures:
    won = [row.pnl for row in rows if row.pnl > 0]
    lost = [row.pnl for row in rows if row.pnl < 0]
    total = sum((row.pnl for row in rows), ZERO)
    ratio = fall = None
    if capital > 0 and rows:
        ordered = sorted(rows, key=lambda row: row.exit_time)
        ts = np.array([start, *(row.exit_time for row in ordered), end], dtype=np.int64)
        steps = np.array([float(capital), *(float(row.pnl) for row in ordered), 0.0])
        equity = np.cumsum(steps)
        ratio = sharpe(returns_of(daily_equity(ts, equity)), RISK_FREE_RATE)
        fall = drawdown(ts, equity).depth
    return StrategyFigures(
        currency=currency,
        capital=capital,
        total_trades=len(rows),
        winning_trades=len(won),
        losing_trades=len(lost),
        total_pnl=total,
        fees=sum((row.fees for row in rows), ZERO),
        win_rate=len(won) / len(rows) if rows else None,
        profit_factor=float(sum(won, ZERO)) / -float(sum(lost, ZERO)) if lost else None,
        sharpe_ratio=ratio,
        max_drawdown=fall,
    )
