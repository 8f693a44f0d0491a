"""Keys of a simulated exchange's accounts and what they may do."""

from __future__ import annotations

import random
import string
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from engine.model.credentials import Credentials

if TYPE_CHECKING:
    from engine.model.ids import AccountId, VenueId

__all__ = ["Key", "KeyRing", "StaticCredentials"]


@dataclass
class Key:
    """An API key as the exchange knows it."""

    key: str
    secret: str
    account: AccountId
    passphrase: str = ""
    read: bool = True
    trade: bool = True
    withdraw: bool = False
    derivatives: bool = True
    expired: bool = False
    """No longer taken; what is signed with it is refused."""
    public: Any = None
    """The public half, where the client signs with a private key."""
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def credentials(self) -> Credentials:
        """As an adapter wants it."""
        return Credentials(key=self.key, secret=self.secret, passphrase=self.passphrase)


class KeyRing:
    """All keys of an exchange.

    Args:
        seed: The same seed gives the same keys.
    """

    def __init__(self, seed: int = 1) -> None:
        self._rng = random.Random(f"keys {seed}")
        self._keys: dict[str, Key] = {}

    def issue(self, account: AccountId, **fields: Any) -> Key:
        """Make a key for an account."""
        letters = string.ascii_letters + string.digits
        made: dict[str, Any] = {
            name: "".join(self._rng.choice(letters) for _ in range(length))
            for name, length in (("key", 64), ("secret", 64), ("passphrase", 12))
        }
        key = Key(account=account, **{**made, **fields})
        self._keys[key.key] = key
        return key

    def find(self, key: str) -> Key | None:
        """A key by its public part."""
        return self._keys.get(key)

    def of(self, account: AccountId) -> Key:
        """The first key of an account."""
        return next(k for k in self._keys.values() if k.account == account)

    def all(self) -> list[Key]:
        """Every key that was issued."""
        return list(self._keys.values())


class StaticCredentials:
    """A `CredentialSource` that knows what it is told."""

    def __init__(self) -> None:
        self._known: dict[tuple[VenueId, AccountId], Credentials] = {}

    def add(self, venue: VenueId, account: AccountId, credentials: Credentials) -> None:
        """Know a key."""
        self._known[venue, account] = credentials

    def credentials(self, venue: VenueId, account: AccountId) -> Credentials | None:
        """The key of an account, or None."""
        return self._known.get((venue, account))
