"""Who bears a funding payment: the owners, in proportion to what they held when it was settled. Pure."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from engine import events as ev
from engine.model.shares import apportion
from engine.state import EXTERNAL

if TYPE_CHECKING:
    from collections.abc import Mapping

    from engine.model.ids import Owner
    from engine.model.venue import FundingPayment

__all__ = ["UNIT", "funding_fact"]

UNIT = Decimal("1e-8")
"""In which a payment is split; what is left over goes to whom the largest rest, or part, belongs."""


def funding_fact(payment: FundingPayment, held: Mapping[Owner, Decimal]) -> ev.FundingPaid:
    """The fact of a payment.

    Args:
        payment: As the venue settled it.
        held: Signed contracts by owner at the time of the payment.
    """
    # Owners on both sides pay each other what the venue does not see; where they cancel out it is nobody's.
    parts = apportion(payment.amount, held, UNIT) if sum(held.values()) else {}
    bearer = max(parts, key=lambda owner: abs(parts[owner]), default=EXTERNAL)
    return ev.FundingPaid(
        account=payment.account,
        instrument=payment.instrument,
        owner=bearer,
        currency=payment.currency,
        amount=payment.amount,
        rate=payment.rate,
        ts=payment.ts,
        payment=payment.id,
        parts=tuple(ev.FundingPart(owner, amount) for owner, amount in parts.items() if owner != bearer),
    )
