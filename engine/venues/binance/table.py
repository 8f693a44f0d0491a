"""What Binance's spot and USD-M services have in common: codes of refusals, units of time, names of candles."""

from __future__ import annotations

from engine.errors import (
    AuthenticationError,
    AuthorizationError,
    ConfigurationError,
    ExchangeBannedError,
    ExchangeClockError,
    ExchangeConnectionError,
    ExchangeInsufficientFundsError,
    ExchangeRateLimitError,
    NotFoundError,
    OrderRejectionError,
    UnknownOutcomeError,
    ValidationError,
)
from engine.venues.native.failures import FailureRow, Failures, json_fault

__all__ = ["MAINTAINED", "MS", "NO_SYMBOL", "TIMEFRAMES", "binance_failures"]

MS = 1_000_000
"""Nanoseconds in Binance's unit of time."""
NO_SYMBOL = "-1121"
"""Code of a request about a symbol that is not listed; it says nothing about an order or an execution."""
TIMEFRAMES = frozenset({"1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h", "1d", "3d", "1w"})

HEDGED = (
    "The {venue} account is in hedge mode, which is not supported. Switch it to one-way mode in the venue's futures "
    "preferences (Position Mode), with no position and no order open, and start again."
)


def _codes(*codes: int) -> frozenset[str]:
    return frozenset(str(code) for code in codes)


MAINTAINED = _codes(-1016)
"""By which Binance says that it is being maintained."""
_ROWS = (
    # An order with an id that was used: which of the two it is told about is not known without asking.
    FailureRow(error=UnknownOutcomeError, codes=_codes(-2010, -4116, -4111), pattern="duplicate"),
    FailureRow(error=UnknownOutcomeError, codes=_codes(-4116, -20132)),
    FailureRow(error=ExchangeInsufficientFundsError, codes=_codes(-2010, -1013), pattern="insufficient balance"),
    FailureRow(error=ExchangeInsufficientFundsError, codes=_codes(-2018, -2019, -4050, -4051)),
    FailureRow(error=ExchangeRateLimitError, codes=_codes(-1015), limits=("orders_per_10_seconds",)),
    FailureRow(error=ExchangeBannedError, status=418),
    FailureRow(error=ExchangeRateLimitError, status=429),
    FailureRow(error=ExchangeRateLimitError, codes=_codes(-1003, -1008, -1034)),
    FailureRow(error=ExchangeClockError, codes=_codes(-1021, -5028)),
    # Never sent on, says the venue, when it answers 503 in just these words; the page of a proxy says no such thing.
    FailureRow(
        error=ExchangeConnectionError,
        status=503,
        pattern=r"^(service unavailable\.?|internal error; unable to process your request\. please try again\.?)$",
    ),
    FailureRow(error=UnknownOutcomeError, codes=_codes(-1000, -1001, -1006, -1007, -1016)),
    FailureRow(error=AuthenticationError, codes=_codes(-2014, -2015, -1022, -1002, -2008)),
    FailureRow(error=AuthorizationError, codes=_codes(-4087, -4088, -2017, -1109)),
    FailureRow(error=ConfigurationError, codes=_codes(-4061, -4068), says=HEDGED),
    FailureRow(error=NotFoundError, codes=_codes(-2011, -2013, -2038)),
    FailureRow(error=NotFoundError, codes=frozenset({NO_SYMBOL})),
    FailureRow(
        error=OrderRejectionError,
        codes=_codes(-4120),
        says="{venue} takes stop and take-profit orders on another path only; this is a fault of the adapter.",
    ),
    FailureRow(
        error=OrderRejectionError,
        codes=_codes(-2021),
        says="{venue} would trigger the order at once; set its stop price on the other side of the market.",
    ),
    FailureRow(
        error=OrderRejectionError,
        codes=_codes(-5022),
        says="{venue} did not take the post-only order because it would have traded at once.",
    ),
    FailureRow(
        error=OrderRejectionError,
        codes=_codes(
            -1013, -1111, -2010, -2020, -2022, -2024, -2025, -2026, -2027, -2028, -4003, -4004, -4005, -4013, -4014,
            -4016, -4023, -4024, -4045, -4118, -4131, -4140, -4164, -4400, -5021, -5024, -5025, -5026, -5027, -20121,
            -20124,
        ),
    ),
    FailureRow(error=ValidationError, codes=_codes(-4028, -4046, -4047, -4048, -4161, -4168)),
    FailureRow(
        error=ValidationError,
        codes=frozenset(str(code) for code in (*range(-1139, -1099), *range(-4020, -3999))) - _codes(-1109, -1121),
    ),
)  # fmt: skip


def binance_failures(venue: str) -> Failures:
    """The table of refusals, in the venue's name."""
    return Failures(venue, json_fault("code", words=("msg",)), _ROWS)
