"""Requests to an exchange as tables describe them, and the way they take."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

if TYPE_CHECKING:
    from engine.model.ids import AccountId

__all__ = ["Answer", "Endpoint", "Params", "Priority", "Transport"]

Params = Mapping[str, Any] | Sequence[Mapping[str, Any]]
"""Path, query and body parameters, numbers as text; a list where a venue wants its body to be one."""


class Priority(enum.IntEnum):
    """Who goes first when a rate limit leaves room for few."""

    EMERGENCY = 0
    """Cancels, flattening, the dead-man's switch; may use the part of every limit that is kept back for it."""
    PROTECT = 1
    """Protective and reduce-only orders."""
    ORDER = 2
    """New orders and changes."""
    QUERY = 3
    """Questions about orders, executions, balances, positions."""
    DATA = 4
    """Instruments, candles, books."""


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """One row of an adapter's table of requests."""

    name: str
    """As it is called in the adapter, in logs and in figures, such as `place`."""
    method: str
    """GET, POST, PUT or DELETE."""
    path: str
    """As ccxt's `sign` wants it: without the address, without a leading slash, with `{holes}` for path parameters."""
    api: Any = "public"
    """ccxt's section of the address, such as `private` or `("v3", "private")`."""
    cost: Mapping[str, float] = {}
    """What it takes of the units that the venue's limits count (`engine.venues.limits.rules.Limit.unit`), such as
    {"weight": 4, "orders": 1}; every request is also one of `requests` without being said."""
    priority: Priority = Priority.DATA
    changes: bool = False
    """Whether the request changes something: then no answer means that the outcome is unknown."""


class Answer(msgspec.Struct, frozen=True, gc=False):
    """What came back, as it came."""

    status: int
    body: bytes
    headers: Mapping[str, str]
    """By lower-case name."""
    sent: int
    """UTC nanoseconds (engine clock) at which it left."""
    received: int


class Transport(Protocol):
    """Carries one account's requests to one venue; every one passes the rate coordinator first."""

    async def call(
        self,
        endpoint: Endpoint,
        params: Params | None = None,
        *,
        priority: Priority | None = None,
        cost: Mapping[str, float] | None = None,
    ) -> bytes:
        """Send a request and give the body of a successful answer.

        Args:
            endpoint: What is asked.
            params: Path, query and body parameters as ccxt's `sign` takes them; numbers as text.
            priority: Instead of the endpoint's.
            cost: Instead of the endpoint's, where it depends on the parameters.

        Raises:
            UnknownOutcomeError: It left and no answer came, and the endpoint changes something.
            ExchangeConnectionError: It certainly did not leave, or a question was not answered.
            ExchangeRateLimitError: The venue refuses for now, or its limit leaves no room in time; it did nothing.
            ExchangeError: The venue refuses; `error_code` is its own code, `details` hold its words. The adapter's
                table of errors decides the type (OrderRejectionError, ExchangeInsufficientFundsError, NotFoundError,
                ValidationError, AuthenticationError …).
        """

    @property
    def account(self) -> AccountId | None:
        """Whose key signs; None for public requests."""
