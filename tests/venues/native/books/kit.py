"""Recorded messages, instruments to keep them in, and a sink that writes everything down."""

from __future__ import annotations

import gzip
from decimal import Decimal
from functools import cache
from typing import TYPE_CHECKING

import msgspec

from engine.model.ids import Currency, VenueId, instrument_id
from engine.model.instrument import Instrument, InstrumentKind, InstrumentRules
from engine.venues.markets import capture_binance, capture_coinbase, capture_okx
from engine.venues.markets.capture import CaptureLine

if TYPE_CHECKING:
    from pathlib import Path

    from engine.venues.native.books.keeping import Books, Kept

_line = msgspec.json.Decoder(CaptureLine)


class Log:
    """A book sink."""

    def __init__(self) -> None:
        self.moves: list[tuple[str, bool]] = []
        self.losses: list[tuple[str, str]] = []

    def moved(self, kept: Kept, snapshot: bool) -> None:
        self.moves.append((kept.symbol, snapshot))

    def lost(self, kept: Kept, reason: str) -> None:
        self.losses.append((kept.symbol, reason))


@cache
def lines(path: Path) -> tuple[CaptureLine, ...]:
    """All lines of a capture."""
    with gzip.open(path, "rb") as file:
        return tuple(_line.decode(line) for line in file)


def instrument(symbol: str, price_places: int, quantity_places: int) -> Instrument:
    """An instrument with these scales."""
    rules = InstrumentRules(
        valid_from=0,
        price_tick=Decimal(1).scaleb(-price_places),
        lot=Decimal(1).scaleb(-quantity_places),
        min_quantity=Decimal(0),
        maker_fee=Decimal(0),
        taker_fee=Decimal(0),
    )
    return Instrument(
        id=instrument_id("TEST", f"{symbol}/USD"),
        venue=VenueId("TEST"),
        symbol=f"{symbol}/USD",
        kind=InstrumentKind.SPOT,
        base=Currency(symbol),
        quote=Currency("USD"),
        settle=Currency("USD"),
        rules=(rules,),
        price_scale=price_places,
        quantity_scale=quantity_places,
    )


def keep_all(books: Books, path: Path, venue: str) -> None:
    """Keep every instrument of a capture under the venue's own symbol."""
    if venue == "binance":
        for one in capture_binance.survey(lines(path), venue):
            books.add(f"{one.base}{one.quote}", one)
    elif venue == "okx":
        for one in capture_okx.survey(lines(path), venue):
            name = f"{one.base}-{one.quote}"
            if one.kind is InstrumentKind.DATED_FUTURE:
                name += f"-{one.symbol.rpartition('-')[2]}"
            elif one.kind is not InstrumentKind.SPOT:
                name += "-SWAP"
            books.add(name, one)
    else:
        for one in capture_coinbase.survey(lines(path), venue):
            books.add(one.symbol.replace("/", "-"), one)


def state(kept: Kept) -> tuple[object, ...]:
    """What two implementations must agree on, with the best 40 levels a side."""
    book = kept.book
    return (
        kept.live, kept.reason, kept.last, kept.previous, kept.gaps, len(kept.waiting), book.seq,
        book.ts, book.best_bid, book.best_ask, book.crossed, book.to_snapshot(40),
    )  # fmt: skip
