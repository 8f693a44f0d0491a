"""Helpers for tests on captures: the folder's files, hand-made lines, books built from events."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from engine.model.market import BookUpdate, MarketEvent, OrderBook
from engine.venues.markets.capture import CaptureLine

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from engine.model.ids import InstrumentId
    from engine.model.instrument import Instrument


def lines_of(path: Path) -> list[CaptureLine]:
    """All lines of a capture, read without the code under test."""
    import gzip

    with gzip.open(path) as file:
        rows = [json.loads(raw) for raw in file]
    return [CaptureLine(r["t"], r["ts_ns"], r.get("conn", ""), r.get("url", ""), r.get("data", "")) for r in rows]


def received(payload: object, ts: int = 1) -> CaptureLine:
    """A `recv` line."""
    return CaptureLine("recv", ts, "ws.1", "", json.dumps(payload))


def answered(url: str, payload: object, ts: int = 1) -> CaptureLine:
    """An `http` line."""
    return CaptureLine("http", ts, "http.1", url, json.dumps(payload))


def follow(instruments: tuple[Instrument, ...], events: Iterable[MarketEvent]) -> dict[InstrumentId, OrderBook]:
    """Books after all events; every update must follow the one before and leave a book that is not crossed."""
    books = {i.id: OrderBook(i.id) for i in instruments}
    for event in events:
        if isinstance(event, BookUpdate):
            assert books[event.instrument].apply(event)
            assert not books[event.instrument].crossed
    return books
