"""The one place that says where live orders may go by now, and with whose agreement."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import msgspec

from engine.control.live.consent import Consents, target_of, words_for
from engine.control.live.least import LEAST_HEADROOM, least_quantity
from engine.control.live.stages import UNCHECKED, Stage, next_check, stage_of
from engine.errors import AuthenticationError, QuarterdeckError, ValidationError
from engine.model.order import OrderSide
from engine.model.venue import AMEND_UNSUPPORTED

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from decimal import Decimal
    from pathlib import Path
    from typing import Any

    from engine.model.credentials import Credentials, CredentialSource
    from engine.model.ids import AccountId, ClientOrderId, InstrumentId, VenueId
    from engine.model.instrument import Instrument
    from engine.model.market import BookUpdate
    from engine.model.venue import Capabilities, MarginMode, OrderCommand, Venue
    from engine.venue_settings import VenueSettings

__all__ = ["ConsentedKeys", "LeastVenue", "ReadOnlyVenue", "held_to_stage", "refusal"]


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


def held_to_stage(home: Path, settings: VenueSettings, venue: Venue) -> Venue:
    """An exchange that takes no more than it is open for, whoever sends it. Reads a small file.

    Args:
        home: The home folder, which remembers the checks that were passed.
        settings: The venue as it is set.
        venue: Its adapter.
    """
    closed = refusal(home, settings)
    if closed:
        return cast("Venue", ReadOnlyVenue(venue, closed))
    if stage_of(home, settings) is Stage.OPEN:
        return venue
    reason = (
        f"{settings.id} takes orders of the least size only, until "
        f"`{next_check(settings, Stage.LEAST)}` has passed at {target_of(settings)}."
    )
    return cast("Venue", LeastVenue(venue, lambda: stage_of(home, settings) is Stage.OPEN, reason))


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


class _Behind:
    """What is asked of a venue that takes not every order: everything else goes to the one behind it."""

    def __init__(self, inner: Venue) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    @property
    def inner(self) -> Venue:
        """The venue itself."""
        return self._inner


class ReadOnlyVenue(_Behind):
    """A venue (`engine.model.venue.Venue`) that takes no order.

    Args:
        inner: The venue itself.
        reason: Why, as a sentence.
    """

    def __init__(self, inner: Venue, reason: str) -> None:
        super().__init__(inner)
        self._reason = reason

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


class LeastVenue(_Behind):
    """A venue that takes orders of the least size alone, and everything that only reduces or closes in an emergency.

    Whoever sends them: a person is held to it before, with words of admission; here are bots, algorithms and hedges.
    No order is changed in place, because nobody can tell of a change whether what works already only reduces.

    Args:
        inner: The venue itself.
        opened: Whether the venue's check has passed meanwhile, so that everything may go there.
        reason: Why larger orders are refused, as a sentence.
    """

    def __init__(self, inner: Venue, opened: Callable[[], bool], reason: str) -> None:
        super().__init__(inner)
        self._opened = opened
        self._reason = reason
        self._known: dict[InstrumentId, Instrument] = {}

    @property
    def capabilities(self) -> Capabilities:
        """What the venue can do, as it says now; that orders only reduce is asked of callers in any case."""
        return msgspec.structs.replace(self._inner.capabilities, reduce_only=True, amend=False)

    @capabilities.setter
    def capabilities(self, value: Capabilities) -> None:
        able = self._inner.capabilities
        self._inner.capabilities = msgspec.structs.replace(value, reduce_only=able.reduce_only, amend=able.amend)

    async def instruments(self) -> Sequence[Instrument]:
        """All tradable instruments with their rules."""
        found = await self._inner.instruments()
        self._known = {instrument.id: instrument for instrument in found}
        return found

    async def place(self, command: OrderCommand) -> None:
        """Send an order. Raises as the venue does, and ValidationError for one that is too large or cannot be told."""
        if not (command.reduce_only or command.urgent or self._opened()):
            await self._hold_to_least(command)
        if command.reduce_only and not self._inner.capabilities.reduce_only:
            command = msgspec.structs.replace(command, reduce_only=False)
        await self._inner.place(command)

    async def _hold_to_least(self, command: OrderCommand) -> None:
        try:
            if command.instrument not in self._known:
                await self.instruments()
            instrument = self._known.get(command.instrument)
            book = await self._inner.book(command.instrument, 1)
        except QuarterdeckError as error:
            raise ValidationError(
                f"{self._reason} What that is at present is not known: {error.message}", error_code=UNCHECKED
            ) from error
        worth_at = None if instrument is None else _worth_at(command, instrument, book)
        if instrument is None or worth_at is None:
            raise ValidationError(f"{self._reason} What that is at present is not known.", error_code=UNCHECKED)
        most = least_quantity(instrument, worth_at, LEAST_HEADROOM)
        if command.quantity > most:
            raise ValidationError(
                f"{self._reason} At present that is {most:f} {instrument.base}, and this is {command.quantity:f}.",
                error_code=UNCHECKED,
            )

    async def amend(
        self,
        account: AccountId,
        client_id: ClientOrderId,
        *,
        quantity: Decimal | None = None,
        price: Decimal | None = None,
        stop_price: Decimal | None = None,
    ) -> None:
        """Refused. Raises ValidationError, always: the order is replaced by another one."""
        raise ValidationError(
            f"{self._inner.id} is open for orders of the least size and changes none in place meanwhile; cancel it "
            "and place another one.",
            error_code=AMEND_UNSUPPORTED,
        )


def _worth_at(command: OrderCommand, instrument: Instrument, book: BookUpdate) -> Decimal | None:
    """The price at which an order will be executed, as far as can be told; None without a market."""
    buys = command.side is OrderSide.BUY
    levels = book.asks if buys else book.bids
    if not levels:
        return None
    best = instrument.price_from_int(levels[0][0])
    named = command.price if command.price is not None else command.stop_price
    if named is None:
        return best
    waits = command.stop_price is not None
    # A limit never buys dearer than the market is; what waits may be reached at once, and is executed as it comes then.
    return min(named, best) if buys and not waits else max(named, best)
