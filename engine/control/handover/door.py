"""The running engine's door for a successor: one at a time, of the same user, over a socket of its own."""

from __future__ import annotations

import asyncio
import os
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec

from engine.control.handover.machine import Do, Patience, Predecessor, Send
from engine.control.handover.messages import Grant, Refused, Welcome
from engine.control.handover.peer import PeerProcess
from engine.control.handover.wire import Wire
from engine.control.peers import peer_of
from engine.control.places import handover_socket, open_socket, prepare_run_folder
from engine.crash_points import crash_point
from engine.errors import ConfigurationError, QuarterdeckError
from engine.logs import get_logger

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable
    from pathlib import Path

    from engine.clock import Clock
    from engine.control.handover.giving import Giver
    from engine.control.handover.machine import Doing
    from engine.control.handover.messages import Message

__all__ = ["HandoverDoor", "HandoverStanding"]

log = get_logger(__name__)

DEAD_S = 5.0
"""Pause between two looks whether a process that was killed is gone."""


class HandoverStanding(msgspec.Struct, frozen=True, kw_only=True):
    """How the last hand-over stands."""

    state: str = "none"
    """`none`, `under way`, `failed` or `done`."""
    pid: int = 0
    release: str = ""
    words: str = ""


class HandoverDoor:
    """Waits for successors and hands over to the first that can prove itself.

    Args:
        home: Home folder; its lock is held here.
        make_giver: Begins a hand-over.
        clock: Gives the deadlines.
        patience: How long a successor may take.
    """

    def __init__(
        self, home: Path, make_giver: Callable[[], Giver], clock: Clock, patience: Patience | None = None
    ) -> None:
        self.standing = HandoverStanding()
        self._home = home
        self._make_giver = make_giver
        self._clock = clock
        self._patience = patience
        self._path: Path | None = None
        self._inode = (0, 0)
        self._listening: socket.socket | None = None
        self._accepting: asyncio.Task[None] | None = None
        self._serving: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Open the socket.

        Raises:
            ConfigurationError: Its path is too long.
            EngineError: The folder or the socket cannot be made.
        """
        path = handover_socket(self._home)
        prepare_run_folder(self._home)
        self._listening = open_socket(path)
        found = path.stat()
        self._path, self._inode = path, (found.st_dev, found.st_ino)
        self._accepting = asyncio.get_running_loop().create_task(self._accept(self._listening), name="hand-over door")

    def expect(self, pid: int) -> None:
        """A successor has been started and will come."""
        self.standing = HandoverStanding(state="under way", pid=pid, words="It is being started.")

    def missed(self, pid: int, words: str) -> None:
        """A successor that was expected has ended."""
        if self.standing.pid == pid and self.standing.state == "under way":
            self._fail(words)

    async def close(self) -> None:
        """Take no more successors; one that is being served is left alone. Idempotent."""
        tasks = [task for task in (self._accepting, self._serving) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._listening is not None:
            self._listening.close()
        path, self._path = self._path, None
        if path is not None:
            with suppress(OSError):
                found = path.stat()
                # The successor's own socket may stand in its place by now.
                if (found.st_dev, found.st_ino) == self._inode:
                    path.unlink()

    async def _accept(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, _ = await loop.sock_accept(listening)
            except OSError as error:
                log.warning("a successor could not connect", problem=str(error))
                await self._clock.sleep(1.0)
                continue
            wire = Wire(connection)
            refusal = self._refusal(connection)
            if refusal:
                log.warning("a hand-over was refused", problem=refusal)
                with suppress(OSError):
                    await wire.send(Refused(reason=refusal))
                wire.close()
                continue
            peer = peer_of(connection)
            self._serving = loop.create_task(self._serve(wire, peer.pid if peer is not None else 0), name="hand-over")

    def _refusal(self, connection: socket.socket) -> str:
        try:
            peer = peer_of(connection)
        except OSError as error:
            return f"Who asks cannot be told ({error})."
        if peer is not None and peer.uid != os.geteuid():
            return "This engine belongs to another user."
        if self._serving is not None and not self._serving.done():
            return f"Process {self.standing.pid} is taking over already."
        return ""

    # --- one hand-over -----------------------------------------------------------------------------------------------

    async def _serve(self, wire: Wire, pid: int) -> None:
        peer, giver = PeerProcess(pid), self._make_giver()
        machine = Predecessor(giver.identity(), self._clock.monotonic(), self._patience)
        self.standing = HandoverStanding(state="under way", pid=pid, words="A process wants to take over.")
        try:
            doings: deque[Doing] = deque()
            while True:
                while doings:
                    doings.extend(await self._do(doings.popleft(), machine, giver, wire, peer))
                if machine.over:
                    return
                doings.extend(await self._hear(machine, wire))
        except Exception as error:
            # The root of a hand-over's task: whatever it was, an engine that stands still must go on.
            log.exception("the hand-over failed")
            await self._rescue(machine, giver, wire, peer, f"The hand-over failed ({type(error).__name__}: {error}).")
        finally:
            giver.close()
            wire.close()
            peer.close()

    async def _hear(self, machine: Predecessor, wire: Wire) -> list[Doing]:
        now = self._clock.monotonic()
        left = None if machine.deadline is None else max(0.0, (machine.deadline - now) / 1e9)
        try:
            async with asyncio.timeout(left):
                message, descriptor = await wire.read()
        except TimeoutError:
            return machine.tick(max(self._clock.monotonic(), machine.deadline or 0))
        except (EOFError, OSError, ConfigurationError) as error:
            return machine.lost(str(error))
        if descriptor is not None:
            os.close(descriptor)
        return machine.receive(message, self._clock.monotonic())

    async def _do(self, doing: Doing, machine: Predecessor, giver: Giver, wire: Wire, peer: PeerProcess) -> list[Doing]:
        try:
            match doing:
                case Send(message):
                    return await self._say(message, machine, wire, giver)
                case Do.PROVE:
                    crash_point("handover.greeted")
                    # One that takes nothing more must not be waited for.
                    async with asyncio.timeout(machine.patience.proving):
                        seq, digest = await giver.tell_early(wire.send)
                    return machine.proven_at(seq, digest, self._clock.monotonic())
                case Do.FREEZE:
                    crash_point("handover.proven")
                    return await self._freeze(machine, giver)
                case Do.GRANT:
                    return await self._grant(machine, giver, wire)
                case Do.SETTLE:
                    return await self._settle(machine, giver, peer)
                case Do.THAW:
                    await giver.thaw(machine.reason)
                case Do.LEAVE:
                    self.standing = msgspec.structs.replace(
                        self.standing, state="done", words=f"Process {peer.pid} has taken over."
                    )
                    giver.leave(peer.pid)
                case Do.CLOSE:
                    self._fail(machine.reason)
                    wire.close()
                case _:
                    raise RuntimeError(f"a predecessor does not {doing.value}")
        except OSError as error:
            return machine.lost(str(error))
        return []

    async def _say(self, message: Message, machine: Predecessor, wire: Wire, giver: Giver) -> list[Doing]:
        if machine.peer is not None:
            release = machine.peer.release
            self.standing = msgspec.structs.replace(self.standing, release=release, words=f"It has to {machine.step}.")
        try:
            async with asyncio.timeout(machine.patience.confirming):
                # What is unlocked goes along, so that nobody has to unlock it again for the successor.
                await wire.send(message, giver.keys if isinstance(message, Welcome) else None)
        except TimeoutError:
            return machine.lost("it takes nothing")
        return []

    async def _freeze(self, machine: Predecessor, giver: Giver) -> list[Doing]:
        assert machine.peer is not None
        try:
            final = await giver.stand_still(machine.peer)
        except QuarterdeckError as error:
            return machine.failed(error.message)
        return machine.stood_still(final, self._clock.monotonic())

    async def _grant(self, machine: Predecessor, giver: Giver, wire: Wire) -> list[Doing]:
        crash_point("handover.granting")
        await wire.send(Grant(epoch=machine.me.epoch), giver.lock.fileno())
        crash_point("handover.granted")
        return []

    async def _settle(self, machine: Predecessor, giver: Giver, peer: PeerProcess) -> list[Doing]:
        """Nobody may guess who holds the right to write: the journal says it, and only of the dead it is final."""
        if not await asyncio.to_thread(giver.moved):
            peer.kill()
            while not await peer.gone(DEAD_S):
                log.critical("a process that was to take over cannot be ended; the engine waits", process=peer.pid)
        return machine.settled(moved=await asyncio.to_thread(giver.moved))

    async def _rescue(self, machine: Predecessor, giver: Giver, wire: Wire, peer: PeerProcess, reason: str) -> None:
        doings: deque[Doing] = deque(machine.failed(reason))
        while doings:
            doing = doings.popleft()
            if doing is Do.SETTLE:
                doings.extend(await self._settle(machine, giver, peer))
            elif doing is Do.THAW:
                await giver.thaw(reason)
            elif doing is Do.LEAVE:
                giver.leave(peer.pid)
            elif isinstance(doing, Send):
                await self._say(doing.message, machine, wire, giver)
        self._fail(reason)

    def _fail(self, reason: str) -> None:
        log.warning("the engine was not handed over", problem=reason)
        self.standing = msgspec.structs.replace(self.standing, state="failed", words=reason)
