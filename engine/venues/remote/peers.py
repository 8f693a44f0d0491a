"""Who is at the other end of a unix socket, by the kernel's word."""

from __future__ import annotations

import os
import socket
import struct

__all__ = ["is_ours", "peer_of"]

_credentials = struct.Struct("3i")


def peer_of(connection: socket.socket) -> tuple[int, int] | None:
    """Process and user number of the other end; None where the kernel does not tell."""
    option = getattr(socket, "SO_PEERCRED", None)
    if option is None:
        return None
    pid, uid, _ = _credentials.unpack(connection.getsockopt(socket.SOL_SOCKET, option, _credentials.size))
    return pid, uid


def is_ours(connection: socket.socket) -> bool:
    """Whether the other end belongs to the user of this process.

    Where the kernel does not tell, the folder's and the socket's modes have kept everybody else out.
    """
    peer = peer_of(connection)
    return peer is None or peer[1] == os.getuid()
