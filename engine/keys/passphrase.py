"""Where a passphrase comes from when nobody can be asked: an inherited descriptor, or a systemd credential."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from engine.errors import SecurityError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["CREDENTIAL", "from_credential", "from_descriptor"]

CREDENTIAL = "quarterdeck-keys"
"""Name of the credential in the systemd unit (`LoadCredentialEncrypted=quarterdeck-keys:…`)."""
_MOST = 4096


def from_descriptor(descriptor: int) -> str:
    """Read a passphrase from a descriptor to its end, and close it.

    Raises:
        SecurityError: It cannot be read, or nothing is in it.
    """
    try:
        with os.fdopen(descriptor, "rb") as source:
            said = source.read(_MOST + 1)
    except OSError as error:
        raise SecurityError(f"The passphrase cannot be read from descriptor {descriptor}: {error.strerror}.") from None
    return _text(said, f"Descriptor {descriptor}")


def from_credential(environ: Mapping[str, str] | None = None) -> str | None:
    """Read the passphrase that systemd has decrypted for this service; None when it gives none.

    Raises:
        SecurityError: It is there and cannot be used.
    """
    folder = (os.environ if environ is None else environ).get("CREDENTIALS_DIRECTORY", "")
    if not folder:
        return None
    with suppress(FileNotFoundError):
        try:
            return _text(Path(folder, CREDENTIAL).read_bytes(), f"The credential {CREDENTIAL}")
        except FileNotFoundError:
            raise
        except OSError as error:
            raise SecurityError(f"The credential {CREDENTIAL} cannot be read: {error.strerror}.") from None
    return None


def _text(said: bytes, what: str) -> str:
    try:
        text = said.decode().rstrip("\r\n")
    except UnicodeDecodeError:
        raise SecurityError(f"{what} holds no text.") from None
    if not text or len(said) > _MOST:
        raise SecurityError(f"{what} holds no passphrase.")
    return text
