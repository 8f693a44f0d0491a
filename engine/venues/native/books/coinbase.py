"""Books of Coinbase Advanced Trade: snapshot and updates on `l2_data`, one count over all messages of a connection."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from engine.errors import DataValidationError
from engine.venues.native.books.keeping import CROSSED, Books, Kept, Taken
from engine.venues.native.books.plain import PlainLevels, scaled_levels
from engine.venues.numbers import iso_ns
from engine.venues.sequences import Step, coinbase_step

if TYPE_CHECKING:
    from engine.venues.native.books.keeping import BookSink
    from engine.venues.native.books.loading import Fast

__all__ = ["CoinbaseBooks"]

_NUMBER = b'"sequence_num":'
_CHANNEL = b'"l2_data"'
_PRODUCT = b'"product_id":"'
_PRODUCT_LENGTH = len(_PRODUCT)
_DIGITS = 20
_APPLIED = Taken.APPLIED
_NOT_TAKEN, _CROSSED = 1, 3
"""Said by the kernel."""
_UNCOUNTED = -2
"""For a connection that has not begun to count; no message has the number after it."""


class _Update(msgspec.Struct, frozen=True, gc=False):
    side: str
    price_level: str
    new_quantity: str


class _Event(msgspec.Struct, frozen=True, gc=False):
    type: str
    product_id: str
    updates: list[_Update]


class _Message(msgspec.Struct, frozen=True, gc=False):
    channel: str
    timestamp: str
    sequence_num: int
    events: list[_Event]


class _Counted(msgspec.Struct, frozen=True, gc=False):
    """Any message of a connection."""

    channel: str
    sequence_num: int


_message = msgspec.json.Decoder(_Message)
_counted = msgspec.json.Decoder(_Counted)


class CoinbaseBooks(Books):
    """Books out of `level2` subscriptions.

    Every message of every connection must pass through `feed`, whatever its channel: the count runs over all of them. A
    hole in it may have held an update of any book, so all books of that connection are lost at once; the adapter drops
    the connection, or leaves and joins the channel, and snapshots come first again.
    """

    venue = "coinbase"

    def __init__(self, sink: BookSink, *, compiled: bool = True) -> None:
        super().__init__(sink, compiled=compiled)
        self._numbers: dict[str, int] = {}

    def begin(self, line: str) -> None:
        """A connection was made anew or has ended: its count begins again, and its books are lost."""
        self._numbers.pop(line, None)
        self.lose("the connection has ended", [kept.symbol for kept in self.kept.values() if kept.line == line])

    def feed(self, data: bytes, line: str = "") -> Taken:
        """Take one message in as it came.

        Args:
            data: The message.
            line: The name of its connection.

        Returns:
            OTHER for a message of another channel that counts on, to be read by the adapter. STALE for one that came
            before, whatever its channel: to be ignored. GAP when messages before it are missing; one of another channel
            is itself good and is told apart by `is_level2`. Else what became of the book, of the last one where there
            are several.
        """
        at = data.find(_PRODUCT) + _PRODUCT_LENGTH
        kept = self._quick.get(data[at : data.find(b'"', at)])
        if kept is not None and kept.live and kept.line == line:
            book: Any = kept.book
            number = self._numbers.get(line, _UNCOUNTED) + 1
            status = self._move(data, at, number, book.rows, self._scratch.rows)
            if status != _NOT_TAKEN:
                self._numbers[line] = number
                if status == _CROSSED:
                    return self._lose(kept, CROSSED)
                self._sink.moved(kept, False)
                return _APPLIED
        return self._feed_slow(data, line)

    def _feed_slow(self, data: bytes, line: str) -> Taken:
        at_number = data.find(_NUMBER) + len(_NUMBER)
        number = _number(data, at_number)
        if number is None:
            return Taken.OTHER
        step = coinbase_step(self._numbers.get(line), number)
        if step is Step.STALE:
            return Taken.STALE
        missed = self._numbers.get(line)
        self._numbers[line] = number
        if step is Step.GAP:
            self.lose(f"message {number} follows {missed}", self._on(line))
        if not self.is_level2(data):
            return Taken.GAP if step is Step.GAP else Taken.OTHER
        taken = self._feed_level2(data, line)
        return Taken.GAP if step is Step.GAP else taken

    @staticmethod
    def is_level2(data: bytes) -> bool:
        """Whether a message belongs to books."""
        return _CHANNEL in data[:200]

    def _on(self, line: str) -> list[str]:
        return [kept.symbol for kept in self.kept.values() if kept.line == line]

    def _feed_level2(self, data: bytes, line: str) -> Taken:
        at = data.find(_PRODUCT) + _PRODUCT_LENGTH
        kept = self._by_bytes.get(data[at : data.find(b'"', at)])
        way = self._compiled_for(kept) if kept is not None else None
        if kept is None or way is None:
            return self._feed_plain(data, line)
        self._know(kept, kept.symbol.encode())
        return self._feed_fast(kept, way, data, at, line)

    def _feed_fast(self, kept: Kept, way: Fast, data: bytes, at: int, line: str) -> Taken:
        scratch = self._scratch
        prices, quantities = kept.places
        while True:
            found = way.kernels.coinbase_level2(data, at, prices, quantities, scratch.rows)
            status, snapshot, number, ts, bids, asks = found
            if status != way.kernels.ROOM:
                break
            scratch.grow()
        if status or number != self._numbers[line]:
            return self._feed_plain(data, line)
        scratch.hold(bids, asks)
        return self._step(kept, snapshot == 1, ts, None, line)

    def _feed_plain(self, data: bytes, line: str) -> Taken:
        taken = Taken.OTHER
        try:
            message = _message.decode(data)
            if message.channel != "l2_data":
                return Taken.OTHER
            ts = iso_ns(message.timestamp)
        except DataValidationError as error:
            return self._unreadable_line(line, error)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            broken = DataValidationError("Coinbase sent a book message that cannot be understood.")
            return self._unreadable_line(line, broken)
        for event in message.events:
            kept = self.kept.get(event.product_id)
            if kept is None:
                continue
            try:
                levels = _levels(event, kept)
            except DataValidationError as error:
                taken = self._unreadable(kept, error, tell=event.type == "snapshot")
            else:
                taken = self._step(kept, event.type == "snapshot", ts, levels, line)
        return taken

    def _unreadable_line(self, line: str, error: DataValidationError) -> Taken:
        """A message whose books are not even known may have changed any of them."""
        self.lose(error.message.rstrip("."), self._on(line))
        return Taken.UNREADABLE

    def _step(self, kept: Kept, snapshot: bool, ts: int, levels: PlainLevels | None, line: str) -> Taken:
        if snapshot:
            kept.line = line
        elif not kept.live:
            return Taken.WAITING
        elif kept.line != line:
            # Another connection's count says nothing about this book.
            return Taken.STALE
        return self._apply(kept, ts, levels, snapshot=snapshot)


def _levels(event: _Event, kept: Kept) -> PlainLevels:
    if event.type not in ("snapshot", "update"):
        raise DataValidationError(f"Coinbase sent a book message of the kind {event.type[:20]!r}.")
    sides: dict[str, list[tuple[str, str]]] = {"bid": [], "offer": []}
    for update in event.updates:
        side = sides.get(update.side)
        if side is None:
            raise DataValidationError(f"Coinbase sent a level of the side {update.side[:20]!r}.")
        side.append((update.price_level, update.new_quantity))
    return PlainLevels(scaled_levels(sides["bid"], *kept.places), scaled_levels(sides["offer"], *kept.places))


def _number(data: bytes, at: int) -> int | None:
    """The count of a message; None for one that is not counted, such as an error."""
    if at < len(_NUMBER):
        return None
    end = data.find(b",", at, at + _DIGITS + 1)
    if end > at and data[at:end].isdigit():
        return int(data[at:end])
    end = at
    while data[end : end + 1].isdigit() and end - at < _DIGITS:
        end += 1
    if end > at:
        return int(data[at:end])
    try:
        return _counted.decode(data).sequence_num
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
