"""Errors reach a person: a toast when they matter, a page to read, a warning while trading goes on with care."""

from __future__ import annotations

import msgspec

from engine.control.views_errors import ErrorPage, ErrorReport, ErrorRow, NoticeRow, PatternRow, RecoveryRow
from screens.risk_figures import trading_lines
from tests.kit import fake_data
from tests.kit.deck import Console, console
from tests.kit.fake_link import FakeLink
from tests.kit.fake_market import MINUTE, NOW
from widgets.glyphs import UNICODE


def error(**more: object) -> ErrorRow:
    given = {
        "id": "1", "severity": "high", "component": "feeds", "operation": "fetch a book", "kind": "exchange_connection",
        "message": "SIM cannot be reached.\x1b[2J", "count": 12, "first": NOW - MINUTE, "last": NOW,
        "correlation": "", "context": {"position": "SIM:BTC/USDT"},
    }  # fmt: skip
    return ErrorRow(**{**given, **more})  # type: ignore[arg-type]


def notice(number: int, severity: str = "high", text: str = "SIM keeps failing") -> NoticeRow:
    return NoticeRow(number=number, ts=NOW, severity=severity, component="venue", text=text)


async def opened(deck: Console) -> str:
    await deck.press("ctrl+p", *"errors", "enter")
    await deck.until(lambda: deck.dialog() == "SheetDialog")
    await deck.settle()
    return deck.words()


async def test_the_page_shows_recoveries_patterns_errors_and_reports() -> None:
    link = FakeLink()
    link.data["errors.list"] = ErrorPage(rows=(error(),), page=1, pages=7, total=612, stored=True)
    link.data["errors.recoveries"] = [
        RecoveryRow(
            scenario="network_disconnection", subject="SIM", cause="SIM cannot be reached.", began=NOW - MINUTE,
            steps=("attempt 1: Nobody answers.", "attempt 2: connected"), outcome="Online again.", succeeded=True,
            duration_ms=2400,
        )
    ]  # fmt: skip
    link.data["errors.patterns"] = [
        PatternRow(
            pattern="rising: feeds exchange_connection", component="feeds", words="Rising: about 9 more.", rising=True,
            occurrences=31, first=NOW - MINUTE, last=NOW,
        )
    ]  # fmt: skip
    content = {
        "errors": 44,
        "most_frequent": [{"component": "feeds", "kind": "exchange_connection", "count": 31, "trend": "rising"}],
        "suggestions": ["feeds: check the network."],
    }
    link.data["errors.reports"] = [
        ErrorReport(kind="daily", start=NOW - 1440 * MINUTE, end=NOW, content=content),
        ErrorReport(kind="trend", start=NOW - 1440 * MINUTE, end=NOW, content={"rising: jobs data": "Rising."}),
    ]
    async with console(link, size=(120, 44)) as deck:
        words = await opened(deck)
        assert "network disconnection of SIM, 2.4 s: Online again." in words
        assert "attempt 2: connected" in words
        assert "rising: feeds exchange_connection 31 times" in words
        assert "The last 1 of 612." in words
        assert "high feeds fetch a book ×12 position SIM:BTC/USDT" in words
        assert "SIM cannot be reached.[2J" not in words
        assert "44 errors" in words
        assert "feeds: check the network." in words
        assert "rising: jobs data: Rising." in words


async def test_without_the_database_the_engines_memory_is_shown_as_such() -> None:
    link = FakeLink()
    link.data["errors.list"] = ErrorPage(rows=(error(),), page=1, pages=1, total=1, stored=False)
    async with console(link, size=(120, 30)) as deck:
        words = await opened(deck)
        assert "The report database is away" in words
        assert link.called("errors.patterns") == []


async def test_nothing_wrong_is_said() -> None:
    async with console() as deck:
        assert "Nothing has gone wrong." in await opened(deck)


async def test_errors_that_matter_are_told_once_and_too_many_are_a_count() -> None:
    link = FakeLink()
    link.data["errors.notices"] = (notice(1, text="before the console came"),)
    async with console(link) as deck:
        await deck.settle()
        link.publish("errors.notices", (notice(1), notice(2, "low", "a trifle"), notice(3, text="SIM keeps failing")))
        await deck.until(lambda: "SIM keeps failing" in deck.text())
        assert "High: venue" in deck.text()
        assert "before the console came" not in deck.text()
        assert "a trifle" not in deck.text()
        link.publish("errors.notices", tuple(notice(n, text=f"number {n}") for n in range(4, 10)))
        await deck.until(lambda: "3 more errors" in deck.text())
        assert "number 9" in deck.text()
        assert "number 4" not in deck.text()
        # Another engine process counts from 1 again: nothing of it is told as new.
        link.publish("errors.notices", (notice(1, text="of another process"),))
        await deck.settle()
        assert "of another process" not in deck.text()


async def test_trading_with_care_is_seen_on_every_screen_and_explained_on_risk() -> None:
    link = FakeLink()
    why = "Nothing is heard of BTC/USDT."
    link.data["engine.status"] = msgspec.structs.replace(link.data["engine.status"], care=why)
    async with console(link, size=(160, 30)) as deck:
        await deck.settle()
        await deck.until(lambda: f"CARE: {why}" in deck.text())
    view = msgspec.structs.replace(fake_data.risk(), care=why)
    assert trading_lines(view, UNICODE, NOW)[1] == [(f" With care: {why}", "warn")]
