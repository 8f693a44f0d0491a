"""Health and history are found by name in the palette, from any screen."""

from __future__ import annotations

from engine.control.views import FillHistoryView, HealthRow, OrderHistoryView
from engine.errors import StorageError
from tests.kit.deck import console
from tests.kit.fake_link import FakeLink


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
