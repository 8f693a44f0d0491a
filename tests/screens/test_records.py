"""Health, history and checks are found by name in the palette, from any screen."""

from __future__ import annotations

from decimal import Decimal as D

from engine.control.views import FillHistoryView, HealthRow, OrderHistoryView
from engine.control.views_state import FindingRow, RecoveryView, StateAuditEntry, StateAuditPage
from engine.errors import StorageError
from engine.model.ids import AccountId
from tests.kit.deck import console
from tests.kit.fake_link import FakeLink
from tests.kit.fake_market import NOW


async def test_health_shows_the_engines_parts_and_its_markets() -> None:
    link = FakeLink()
    link.data["health.components"] = [
        HealthRow(component="journal", state="ok", summary="durable to 4,211"),
        HealthRow(component="reports", state="failed", summary="away\x1b[2J since 15:00"),
    ]
    async with console(link, size=(100, 30)) as deck:
        await deck.press("ctrl+p", *"health", "enter")
        await deck.until(lambda: deck.dialog() == "SheetDialog")
        await deck.settle()
        words = deck.words()
        assert "journal ok durable to 4,211" in words
        assert "reports failed away since 15:00" in words
        assert "SIM:BNB/USDT stale last heard 14s ago" in words


async def test_the_history_of_orders_says_how_many_it_shows_of_how_many() -> None:
    link = FakeLink()
    rows = tuple(link.data["orders.open"][:2])
    link.data["orders.history"] = OrderHistoryView(rows=rows, page=1, pages=3, total=512)
    async with console(link, size=(120, 30), screen="risk") as deck:
        await deck.press("ctrl+p", *"order history", "enter")
        await deck.until(lambda: deck.dialog() == "SheetDialog")
        await deck.settle()
        assert "The newest 2 of 512 ended orders." in deck.words()
        assert rows[0].instrument in deck.words()
        assert link.called("orders.history")[-1].params == {"size": 200}


async def test_the_history_of_executions_keeps_amounts_private() -> None:
    link = FakeLink()
    (row, *_) = link.data["orders.fills"]
    link.data["orders.fill_history"] = FillHistoryView(rows=(row,), page=1, pages=1, total=1)
    async with console(link, size=(120, 30)) as deck:
        await deck.press("ctrl+o", "ctrl+p", *"execution history", "enter")
        await deck.until(lambda: deck.dialog() == "SheetDialog")
        await deck.settle()
        assert "All 1 executions, the newest first." in deck.words()
        assert f"{row.instrument} •••" in deck.words()


async def test_no_history_and_a_refusal_are_said() -> None:
    link = FakeLink()
    async with console(link) as deck:
        await deck.press("ctrl+p", *"order history", "enter")
        await deck.until(lambda: deck.dialog() == "SheetDialog")
        await deck.settle()
        assert "There are no ended orders yet." in deck.words()
        await deck.press("escape")
        link.refuse("orders.history", StorageError("The report database is away."))
        await deck.press("ctrl+p", *"order history", "enter")
        await deck.until(lambda: "The report database is away." in deck.text())


async def test_the_report_of_the_start_and_the_checks_since_are_found_by_name() -> None:
    link = FakeLink()
    finding = FindingRow(
        check="portfolio_balance_sync",
        subject="USDT",
        grade="forced",
        text="The venue has 10500 USDT, 10000 were booked.",
        discrepancy=None,
        correction="The venue's word was taken over.",
        before="10000",
        after="10500",
        standing=False,
    )
    report = RecoveryView(
        ts=NOW,
        account=AccountId("paper"),
        verdict="halted",
        snapshot=8_000,
        replayed=421,
        asked=3,
        adopted=1,
        canceled=0,
        ended=2,
        fills=4,
        strangers=0,
        duration_ms=38.4,
        findings=(finding,),
        notes=("A snapshot was passed over.",),
    )
    link.data["recovery.report"] = [report]
    entries = (
        StateAuditEntry(
            ts=NOW,
            check="order_status_sync",
            account="paper",
            subject="Qx7",
            passed=False,
            discrepancy=D("0.05"),
            finding="forced: The end of the order Qx7 was never reported.",
            correction="It is over here, too.",
        ),
        StateAuditEntry(
            ts=NOW,
            check="risk_limit_compliance",
            account="paper",
            subject="",
            passed=True,
            discrepancy=None,
            finding="",
            correction="",
        ),
    )
    link.data["state.audit"] = StateAuditPage(rows=entries, page=1, pages=1, total=2)
    async with console(link, size=(120, 34)) as deck:
        await deck.press("ctrl+p", *"state checks", "enter")
        await deck.until(lambda: deck.dialog() == "SheetDialog")
        await deck.settle()
        words = deck.words()
        assert "halted in 38 ms" in words
        assert "4 executions booked, 3 orders asked for, 2 ended, 1 taken over" in words
        assert "The venue has 10500 USDT, 10000 were booked." in words
        assert "A snapshot was passed over." in words
        assert "forced: The end of the order Qx7 was never reported. (5 %)" in words
        assert "over here, too." in words
        assert "risk_limit_compliance passed" in words


async def test_without_a_report_and_a_trail_the_page_says_so() -> None:
    link = FakeLink()
    async with console(link, size=(120, 34)) as deck:
        await deck.press("ctrl+p", *"state checks", "enter")
        await deck.until(lambda: deck.dialog() == "SheetDialog")
        await deck.settle()
        assert "No start has been verified yet." in deck.words()
        assert "they are made once a minute" in deck.words()
