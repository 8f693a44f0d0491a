"""The keys of a home folder as its processes have them: read at the start, unlocked later, passed on at the end."""

from __future__ import annotations

import asyncio
import os
import stat
from contextlib import suppress
from typing import TYPE_CHECKING

from engine.control.notify import KEYS
from engine.errors import SecurityError
from engine.keys.capsule import Capsule
from engine.keys.passphrase import from_credential, from_descriptor
from engine.keys.ring import KeyRing, RingState
from engine.keys.store import choose_store
from engine.logs import get_logger

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from engine.clock import Clock
    from engine.keys.store import Place
    from engine.model.credentials import Credentials
    from engine.model.ids import AccountId, VenueId

__all__ = ["Vault", "from_descriptor", "stored_capsule"]

log = get_logger(__name__)

_FIRST = 3
"""First descriptor that systemd passes."""


def stored_capsule(environ: Mapping[str, str] | None = None) -> int | None:
    """The descriptor that systemd's store kept for this service since its last process; None when it has none."""
    said = os.environ if environ is None else environ
    if said.get("LISTEN_PID") != str(os.getpid()):
        return None
    count, names = said.get("LISTEN_FDS", ""), said.get("LISTEN_FDNAMES", "").split(":")
    if not count.isdecimal():
        return None
    for number, name in zip(range(int(count)), names, strict=False):
        if name == KEYS:
            return _FIRST + number
    return None


class Vault:
    """The key ring of a home folder with what carries it over (`engine.model.credentials.CredentialSource`).

    Args:
        home: The home folder.
        clock: Dates what is added.
        capsule: Descriptor in which the process before has left what is unlocked; None for none.
        passphrase: Descriptor from which a passphrase can be read; None for none.
    """

    def __init__(self, home: Path, clock: Clock, *, capsule: int | None = None, passphrase: int | None = None) -> None:
        self._home = home
        self._clock = clock
        self._inherited = capsule
        self._passphrase = passphrase
        self._ring: KeyRing | None = None
        self._capsule: Capsule | None = None
        self._turn = asyncio.Lock()
        self.problem = ""
        """Why there is no ring; empty when there is one."""

    # --- life --------------------------------------------------------------------------------------------------------

    async def open(self, place: Place = "auto") -> RingState:
        """Read the keys; a second call reads them anew. What goes wrong is told by the state, `reason` has the words.

        Args:
            place: Where the settings want keys to be.
        """
        async with self._turn:
            return await asyncio.to_thread(self._open, place)

    def _open(self, place: Place) -> RingState:
        if self._ring is not None:
            return self._ring.reload()
        try:
            self._capsule = self._capsule or _capsule(self._inherited)
            self._inherited = None
            ring = KeyRing(choose_store(self._home, place), self._capsule, self._clock.now)
            self._ring = ring
            return ring.open(self._given())
        except SecurityError as error:
            # Without keys everything but live trading goes on.
            log.warning("there are no keys", problem=error.message)
            self.problem = error.message
            return RingState.FAILED

    def _given(self) -> str | None:
        """A passphrase that nobody has to type; None when there is none."""
        descriptor, self._passphrase = self._passphrase, None
        try:
            return from_descriptor(descriptor) if descriptor is not None else from_credential()
        except SecurityError as error:
            log.warning("the passphrase cannot be used", problem=error.message)
            return None

    def adopt(self, descriptor: int) -> None:
        """Take what the process before has unlocked; before `open`."""
        with suppress(SecurityError):
            self._capsule = Capsule(descriptor)
            return
        os.close(descriptor)

    @property
    def descriptor(self) -> int | None:
        """What carries the unlocked keys over to another process; None when there is no such thing here."""
        return self._capsule.descriptor if self._capsule is not None else None

    def close(self) -> None:
        """Let go of it."""
        if self._capsule is not None:
            self._capsule.close()
            self._capsule = None

    # --- for adapters and operations ---------------------------------------------------------------------------------

    @property
    def state(self) -> RingState:
        """Whether keys can be had."""
        return self._ring.state if self._ring is not None else RingState.FAILED

    @property
    def reason(self) -> str:
        """Why not; empty when they can."""
        return self._ring.reason if self._ring is not None else self.problem or "The keys have not been read yet."

    def ring(self) -> KeyRing:
        """The key ring.

        Raises:
            SecurityError: There is none here.
        """
        if self._ring is None:
            raise SecurityError(self.reason)
        return self._ring

    def credentials(self, venue: VenueId, account: AccountId) -> Credentials | None:
        """The key of an account. Raises AuthenticationError, SecurityError."""
        return self.ring().credentials(venue, account)


def _capsule(inherited: int | None) -> Capsule | None:
    descriptor = inherited if inherited is not None else stored_capsule()
    try:
        if descriptor is not None and stat.S_ISREG(os.fstat(descriptor).st_mode):
            return Capsule(descriptor)
    except (OSError, SecurityError):
        log.warning("the descriptor with the keys of the process before cannot be used")
    with suppress(SecurityError, OSError):
        return Capsule()
    return None
