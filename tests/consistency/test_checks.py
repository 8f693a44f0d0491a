"""How grave a difference is, exactly at the edges, and what is done about it."""

from __future__ import annotations

from decimal import Decimal as D

import pytest
from pydantic import ValidationError

from engine import events as ev
from engine.consistency.checks import (
    LATE_NS,
    Known,
    balance_finding,
    database_findings,
    grade,
    limit_findings,
    order_findings,
)
from engine.execution.accounts import Difference, differences
from engine.execution.reconcile import Book
from engine.model.ids import ClientOrderId, Currency
from engine.model.verification import LIMITS, ORDERS, POSITIONS, Grade
from engine.resilience.settings import ConsistencySettings
from engine.risk.uses import LimitUse, level_of
from tests.execution.test_reconcile import OURS, Desk, execution

USDT, BTC = Currency("USDT"), Currency("BTC")
FIGURES = ConsistencySettings()
NOW = 10**15


@pytest.mark.parametrize(
    ("fraction", "expected"),
    [
        ("0", Grade.LOGGED),
        ("0.01", Grade.LOGGED),
        ("0.010000000000000001", Grade.RECONCILED),
        ("0.0499999999999999", Grade.RECONCILED),
        ("0.05", Grade.FORCED),
        ("1", Grade.FORCED),
    ],
)
def test_up_to_one_per_cent_is_logged_and_from_five_on_it_is_forced(fraction: str, expected: Grade) -> None:
    assert grade(D(fraction), FIGURES) is expected


@pytest.mark.parametrize(
    ("said", "expected", "taken"),
    [
        ("9900", Grade.LOGGED, False),
        ("9899.99", Grade.RECONCILED, True),
        ("9500.01", Grade.RECONCILED, True),
        ("9500", Grade.FORCED, True),
        ("0", Grade.FORCED, True),
    ],
)
def test_a_balance_is_judged_by_the_larger_of_both_sides(said: str, expected: Grade, taken: bool) -> None:
    found, take_over = balance_finding(Difference(USDT, D(10_000), D(said)), FIGURES)
    assert (found.grade, take_over) == (expected, taken)
    other_way, _ = balance_finding(Difference(USDT, D(said), D(10_000)), FIGURES)
    assert other_way.grade is expected


def test_what_one_side_does_not_know_differs_as_a_whole() -> None:
    (found,) = differences({USDT: D(1)}, {USDT: D(1), BTC: D("0.5")})
    assert (found.currency, found.amount, found.fraction) == (BTC, D("0.5"), D(1))
    assert differences({USDT: D(1), BTC: D(0)}, {USDT: D("1.0")}) == ()


def test_nothing_is_corrected_when_the_settings_say_so() -> None:
    figures = ConsistencySettings(auto_reconcile=False)
    found, take_over = balance_finding(Difference(USDT, D(100), D(50)), figures)
    assert (found.grade, take_over) == (Grade.FORCED, False)
    assert "as the settings say" in found.correction


def test_thresholds_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(ValidationError, match="force_sync_threshold must be above"):
        ConsistencySettings(max_discrepancy=D("0.05"))


# --- orders ----------------------------------------------------------------------------------------------------------


def tracked() -> Desk:
    desk = Desk()
    desk.intend(OURS, D(200))
    return desk


@pytest.mark.parametrize(("age", "found"), [(0, 0), (LATE_NS, 0), (LATE_NS + 1, 1)])
def test_a_report_that_may_still_be_on_its_way_is_no_finding(age: int, found: int) -> None:
    desk = tracked()
    fill = execution(OURS, NOW - age, D(10))
    ended = ev.OrderCanceled(client_id=OURS, reason="by the venue", ts=NOW - age)
    for event, check in ((ev.OrderFilled(fill=fill), POSITIONS), (ended, ORDERS)):
        told = list(order_findings([Book((event,), "asked")], NOW, desk.state.order, FIGURES))
        assert [finding.check for finding in told] == [check] * found


@pytest.mark.parametrize(("quantity", "expected"), [("2", Grade.LOGGED), ("3", Grade.RECONCILED), ("10", Grade.FORCED)])
def test_a_missed_execution_weighs_as_much_of_its_order_as_it_is(quantity: str, expected: Grade) -> None:
    book = Book((ev.OrderFilled(fill=execution(OURS, 1, D(quantity))),), "asked")
    (finding,) = order_findings([book], NOW, tracked().state.order, FIGURES)
    assert (finding.check, finding.grade, finding.correction) == (POSITIONS, expected, "It was booked.")


def test_an_answer_to_a_doubt_of_our_own_is_no_finding() -> None:
    accepted = ev.OrderAccepted(client_id=OURS, venue_order_id=execution(OURS, 1, D(1)).venue_order_id, ts=1)
    rejected = ev.OrderRejected(client_id=OURS, code="not_found", reason="The venue does not know this order.", ts=1)
    assert not list(order_findings([Book((accepted, rejected), "asked")], NOW, tracked().state.order, FIGURES))
    forgotten = ev.OrderCanceled(client_id=OURS, reason="The venue does not know this order.", ts=NOW)
    assert list(order_findings([Book((forgotten,), "asked")], NOW, tracked().state.order, FIGURES))


# --- the database ----------------------------------------------------------------------------------------------------


def test_rows_that_differ_from_memory_are_found() -> None:
    ids = [ClientOrderId(name) for name in ("same", "missing", "other", "short", "close")]
    memory = {key: Known("filled", D(100), D(100)) for key in ids}
    stored = {
        ids[0]: Known("filled", D(100), D(100)),
        ids[2]: Known("canceled", D(100), D(100)),
        ids[3]: Known("filled", D(100), D(95)),
        ids[4]: Known("filled", D(99), D(99)),
    }
    found = {f.subject: (f.check, f.grade) for f in database_findings(memory, stored, FIGURES)}
    assert found == {
        "missing": (ORDERS, Grade.FORCED),
        "other": (ORDERS, Grade.FORCED),
        "short": (POSITIONS, Grade.FORCED),
        "close": (POSITIONS, Grade.LOGGED),
    }


# --- limits ----------------------------------------------------------------------------------------------------------


def use(name: str, share: float | None) -> LimitUse:
    return LimitUse(name=name, label=name, used="1", limit="1", share=share, level=level_of(share))


@pytest.mark.parametrize(
    ("name", "share", "acting", "expected"),
    [
        ("max_portfolio_exposure", None, False, None),
        ("max_portfolio_exposure", 1.0, False, None),
        ("max_portfolio_exposure", 1.01, False, (Grade.LOGGED, False)),
        ("max_portfolio_exposure", 1.02, False, (Grade.RECONCILED, False)),
        ("max_portfolio_exposure", 1.05, False, (Grade.FORCED, False)),
        ("max_orders_per_second", 2.0, False, None),
        ("max_daily_loss_pct", 1.2, True, (Grade.FORCED, False)),
        ("max_daily_loss_pct", 1.2, False, (Grade.FORCED, True)),
        ("max_daily_loss_pct", 1.005, False, (Grade.LOGGED, False)),
    ],
)
def test_a_limit_that_is_exceeded_is_told_and_a_breaker_that_slept_halts(
    name: str, share: float | None, acting: bool, expected: tuple[Grade, bool] | None
) -> None:
    found = [(f.grade, failed) for f, failed in limit_findings([use(name, share)], acting=acting, figures=FIGURES)]
    assert found == ([] if expected is None else [expected])
    for finding, _ in limit_findings([use(name, share)], acting=acting, figures=FIGURES):
        assert finding.check == LIMITS
