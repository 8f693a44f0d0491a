"""OKX's refusals become typed errors, also those inside HTTP 200."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from engine.errors import (
    AuthenticationError,
    ExchangeClockError,
    ExchangeConnectionError,
    ExchangeError,
    ExchangeInsufficientFundsError,
    ExchangeRateLimitError,
    NotFoundError,
    OrderRejectionError,
    QuarterdeckError,
    UnknownOutcomeError,
)
from engine.venues.native.venue import REFUSALS
from engine.venues.okx.codes import CODES, FAILURES, UNREADABLE, read_fault
from engine.venues.okx.tables import ENDPOINTS
from tests.venues.okx.recorded import errors, fixtures

if TYPE_CHECKING:
    from pathlib import Path


def error_of(body: bytes, *, status: int = 200, endpoint: str = "place") -> QuarterdeckError:
    fault = FAILURES.find(status, body)
    assert fault is not None
    return FAILURES.error(status, fault, ENDPOINTS[endpoint])


def refusal(code: str) -> bytes:
    return b'{"code":"1","data":[{"sCode":"%s","sMsg":"words"}],"msg":"All operations failed"}' % code.encode()


def test_every_recorded_refusal_has_its_type(shared_data: Path) -> None:
    rows = [row for row in errors(shared_data) if row["channel"] == "rest"]
    found = [(error_of(row["body"].encode(), status=row["http_status"])) for row in rows]
    assert [(type(error), error.error_code, error.retryable) for error in found] == [
        (ExchangeRateLimitError, "50011", True),
        (ExchangeInsufficientFundsError, "51008", False),
    ]
    assert "Insufficient USDT margin" in str(found[1].details["words"])


def test_the_same_limit_inside_http_200_is_the_same_error() -> None:
    error = error_of(b'{"code":"50011","msg":"Too Many Requests","data":[]}')
    assert isinstance(error, ExchangeRateLimitError)
    assert error.details["retry_after_ms"] == 2000


def test_recorded_answers_that_succeed_are_no_failures(shared_data: Path) -> None:
    answers = [body for name, body in fixtures(shared_data).items() if name.startswith("http_")]
    assert [FAILURES.find(200, body) for body in answers] == [None] * len(answers)


def test_a_single_order_of_several_can_fail() -> None:
    body = b'{"code":"2","msg":"","data":[{"sCode":"0","sMsg":""},{"sCode":"51020","sMsg":"too small"}]}'
    assert isinstance(error_of(body), OrderRejectionError)


def test_every_code_of_the_table_has_one_meaning_and_says_a_sentence() -> None:
    known = [code for _, codes in CODES for code in codes]
    assert len(known) == len(set(known)) > 100
    for kind, codes in CODES:
        for code in codes:
            error = error_of(refusal(code))
            assert type(error) is kind, code
            assert error.error_code == code
            assert error.message


@pytest.mark.parametrize("code", ["50004", "50013", "50026", "51149"])
def test_what_proves_nothing_about_an_order_is_unknown(code: str) -> None:
    placed, asked = error_of(refusal(code)), error_of(refusal(code), endpoint="order")
    assert type(placed) is UnknownOutcomeError
    assert not placed.retryable
    assert type(asked) is ExchangeConnectionError
    assert asked.retryable


def test_a_client_id_in_use_may_be_the_very_order_that_was_meant() -> None:
    assert type(error_of(refusal("51016"))) is UnknownOutcomeError
    assert type(error_of(refusal("51065"), endpoint="place_algo")) is UnknownOutcomeError


def test_an_unknown_code_proves_nothing() -> None:
    error = error_of(refusal("59999"))
    assert type(error) is ExchangeError
    assert not isinstance(error, REFUSALS)


def test_orders_that_ended_are_not_found_and_skew_may_be_repeated() -> None:
    assert {type(error_of(refusal(code), endpoint="cancel")) for code in ("51400", "51401", "51402", "51603")} == {
        NotFoundError
    }
    skew = error_of(b'{"code":"50102","msg":"Timestamp request expired"}', status=401)
    assert (type(skew), skew.retryable) == (ExchangeClockError, True)
    assert type(error_of(b'{"code":"50113","msg":"Invalid Sign"}', status=401)) is AuthenticationError


def test_pages_that_are_not_okxs_leave_an_order_unknown() -> None:
    fault = read_fault(200, b"<html>hello</html>")
    assert fault is not None
    assert fault.code == UNREADABLE
    assert type(error_of(b"<html>hello</html>")) is UnknownOutcomeError
    assert read_fault(502, b"<html>bad gateway</html>") is None
    assert type(error_of(b"<html>bad gateway</html>", status=502)) is UnknownOutcomeError
    assert type(error_of(b"<html>blocked</html>", status=429)) is ExchangeRateLimitError
