"""OKX's recorded messages for the tests: payloads by name, and instruments to read them with."""

from __future__ import annotations

import gzip
import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from engine.model.ids import Currency, InstrumentId, VenueId
from engine.model.instrument import Instrument, InstrumentKind, InstrumentRules

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

OKX = VenueId("OKX")
NOW = 1_790_000_000_000_000_000


def fixtures(shared_data: Path) -> dict[str, bytes]:
    """Payloads of okx_fixtures by name."""
    rows = _lines(shared_data / "payloads" / "okx_fixtures.jsonl")
    return {row["name"]: row["data"].encode() for row in rows}


def current(shared_data: Path) -> list[tuple[str, bytes]]:
    """The frames of 2026, in order, with what asked for them."""
    return [
        (row["name"], row["data"].encode()) for row in _lines(shared_data / "payloads" / "okx_ws_current_202608.jsonl")
    ]


def errors(shared_data: Path) -> list[dict[str, Any]]:
    """OKX's rows of errors.jsonl."""
    return [row for row in _lines(shared_data / "payloads" / "errors.jsonl") if row["exchange"] == "okx"]


def captures(shared_data: Path) -> Iterator[tuple[str, str, bytes]]:
    """(kind of line, address, payload) of every line received in both captures."""
    for path in sorted((shared_data / "captures" / "okx").glob("*.jsonl.gz")):
        with gzip.open(path, "rt") as file:
            for line in file:
                row = json.loads(line)
                if row["t"] in ("recv", "http"):
                    yield row["t"], row.get("url", ""), row["data"].encode()


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def instrument(symbol: str, *, scale: int = 12, multiplier: str = "1") -> Instrument:
    """An instrument of OKX by its own name, with scales that fit every recorded number."""
    base, quote, *rest = symbol.split("-")
    swap = rest == ["SWAP"]
    name = f"{base}/{quote}:{quote}" if swap else f"{base}/{quote}"
    step = Decimal(1).scaleb(-scale)
    return Instrument(
        id=InstrumentId(f"OKX:{name}"),
        venue=OKX,
        symbol=name,
        kind=InstrumentKind.LINEAR_PERPETUAL if swap else InstrumentKind.SPOT,
        base=Currency(base),
        quote=Currency(quote),
        settle=Currency(quote),
        rules=(InstrumentRules(valid_from=0, price_tick=step, lot=step),),
        multiplier=Decimal(multiplier),
        price_scale=scale,
        quantity_scale=scale,
    )
