"""The thread that writes recordings: chunks into files, the manifest, and room for both.

The event loop hands over and looks at plain attributes; it never waits for this thread.
"""

from __future__ import annotations

import os
import shutil
import threading
from collections import deque
from queue import SimpleQueue
from typing import TYPE_CHECKING

from engine.errors import ConflictError, NotFoundError
from engine.logs import get_logger
from storage.recordings.manifest import write_manifest
from storage.recordings.retention import Piece, Shelved, surplus
from storage.recordings.shelf import Shelf, hold, part_name

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.clock import Clock
    from engine.model.ids import InstrumentId
    from engine.model.instrument import Instrument
    from storage.recordings.chunk import Chunk
    from storage.recordings.settings import RecorderSettings

__all__ = ["RecordingWriter"]

log = get_logger(__name__)

MOST_WAITING = 8_000_000
"""Numbers that may wait for the disk, about 64 MB."""
PATIENCE_S = 20.0
"""How long an end waits for what is still to be written."""
LOOK_BYTES = 16 << 20
"""The quota is looked after at least once for so many bytes written."""
LOOK_NS = 60_000_000_000


class RecordingWriter:
    """Writes one session.

    Args:
        shelf: Where the sessions are.
        session: Id of this one.
        settings: Quota, age, and the room to be left.
        clock: The engine's clock.
        free: Tells the bytes free on the disk of a folder.
    """

    def __init__(
        self,
        shelf: Shelf,
        session: str,
        settings: RecorderSettings,
        clock: Clock,
        free: Callable[[], int] | None = None,
    ) -> None:
        self.lost: deque[tuple[InstrumentId, int, int, int, str]] = deque()
        """Chunks that could not be written: market, events, from, to, why. The event loop takes them out."""
        self.stopped = ""
        """Why nothing is written at present; empty while all is well."""
        self.written_bytes = 0
        self.written_events = 0
        self.held_bytes = 0
        """Bytes of all sessions, this one included."""
        self._shelf = shelf
        self._session = session
        self._folder = shelf.folder / session
        self._settings = settings
        self._clock = clock
        self._free = free or (lambda: shutil.disk_usage(shelf.folder).free)
        self._queue: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._waiting = 0
        self._lock = threading.Lock()
        self._own = Shelved(session, clock.now(), [])
        self._others: list[Shelved] = []
        self._since_look = 0
        self._looked = 0
        self._held: int | None = None
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)

    # --- for the event loop ------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to write."""
        self._queue.put(self._open)
        self._thread.start()

    def offer(self, market: str, number: int, chunk: Chunk, instrument: Instrument) -> bool:
        """Hand a chunk over; False when too much waits already, and nothing was taken.

        Args:
            market: Name of the market's folder.
            number: Of the part, ascending.
            chunk: Not touched any more by whoever hands it over.
            instrument: The market.
        """
        weight = chunk.values
        with self._lock:
            if self._waiting + weight > MOST_WAITING:
                return False
            self._waiting += weight
        self._queue.put(lambda: self._write(market, number, chunk, instrument, weight))
        return True

    def tell(self, manifest: bytes) -> None:
        """Have the manifest written."""
        self._queue.put(lambda: self._tell(manifest))

    def look(self) -> None:
        """Have it looked whether there is room again."""
        self._queue.put(self._make_room)

    def close(self, last: Callable[[], bytes]) -> None:
        """Write what waits and the manifest `last` gives, and end; blocks, so call it in a thread."""
        self._queue.put(lambda: self._tell(last()))
        self._queue.put(None)
        self._thread.join(PATIENCE_S)

    # --- in the thread -----------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while (work := self._queue.get()) is not None:
            try:
                work()
            except OSError as error:
                self._stop(f"Recordings cannot be written: {error.strerror or error}.")
            except Exception as error:
                log.exception("a recording could not be written")
                self._stop(f"Recordings cannot be written ({type(error).__name__}: {error}).")
        if self._held is not None:
            os.close(self._held)

    def _stop(self, why: str) -> None:
        self.stopped = self.stopped or why

    def _open(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._held = hold(self._folder)
        self._shelf.clear(self._session)
        self._others = [each for each in self._shelf.all() if each.id != self._session]
        self._make_room()

    def _tell(self, manifest: bytes) -> None:
        write_manifest(self._folder, manifest)

    def _write(self, market: str, number: int, chunk: Chunk, instrument: Instrument, weight: int) -> None:
        from storage.recordings.parts import write_part

        written = False
        try:
            if self._clock.now() - self._looked >= LOOK_NS or self._since_look >= LOOK_BYTES:
                self._make_room()
            if self.stopped:
                return
            name = part_name(number, chunk.begun)
            size = write_part(self._folder / market / name, chunk, instrument)
            written = True
            self._own.pieces.append(Piece(f"{market}/{name}", chunk.begun, size))
            self.written_bytes += size
            self.written_events += chunk.events
            self._since_look += size
            self.held_bytes += size
            if self.held_bytes > self._settings.quota_bytes:
                self._make_room()
        finally:
            with self._lock:
                self._waiting -= weight
            if not written:
                why = "it could not be written"
                self.lost.append((instrument.id, chunk.events, chunk.begun, chunk.last, why))

    def _make_room(self) -> None:
        """Remove what is too old or too much, and see whether the disk has room left."""
        now = self._looked = self._clock.now()
        self._since_look = 0
        self._own.pieces.sort(key=lambda piece: (piece.start, piece.path))
        oldest = now - self._settings.max_age_ns
        gone, cut = surplus([*self._others, self._own], self._session, self._settings.quota_bytes, oldest)
        for session in gone:
            self._remove(session)
        for piece in cut:
            self._shelf.cut(self._session, piece)
            self._own.pieces.remove(piece)
        self.held_bytes = self._own.bytes + sum(each.bytes for each in self._others)
        free, wanted = self._free(), self._settings.keep_free_bytes
        if free < wanted:
            self._stop(f"The disk has only {free / (1 << 30):.2f} GiB free, less than the {wanted / (1 << 30):g} kept.")
        else:
            self.stopped = ""

    def _remove(self, session: Shelved) -> None:
        self._others.remove(session)
        try:
            self._shelf.remove(session.id)
        except NotFoundError:
            return
        except ConflictError:
            # The process before this one still writes its end.
            return
        log.info("an old recording was removed", session=session.id, bytes=session.bytes)
