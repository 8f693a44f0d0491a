"""Writes to a terminal from the event loop without ever waiting for it.

Three states: *flowing*; *behind* (some bytes wait, so drawing should pause: what changes meanwhile is drawn once, when
the terminal has caught up); *stalled* (the buffer was full and something was dropped: the screen has to be repainted).
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

__all__ = ["BUFFER_LIMIT", "SILENCE_LIMIT", "Patience", "TerminalOutput"]

BUFFER_LIMIT = 256 * 1024
"""Bytes that may wait: some full repaints of a large window; more would only be stale when it arrives."""

SILENCE_LIMIT = 1800.0
"""Seconds. A closed laptop or a tunnel should not cost the console, and TCP itself reports a dead peer after about a
quarter of an hour; who has taken nothing for half an hour will not come back."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a terminal may take nothing before it counts as gone."""

    seconds: float = SILENCE_LIMIT
    """In the time of `clock`."""
    clock: Callable[[], float] | None = None
    """Monotonic seconds; None takes the event loop's."""
    check_every: float = 1.0
    """Seconds of the event loop between two looks."""


class TerminalOutput:
    """The outgoing half of a terminal.

    Args:
        fd: A non-blocking descriptor; it stays the caller's.
        loop: The event loop that writes.
        on_behind: Called when bytes begin to wait.
        on_flowing: Called when all has been taken again; says whether something was dropped meanwhile.
        on_gone: Called once, with a reason, when the terminal is closed or silent for too long.
        limit: Bytes that may wait. A single longer piece is taken only by an empty buffer.
        patience: When silence means that the terminal is gone.
    """

    def __init__(
        self,
        fd: int,
        loop: asyncio.AbstractEventLoop,
        *,
        on_behind: Callable[[], None],
        on_flowing: Callable[[bool], None],
        on_gone: Callable[[str], None],
        limit: int = BUFFER_LIMIT,
        patience: Patience | None = None,
    ) -> None:
        self.dropped = 0
        """Pieces that were dropped because the buffer was full."""
        self._fd = fd
        self._loop = loop
        self._on_behind = on_behind
        self._on_flowing = on_flowing
        self._on_gone = on_gone
        self._limit = limit
        self._patience = patience or Patience()
        self._clock = self._patience.clock or loop.time
        self._buffer = bytearray()
        self._waiting = False
        self._stalled = False
        self._closed = False
        self._soon: asyncio.Handle | None = None
        self._look: asyncio.TimerHandle | None = None
        self._last_taken = 0.0

    @property
    def pending(self) -> int:
        """Bytes that wait for the terminal."""
        return len(self._buffer)

    @property
    def behind(self) -> bool:
        """Whether the terminal has not taken everything yet."""
        return self._waiting

    @property
    def stalled(self) -> bool:
        """Whether something was dropped since the terminal last caught up."""
        return self._stalled

    def write(self, data: bytes) -> bool:
        """Queue a piece that must arrive whole or not at all; returns whether it was taken.

        What is written in one turn of the loop leaves in one system call on the next.
        """
        if self._closed or not data:
            return False
        if self._stalled or (self._buffer and len(self._buffer) + len(data) > self._limit):
            # While stalled even small pieces are dropped: an update of a screen that misses others is worth nothing.
            self._stalled = True
            self.dropped += 1
            return False
        self._buffer += data
        if self._soon is None and not self._waiting:
            self._soon = self._loop.call_soon(self._pump)
        return True

    def finish(self, data: bytes, flush: Callable[[], None]) -> bool:
        """Write last words now, at once or not at all, and close; never waits.

        Args:
            data: The last words. Output that still waits is dropped for them.
            flush: Throws away what the system holds for the other end; called when there is no room.

        Returns:
            Whether all of `data` was taken.
        """
        if self._closed:
            return False
        if not self._waiting:
            self._pump()
        self.close()
        left = self._write_now(data)
        if left:
            flush()
            left = self._write_now(left)
        return not left

    def close(self) -> None:
        """Drop what waits and stop; the descriptor stays open."""
        self._closed = True
        self._buffer.clear()
        for handle in (self._soon, self._look):
            if handle is not None:
                handle.cancel()
        if self._waiting:
            self._loop.remove_writer(self._fd)
            self._waiting = False

    def _pump(self) -> None:
        self._soon = None
        if self._closed:
            return
        try:
            while self._buffer:
                taken = os.write(self._fd, self._buffer)
                del self._buffer[:taken]
                self._last_taken = self._clock()
        except BlockingIOError:
            self._wait()
        except OSError as error:
            self._gone(f"it cannot be written ({error.strerror})")
        else:
            self._caught_up()

    def _wait(self) -> None:
        if self._waiting:
            return
        self._waiting = True
        self._last_taken = self._clock()
        self._loop.add_writer(self._fd, self._pump)
        self._look = self._loop.call_later(self._patience.check_every, self._look_at_silence)
        self._on_behind()

    def _caught_up(self) -> None:
        if not (self._waiting or self._stalled):
            return
        if self._waiting:
            self._loop.remove_writer(self._fd)
        if self._look is not None:
            self._look.cancel()
        lost, self._stalled, self._waiting = self._stalled, False, False
        self._on_flowing(lost)

    def _look_at_silence(self) -> None:
        silence = self._clock() - self._last_taken
        if silence >= self._patience.seconds:
            self._gone(f"it has taken nothing for {silence:.0f} seconds")
        else:
            self._look = self._loop.call_later(self._patience.check_every, self._look_at_silence)

    def _gone(self, reason: str) -> None:
        self.close()
        self._on_gone(reason)

    def _write_now(self, data: bytes) -> bytes:
        try:
            while data:
                data = data[os.write(self._fd, data) :]
        except OSError:
            pass
        return data
