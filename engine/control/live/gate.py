"""The one place that says where live orders may go by now, and with whose agreement."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.control.live.consent import Consents, target_of, words_for
from engine.control.live.stages import Stage, next_check, stage_of
from engine.errors import AuthenticationError, ValidationError

if TYPE_CHECKING:
    from decimal import Decimal
    from pathlib import Path
    from typing import Any

    from engine.model.credentials import Credentials, CredentialSource
    from engine.model.ids import AccountId, ClientOrderId, InstrumentId, VenueId
    from engine.model.venue import Capabilities, MarginMode, OrderCommand, Venue
    from engine.venue_settings import VenueSettings

__all__ = ["ConsentedKeys", "ReadOnlyVenue", "refusal"]


def refusal(home: Path, venue: VenueSettings) -> str:
    """Why no order may go to a venue in live mode as it is set, as a sentence; empty when some may. Reads a small file.

    Args:
        home: The home folder, which remembers the checks that were passed.
        venue: The venue as it is set.
    """
    if stage_of(home, venue) is not Stage.READ_ONLY:
        return ""
    return (
        f"{venue.id} is read only until its check has passed at {target_of(venue)}: stop the engine, run "
        f"`{next_check(venue, Stage.READ_ONLY)}` and start it again."
    )


class ConsentedKeys:
    """Keys of those accounts alone that a person has allowed to trade (`engine.model.credentials.CredentialSource`).

    Args:
        inner: Where keys are.
        home: The home folder, which holds the consents.
        venue: The venue as it is set.
    """

    def __init__(self, inner: CredentialSource, home: Path, venue: VenueSettings) -> None:
        self._inner = inner
        self._consents = Consents(home)
        self._venue = venue
        self._agreed: set[AccountId] = set()

    def credentials(self, venue: VenueId, account: AccountId) -> Credentials | None:
        """The key of an account.

        Raises:
            AuthenticationError: Nobody has agreed that the account is used here, or the keys are locked.
        """
        # A small file, read once: a consent that is withdrawn holds back the next start.
        if account not in self._agreed and self._consents.holds(self._venue, account):
            self._agreed.add(account)
        if account not in self._agreed:
            raise AuthenticationError(
                f"Nobody has agreed yet that {words_for(venue, account)} trades real money on "
                f"{target_of(self._venue)}; start with `quarterdeck --live`, or say `quarterdeck live consent "
                f"{account}`."
            )
        return self._inner.credentials(venue, account)


class ReadOnlyVenue:
    """A venue (`engine.model.venue.Venue`) that takes no order: everything else is asked of the one behind it.

    Args:
        inner: The venue itself.
        reason: Why, as a sentence.
    """

    def __init__(self, inner: Venue, reason: str) -> None:
        self._inner = inner
        self._reason = reason

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    @property
    def inner(self) -> Venue:
        """The venue itself."""
        return self._inner

    @property
    def capabilities(self) -> Capabilities:
        """What the venue can do, as it says now."""
        return self._inner.capabilities

    @capabilities.setter
    def capabilities(self, value: Capabilities) -> None:
        self._inner.capabilities = value

    async def place(self, command: OrderCommand) -> None:
        """Refused. Raises ValidationError, always."""
        raise self._refused()

    async def amend(
        self,
        account: AccountId,
        client_id: ClientOrderId,
        *,
        quantity: Decimal | None = None,
        price: Decimal | None = None,
        stop_price: Decimal | None = None,
    ) -> None:
        """Refused. Raises ValidationError, always."""
        raise self._refused()

    async def set_margin(
        self, account: AccountId, instrument: InstrumentId, leverage: Decimal, mode: MarginMode
    ) -> None:
        """Refused. Raises ValidationError, always."""
        raise self._refused()

    def _refused(self) -> ValidationError:
        return ValidationError(self._reason, error_code="read_only")
