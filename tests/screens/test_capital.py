"""Capital on Portfolio: what there is, how long locks last, and rebalancing after a look at the plan."""

from __future__ import annotations

from decimal import Decimal as D

import pytest

from engine.control.views_capital import (
    AccountRow,
    CapitalPlanView,
    CapitalView,
    FlowPage,
    FlowRow,
    LockedProfitRow,
    PoolRow,
    TargetRow,
    TransferRow,
)
from engine.model.entries import BotState
from engine.model.ids import AccountId, Currency, Owner
from tests.kit.deck import console
from tests.kit.fake_link import FakeLink
from tests.kit.fake_market import NOW

USDT, PAPER = Currency("USDT"), AccountId("paper")
HOUR = 3_600_000_000_000
FLOW = FlowRow(
    ts=NOW, account=PAPER, kind="rebalance", source="free", target="trend-1", amount=D(500), currency=USDT,
    reason="daily", actor="engine", seq=7,
)  # fmt: skip


def view() -> CapitalView:
    pool = PoolRow(
        owner=Owner("bot-1"), name="trend-1", account=PAPER, currency=USDT, strategy="trend_following",
        state=BotState.RUNNING, capital=D(2000), worth=D(2100), value=D(2150), used=D(900), free=D(1200), share=0.215,
        minimum=D(10_000), days=42, sharpe=1.25, volatility=0.3,
        notes=("below the least capital of trend following, 10,000",),
    )  # fmt: skip
    account = AccountRow(
        account=PAPER, currency=USDT, equity=D(10_000), reserve=D(1000), locked=D(200), allocated=D(2150), used=D(900),
        available=D(6650), preserved="", next_settlement=NOW + 30 * HOUR,
    )  # fmt: skip
    lock = LockedProfitRow(
        lock="lock-a1b2c3", account=PAPER, currency=USDT, amount=D(200), locked_at=NOW, unlocks_at=NOW + 50 * HOUR,
        remaining_s=180_000, asked_at=None,
    )  # fmt: skip
    transfer = TransferRow(
        transfer="deposit-ff00aa", kind="deposit", source="", target="paper", currency=USDT, amount=D(1500),
        since=NOW - HOUR, reason="savings",
    )  # fmt: skip
    return CapitalView(
        currency=USDT, total=D(10_000), reserve=D(1000), locked=D(200), allocated=D(2150), utilised=D(900),
        available=D(6650), utilisation=0.4186, efficiency=0.2443, method="risk_parity", automatic=True,
        next_rebalancing=NOW + 5 * HOUR, obstacles=(), purpose="testing", needed=D(1000), accounts=(account,),
        pools=(pool,), locks=(lock,), transfers=(transfer,), missing=(),
    )  # fmt: skip


def plan(*flows: FlowRow, obstacles: tuple[str, ...] = ()) -> CapitalPlanView:
    target = TargetRow(
        owner=Owner("bot-1"), name="trend-1", account=PAPER, currency=USDT, share=0.25, value=D(2000), target=D(2500),
        change=D(500), notes=("risk allows 50% of it",),
    )  # fmt: skip
    return CapitalPlanView(
        method="risk_parity", currency=USDT, total=D(10_000), moved=D(500), cap=D(2000), targets=(target,), flows=flows,
        obstacles=obstacles,
    )  # fmt: skip


def link() -> FakeLink:
    fake = FakeLink()
    fake.data["capital.overview"] = view()
    fake.data["capital.flows"] = FlowPage(rows=(FLOW,), cursor=0)
    return fake


async def test_capital_is_read_on_eighty_by_twenty_four() -> None:
    async with console(link(), size=(80, 24), screen="portfolio") as deck:
        await deck.press("A")
        await deck.until(lambda: deck.dialog() == "SheetDialog")
        await deck.settle()
        words = deck.words()
        for said in (
            "Total 10,000.00 USDT", "Reserve 1,000.00 USDT", "At work 900.00 USDT 41.9 % of what is allocated",
            "risk parity, next in 5h", "paper in 30h 00m", "trend-1 2,150.00 USDT 21.5 %",
            "below the least capital of trend following, 10,000",
        ):  # fmt: skip
            assert said in words, words
        await deck.press("G")
        await deck.settle()
        words = deck.words()
        for said in ("opens in 2d", "1,500.00 USDT outside → paper, for 60m", "500.00 USDT free → trend-1 rebalance"):
            assert said in words, words


async def test_privacy_hides_amounts() -> None:
    async with console(link(), size=(80, 24), screen="portfolio") as deck:
        await deck.press("ctrl+o", "A")
        await deck.until(lambda: deck.dialog() == "SheetDialog")
        await deck.settle()
        assert "10,000.00 USDT" not in deck.words()


async def test_rebalancing_shows_the_plan_and_asks_once() -> None:
    fake = link()
    fake.data["capital.plan"] = plan(FLOW)
    fake.data["capital.rebalance"] = plan(FLOW)
    async with console(fake, size=(80, 24), screen="portfolio") as deck:
        await deck.press("B")
        await deck.until(lambda: deck.dialog() == "ConfirmDialog")
        await deck.settle()
        words = deck.words()
        assert "Move 500.00 USDT between pools; no order is sent." in words
        assert "trend-1 2,000.00 → 2,500.00 +500.00 25.0 %" in words
        deck.pass_guard()
        await deck.press("y")
        await deck.until(lambda: bool(fake.called("capital.rebalance")))


@pytest.mark.parametrize("obstacles", [(), ("The capital of paper is preserved: storm.",)])
async def test_where_nothing_moves_the_plan_is_only_read(obstacles: tuple[str, ...]) -> None:
    fake = link()
    fake.data["capital.plan"] = plan(*((FLOW,) if obstacles else ()), obstacles=obstacles)
    async with console(fake, size=(80, 24), screen="portfolio") as deck:
        await deck.press("B")
        await deck.until(lambda: deck.dialog() == "SheetDialog")
        await deck.settle()
        for words in obstacles:
            assert words in deck.words()
        assert not fake.called("capital.rebalance")
