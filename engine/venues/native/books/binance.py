"""Books of Binance, spot and USD-M: diffs wait for a REST snapshot, bridge to it, and follow by their update ids."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from engine.errors import DataValidationError
from engine.venues.native.books.keeping import CROSSED, Books, Kept, Taken
from engine.venues.native.books.plain import PlainLevels, scaled_levels
from engine.venues.sequences import Step, binance_step

if TYPE_CHECKING:
    from engine.venues.native.books.loading import Fast

__all__ = ["BinanceBooks"]

_MS = 1_000_000
_MARK = b'"depthUpdate"'
_SYMBOL = b'"s":"'
_SYMBOL_LENGTH = len(_SYMBOL)
_APPLIED = Taken.APPLIED
_CROSSED = -2
"""Said by the kernel."""
_Level = tuple[str, ...]


class _Diff(msgspec.Struct, frozen=True, gc=False):
    """`depthUpdate`."""

    e: str
    E: int
    s: str
    U: int
    u: int
    b: list[_Level]
    a: list[_Level]
    pu: int | None = None


class _Envelope(msgspec.Struct, frozen=True, gc=False):
    data: _Diff


class _Snapshot(msgspec.Struct, frozen=True, gc=False):
    lastUpdateId: int
    bids: list[_Level]
    asks: list[_Level]
    E: int = 0


_diff = msgspec.json.Decoder(_Diff)
_envelope = msgspec.json.Decoder(_Envelope)
_snapshot = msgspec.json.Decoder(_Snapshot)


class BinanceBooks(Books):
    """Books out of `<symbol>@depth@100ms` (or `@0ms`) streams, bare or combined, and REST depth snapshots.

    A book that has none yet, or was lost, collects its diffs until `snapshot` is called. `BookSink.lost` asks for one:
    after a gap, and when a snapshot came that was older than the diffs at hand. The first one the adapter asks for by
    itself, after the subscription is confirmed.
    """

    venue = "binance"

    def feed(self, data: bytes) -> Taken:
        """Take one message in as it came."""
        at = data.find(_SYMBOL) + _SYMBOL_LENGTH
        kept = self._quick.get(data[at : data.find(b'"', at)])
        if kept is not None and kept.live:
            book: Any = kept.book
            final = self._move(data, at, kept.last, kept.bridged, book.rows, self._scratch.rows)
            if final >= 0:
                kept.last = final
                kept.bridged = True
                self._sink.moved(kept, False)
                return _APPLIED
            if final == _CROSSED:
                kept.last = book.last
                return self._lose(kept, CROSSED)
        return self._feed_slow(data, at)

    def _feed_slow(self, data: bytes, at: int) -> Taken:
        if _MARK not in data:
            return Taken.OTHER
        kept = self._by_bytes.get(data[at : data.find(b'"', at)])
        if kept is None:
            return self._feed_plain(data)
        if not kept.live:
            kept.waiting.append(data)
            return Taken.WAITING
        way = self._compiled_for(kept)
        if way is None:
            return self._feed_plain(data)
        self._know(kept, kept.symbol.encode())
        return self._feed_fast(kept, way, data, at)

    def _feed_fast(self, kept: Kept, way: Fast, data: bytes, at: int) -> Taken:
        scratch = self._scratch
        prices, quantities = kept.places
        while True:
            head = way.kernels.binance_diff(data, at, prices, quantities, scratch.rows)
            status, first, final, previous, time, bids, asks = head
            if status != way.kernels.ROOM:
                break
            scratch.grow()
        if status:
            return self._feed_plain(data)
        scratch.hold(bids, asks)
        return self._step(kept, first, final, None if previous < 0 else previous, time, None)

    def _feed_plain(self, data: bytes) -> Taken:
        kept: Kept | None = None
        try:
            diff = _read(data)
            kept = self.kept.get(diff.s)
            if kept is None or diff.e != "depthUpdate":
                return Taken.OTHER
            if not kept.live:
                kept.waiting.append(data)
                return Taken.WAITING
            levels = PlainLevels(scaled_levels(diff.b, *kept.places), scaled_levels(diff.a, *kept.places))
        except DataValidationError as error:
            return self._unreadable(kept or self._named(data), error)
        return self._step(kept, diff.U, diff.u, diff.pu, diff.E, levels)

    def _named(self, data: bytes) -> Kept | None:
        """Whose message it seems to be, though it cannot be read."""
        at = data.find(_SYMBOL) + _SYMBOL_LENGTH
        return self._by_bytes.get(data[at : data.find(b'"', at)])

    def _step(
        self, kept: Kept, first: int, final: int, previous: int | None, time: int, levels: PlainLevels | None
    ) -> Taken:
        step = binance_step(kept.last, first, final, previous, bridged=kept.bridged)
        if step is Step.STALE:
            return Taken.STALE
        if step is Step.GAP:
            return self._lose(kept, f"update {first} does not follow {kept.last}")
        kept.last = final
        kept.bridged = True
        return self._apply(kept, time * _MS, levels, snapshot=False)

    def snapshot(self, symbol: str, body: bytes, ts: int = 0) -> Taken:
        """Begin a book from a REST depth snapshot, and take in the diffs that waited for it.

        Args:
            symbol: Whose; a symbol that is not kept is ignored.
            body: The answer as it came.
            ts: UTC nanoseconds of the venue, for spot snapshots, which carry no time.

        Returns:
            BEGUN, or GAP when it was older than the diffs at hand (`lost` has asked for another), STALE when the book
            is live and needs none, UNREADABLE.
        """
        kept = self.kept.get(symbol)
        if kept is None:
            return Taken.OTHER
        if kept.live:
            return Taken.STALE
        try:
            last, time, levels = self._read_snapshot(kept, body)
        except DataValidationError as error:
            self._lose(kept, error.message.rstrip("."))
            return Taken.UNREADABLE
        if not self._reaches(kept, last):
            return self._lose(kept, "the snapshot is older than the updates at hand")
        kept.last, kept.bridged = last, False
        taken = self._apply(kept, time * _MS or ts, levels, snapshot=True)
        waiting = list(kept.waiting)
        kept.waiting.clear()
        for data in waiting:
            # After a gap among them the rest waits again.
            if self.feed(data) in (Taken.GAP, Taken.UNREADABLE):
                taken = Taken.GAP
        return taken

    def _read_snapshot(self, kept: Kept, body: bytes) -> tuple[int, int, PlainLevels | None]:
        way = self._compiled_for(kept)
        if way is not None:
            while True:
                found = way.kernels.binance_snapshot(body, *kept.places, self._scratch.rows)
                status, last, time, bids, asks = found
                if status != way.kernels.ROOM:
                    break
                self._scratch.grow()
            if not status:
                self._scratch.hold(bids, asks)
                return last, time, None
        try:
            read = _snapshot.decode(body)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            raise DataValidationError("The exchange sent a depth snapshot that cannot be understood.") from None
        return (
            read.lastUpdateId,
            read.E,
            PlainLevels(scaled_levels(read.bids, *kept.places), scaled_levels(read.asks, *kept.places)),
        )

    def _reaches(self, kept: Kept, last: int) -> bool:
        """Whether a snapshot meets the diffs that wait; the first that is not older decides."""
        for data in kept.waiting:
            try:
                diff = _read(data)
            except DataValidationError:
                continue
            step = binance_step(last, diff.U, diff.u, diff.pu, bridged=False)
            if step is not Step.STALE:
                return step is Step.FOLLOWS
        return True


def _read(data: bytes) -> _Diff:
    try:
        return _envelope.decode(data).data if data.startswith(b'{"stream"') else _diff.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise DataValidationError("The exchange sent a book update that cannot be understood.") from None
