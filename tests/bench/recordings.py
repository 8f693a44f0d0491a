"""Recorded book streams, which can be repeated for as long as a measurement takes."""

from __future__ import annotations

import gzip
import re
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["CAPTURES", "Recording", "binance", "coinbase", "okx"]

CAPTURES = Path(__file__).resolve().parents[3] / "shared" / "data" / "captures"


class Recording:
    """One instrument's snapshot and updates, which can be repeated with numbers that go on.

    Between two rounds stands one message that takes the book back to its snapshot, as a diff like any other.
    """

    def __init__(self, venue: str, symbol: str, unified: str, snapshot: bytes, updates: list[bytes]) -> None:
        self.venue = venue
        self.symbol = symbol
        self.unified = unified
        self.snapshot = snapshot
        self.updates = updates
        self._back = _back(venue, symbol, snapshot, updates)
        self._numbers = [_NUMBERS[venue].search(update) for update in [*updates, self._back]]

    def round(self, count: int) -> list[bytes]:
        """Every update and the way back, with the numbers they have in round `count`, from 0."""
        messages = [*self.updates, self._back]
        if self.venue != "binance":
            step = len(messages) * count
            numbers = range(step, step + len(messages))
            return [
                data[: found.start()] + _follow(self.venue, number) + data[found.end() :]
                for data, found, number in zip(messages, self._numbers, numbers, strict=True)
                if found is not None
            ]
        ids = [[int(text) for text in found.groups() if text] for found in self._numbers if found is not None]
        last = ids[-2][1]
        offset = (last - ids[0][0] + 2) * count
        ids[-1] = [last + 1, last + 1, *([last] if len(ids[0]) > 2 else [])]
        moved = [[one + offset for one in each] for each in ids]
        if count and len(ids[0]) > 2:
            moved[0][2] = moved[0][0] - 1
        return [
            data[: found.start()]
            + b",".join(b'"%s":%d' % pair for pair in zip((b"U", b"u", b"pu"), each, strict=False))
            + data[found.end() :]
            for data, found, each in zip(messages, self._numbers, moved, strict=True)
            if found is not None
        ]

    def rounds(self, most: int) -> Iterator[list[bytes]]:
        """Rounds until there are at least `most` messages."""
        done = count = 0
        while done < most:
            messages = self.round(count)
            done += len(messages)
            count += 1
            yield messages


_NUMBERS = {
    "binance": re.compile(rb'"U":(\d+),"u":(\d+)(?:,"pu":(\d+))?'),
    "okx": re.compile(rb'"seqId":\d+,"prevSeqId":-?\d+'),
    "coinbase": re.compile(rb'"sequence_num":\d+'),
}
_FIRST = 10
"""OKX's number of the snapshot."""


def _follow(venue: str, number: int) -> bytes:
    if venue == "okx":
        return b'"seqId":%d,"prevSeqId":%d' % (number + _FIRST + 1, number + _FIRST)
    return b'"sequence_num":%d' % (number + 1)


def _sides(venue: str, data: bytes) -> tuple[list[list[str]], list[list[str]]]:
    body = orjson.loads(data)
    if venue == "binance":
        body = body.get("data", body)
        return body.get("b", body.get("bids")), body.get("a", body.get("asks"))
    if venue == "okx":
        return body["data"][0]["bids"], body["data"][0]["asks"]
    updates = [(one["side"], [one["price_level"], one["new_quantity"]]) for one in body["events"][0]["updates"]]
    return [level for side, level in updates if side == "bid"], [level for side, level in updates if side != "bid"]


def _back(venue: str, symbol: str, snapshot: bytes, updates: list[bytes]) -> bytes:
    """A diff from the book after all updates to its snapshot."""
    first = [{Decimal(level[0]): level for level in side} for side in _sides(venue, snapshot)]
    last = [dict(side) for side in first]
    for data in updates:
        for held, side in zip(last, _sides(venue, data), strict=True):
            held |= {Decimal(level[0]): level for level in side}
    bids, asks = (
        [
            first_side.get(price, [level[0], "0", *level[2:]])
            for price, level in side.items()
            if first_side.get(price) != level
        ]
        for side, first_side in zip(last, first, strict=True)
    )
    body = orjson.loads(updates[-1])
    if venue == "binance":
        body["data"] |= {"b": bids, "a": asks}
    elif venue == "okx":
        body["data"][0] |= {"bids": bids, "asks": asks}
    else:
        event, when = body["events"][0], body["timestamp"]
        event["updates"] = [
            {"side": side, "event_time": when, "price_level": price, "new_quantity": quantity}
            for side, levels in (("bid", bids), ("offer", asks))
            for price, quantity in levels
        ]
    return orjson.dumps(body)


def _lines(name: str) -> list[dict[str, Any]]:
    with gzip.open(CAPTURES / f"{name}.jsonl.gz") as file:
        return [orjson.loads(line) for line in file]


def binance(name: str, unified: str) -> Recording:
    """Diffs that follow the recorded snapshot."""
    lines = _lines(name)
    snapshot = next(line["data"] for line in lines if line["t"] == "http")
    last = orjson.loads(snapshot)["lastUpdateId"]
    diffs = [line["data"].encode() for line in lines if line["t"] == "recv" and "depthUpdate" in line["data"][:120]]
    kept = [data for data in diffs if orjson.loads(data)["data"]["u"] > last]
    return Recording("binance", "BTCUSDT", unified, snapshot.encode(), kept)


def okx(
    name: str = "okx/books_l2_tbt_10inst_20210722_c1",
    symbol: str = "XMR-USDT-SWAP",
    unified: str = "XMR/USDT:USDT",
) -> Recording:
    """One instrument of a recording, the busiest of the longest, as messages are today."""
    found: list[bytes] = []
    for line in _lines(name):
        if line["t"] == "recv" and f'"instId":"{symbol}"' in line["data"] and '"action"' in line["data"]:
            body = orjson.loads(line["data"])
            item = body["data"][0]
            item.pop("checksum", None)
            item |= {"seqId": len(found) + 10, "prevSeqId": len(found) + 9 if found else -1}
            found.append(orjson.dumps(body))
    return Recording("okx", symbol, unified, found[0], found[1:])


def coinbase() -> Recording:
    """The busier product of the recording, counted as if it were alone on its connection."""
    found: list[bytes] = []
    for line in _lines("coinbase/advanced_trade_btc_eth_20260809_first640"):
        if line["t"] == "recv" and '"l2_data"' in line["data"][:40] and '"product_id":"BTC-USD"' in line["data"]:
            number = orjson.loads(line["data"])["sequence_num"]
            found.append(
                line["data"].encode().replace(b'"sequence_num":%d' % number, b'"sequence_num":%d' % len(found), 1)
            )
    return Recording("coinbase", "BTC-USD", "BTC/USD", found[0], found[1:])
