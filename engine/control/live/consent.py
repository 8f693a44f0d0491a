"""Consent: which accounts a person has allowed to trade real money from this home folder, and where.

It is asked for once, by name, and lasts over restarts, as an engine comes back by itself. It is bound to the address
that was meant: another one, or leaving the testnet, needs another consent.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import msgspec

from engine.errors import StorageError, ValidationError
from engine.model.ids import AccountId, VenueId

if TYPE_CHECKING:
    from pathlib import Path

    from engine.venue_settings import VenueSettings

__all__ = ["Consent", "Consents", "target_of", "words_for"]

FILE = "live.json"


class Consent(msgspec.Struct, frozen=True, kw_only=True):
    """One account that may trade real money."""

    venue: VenueId
    account: AccountId
    target: str
    """Where its orders go; see `target_of`."""
    actor: str
    given: int
    """UTC nanoseconds."""


def target_of(settings: VenueSettings) -> str:
    """Where orders of a venue go, as a person knows it: `binance testnet`, `okx`, or addresses of one's own."""
    hosts = sorted({urlsplit(address).netloc for address in settings.addresses.values()})
    name = settings.exchange or settings.kind
    words = f"{name} testnet" if settings.testnet and not hosts else name
    return f"{words} at {', '.join(hosts)}" if hosts else words


def words_for(venue: VenueId, account: AccountId) -> str:
    """What has to be typed."""
    return f"{venue}/{account}"


class Consents:
    """The consents of a home folder. Reads and writes a small file; may block.

    Args:
        home: The home folder.
    """

    def __init__(self, home: Path) -> None:
        self._file = home / FILE

    def all(self) -> list[Consent]:
        """All that were given. What cannot be read counts as none: real money needs a clear yes."""
        try:
            return msgspec.json.decode(self._file.read_bytes(), type=list[Consent])
        except (OSError, msgspec.MsgspecError):
            return []

    def holds(self, settings: VenueSettings, account: AccountId) -> bool:
        """Whether an account may trade real money at the venue as it is set now."""
        wanted = (settings.id, account, target_of(settings))
        return any((found.venue, found.account, found.target) == wanted for found in self.all())

    def give(self, settings: VenueSettings, account: AccountId, typed: str, actor: str, now: int) -> Consent:
        """Keep a consent.

        Args:
            settings: The venue.
            account: One of its accounts.
            typed: What the person typed: `VENUE/account`.
            actor: Who.
            now: UTC nanoseconds.

        Raises:
            ValidationError: Something else was typed.
            StorageError: It cannot be kept.
        """
        expected = words_for(settings.id, account)
        if typed.strip() != expected:
            raise ValidationError(f"Type {expected} to let it trade real money; nothing was changed.")
        given = Consent(venue=settings.id, account=account, target=target_of(settings), actor=actor, given=now)
        self._keep([*self._others(settings.id, account), given])
        return given

    def withdraw(self, venue: VenueId, account: AccountId) -> bool:
        """Forget a consent; False when there was none. Raises StorageError."""
        left = self._others(venue, account)
        found = len(left) < len(self.all())
        if found:
            self._keep(left)
        return found

    def _others(self, venue: VenueId, account: AccountId) -> list[Consent]:
        return [found for found in self.all() if (found.venue, found.account) != (venue, account)]

    def _keep(self, consents: list[Consent]) -> None:
        fresh = self._file.with_suffix(".new")
        try:
            descriptor = os.open(fresh, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600)
            with os.fdopen(descriptor, "wb") as target:
                target.write(msgspec.json.encode(consents))
                target.flush()
                os.fsync(target.fileno())
            fresh.replace(self._file)
        except OSError as error:
            raise StorageError(f"{self._file} cannot be written: {error.strerror}; nothing was changed.") from None
