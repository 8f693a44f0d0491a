"""Keys in an encrypted file, for hosts without a keyring.

A random data key encrypts every entry (AES-256-GCM, its name and the file's id as associated data); the data key itself
is encrypted with a key that Argon2id (RFC 9106: 64 MiB, 3 passes, 4 lanes) makes of the passphrase. So the passphrase
can be changed without touching the entries, and whoever holds the data key needs no passphrase.
"""

from __future__ import annotations

import os
import secrets
from typing import TYPE_CHECKING

import msgspec

from engine.errors import AuthenticationError, SecurityError, ValidationError
from engine.keys.entry import KeyEntry, KeyName
from engine.keys.store import LockedError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["SHORTEST_PASSPHRASE", "SealedFile", "sealed_path"]

FORMAT = 1
SHORTEST_PASSPHRASE = 10
_MEMORY_KIB, _PASSES, _LANES = 64 * 1024, 3, 4
_MOST_MEMORY_KIB = 1024 * 1024


def sealed_path(home: Path) -> Path:
    """Where the file of a home folder is."""
    return home / "keys.sealed"


class _Sealed(msgspec.Struct, frozen=True):
    nonce: bytes
    data: bytes


class _File(msgspec.Struct, frozen=True, kw_only=True):
    format: int
    id: str
    """Random; binds entries to this file, so that none can be moved in from another one."""
    salt: bytes
    memory_kib: int
    passes: int
    lanes: int
    data_key: _Sealed
    entries: dict[KeyName, _Sealed]


class SealedFile:
    """The encrypted file of a home folder (`engine.keys.store.KeyStore`). Everything here may block.

    Args:
        path: The file; it is made when the first key is kept.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._data_key: bytes | None = None

    @property
    def place(self) -> str:
        """Where it is."""
        return f"the encrypted file {self._path}"

    @property
    def exists(self) -> bool:
        """Whether there is a file yet."""
        return self._path.exists()

    @property
    def data_key(self) -> bytes | None:
        """What opens it without a passphrase; None while it is locked."""
        return self._data_key

    # --- unlocking ---------------------------------------------------------------------------------------------------

    def create(self, passphrase: str) -> None:
        """Make an empty file that this passphrase opens.

        Raises:
            ValidationError: The passphrase is too short.
            SecurityError: There is a file already, or it cannot be written.
        """
        if self.exists:
            raise SecurityError(f"There is {self.place} already; unlock it, or move it away.")
        data_key, file_id = secrets.token_bytes(32), secrets.token_hex(8)
        self._write(_locked_with(passphrase, data_key, file_id, {}))
        self._data_key = data_key

    def unlock(self, passphrase: str) -> None:
        """Open it with its passphrase; takes a good part of a second.

        Raises:
            AuthenticationError: It is the wrong one, or the file was damaged.
            SecurityError: There is no file, or it cannot be read.
        """
        file = self._read()
        self._data_key = _open(_derived(passphrase, file), file.data_key, _about(file.id, "data key"))

    def unlock_with(self, data_key: bytes) -> None:
        """Open it with its data key.

        Raises:
            AuthenticationError: It belongs to another file.
            SecurityError: There is no file, or it cannot be read.
        """
        file = self._read()
        for name, sealed in file.entries.items():
            _open(data_key, sealed, _about(file.id, name))
        self._data_key = data_key

    def lock(self) -> None:
        """Forget what opens it."""
        self._data_key = None

    def change_passphrase(self, passphrase: str) -> None:
        """Let another passphrase open it from now on. Raises ValidationError, LockedError, SecurityError."""
        file = self._read()
        self._write(_locked_with(passphrase, self._need_key(), file.id, dict(file.entries)))

    # --- keys --------------------------------------------------------------------------------------------------------

    def names(self) -> list[KeyName]:
        """Names of all keys, which can be read while it is locked. Raises SecurityError."""
        return sorted(self._read().entries) if self.exists else []

    def load(self) -> Mapping[KeyName, KeyEntry]:
        """All keys. Raises LockedError, SecurityError."""
        if not self.exists:
            return {}
        file, data_key = self._read(), self._need_key()
        found: dict[KeyName, KeyEntry] = {}
        for name, sealed in file.entries.items():
            plain = _open(data_key, sealed, _about(file.id, name))
            try:
                found[name] = msgspec.json.decode(plain, type=KeyEntry)
            except msgspec.MsgspecError:
                raise SecurityError(f"The key {name} in {self.place} cannot be read; add it anew.") from None
        return found

    def put(self, entry: KeyEntry) -> None:
        """Keep a key. Raises LockedError, SecurityError."""
        data_key, file = self._need_key(), self._read()
        sealed = _close(data_key, msgspec.json.encode(entry), _about(file.id, entry.name))
        self._write(msgspec.structs.replace(file, entries={**file.entries, entry.name: sealed}))

    def remove(self, name: KeyName) -> bool:
        """Forget a key; needs no unlocking. Raises SecurityError."""
        if not self.exists:
            return False
        file = self._read()
        if name not in file.entries:
            return False
        self._write(msgspec.structs.replace(file, entries={n: s for n, s in file.entries.items() if n != name}))
        return True

    # --- the file ----------------------------------------------------------------------------------------------------

    def _need_key(self) -> bytes:
        if self._data_key is None:
            raise LockedError(f"The keys in {self.place} are locked; unlock them with `quarterdeck keys unlock`.")
        return self._data_key

    def _read(self) -> _File:
        try:
            file = msgspec.json.decode(self._path.read_bytes(), type=_File)
        except OSError as error:
            raise SecurityError(f"{self._path} cannot be read: {error.strerror}.") from None
        except msgspec.MsgspecError:
            raise SecurityError(f"{self._path} is damaged; put it back from a backup, or add the keys anew.") from None
        if file.format != FORMAT or not 0 < file.memory_kib <= _MOST_MEMORY_KIB or not 0 < file.passes <= 64:
            raise SecurityError(f"{self._path} was written by another release of Quarterdeck and cannot be used.")
        return file

    def _write(self, file: _File) -> None:
        """Replace the file as a whole; at no moment is it readable by others or half written."""
        fresh = self._path.with_suffix(".new")
        try:
            fresh.unlink(missing_ok=True)
            descriptor = os.open(fresh, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
            with os.fdopen(descriptor, "wb") as target:
                target.write(msgspec.json.encode(file))
                target.flush()
                os.fsync(target.fileno())
            fresh.replace(self._path)
            folder = os.open(self._path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as error:
            raise SecurityError(f"{self._path} cannot be written: {error.strerror}; nothing was changed.") from None


def _locked_with(passphrase: str, data_key: bytes, file_id: str, entries: dict[KeyName, _Sealed]) -> _File:
    if len(passphrase) < SHORTEST_PASSPHRASE:
        raise ValidationError(f"A passphrase has at least {SHORTEST_PASSPHRASE} characters; this one is too short.")
    bare = _File(
        format=FORMAT,
        id=file_id,
        salt=secrets.token_bytes(16),
        memory_kib=_MEMORY_KIB,
        passes=_PASSES,
        lanes=_LANES,
        data_key=_Sealed(b"", b""),
        entries=entries,
    )
    sealed = _close(_derived(passphrase, bare), data_key, _about(file_id, "data key"))
    return msgspec.structs.replace(bare, data_key=sealed)


def _derived(passphrase: str, file: _File) -> bytes:
    from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

    derive = Argon2id(salt=file.salt, length=32, iterations=file.passes, lanes=file.lanes, memory_cost=file.memory_kib)
    return derive.derive(passphrase.encode())


def _close(key: bytes, plain: bytes, about: bytes) -> _Sealed:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    nonce = secrets.token_bytes(12)
    return _Sealed(nonce, AESGCM(key).encrypt(nonce, plain, about))


def _open(key: bytes, sealed: _Sealed, about: bytes) -> bytes:
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    try:
        return AESGCM(key).decrypt(sealed.nonce, sealed.data, about)
    except (InvalidTag, ValueError):
        raise AuthenticationError(
            "The passphrase does not open the key file, or the file was changed; try again."
        ) from None


def _about(file_id: str, name: str) -> bytes:
    return f"quarterdeck|{FORMAT}|{file_id}|{name}".encode()
