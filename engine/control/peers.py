"""Who is at the other end of a unix socket, as the kernel says."""

from __future__ import annotations

import socket
import struct
import sys
from typing import NamedTuple

__all__ = ["Peer", "peer_of"]

_LOCAL_PEERCRED = 1
"""Of sys/un.h on macOS, where the level of the option is 0."""


class Peer(NamedTuple):
    """A process at the other end."""

    uid: int
    pid: int
    """0 where the system does not say it."""


def peer_of(connection: socket.socket) -> Peer | None:
    """The process that connected; None where the system cannot tell, and the folder's mode alone protects.

    Raises:
        OSError: The connection has ended.
    """
    option = getattr(socket, "SO_PEERCRED", None)
    if option is not None:
        pid, uid, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, option, struct.calcsize("3i")))
        return Peer(uid, pid)
    if sys.platform == "darwin":
        # struct xucred: version, uid, and the groups
        _, uid = struct.unpack_from("II", connection.getsockopt(0, _LOCAL_PEERCRED, 76))
        return Peer(uid, 0)
    return None
