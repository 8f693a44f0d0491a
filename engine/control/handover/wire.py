"""The socket between predecessor and successor: whole messages, and now and then a descriptor beside one."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from typing import TYPE_CHECKING

from engine.control.handover.messages import MOST_BYTES, decode, encode
from engine.errors import ConfigurationError

if TYPE_CHECKING:
    from engine.control.handover.messages import Message

__all__ = ["Wire"]

_length = struct.Struct(">I")
_BLOCK = 1 << 18
_CLOSED = getattr(socket, "MSG_CMSG_CLOEXEC", 0)


class Wire:
    """One end of a connection. Reading and sending are each for one task at a time; both may be cancelled.

    Args:
        connection: A connected stream socket; closed by `close`.
    """

    def __init__(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        self._socket = connection
        self._read = bytearray()
        self._descriptors: list[int] = []

    async def read(self) -> tuple[Message, int | None]:
        """The next message, and the descriptor that came with it (the caller's from then on).

        Raises:
            EOFError: The other side has closed.
            OSError: The connection is broken.
            ConfigurationError: What came is no message.
        """
        while True:
            body = self._take()
            if body is not None:
                message = decode(body)
                return message, self._descriptors.pop(0) if self._descriptors else None
            await self._ready(writing=False)
            try:
                data, descriptors, _, _ = socket.recv_fds(self._socket, _BLOCK, 4, _CLOSED)
            except BlockingIOError:
                continue
            self._descriptors += descriptors
            if not data:
                raise EOFError("it has closed the connection")
            self._read += data

    async def send(self, message: Message, descriptor: int | None = None) -> None:
        """Send a message whole, with a descriptor beside it. Raises OSError.

        A cancelled sending leaves the connection of no use.
        """
        body = encode(message)
        rest = memoryview(_length.pack(len(body)) + body)
        while rest:
            try:
                if descriptor is None:
                    sent = self._socket.send(rest)
                else:
                    sent = socket.send_fds(self._socket, [rest], [descriptor])
                    descriptor = None
            except BlockingIOError:
                await self._ready(writing=True)
                continue
            rest = rest[sent:]

    def close(self) -> None:
        """Close the connection and every descriptor that nobody took; idempotent."""
        self._socket.close()
        for descriptor in self._descriptors:
            os.close(descriptor)
        self._descriptors.clear()

    def _take(self) -> bytes | None:
        if len(self._read) < _length.size:
            return None
        (size,) = _length.unpack_from(self._read)
        if size > MOST_BYTES:
            raise ConfigurationError(f"The other engine announced a message of {size} bytes; it is not listened to.")
        end = _length.size + size
        if len(self._read) < end:
            return None
        body = bytes(self._read[_length.size : end])
        del self._read[:end]
        return body

    async def _ready(self, *, writing: bool) -> None:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        number = self._socket.fileno()
        if number < 0:
            raise OSError("the connection is closed")
        add, remove = (loop.add_writer, loop.remove_writer) if writing else (loop.add_reader, loop.remove_reader)
        add(number, lambda: None if future.done() else future.set_result(None))
        try:
            await future
        finally:
            remove(number)
