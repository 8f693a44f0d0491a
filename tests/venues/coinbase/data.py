"""Recorded messages of Coinbase, read without the code under test."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

CAPTURE = "captures/coinbase/advanced_trade_btc_eth_20260809_first640.jsonl.gz"
LEGACY = "captures/coinbase/exchange_level2_10prod_20210417.jsonl.gz"


def lines(shared: Path, name: str) -> list[dict[str, Any]]:
    """All lines of a capture."""
    with gzip.open(shared / name) as file:
        return [json.loads(raw) for raw in file]


def frames(shared: Path, name: str = CAPTURE) -> list[bytes]:
    """All messages received over websockets, in order."""
    return [line["data"].encode() for line in lines(shared, name) if line["t"] == "recv"]


def answers(shared: Path, name: str = CAPTURE) -> list[bytes]:
    """All bodies of answers to requests."""
    return [line["data"].encode() for line in lines(shared, name) if line["t"] == "http"]


def payloads(shared: Path, name: str = "coinbase_fixtures") -> dict[str, bytes]:
    """Single payloads by name."""
    rows = (shared / f"payloads/{name}.jsonl").read_text().splitlines()
    return {row["name"]: row["data"].encode() for row in map(json.loads, rows)}


def errors(shared: Path) -> list[dict[str, Any]]:
    """Recorded refusals of Coinbase."""
    rows = (shared / "payloads/errors.jsonl").read_text().splitlines()
    return [row for row in map(json.loads, rows) if row["exchange"] == "coinbase"]
