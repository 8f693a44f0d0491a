"""OKX: every recorded checksum holds; a broken one or a missed sequence number loses the book."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
import pytest

from engine.errors import DataValidationError
from engine.model.market import BookUpdate, FeedStatus, MarketEvent, MarketTrade
from engine.model.order import OrderSide
from engine.venues.markets.capture_okx import OkxParser, survey
from tests.venues.markets.capture_kit import follow, lines_of, received

if TYPE_CHECKING:
    from pathlib import Path

    from engine.venues.markets.capture import CaptureLine


@pytest.mark.parametrize("file", ["books_3inst_20220513", "books_l2_tbt_10inst_20210722_c1"])
def test_the_checksum_of_the_best_25_levels_holds_after_every_message(shared_data: Path, file: str) -> None:
    lines = lines_of(shared_data / "captures" / "okx" / f"{file}.jsonl.gz")
    instruments = survey(lines, "OKX")
    parser = OkxParser(instruments)
    events = [event for line in lines for event in parser.feed(line)]
    assert all(e.live for e in events if isinstance(e, FeedStatus))
    options = sum(line.data.count('"checksum"') for line in lines if line.t == "recv" and _of_option(line))
    sent = sum(line.data.count('"checksum"') for line in lines if line.t == "recv")
    assert parser.checked == sent - options > 250
    follow(instruments, events)


def _of_option(line: CaptureLine) -> bool:
    name = orjson.loads(line.data).get("arg", {}).get("instId", "")
    return len(name.split("-")) == 5


def book(action: str, *, seq: int = -1, before: int | None = None, bid: str = "1", **extra: Any) -> CaptureLine:
    item: dict[str, Any] = {"bids": [["100.5", bid, "0", "1"]], "asks": [["101", "2", "0", "1"]], "ts": "5", **extra}
    if before is not None:
        item |= {"seqId": seq, "prevSeqId": before}
    return received({"arg": {"channel": "books", "instId": "BTC-USDT"}, "action": action, "data": [item]})


def play(*lines: CaptureLine) -> list[MarketEvent]:
    parser = OkxParser(survey([book("snapshot")], "OKX"))
    return [event for line in lines for event in parser.feed(line)]


def shape(events: list[MarketEvent]) -> list[object]:
    return [e.seq if isinstance(e, BookUpdate) else e.live if isinstance(e, FeedStatus) else e for e in events]


def test_sequence_numbers_of_the_present_protocol_are_followed() -> None:
    events = play(
        book("update", seq=3, before=2),
        book("snapshot", seq=10, before=-1),
        book("update", seq=15, before=10),
        book("update", seq=15, before=15),
        book("update", seq=30, before=20),
        book("update", seq=31, before=30),
        book("snapshot", seq=40, before=-1),
    )
    assert shape(events) == [True, 0, 1, 2, False, True, 3]


def test_a_checksum_that_does_not_hold_loses_the_book() -> None:
    assert shape(play(book("snapshot"), book("update", bid="3", checksum=1))) == [True, 0, False]


def test_trades_carry_the_takers_side() -> None:
    item = {"instId": "BTC-USDT", "tradeId": "9", "px": "100.5", "sz": "2", "side": "buy", "ts": "1652459225393"}
    (event,) = play(received({"arg": {"channel": "trades", "instId": "BTC-USDT"}, "data": [item]}))
    assert isinstance(event, MarketTrade)
    assert event.aggressor is OrderSide.BUY
    assert event.ts == 1_652_459_225_393_000_000
    with pytest.raises(DataValidationError, match="side"):
        play(received({"arg": {"channel": "trades", "instId": "BTC-USDT"}, "data": [{**item, "side": "?"}]}))


def test_the_present_frames_are_understood(shared_data: Path) -> None:
    payloads = [
        orjson.loads(raw) for raw in (shared_data / "payloads/okx_ws_current_202608.jsonl").read_bytes().splitlines()
    ]
    lines = [received(orjson.loads(p["data"])) for p in payloads]
    instruments = survey(lines, "OKX")
    parser = OkxParser(instruments)
    trades = [e for line in lines for e in parser.feed(line) if isinstance(e, MarketTrade)]
    assert {t.instrument for t in trades} <= {i.id for i in instruments}
    assert trades
