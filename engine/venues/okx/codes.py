"""OKX's error codes as typed errors, wherever they stand in an answer.

OKX refuses inside HTTP 200: `code` is not 0, and for an order the reason is in the `sCode` and `sMsg` of its row. A
code that is not in the table proves nothing about an order; it becomes a plain `ExchangeError`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from engine.errors import (
    AuthenticationError,
    AuthorizationError,
    ConflictError,
    ExchangeClockError,
    ExchangeConnectionError,
    ExchangeInsufficientFundsError,
    ExchangeRateLimitError,
    NotFoundError,
    OrderRejectionError,
    QuarterdeckError,
    UnknownOutcomeError,
    ValidationError,
)
from engine.venues.native.failures import FailureRow, Failures, Fault

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["CODES", "FAILURES", "MAINTENANCE", "SAME", "UNREADABLE", "read_fault"]

UNREADABLE = "unreadable"
"""Code of an answer that is no answer of OKX."""

_LIMITED: Mapping[str, str] = {
    "50011": "OKX's limit of requests is used up.",
    "50040": "OKX's limit for this operation is used up.",
    "50061": "The limit of new and changed orders of this account is used up.",
    "51113": "Too many requests to close positions.",
    "60014": "OKX's limit of messages is used up.",
}
"""Too many requests; nothing was done."""
_MAINTENANCE: Mapping[str, str] = {
    "50001": "OKX is under maintenance.",
    "50005": "This part of OKX is switched off for now.",
    "51022": "The contract is suspended for now.",
    "51030": "Funding is being settled; try again in a minute.",
}
"""Not for now; nothing was done."""
_UNKNOWN: Mapping[str, str] = {
    "50004": "OKX ran out of time.",
    "50013": "OKX is too busy.",
    "50026": "OKX had an error of its own.",
    "51054": "OKX ran out of time.",
    "51149": "OKX ran out of time placing the order.",
}
"""Whether something was done is not said."""
_SKEW: Mapping[str, str] = {
    "50036": "The request came later than it was good for.",
    "50102": "The request was too old by OKX's clock.",
    "50112": "The request's time is not readable for OKX.",
    "60006": "The login was too old by OKX's clock.",
}
"""Too old by OKX's clock; nothing was done."""
_KEY: Mapping[str, str] = {
    "50008": "The user does not exist.",
    "50100": "The key is frozen; ask OKX.",
    "50101": "The key belongs to the other environment: keys of demo trading work in demo trading alone.",
    "50103": "The key is missing.",
    "50104": "The passphrase is missing.",
    "50105": "The passphrase is wrong.",
    "50106": "The signature is missing.",
    "50107": "The time of the request is missing.",
    "50111": "The key is not known.",
    "50113": "The signature is wrong; check the secret.",
    "50114": "The key is not authorised.",
    "50119": "The key does not exist; check the region, too.",
    "60005": "The key is not known.",
    "60007": "The signature is wrong; check the secret.",
    "60009": "The login failed.",
    "60024": "The passphrase is wrong.",
    "60032": "The key does not exist; check the region, too.",
}
"""The key is not taken."""
_FORBIDDEN: Mapping[str, str] = {
    "50007": "The account is blocked.",
    "50009": "The account is suspended because it is being liquidated.",
    "50027": "The account may not trade.",
    "50030": "The key may not do that.",
    "50035": "This endpoint wants a key that is bound to addresses.",
    "50110": "The key is bound to other addresses.",
    "50120": "The key has no permission for that.",
    "51009": "OKX has blocked new orders of this account.",
    "51010": "The account's mode does not allow that; see Account mode at OKX.",
    "51024": "The account is blocked.",
    "51155": "OKX does not offer this pair where the account is registered.",
}
"""The key or the account may not do that."""
_FUNDS: Mapping[str, str] = {
    "51008": "The balance or the margin is insufficient.",
    "51119": "The balance is insufficient.",
    "51127": "The available balance is 0.",
    "51131": "The balance is insufficient.",
    "51148": "The funds do not allow that.",
    "51502": "The margin is insufficient for the change.",
    "51736": "The balance is insufficient.",
    "58350": "The balance is insufficient.",
    "59200": "The account's funds are insufficient.",
}
"""The account lacks the funds."""
_TAKEN: Mapping[str, str] = {
    "51016": "The client id is in use already.",
    "51065": "The client id is in use already.",
    "51066": "The client id is in use already.",
}
"""The client id is in use: the order it names may be the very one that was meant."""
_MISSING: Mapping[str, str] = {
    "51400": "The order is not open: it was filled, cancelled, or never was.",
    "51401": "The order was cancelled already.",
    "51402": "The order was completed already.",
    "51405": "There are no such orders.",
    "51410": "The order is being cancelled already.",
    "51503": "The order is not open: it was filled, cancelled, or never was.",
    "51509": "The order was cancelled already.",
    "51510": "The order was completed already.",
    "51603": "The order does not exist.",
}
"""The order is not known, or not open any more."""
_INVALID: Mapping[str, str] = {
    "50002": "OKX could not read the request.",
    "50014": "A parameter is missing.",
    "50015": "One of two parameters is missing.",
    "50016": "Two parameters do not fit together.",
    "50024": "Two parameters exclude each other.",
    "51000": "A parameter is wrong.",
    "51001": "The instrument does not exist.",
    "51003": "An order id is missing.",
    "51012": "The currency does not exist.",
    "51015": "The instrument is of another kind.",
    "51407": "An order id is missing.",
    "51500": "A price or a quantity is missing.",
    "59102": "The leverage is beyond what the instrument allows.",
    "59107": "The leverage cannot be changed while orders work in it.",
    "59109": "The margin would not suffice for that leverage; add margin or ask for more.",
    "59301": "The margin adjustment is beyond the limit.",
}
"""A parameter is wrong."""
_REJECTED: Mapping[str, str] = {
    "51004": "The position would be larger than its leverage allows.",
    "51005": "The quantity is beyond the limit.",
    "51006": "The price is beyond the limits of the moment.",
    "51020": "The quantity is below the minimum.",
    "51021": "The contract is not listed yet.",
    "51023": "The position does not exist.",
    "51025": "There are too many open orders.",
    "51027": "The contract has expired.",
    "51028": "The contract is being delivered.",
    "51112": "The quantity is larger than the position.",
    "51120": "The quantity is below the minimum.",
    "51121": "The quantity is not a multiple of the lot.",
    "51137": "The price is above the highest allowed now.",
    "51138": "The price is below the lowest allowed now.",
    "51169": "There is no position that the order could reduce.",
    "51170": "The order would enlarge a position that it may only reduce.",
    "51201": "A market order of that value is too large.",
    "51202": "The quantity of a market order is beyond the limit.",
    "51203": "The quantity is beyond the limit.",
    "51204": "A limit order needs a price.",
    "51205": "Reduce-only is not possible here.",
    "51261": "There are too many stop orders.",
    "51275": "The quantity of a stop order is beyond the limit.",
    "51277": "The trigger is on the wrong side: it would trigger at once.",
    "51278": "The trigger is on the wrong side: it would trigger at once.",
    "51279": "The trigger is on the wrong side: it would trigger at once.",
    "51280": "The trigger is on the wrong side: it would trigger at once.",
    "51403": "An order of this kind cannot be cancelled.",
    "51506": "An order of this kind cannot be changed.",
    "51511": "The change would make a post-only order take.",
}
"""The order is refused."""
_SAME: Mapping[str, str] = {
    "59000": "Nothing to change.",
    "59120": "It is set so already.",
}
"""It is as was asked for already."""

CODES: tuple[tuple[type[QuarterdeckError], Mapping[str, str]], ...] = (
    (ExchangeRateLimitError, _LIMITED),
    (ExchangeConnectionError, _MAINTENANCE),
    (UnknownOutcomeError, _UNKNOWN),
    (ExchangeClockError, _SKEW),
    (AuthenticationError, _KEY),
    (AuthorizationError, _FORBIDDEN),
    (ExchangeInsufficientFundsError, _FUNDS),
    (UnknownOutcomeError, _TAKEN),
    (NotFoundError, _MISSING),
    (ValidationError, _INVALID),
    (OrderRejectionError, _REJECTED),
    (ConflictError, _SAME),
)
"""What each code means, and in our words."""
MAINTENANCE = frozenset({"50001", "50005"})
SAME = frozenset(_SAME)
_LIMITS: Mapping[str, tuple[str, ...]] = {"50061": ("orders_per_2_seconds",)}
"""Limits that a code speaks of; the others speak of the endpoint's own."""


class _Row(msgspec.Struct, frozen=True, rename="camel"):
    s_code: str = "0"
    s_msg: str = ""


class _Answer(msgspec.Struct, frozen=True):
    code: str = "0"
    msg: str = ""
    data: msgspec.Raw = msgspec.Raw(b"[]")


_answer = msgspec.json.Decoder(_Answer)
_rows = msgspec.json.Decoder(list[_Row])


def read_fault(status: int, body: bytes) -> Fault | None:
    """What an answer refuses with; None for success, and for pages that say nothing beyond their HTTP status."""
    try:
        answer = _answer.decode(body)
    except msgspec.DecodeError:
        return Fault(UNREADABLE, body[:200].decode(errors="replace")) if 200 <= status < 300 else None
    # Only orders have codes of their own; rows of other answers are arrays, or have none.
    if b'"sCode"' in body:
        try:
            rows = _rows.decode(answer.data)
        except msgspec.DecodeError:
            rows = []
        for row in rows:
            if row.s_code != "0":
                return Fault(row.s_code, row.s_msg.strip() or answer.msg)
    return None if answer.code == "0" else Fault(answer.code, answer.msg)


def _table() -> tuple[FailureRow, ...]:
    rows = [
        FailureRow(
            error=error,
            codes=frozenset({code}),
            says=words,
            limits=_LIMITS.get(code, ("*",)) if error is ExchangeRateLimitError else (),
            pause_s=2.0 if error is ExchangeRateLimitError else None,
        )
        for error, codes in CODES
        for code, words in codes.items()
    ]
    return (*rows, FailureRow(error=UnknownOutcomeError, codes=frozenset({UNREADABLE})))


FAILURES = Failures("OKX", read_fault, _table())
"""For the transport and for the streams."""
