"""Each rule of withdrawals blocks what it must, at and around its figure; deposits are spread in proportion."""

from __future__ import annotations

from decimal import Decimal as D
from typing import Any

import pytest

from engine import events as ev
from engine.capital.withdrawals import deposit_flows, withdrawal_flows, withdrawal_rulings
from engine.model.capital import TransferKind
from engine.model.ids import AccountId
from tests.capital.bank import Bank
from tests.risk.house import BOT, OTHER_BOT, PAPER, USDT

OFF: dict[str, Any] = {"profit_only": False, "maintain_minimum": False}


def broken(bank: Bank, value: str) -> set[str]:
    known = bank.figures.account(PAPER)
    assert known is not None
    rulings = withdrawal_rulings(bank.figures, D(value), known, bank.now)
    return {one.rule for one in rulings if not one.passed}


@pytest.mark.parametrize(
    ("value", "rules"), [("99.99", {"minimum"}), ("100", set()), ("2000", set()), ("2000.01", {"max_pct"})]
)
def test_size(value: str, rules: set[str]) -> None:
    assert broken(Bank(withdrawals=OFF), value) == rules


@pytest.mark.parametrize(("seconds", "rules"), [(86_399, {"interval"}), (86_400, set())])
def test_a_day_lies_between_two(seconds: int, rules: set[str]) -> None:
    bank = Bank(withdrawals=OFF)
    transfer = bank.capital.transfers.plan(TransferKind.WITHDRAWAL, USDT, D(100), "rent", "operator", source=PAPER)
    bank.capital.transfers.left(transfer, D(100), "operator")
    bank.later(seconds)
    bank.refresh()
    assert broken(bank, "100") == rules


def test_only_realised_profit_that_is_not_locked_and_has_not_left() -> None:
    bank = Bank(withdrawals={"maintain_minimum": False, "interval_hours": 0})
    assert broken(bank, "100") == {"profit_only"}
    bank.earn(BOT, "1000")
    assert broken(bank, "1000") == set()
    assert broken(bank, "1000.01") == {"profit_only"}
    bank.capital.settle(PAPER, "operator")
    assert broken(bank, "500") == set()
    assert broken(bank, "500.01") == {"profit_only"}
    transfer = bank.capital.transfers.plan(TransferKind.WITHDRAWAL, USDT, D(400), "rent", "operator", source=PAPER)
    bank.capital.transfers.left(transfer, D(400), "operator")
    assert broken(bank, "100") == set()
    assert broken(bank, "100.01") == {"profit_only"}


def test_no_strategy_falls_below_its_minimum() -> None:
    bank = Bank(funds="11200", withdrawals={"profit_only": False, "max_pct": 1}, emergency_reserve_pct=0)
    bank.strategies = {BOT: "mean_reversion", OTHER_BOT: "own_idea"}
    for owner, capital in ((BOT, "5100"), (OTHER_BOT, "5100")):
        bank.ledger.record(ev.BotConfigured(bot=owner, config=b"{}", capital=D(capital)))
    # 1,000 are free; what is beyond is taken from both pools alike.
    assert broken(bank, "1000") == set()
    assert broken(bank, "1200") == set()
    assert broken(bank, "1200.04") == {"maintain_minimum"}


def test_performance() -> None:
    rules = {**OFF, "performance_based": True}
    bank = Bank(withdrawals=rules)
    bank.earn(BOT, "500")
    assert broken(bank, "100") == {"performance_based"}
    bank.earn(BOT, "0.01")
    assert broken(bank, "100") == set()


def test_what_is_preserved_or_at_work_does_not_leave() -> None:
    bank = Bank(withdrawals={**OFF, "max_pct": 1})
    bank.capital.preserve(PAPER, "storm", "operator")
    assert "preservation" in broken(bank, "100")


def test_the_pools_make_room_in_proportion_to_what_they_have_free() -> None:
    bank = Bank(withdrawals=OFF)
    bank.ledger.record(ev.BotConfigured(bot=OTHER_BOT, config=b"{}", capital=D(6000)))
    known = bank.figures.account(PAPER)
    assert known is not None
    assert known.available == 1000
    assert not withdrawal_flows(bank.figures, D(1000), known)
    flows = withdrawal_flows(bank.figures, D(1800), known)
    assert [(flow.source, flow.amount) for flow in flows] == [(BOT, D("200.00")), (OTHER_BOT, D("600.00"))]


def test_a_deposit_is_spread_in_proportion_within_the_largest_share() -> None:
    bank = Bank(funds="20000")
    bank.ledger.record(ev.BotConfigured(bot=OTHER_BOT, config=b"{}", capital=D(4800)))
    known = bank.figures.account(PAPER)
    assert known is not None
    flows = deposit_flows(bank.figures, D(2000), known)
    # 1,800 of it are not the reserve's: by 2,000 to 4,800, but nobody beyond a quarter of 20,000.
    assert [(flow.target, flow.amount) for flow in flows] == [(BOT, D("529.41")), (OTHER_BOT, D("200.00"))]
    assert not deposit_flows(Bank(deposits={"spread": False}).figures, D(2000), known)


def test_a_transfer_between_accounts_is_booked_end_by_end() -> None:
    bank = Bank()
    other = bank.open_account("other")
    transfer = bank.capital.transfers.plan(
        TransferKind.TRANSFER, USDT, D(1000), "spread", "operator", source=PAPER, target=other
    )
    explain = bank.capital.transfers.explain
    assert not explain(PAPER, USDT, D("-1020.01"))
    assert not explain(other, USDT, D("-1000"))
    assert not explain(AccountId("third"), USDT, D(1000))
    assert explain(PAPER, USDT, D("-1000"))
    assert bank.state.transfers[transfer].left
    assert not explain(PAPER, USDT, D("-1000"))
    assert explain(other, USDT, D("998"))
    assert not bank.state.transfers
    assert bank.state.balance(other, USDT).total == 998
    assert bank.state.balance(PAPER, USDT).total == 9000
