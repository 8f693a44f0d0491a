"""Keys of accounts at exchanges, as they are held in memory; they are never written down from here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import msgspec

if TYPE_CHECKING:
    from engine.model.ids import AccountId, VenueId

__all__ = ["KEYS_LOCKED", "CredentialSource", "Credentials"]

KEYS_LOCKED = "keys_locked"
"""Error code by which it is known that somebody has to unlock the keys; nothing else is wrong."""


class Credentials(msgspec.Struct, frozen=True, kw_only=True):
    """One account's key. Neither `repr` nor an error ever shows what is in it."""

    key: str
    secret: str
    passphrase: str = ""
    """Only some venues have one (OKX)."""

    def __repr__(self) -> str:
        return "Credentials(…)"


class CredentialSource(Protocol):
    """Where an adapter gets the keys of its accounts, each time it needs them."""

    def credentials(self, venue: VenueId, account: AccountId) -> Credentials | None:
        """The key of an account; None when there is none, so that only public requests are possible. Never blocks.

        Raises:
            AuthenticationError: The keys are locked (`error_code` is `KEYS_LOCKED`); the message says how to unlock
                them.
        """
