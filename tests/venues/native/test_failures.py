"""From recorded bodies of refusals to typed errors, by table and by status."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from engine.errors import (
    ExchangeBannedError,
    ExchangeConnectionError,
    ExchangeError,
    ExchangeInsufficientFundsError,
    ExchangeRateLimitError,
    OrderRejectionError,
    QuarterdeckError,
    UnknownOutcomeError,
    ValidationError,
)
from engine.venues.native.failures import FailureRow, Failures, Fault, json_fault
from engine.venues.native.request import Endpoint

if TYPE_CHECKING:
    from pathlib import Path

PLACE = Endpoint(name="place", method="POST", path="order", changes=True)
ORDER = Endpoint(name="order", method="GET", path="order")


def okx(status: int, body: bytes) -> Fault | None:
    """A reader that also finds a failure inside a success."""
    try:
        told: dict[str, Any] = msgspec.json.decode(body)
    except msgspec.DecodeError:
        return None
    if str(told.get("code", "0")) == "0":
        return None
    one = (told.get("data") or [{}])[0]
    return Fault(one.get("sCode") or told["code"], one.get("sMsg") or told["msg"])


def coinbase(status: int, body: bytes) -> Fault | None:
    try:
        told: dict[str, Any] = msgspec.json.decode(body)
    except msgspec.DecodeError:
        return None
    if told.get("success") is not False:
        return None
    return Fault(told["error_response"]["error"], told["error_response"]["message"])


TABLES = {
    "binance": Failures(
        "BINANCE",
        json_fault("code"),
        (
            FailureRow(
                error=OrderRejectionError, codes=frozenset({"-1013"}), pattern=r"Filter failure: (?P<filter>\w+)"
            ),
        ),
    ),
    "okx": Failures(
        "OKX",
        okx,
        (
            FailureRow(error=ExchangeRateLimitError, codes=frozenset({"50011"}), limits=("*",), pause_s=2),
            FailureRow(error=ExchangeInsufficientFundsError, codes=frozenset({"51008"})),
        ),
    ),
    "coinbase": Failures(
        "COINBASE",
        coinbase,
        (FailureRow(error=ExchangeInsufficientFundsError, codes=frozenset({"INSUFFICIENT_FUND"})),),
    ),
}
EXPECTED: dict[tuple[str, int], type[QuarterdeckError]] = {
    ("binance", 418): ExchangeBannedError,
    ("binance", 429): ExchangeRateLimitError,
    ("binance", 400): OrderRejectionError,
    ("okx", 429): ExchangeRateLimitError,
    ("okx", 200): ExchangeInsufficientFundsError,
    ("coinbase", 200): ExchangeInsufficientFundsError,
    ("coinbase", 429): ExchangeRateLimitError,
}


def test_every_recorded_refusal_becomes_its_error(shared_data: Path) -> None:
    lines = (shared_data / "payloads" / "errors.jsonl").read_text(encoding="utf-8").splitlines()
    seen = set()
    for line in lines:
        row = json.loads(line)
        if row["channel"] != "rest":
            continue
        table, status, body = TABLES[row["exchange"]], row["http_status"], row["body"].encode()
        fault = table.find(status, body)
        assert fault is not None
        error = table.error(status, fault, PLACE, now=1_660_090_000_000_000_000)
        assert type(error) is EXPECTED[row["exchange"], status]
        assert error.details["words"], "the venue's own words stay"
        assert "<" not in str(error.details["words"])
        seen.add((row["exchange"], status))
    assert seen == set(EXPECTED)


def test_a_ban_that_names_its_end_says_it() -> None:
    fault = Fault("-1003", "Way too much request weight used; IP banned until 1660090423228. Please")
    error = TABLES["binance"].error(418, fault, ORDER, now=1_660_090_000_000_000_000)
    assert error.details["retry_after_ms"] == 423_228
    assert error.details["until"] == "2022-08-10T00:13:43+00:00"
    assert "2022-08-10T00:13:43" in error.message


def test_missing_funds_are_told_in_amounts_where_the_venue_tells_them() -> None:
    row = FailureRow(
        error=ExchangeInsufficientFundsError,
        pattern=r"need (?P<required>[\d.]+) (?P<currency>\w+), have (?P<available>[\d.]+)",
    )
    failures = Failures("X", json_fault("code"), (row,))
    error = failures.error(400, Fault("1", "need 10.5 USDT, have 3"), PLACE)
    assert error.details.items() >= {"required": "10.5", "available": "3", "currency": "USDT"}.items()
    assert "Needed are 10.5 USDT, there are 3 USDT." in error.message
    told = failures.error(400, Fault("1", "", {"required": "2", "available": "1"}), PLACE)
    assert type(told) is ExchangeError


def test_the_first_row_that_fits_decides_and_may_change_what_is_worth_repeating() -> None:
    failures = Failures(
        "X",
        json_fault("code"),
        (
            FailureRow(error=ValidationError, codes=frozenset({"7"}), status=400, says="{venue}: odd.", retryable=True),
            FailureRow(error=UnknownOutcomeError, codes=frozenset({"7"})),
        ),
    )
    first = failures.error(400, Fault("7"), PLACE)
    assert type(first) is ValidationError
    assert first.retryable
    assert not ValidationError("else").retryable
    assert first.message.startswith("X: odd.")
    assert first.error_code == "7"
    assert type(failures.error(500, Fault("7"), PLACE)) is UnknownOutcomeError
    assert type(failures.error(500, Fault("7"), ORDER)) is ExchangeConnectionError


@pytest.mark.parametrize("body", [b"", b"<html>", b"[1]", b"\xff\xfe", b"{"])
def test_a_body_that_is_no_answer_never_breaks_the_reader(body: bytes) -> None:
    failures = TABLES["binance"]
    assert failures.find(200, body) is None
    fault = failures.find(503, body)
    assert fault is not None
    assert type(failures.error(503, fault, PLACE)) is UnknownOutcomeError


def test_a_region_that_is_not_served_is_said_so() -> None:
    assert "does not serve the place" in TABLES["okx"].error(451, Fault(""), ORDER).message
    assert "firewall" in TABLES["okx"].error(403, Fault(""), ORDER).message
