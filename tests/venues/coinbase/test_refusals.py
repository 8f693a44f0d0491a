"""Coinbase's refusals as typed errors: the recorded ones, and every code of the table."""

import json
from pathlib import Path
from typing import Any

import pytest

from engine.errors import (
    AuthenticationError,
    ExchangeConnectionError,
    ExchangeError,
    ExchangeInsufficientFundsError,
    ExchangeRateLimitError,
    NotFoundError,
    OrderRejectionError,
    QuarterdeckError,
    UnknownOutcomeError,
)
from engine.venues.coinbase.refusals import CODES, FAILURES, cancel_fault, read_fault, stream_refusal
from engine.venues.coinbase.table import AMEND, CANCEL, FILLS, ORDER, PLACE
from engine.venues.coinbase.wire import CancelAnswer, decoded
from engine.venues.native.failures import Fault
from engine.venues.native.request import Endpoint
from tests.venues.coinbase.data import errors, payloads


def error_of(status: int, body: bytes, endpoint: Endpoint = PLACE) -> QuarterdeckError:
    fault = FAILURES.find(status, body)
    assert fault is not None
    return FAILURES.error(status, fault, endpoint)


def refused(body: dict[str, Any], endpoint: Endpoint = PLACE) -> QuarterdeckError:
    return error_of(200, json.dumps(body).encode(), endpoint)


def test_every_recorded_refusal_has_its_type(shared_data: Path) -> None:
    seen = set()
    for row in errors(shared_data):
        body = row["body"].encode()
        seen.add((row["channel"], row["http_status"]))
        if row["channel"] == "ws":
            assert isinstance(stream_refusal(json.loads(body)["message"]), AuthenticationError)
            continue
        error = error_of(row["http_status"], body)
        if row["http_status"] == 429:
            # An HTML page: only the status tells.
            assert isinstance(error, ExchangeRateLimitError)
            assert error.retryable
        else:
            assert isinstance(error, ExchangeInsufficientFundsError)
            assert error.error_code == "PREVIEW_INSUFFICIENT_FUND"
            assert "Insufficient balance" in error.message
            assert not error.retryable
    assert seen == {("rest", 200), ("rest", 429), ("ws", None)}


def test_no_recorded_answer_is_taken_for_a_refusal(shared_data: Path) -> None:
    bodies = {**payloads(shared_data), **payloads(shared_data, "coinbase_rest_real")}
    assert [name for name, body in bodies.items() if FAILURES.find(200, body)] == []


@pytest.mark.parametrize("code", sorted(CODES))
def test_a_code_keeps_its_type_and_its_raw_name(code: str) -> None:
    error = FAILURES.error(400, Fault(code, "why"), PLACE)
    assert type(error) is CODES[code]
    assert error.error_code == code
    assert "why" in error.message
    assert error.retryable is CODES[code].retryable


def test_a_question_whose_answer_the_venue_does_not_know_is_merely_unanswered() -> None:
    body = b'{"error":"INTERNAL","error_details":"","message":"oops"}'
    assert type(error_of(500, body, PLACE)) is UnknownOutcomeError
    assert type(error_of(500, body, FILLS)) is ExchangeConnectionError
    assert type(error_of(503, b"<html>Maintenance</html>", PLACE)) is UnknownOutcomeError


def test_a_new_reason_of_an_order_is_a_refusal_that_keeps_its_code() -> None:
    error = refused({"success": False, "error_response": {"error": "BRAND_NEW_REASON", "message": "no"}})
    assert isinstance(error, OrderRejectionError)
    assert error.error_code == "BRAND_NEW_REASON"


def test_the_narrowest_reason_that_says_anything_wins() -> None:
    error = refused(
        {
            "success": False,
            "failure_reason": "UNKNOWN_FAILURE_REASON",
            "error_response": {
                "error": "UNKNOWN_FAILURE_REASON",
                "preview_failure_reason": "PREVIEW_STOP_PRICE_ABOVE_LAST_TRADE_PRICE",
            },
        }
    )
    assert isinstance(error, OrderRejectionError)
    assert error.error_code == "PREVIEW_STOP_PRICE_ABOVE_LAST_TRADE_PRICE"


def test_a_failure_that_coinbase_cannot_explain_is_unknown() -> None:
    assert isinstance(refused({"success": False, "failure_reason": "UNKNOWN_FAILURE_REASON"}), UnknownOutcomeError)


def test_cancels_are_refused_one_by_one() -> None:
    body = {
        "results": [
            {"success": True, "failure_reason": "UNKNOWN_CANCEL_FAILURE_REASON", "order_id": "1"},
            {"success": False, "failure_reason": "UNKNOWN_CANCEL_ORDER", "order_id": "2"},
            {"success": False, "failure_reason": "DUPLICATE_CANCEL_REQUEST", "order_id": "3"},
            {"success": False, "failure_reason": "UNKNOWN_CANCEL_FAILURE_REASON", "order_id": "4"},
        ]
    }
    data = json.dumps(body).encode()
    # The batch as a whole has not failed.
    assert read_fault(200, data) is None
    results = decoded(CancelAnswer, data).results
    found = [type(FAILURES.error(200, cancel_fault(r), CANCEL)) for r in results if not r.success]
    assert found == [NotFoundError, OrderRejectionError, UnknownOutcomeError]


@pytest.mark.parametrize(
    "body",
    [
        {"success": False, "errors": [{"edit_failure_reason": "ONLY_OPEN_ORDERS_CAN_BE_EDITED"}]},
        {"success": False, "errors": {"edit_failure_reason": "ONLY_OPEN_ORDERS_CAN_BE_EDITED"}},
        {"success": False, "error_response": {"edit_order_failure_reason": "ONLY_OPEN_ORDERS_CAN_BE_EDITED"}},
    ],
)
def test_all_forms_of_a_refused_change_are_understood(body: dict[str, object]) -> None:
    error = refused(body, AMEND)
    assert isinstance(error, OrderRejectionError)
    assert error.error_code == "ONLY_OPEN_ORDERS_CAN_BE_EDITED"


def test_an_order_that_is_not_shown_is_told_by_words_alone() -> None:
    words = "order with this orderID was not found"
    body = json.dumps({"error": "unknown", "error_details": words, "message": words}).encode()
    assert type(error_of(400, body, ORDER)) is NotFoundError


def test_a_service_that_is_not_there_proves_nothing_about_an_order() -> None:
    body = b'{"error":"UNAVAILABLE","error_details":"","message":"try again"}'
    assert type(error_of(503, body, PLACE)) is UnknownOutcomeError
    assert type(error_of(503, body, ORDER)) is ExchangeConnectionError


def test_a_bare_word_of_refusal_means_the_key() -> None:
    assert isinstance(error_of(401, b"Unauthorized\n"), AuthenticationError)


def test_words_of_a_stream_decide_its_type() -> None:
    assert isinstance(stream_refusal("rate limit exceeded"), ExchangeRateLimitError)
    assert type(stream_refusal("channel is not supported")) is ExchangeError
