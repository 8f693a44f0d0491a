"""Both implementations say and keep the same, whatever comes: random streams, mutated bytes, faults on the wire."""

from __future__ import annotations

import random
from itertools import permutations
from typing import TYPE_CHECKING, Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.venues.native.books.binance import BinanceBooks
from engine.venues.native.books.coinbase import CoinbaseBooks
from engine.venues.native.books.keeping import Books, Taken
from engine.venues.native.books.loading import load
from engine.venues.native.books.okx import OkxBooks
from tests.venues.native.books.kit import Log, instrument, lines, state

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from engine.model.market import BookUpdate
    from engine.venues.native.books.keeping import Kept

MANY = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
ODD = ["0", "0.00", "1", "1.5", "12.25", "0007.50", "3.2500000", "1e3", "1E-1", "-1", "", ".", "5.", ".5", "1.123456",
       "123456789012345678", "99999999999999999999", "1_000", " 1", "NaN", "Infinity", "١", "1e999999"]  # fmt: skip
number = st.one_of(st.integers(1, 60).map(lambda n: f"{n / 4:.2f}"), st.sampled_from(ODD))
tidy = st.integers(1, 60).map(lambda n: f"{n / 4:.2f}")
sizes = st.sampled_from(["0", "0.00", "1", "2.5", "0.25", "7.10"])


@pytest.fixture(scope="module", autouse=True)
def _compiled() -> None:
    load()


class Changes(Log):
    """Also looks at what changed, at the one moment at which that may be asked."""

    def __init__(self) -> None:
        super().__init__()
        self.changes: list[BookUpdate] = []

    def moved(self, kept: Kept, snapshot: bool) -> None:
        super().moved(kept, snapshot)
        self.changes.append(kept.book.last_change())


class Pair:
    """Both implementations, fed the same."""

    def __init__(self, kind: Callable[..., Books], symbols: tuple[str, ...]) -> None:
        self.logs = (Changes(), Changes())
        self.both: tuple[Any, Any] = (kind(self.logs[0], compiled=False), kind(self.logs[1], compiled=True))
        for books in self.both:
            for symbol in symbols:
                books.add(symbol, instrument("X", 2, 2))

    def feed(self, data: bytes, *more: Any) -> Taken:
        return self.do("feed", data, *more)

    def do(self, call: str, *arguments: Any) -> Taken:
        """Call both, and compare all there is to compare."""
        one, two = (getattr(books, call)(*arguments) for books in self.both)
        assert one == two, arguments
        for symbol, kept in self.both[0].kept.items():
            other = self.both[1].kept[symbol]
            assert state(kept) == state(other), arguments
        assert self.logs[0].moves == self.logs[1].moves
        assert self.logs[0].losses == self.logs[1].losses
        assert self.logs[0].changes == self.logs[1].changes
        assert one is None or isinstance(one, Taken)
        return one if isinstance(one, Taken) else Taken.OTHER


def levels(texts: st.SearchStrategy[str]) -> st.SearchStrategy[list[list[str]]]:
    return st.lists(st.tuples(texts, st.one_of(sizes, texts)).map(list), max_size=6)


diffs = st.lists(
    st.tuples(st.integers(-1, 2), st.integers(0, 3), st.booleans(), levels(tidy), levels(tidy), levels(number)),
    max_size=12,
)


@given(diffs=diffs, spot=st.booleans(), odd=st.integers(0, 11))
@MANY
def test_binance_streams(diffs: list[Any], spot: bool, odd: int) -> None:
    pair = Pair(BinanceBooks, ("XUSD",))
    last = 100
    for n, (jump, length, fresh, bids, asks, strange) in enumerate(diffs):
        if fresh or n == 0:
            low = [["0.25", "1"], ["0.50", "2"]]
            body = {"lastUpdateId": last, "bids": low, "asks": [["90", "1"], ["91.5", "1.00"]]}
            pair.do("snapshot", "XUSD", orjson.dumps(body), 5)
        first = last + 1 + jump
        body = {"e": "depthUpdate", "E": 1000 + n, "s": "XUSD", "U": first, "u": first + length}
        if not spot:
            body["pu"] = last + (jump if jump > 0 else 0)
        body |= {"b": strange if n == odd else bids, "a": [[f"{float(p) + 50:.2f}", q] for p, q in asks]}
        pair.feed(orjson.dumps({"stream": "xusd@depth", "data": body} if n % 2 else body))
        last = first + length


@given(
    items=st.lists(
        st.tuples(st.booleans(), st.integers(-3, 3), levels(tidy), levels(number), st.booleans()), max_size=12
    )
)
@MANY
def test_okx_streams(items: list[Any]) -> None:
    pair = Pair(OkxBooks, ("X-USD",))
    last = 10
    for n, (snapshot, jump, bids, strange, wrong) in enumerate(items):
        # Now and then the numbers begin anew, nothing changes, or one is missing.
        seq = last + jump
        item: dict[str, Any] = {"asks": strange if wrong and n > 3 else [], "bids": bids, "ts": str(1000 + n)}
        item |= {"checksum": 0, "seqId": seq, "prevSeqId": -1 if snapshot else last + (jump == 3)}
        body = {"arg": {"channel": "books", "instId": "X-USD"}, "action": "snapshot" if snapshot else "update"}
        pair.feed(orjson.dumps(body | {"data": [item]}))
        last = seq


@given(
    items=st.lists(
        st.tuples(st.booleans(), st.sampled_from([1, 1, 1, 1, 0, 2]), levels(tidy), levels(number), st.booleans()),
        max_size=12,
    )
)
@MANY
def test_coinbase_streams(items: list[Any]) -> None:
    pair = Pair(CoinbaseBooks, ("X-USD", "Y-USD"))
    number = 0
    for n, (snapshot, jump, bids, strange, wrong) in enumerate(items):
        number += jump
        updates = [{"side": "bid", "event_time": "", "price_level": p, "new_quantity": q} for p, q in bids]
        updates += [
            {"side": "offer", "event_time": "", "price_level": p, "new_quantity": q}
            for p, q in (strange if wrong else [])
        ]
        event = {"type": "snapshot" if snapshot else "update", "product_id": "XY"[n % 2] + "-USD", "updates": updates}
        body = {"channel": "l2_data", "timestamp": f"2026-08-{n + 20:02}T21:05:48.{n}Z", "sequence_num": number}
        pair.feed(orjson.dumps(body | {"events": [event]}), "line")


def _mutated(data: bytes, chance: random.Random) -> bytes:
    kind, at = chance.randrange(5), chance.randrange(len(data))
    if kind == 0:
        return data[:at]
    if kind == 1:
        return data[:at] + bytes([chance.randrange(256)]) + data[at + 1 :]
    if kind == 2:
        return data[:at] + data[at + chance.randrange(1, 9) :]
    if kind == 3:
        return data[:at] + chance.choice([b" ", b"0", b'"', b",", b"[", b"}", b"-", b".", b"\\"]) + data[at:]
    return data + chance.choice([b"}", b"x", b"\x00", b'{"a":1}'])


@pytest.mark.parametrize(
    ("kind", "path", "symbols"),
    [
        (BinanceBooks, "binance/spot_4sym_20210814", ("FTMUSDT", "SXPBTC", "XMRBTC", "BADGERBTC")),
        (BinanceBooks, "binance/usdm_4sym_20210722", ("SUSHIUSDT", "AKROUSDT", "KEEPUSDT", "CTKUSDT")),
        (OkxBooks, "okx/books_l2_tbt_10inst_20210722_c1", ("DHT-USDT", "FUN-BTC", "XMR-USDT-SWAP")),
        (CoinbaseBooks, "coinbase/exchange_level2_10prod_20210417", ("SKL-USD", "YFI-BTC")),
    ],
)
def test_recorded_messages_and_broken_ones_of_them(
    shared_data: Path, kind: Callable[..., Books], path: str, symbols: tuple[str, ...]
) -> None:
    pair = Pair(kind, symbols)
    for books in pair.both:
        for symbol in symbols:
            books.kept[symbol].places = (8, 8)
    chance = random.Random(4)
    more: tuple[str, ...] = ("line",) if kind is CoinbaseBooks else ()
    for line in [line for line in lines(shared_data / "captures" / f"{path}.jsonl.gz") if line.t != "config"][:300]:
        data = line.data.encode()
        if line.t == "http" and "symbol=" in line.url:
            symbol = line.url.partition("symbol=")[2].partition("&")[0].upper()
            pair.do("snapshot", symbol, _mutated(data, chance), 5)
            pair.do("snapshot", symbol, data, 5)
        elif line.t == "recv" and data:
            if chance.random() < 0.2:
                pair.feed(_mutated(data, chance), *more)
            pair.feed(data, *more)


def test_a_bent_coinbase_message_never_leaves_a_live_book_that_is_wrong(shared_data: Path) -> None:
    path = shared_data / "captures" / "coinbase" / "advanced_trade_btc_eth_20260809_first640.jsonl.gz"
    pair = Pair(CoinbaseBooks, ("ETH-USD",))
    for books in pair.both:
        books.kept["ETH-USD"].places = (2, 8)
    chance = random.Random(9)
    messages = [line.data.encode() for line in lines(path) if line.t == "recv"]
    small = [data for data in messages if len(data) < 20_000 and b"ETH-USD" in data and b"l2_data" in data][:100]
    head = (
        b'{"channel":"l2_data","client_id":"","timestamp":"2026-08-09T21:05:48.6Z","sequence_num":0,"events":[{"type":'
    )
    head += b'"snapshot","product_id":"ETH-USD","updates":[]}]}'
    for n, data in enumerate(small):
        pair.feed(head, f"line {n}")
        pair.feed(_mutated(data, chance), f"line {n}")


def test_numbers_too_large_for_64_bits_stay_exact() -> None:
    pair = Pair(BinanceBooks, ("XUSD",))
    big = "99999999999999999999.25"
    body = {"lastUpdateId": 1, "bids": [["1.00", big]], "asks": [["2.00", "1"]]}
    assert pair.do("snapshot", "XUSD", orjson.dumps(body), 5) is Taken.BEGUN
    diff = {"e": "depthUpdate", "E": 1, "s": "XUSD", "U": 2, "u": 2, "b": [["1.50", big]], "a": []}
    assert pair.feed(orjson.dumps(diff)) is Taken.APPLIED
    assert pair.both[1].kept["XUSD"].book.top_bids(1) == [(150, 9999999999999999999925)]


@pytest.mark.parametrize("time", [10**13, 10**16, 10**17])
def test_a_time_that_is_none_loses_the_book(time: int) -> None:
    pair = Pair(BinanceBooks, ("XUSD",))
    body = {"lastUpdateId": 1, "bids": [["1.00", "1"]], "asks": [["2.00", "1"]]}
    pair.do("snapshot", "XUSD", orjson.dumps(body), 5)
    diff = {"e": "depthUpdate", "E": 1, "s": "XUSD", "U": 2, "u": 2, "b": [["0.50", "1"]], "a": []}
    assert pair.feed(orjson.dumps(diff)) is Taken.APPLIED
    assert pair.feed(orjson.dumps(diff | {"E": time, "U": 3, "u": 3})) is Taken.UNREADABLE
    assert pair.do("snapshot", "XUSD", orjson.dumps(body | {"lastUpdateId": 9, "E": time}), 5) is Taken.UNREADABLE

    okx = Pair(OkxBooks, ("X-USD",))
    arg = {"arg": {"channel": "books", "instId": "X-USD"}}
    item = {"asks": [], "bids": [["1.00", "1"]], "ts": "5", "seqId": 1, "prevSeqId": -1}
    assert okx.feed(orjson.dumps(arg | {"action": "snapshot", "data": [item]})) is Taken.BEGUN
    item |= {"seqId": 2, "prevSeqId": 1, "ts": str(time)}
    assert okx.feed(orjson.dumps(arg | {"action": "update", "data": [item]})) is Taken.UNREADABLE


def test_a_year_that_does_not_fit_loses_the_book() -> None:
    pair = Pair(CoinbaseBooks, ("X-USD",))
    update = {"side": "bid", "event_time": "", "price_level": "1", "new_quantity": "1"}
    for number, (kind, year, taken) in enumerate(
        [("snapshot", 2026, Taken.BEGUN), ("update", 2027, Taken.APPLIED), ("update", 9999, Taken.UNREADABLE)]
    ):
        event = {"type": kind, "product_id": "X-USD", "updates": [update]}
        body = {"channel": "l2_data", "timestamp": f"{year}-08-09T21:05:48.6Z", "sequence_num": number}
        assert pair.feed(orjson.dumps(body | {"events": [event]}), "line") is taken


def test_coinbase_may_order_the_keys_of_a_level_as_it_likes() -> None:
    pair = Pair(CoinbaseBooks, ("X-USD",))
    level = {"side": "offer", "event_time": "", "price_level": "2.50", "new_quantity": "1.5"}
    for number, names in enumerate(permutations(level)):
        updates = [{name: level[name] for name in names} | {"more": "1"} for _ in range(number % 2)]
        updates.append({name: level[name] for name in names} | {"price_level": f"{3 + number}"})
        event = {"type": "update" if number else "snapshot", "product_id": "X-USD", "updates": updates}
        body = {"channel": "l2_data", "timestamp": "2026-08-09T21:05:48.6Z", "sequence_num": number}
        taken = pair.feed(orjson.dumps(body | {"events": [event]}), "line")
        assert taken is (Taken.APPLIED if number else Taken.BEGUN)
    book = pair.both[1].kept["X-USD"].book
    assert type(book).__name__ == "ArrayBook"
    assert book.top_asks(3) == [(250, 150), (300, 150), (400, 150)]


def test_a_crossed_book_is_lost_and_comes_back_with_a_snapshot() -> None:
    pair = Pair(BinanceBooks, ("XUSD",))
    good = orjson.dumps({"lastUpdateId": 1, "bids": [["1.00", "1"]], "asks": [["2.00", "1"]]})
    assert pair.do("snapshot", "XUSD", good, 5) is Taken.BEGUN
    diff = {"e": "depthUpdate", "E": 1, "s": "XUSD", "U": 2, "u": 2, "b": [["2.00", "1"]], "a": []}
    assert pair.feed(orjson.dumps(diff)) is Taken.GAP
    assert pair.logs[0].losses == [("XUSD", "the book is crossed")]
    assert pair.feed(orjson.dumps(diff | {"U": 3, "u": 3, "b": []})) is Taken.WAITING
    assert pair.do("snapshot", "XUSD", good, 5) is Taken.GAP
    assert pair.logs[0].losses[-1] == ("XUSD", "the snapshot is older than the updates at hand")
    assert pair.do("snapshot", "XUSD", good.replace(b":1,", b":2,"), 5) is Taken.BEGUN
    assert pair.both[0].kept["XUSD"].last == 3


def test_the_compiled_way_takes_a_running_book_over() -> None:
    log = Log()
    books = BinanceBooks(log, compiled=False)
    kept = books.add("XUSD", instrument("X", 2, 2))
    books.snapshot("XUSD", orjson.dumps({"lastUpdateId": 1, "bids": [["1.00", "1"]], "asks": [["2.00", "1"]]}), 5)
    before = kept.book.to_snapshot()
    books._compiled = True
    diff = {"e": "depthUpdate", "E": 1, "s": "XUSD", "U": 2, "u": 2, "b": [["0.50", "1"]], "a": []}
    assert books.feed(orjson.dumps(diff)) is Taken.APPLIED
    assert type(kept.book).__name__ == "ArrayBook"
    assert kept.book.to_snapshot().bids == (*before.bids, (50, 100))
    assert kept.book.seq == before.seq + 1
