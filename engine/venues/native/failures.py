"""From what a venue answers to a typed error: tables of codes, and what a bare HTTP status means."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import msgspec

from engine.errors import (
    AuthenticationError,
    AuthorizationError,
    ExchangeBannedError,
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

if TYPE_CHECKING:
    from engine.venues.native.request import Endpoint

__all__ = ["FailureRow", "Failures", "Fault", "json_fault", "plain_words"]

WORDS = 300
"""Characters of the venue's words that are kept."""
_TAGS = re.compile(r"<(script|style)\b.*?</\1\s*>|<[a-z/!?][^>]*>", re.S | re.I)
_SPACE = re.compile(r"\s+")
_UNTIL = re.compile(r"banned until (\d{13})")
_NUMBER = re.compile(r"\d+(\.\d+)?\Z")


class Fault(msgspec.Struct, frozen=True):
    """A failure as the venue tells it."""

    code: str
    """The venue's own code; empty when it names none."""
    words: str = ""
    details: Mapping[str, str] = {}
    """More that the venue tells, such as {"required": "10", "available": "3", "currency": "USDT"}."""


class FailureRow(msgspec.Struct, frozen=True, kw_only=True):
    """One row of a venue's table; the first that fits decides. What is left at its default fits everything."""

    error: type[QuarterdeckError]
    """`UnknownOutcomeError` becomes `ExchangeConnectionError` for requests that change nothing."""
    codes: frozenset[str] = frozenset()
    status: int | None = None
    pattern: str = ""
    """Regular expression that is found in the venue's words; its named groups become details, such as `required` and
    `available` of missing funds."""
    says: str = ""
    """A sentence in place of the type's own."""
    retryable: bool | None = None
    """Instead of what the error's type says."""
    limits: tuple[str, ...] = ()
    """For too many requests: the limits that are paused, by name, for this account or endpoint where they are counted
    apart; none for the whole host, `*` for all that the request's cost names (all but `requests`)."""
    pause_s: float | None = None
    """For how long, where the venue does not say it."""

    def fits(self, status: int, fault: Fault) -> bool:
        """Whether this row is about such a failure."""
        return (
            (not self.codes or fault.code in self.codes)
            and (self.status is None or self.status == status)
            and (not self.pattern or re.search(self.pattern, fault.words, re.I) is not None)
        )


class Failures:
    """A venue's table of failures.

    Args:
        venue: Its name in sentences.
        read: Finds the failure that a body tells, whatever the status; None for a body that tells none. Never raises.
        rows: The venue's own rows; what fits none of them is judged by its HTTP status.
    """

    def __init__(
        self, venue: str, read: Callable[[int, bytes], Fault | None], rows: tuple[FailureRow, ...] = ()
    ) -> None:
        self._venue = venue
        self._read = read
        self._rows = rows

    def find(self, status: int, body: bytes) -> Fault | None:
        """The failure in an answer; None for a success."""
        fault = self._read(status, body)
        if fault is None and not 200 <= status < 300:
            fault = Fault("", plain_words(body[: 16 * WORDS].decode("utf-8", "replace")))
        return fault

    def row(self, status: int, fault: Fault) -> FailureRow | None:
        """The row of the venue's table that is about this failure."""
        return next((row for row in self._rows if row.fits(status, fault)), None)

    def error(
        self, status: int, fault: Fault, endpoint: Endpoint, headers: Mapping[str, str] | None = None, *, now: int = 0
    ) -> QuarterdeckError:
        """The error that a failure means.

        Args:
            status: HTTP status; 200 for failures on a stream.
            fault: What `find` found, or what one entry of a list of results says.
            endpoint: What was asked.
            headers: Of the answer, by lower-case name.
            now: UTC nanoseconds, for venues that name a time and not a duration.
        """
        row = self.row(status, fault)
        kind, says = (row.error, row.says) if row else _by_status(status)
        if kind is UnknownOutcomeError and not endpoint.changes:
            kind, says = ExchangeConnectionError, ""
        words = redact(fault.words)[:WORDS]
        details: dict[str, object] = {
            "venue": self._venue,
            "endpoint": endpoint.name,
            "http_status": status,
            "words": words,
            **fault.details,
        }
        if row and row.pattern and (found := re.search(row.pattern, fault.words, re.I)):
            details |= {name: text for name, text in found.groupdict().items() if text is not None}
        if issubclass(kind, ExchangeRateLimitError):
            details |= _pause(row, fault, headers or {}, now)
        error = kind(
            self._sentence(kind, says, status, fault.code, words, details),
            error_code=fault.code or (f"HTTP {status}" if not 200 <= status < 300 else None),
            details=details,
        )
        if row and row.retryable is not None:
            # One code may be worth another try where its family is not.
            error.__dict__["retryable"] = row.retryable
        return error

    def _sentence(
        self, kind: type[QuarterdeckError], says: str, status: int, code: str, words: str, details: Mapping[str, object]
    ) -> str:
        sentence = (says or next(text for family, text in _SENTENCES if issubclass(kind, family))).format(
            venue=self._venue
        )
        if issubclass(kind, ExchangeInsufficientFundsError) and {"required", "available"} <= details.keys():
            unit = f" {details['currency']}" if "currency" in details else ""
            sentence += f" Needed are {details['required']}{unit}, there are {details['available']}{unit}."
        if issubclass(kind, ExchangeBannedError) and "until" in details:
            sentence += f" It lasts until {details['until']}."
        told = " ".join(part for part in (code, words) if part) or f"HTTP {status}"
        return f"{sentence} It said: {told}"


_SENTENCES: tuple[tuple[type[QuarterdeckError], str], ...] = (
    (UnknownOutcomeError, "{venue} did not say what became of the request; it is asked for by its id."),
    (ExchangeBannedError, "{venue} has shut this machine out because of too many requests; nothing is sent."),
    (ExchangeRateLimitError, "{venue} wants fewer requests; this one did nothing and may be sent again later."),
    (ExchangeInsufficientFundsError, "{venue} says that the account lacks the funds."),
    (ExchangeClockError, "{venue} says that the request's time is wrong; it did nothing. The clock is measured anew."),
    (ExchangeConnectionError, "{venue} could not answer; try again."),
    (OrderRejectionError, "{venue} rejected the order."),
    (AuthenticationError, "{venue} does not take the key; check it with `quarterdeck keys test`."),
    (AuthorizationError, "{venue} does not allow this key to do that; check its permissions there."),
    (NotFoundError, "{venue} does not know that."),
    (ValidationError, "{venue} cannot accept that."),
    (QuarterdeckError, "{venue} refused."),
)

_REGION = (
    "{venue} does not serve the place that this machine's address belongs to; nothing can be done here but to use "
    "another venue."
)
_FIREWALL = (
    "{venue} turned the request away before reading it: its firewall refuses this machine's address or what was asked. "
    "Check the address list of the key and whether the venue serves this place."
)


def _by_status(status: int) -> tuple[type[QuarterdeckError], str]:
    """What a status means when no row of the venue's table speaks about it."""
    known: dict[int, tuple[type[QuarterdeckError], str]] = {
        401: (AuthenticationError, ""),
        403: (AuthorizationError, _FIREWALL),
        408: (UnknownOutcomeError, ""),
        418: (ExchangeBannedError, ""),
        429: (ExchangeRateLimitError, ""),
        451: (ExchangeError, _REGION),
    }
    if status in known:
        return known[status]
    # A server that failed may have done its work before; only the venue's own word about the order tells.
    return (UnknownOutcomeError, "") if status >= 500 else (ExchangeError, "")


def _pause(row: FailureRow | None, fault: Fault, headers: Mapping[str, str], now: int) -> dict[str, object]:
    limits: dict[str, object] = {"limits": row.limits} if row and row.limits else {}
    after = headers.get("retry-after", "")
    if _NUMBER.match(after):
        ms = int(float(after) * 1000)
    elif found := _UNTIL.search(fault.words):
        ms = max(0, int(found[1]) - now // 1_000_000)
    elif row is not None and row.pause_s is not None:
        ms = int(row.pause_s * 1000)
    else:
        return limits
    until = datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=now // 1_000_000 + ms)
    return {"retry_after_ms": ms, "until": until.isoformat(timespec="seconds"), **limits}


def plain_words(text: str) -> str:
    """What a person can read of an answer that may be a page: without markup, in one line of at most `WORDS`."""
    return _SPACE.sub(" ", _TAGS.sub(" ", text[: 16 * WORDS])).strip()[:WORDS]


def json_fault(
    *codes: str, words: tuple[str, ...] = ("msg", "message", "error", "error_message")
) -> Callable[[int, bytes], Fault | None]:
    """A reader for venues that put code and words at the top of an answer that is no success.

    Args:
        codes: Keys of the code, the first that is there counts.
        words: Likewise of the words.
    """

    def read(status: int, body: bytes) -> Fault | None:
        if 200 <= status < 300:
            return None
        try:
            told = msgspec.json.decode(body)
        except msgspec.DecodeError:
            return None
        if not isinstance(told, dict):
            return None
        code = next((str(told[key]) for key in codes if key in told), "")
        return Fault(code, next((str(told[key]) for key in words if key in told), ""))

    return read
