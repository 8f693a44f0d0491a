"""A process that takes a running engine over: from the first word to the first order."""

from __future__ import annotations

import asyncio
import os
import socket
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING

from engine.control.handover.machine import Do, Identity, Patience, Send, Successor
from engine.control.handover.messages import Welcome
from engine.control.handover.peer import PeerProcess
from engine.control.handover.taking import Taker
from engine.control.handover.wire import Wire
from engine.control.lock import find_holder
from engine.control.peers import peer_of
from engine.control.places import handover_socket
from engine.crash_points import crash_point
from engine.errors import ConfigurationError, EngineNotRunningError, HandoverError, QuarterdeckError
from engine.logs import get_logger
from storage.journal import JOURNAL_FORMAT

if TYPE_CHECKING:
    from pathlib import Path

    from engine.control.handover.machine import Doing
    from engine.control.handover.messages import Message
    from engine.control.host import EngineHost

__all__ = ["take_over"]

log = get_logger(__name__)


async def take_over(host: EngineHost, patience: Patience | None = None) -> None:
    """Take the engine of a home folder over; afterwards `host` trades and holds the lock.

    Args:
        host: Not started.
        patience: How long the running engine may take.

    Raises:
        EngineNotRunningError: No engine runs there; start one as usual.
        HandoverError: There was no hand-over; the running engine goes on and nothing was touched.
        QuarterdeckError: This process has taken over and then failed; another start recovers.
    """
    wire, before = await _connect(host.lock_folder)
    taking = _Taking(host, wire, patience)
    try:
        await taking.run()
        host.see_off(before)
    except BaseException:
        before.close()
        raise
    finally:
        wire.close()


async def _connect(home: Path) -> tuple[Wire, PeerProcess]:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.setblocking(False)
    try:
        await asyncio.get_running_loop().sock_connect(connection, os.fspath(handover_socket(home)))
        peer = peer_of(connection)
    except OSError as error:
        connection.close()
        holder = await asyncio.to_thread(find_holder, home)
        if holder is None:
            raise EngineNotRunningError(f"No engine is running in {home} that could be taken over.") from error
        raise HandoverError(
            f"The engine in {home} (process {holder.pid}) does not hand over ({error.strerror}). Stop it and start it "
            "again; orders and bots are kept."
        ) from error
    if peer is not None and peer.uid != os.geteuid():
        connection.close()
        raise HandoverError("The running engine belongs to another user; nothing is taken over.")
    return Wire(connection), PeerProcess(peer.pid if peer is not None else 0)


class _Taking:
    def __init__(self, host: EngineHost, wire: Wire, patience: Patience | None) -> None:
        self._host = host
        self._wire = wire
        self._clock = host.clock
        me = Identity(release=host.release, pid=os.getpid(), journal_format=JOURNAL_FORMAT)
        self._machine = Successor(me, self._clock.monotonic(), patience)
        self._taker: Taker | None = None
        self._descriptor: int | None = None

    async def run(self) -> None:
        machine = self._machine
        doings: deque[Doing] = deque(machine.begin(self._clock.monotonic()))
        try:
            while True:
                while doings:
                    doings.extend(await self._do(doings.popleft()))
                if machine.over:
                    break
                doings.extend(await self._hear())
        finally:
            if self._descriptor is not None:
                os.close(self._descriptor)
            if self._taker is not None:
                await self._taker.give_up()
        if self._taker is None or not self._taker.taken:
            raise HandoverError(machine.reason or "The running engine was not taken over.")

    async def _hear(self) -> list[Doing]:
        machine = self._machine
        now = self._clock.monotonic()
        left = None if machine.deadline is None else max(0.0, (machine.deadline - now) / 1e9)
        try:
            async with asyncio.timeout(left):
                message, descriptor = await self._wire.read()
        except TimeoutError:
            return machine.tick(max(self._clock.monotonic(), machine.deadline or 0))
        except (EOFError, OSError, ConfigurationError) as error:
            return machine.lost(str(error))
        if descriptor is not None and isinstance(message, Welcome):
            self._host.vault.adopt(descriptor)
            descriptor = None
        if descriptor is not None:
            self._descriptor = descriptor
        return machine.receive(message, self._clock.monotonic(), descriptor=descriptor is not None)

    async def _do(self, doing: Doing) -> list[Doing]:
        machine = self._machine
        try:
            match doing:
                case Send(message):
                    return await self._say(message)
                case Do.TRADE:
                    crash_point("handover.told")
                    assert self._taker is not None
                    await self._taker.trade()
                case Do.CLOSE:
                    self._wire.close()
                case Do.GIVE_UP:
                    log.warning("nothing is taken over", problem=machine.reason)
                case _:
                    return await self._work(doing)
        except QuarterdeckError as error:
            if self._taker is not None and self._taker.taken:
                raise
            return machine.failed(error.message)
        return []

    async def _work(self, doing: Doing) -> list[Doing]:
        machine, taker = self._machine, self._taker
        if doing is Do.WARM_UP:
            assert machine.peer is not None
            # A host that shuts us out would do so for longer when it is asked meanwhile.
            self._host.coordinator.take(machine.peer.pauses)
            taker = self._taker = Taker(self._host, machine.peer.epoch, machine.peer.reached)
            await taker.warm_up()
            crash_point("handover.warm")
            return machine.warmed(taker.journal_id, taker.seq, self._clock.monotonic())
        assert taker is not None
        match doing:
            case Do.KEEP:
                assert machine.page is not None
                taker.keep(machine.page)
            case Do.SHOW:
                return machine.shown(await taker.show(machine.asked), self._clock.monotonic())
            case Do.CONFIRM:
                assert machine.final is not None
                return machine.confirmed(await taker.confirm(machine.final), self._clock.monotonic())
            case Do.TAKE:
                descriptor, self._descriptor = self._descriptor, None
                assert descriptor is not None
                return machine.taken(self._take(taker, descriptor))
            case _:
                raise RuntimeError(f"a successor does not {doing}")
        return []

    @staticmethod
    def _take(taker: Taker, descriptor: int) -> int:
        try:
            return taker.take(descriptor)
        except BaseException:
            if not taker.taken:
                os.close(descriptor)
            raise

    async def _say(self, message: Message) -> list[Doing]:
        if self._taker is not None and self._taker.taken:
            # Whether the one before us still hears it changes nothing.
            with suppress(OSError):
                await self._wire.send(message)
            return []
        try:
            async with asyncio.timeout(self._machine.patience.standing):
                await self._wire.send(message)
        except OSError as error:
            return self._machine.lost(str(error) or "it takes nothing")
        return []
