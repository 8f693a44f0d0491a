"""Addresses of venues: encrypted everywhere but on this machine; whose certificates are trusted."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from engine.errors import ConfigurationError
from engine.venue_settings import is_loopback

if TYPE_CHECKING:
    import ssl
    from pathlib import Path

__all__ = ["check_address", "make_ssl_context"]

_ENCRYPTED = {"https", "wss"}
_PLAIN = {"http", "ws"}


def check_address(address: str) -> str:
    """Give the address back if keys and orders may travel to it.

    Raises:
        ConfigurationError: It is neither https nor wss, and does not lead to this machine either.
    """
    scheme = urlsplit(address).scheme.lower()
    if scheme in _ENCRYPTED or (scheme in _PLAIN and is_loopback(address)):
        return address
    if scheme in _PLAIN:
        raise ConfigurationError(
            f"{_shown(address)} is not encrypted, which is allowed on this machine only; write {scheme}s:// instead."
        )
    raise ConfigurationError(f"{_shown(address)} is no address of a venue; it begins with https:// or wss://.")


def make_ssl_context(ca_file: Path | None) -> ssl.SSLContext:
    """What to trust; reads files, so call it in a thread.

    Args:
        ca_file: Authorities to trust instead of the system's.

    Raises:
        ConfigurationError: The file cannot be read or holds no certificate.
    """
    import ssl

    try:
        return ssl.create_default_context(cafile=None if ca_file is None else str(ca_file))
    except OSError as error:
        raise ConfigurationError(f"{ca_file} holds no certificates that can be read: {error}.") from error


def _shown(address: str) -> str:
    """Without what may be secret in it: user, path and query."""
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.hostname or ''}" if parts.scheme else "The address"
