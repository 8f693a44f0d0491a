"""The server of a venue: any venue behind the contract, for several clients at once over a unix socket.

The venue lives as long as the server does; clients come and go. Private events are numbered, kept for a while and told
to every client, so that a client that was cut off goes on where it stopped.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import structlog

from engine.errors import ConfigurationError
from engine.model.market import BookUpdate, FeedStatus, OrderBook
from engine.model.venue import VenueStatus
from engine.venues.remote.frames import PROTOCOL, Kind, Welcome, encode, encode_market, frame
from engine.venues.remote.session import Session

if TYPE_CHECKING:
    from collections.abc import Coroutine, Sequence
    from pathlib import Path

    from engine.clock import Clock
    from engine.events import VenueEvent
    from engine.model.ids import AccountId, InstrumentId
    from engine.model.market import MarketEvent
    from engine.model.venue import Venue
    from engine.venues.remote.frames import Hello

__all__ = ["BEAT_S", "Mirror", "VenueServer"]

log = structlog.get_logger(__name__)

EVENTS_KEPT = 20_000
"""Private events kept for clients that were cut off."""
BEAT_S = 1.0
"""How often clients hear that the server lives."""
LONGEST_PATH = 100
"""Bytes of a socket's path; the systems allow little more."""


class Mirror:
    """What the market is like now, so that whoever begins to watch, or was left behind, gets a whole book at once.

    Args:
        clock: Stamps what is said about gaps.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._books: dict[InstrumentId, OrderBook] = {}
        self._feeds: dict[InstrumentId, FeedStatus] = {}

    def take(self, event: MarketEvent) -> None:
        """Follow the market."""
        if isinstance(event, FeedStatus):
            self._feeds[event.instrument] = event
        elif isinstance(event, BookUpdate):
            book = self._books.get(event.instrument)
            if book is None:
                book = self._books[event.instrument] = OrderBook(event.instrument)
            # After a gap the client's own check asks for the book anew; a snapshot mends this one, too.
            book.apply(event)
            if event.snapshot:
                self._feeds.pop(event.instrument, None)

    def forget(self, instrument: InstrumentId) -> None:
        """Nobody watches it any more."""
        self._books.pop(instrument, None)
        self._feeds.pop(instrument, None)

    def present(self, instrument: InstrumentId, reason: str = "") -> list[bytes]:
        """Frames that bring a client up to now; `reason` says first why something may be missing."""
        events: list[MarketEvent] = []
        if reason:
            events.append(FeedStatus(instrument, self._clock.now(), live=False, reason=reason))
        book = self._books.get(instrument)
        if book is not None and book.seq >= 0:
            events.append(book.to_snapshot())
        feed = self._feeds.get(instrument)
        if feed is not None:
            events.append(feed)
        return [encode_market(event) for event in events]


class VenueServer:
    """Serves one venue, from `start` to `close`.

    Args:
        venue: Any venue, not yet started; nobody else starts or closes it.
        path: Where the socket shall be. Whoever calls holds the lock of the venue, so what lies there is stale.
        clock: Of this process.
        release: Version of the program.
    """

    def __init__(self, venue: Venue, path: Path, clock: Clock, *, release: str) -> None:
        self.venue = venue
        self.path = path
        self.release = release
        self.mirror = Mirror(clock)
        self.sessions: set[Session] = set()
        self.run = secrets.token_hex(6)
        self._clock = clock
        self._number = 0
        self._events: deque[tuple[int, bytes]] = deque(maxlen=EVENTS_KEPT)
        self._watched: set[InstrumentId] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self._failed = asyncio.Event()

    # --- life --------------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Start the venue and open the door.

        Raises:
            QuarterdeckError: The venue cannot be started.
            ConfigurationError: The socket's path is too long for the system.
            OSError: The socket cannot be made.
        """
        _check(self.path)
        await self.venue.start(self._on_event, self._on_market)
        try:
            door = await asyncio.to_thread(_listen, self.path)
        except BaseException:
            await self.venue.close()
            raise
        self._server = await asyncio.get_running_loop().create_unix_server(lambda: Session(self), sock=door)
        self.own(self._beat(), "venue server: beat")

    async def wait_failed(self) -> None:
        """Return when the venue has stopped by itself."""
        await self._failed.wait()

    async def close(self) -> None:
        """Shut the door, cut the clients off and close the venue; working orders stay."""
        if self._server is not None:
            self._server.close()
        with suppress(FileNotFoundError):
            await asyncio.to_thread(self.path.unlink)
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for session in tuple(self.sessions):
            session.cut()
        await self.venue.close()

    def own(self, work: Coroutine[Any, Any, None], name: str) -> None:
        """Run something until it ends or the server closes."""
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _beat(self) -> None:
        while True:
            await self._clock.sleep(BEAT_S)
            if self.venue.status is not VenueStatus.ONLINE:
                # What is not stored may not be said: clients are cut off, and whoever runs the server starts anew.
                self._failed.set()
                return
            for session in tuple(self.sessions):
                session.beat()

    # --- what the venue says -----------------------------------------------------------------------------------------

    def _on_event(self, account: AccountId, event: VenueEvent) -> None:
        self._number += 1
        data = frame(Kind.EVENT, encode((self._number, account, event)))
        self._events.append((self._number, data))
        for session in self.sessions:
            if session.greeted:
                session.send(data)

    def _on_market(self, event: MarketEvent) -> None:
        self.mirror.take(event)
        data = encode_market(event)
        for session in self.sessions:
            session.show(event.instrument, data)

    # --- what clients ask --------------------------------------------------------------------------------------------

    def objection(self, hello: Hello) -> str:
        """Why a client cannot be served; empty when it can."""
        if hello.protocol == PROTOCOL:
            return ""
        older = "engine" if hello.protocol < PROTOCOL else "venue's process"
        return (
            f"The engine is release {hello.release}, the venue's process {self.release}, and they do not understand "
            f"each other: the {older} is the older one. Run `quarterdeck venue sim stop`, then start the engine again."
        )

    def welcome(self, hello: Hello) -> tuple[Welcome, list[bytes]]:
        """The answer to a client, and the private events that it has missed."""
        heard, complete = self._number, not hello.run
        missed: list[bytes] = []
        if hello.run == self.run:
            oldest = self._events[0][0] if self._events else self._number + 1
            heard, complete = hello.heard, hello.heard + 1 >= oldest
            missed = [data for number, data in self._events if number > heard]
        welcome = Welcome(
            protocol=PROTOCOL,
            release=self.release,
            pid=os.getpid(),
            venue=self.venue.id,
            capabilities=self.venue.capabilities,
            status=self.venue.status,
            run=self.run,
            heard=heard,
            complete=complete,
        )
        return welcome, missed

    async def watch(self, session: Session, instruments: Sequence[InstrumentId]) -> None:
        """Let a client hear these, beginning with a whole book each. Raises as the venue does."""
        fresh = [instrument for instrument in instruments if instrument not in session.watched]
        # Subscribed first: a venue may deliver its snapshot from inside the call.
        session.watched.update(fresh)
        for instrument in fresh:
            if instrument in self._watched:
                session.show_present(instrument)
        try:
            await self.venue.watch(instruments)
        except BaseException:
            session.watched.difference_update(fresh)
            raise
        self._watched.update(instruments)

    async def unwatch(self, session: Session, instruments: Sequence[InstrumentId]) -> None:
        """Let a client hear these no more."""
        session.watched.difference_update(instruments)
        await self._stop_watching(instruments)

    def left(self, session: Session) -> None:
        """Forget a client."""
        self.sessions.discard(session)
        watched, session.watched = session.watched, set()
        if watched and not self._failed.is_set():
            self.own(self._stop_watching(list(watched)), "venue server: unwatch")

    async def _stop_watching(self, instruments: Sequence[InstrumentId]) -> None:
        idle = [i for i in instruments if not any(i in session.watched for session in self.sessions)]
        self._watched.difference_update(idle)
        await self.venue.unwatch(idle)
        for instrument in idle:
            self.mirror.forget(instrument)


def _check(path: Path) -> None:
    length = len(os.fsencode(path))
    if length > LONGEST_PATH:
        raise ConfigurationError(
            f"The path of the venue's socket is {length} bytes long, and the system takes {LONGEST_PATH}: {path}. "
            "Choose a shorter home folder with `--home`."
        )


def _listen(path: Path) -> socket.socket:
    """A socket for its owner's eyes only."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.parent.chmod(0o700)
    path.unlink(missing_ok=True)
    door = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        # The folder keeps others out from the first moment on; the mode says so once more.
        door.bind(str(path))
        path.chmod(0o600)
        door.listen(16)
        door.setblocking(False)
    except BaseException:
        door.close()
        raise
    return door
