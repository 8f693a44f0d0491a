"""The control socket: the second door, for consoles, commands and programs of the engine's own user.

The socket is in a folder that only its owner may enter, is the owner's alone, and a connection is refused unless the
kernel says that the same user made it. Only whoever holds the home's lock opens it, so that a socket left behind by a
crash is simply replaced.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
from collections import Counter
from contextlib import suppress
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from engine.control.peers import peer_of
from engine.control.places import control_socket, open_socket, prepare_run_folder
from engine.control.protocol import DEAD_S, HEARTBEAT_S, HELLO_S, MAX_BYTES, Close, Hello
from engine.control.session import Session
from engine.control.streams import Encoded
from engine.logs import get_logger

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from pathlib import Path

    from websockets.asyncio.server import Server
    from websockets.http11 import Request, Response

    from engine.clock import Clock
    from engine.control.backend import Backend
    from engine.control.views_records import ClientRow

__all__ = ["ControlServer"]

log = get_logger(__name__)

CLOSE_S = 2.0
"""Seconds that a client has to take note of the end of its connection."""
ACCEPT_TURNS = 4
"""Turns of the loop until a connection that the kernel has handed over is known to the server."""
KNOWN = ("console", "command line", "watchdog", "launcher")
"""Clients that are recorded by what they are; others carry their process number."""
_UNFIT = re.compile(r"[^a-z0-9 ._-]")

# Every connection would be worth a line of its own to the library; sessions say what there is to say.
_library = logging.getLogger("quarterdeck.websockets")
_library.setLevel(logging.ERROR)


class ControlServer:
    """Serves one engine on a unix socket.

    Args:
        home: Home folder; the caller holds its lock.
        backend: The engine.
        clock: Source of time.
        build: Which build of the program runs, as `build_id` says.
        path: Another socket than the engine's, such as that of a replay.
    """

    def __init__(self, home: Path, backend: Backend, clock: Clock, build: str = "", path: Path | None = None) -> None:
        self.backend = backend
        self.clock = clock
        self.encoded = Encoded()
        self.counters: Counter[str] = Counter()
        """`clients` that have come, `strangers` refused, `cut_off` for being slow, calls `refused` for their rate."""
        self.build = build
        self._home = home
        self._wanted = path
        self._path: Path | None = None
        self._inode = (0, 0)
        self._server: Server | None = None
        self._sessions: dict[ServerConnection, Session] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._unlisten: Any = None

    # --- life --------------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Open the socket.

        Raises:
            ConfigurationError: Its path is too long.
            EngineError: The folder or the socket cannot be made.
        """
        path = self._wanted or control_socket(self._home)
        prepare_run_folder(self._home)
        listening = open_socket(path)
        found = path.stat()
        self._path, self._inode = path, (found.st_dev, found.st_ino)
        self._server = await serve(
            self._serve,
            sock=listening,
            process_request=self._admit,
            compression=None,
            max_size=MAX_BYTES,
            open_timeout=HELLO_S,
            ping_interval=HEARTBEAT_S,
            ping_timeout=DEAD_S,
            close_timeout=CLOSE_S,
            server_header=None,
            logger=_library,
        )
        self._unlisten = self.backend.on_facts(self._news)

    def stop_listening(self) -> None:
        """Take no more connections and remove the socket; those that are open go on."""
        self._unlink()
        if self._server is not None:
            # Closing the listening socket would tear a connection that was accepted in this very turn.
            for listening in self._server.sockets:
                asyncio.get_running_loop().remove_reader(listening.fileno())

    async def close(self) -> None:
        """End every connection and remove the socket; a second call does nothing."""
        self.stop_listening()
        server, self._server = self._server, None
        if server is None:
            return
        self._unlisten()
        for connection in list(self._sessions):
            self.end(connection, Close.STOPPED, "the engine has stopped")
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=CLOSE_S * 1.1)
        for task in self._tasks:
            task.cancel()
        await _close(server)

    def _unlink(self) -> None:
        """Remove the socket, unless it is another's by now."""
        path, self._path = self._path, None
        if path is None:
            return
        with suppress(OSError):
            found = path.stat()
            if (found.st_dev, found.st_ino) == self._inode:
                path.unlink()

    def own(self, work: Coroutine[Any, Any, None], name: str) -> None:
        """Run something to its end, whether or not its client stays."""
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def end(self, connection: ServerConnection, code: int, reason: str) -> None:
        """End a connection beside everything else; one that takes nothing is broken off after a while."""
        self.own(_end(connection, code, reason), "end of a connection")

    # --- clients -----------------------------------------------------------------------------------------------------

    def clients(self) -> list[ClientRow]:
        """Everybody who is connected, the first first."""
        return [session.row() for session in self._sessions.values() if session.hello is not None]

    def name_client(self, hello: Hello) -> str:
        """The name under which a new client's doings are recorded: `console 2`, `command line`, `program x 4711`."""
        client = _UNFIT.sub("", hello.client.lower())[:32].strip()
        if client == "console":
            taken = {session.actor for session in self._sessions.values()}
            # The first console is the one in the engine's own process.
            return next(name for name in (f"console {n}" for n in range(2, len(taken) + 3)) if name not in taken)
        return client if client in KNOWN else f"program {client} {hello.pid}"

    def _admit(self, connection: ServerConnection, _request: Request) -> Response | None:
        """Refuse every process of another user, before anything else."""
        endpoint = connection.transport.get_extra_info("socket")
        try:
            peer = peer_of(endpoint)
        except OSError as error:
            self.counters["strangers"] += 1
            return connection.respond(HTTPStatus.FORBIDDEN, f"Who asks cannot be told ({error}).\n")
        if peer is not None and peer.uid != os.geteuid():
            self.counters["strangers"] += 1
            log.warning("a process of another user was refused", uid=peer.uid, process=peer.pid)
            return connection.respond(HTTPStatus.FORBIDDEN, "This engine belongs to another user.\n")
        return None

    async def _serve(self, connection: ServerConnection) -> None:
        self.counters["clients"] += 1
        session = self._sessions[connection] = Session(self, connection, self.counters["clients"])
        try:
            await session.run()
        finally:
            del self._sessions[connection]

    def _news(self) -> None:
        for session in tuple(self._sessions.values()):
            session.news()


async def _close(server: Server) -> None:
    """Break off whoever has not got through the handshake, and wait until nobody is served any more."""
    for _ in range(ACCEPT_TURNS):
        await asyncio.sleep(0)
    for connection in server.all_connections:
        connection.transport.abort()
    server.close()
    with suppress(TimeoutError):
        async with asyncio.timeout(CLOSE_S):
            await server.wait_closed()


async def _end(connection: ServerConnection, code: int, reason: str) -> None:
    with suppress(ConnectionClosed, TimeoutError):
        # The library would wait for a client that takes nothing before it begins to count.
        async with asyncio.timeout(CLOSE_S):
            await connection.close(code, reason)
    connection.transport.abort()
