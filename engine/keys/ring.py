"""The engine's key ring: all keys of a home folder in memory, once they are unlocked.

Unlocked once, it needs its store no more: a session bus that goes away with a log-out takes no key with it.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

from engine.errors import AuthenticationError, QuarterdeckError, SecurityError, ValidationError
from engine.keys.capsule import Content
from engine.keys.entry import KeyEntry, KeyName, KeySummary, key_name
from engine.keys.sealed import SealedFile
from engine.keys.store import LockedError
from engine.logs import add_secret, get_logger
from engine.model.credentials import KEYS_LOCKED

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.keys.capsule import Capsule
    from engine.keys.store import KeyStore
    from engine.model.credentials import Credentials
    from engine.model.ids import AccountId, VenueId

__all__ = ["KeyRing", "RingState"]

log = get_logger(__name__)


class RingState(enum.StrEnum):
    """Whether keys can be had."""

    EMPTY = "empty"
    """There are none."""
    LOCKED = "locked"
    """There are some, and nobody has unlocked them."""
    OPEN = "open"
    FAILED = "failed"
    """Their place cannot be read; `reason` says why."""


class KeyRing:
    """Keys of one home folder (`engine.model.credentials.CredentialSource`).

    `open`, `unlock` and what changes keys may block for a good part of a second: call them in a thread.

    Args:
        store: Where keys are kept.
        capsule: Carries what is unlocked over to the next process; None where there is nobody to carry it to.
        now: Gives UTC nanoseconds.
    """

    def __init__(self, store: KeyStore, capsule: Capsule | None, now: Callable[[], int]) -> None:
        self.store = store
        self.capsule = capsule
        self.state = RingState.EMPTY
        self.reason = ""
        """Why there are no keys to be had; empty when there are, or none are kept."""
        self._now = now
        self._entries: dict[KeyName, KeyEntry] = {}

    # --- for adapters ------------------------------------------------------------------------------------------------

    def credentials(self, venue: VenueId, account: AccountId) -> Credentials | None:
        """The key of an account; None when there is none.

        Raises:
            AuthenticationError: The keys are locked or cannot be read; the message says what to do.
        """
        entry = self._entries.get(f"{venue}/{account}")
        if entry is not None:
            return entry.credentials
        if self.state in (RingState.LOCKED, RingState.FAILED):
            code = KEYS_LOCKED if self.state is RingState.LOCKED else None
            raise AuthenticationError(self.reason, error_code=code)
        return None

    # --- unlocking ---------------------------------------------------------------------------------------------------

    def open(self, passphrase: str | None = None) -> RingState:
        """Read all keys: by the capsule of the process before, else from the store, else with a passphrase.

        Args:
            passphrase: What opens an encrypted file; None when there is none at hand.

        Never raises: what went wrong is in `state` and `reason`.
        """
        try:
            self._open(passphrase)
        except LockedError as error:
            self._fail(RingState.LOCKED, error.message)
        except QuarterdeckError as error:
            locked = isinstance(self.store, SealedFile) and isinstance(error, AuthenticationError)
            self._fail(RingState.LOCKED if locked else RingState.FAILED, error.message)
        return self.state

    def unlock(self, passphrase: str) -> RingState:
        """Open an encrypted file that is locked.

        Raises:
            ValidationError: These keys have no passphrase of their own.
            AuthenticationError: It is the wrong one.
            SecurityError: The file cannot be read.
        """
        if not isinstance(self.store, SealedFile):
            raise ValidationError(f"The keys are in {self.store.place}; there is no passphrase to unlock them with.")
        if not self.store.exists:
            raise ValidationError("There are no keys yet; add one with `quarterdeck keys add VENUE`.")
        self.store.unlock(passphrase)
        self._take(dict(self.store.load()))
        return self.state

    def lock(self) -> None:
        """Forget every key, here and in the capsule; adapters that are connected stay so."""
        if self.capsule is not None:
            self.capsule.clear()
        self._entries.clear()
        if isinstance(self.store, SealedFile):
            self.store.lock()
        self._fail(RingState.LOCKED, "The keys were locked; unlock them with `quarterdeck keys unlock`.")

    def _open(self, passphrase: str | None) -> None:
        kept = self.capsule.read() if self.capsule is not None else None
        if kept is not None and kept.place != self.store.place:
            kept = None
        if isinstance(self.store, SealedFile):
            self._open_file(self.store, kept, passphrase)
            return
        try:
            self._take(dict(self.store.load()))
        except SecurityError as error:
            if kept is None:
                raise
            log.warning("the keys of the process before are used", problem=error.message)
            self._take({entry.name: entry for entry in kept.entries})

    def _open_file(self, file: SealedFile, kept: Content | None, passphrase: str | None) -> None:
        if not file.exists:
            self._take({})
            return
        if kept is not None and kept.data_key:
            try:
                file.unlock_with(kept.data_key)
            except AuthenticationError:
                # The file was made anew since; the old one's key opens nothing.
                log.warning("what was unlocked before does not open the key file any more")
        if file.data_key is None and passphrase is not None:
            file.unlock(passphrase)
        self._take(dict(file.load()))

    # --- keys --------------------------------------------------------------------------------------------------------

    def summaries(self) -> list[KeySummary]:
        """All keys without anything secret, by name."""
        return [self._entries[name].summary() for name in sorted(self._entries)]

    def names(self) -> list[KeyName]:
        """Names of all keys, those of a locked file included. May block."""
        if self._entries or not isinstance(self.store, SealedFile):
            return sorted(self._entries)
        return self.store.names()

    def put(self, venue: str, account: str, key: str, secret: str, passphrase: str = "") -> KeySummary:
        """Keep a key, in the place of an older one of the same account.

        Raises:
            ValidationError: Name or key cannot be used.
            LockedError: The keys are locked.
            SecurityError: The store cannot be written.
        """
        name = key_name(venue, account)
        key, secret, passphrase = key.strip(), secret.strip(), passphrase.strip()
        if not key or not secret:
            raise ValidationError("A key has two parts, the key and its secret; one of them is empty.")
        before = self._entries.get(name)
        now = self._now()
        venue_part, _, account_part = name.partition("/")
        entry = KeyEntry(
            venue=venue_part,  # type: ignore[arg-type]
            account=account_part,  # type: ignore[arg-type]
            key=key,
            secret=secret,
            passphrase=passphrase,
            added=now if before is None else before.added,
            rotated=0 if before is None else now,
        )
        # Before anything else can go wrong with it, so that it stands in no record of what did.
        for text in entry.secrets:
            add_secret(text)
        self.store.put(entry)
        self._take({**self._entries, name: entry})
        return entry.summary()

    def remove(self, venue: str, account: str) -> bool:
        """Forget a key; False when there was none. Raises ValidationError, LockedError, SecurityError."""
        name = key_name(venue, account)
        found = self.store.remove(name)
        if self.state is not RingState.LOCKED:
            self._take({kept: entry for kept, entry in self._entries.items() if kept != name})
        return found

    def reload(self) -> RingState:
        """Read the store again, because another program has changed it; what is unlocked stays so. Never raises."""
        return self.open()

    def _take(self, entries: dict[KeyName, KeyEntry]) -> None:
        for entry in entries.values():
            for text in entry.secrets:
                add_secret(text)
        self._entries = entries
        self.state, self.reason = (RingState.OPEN if entries else RingState.EMPTY), ""
        if self.capsule is None:
            return
        data_key = self.store.data_key if isinstance(self.store, SealedFile) else None
        kept = () if isinstance(self.store, SealedFile) else tuple(entries.values())
        self.capsule.write(Content(place=self.store.place, data_key=data_key or b"", entries=kept))

    def _fail(self, state: RingState, reason: str) -> None:
        self.state, self.reason = state, reason
        self._entries.clear()
        log.warning("the keys cannot be used", state=state, problem=reason)
