"""Identifiers as types, and how they are written."""

from __future__ import annotations

from typing import NewType

__all__ = [
    "MANUAL",
    "SIMULATED",
    "AccountId",
    "ClientOrderId",
    "Currency",
    "InstrumentId",
    "Owner",
    "ParentId",
    "TradeId",
    "VenueId",
    "VenueOrderId",
    "instrument_id",
    "short_symbol",
    "symbol_of",
    "venue_of",
]

VenueId = NewType("VenueId", str)
"""Upper-case short name of a venue, such as `SIM` or `BINANCE`."""
AccountId = NewType("AccountId", str)
"""Name of an account at a venue, such as `paper`; unique within the engine."""
InstrumentId = NewType("InstrumentId", str)
"""`VENUE:BASE/QUOTE`, such as `SIM:BTC/USDT`."""
ClientOrderId = NewType("ClientOrderId", str)
"""Our order id: at most 32 characters of [A-Za-z0-9], a letter first."""
VenueOrderId = NewType("VenueOrderId", str)
TradeId = NewType("TradeId", str)
"""The venue's id of one execution; unique together with venue, account, instrument and venue order id."""
Currency = NewType("Currency", str)
"""Upper-case code, such as `USDT`."""
Owner = NewType("Owner", str)
"""Who an order belongs to: a bot's id, `manual`, or `external`."""
ParentId = NewType("ParentId", str)
"""Name of a parent order, such as `twap-1042`: its algorithm, and the number of the fact that opened it."""

MANUAL = Owner("manual")
SIMULATED = VenueId("SIM")
"""The built-in simulated market."""


def instrument_id(venue: str, symbol: str) -> InstrumentId:
    """Build the id of a venue's instrument from the venue's name and its `BASE/QUOTE` symbol."""
    return InstrumentId(f"{venue.upper()}:{symbol.upper()}")


def venue_of(instrument: InstrumentId) -> VenueId:
    """Return the venue part of an instrument id."""
    return VenueId(instrument.partition(":")[0])


def symbol_of(instrument: InstrumentId) -> str:
    """Return the `BASE/QUOTE` part of an instrument id."""
    return instrument.partition(":")[2]


def short_symbol(instrument: InstrumentId) -> str:
    """Return a symbol for a narrow column: a perpetual is told from its spot pair by its end."""
    symbol = symbol_of(instrument)
    base, colon, _ = symbol.partition(":")
    return f"{base.partition('/')[0]}-PERP" if colon else symbol
