"""Arming: one console's permission to send orders with real money, for a time and up to an amount.

It belongs to a connection and ends with it, with its time, and with the engine's process; a hand-over carries none
over. What closes, cancels or stops never asks for it.
"""

from __future__ import annotations

from contextlib import contextmanager
from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec

from engine.errors import AuthorizationError, ValidationError
from engine.model.decimals import ZERO
from engine.model.ids import AccountId, Currency, VenueId

if TYPE_CHECKING:
    from collections.abc import Iterator

    from engine.clock import Clock

__all__ = ["EMBEDDED", "NOT_ARMED", "Armed", "Arming"]

NOT_ARMED = "not_armed"
"""Error code by which a console knows that arming would let the request pass."""
EMBEDDED = "embedded"
"""Connection of the console in the engine's own process."""


class Armed(msgspec.Struct, kw_only=True):
    """One permission."""

    connection: str
    actor: str
    venue: VenueId
    account: AccountId
    until: int
    """UTC nanoseconds."""
    currency: Currency
    """The account's base currency, in which both limits are."""
    max_order: Decimal
    max_total: Decimal
    used: Decimal = ZERO
    """Value of what was sent."""


class Arming:
    """All permissions of an engine. Plain and synchronous.

    Args:
        clock: Ends them.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._armed: dict[tuple[str, AccountId], Armed] = {}

    def arm(self, wanted: Armed) -> Armed:
        """Give a permission, in the place of an older one of the same connection and account.

        Raises:
            ValidationError: Its limits contradict each other, or its time is over.
        """
        if wanted.max_order <= ZERO or wanted.max_total < wanted.max_order:
            raise ValidationError(
                f"One order may be worth up to {wanted.max_order:f}, all together {wanted.max_total:f} "
                f"{wanted.currency}: the second must be at least the first, and both above zero."
            )
        if wanted.until <= self._clock.now():
            raise ValidationError("The time of arming is over already; choose at least a minute.")
        self._armed[wanted.connection, wanted.account] = wanted
        return wanted

    def disarm(self, connection: str | None = None) -> int:
        """Take back what a connection has, or everything; tells how many permissions that were."""
        gone = [key for key in self._armed if connection is None or key[0] == connection]
        for key in gone:
            del self._armed[key]
        return len(gone)

    def standing(self, connection: str | None = None) -> list[Armed]:
        """What holds now, of one connection or of all."""
        now = self._clock.now()
        for key in [key for key, armed in self._armed.items() if armed.until <= now]:
            del self._armed[key]
        return [armed for key, armed in self._armed.items() if connection is None or key[0] == connection]

    @contextmanager
    def spending(self, connection: str, account: AccountId, value: Decimal | None) -> Iterator[Armed]:
        """Around a request with real money: what it is worth is used up, unless it is refused.

        Args:
            connection: Who asks.
            account: With whose money.
            value: What is sent is worth in the account's base currency; None when that is not known.

        Raises:
            AuthorizationError: Not armed, or more than was armed for; `error_code` is `not_armed`.
        """
        armed = self._check(connection, account, value)
        armed.used += value or ZERO
        try:
            yield armed
        except BaseException:
            armed.used -= value or ZERO
            raise

    def require(self, connection: str, account: AccountId) -> Armed:
        """What a connection has for an account, for a request without a value of its own. Raises as `spending`."""
        return self._check(connection, account, ZERO)

    def _check(self, connection: str, account: AccountId, value: Decimal | None) -> Armed:
        armed = next((found for found in self.standing(connection) if found.account == account), None)
        if armed is None:
            raise _refused(
                f"{account} trades real money and this console is not armed for it. Arm it for a time first, or "
                f"name venue and account with a single command (--live VENUE/{account}); cancelling, closing and the "
                "emergency stop need no arming."
            )
        if value is None:
            raise _refused("What the order is worth is not known, so it cannot be held against what you armed for.")
        if value > armed.max_order:
            raise _refused(
                f"The order is worth {value:,.2f} {armed.currency}, more than the {armed.max_order:,.2f} one order may "
                "be worth; order less, or arm for more."
            )
        if armed.used + value > armed.max_total:
            left = armed.max_total - armed.used
            raise _refused(
                f"The order is worth {value:,.2f} {armed.currency}; of what you armed for {left:,.2f} is left. Order "
                "less, or arm again."
            )
        return armed


def _refused(message: str) -> AuthorizationError:
    return AuthorizationError(message, error_code=NOT_ARMED)
