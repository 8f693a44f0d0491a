"""How a console opens a replay: a process of its own that reads the journal, and a link to it."""

from __future__ import annotations

import asyncio
import sys
from contextlib import suppress
from pathlib import Path

from engine.control.client import SocketLink
from engine.errors import EngineError

__all__ = ["OpenReplay", "open_replay"]

START_S = 120.0
"""A long journal without a snapshot is read from its first fact."""
END_S = 3.0


class OpenReplay:
    """A replay that runs, and the way to it. Implements `console.replaying.ReplayDoor`."""

    def __init__(self, process: asyncio.subprocess.Process, link: SocketLink) -> None:
        self.link = link
        self._process = process

    async def close(self) -> None:
        """End it; a second call does nothing."""
        await self.link.close()
        await _end(self._process)


async def open_replay(home: Path) -> OpenReplay:
    """Start a replay of a home folder; it stands at the last fact.

    Raises:
        EngineError: It does not start; the message says why.
        QuarterdeckError: It cannot be reached.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-P", "-m", "engine.control.replay.process", "--home", str(home)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        socket = await _ready(process)
        link = SocketLink(home, client="console", read_only=True, socket=socket)
        await link.open()
    except BaseException:
        await _end(process)
        raise
    return OpenReplay(process, link)


async def _ready(process: asyncio.subprocess.Process) -> Path:
    assert process.stdout is not None
    try:
        async with asyncio.timeout(START_S):
            line = (await process.stdout.readline()).decode("utf-8", "replace").strip()
    except TimeoutError:
        line = f"error The journal was not read within {START_S:g} s."
    word, _, rest = line.partition(" ")
    if word != "ready":
        raise EngineError(rest or "The replay ended before it was ready; logs/replay.log has the details.")
    return Path(rest)


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.stdin is not None:
        process.stdin.close()
    with suppress(TimeoutError):
        async with asyncio.timeout(END_S):
            await process.wait()
            return
    with suppress(ProcessLookupError):
        process.kill()
    await process.wait()
