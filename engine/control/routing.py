"""Finds the accounts in which an order could be executed, and what stands for and against each."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from engine.errors import NotFoundError
from engine.execution.connection import ConnectionState
from engine.execution.router import Candidate
from engine.model.decimals import ZERO
from engine.model.faults import BreakerState
from engine.model.ids import MANUAL, InstrumentId, symbol_of
from engine.model.instrument import CASH_KINDS
from engine.model.order import OrderSide

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.engine import Engine
    from engine.market.hub import Market
    from engine.model.ids import AccountId
    from engine.venue_unit import VenueUnit

__all__ = ["candidates_for", "followed"]

DEPTH = 200
"""Levels of each book that a route is made from."""


def followed(engine: Engine, instrument: InstrumentId, side: OrderSide) -> list[Candidate]:
    """Every account that trades the same for cash, where its market is followed already; nothing is asked for."""
    symbol = symbol_of(instrument)
    return [
        _candidate(engine, unit, market, account, side)
        for unit in engine.venues.values()
        if (market := engine.hub.markets.get(InstrumentId(f"{unit.id}:{symbol}"))) is not None
        and market.instrument.kind in CASH_KINDS
        for account in unit.accounts
    ]


async def candidates_for(engine: Engine, symbol: str, side: OrderSide, accounts: Sequence[str] = ()) -> list[Candidate]:
    """Every account that trades a symbol for cash, the default venue's first.

    Venues that have the instrument and do not follow it yet are told to; without a book they get nothing this time.

    Raises:
        NotFoundError: No venue has the symbol, or a named account is none of this engine's.
        ExchangeError: A venue that should follow the instrument cannot be reached.
    """
    symbol = symbol.rpartition(":")[2].upper() if symbol.count(":") == 1 else symbol.upper()
    unknown = set(accounts) - {str(account) for account in engine.accounts}
    if unknown:
        raise NotFoundError(f"There is no account {min(unknown)}; list them with venues.list.")
    found: list[Candidate] = []
    for unit in engine.venues.values():
        name = InstrumentId(f"{unit.id}:{symbol}")
        if name not in unit.catalogue or unit.catalogue[name].kind not in CASH_KINDS:
            continue
        wanted = [account for account in unit.accounts if not accounts or account in accounts]
        if wanted and name not in engine.hub.markets:
            await unit.watch([name])
        market = engine.hub.markets.get(name)
        if market is not None:
            found += [_candidate(engine, unit, market, account, side) for account in wanted]
    if not found:
        raise NotFoundError(f"No account here trades {symbol} for cash; look it up with venues.instruments.")
    return found


def _candidate(engine: Engine, unit: VenueUnit, market: Market, account: AccountId, side: OrderSide) -> Candidate:
    instrument, buy = market.instrument, side is OrderSide.BUY
    raw = market.book.top_asks(DEPTH) if buy else market.book.top_bids(DEPTH)
    price, quantity = instrument.price_from_int, instrument.quantity_from_int
    picture = engine.risk.picture
    picture.look()
    free = (
        picture.free_funds(account, instrument.quote) if buy else picture.free_units(MANUAL, account, instrument.base)
    )
    return Candidate(
        account=account,
        instrument=instrument,
        levels=[(price(p), quantity(q)) for p, q in raw],
        fee=instrument.current_rules.taker_fee,
        free=max(free, ZERO),
        latency_ms=None if unit.latency_ms is None else Decimal(unit.latency_ms),
        reliability=unit.guard.reliability,
        obstacle=_obstacle(engine, unit, market, account),
    )


def _obstacle(engine: Engine, unit: VenueUnit, market: Market, account: AccountId) -> str:
    if unit.connection.state is not ConnectionState.ONLINE:
        return f"{unit.id} is {unit.connection.state}"
    if unit.guard.breaker.state is BreakerState.OPEN:
        return f"the circuit breaker of {unit.id} is open"
    if not engine.knows(account):
        return "what is in it is not known yet"
    if not market.live or market.broken:
        return "there is no book of it yet"
    return ""
