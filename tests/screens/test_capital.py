"""Capital on Portfolio: what there is, how long locks last, and rebalancing after a look at the plan."""

from __future__ import annotations

from decimal import Decimal as D

import msgspec
import pytest

from engine.control.views_capital import (
    AccountRow,
    CapitalPlanView,
    CapitalView,
    ExposureRow,
    ExposureView,
    FlowPage,
    FlowRow,
    HedgeRow,
    LockedProfitRow,
    MoneyView,
    PoolRow,
    TargetRow,
    TransferRow,
)
from engine.model.entries import BotState
from engine.model.ids import AccountId, Currency, InstrumentId, Owner
from engine.model.order import OrderSide
from tests.kit.deck import Console, FakeTime, console, make_app
from tests.kit.fake_link import FakeLink
from tests.kit.fake_market import NOW
from tests.screens.test_account_snapshots import SIZES, Compare, drawn

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
        await deck.until(lambda: "Total" in deck.words())
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
        await deck.until(lambda: "Total" in deck.words())
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


@pytest.mark.parametrize("size", SIZES)
def test_capital_looks_like_this(snap_compare: Compare, size: str) -> None:
    fake, time = link(), FakeTime()
    app = make_app(fake, time, screen="portfolio")
    assert snap_compare(app, terminal_size=SIZES[size], run_before=drawn(fake, time, "A"))


def exposure(*hedges: HedgeRow) -> ExposureView:
    row = ExposureRow(
        account=PAPER, currency=Currency("BTC"), held=D("0.05"), derivatives=D(0), bots=D("0.02"), value=D(3000),
        share=0.3, limit=0.25, over=True, supported=True,
    )  # fmt: skip
    return ExposureView(currency=USDT, rows=(row,), hedges=hedges)


HEDGE = HedgeRow(
    account=PAPER, currency=Currency("BTC"), instrument=InstrumentId("SIM:BTC/USDT"), side=OrderSide.SELL,
    quantity=D("0.04"), covers=D("0.04"), value=D(2400), exposure=0.3, after=0.06, reason="30% of equity is in BTC",
)  # fmt: skip


def money(words: str) -> MoneyView:
    return MoneyView(transfer="deposit-1", done=True, value=D(1500), rules=(), flows=(), words=words)


async def opened(deck: Console) -> None:
    await deck.press("A")
    await deck.until(lambda: "Total" in deck.words())
    await deck.settle()
    deck.pass_guard()


async def test_open_capital_is_asked_for_again_and_stays_at_its_place() -> None:
    fake = link()
    async with console(fake, size=(80, 24), screen="portfolio") as deck:
        await opened(deck)
        fake.data["capital.overview"] = msgspec.structs.replace(view(), total=D(12_345))
        await deck.press("d", "escape")
        await deck.until(lambda: "Total 12,345.00 USDT" in deck.words())


@pytest.mark.parametrize(("key", "operation"), [("d", "capital.deposit"), ("w", "capital.withdraw")])
async def test_money_comes_in_and_leaves_by_a_form(key: str, operation: str) -> None:
    fake = link()
    fake.data[operation] = money("1500 USDT moved.")
    async with console(fake, size=(80, 24), screen="portfolio") as deck:
        await opened(deck)
        await deck.press(key)
        await deck.until(lambda: deck.dialog() == "MoneyForm")
        await deck.settle()
        deck.pass_guard()
        await deck.press("down", *"1,500", "enter")
        await deck.until(lambda: bool(fake.called(operation)))
        asked = fake.called(operation)[0].params
        assert asked == {"account": "paper", "amount": "1500", "currency": "USDT", "reason": "by the operator"}
        await deck.until(lambda: deck.dialog() == "CapitalSheet")


async def test_capital_is_preserved_with_a_reason_and_released_again() -> None:
    fake = link()
    kept = msgspec.structs.replace(view().accounts[0], preserved="storm")
    preserved = msgspec.structs.replace(view(), accounts=(kept,))
    fake.data["capital.preserve"], fake.data["capital.release"] = preserved, view()
    async with console(fake, size=(80, 24), screen="portfolio") as deck:
        await opened(deck)
        await deck.press("x")
        await deck.until(lambda: deck.dialog() == "PreserveForm")
        await deck.settle()
        deck.pass_guard()
        await deck.press("enter")
        assert not fake.called("capital.preserve"), "without a reason nothing is asked"
        fake.data["capital.overview"] = preserved
        await deck.press(*"storm", "enter")
        await deck.until(lambda: bool(fake.called("capital.preserve")))
        await deck.until(lambda: "paper is preserved: storm" in deck.words())
        await deck.press("x")
        await deck.until(lambda: deck.dialog() == "ReleaseForm")
        await deck.settle()
        assert "paper: storm" in deck.words()
        deck.pass_guard()
        await deck.press(*"over", "enter")
        await deck.until(lambda: bool(fake.called("capital.release")))


async def test_profit_is_settled_and_locked_profit_asked_for() -> None:
    fake = link()
    fake.data["capital.settle"] = fake.data["capital.unlock"] = view()
    async with console(fake, size=(80, 24), screen="portfolio") as deck:
        await opened(deck)
        await deck.press("s")
        await deck.until(lambda: deck.dialog() == "ConfirmDialog")
        await deck.settle()
        deck.pass_guard()
        await deck.press("y")
        await deck.until(lambda: bool(fake.called("capital.settle")))
        await deck.until(lambda: deck.dialog() == "CapitalSheet")
        await deck.press("u")
        await deck.until(lambda: deck.dialog() == "UnlockProfitForm")
        await deck.settle()
        deck.pass_guard()
        await deck.press("down", *"need", "enter")
        await deck.until(lambda: bool(fake.called("capital.unlock")))
        assert fake.called("capital.unlock")[0].params == {"lock": "lock-a1b2c3", "account": "paper", "reason": "need"}


@pytest.mark.parametrize("hedges", [(), (HEDGE,)])
async def test_exposure_is_shown_and_hedges_are_sent_after_a_word(hedges: tuple[HedgeRow, ...]) -> None:
    fake = link()
    fake.data["capital.exposure"], fake.data["capital.hedge"] = exposure(*hedges), []
    async with console(fake, size=(80, 24), screen="portfolio") as deck:
        await opened(deck)
        await deck.press("e")
        await deck.until(lambda: deck.dialog() == ("ConfirmDialog" if hedges else "SheetDialog"))
        await deck.settle()
        assert "30.0 % of 25 %" in deck.words()
        deck.pass_guard()
        if not hedges:
            assert "Nothing is to be hedged." in deck.words()
            return
        assert "Sell 0.04 BTC/USDT of paper, at the market." in deck.words()
        await deck.press("enter")
        assert not fake.called("capital.hedge")
        await deck.press("y")
        await deck.until(lambda: bool(fake.called("capital.hedge")))
