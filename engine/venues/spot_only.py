"""The part of the venue contract that a venue without derivatives and without a dead-man's switch answers alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.errors import ValidationError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from decimal import Decimal

    from engine.model.ids import AccountId, InstrumentId, VenueId
    from engine.model.margin import MarginSetting
    from engine.model.venue import FundingPayment, MarginMode, VenuePosition

__all__ = ["SpotOnly"]


class SpotOnly:
    """Mixed into a venue (`engine.model.venue.Venue`)."""

    id: VenueId

    async def positions(self, account: AccountId) -> Sequence[VenuePosition]:
        """None: what is held is in the balances."""
        return ()

    async def margin(self, account: AccountId, instrument: InstrumentId, mode: MarginMode) -> MarginSetting:
        """Refused.

        Raises:
            ValidationError: Always.
        """
        raise ValidationError(f"{self.id} trades without leverage; there is no margin of {instrument} to ask for.")

    async def set_margin(
        self, account: AccountId, instrument: InstrumentId, leverage: Decimal, mode: MarginMode
    ) -> None:
        """Refused.

        Raises:
            ValidationError: Always.
        """
        raise ValidationError(f"{self.id} trades without leverage; there is no margin to set for {instrument}.")

    async def funding_since(self, account: AccountId, cursor: str) -> tuple[Sequence[FundingPayment], str]:
        """None, ever."""
        return (), cursor

    async def countdown(self, account: AccountId, seconds: float) -> None:
        """Refused.

        Raises:
            ValidationError: Always.
        """
        raise ValidationError(f"{self.id} has no switch that cancels orders when the engine falls silent.")
