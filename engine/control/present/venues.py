"""Views of venues and of what they have."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.control.views_venues import AccountRow, FoundInstrument, StreamRow, VenueRow
from engine.model.order import OrderStatus
from engine.model.venue import VenueHealth

if TYPE_CHECKING:
    from engine.engine import Engine
    from engine.model.account import Account
    from engine.model.instrument import Instrument
    from engine.venue_unit import VenueUnit

__all__ = ["found_row", "venue_row", "venue_rows"]


def venue_rows(engine: Engine) -> list[VenueRow]:
    """Every venue, the default one first."""
    return [venue_row(engine, unit) for unit in engine.venues.values()]


def venue_row(engine: Engine, unit: VenueUnit) -> VenueRow:
    """A venue as it is now."""
    line, health = unit.connection, _health(unit)
    markets = [engine.hub.markets[key] for key in unit.watched()]
    heard = [market.heard for market in markets if market.heard]
    orders = [order for order in engine.state.orders.values() if order.account in unit.accounts]
    modes = [account.mode for account in unit.accounts.values()]
    return VenueRow(
        id=unit.id,
        mode=modes[0],
        state=str(line.state),
        reason=line.reason,
        since=line.since,
        attempts=line.attempts,
        losses=line.losses,
        breaker=str(unit.guard.breaker.state),
        accounts=tuple(_account(engine, unit, account) for account in unit.accounts.values()),
        streams=tuple(
            StreamRow(
                name=stream.name,
                up=stream.up,
                since=stream.since,
                heard=stream.heard,
                messages=stream.messages,
                reconnects=stream.reconnects,
                reason=stream.reason,
            )
            for stream in health.streams
        ),
        latency_ms=health.latency_ms,
        clock_offset_ms=health.clock_offset_ms,
        limits=health.limits,
        paused_until=health.paused_until,
        heard_ms=(engine.clock.now() - min(heard)) / 1e6 if heard else None,
        markets=len(markets),
        live_markets=sum(market.live for market in markets),
        open_orders=len(orders),
        unknown_orders=sum(order.status is OrderStatus.UNKNOWN for order in orders),
        instruments=len(unit.catalogue),
    )


def _health(unit: VenueUnit) -> VenueHealth:
    # A venue of the past has nothing to tell.
    told = getattr(unit.venue, "health", None)
    return told() if told is not None else VenueHealth()


def _account(engine: Engine, unit: VenueUnit, account: Account) -> AccountRow:
    return AccountRow(
        id=account.id,
        venue=unit.id,
        mode=account.mode,
        currency=account.base_currency,
        known=engine.knows(account.id),
        equity=engine.equity(account.id),
    )


def found_row(engine: Engine, instrument: Instrument) -> FoundInstrument:
    """An instrument that a venue has, whether or not it is in use."""
    rules = instrument.current_rules
    return FoundInstrument(
        id=instrument.id,
        symbol=instrument.symbol,
        venue=instrument.venue,
        kind=instrument.kind,
        price_tick=rules.price_tick,
        lot=rules.lot,
        min_notional=rules.min_notional,
        maker_fee=rules.maker_fee,
        taker_fee=rules.taker_fee,
        watched=instrument.id in engine.hub.markets,
    )
