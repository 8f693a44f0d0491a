"""Decode and apply of recorded book streams, ours against ccxt's and cryptofeed's own handlers, per venue, in one run.

Every contender gets the same bytes: a recorded snapshot, then the recorded updates again and again with numbers that go
on, at least `MESSAGES` of them for ours and one whole round for the others. All keep every level and could be asked
anything after each message, and nobody is asked: that is what the bar is about. Ours also makes the event that its
adapters hand on, and checks all that the venue counts; the others check what they check. A second rate is that of being
asked after every message for the best prices, 20 levels a side and the size at the best bid: there cryptofeed sorts a
whole side each time.

OKX's recording is older than its sequence numbers: they are put in, and the checksum is taken out, as it is done today.
Rates are of processor time. cryptofeed has an environment of its own in the user's cache folder, which `--peers` builds
once.
"""

from __future__ import annotations

import hashlib
import os
import statistics
import subprocess
import sys
import tempfile
import time
from bisect import bisect_left
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson
import platformdirs

from engine.model.market import BookMoved
from engine.model.order import OrderSide
from engine.venues.native.books.binance import BinanceBooks
from engine.venues.native.books.coinbase import CoinbaseBooks
from engine.venues.native.books.loading import load
from engine.venues.native.books.okx import OkxBooks
from tests.bench.recordings import CAPTURES, binance, coinbase, okx
from tests.bench.table import Row
from tests.venues.native.books.kit import instrument

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.venues.native.books.keeping import Kept
    from tests.bench.recordings import Recording

MESSAGES = 200_000
PARTS = 3
PEER_MESSAGES = 6_000
"""For those who are slower; a rate is a rate."""
ASKED_MESSAGES = 1_500
"""Of the updates, not of a whole round, for whoever is asked after each of them."""
DEPTH = 20
ROOT = Path(__file__).resolve().parents[2]
FACTOR = 8.0
FACTOR_CRYPTOFEED = 6.0
PEERS = "QUARTERDECK_BENCH_PEERS"
"""Set to 1 by `--peers`: environments of other libraries are built where they are missing."""


def rate(begin: Callable[[], None], feed: Callable[[bytes], object], recording: Recording, most: int) -> float:
    """Updates a second of processor time, so that other work on the machine does not count; the median of its parts."""
    begin()
    rates: list[float] = []
    done, spent = 0, 0.0
    for messages in recording.rounds(most):
        began = time.process_time()
        for data in messages:
            feed(data)
        spent += time.process_time() - began
        done += len(messages)
        if done >= most // PARTS:
            rates.append(done / spent)
            done, spent = 0, 0.0
    return statistics.median(rates)


def rate_asked(begin: Callable[[], None], feed: Callable[[bytes], object], ask: Callable[[], object],
               recording: Recording) -> float:  # fmt: skip
    """Updates a second with answers after each."""
    begin()
    messages = recording.updates[:ASKED_MESSAGES]
    began = time.process_time()
    for data in messages:
        feed(data)
        ask()
    return len(messages) / (time.process_time() - began)


class Rates(NamedTuple):
    """Messages a second."""

    kept: float
    asked: float


def ours(recording: Recording, *, compiled: bool, most: int) -> Rates:
    """Our books, which must never be lost."""
    books, kept, sink = _books(recording, compiled=compiled)

    def begin() -> None:
        if recording.venue == "binance":
            books.snapshot(recording.symbol, recording.snapshot)
        else:
            books.feed(recording.snapshot)
        assert kept.live

    found = rate(begin, books.feed, recording, most)
    assert kept.live, kept.reason
    assert not kept.gaps
    assert sink.moves > most * 0.99, "messages were not taken in"
    books, kept, sink = _books(recording, compiled=compiled)

    def ask() -> object:
        book = kept.book
        bid = book.best_bid
        return bid, book.best_ask, book.top_bids(DEPTH), book.top_asks(DEPTH), book.size_at(OrderSide.BUY, bid or 0)

    return Rates(found, rate_asked(begin, books.feed, ask, recording))


def _books(recording: Recording, *, compiled: bool) -> tuple[Any, Kept, Sink]:
    kinds = {"binance": BinanceBooks, "okx": OkxBooks, "coinbase": CoinbaseBooks}
    sink = Sink()
    books: Any = kinds[recording.venue](sink, compiled=compiled)
    return books, books.add(recording.symbol, instrument("X", 3 if recording.venue == "okx" else 2, 8)), sink


class Sink:
    """Makes of each move what the adapters make of it."""

    def __init__(self) -> None:
        self.moves = 0
        self.last: BookMoved | None = None

    def moved(self, kept: Kept, snapshot: bool) -> None:
        book = kept.book
        self.last = BookMoved(kept.instrument.id, book.ts, book, snapshot)
        self.moves += 1

    def lost(self, kept: Kept, reason: str) -> None:
        """Told by `Kept.gaps` as well."""


class _Client:
    """What ccxt's handlers want of a connection."""

    url = "wss://fstream.binance.com/ws"

    def __init__(self) -> None:
        self.subscriptions: dict[str, Any] = {}
        self.futures: dict[str, Any] = {}

    def resolve(self, result: object, _: str) -> object:
        return result

    def reject(self, error: Exception, *_: object) -> None:
        raise error


def peer_ccxt(recording: Recording, *, spot: bool) -> Rates:
    """The own handlers of ccxt, given what its connection gives them: what orjson made of the message."""
    import ccxt.pro

    kinds = {"binance": ccxt.pro.binance if spot else ccxt.pro.binanceusdm, "okx": ccxt.pro.okx,
             "coinbase": ccxt.pro.coinbase}  # fmt: skip
    exchange: Any = kinds[recording.venue]()
    base, _, quote = recording.unified.partition("/")
    swap = ":" in quote
    market = exchange.safe_market_structure(
        {
            "id": recording.symbol, "symbol": recording.unified, "base": base, "quote": quote.partition(":")[0],
            "type": "swap" if swap else "spot", "spot": not swap, "swap": swap, "contract": swap,
            "precision": {"price": 1e-3, "amount": 1e-8},
        }
    )  # fmt: skip
    exchange.markets = {recording.unified: market}
    exchange.markets_by_id = {recording.symbol: [market]}
    client = _Client()
    if spot:
        client.url = "wss://stream.binance.com:9443/stream"
    client.subscriptions = {f"books-l2-tbt:{recording.unified}": True, f"level2::{recording.unified}": {}}

    def begin() -> None:
        exchange.orderbooks = {}
        if recording.venue == "binance":
            body = orjson.loads(recording.snapshot)
            book = exchange.order_book({}, 100_000)
            book.reset(exchange.parse_order_book(body, recording.unified))
            book["nonce"] = body["lastUpdateId"]
            exchange.orderbooks[recording.unified] = book
        else:
            exchange.handle_order_book(client, orjson.loads(recording.snapshot))

    def feed(data: bytes) -> None:
        body = orjson.loads(data)
        exchange.handle_order_book(client, body.get("data", body) if recording.venue == "binance" else body)

    def ask() -> object:
        book = exchange.orderbooks[recording.unified]
        bids, asks = book["bids"], book["asks"]
        best = bids[0]
        return best, asks[0], bids[:DEPTH], asks[:DEPTH], bids[bisect_left(bids._index, -best[0])][1]

    found = rate(begin, feed, recording, PEER_MESSAGES)
    assert exchange.orderbooks[recording.unified]["bids"], "the book was given up"
    return Rates(found, rate_asked(begin, feed, ask, recording))


def plain_dicts(recording: Recording) -> float:
    """Two dicts of floats behind orjson, nothing checked, best prices not even known."""
    sides: list[dict[float, float]] = [{}, {}]

    def put(side: dict[float, float], price: str, quantity: str) -> None:
        if float(quantity):
            side[float(price)] = float(quantity)
        else:
            side.pop(float(price), None)

    def feed(data: bytes) -> None:
        body = orjson.loads(data)
        if recording.venue == "coinbase":
            for update in body["events"][0]["updates"]:
                put(sides[update["side"] != "bid"], update["price_level"], update["new_quantity"])
            return
        item, names = (
            (body["data"], ("b", "a")) if recording.venue == "binance" else (body["data"][0], ("bids", "asks"))
        )
        for side, name in zip(sides, names, strict=True):
            for level in item[name]:
                put(side, level[0], level[1])

    return rate(lambda: None, feed, recording, PEER_MESSAGES)


def peer_cryptofeed(recording: Recording, python: Path, *, spot: bool) -> Rates:
    """The own handlers of cryptofeed, in a process in its own environment, over the same messages."""
    venue = "usdm" if recording.venue == "binance" and not spot else recording.venue
    updates = [data.decode() for messages in recording.rounds(PEER_MESSAGES) for data in messages]
    text = {
        "venue": venue,
        "symbol": recording.symbol,
        "snapshot": _checked(venue, recording.snapshot.decode()),
        "updates": [_checked(venue, update) for update in updates],
        "asked": min(ASKED_MESSAGES, len(recording.updates)),
        "depth": DEPTH,
    }
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "messages.json"
        file.write_bytes(orjson.dumps(text))
        child = Path(__file__).with_name("cryptofeed_child.py")
        said = subprocess.run([python, child, file], check=True, capture_output=True, timeout=600, cwd=folder)
    rates, asked = orjson.loads(said.stdout.splitlines()[-1])
    return Rates(statistics.median(rates), asked)


def _checked(venue: str, message: str) -> str:
    """With the checksum that cryptofeed cannot do without at OKX, though it is told not to check it."""
    return message.replace('"seqId":', '"checksum":0,"seqId":', 1) if venue == "okx" else message


def environment(*, build: bool) -> Path | None:
    """The Python of cryptofeed's environment in the user's cache folder; None where there is none.

    Args:
        build: Whether to make it from requirements/bench.txt where it is missing.
    """
    pins = ROOT / "requirements" / "bench.txt"
    stamp = hashlib.sha256(pins.read_bytes()).hexdigest()[:16]
    folder = Path(platformdirs.user_cache_dir("quarterdeck")) / f"bench-{stamp}"
    python, ready = folder / "bin" / "python", folder / "ready"
    if not ready.exists():
        if not build:
            return None
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True, timeout=300)
        words = [str(python), "-m", "pip", "install", "-qq", "--require-hashes", "-r", str(pins)]
        subprocess.run(words, check=True, timeout=900)
        ready.touch()
    return python


def run() -> list[Row]:
    """The table, one group of rows a venue."""
    if not CAPTURES.is_dir():
        return [Row("books", f"skipped: no recordings at {CAPTURES}")]
    load()
    python, missing = None, 'make bench ARGS="books --peers" builds its environment once'
    try:
        python = environment(build=os.environ.get(PEERS) == "1")
    except (OSError, subprocess.SubprocessError) as error:
        missing = f"its environment cannot be built: {type(error).__name__}"
    venues = [
        ("Binance spot", binance("binance/spot_btcusdt_20240808", "BTC/USDT"), True),
        ("Binance USD-M", binance("binance/usdm_btcusdt_20240808", "BTC/USDT:USDT"), False),
        ("OKX", okx(), False),
        ("Coinbase", coinbase(), False),
    ]
    rows: list[Row] = []
    for name, recording, spot in venues:
        fast = ours(recording, compiled=True, most=MESSAGES)
        slow = ours(recording, compiled=False, most=PEER_MESSAGES)
        dicts = plain_dicts(recording)
        rows += [
            Row(f"{name}: decode and apply", f"{fast.kept:,.0f} messages/s, {fast.asked:,.0f}/s when asked"),
            *_against(name, "ccxt", fast, peer_ccxt(recording, spot=spot), FACTOR),
            *_against(name, "cryptofeed", fast, _cryptofeed(recording, python, missing, spot=spot), FACTOR_CRYPTOFEED),
            Row(f"{name}: plain Python way", f"{slow.kept:,.0f} messages/s, {slow.asked:,.0f}/s when asked"),
            Row(f"{name}: orjson and dicts, unchecked", f"{dicts:,.0f} messages/s"),
        ]
    return rows


def _cryptofeed(recording: Recording, python: Path | None, missing: str, *, spot: bool) -> Rates | str:
    """Its rates, or why there are none."""
    if python is None:
        return missing
    try:
        return peer_cryptofeed(recording, python, spot=spot)
    except (OSError, subprocess.SubprocessError) as error:
        return f"it broke ({type(error).__name__})"


def _against(name: str, peer: str, fast: Rates, theirs: Rates | str, factor: float) -> list[Row]:
    bar = f"≥ {factor:.0f} ×"
    if isinstance(theirs, str):
        return [Row(f"{name}: against {peer}", f"not measured: {theirs}", bar)]
    ratio, asked = fast.kept / theirs.kept, fast.asked / theirs.asked
    return [
        Row(f"{name}: against {peer} ({theirs.kept:,.0f}/s)", f"{ratio:.1f} ×", bar, ratio >= factor),
        Row(f"{name}: the same, when asked ({theirs.asked:,.0f}/s)", f"{asked:.1f} ×"),
    ]
