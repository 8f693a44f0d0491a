"""Facts about derivatives: margin settings, funding, forced closings, positions that were taken over."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from engine.model.ids import AccountId, Currency, InstrumentId, Owner
from engine.model.margin import MarginMode

__all__ = ["FundingCaughtUp", "FundingPaid", "FundingPart", "MarginSet", "PositionAdopted", "PositionLiquidated"]


class _Fact(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag=True, tag_field="t"):
    """Base of the facts; the tag is the class name."""


class MarginSet(_Fact, frozen=True, kw_only=True):
    """The venue holds positions of an account in an instrument with this leverage and margin mode from now on."""

    account: AccountId
    instrument: InstrumentId
    leverage: Decimal
    mode: MarginMode
    adopted: bool = False
    """Whether nobody here wanted it: it was found at the venue, and what is wanted stays as it was."""


class FundingPart(msgspec.Struct, frozen=True):
    """What one owner bears of a funding payment."""

    owner: Owner
    amount: Decimal


class FundingPaid(_Fact, frozen=True, kw_only=True):
    """Funding of a perpetual position; positive is paid, negative received, in the settle currency."""

    account: AccountId
    instrument: InstrumentId
    owner: Owner
    """Who bears what `parts` leave."""
    currency: Currency
    amount: Decimal
    """Of the whole account."""
    rate: Decimal | None
    """As a fraction of the position's value; None where the venue does not say it."""
    ts: int
    payment: str = ""
    """The venue's id of it; a repeat changes nothing. Empty where there is none."""
    parts: tuple[FundingPart, ...] = ()
    """What other owners bear."""


class FundingCaughtUp(_Fact, frozen=True, kw_only=True):
    """All funding that the venue had settled up to a cursor is booked, or is part of the opening balance."""

    account: AccountId
    cursor: str
    """The venue's own; the next question for funding begins there."""


class PositionLiquidated(_Fact, frozen=True, kw_only=True):
    """The venue closed a position by force; its fills arrive as ExternalFillSeen."""

    account: AccountId
    instrument: InstrumentId
    owner: Owner
    reason: str
    ts: int


class PositionAdopted(_Fact, frozen=True, kw_only=True):
    """A position in a derivative was taken over as the venue has it, because no execution explains it.

    It belongs to nobody of this engine; nothing is closed or sent because of it.
    """

    account: AccountId
    instrument: InstrumentId
    quantity: Decimal
    """Signed contracts that the venue has beyond what was booked."""
    price: Decimal
    """At which they are booked: the venue's entry price where nothing was booked, else its mark."""
    ts: int
    reason: str
