"""What is unlocked, kept in memory that outlives the process: an anonymous file whose descriptor is passed on.

Whoever looks after an engine (its watchdog, systemd's descriptor store, the process that takes over) holds the
descriptor and gives it to the next engine, which so needs nobody to type a passphrase, and no session bus. Nothing is
ever written to a disk, and nothing is left when the last holder ends.
"""

from __future__ import annotations

import os
from contextlib import suppress

import msgspec

from engine.errors import SecurityError
from engine.keys.entry import KeyEntry

__all__ = ["Capsule", "Content"]

_MOST = 1024 * 1024


class Content(msgspec.Struct, frozen=True, kw_only=True):
    """What is in it. `repr` shows nothing of it."""

    place: str
    """Words for the store it came from; what came from elsewhere is not used."""
    data_key: bytes = b""
    """Opens the encrypted file."""
    entries: tuple[KeyEntry, ...] = ()
    """The keys themselves, where the store may not be reachable next time."""

    def __repr__(self) -> str:
        return "Content(…)"


class Capsule:
    """The anonymous file.

    Args:
        descriptor: An inherited one, owned from now on; None makes a new, empty one.

    Raises:
        SecurityError: There can be none on this system, or the descriptor is something else.
    """

    def __init__(self, descriptor: int | None = None) -> None:
        if descriptor is None:
            if not hasattr(os, "memfd_create"):
                raise SecurityError("This system has no anonymous files; keys have to be unlocked at every start.")
            descriptor = os.memfd_create("quarterdeck-keys", os.MFD_CLOEXEC)
        elif not _is_ours(descriptor):
            raise SecurityError(f"Descriptor {descriptor} holds no keys; start the engine without it.")
        os.set_inheritable(descriptor, False)
        self.descriptor = descriptor

    def write(self, content: Content) -> None:
        """Replace what is in it."""
        body = msgspec.msgpack.encode(content)
        # Emptied first: what is cut short is read as nothing, never as something else.
        os.ftruncate(self.descriptor, 0)
        os.pwrite(self.descriptor, body, 0)

    def read(self) -> Content | None:
        """What is in it; None when there is nothing that can be used."""
        with suppress(OSError, msgspec.MsgspecError):
            body = os.pread(self.descriptor, _MOST, 0)
            if body:
                return msgspec.msgpack.decode(body, type=Content)
        return None

    def clear(self) -> None:
        """Leave nothing in it."""
        os.ftruncate(self.descriptor, 0)

    def close(self) -> None:
        """Let go of it; what is in it stays with its other holders."""
        with suppress(OSError):
            os.close(self.descriptor)


def _is_ours(descriptor: int) -> bool:
    try:
        return os.readlink(f"/proc/self/fd/{descriptor}").startswith("/memfd:quarterdeck-keys")
    except OSError:
        return False
