"""What every place for keys can do, and which one a home folder uses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Protocol

from engine.errors import SecurityError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from engine.keys.entry import KeyEntry, KeyName

__all__ = ["KeyStore", "LockedError", "Place", "choose_store"]

Place = Literal["auto", "keyring", "file"]


class LockedError(SecurityError):
    """Keys are there and cannot be read until they are unlocked."""

    kind = "keys_locked"
    title = "The keys are locked"


class KeyStore(Protocol):
    """A place where keys are kept. Everything here may block."""

    @property
    def place(self) -> str:
        """Where it is, in words for a person."""

    def names(self) -> list[KeyName]:
        """Names of all keys; where it can be, without unlocking. Raises as `load`."""

    def load(self) -> Mapping[KeyName, KeyEntry]:
        """All keys.

        Raises:
            LockedError: They have to be unlocked first.
            SecurityError: They cannot be read.
        """

    def put(self, entry: KeyEntry) -> None:
        """Keep a key, in the place of one of the same name. Raises as `load`."""

    def remove(self, name: KeyName) -> bool:
        """Forget a key; False when there was none of that name. Raises as `load`."""


def choose_store(home: Path, wanted: Place = "auto") -> KeyStore:
    """The store of a home folder: its encrypted file when there is one, else the system's keyring, else a new file.

    Args:
        home: The home folder.
        wanted: `keyring` or `file` to insist on one.

    Raises:
        SecurityError: The keyring is insisted on and cannot be used here.
    """
    from engine.keys.sealed import SealedFile, sealed_path
    from engine.keys.system import SystemKeyring, keyring_problem

    if wanted == "file" or (wanted == "auto" and sealed_path(home).exists()):
        return SealedFile(sealed_path(home))
    problem = keyring_problem()
    if not problem:
        return SystemKeyring(home)
    if wanted == "keyring":
        raise SecurityError(f"The system's keyring cannot be used: {problem} Set keys.store to file, or start it.")
    return SealedFile(sealed_path(home))
