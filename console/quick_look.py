"""One question to an engine in a few milliseconds: the few frames of the control socket that it needs, no library.

For what runs again and again, such as a tmux status bar, where loading a WebSocket library costs more than asking.
Everything else uses `engine.control.client`.
"""

from __future__ import annotations

import base64
import json
import os
import socket
from typing import TYPE_CHECKING, Any

from engine.control.places import control_socket

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["engine_figures"]

PROTOCOL = 1
TEXT = 0x81
SHORT, MIDDLE = 126, 127
BLOCK = 1 << 16
MASKED = 0x80


def engine_figures(home: Path, patience: float) -> dict[str, Any] | None:
    """What `engine.status` says, as it comes over the wire; None when the engine does not say it in time.

    Args:
        home: Home folder of the engine.
        patience: Seconds to wait for each answer.

    Raises:
        OSError: Nobody answers at the socket.
        ConfigurationError: The home folder's path is too long for a socket.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
        line.settimeout(patience)
        line.connect(str(control_socket(home)))
        key = base64.b64encode(os.urandom(16)).decode()
        line.sendall(
            f"GET / HTTP/1.1\r\nHost: engine\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        reader = _Reader(line)
        if b" 101 " not in reader.until(b"\r\n\r\n").split(b"\r\n")[0]:
            return None
        hello = {"proto": PROTOCOL, "client": "command line", "release": "", "pid": os.getpid(), "read_only": True}
        if "error" in _ask(line, reader, 0, "hello", hello):
            return None
        reply = _ask(line, reader, 1, "engine.status", {})
        if "error" in reply:
            return None
        found: dict[str, Any] = reply["result"]
        # Across a difference of protocols the figures stand one level deeper.
        deeper: dict[str, Any] = found.get("values", found)
        return deeper


def _ask(line: socket.socket, reader: _Reader, number: int, method: str, params: dict[str, Any]) -> dict[str, Any]:
    _send(line, {"jsonrpc": "2.0", "id": number, "method": method, "params": params})
    return reader.reply(number)


def _send(line: socket.socket, body: dict[str, Any]) -> None:
    """Send one masked text frame, as clients must."""
    data = json.dumps(body).encode()
    head = bytes([TEXT])
    if len(data) < SHORT:
        head += bytes([MASKED | len(data)])
    else:
        head += bytes([MASKED | SHORT]) + len(data).to_bytes(2)
    # A mask of zeros leaves the text as it is; nobody reads along on a unix socket.
    line.sendall(head + bytes(4) + data)


class _Reader:
    def __init__(self, line: socket.socket) -> None:
        self._line = line
        self._data = b""

    def until(self, end: bytes) -> bytes:
        while end not in self._data:
            self._more()
        head, _, self._data = self._data.partition(end)
        return head

    def take(self, count: int) -> bytes:
        while len(self._data) < count:
            self._more()
        taken, self._data = self._data[:count], self._data[count:]
        return taken

    def reply(self, number: int) -> dict[str, Any]:
        """The reply to a call; whatever else is said before it is passed over."""
        while True:
            kind, size = self.take(2)
            if size == SHORT:
                size = int.from_bytes(self.take(2))
            elif size == MIDDLE:
                size = int.from_bytes(self.take(8))
            data = self.take(size)
            if kind == TEXT:
                said: dict[str, Any] = json.loads(data)
                if said.get("id") == number:
                    return said

    def _more(self) -> None:
        data = self._line.recv(BLOCK)
        if not data:
            raise ConnectionResetError("the engine ended the connection")
        self._data += data
