"""Coinbase's own error codes as typed errors, with the raw code kept in `error_code`.

Refusals come in four dresses: `{"success": false, "error_response": …}` inside HTTP 200, `results` of a batch with
`success: false` each, `{"error", "error_details", "message"}` with a status of 4xx or 5xx, and an HTML page.
"""

from __future__ import annotations

import msgspec

from engine.errors import (
    AuthenticationError,
    AuthorizationError,
    ExchangeError,
    ExchangeInsufficientFundsError,
    ExchangeRateLimitError,
    NotFoundError,
    OrderRejectionError,
    QuarterdeckError,
    UnknownOutcomeError,
    ValidationError,
)
from engine.venues.coinbase.wire import CancelResult, Refusal
from engine.venues.native.failures import FailureRow, Failures, Fault

__all__ = ["CODES", "FAILURES", "cancel_fault", "read_fault", "stream_refusal"]

_FUNDS = ExchangeInsufficientFundsError
_RULES = OrderRejectionError

CODES: dict[str, type[QuarterdeckError]] = {
    # money
    "INSUFFICIENT_FUND": _FUNDS,
    "INSUFFICIENT_FUNDS": _FUNDS,
    "INVALID_LEDGER_BALANCE": _FUNDS,
    "PREVIEW_INSUFFICIENT_FUND": _FUNDS,
    "PREVIEW_INSUFFICIENT_FUNDS_FOR_FUTURES": _FUNDS,
    "PREVIEW_INSUFFICIENT_LEDGER_BALANCE": _FUNDS,
    "PREVIEW_INVALID_LEDGER_BALANCE": _FUNDS,
    # the order breaks a rule of the product, or of the moment
    "BREACHED_PRICE_LIMIT": _RULES,
    "COMMANDER_REJECTED_NEW_ORDER": _RULES,
    "DUPLICATE_CLIENT_ORDER_ID": UnknownOutcomeError,
    "FOK_DISABLED": _RULES,
    "FOK_ONLY_ALLOWED_ON_LIMIT_ORDERS": _RULES,
    "GEOFENCING_RESTRICTION": AuthorizationError,
    "INELIGIBLE_PAIR": _RULES,
    "INVALID_BRACKET_PRICES": _RULES,
    "INVALID_LIMIT_PRICE": _RULES,
    "INVALID_LIMIT_PRICE_POST_ONLY": _RULES,
    "INVALID_NO_LIQUIDITY": _RULES,
    "INVALID_PRICE_PRECISION": _RULES,
    "INVALID_PRODUCT_ID": _RULES,
    "INVALID_REQUEST": _RULES,
    "INVALID_SIDE": _RULES,
    "INVALID_SIZE_PRECISION": _RULES,
    "LIMIT_PRICE_TOO_FAR_FROM_MARKET": _RULES,
    "MISSING_MARKET_TRADE_DATA": _RULES,
    "ORDER_ENTRY_DISABLED": _RULES,
    "PORTFOLIO_DOES_NOT_EXIST": _RULES,
    "POST_ONLY_NOT_ALLOWED_WITH_FOK": _RULES,
    "STOP_TRIGGER_PRICE_OUT_OF_BOUNDS": _RULES,
    "UNSUPPORTED_ORDER_CONFIGURATION": _RULES,
    "UNTRADABLE_PRODUCT": _RULES,
    "PREVIEW_BREACHED_ACCOUNT_POSITION_LIMIT": _RULES,
    "PREVIEW_BREACHED_COMPANY_POSITION_LIMIT": _RULES,
    "PREVIEW_BREACHED_PRICE_LIMIT": _RULES,
    "PREVIEW_INVALID_BASE_SIZE_TOO_LARGE": _RULES,
    "PREVIEW_INVALID_BASE_SIZE_TOO_SMALL": _RULES,
    "PREVIEW_INVALID_LIMIT_PRICE": _RULES,
    "PREVIEW_INVALID_LIMIT_PRICE_POST_ONLY": _RULES,
    "PREVIEW_INVALID_NO_LIQUIDITY": _RULES,
    "PREVIEW_INVALID_ORDER_CONFIG": _RULES,
    "PREVIEW_INVALID_ORDER_TYPE_FOR_LIMIT_ONLY_PRODUCT": _RULES,
    "PREVIEW_INVALID_PRICE_PRECISION": _RULES,
    "PREVIEW_INVALID_PRICE_TOO_LARGE": _RULES,
    "PREVIEW_INVALID_PRODUCT_ID": _RULES,
    "PREVIEW_INVALID_QUOTE_SIZE_PRECISION": _RULES,
    "PREVIEW_INVALID_QUOTE_SIZE_TOO_LARGE": _RULES,
    "PREVIEW_INVALID_QUOTE_SIZE_TOO_SMALL": _RULES,
    "PREVIEW_INVALID_SIDE": _RULES,
    "PREVIEW_INVALID_SIZE_PRECISION": _RULES,
    "PREVIEW_INVALID_STOP_PRICE": _RULES,
    "PREVIEW_MISSING_COMMISSION_RATE": _RULES,
    "PREVIEW_MISSING_PRODUCT_PRICE_BOOK": _RULES,
    "PREVIEW_STOP_PRICE_ABOVE_LAST_TRADE_PRICE": _RULES,
    "PREVIEW_STOP_PRICE_ABOVE_LIMIT_PRICE": _RULES,
    "PREVIEW_STOP_PRICE_BELOW_LAST_TRADE_PRICE": _RULES,
    "PREVIEW_STOP_PRICE_BELOW_LIMIT_PRICE": _RULES,
    # changes and cancels
    "CANNOT_EDIT_TO_BELOW_FILLED_SIZE": _RULES,
    "COMMANDER_REJECTED_CANCEL_ORDER": _RULES,
    "DUPLICATE_CANCEL_REQUEST": _RULES,
    "INVALID_CANCEL_PRODUCT_ID": _RULES,
    "INVALID_CANCEL_REQUEST": _RULES,
    "INVALID_CANCEL_FCM_TRADING_SESSION": _RULES,
    "NOT_ALLOWED_TO_CANCEL": _RULES,
    "COMMANDER_REJECTED_EDIT_ORDER": _RULES,
    "EDIT_REQUEST_BELOW_FILLED_SIZE": _RULES,
    "INVALID_EDITED_PRICE": _RULES,
    "INVALID_EDITED_SIZE": _RULES,
    "INVALID_ORDER_TYPE": _RULES,
    "ONLY_LIMIT_ORDER_EDITS_SUPPORTED": _RULES,
    "ONLY_OPEN_ORDERS_CAN_BE_EDITED": _RULES,
    "ORDER_IS_FULLY_FILLED": _RULES,
    "ORDER_NOT_FOUND": NotFoundError,
    "QUOTE_SIZE_NOT_ALLOWED": _RULES,
    "UNKNOWN_CANCEL_ORDER": NotFoundError,
    # the key, and the account behind it
    "PERMISSION_DENIED": AuthorizationError,
    "UNAUTHENTICATED": AuthenticationError,
    "authentication_error": AuthenticationError,
    "expired_token": AuthenticationError,
    "identity_verification_required": AuthorizationError,
    "invalid_scope": AuthorizationError,
    "invalid_token": AuthenticationError,
    "revoked_token": AuthenticationError,
    "two_factor_required": AuthorizationError,
    "unauthorized": AuthenticationError,
    # the request
    "INVALID_ARGUMENT": ValidationError,
    "NOT_FOUND": NotFoundError,
    "invalid_request": ValidationError,
    "not_found": NotFoundError,
    "param_required": ValidationError,
    "validation_error": ValidationError,
    # too much, or not now
    "RESOURCE_EXHAUSTED": ExchangeRateLimitError,
    "rate_limit_exceeded": ExchangeRateLimitError,
    "resource_exhausted": ExchangeRateLimitError,
    # the venue does not know either
    "ABORTED": UnknownOutcomeError,
    "CANCELLED": UnknownOutcomeError,
    "DEADLINE_EXCEEDED": UnknownOutcomeError,
    "INTERNAL": UnknownOutcomeError,
    "UNAVAILABLE": UnknownOutcomeError,
    "UNKNOWN": UnknownOutcomeError,
    "UNKNOWN_FAILURE_REASON": UnknownOutcomeError,
    "internal_server_error": UnknownOutcomeError,
}
"""Type of each of Coinbase's codes. Whether the same request may succeed later without a change is `retryable` of the
type: only for ExchangeRateLimitError, and for questions that were not answered."""

_NOTHING = frozenset(
    {
        "",
        "UNKNOWN_FAILURE_REASON",
        "UNKNOWN_PREVIEW_FAILURE_REASON",
        "UNKNOWN_CANCEL_FAILURE_REASON",
        "UNKNOWN_EDIT_ORDER_FAILURE_REASON",
        "PREVIEW_UNKNOWN_FAILURE_REASON",
    }
)
"""Codes that only fill a field."""
UNEXPLAINED = "UNKNOWN_FAILURE_REASON"
"""Code of a failure that Coinbase cannot explain itself."""


class _Told(msgspec.Struct, frozen=True, kw_only=True):
    success: bool | None = None
    failure_reason: str = ""
    error_response: Refusal | None = None
    errors: list[Refusal] | Refusal | None = None
    error: str = ""
    error_details: str = ""
    error_description: str = ""
    message: str = ""


_TOLD = msgspec.json.Decoder(_Told)


def read_fault(status: int, body: bytes) -> Fault | None:
    """The failure that an answer tells, also inside HTTP 200; None for a success and for an HTML page."""
    well = 200 <= status < 300
    # Listings hold no such field; they are not read twice.
    if well and b'"success"' not in body[:4096]:
        return None
    try:
        told = _TOLD.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    if well:
        return None if told.success is not False else _refused(told)
    return Fault(told.error, told.message or told.error_details or told.error_description)


def _refused(told: _Told) -> Fault:
    """The narrowest reason that says anything: a preview's is more exact than the order's."""
    errors = [told.errors] if isinstance(told.errors, Refusal) else list(told.errors or ())
    why = told.error_response or (errors[0] if errors else Refusal())
    said = [code for code in (*why.reasons(), told.failure_reason) if code not in _NOTHING]
    code = next((code for code in said if code in CODES), said[0] if said else "")
    words = why.message or why.error_details
    return Fault(code or UNEXPLAINED, words)


def cancel_fault(result: CancelResult) -> Fault:
    """Why one cancel of several was not carried out."""
    return Fault(UNEXPLAINED if result.failure_reason in _NOTHING else result.failure_reason)


def _rows() -> tuple[FailureRow, ...]:
    by_type: dict[type[QuarterdeckError], set[str]] = {}
    for code, kind in CODES.items():
        by_type.setdefault(kind, set()).add(code)
    known = tuple(FailureRow(error=kind, codes=frozenset(codes)) for kind, codes in by_type.items())
    # A reason that is new to us inside HTTP 200 is still a refusal.
    lost = FailureRow(error=NotFoundError, pattern="order with this orderID was not found")
    return (lost, *known, FailureRow(error=OrderRejectionError, status=200))


FAILURES = Failures("Coinbase", read_fault, _rows())
"""From answers to typed errors."""


def stream_refusal(words: str) -> QuarterdeckError:
    """The error of a subscription that was refused; streams carry no codes, only words."""
    lower = words.lower()
    if any(part in lower for part in ("authenticat", "jwt", "unauthorized", "permission")):
        return AuthenticationError(
            f"Coinbase does not take the key for its stream: {words}.", error_code="stream_authentication"
        )
    if "rate limit" in lower or "too many" in lower:
        return ExchangeRateLimitError(f"Coinbase wants fewer subscriptions: {words}.", error_code="stream_rate_limit")
    return ExchangeError(f"Coinbase refused a subscription: {words}.", error_code="stream")
