"""Keys in the operating system's keyring (Secret Service, KWallet, macOS Keychain, Windows Credential Locker)."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import msgspec

from engine.errors import SecurityError
from engine.keys.entry import KeyEntry, KeyName
from engine.keys.store import LockedError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from typing import Any

__all__ = ["SystemKeyring", "keyring_problem"]

INDEX = "index"
"""Entry that names all the others: a keyring cannot be asked what is in it."""
UNSAFE = ("keyring.backends.null", "keyring.backends.fail", "keyrings.alt", "keyrings.cryptfile")
"""Backends that keep nothing, keep it readable, or are not looked after any more."""


def keyring_problem() -> str:
    """Why the system's keyring cannot be used, as a sentence; empty when it can. Blocks for some tenths of a second."""
    import keyring

    backend = keyring.get_keyring()
    inner = getattr(backend, "backends", None) or [backend]
    for one in inner:
        module = type(one).__module__
        if module.startswith(UNSAFE):
            if module == "keyring.backends.fail":
                return "No keyring service answers on this host."
            return f"The keyring backend {module} does not keep secrets safely."
    return ""


class SystemKeyring:
    """The keyring of the person who runs the engine (`engine.keys.store.KeyStore`). Everything here may block.

    Args:
        home: The home folder: keys of different homes are kept apart.
    """

    def __init__(self, home: Path) -> None:
        part = hashlib.blake2b(str(home.resolve()).encode(), digest_size=4).hexdigest()
        self._service = f"quarterdeck-{part}"

    @property
    def place(self) -> str:
        """Where it is."""
        return "the system's keyring"

    def names(self) -> list[KeyName]:
        """Names of all keys. Raises LockedError, SecurityError."""
        said = self._ask("get_password", INDEX)
        try:
            return sorted(msgspec.json.decode(said or "[]", type=list[str]))
        except msgspec.MsgspecError:
            raise SecurityError("The list of keys in the system's keyring is damaged; add the keys anew.") from None

    def load(self) -> Mapping[KeyName, KeyEntry]:
        """All keys. Raises LockedError, SecurityError."""
        found: dict[KeyName, KeyEntry] = {}
        for name in self.names():
            said = self._ask("get_password", name)
            if said is None:
                continue
            try:
                found[name] = msgspec.json.decode(said, type=KeyEntry)
            except msgspec.MsgspecError:
                raise SecurityError(f"The key {name} in the system's keyring is damaged; add it anew.") from None
        return found

    def put(self, entry: KeyEntry) -> None:
        """Keep a key. Raises LockedError, SecurityError."""
        names = self.names()
        self._ask("set_password", entry.name, msgspec.json.encode(entry).decode())
        if entry.name not in names:
            self._ask("set_password", INDEX, msgspec.json.encode(sorted([*names, entry.name])).decode())

    def remove(self, name: KeyName) -> bool:
        """Forget a key. Raises LockedError, SecurityError."""
        names = self.names()
        if name not in names:
            return False
        self._ask("set_password", INDEX, msgspec.json.encode([n for n in names if n != name]).decode())
        self._ask("delete_password", name)
        return True

    def _ask(self, method: str, *arguments: str) -> Any:
        import keyring
        from keyring.errors import KeyringLocked, PasswordDeleteError

        try:
            return getattr(keyring, method)(self._service, *arguments)
        except PasswordDeleteError:
            return None
        except KeyringLocked:
            raise LockedError("The system's keyring is locked; unlock it in your desktop session.") from None
        except Exception as error:  # backends raise whatever their service does
            # The words of a backend may quote what it was given.
            raise SecurityError(
                f"The system's keyring does not answer ({type(error).__name__}); start its service, or keep keys in "
                "the encrypted file (keys.store = file)."
            ) from None
