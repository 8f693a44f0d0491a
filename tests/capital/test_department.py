"""Capital moves as performance, equity, risk and every bound say, and never otherwise."""

from __future__ import annotations

from decimal import Decimal as D

import pytest

from engine import events as ev
from engine.capital.books import Books
from engine.capital.profits import unlock_time
from engine.errors import (
    CapitalManagementError,
    ConflictError,
    InsufficientCapitalError,
    NotFoundError,
    StateConsistencyError,
    ValidationError,
)
from engine.model.capital import FREE, LOCKED, RESERVE, FlowCause, FundFlow
from engine.model.capital_settings import ProfitLockSettings
from engine.model.ids import MANUAL, Owner
from engine.model.order import OrderSide
from engine.model.risk import RefusalCode
from engine.state.soundness import flaws
from tests.capital.bank import DAY, HOUR, Bank
from tests.risk.house import BOT, OTHER_BOT, PAPER, USDT

STEADY, WILD = [0.002, -0.001] * 15, [0.03, -0.028] * 15
GOOD, BAD = [0.004, -0.002] * 15, [-0.004, 0.002] * 15


def moved(bank: Bank) -> list[ev.FundsMoved]:
    return [record.event for record in bank.journal.records if isinstance(record.event, ev.FundsMoved)]


def test_what_was_bought_by_hand_can_be_given_to_no_pool() -> None:
    bank = Bank()
    before = bank.figures.account(PAPER)
    assert before is not None
    bank.execute(MANUAL, OrderSide.BUY, D(50_000), D("0.1"))
    known = bank.figures.account(PAPER)
    assert known is not None
    assert known.by_hand == 5000
    assert before.available - known.available == 5000
    assert bank.figures.metrics().by_hand == 5000
    bank.execute(MANUAL, OrderSide.SELL, D(50_000), D("0.1"))
    again = bank.figures.account(PAPER)
    assert again is not None
    assert [again.by_hand, again.available] == [0, before.available]


def test_equity_is_divided_without_a_rest() -> None:
    bank = Bank()
    bank.execute(BOT, OrderSide.BUY, D(49_000), D("0.02"))
    known = bank.figures.account(PAPER)
    assert known is not None
    assert known.equity == 10_020
    assert known.reserve == D("1002.0")
    assert (known.allocated, known.used) == (D(4020), D(980))
    assert known.available == D("10020") - D("1002") - 4020
    pool = bank.pool(BOT)
    assert (pool.worth, pool.value, pool.free) == (D(2000), D(2020), D(1020))
    metrics = bank.figures.metrics()
    assert metrics.utilisation == pytest.approx(980 / 4020)
    assert metrics.efficiency == pytest.approx(4020 / 9018)


def test_the_better_strategy_gets_more() -> None:
    bank = Bank(allocation_strategy="performance_weighted", max_allocation_pct="0.8")
    bank.record_of(BOT, GOOD)
    bank.record_of(OTHER_BOT, BAD)
    plan = bank.capital.plan()
    shares = {target.owner: target.share for target in plan.targets}
    assert shares[BOT] > 2 * shares[OTHER_BOT]
    bank.capital.rebalance("operator", "now")
    assert bank.capital_of(BOT) > 2000 > bank.capital_of(OTHER_BOT)


def test_the_wilder_strategy_gets_less_in_every_method_that_looks_at_risk() -> None:
    for method in ("volatility_weighted", "risk_parity", "dynamic"):
        bank = Bank(allocation_strategy=method, max_allocation_pct="0.8", max_daily_reallocation_pct="1")
        bank.record_of(BOT, STEADY)
        bank.record_of(OTHER_BOT, WILD)
        bank.capital.rebalance("operator", "now")
        assert bank.capital_of(BOT) > 3 * bank.capital_of(OTHER_BOT), method


def test_no_strategy_has_more_than_a_quarter_and_the_reserve_is_kept() -> None:
    bank = Bank()
    bank.capital.rebalance("operator", "now")
    assert (bank.capital_of(BOT), bank.capital_of(OTHER_BOT)) == (D(2500), D(2500))
    assert bank.state.capital[PAPER].reserve == 1000
    assert not flaws(bank.state)


def test_at_most_a_fifth_moves_in_a_day_and_an_hour_lies_between() -> None:
    bank = Bank(max_allocation_pct="0.45", emergency_reserve_pct="0")
    bank.capital.rebalance("operator", "now")
    assert sum(flow.amount for flow in moved(bank)[0].flows) == 2000
    with pytest.raises(ConflictError, match="next flow may be in 60 min"):
        bank.capital.rebalance("operator", "again")
    bank.later(3600)
    assert bank.capital.plan().cap == 0
    bank.capital.rebalance("operator", "again")
    assert (bank.capital_of(BOT), bank.capital_of(OTHER_BOT)) == (D(3000), D(3000))
    bank.later(86_400)
    bank.refresh()
    bank.capital.rebalance("operator", "the next day")
    assert (bank.capital_of(BOT), bank.capital_of(OTHER_BOT)) == (D(4000), D(4000))


@pytest.mark.parametrize(("before_s", "expected"), [(86_399, 2000), (86_400, 2500)])
def test_it_rebalances_by_itself_after_a_day(before_s: int, expected: int) -> None:
    bank = Bank()
    bank.later(before_s)
    bank.refresh()
    bank.capital.tick(bank.now)
    assert bank.capital_of(BOT) == expected


def test_risk_shrinks_increases_and_lets_decreases_pass() -> None:
    bank = Bank(allocation_strategy="performance_weighted", max_allocation_pct="0.3")
    bank.record_of(BOT, GOOD)
    bank.record_of(OTHER_BOT, BAD)
    bank.allowed = D("0.5")
    half = {target.owner: target for target in bank.capital.plan().targets}
    assert half[BOT].change == 500
    assert any("50%" in note for note in half[BOT].notes)
    bank.allowed = D(0)
    bank.capital.rebalance("operator", "now")
    assert bank.capital_of(BOT) == 2000


def test_what_is_at_work_stays_where_it_is() -> None:
    bank = Bank(max_allocation_pct="0.05")
    bank.execute(BOT, OrderSide.BUY, D(50_000), D("0.038"))
    bank.capital.rebalance("operator", "smaller")
    assert bank.capital_of(BOT) == 1900
    assert bank.capital_of(OTHER_BOT) == 500
    assert bank.pool(BOT).free == 0


def test_the_sizer_and_the_gate_hold_a_bot_to_what_it_has_been_given() -> None:
    bank = Bank(max_allocation_pct="0.05", max_daily_reallocation_pct="1")
    bank.capital.rebalance("operator", "smaller")
    assert bank.risk.budgets.budget(BOT).free == 500  # type: ignore[union-attr]
    assert RefusalCode.INSUFFICIENT_CAPITAL in bank.codes(OrderSide.BUY, "0.0101", owner=BOT)
    assert not bank.codes(OrderSide.BUY, "0.0097", owner=BOT)


def test_allocations_follow_equity() -> None:
    bank = Bank()
    bank.capital.rebalance("operator", "now")
    bank.ledger.record(ev.Deposited(account=PAPER, currency=USDT, amount=D(2000)))
    bank.later(7200)
    bank.refresh()
    bank.capital.rebalance("operator", "more money")
    assert bank.capital_of(BOT) == 3000


def test_profit_is_settled_weekly_half_of_it_locked_until_the_quarter_ends() -> None:
    bank = Bank(automatic=False)
    bank.earn(BOT, "400")
    bank.later(7 * 86_400 - 1)
    bank.refresh()
    bank.capital.tick(bank.now)
    assert not bank.state.capital[PAPER].locks
    bank.later(6)
    bank.capital.tick(bank.now)
    entry = bank.state.capital[PAPER]
    [(name, lock)] = entry.locks.items()
    assert lock.amount == 200
    assert lock.unlocks_at == unlock_time(bank.now, ProfitLockSettings())
    # The other half went to both by their shares, out of the pool that made it.
    assert bank.capital_of(BOT) == 2000 + 400 - 200 - 100
    assert bank.capital_of(OTHER_BOT) == 2100
    assert bank.pool(BOT).realised == 0
    known = bank.figures.account(PAPER)
    assert known is not None
    assert known.locked == 200
    assert known.available == known.equity - known.reserve - 200 - 4200
    bank.clock.set(lock.unlocks_at)
    bank.refresh()
    bank.capital.tick(bank.now)
    assert name not in bank.state.capital[PAPER].locks


@pytest.mark.parametrize(("made", "settles"), [("99.99", False), ("100", True)])
def test_less_than_the_least_profit_waits(made: str, settles: bool) -> None:
    bank = Bank()
    bank.earn(BOT, made)
    if settles:
        assert bank.capital.settle(PAPER, "operator").locked == 50
        with pytest.raises(ConflictError, match="less than"):
            bank.capital.settle(PAPER, "operator")
    else:
        with pytest.raises(ConflictError, match="less than"):
            bank.capital.settle(PAPER, "operator")


def test_a_lock_opens_48_hours_after_it_was_asked_for() -> None:
    bank = Bank(automatic=False)
    bank.earn(BOT, "400")
    bank.capital.settle(PAPER, "operator")
    [name] = bank.state.capital[PAPER].locks
    with pytest.raises(NotFoundError, match="there is"):
        bank.capital.unlock(PAPER, "lock-x", "rent", "operator")
    with pytest.raises(ValidationError, match="Say why"):
        bank.capital.unlock(PAPER, name, " ", "operator")
    assert bank.capital.unlock(PAPER, name, "rent", "operator") == bank.now + 48 * HOUR
    with pytest.raises(ConflictError, match="already"):
        bank.capital.unlock(PAPER, name, "rent", "operator")
    bank.later(48 * 3600 - 1)
    bank.capital.tick(bank.now)
    assert name in bank.state.capital[PAPER].locks
    bank.later(6)
    bank.capital.tick(bank.now)
    assert name not in bank.state.capital[PAPER].locks


@pytest.mark.parametrize(
    ("unlock", "expected"), [("monthly", "1970-02-01"), ("quarterly", "1970-04-01"), ("yearly", "1971-01-01")]
)
def test_locks_end_with_the_period(unlock: str, expected: str) -> None:
    from datetime import UTC, datetime

    end = unlock_time(5 * DAY, ProfitLockSettings.model_validate({"unlock": unlock}))
    assert datetime.fromtimestamp(end // 10**9, UTC).date().isoformat() == expected


def test_preserved_capital_goes_to_the_reserve_and_nothing_flows() -> None:
    bank = Bank()
    bank.execute(BOT, OrderSide.BUY, D(50_000), D("0.02"))
    bank.capital.preserve(PAPER, "storm", "operator")
    entry = bank.state.capital[PAPER]
    assert (bank.capital_of(BOT), bank.capital_of(OTHER_BOT)) == (D(1000), D(0))
    assert entry.reserve == 9000
    assert bank.capital.free(PAPER) == 0
    with pytest.raises(ConflictError, match="preserved"):
        bank.capital.rebalance("operator", "now")
    with pytest.raises(ConflictError, match="preserved"):
        bank.capital.preserve(PAPER, "storm", "operator")
    bank.capital.release(PAPER, "over", "operator")
    assert bank.state.capital[PAPER].reserve == 1000
    with pytest.raises(ConflictError, match="not preserved"):
        bank.capital.release(PAPER, "over", "operator")


def test_the_hard_drawdown_preserves_capital_by_itself() -> None:
    bank = Bank()

    def trip(breaker: str) -> None:
        fell = ev.BreakerTripped(breaker=breaker, scope=PAPER, value="16 %", threshold="15 %", reason="fell")
        bank.ledger.record(fell)

    trip("drawdown")
    assert PAPER not in bank.state.capital
    trip("max_drawdown")
    assert bank.state.capital[PAPER].preserved


def test_real_money_is_not_traded_below_the_minimum_or_above_the_largest_share() -> None:
    bank = Bank(funds="50000")
    bank.strategies[BOT] = "mean_reversion"
    bot = bank.state.bots[BOT]
    bank.capital.check_bot(bot)
    bank.go_live()
    with pytest.raises(InsufficientCapitalError, match=r"less than the 5,000\.00 that mean_reversion needs"):
        bank.capital.check_bot(bot)
    for capital, fine in (("4999.99", False), ("5000", True), ("12500", True), ("12500.01", False)):
        bot.capital = D(capital)
        if fine:
            bank.capital.check_bot(bot)
        else:
            with pytest.raises(CapitalManagementError):
                bank.capital.check_bot(bot)


def test_days_are_measured_once_each_and_kept_bounded() -> None:
    bank = Bank(automatic=False)
    for _ in range(3):
        bank.later(86_400)
        bank.refresh()
        bank.capital.tick(bank.now)
        bank.later(6)
        bank.capital.tick(bank.now)
    assert [mark.day for mark in bank.state.capital[PAPER].days[BOT]] == [bank.now // DAY - back for back in (3, 2, 1)]


def test_an_account_that_is_not_known_is_left_alone() -> None:
    bank = Bank()
    bank.steady = False
    bank.later(10 * 86_400)
    bank.capital.tick(bank.now)
    assert not bank.state.capital
    with pytest.raises(ConflictError, match="not known yet"):
        bank.capital.rebalance("operator", "now")


@pytest.mark.parametrize(
    "flow",
    [FundFlow("bot9", FREE, D(1)), FundFlow(FREE, FREE, D(1)), FundFlow(FREE, BOT, D(0)), FundFlow(LOCKED, FREE, D(1))],
)
def test_flows_that_cannot_be_change_nothing(flow: FundFlow) -> None:
    bank = Bank()
    before = bank.state.state_hash()
    with pytest.raises(StateConsistencyError):
        bank.ledger.record(
            ev.FundsMoved(
                account=PAPER, currency=USDT, cause=FlowCause.REBALANCE, flows=(flow,), reason="x", actor="operator"
            )
        )
    assert bank.state.state_hash() == before


def test_the_ledger_holds_what_the_department_says() -> None:
    bank = Bank(automatic=False)
    bank.earn(BOT, "400")
    bank.capital.settle(PAPER, "operator")
    bank.capital.rebalance("operator", "now")
    books = Books()
    for record in bank.journal.records:
        books.take(record)
    entry = bank.state.capital[PAPER]
    assert books.pool(PAPER, LOCKED) == {USDT: D(200)}
    assert books.pool(PAPER, RESERVE) == {USDT: entry.reserve}
    for owner in (BOT, OTHER_BOT):
        assert books.pool(PAPER, owner) == {USDT: bank.pool(Owner(owner)).worth}


def test_a_state_that_something_else_touched_is_not_sound() -> None:
    bank = Bank(automatic=False)
    bank.earn(BOT, "400")
    bank.capital.settle(PAPER, "operator")
    assert not flaws(bank.state)
    [lock] = bank.state.capital[PAPER].locks.values()
    lock.amount = D(0)
    assert [flaw.text for flaw in flaws(bank.state)] == [
        f"The locked profit {name} of paper is 0." for name in bank.state.capital[PAPER].locks
    ]
