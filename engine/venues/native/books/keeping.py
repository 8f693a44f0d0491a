"""What the books of all venues share: one keeper an instrument, what became of a message, and who is told.

An adapter uses the books of its venue so:

    class Sink:                                       # a BookSink; often the adapter itself
        def moved(self, kept: Kept, snapshot: bool) -> None:
            market(BookMoved(kept.instrument.id, kept.book.ts, kept.book, snapshot=snapshot))
        def lost(self, kept: Kept, reason: str) -> None:
            market(FeedStatus(kept.instrument.id, now, live=False, reason=reason))
            # Binance: fetch a REST snapshot and give it to books.snapshot(kept.symbol, body)
            # OKX: pool.again([channel of kept.symbol])      Coinbase: connection.drop(reason)

    books = BinanceBooks(Sink())                      # or OkxBooks, CoinbaseBooks
    books.add("BTCUSDT", instrument)                  # the venue's own symbol, as it is written in the messages
    tasks.create_task(prepare())                      # loading.prepare: the compiled way, off the loop

    def on_frame(connection, data, received_ns):
        if books.feed(data) is Taken.OTHER:           # Coinbase: books.feed(data, connection.name)
            …                                         # trades, tickers, confirmations

    def on_down(connection, reason):
        books.lose(reason, symbols of the channels that connection carried)     # not when connection.retired

`kept.live` says whether a book can be trusted; while it cannot, nobody is told that it moved. `kept.book` is a KeptBook
for the hub.
"""

from __future__ import annotations

import enum
from collections import deque
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from engine.errors import DataValidationError
from engine.logs import get_logger
from engine.model.order import OrderSide
from engine.venues.native.books.loading import fast
from engine.venues.native.books.plain import PlainBook, PlainLevels

if TYPE_CHECKING:
    from collections.abc import Iterable

    from engine.model.instrument import Instrument
    from engine.model.market import KeptBook
    from engine.venues.native.books.loading import Fast

__all__ = ["BookSink", "Books", "Kept", "Taken"]

log = get_logger(__name__)

WAITING = 2_000
"""Messages kept while a snapshot is on its way."""
CROSSED = "the book is crossed"
FITS = 10**18
"""Scaled numbers from here on stay in the plain book."""
LATEST = 2**62
"""UTC nanoseconds, in the year 2116; later times, and those before 1970, are no times."""


class Taken(enum.IntEnum):
    """What became of a message."""

    OTHER = 0
    """It is no book message of an instrument that is kept."""
    APPLIED = 1
    """The book has moved on."""
    BEGUN = 2
    """The book has begun, or begun anew."""
    STALE = 3
    """Everything in it was known already; it changed nothing."""
    WAITING = 4
    """There is no book yet to apply it to."""
    GAP = 5
    """Something is missing or does not add up: the book is lost until its next snapshot."""
    UNREADABLE = 6
    """It is not understood; if its book is known, that is lost."""


class BookSink(Protocol):
    """Who is told of books; plain functions that return at once."""

    def moved(self, kept: Kept, snapshot: bool) -> None:
        """A book has changed; with `snapshot` it has begun anew."""

    def lost(self, kept: Kept, reason: str) -> None:
        """A book cannot be trusted any more, or a snapshot did not fit: the adapter gets a new snapshot."""


class Kept:
    """The book of one instrument, and how far it is known."""

    __slots__ = (
        "book", "bridged", "gaps", "instrument", "key", "last", "line", "live", "places", "plain_only", "previous",
        "reason", "symbol", "waiting",
    )  # fmt: skip

    def __init__(self, symbol: str, instrument: Instrument) -> None:
        self.symbol = symbol
        """The venue's own name of it."""
        self.instrument = instrument
        self.places = (instrument.price_scale, instrument.quantity_scale)
        self.book: KeptBook = PlainBook(instrument.id)
        """As it is now; another object after the compiled way was loaded, told with the next move."""
        self.live = False
        """Whether it is whole: nothing was missed since a snapshot."""
        self.reason = "no snapshot yet"
        """Why it is not live."""
        self.last = -1
        """The venue's own number of the last message that is in it."""
        self.previous = -1
        """The number that message named as the one before it."""
        self.bridged = False
        """Whether a message has followed the snapshot."""
        self.line = ""
        """The connection it comes over."""
        self.key = b""
        """Under what its messages are taken in at once; empty while they are not."""
        self.gaps = 0
        """How often it was lost."""
        self.plain_only = False
        """True for instruments with numbers too large for 64 bits."""
        self.waiting: deque[bytes] = deque(maxlen=WAITING)
        """Messages to be applied on top of the next snapshot, oldest first."""


class Books:
    """Books of one venue; the venues' own classes know the messages.

    What is asked of every message of a live book is done here and now in as few steps as can be: a venue's busiest
    streams bring thousands a second. Whatever is out of the ordinary goes the longer way.

    Args:
        sink: Told of every move and loss.
        compiled: Whether to use the compiled way once it is loaded; tests say no to compare.
    """

    venue: ClassVar[str]
    """Whose kernels to use."""

    def __init__(self, sink: BookSink, *, compiled: bool = True) -> None:
        self.kept: dict[str, Kept] = {}
        """By the venue's own symbol."""
        self._by_bytes: dict[bytes, Kept] = {}
        self._quick: dict[bytes, Kept] = {}
        """Books in arrays, by what the bytes of their messages begin with or are named in them; see `Kept.key`."""
        self._move: Any = None
        """The kernel that reads a message and takes it into such a book at once."""
        self._sink = sink
        self._compiled = compiled
        self._fast: Fast | None = None
        self._scratch: Any = None

    def add(self, symbol: str, instrument: Instrument) -> Kept:
        """Begin to keep an instrument's book; what is kept already stays.

        Args:
            symbol: As the venue writes it in its messages.
            instrument: Its scales decide how numbers are kept.
        """
        kept = self.kept.get(symbol)
        if kept is None:
            kept = self.kept[symbol] = self._by_bytes[symbol.encode()] = Kept(symbol, instrument)
        return kept

    def remove(self, symbol: str) -> None:
        """Forget a book."""
        self._by_bytes.pop(symbol.encode(), None)
        kept = self.kept.pop(symbol, None)
        if kept is not None:
            self._know(kept, b"")

    def lose(self, reason: str, symbols: Iterable[str] | None = None) -> None:
        """Books cannot be trusted any more, because their connection ended; who is not live is not told again.

        Args:
            reason: A few words for people.
            symbols: Whose; None for all.
        """
        for symbol in self.kept if symbols is None else symbols:
            kept = self.kept.get(symbol)
            if kept is not None:
                kept.waiting.clear()
                if kept.live:
                    self._lose(kept, reason)

    # ------------------------------------------------------------------------------------------ for the venues' classes

    def _ready(self) -> Fast | None:
        """The compiled way, taken up the first time it is there."""
        if self._fast is None and self._compiled:
            self._fast = fast()
            if self._fast is not None:
                self._scratch = self._fast.array.Scratch()
                self._move = self._fast.moves[self.venue]
        return self._fast

    def _compiled_for(self, kept: Kept) -> Fast | None:
        """The compiled way for one book, which is moved into arrays the first time."""
        way = self._fast or self._ready()
        if way is None or kept.plain_only:
            return None
        if isinstance(kept.book, PlainBook):
            return way if self._to_array(kept, way) else None
        return way

    def _know(self, kept: Kept, key: bytes) -> None:
        """From now on take the messages of a book in at once, when they have this key; with an empty one, no more."""
        if kept.key != key:
            self._quick.pop(kept.key, None)
            kept.key = key
            if key:
                self._quick[key] = kept

    def _to_array(self, kept: Kept, way: Fast) -> bool:
        """Move a book into arrays; False when its numbers do not fit."""
        old = kept.book
        levels = PlainLevels(tuple(old.levels(OrderSide.SELL)), tuple(old.levels(OrderSide.BUY)))
        if not _fit(levels):
            kept.plain_only = True
            return False
        new = way.array.ArrayBook(kept.instrument.id, self._scratch, kept.places)
        self._scratch.fill(levels)
        new.begin(old.ts)
        new.seq = old.seq
        kept.book = new
        return True

    def _to_plain(self, kept: Kept) -> PlainBook:
        """Move a book out of arrays for good."""
        kept.plain_only = True
        self._know(kept, b"")
        old, new = kept.book, PlainBook(kept.instrument.id)
        if old.seq >= 0:
            new.apply(old.to_snapshot())
        kept.book = new
        return new

    def _apply(self, kept: Kept, ts: int, levels: PlainLevels | None, *, snapshot: bool) -> Taken:
        """Take levels in and tell of it; a book that is crossed then is lost.

        Args:
            kept: Whose.
            ts: UTC nanoseconds at the venue.
            levels: What changed; None for what a kernel left in scratch.
            snapshot: Whether it is the whole book.
        """
        if not 0 <= ts < LATEST:
            no_time = DataValidationError("The exchange sent a book message with a time that cannot be right.")
            return self._unreadable(kept, no_time, tell=snapshot)
        self._put(kept, ts, levels, snapshot=snapshot)
        wrong = self._wrong(kept)
        if wrong:
            return self._lose(kept, wrong)
        if snapshot:
            kept.live, kept.reason = True, ""
        self._sink.moved(kept, snapshot)
        return Taken.BEGUN if snapshot else Taken.APPLIED

    def _wrong(self, kept: Kept) -> str:
        """Why a book that has just changed cannot be right; empty when nothing speaks against it."""
        return CROSSED if kept.book.crossed else ""

    def _put(self, kept: Kept, ts: int, levels: PlainLevels | None, *, snapshot: bool) -> None:
        book: Any = kept.book
        if levels is not None and not isinstance(book, PlainBook):
            if _fit(levels):
                self._scratch.fill(levels)
                levels = None
            else:
                book = self._to_plain(kept)
        args = (ts,) if levels is None else (ts, levels)
        if snapshot:
            book.begin(*args)
        else:
            book.change(*args)

    def _lose(self, kept: Kept, reason: str, taken: Taken = Taken.GAP) -> Taken:
        kept.live, kept.reason = False, reason
        kept.bridged = False
        kept.gaps += 1
        log.warning("book lost", instrument=kept.instrument.id, why=reason)
        self._sink.lost(kept, reason)
        return taken

    def _unreadable(self, kept: Kept | None, error: DataValidationError, *, tell: bool = False) -> Taken:
        # A book that is lost already is told lost again only where the message was its snapshot.
        if kept is not None and (kept.live or tell):
            self._lose(kept, error.message.rstrip("."))
        return Taken.UNREADABLE


def _fit(levels: PlainLevels) -> bool:
    return all(price < FITS and quantity < FITS for side in levels for price, quantity in side)
