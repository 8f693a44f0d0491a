"""What a check of a venue has shown: written down so that it can be shown to anybody, and what is remembered of it."""

from __future__ import annotations

import enum
import os
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec

from engine.errors import StorageError
from engine.model.ids import InstrumentId, VenueId

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

__all__ = [
    "CheckReport",
    "CheckResult",
    "Outcome",
    "Passed",
    "Redactor",
    "end_of",
    "last_passed",
    "line_of",
    "plain_of",
    "text_of",
    "write_report",
]

FOLDER = "venue-checks"
_MEMORY = "passed.json"
_LONG = re.compile(
    r"\b(?![a-z]+(?:_[a-z0-9]+)+\b)(?=[A-Za-z_+/=-]*\d)[A-Za-z0-9_+/=-]{20,}|(?<![\d.])\d{7,}|[0-9a-fA-F]{8}-[0-9a-fA-F-]{27}"
)
"""What may be a key, an order's number or an account's: long runs of letters and digits."""
_AMOUNT = re.compile(r"\d+[.,]\d+")
_SIGNS = {"passed": "ok  ", "warned": "CARE", "skipped": "-   ", "failed": "FAIL"}


class Outcome(enum.StrEnum):
    """How one check ended."""

    PASSED = "passed"
    WARNED = "warned"
    SKIPPED = "skipped"
    FAILED = "failed"


class CheckResult(msgspec.Struct, frozen=True, kw_only=True):
    """One check."""

    name: str
    about: str
    """What was looked at, in words."""
    outcome: Outcome
    words: str
    """What was seen; nothing secret."""
    ms: float


class CheckReport(msgspec.Struct, frozen=True, kw_only=True):
    """A whole check. It names no key, no account, no balance, and no order but its own."""

    release: str
    venue: VenueId
    adapter: str
    target: str
    """Where requests went, such as `binance testnet`."""
    instrument: InstrumentId
    begun: int
    """UTC nanoseconds."""
    ended: int
    private: bool
    """Whether an account was asked for."""
    traded: bool
    """Whether orders were placed."""
    checks: tuple[CheckResult, ...]
    leftovers: tuple[str, ...] = ()
    """What the check could not clean up, in sentences that name its own orders."""

    @property
    def passed(self) -> bool:
        """Whether nothing failed and nothing was left over."""
        return not self.leftovers and all(check.outcome is not Outcome.FAILED for check in self.checks)


class Passed(msgspec.Struct, frozen=True, kw_only=True):
    """What is remembered of a check that was passed."""

    venue: VenueId
    target: str
    private: bool
    traded: bool
    release: str
    ts: int
    """UTC nanoseconds."""


class Redactor:
    """Takes out of sentences what nobody else may know.

    Args:
        secrets: Words that are never written: keys, names of accounts.
        own: Order ids of the check itself, which may be.
    """

    def __init__(self, secrets: Iterable[str], own: Iterable[str] = ()) -> None:
        self._secrets = sorted({word for word in secrets if word}, key=len, reverse=True)
        self.own = set(own)

    def words(self, text: str) -> str:
        """A sentence of the check itself, in which amounts are its own."""
        for word in self._secrets:
            text = text.replace(word, "…")
        return _LONG.sub(lambda found: found[0] if found[0] in self.own else "…", text)

    def foreign(self, text: str) -> str:
        """A sentence that a venue or a library has said, which may tell amounts of an account."""
        return _AMOUNT.sub("…", self.words(text))


def plain_of(report: CheckReport) -> dict[str, Any]:
    """The report as plain JSON values, with its verdict."""
    return {"passed": report.passed, **msgspec.to_builtins(report)}


def line_of(check: CheckResult) -> str:
    """One check for reading."""
    return f"{_SIGNS[check.outcome]}  {check.about} ({check.ms:,.0f} ms)\n      {check.words}"


def end_of(report: CheckReport) -> str:
    """What follows from all checks, for reading."""
    count = {outcome: sum(c.outcome is outcome for c in report.checks) for outcome in Outcome}
    verdict = "PASSED" if report.passed else "NOT PASSED"
    sums = ", ".join(f"{number} {outcome}" for outcome, number in count.items() if number)
    return "\n".join([*(f"LEFT  {words}" for words in report.leftovers), f"{verdict}: {sums}"])


def text_of(report: CheckReport) -> str:
    """The report for reading."""
    begun = datetime.fromtimestamp(report.begun / 1e9, UTC)
    lines = [
        f"Check of {report.venue} ({report.target}), adapter {report.adapter}, {begun:%Y-%m-%d %H:%M} UTC, "
        f"Quarterdeck {report.release}",
        f"Instrument {report.instrument}; {'orders were placed' if report.traded else 'no order was placed'}.",
        "",
        *(line_of(check) for check in report.checks),
        "",
        end_of(report),
    ]
    return "\n".join(lines) + "\n"


def write_report(home: Path, report: CheckReport) -> tuple[Path, Path]:
    """Keep a report, and remember it as the venue's last one when it was passed. Blocks for the disk.

    Args:
        home: The home folder.
        report: Redacted already.

    Returns:
        The file of JSON and the one for reading.

    Raises:
        StorageError: They cannot be written.
    """
    begun = datetime.fromtimestamp(report.begun / 1e9, UTC)
    base = home / FOLDER / f"{report.venue.lower()}-{begun:%Y-%m-%dT%H%M%S}"
    structured, readable = base.with_suffix(".json"), base.with_suffix(".txt")
    try:
        base.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        structured.write_bytes(msgspec.json.format(msgspec.json.encode(plain_of(report))))
        readable.write_text(text_of(report), encoding="utf-8")
        if report.passed:
            _remember(home, report)
    except OSError as error:
        raise StorageError(f"The report cannot be written to {base.parent}: {error.strerror}.") from None
    return structured, readable


def last_passed(home: Path, venue: VenueId, target: str) -> Sequence[Passed]:
    """What a venue has passed where its requests go now: the last check that only read, the last that traded."""
    return [found for found in _memory(home) if (found.venue, found.target) == (venue, target)]


def _memory(home: Path) -> list[Passed]:
    try:
        return msgspec.json.decode((home / FOLDER / _MEMORY).read_bytes(), type=list[Passed])
    except (OSError, msgspec.MsgspecError):
        # What cannot be read was not passed.
        return []


def _remember(home: Path, report: CheckReport) -> None:
    fresh = Passed(
        venue=report.venue,
        target=report.target,
        private=report.private,
        traded=report.traded,
        release=report.release,
        ts=report.ended,
    )
    place = (fresh.venue, fresh.target, fresh.private, fresh.traded)
    others = [p for p in _memory(home) if (p.venue, p.target, p.private, p.traded) != place]
    file = home / FOLDER / _MEMORY
    new = file.with_suffix(".new")
    new.write_bytes(msgspec.json.encode([*others, fresh]))
    os.replace(new, file)
