"""Recorded payloads of Binance by name, and instruments to read them with."""

from __future__ import annotations

from decimal import Decimal
from functools import cache
from typing import TYPE_CHECKING

import msgspec

from engine.model.ids import Currency, VenueId, instrument_id
from engine.model.instrument import Instrument, InstrumentKind, InstrumentRules

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["instrument", "payloads"]


@cache
def payloads(folder: Path) -> dict[str, bytes]:
    """Every payload by its name."""
    lines = (folder / "payloads" / "binance_fixtures.jsonl").read_bytes().splitlines()
    return {row["name"]: row["data"].encode() for row in map(msgspec.json.decode, lines)}


def instrument(base: str, quote: str, *, perpetual: bool = False) -> Instrument:
    """One with room for every number."""
    venue, symbol = (VenueId("BINANCE"), f"{base}/{quote}")
    if perpetual:
        venue, symbol = VenueId("BINANCEUSDM"), f"{symbol}:{quote}"
    return Instrument(
        id=instrument_id(venue, symbol),
        venue=venue,
        symbol=symbol,
        kind=InstrumentKind.LINEAR_PERPETUAL if perpetual else InstrumentKind.SPOT,
        base=Currency(base),
        quote=Currency(quote),
        settle=Currency(quote),
        rules=(InstrumentRules(valid_from=0, price_tick=Decimal("1e-8"), lot=Decimal("1e-8")),),
    )
