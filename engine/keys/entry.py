"""One key as it is kept, and what may be shown of it."""

from __future__ import annotations

import hashlib
import re

import msgspec

from engine.errors import ValidationError
from engine.model.credentials import Credentials
from engine.model.ids import AccountId, VenueId

__all__ = ["KeyEntry", "KeyName", "KeySummary", "key_name"]

_NAME = re.compile(r"([A-Z0-9]{2,20})/([A-Za-z0-9_.-]{1,32})")

KeyName = str
"""`VENUE/account`, such as `BINANCE/main`."""


def key_name(venue: str, account: str) -> KeyName:
    """The name a key is kept under.

    Raises:
        ValidationError: Venue or account have characters that a name may not have.
    """
    name = f"{venue.upper()}/{account}"
    if _NAME.fullmatch(name) is None:
        raise ValidationError(
            f"{name!r} is no name of a key; a venue has 2 to 20 letters and digits, an account 1 to 32 letters, "
            "digits, points, dashes and underscores."
        )
    return name


class KeyEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A key with its story. Neither `repr` nor an error ever shows what is secret in it."""

    venue: VenueId
    account: AccountId
    key: str
    secret: str
    passphrase: str = ""
    added: int = 0
    """UTC nanoseconds."""
    rotated: int = 0
    """UTC nanoseconds of the last change; 0 for none."""

    def __repr__(self) -> str:
        return f"KeyEntry({self.name})"

    @property
    def name(self) -> KeyName:
        """What it is kept under."""
        return f"{self.venue}/{self.account}"

    @property
    def credentials(self) -> Credentials:
        """What an adapter signs with."""
        return Credentials(key=self.key, secret=self.secret, passphrase=self.passphrase)

    @property
    def secrets(self) -> tuple[str, ...]:
        """Every text that may never be written or shown, single lines of a PEM block included."""
        found = [self.key, self.secret, self.passphrase]
        for text in (self.secret, self.secret.replace("\\n", "\n")):
            found += [line for line in text.splitlines() if len(line) > 16 and not line.startswith("-----")]
        return tuple(dict.fromkeys(text for text in found if text))

    def summary(self) -> KeySummary:
        """What may be shown."""
        return KeySummary(
            venue=self.venue,
            account=self.account,
            fingerprint=hashlib.blake2b(self.key.encode(), digest_size=4, person=b"qd-key").hexdigest(),
            added=self.added,
            rotated=self.rotated,
        )


class KeySummary(msgspec.Struct, frozen=True, kw_only=True):
    """A key without anything secret."""

    venue: VenueId
    account: AccountId
    fingerprint: str
    """Eight digits that change when the key does; nothing can be learnt from them."""
    added: int
    rotated: int

    @property
    def name(self) -> KeyName:
        """What it is kept under."""
        return f"{self.venue}/{self.account}"
