"""Sets a replay up: the tape of a home folder, an engine of the past, and the same operations and topics over it."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

from engine.clock import SystemClock
from engine.config import load_settings
from engine.control.backend import EngineBackend, Identity
from engine.control.context import Context
from engine.control.host import PAPER_ACCOUNT
from engine.control.library import Library
from engine.control.local import LocalLink
from engine.control.places import replay_socket
from engine.control.protocol import REPLAY_MODE
from engine.control.replay.past import PastClock, PastEngine, past_engine
from engine.control.replay.player import Player
from engine.control.replay.reader import PastReader
from engine.control.server import ControlServer
from engine.control.service import Service
from engine.control.topics import Topics
from engine.strategy.loader import StrategyRegistry
from storage.candles import CandleStore

if TYPE_CHECKING:
    from pathlib import Path

    from engine.config import Settings
    from engine.events import Record
    from engine.state import EngineState
    from storage.journal.past import Session

__all__ = ["ReplayHost", "build_replay", "present"]

TOLD = 500
"""Facts that a new watcher is told at once."""


class ReplayBackend(EngineBackend):
    """A replay as the socket serves it."""

    def identity(self) -> Identity:
        """Who it is: the engine of then, as a replay."""
        return super().identity()._replace(mode=REPLAY_MODE)


class ReplayHost:
    """One replay with its doors. It reads the journal and nothing else; an engine may run beside it.

    Args:
        home: The home folder.
        settings: Validated settings.
    """

    def __init__(self, home: Path, settings: Settings) -> None:
        self.home = home
        self.settings = settings
        self.clock = PastClock()
        journal = home / "journal.db"
        self.player = Player(journal, self._build, self._moved, SystemClock())
        self._registry = StrategyRegistry(home / "strategies")
        self.context = Context(
            home=home,
            settings=settings,
            clock=self.clock,
            strategies=self._registry,
            candles=CandleStore(home / "candles"),
            reader=PastReader(journal, lambda: self.player.past.engine.state.seq),
            replay=self.player,
            actor="replay",
        )
        self.service = Service(self.context)
        self.topics = Topics(self.context)
        self._tasks: list[asyncio.Task[None]] = []
        self._server: ControlServer | None = None

    async def start(self, *, at: int | None = None, seq: int | None = None, session: int | None = None) -> None:
        """Read the journal and go to a time (UTC nanoseconds), a fact, a session's beginning, or the end.

        Raises:
            NotFoundError: There is no journal, or nothing was booked by then.
            StateCorruptionError: The journal is damaged on the way there.
        """
        await asyncio.to_thread(self._registry.scan)
        await self.player.open(at=at, seq=seq)
        if session is not None:
            await self.player.seek_session(session)
        loop = asyncio.get_running_loop()
        self._tasks.append(loop.create_task(self.topics.run(), name="replay topics"))
        self._tasks.append(loop.create_task(self.player.run(), name="replay player"))

    async def serve(self) -> Path:
        """Open a socket for this replay.

        Returns:
            Its path.

        Raises:
            ConfigurationError: Its path is too long.
            EngineError: It cannot be opened.
        """
        path = replay_socket(self.home, os.getpid())
        self._server = ControlServer(self.home, ReplayBackend(self.service, self.topics), SystemClock(), path=path)
        await self._server.start()
        return path

    async def stop(self) -> None:
        """Close everything."""
        if self._server is not None:
            await self._server.close()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=2)
        await self.player.close()
        if self.context.reader is not None:
            await self.context.reader.close()

    def link(self, *, wire: bool = False) -> LocalLink:
        """The in-process door."""
        return LocalLink(self.service, self.topics, wire=wire)

    def _build(self, state: EngineState, session: Session | None, lately: list[Record]) -> PastEngine:
        return past_engine(
            state=state,
            journal_id=state.meta.instance,
            settings=self.settings,
            account=next(iter(state.accounts), PAPER_ACCOUNT),
            library=Library(self._registry, self.home),
            clock=self.clock,
            session=session,
            lately=lately,
        )

    def _moved(self, past: PastEngine, lately: list[Record]) -> None:
        self.context.engine = past.engine
        self.topics.begin_anew(lately[-TOLD:])


def build_replay(home: Path) -> ReplayHost:
    """Read the settings of a home folder and make a replay that is ready to be started.

    Raises:
        ConfigurationError: The settings cannot be used.
    """
    return ReplayHost(home, load_settings(home))


def present() -> int:
    """The time now, UTC nanoseconds, for moments that are said by how long ago they were."""
    return SystemClock().now()
