"""What may be asked about venues and what they have."""

from __future__ import annotations

from pydantic import Field

from engine.control.requests import Request

__all__ = ["OneInstrument", "SearchInstruments"]


class SearchInstruments(Request):
    """Which instruments to look for."""

    query: str = Field("", max_length=64, description="Part of a name, such as BTC or eth/usdt; none for all.")
    venue: str = Field("", max_length=24, description="Only at this venue.")
    limit: int = Field(50, ge=1, le=1000, description="Most rows.")


class OneInstrument(Request):
    """One instrument."""

    instrument: str = Field(description="Instrument, such as BINANCE:BTC/USDT.")
