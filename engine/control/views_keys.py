"""What the doors show of keys: everything but what is secret."""

from __future__ import annotations

from engine.control.views import View

__all__ = ["KeyRow", "KeyTest", "KeysView"]


class KeyRow(View, frozen=True, kw_only=True):
    """One key."""

    venue: str
    account: str
    fingerprint: str
    """Changes when the key does; empty while it is locked."""
    added: int
    """UTC nanoseconds; 0 while it is locked."""
    rotated: int
    """UTC nanoseconds of the last change; 0 for none."""


class KeysView(View, frozen=True, kw_only=True):
    """The keys of a home folder."""

    state: str
    """empty, locked, open or failed."""
    reason: str
    """Why keys cannot be had; empty when they can."""
    place: str
    """Where they are kept, in words."""
    has_passphrase: bool
    """Whether they are in an encrypted file, which a passphrase opens."""
    exists: bool
    """Whether that file is there yet; True for every other place."""
    keys: tuple[KeyRow, ...]
    changed: str = ""
    """`VENUE/account` that the request was about; empty for none."""


class KeyTest(View, frozen=True, kw_only=True):
    """What a venue says about a key. None is what it does not say, which is not no."""

    venue: str
    account: str
    target: str
    """Where it was asked, such as `binance testnet`."""
    read: bool
    trade: bool | None
    withdraw: bool | None
    derivatives: bool | None
    ip_restricted: bool | None
    """Whether the key works from certain addresses alone."""
    expires: int | None
    """UTC nanoseconds; None for a key without an end, or where the venue does not say it."""
    note: str
    """What stands in the way of trading as a sentence; empty for nothing."""
    clock_offset_ms: float | None
    """The venue's clock minus ours."""
    balances: int | None
    """Currencies of which the account has something; None when it cannot be read."""
    warnings: tuple[str, ...]
    """What a person should do about the key, a sentence each."""
