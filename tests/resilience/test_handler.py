"""The error handler: severity, counting, escalation, context without secrets, notices, no failure of its own."""

from __future__ import annotations

from typing import Any

import pytest

from engine import errors
from engine.clock import SimulatedClock
from engine.logs import operation
from engine.model.faults import Severity
from engine.resilience import handler as module
from engine.resilience.handler import ErrorHandler, Notice
from engine.resilience.settings import ErrorHandlingSettings
from engine.resilience.severity import severity_of

MEDIUM, HIGH, CRITICAL, LOW = Severity.MEDIUM, Severity.HIGH, Severity.CRITICAL, Severity.LOW


class Desk:
    """A handler on a clock that stands still."""

    def __init__(self, **settings: Any) -> None:
        self.clock = SimulatedClock(1_700_000_100_000_000_000)
        self.handler = ErrorHandler(self.clock, ErrorHandlingSettings(**settings))
        self.told: list[Notice] = []
        self.handler.on_notice(self.told.append)

    def away(self, message: str = "The venue is away.", times: int = 1, **about: Any) -> None:
        for _ in range(times):
            self.handler.report(errors.ExchangeConnectionError(message), component="feeds", **about)

    def later(self, seconds: float) -> None:
        self.clock.set(self.clock.now() + int(seconds * 1e9))

    @property
    def severities(self) -> list[Severity]:
        return [notice.severity for notice in self.told]


@pytest.mark.parametrize(
    ("error", "severity"),
    [
        (errors.StateCorruptionError("x"), CRITICAL),
        (errors.AuthenticationError("x"), CRITICAL),
        (ValueError("x"), CRITICAL),
        (errors.JournalError("x"), CRITICAL),
        (errors.DrawdownLimitError("x"), HIGH),
        (errors.ModelDriftError("x"), HIGH),
        (errors.StrategyLoadError("x"), HIGH),
        (errors.DataSourceError("x"), MEDIUM),
        (errors.ExchangeRateLimitError("x"), MEDIUM),
        (TimeoutError(), MEDIUM),
        (errors.ConfigurationError("x"), LOW),
        (errors.ValidationError("x"), LOW),
        (errors.VenueCircuitOpenError("x"), LOW),
    ],
    ids=lambda one: type(one).__name__ if isinstance(one, BaseException) else str(one),
)
def test_every_error_has_a_severity(error: BaseException, severity: Severity) -> None:
    assert severity_of(error) is severity


def test_severities_can_be_chosen_for_a_kind_and_those_beneath_it() -> None:
    chosen = {"exchange": LOW, "exchange_rate_limit": HIGH}
    assert severity_of(errors.ExchangeConnectionError("x"), chosen) is LOW
    assert severity_of(errors.ExchangeRateLimitError("x"), chosen) is HIGH
    assert severity_of(errors.DataError("x"), chosen) is MEDIUM


def test_a_kind_that_does_not_exist_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="exchnage is no kind of error"):
        ErrorHandlingSettings(severities={"exchnage": LOW})


def test_identical_errors_are_one_with_count_and_first_and_last_time() -> None:
    on = Desk()
    on.away("Order 17 was not answered within 10.5 s.")
    on.later(60)
    on.away("Order 18 was not answered within 9 s.")
    on.away("Something else.")
    other, group = sorted(on.handler.groups(), key=lambda group: group.count)
    assert (other.count, group.count, on.handler.total) == (1, 2, 3)
    assert group.last - group.first == 60_000_000_000
    assert group.message == "Order 18 was not answered within 9 s."


def test_five_within_five_minutes_escalate_by_one_step_and_are_told_once() -> None:
    on = Desk()
    on.away(times=4)
    assert on.severities == [MEDIUM]
    on.later(300)
    on.away()
    assert on.severities == [MEDIUM, HIGH]
    assert "5 times within 5 min" in on.told[-1].text
    on.away(times=50)
    assert on.severities == [MEDIUM, HIGH]
    assert on.handler.groups()[0].severity is HIGH


def test_five_over_more_than_five_minutes_do_not_escalate() -> None:
    on = Desk()
    for _ in range(20):
        on.away()
        on.later(75.1)
    assert on.severities == [MEDIUM]


def test_after_a_quiet_time_it_begins_anew() -> None:
    on = Desk()
    on.away(times=5)
    on.later(301)
    on.away()
    assert on.severities == [MEDIUM, HIGH, MEDIUM]
    assert on.handler.groups()[0].severity is MEDIUM


def test_what_is_critical_stays_so_and_what_is_low_is_told_only_once_it_repeats() -> None:
    on = Desk()
    for _ in range(9):
        on.handler.report(ValueError("bug"), component="tick")
    assert on.severities == [CRITICAL]
    for _ in range(5):
        on.handler.report(errors.ConflictError("not now"), component="bots")
    assert on.severities == [CRITICAL, MEDIUM]


def test_context_is_kept_without_secrets_and_with_the_way_there() -> None:
    on = Desk()

    def deep() -> None:
        raise errors.ExchangeError("The key api_key=abcdef1234 was refused.", details={"password": "hunter22"})

    with operation("orders.place-7"):
        try:
            deep()
        except errors.ExchangeError as error:
            on.handler.report(
                error, component="venue", operation="place", order="Q1", bot="bot-1", position="SIM:BTC/USDT", token="t"
            )
    (bucket,) = on.handler.drain()
    assert (bucket.component, bucket.operation, bucket.error_type) == ("venue", "place", "exchange")
    assert bucket.correlation == "orders.place-7"
    assert bucket.context["order"] == "Q1"
    assert (bucket.context["bot"], bucket.context["position"]) == ("bot-1", "SIM:BTC/USDT")
    assert bucket.context["stack"][-1].endswith(" deep")
    text = repr(bucket)
    assert "abcdef1234" not in text
    assert "hunter22" not in text
    assert bucket.context["inputs"] == {"token": "***"}
    assert bucket.message == "The key api_key=*** was refused."


def test_what_is_to_be_kept_is_drained_once_and_given_back_when_it_could_not_be() -> None:
    on = Desk()
    on.away(times=3)
    (first,) = on.handler.drain()
    assert (first.count, on.handler.drain()) == (3, [])
    on.away("Another.")
    on.handler.give_back([first])
    assert [bucket.message for bucket in on.handler.drain()] == ["The venue is away.", "Another."]
    on.away()
    drained = on.handler.drain()
    on.away()
    on.handler.give_back(drained)
    (newest,) = on.handler.drain()
    assert (newest.id, newest.count) == (first.id, 5), "a count that went on is not set back"


def test_five_minutes_are_a_row() -> None:
    on = Desk()
    on.away()
    on.later(300)
    on.away(times=2)
    one, two = on.handler.drain()
    assert (one.count, two.count) == (1, 2)
    assert one.id != two.id


def test_memory_is_bounded_however_many_different_errors_there_are() -> None:
    on = Desk()
    for number in range(module.BUCKETS + 10):
        on.handler.report(ValueError("x"), component=f"part {chr(97 + number % 26)}{number}")
    assert len(on.handler.groups()) == module.GROUPS
    assert len(on.handler.notices) == module.NOTICES
    assert len(on.handler.drain()) == module.BUCKETS
    assert on.handler.dropped == 10


def test_nothing_that_goes_wrong_in_the_handler_reaches_who_reports() -> None:
    class Evil(Exception):
        def __str__(self) -> str:
            raise RuntimeError("not even words")

    on = Desk()
    on.handler.on_notice(lambda notice: 1 / 0)  # type: ignore[arg-type]
    on.handler.report(Evil(), component="x")
    on.away()
    on.handler.alert(HIGH, "breaker", "opened")
    assert [notice.text for notice in on.told] == ["The venue is away.", "opened"]


async def test_a_watched_function_reports_and_raises() -> None:
    on = Desk()

    @on.handler.watched("jobs")
    def compute() -> None:
        raise errors.DataError("No bars.")

    @on.handler.watched("jobs", "later")
    async def later() -> int:
        raise errors.DataError("No bars.")

    with pytest.raises(errors.DataError):
        compute()
    with pytest.raises(errors.DataError):
        await later()
    assert [(group.component, group.operation) for group in on.handler.groups()] == [
        ("jobs", "compute"),
        ("jobs", "later"),
    ]
