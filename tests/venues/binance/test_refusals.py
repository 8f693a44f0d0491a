"""Binance's refusals become typed errors, recorded ones among them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from engine.errors import (
    AuthenticationError,
    ConfigurationError,
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
from engine.venues.binance.spot_table import SPOT, SpotEndpoints

if TYPE_CHECKING:
    from pathlib import Path

    from engine.venues.native.request import Endpoint


def error(status: int, code: int, words: str, endpoint: Endpoint = SpotEndpoints.place) -> QuarterdeckError:
    body = msgspec.json.encode({"code": code, "msg": words})
    fault = SPOT.failures.find(status, body)
    assert fault is not None
    return SPOT.failures.error(status, fault, endpoint)


@pytest.mark.parametrize(
    ("status", "code", "words", "kind"),
    [
        (400, -2010, "Account has insufficient balance for requested action.", ExchangeInsufficientFundsError),
        (400, -2019, "Margin is insufficient.", ExchangeInsufficientFundsError),
        (400, -2010, "Duplicate order sent.", UnknownOutcomeError),
        (400, -4116, "ClientOrderId is duplicated.", UnknownOutcomeError),
        (400, -2010, "Order would immediately match and take.", OrderRejectionError),
        (400, -2010, "Stop price would trigger immediately.", OrderRejectionError),
        (400, -2021, "Order would immediately trigger.", OrderRejectionError),
        (400, -5022, "Due to the order could not be executed as maker", OrderRejectionError),
        (400, -1013, "Filter failure: LOT_SIZE", OrderRejectionError),
        (400, -4164, "Order's notional must be no smaller than 5", OrderRejectionError),
        (400, -2022, "ReduceOnly Order is rejected.", OrderRejectionError),
        (400, -4120, "Order type not supported for this endpoint.", OrderRejectionError),
        (400, -4061, "Order's position side does not match user's setting.", ConfigurationError),
        (400, -1021, "Timestamp for this request is outside of the recvWindow.", ExchangeClockError),
        (400, -2011, "Unknown order sent.", NotFoundError),
        (400, -2013, "Order does not exist.", NotFoundError),
        (400, -1121, "Invalid symbol.", NotFoundError),
        (400, -1102, "Mandatory parameter 'price' was not sent", ValidationError),
        (401, -2015, "Invalid API-key, IP, or permissions for action.", AuthenticationError),
        (401, -2014, "API-key format invalid.", AuthenticationError),
        (429, -1003, "Too many requests", ExchangeRateLimitError),
        (429, -1015, "Too many new orders", ExchangeRateLimitError),
        (503, -1000, "Service Unavailable.", ExchangeConnectionError),
        (503, -1000, "503 Service Temporarily Unavailable", UnknownOutcomeError),
        (503, -1007, "Timeout waiting for response from backend server. Send status unknown", UnknownOutcomeError),
        (500, -1006, "An unexpected response was received. Execution status unknown.", UnknownOutcomeError),
    ],
)
def test_codes(status: int, code: int, words: str, kind: type[QuarterdeckError]) -> None:
    found = error(status, code, words)
    assert type(found) is kind
    assert found.error_code == str(code)


def test_an_unknown_code_proves_nothing_about_an_order() -> None:
    assert type(error(400, -9999, "Something new.")) is ExchangeError


def test_a_question_without_an_answer_has_no_unknown_outcome() -> None:
    assert type(error(503, -1007, "Send status unknown", SpotEndpoints.order)) is ExchangeConnectionError


def test_recorded_refusals_pause_or_shut_out(shared_data: Path) -> None:
    lines = (shared_data / "payloads" / "errors.jsonl").read_bytes().splitlines()
    rows = [row for row in map(msgspec.json.decode, lines) if row["exchange"] == "binance"]
    kinds = []
    for row in rows:
        fault = SPOT.failures.find(row["http_status"], row["body"].encode())
        assert fault is not None
        kinds.append(
            type(SPOT.failures.error(row["http_status"], fault, SpotEndpoints.place, now=1_660_090_000 * 10**9))
        )
    assert kinds[0] is ExchangeBannedError
    assert ExchangeRateLimitError in kinds
    assert set(kinds) <= {ExchangeBannedError, ExchangeRateLimitError, OrderRejectionError}
