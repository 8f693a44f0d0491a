"""ccxt's exceptions as our errors: what is certain stays certain, and everything else is unknown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engine.errors import (
    AuthenticationError,
    AuthorizationError,
    ExchangeClockError,
    ExchangeConnectionError,
    ExchangeError,
    ExchangeInsufficientFundsError,
    ExchangeRateLimitError,
    NotFoundError,
    OrderRejectionError,
    QuarterdeckError,
    UnknownOutcomeError,
    ValidationError,
)
from engine.logs import redact
from engine.venues.native.failures import plain_words

if TYPE_CHECKING:
    from engine.model.ids import VenueId

__all__ = ["typed_error"]


def _table() -> list[tuple[str, type[QuarterdeckError]]]:
    """By the name of ccxt's class, the narrower before the wider."""
    return [
        ("DuplicateOrderId", UnknownOutcomeError),
        ("InsufficientFunds", ExchangeInsufficientFundsError),
        ("OrderNotFound", NotFoundError),
        ("InvalidOrder", OrderRejectionError),
        ("BadSymbol", ValidationError),
        ("ArgumentsRequired", ValidationError),
        ("BadRequest", ValidationError),
        ("NotSupported", ValidationError),
        ("PermissionDenied", AuthorizationError),
        ("AccountSuspended", AuthorizationError),
        ("AuthenticationError", AuthenticationError),
        ("InvalidNonce", ExchangeClockError),
        ("RateLimitExceeded", ExchangeRateLimitError),
        ("DDoSProtection", ExchangeRateLimitError),
        ("BadResponse", UnknownOutcomeError),
        ("NullResponse", UnknownOutcomeError),
        ("OperationFailed", UnknownOutcomeError),
        ("ExchangeError", ExchangeError),
    ]


def typed_error(venue: VenueId, error: Exception, what: str, *, changes: bool) -> QuarterdeckError:
    """The error that the caller of a unified method is to see.

    Args:
        venue: Whose method.
        error: What ccxt raised.
        what: The method, in words.
        changes: Whether it may have changed something at the venue.
    """
    if isinstance(error, QuarterdeckError):
        return error
    names = {kind.__name__ for kind in type(error).__mro__}
    # An answer that ccxt cannot read proves nothing about what it is the answer to.
    kind = next((kind for name, kind in _table() if name in names), UnknownOutcomeError)
    if kind is UnknownOutcomeError and not changes:
        kind = ExchangeConnectionError if "OperationFailed" in names else ExchangeError
    words = plain_words(redact(str(error)))
    details: dict[str, Any] = {"venue": venue, "words": words, "ccxt": type(error).__name__}
    return kind(f"{venue} did not carry out {what}: {words}", error_code=type(error).__name__, details=details)
