"""Positions in derivatives as booked and as the venue has them: what follows from a difference. Pure.

A position is the sum of its executions. What no execution explains is taken over as somebody else's, under a fact of
its own, and never closed or flattened; in an account that was known before it also halts trading, because nobody can
say what else is wrong. A difference counts once it has lasted, as `hidden` has it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from engine import events as ev
from engine.model.decimals import ZERO
from engine.model.margin import UNLEVERED, MarginSetting

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from decimal import Decimal

    from engine.model.ids import AccountId, InstrumentId
    from engine.model.venue import VenuePosition

__all__ = ["FOUND", "Adopt", "Agree", "PositionDecision", "Wait", "compare_positions", "position_differences"]

FOUND = "found in the account at its first start"


@dataclass(frozen=True, slots=True)
class Adopt:
    """Book the difference as somebody else's."""

    event: ev.PositionAdopted
    booked: Decimal
    said: Decimal
    halt: str
    """Why trading halts; empty at a first start."""


@dataclass(frozen=True, slots=True)
class Agree:
    """Book leverage and margin mode as the venue has them."""

    event: ev.MarginSet


@dataclass(frozen=True, slots=True)
class Wait:
    """It differs, and not for long enough, or has no price: look again."""

    instrument: InstrumentId
    difference: Decimal


PositionDecision = Adopt | Agree | Wait


def position_differences(
    booked: Mapping[InstrumentId, Decimal], said: Sequence[VenuePosition]
) -> dict[InstrumentId, Decimal]:
    """What is missing in the books by derivative, negative where they have too much; what agrees is left out."""
    there = {position.instrument: position.quantity for position in said}
    missing = {key: there.get(key, ZERO) - booked.get(key, ZERO) for key in sorted({*booked, *there})}
    return {key: difference for key, difference in missing.items() if difference}


def compare_positions(
    account: AccountId,
    booked: Mapping[InstrumentId, Decimal],
    settings: Mapping[InstrumentId, MarginSetting],
    said: Sequence[VenuePosition],
    *,
    sure: Collection[tuple[InstrumentId, Decimal]],
    marks: Mapping[InstrumentId, Decimal],
    now: int,
    opening: bool = False,
) -> Iterator[PositionDecision]:
    """Decide what follows from the venue's positions, with every execution booked around the answer.

    Args:
        account: Whose.
        booked: Signed contracts by derivative of this venue; those it does not name count as none.
        settings: Leverage and margin mode by derivative where they are not the default.
        said: The venue's answer.
        sure: The differences that have lasted.
        marks: Present marks, for what the venue has no position in any more.
        now: When the venue was asked, UTC nanoseconds.
        opening: The account was not known before.

    Yields:
        Decisions by instrument in alphabetical order.
    """
    there = {position.instrument: position for position in said}
    differences = position_differences(booked, said)
    for key in sorted({*booked, *there}):
        position, mine = there.get(key), booked.get(key, ZERO)
        if position is not None:
            setting = MarginSetting(position.leverage, position.margin_mode)
            if position.quantity and setting != settings.get(key, UNLEVERED):
                lever, mode = setting.leverage, setting.mode
                yield Agree(ev.MarginSet(account=account, instrument=key, leverage=lever, mode=mode, adopted=True))
        theirs = position.quantity if position is not None else ZERO
        difference = differences.get(key)
        if difference is None:
            continue
        price = _price(position, mine, marks.get(key))
        if price is None or not (opening or (key, difference) in sure):
            yield Wait(key, difference)
            continue
        text = f"the venue has {theirs:f}, {mine:f} were booked"
        adopted = ev.PositionAdopted(
            account=account,
            instrument=key,
            quantity=difference,
            price=price,
            ts=now,
            reason=FOUND if opening else text,
        )
        halt = (
            f"The venue has {theirs:f} contracts of {key} where {mine:f} are booked, and no execution explains it. The "
            "difference was taken over as nobody's; look at the account, then resume on Risk."
        )
        yield Adopt(adopted, mine, theirs, "" if opening else halt)


def _price(position: VenuePosition | None, booked: Decimal, mark: Decimal | None) -> Decimal | None:
    if position is None:
        return mark
    return position.entry_price if not booked else position.mark_price
