"""Binance's recorded messages by kind, to compare shapes with."""

from __future__ import annotations

import gzip
from functools import cache
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["captured", "fixture"]


@cache
def _fixtures(folder: Path) -> dict[str, Any]:
    lines = (folder / "payloads" / "binance_fixtures.jsonl").read_text().splitlines()
    found = [msgspec.json.decode(line) for line in lines]
    return {row["name"]: msgspec.json.decode(row["data"]) for row in found}


def fixture(folder: Path, name: str) -> Any:
    """A payload of the documents."""
    return _fixtures(folder)[name]


@cache
def captured(folder: Path, file: str) -> dict[str, Any]:
    """The first message of each kind in a capture: by `e`, or `bookTicker`, `depth`, `exchangeInfo`."""
    found: dict[str, Any] = {}
    with gzip.open(folder / "captures" / "binance" / file, "rt") as lines:
        for number, line in enumerate(lines):
            row = msgspec.json.decode(line)
            if row["t"] not in ("recv", "http") or number > 3000:
                continue
            data = msgspec.json.decode(row["data"])
            data = data.get("data", data)
            kind = data.get("e") or (
                "exchangeInfo" if "symbols" in data else "depth" if "bids" in data else "bookTicker"
            )
            if kind != "depthUpdate" or (data["b"] and data["a"]):
                found.setdefault(kind, data)
    return found
