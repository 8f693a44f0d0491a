"""How far an emergency stop has come, in words and for the process that takes over."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from engine.model.ids import AccountId, ClientOrderId, InstrumentId, Owner
from engine.risk.scopes import Scope
from engine.risk.words import plain

__all__ = ["Progress", "StopTimers", "Unclosable"]


class Unclosable(msgspec.Struct, frozen=True, kw_only=True):
    """A position that an emergency stop could not close."""

    owner: Owner
    account: AccountId
    instrument: InstrumentId
    quantity: Decimal
    """Signed, what is left of it."""
    reason: str
    final: bool
    """Whether it counts as done: it is too small, or was tried often enough that waiting gains nothing."""

    @property
    def words(self) -> str:
        """It in a sentence."""
        return f"{plain(abs(self.quantity))} of {self.owner} in {self.instrument} is left: {self.reason}."


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """How far an emergency stop has come."""

    scope: Scope
    reason: str
    actor: str
    began: int
    """UTC nanoseconds."""
    orders: int
    """Orders that still work."""
    positions: int
    """Positions that are still to be closed."""
    left: tuple[Unclosable, ...]
    """What could not be closed so far, with amount and reason."""
    problems: tuple[str, ...]
    """What was refused, in words; it is tried again."""

    @property
    def done(self) -> bool:
        """True when nothing works and nothing that can be closed is held."""
        return not self.orders and not self.positions

    @property
    def words(self) -> str:
        """The progress in one line."""
        what = self.scope.words.capitalize()
        text = (
            f"{what} is stopped."
            if self.done
            else f"{what} is being stopped: {self.orders} orders to cancel, {self.positions} positions to close."
        )
        return " ".join((text, *self.problems, *(one.words for one in self.left)))


class StopTimers(msgspec.Struct, frozen=True, kw_only=True):
    """When an emergency stop did what, in UTC nanoseconds, so that another process goes on at the same pace."""

    began: int
    asked: dict[ClientOrderId, int] = {}
    tries: list[tuple[Owner, AccountId, InstrumentId, int, int]] = []
    """Tries to close a position, and when the next one is due."""
    sent: list[tuple[Owner, AccountId, InstrumentId, list[ClientOrderId]]] = []
    """The closing orders of the last try."""
