"""Books of OKX: a snapshot on the channel itself, then updates that each name the one before, and once had a checksum.

The checksum is the signed CRC-32 of `bid:size:ask:size:…` over the best 25 levels a side, in the shortest decimal
texts, which is how OKX writes them. Where a message names no numbers (before 2022) it is all there is; OKX has dropped
it since, and where it still stands beside numbers a 0 means that there is none.
"""

from __future__ import annotations

import zlib
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

import msgspec

from engine.errors import DataValidationError
from engine.venues.native.books.keeping import CROSSED, Books, BookSink, Kept, Taken
from engine.venues.native.books.plain import PlainBook, PlainLevels, scaled_levels
from engine.venues.sequences import Step, okx_step

if TYPE_CHECKING:
    from engine.venues.native.books.loading import Fast

__all__ = ["OkxBooks", "book_checksum"]

_MS = 1_000_000
_MARK = b'"action"'
_NAME = b'"instId":"'
_NAME_LENGTH = len(_NAME)
_HAS_SEQ, _HAS_PREV, _HAS_SUM = 1, 2, 4
_CHECKED = 25
_APPLIED = Taken.APPLIED
_CROSSED = -2
"""Said by the kernel."""
_Level = tuple[str, ...]


class _Arg(msgspec.Struct, frozen=True, gc=False):
    channel: str
    instId: str


class _Item(msgspec.Struct, frozen=True, gc=False):
    asks: list[_Level]
    bids: list[_Level]
    ts: str
    seqId: int | None = None
    prevSeqId: int | None = None
    checksum: int | None = None


class _Message(msgspec.Struct, frozen=True, gc=False):
    arg: _Arg
    action: str
    data: list[_Item]


_message = msgspec.json.Decoder(_Message)


class _Head(msgspec.Struct, frozen=True, gc=False):
    """What a message says besides its levels."""

    snapshot: bool
    ts: int
    seq: int | None
    previous: int | None
    checksum: int | None


class OkxBooks(Books):
    """Books out of the channels `books`, `books-l2-tbt` and `books50-l2-tbt`.

    After `BookSink.lost` the adapter leaves the channel and joins it again (`StreamPool.again`): a snapshot comes
    first. A message without changes, which OKX sends when nothing moved for a minute, counts as a move: the book was
    heard of.
    """

    venue = "okx"

    def __init__(self, sink: BookSink, *, compiled: bool = True) -> None:
        super().__init__(sink, compiled=compiled)
        self.checked = 0
        """Checksums that held so far."""
        self._crc: tuple[Any, Any] | None = None
        self._due: int | None = None

    def feed(self, data: bytes) -> Taken:
        """Take one message in as it came; with several items, what became of the last one."""
        start = data.find(b"}") + 1
        kept = self._quick.get(data[:start])
        if kept is not None and kept.live:
            book: Any = kept.book
            seq = self._move(data, start, kept.last, book.rows, self._scratch.rows)
            if seq >= 0:
                kept.previous = kept.last
                kept.last = seq
                self._sink.moved(kept, False)
                return _APPLIED
            if seq == _CROSSED:
                kept.previous, kept.last = kept.last, book.last
                return self._lose(kept, CROSSED)
        return self._feed_slow(data)

    def _feed_slow(self, data: bytes) -> Taken:
        if _MARK not in data:
            return Taken.OTHER
        at = data.find(_NAME) + _NAME_LENGTH
        kept = self._by_bytes.get(data[at : data.find(b'"', at)])
        if kept is None:
            return self._feed_plain(data)
        way = self._compiled_for(kept)
        if way is None:
            return self._feed_plain(data)
        return self._feed_fast(kept, way, data, at)

    def _feed_fast(self, kept: Kept, way: Fast, data: bytes, at: int) -> Taken:
        scratch = self._scratch
        prices, quantities = kept.places
        while True:
            found = way.kernels.okx_books(data, at, prices, quantities, scratch.rows)
            status, snapshot, has, seq, previous, checksum, time, bids, asks = found
            if status != way.kernels.ROOM:
                break
            scratch.grow()
        if status:
            return self._feed_plain(data)
        scratch.hold(bids, asks)
        # The kernel knows the whole of it: it names this book, and it ends here.
        self._know(kept, data[: data.find(b"}") + 1])
        head = _Head(
            snapshot == 1,
            time * _MS,
            seq if has & _HAS_SEQ else None,
            previous if has & _HAS_PREV else None,
            checksum if has & _HAS_SUM else None,
        )
        return self._step(kept, head, None)

    def _feed_plain(self, data: bytes) -> Taken:
        taken = Taken.OTHER
        kept: Kept | None = None
        begins = False
        try:
            message = _message.decode(data)
            begins = message.action == "snapshot"
            kept = self.kept.get(message.arg.instId)
            if kept is None or not message.arg.channel.startswith("books"):
                return Taken.OTHER
            if message.action not in ("snapshot", "update"):
                raise DataValidationError(f"OKX sent a book message of the kind {message.action[:20]!r}.")
            for item in message.data:
                levels = PlainLevels(scaled_levels(item.bids, *kept.places), scaled_levels(item.asks, *kept.places))
                head = _Head(message.action == "snapshot", _time(item.ts), item.seqId, item.prevSeqId, item.checksum)
                taken = self._step(kept, head, levels)
        except DataValidationError as error:
            return self._unreadable(kept, error, tell=begins)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            at = data.find(_NAME) + _NAME_LENGTH
            named = self._by_bytes.get(data[at : data.find(b'"', at)])
            return self._unreadable(named, DataValidationError("OKX sent a book message that cannot be understood."))
        return taken

    def _step(self, kept: Kept, head: _Head, levels: PlainLevels | None) -> Taken:
        if not head.snapshot:
            if not kept.live:
                return Taken.WAITING
            step = _follow(kept, head)
            if step is Step.STALE:
                return Taken.STALE
            if step is Step.GAP:
                return self._lose(kept, f"message {head.seq} follows {head.previous}, not {kept.last}")
        kept.last = -1 if head.seq is None else head.seq
        kept.previous = -1 if head.previous is None else head.previous
        self._due = head.checksum if head.checksum or head.seq is None else None
        return self._apply(kept, head.ts, levels, snapshot=head.snapshot)

    def _wrong(self, kept: Kept) -> str:
        wrong = super()._wrong(kept)
        if wrong or self._due is None:
            return wrong
        if self._checksum(kept) != self._due:
            return "the book's checksum does not hold"
        self.checked += 1
        return ""

    def _checksum(self, kept: Kept) -> int:
        book: Any = kept.book
        if isinstance(book, PlainBook) or self._fast is None:
            return book_checksum(book, *kept.places)
        if self._crc is None:
            self._crc = self._fast.array.crc_room()
        found: int = self._fast.kernels.okx_crc(book.rows, *self._crc)
        return found


def _follow(kept: Kept, head: _Head) -> Step:
    if head.seq is None or head.previous is None:
        # The older messages have no numbers; the checksum tells.
        return Step.FOLLOWS
    return okx_step((kept.previous, kept.last), head.previous, head.seq)


def book_checksum(book: Any, price_places: int, quantity_places: int) -> int:
    """OKX's checksum of a book as it is."""
    bids = [(_short(p, price_places), _short(q, quantity_places)) for p, q in book.top_bids(_CHECKED)]
    asks = [(_short(p, price_places), _short(q, quantity_places)) for p, q in book.top_asks(_CHECKED)]
    parts: list[str] = []
    for bid, ask in zip_longest(bids, asks, fillvalue=()):
        parts += [*bid, *ask]
    unsigned = zlib.crc32(":".join(parts).encode())
    return unsigned - (1 << 32) if unsigned >= 1 << 31 else unsigned


def _short(value: int, places: int) -> str:
    """The shortest decimal text of a scaled integer."""
    if not places:
        return str(value)
    digits = str(value).rjust(places + 1, "0")
    fraction = digits[-places:].rstrip("0")
    return f"{digits[:-places]}.{fraction}" if fraction else digits[:-places]


def _time(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or len(text) > 18:
        raise DataValidationError(f"OKX sent {text[:20]!r} where a time belongs.")
    return int(text) * _MS
