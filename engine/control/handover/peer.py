"""The process at the other end of a hand-over, held by a handle that no other process can ever get."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import suppress

__all__ = ["PeerProcess"]

STEP_S = 0.01


class PeerProcess:
    """A process known by its number at a moment at which it certainly lived.

    Args:
        pid: Its number, as the kernel says; 0 when it does not.
    """

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._handle: int | None = None
        if pid and hasattr(os, "pidfd_open"):
            with suppress(ProcessLookupError):
                self._handle = os.pidfd_open(pid)

    def kill(self) -> None:
        """End it, whatever it does just now; harmless when it has ended."""
        if self.pid == os.getpid():
            # Two engines of one process are one to the kernel.
            return
        with suppress(ProcessLookupError):
            if self._handle is not None:
                signal.pidfd_send_signal(self._handle, signal.SIGKILL)
            elif self.pid and not hasattr(os, "pidfd_open"):
                os.kill(self.pid, signal.SIGKILL)

    async def gone(self, seconds: float) -> bool:
        """Wait so long for its end; False when it still lives."""
        if self.pid == os.getpid():
            return True
        if self._handle is None:
            return await self._vanished(seconds)
        loop = asyncio.get_running_loop()
        ended = asyncio.Event()
        loop.add_reader(self._handle, ended.set)
        try:
            async with asyncio.timeout(seconds):
                await ended.wait()
        except TimeoutError:
            return False
        finally:
            loop.remove_reader(self._handle)
        return True

    async def _vanished(self, seconds: float) -> bool:
        """The same where the system knows no handles of processes."""
        if not self.pid or hasattr(os, "pidfd_open"):
            return True
        for _ in range(int(seconds / STEP_S)):
            try:
                os.kill(self.pid, 0)
            except ProcessLookupError:
                return True
            await asyncio.sleep(STEP_S)
        return False

    def close(self) -> None:
        """Give the handle back; idempotent."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None
