"""A paper venue's file that is lost or older than the journal is noticed at the start; wrong books are never traded."""

from __future__ import annotations

import shutil
from decimal import Decimal as D
from typing import TYPE_CHECKING, Any

import pytest

from engine import events as ev
from engine.errors import ConflictError, OrderRejectionError, StateConsistencyError
from engine.model.entries import TradingState
from engine.model.ids import AccountId, Currency, InstrumentId
from engine.model.order import OrderStatus
from engine.venues.paper.venue import PaperVenue
from storage.journal import Journal, Query
from tests.control.house import BTC, Deck, deck
from tests.kit.waiting import eventually

if TYPE_CHECKING:
    from pathlib import Path

PAPER, USDT, COIN = AccountId("paper"), Currency("USDT"), Currency("BTC")


def keep(home: Path) -> Path:
    """Copy the venue's file, as a backup would, while no engine runs."""
    kept = home.parent / f"{home.name}-kept"
    kept.mkdir()
    for file in home.glob("paper.db*"):
        shutil.copy2(file, kept / file.name)
    return kept


def lose(home: Path) -> None:
    for file in home.glob("paper.db*"):
        file.unlink()


def put_back(kept: Path, home: Path) -> None:
    lose(home)
    for file in kept.glob("paper.db*"):
        shutil.copy2(file, home / file.name)


async def caught_up(on: Deck) -> None:
    """What the comparison does every minute."""
    await on.engine.dispatcher.inquiry.catch_up(on.engine.venue, PAPER)


async def adjustments(on: Deck) -> list[ev.BalanceAdjusted]:
    assert on.host.context is not None
    assert on.host.context.reader is not None
    await on.engine.journal.wait_durable(on.engine.ledger.seq)
    records = await on.host.context.reader.latest(100, Query(kinds=("BalanceAdjusted",)))
    return [record.event for record in records if isinstance(record.event, ev.BalanceAdjusted)]


@pytest.mark.parametrize("compared", [False, True])
async def test_without_the_venues_file_the_engine_does_not_start_and_says_what_to_do(
    tmp_path: Path, compared: bool
) -> None:
    async with deck(tmp_path) as on:
        await on.market(quantity="0.002")
        if compared:
            await caught_up(on)
    kept = keep(tmp_path)
    lose(tmp_path)
    for _ in range(2):
        with pytest.raises(StateConsistencyError, match=r"paper.db is missing or older .*move journal.db away"):
            async with deck(tmp_path):
                pass
    put_back(kept, tmp_path)
    async with deck(tmp_path) as on:
        assert on.engine.state.balance(PAPER, COIN).total == D("0.002")
        assert on.engine.state.trading_state() is TradingState.ACTIVE
        assert await adjustments(on) == []


async def test_an_older_copy_of_the_venues_file_is_refused_once_the_journal_knows_later_executions(
    tmp_path: Path,
) -> None:
    async with deck(tmp_path) as on:
        await on.market(quantity="0.002")
    kept = keep(tmp_path)
    async with deck(tmp_path) as on:
        await on.market(quantity="0.002")
        await caught_up(on)
    put_back(kept, tmp_path)
    with pytest.raises(StateConsistencyError, match="older than the journal"):
        async with deck(tmp_path):
            pass


async def test_books_that_differ_from_an_older_copy_are_corrected_and_trading_halts(tmp_path: Path) -> None:
    async with deck(tmp_path) as on:
        await on.market(quantity="0.002")
        await caught_up(on)
    kept = keep(tmp_path)
    async with deck(tmp_path) as on:
        lost = await on.market(quantity="0.004")
    put_back(kept, tmp_path)
    async with deck(tmp_path) as on:
        state = on.engine.state
        assert {fact.currency for fact in await adjustments(on)} == {USDT, COIN}
        assert state.balance(PAPER, COIN).total == D("0.002")
        halt = state.halts["engine"]
        assert (halt.state, halt.actor) == (TradingState.HALTED, "recovery")
        assert "BTC by -0.004" in halt.reason
        assert "resume on Risk" in halt.reason
        with pytest.raises(OrderRejectionError):
            await on.call("orders.place", instrument=BTC, side="buy", quantity="0.001")
        await on.call("risk.resume", reason="looked at it")
        again = await on.market(quantity="0.001")
        before, after = state.order(lost.client_id), state.order(again.client_id)
        assert before is not None
        assert after is not None
        assert before.venue_order_id != after.venue_order_id
        assert not set(before.fill_keys) & set(after.fill_keys)


async def test_money_that_came_while_the_engine_was_away_halts_until_somebody_has_looked(tmp_path: Path) -> None:
    async with deck(tmp_path) as on:
        assert isinstance(on.engine.venue, PaperVenue)
        on.engine.venue._exchange.deposit(PAPER, USDT, D(500))
        await on.limit()
    async with deck(tmp_path) as on:
        assert [fact.amount for fact in await adjustments(on)] == [D(500)]
        assert "USDT by +500" in on.engine.state.halts["engine"].reason
    async with deck(tmp_path) as on:
        assert on.engine.state.trading_state() is TradingState.HALTED
        assert len(await adjustments(on)) == 1
        await on.call("risk.resume", reason="it was a gift")
        with pytest.raises(ConflictError):
            await on.call("risk.resume", reason="again")


async def reports(on: Deck) -> list[ev.RecoveryVerified]:
    """Of all starts, oldest first."""
    assert on.host.context is not None
    assert on.host.context.reader is not None
    await on.engine.journal.wait_durable(on.engine.ledger.seq)
    records = await on.host.context.reader.latest(100, Query(kinds=("RecoveryVerified",)))
    return [r.event for r in reversed(records) if isinstance(r.event, ev.RecoveryVerified)]


async def test_every_start_leaves_a_report_of_what_was_found_and_done(tmp_path: Path) -> None:
    async with deck(tmp_path) as on:
        (first,) = await reports(on)
        assert (first.verdict, first.findings, first.replayed) == ("verified", (), 0)
        rests = await on.limit()
        gone = await on.limit(away=0.04)
        for row in (rests, gone):
            await on.reaches(row, OrderStatus.ACCEPTED)
        venue = on.engine.venue
        assert isinstance(venue, PaperVenue)
        venue.faults.lost_reports = 10
        venue._keep(venue._exchange.cancel(PAPER, gone.client_id, on.engine.clock.now()))
        await eventually(lambda: venue.faults.lost_reports < 10)
        seq = on.engine.ledger.seq
    async with deck(tmp_path) as on:
        report = (await reports(on))[-1]
        assert report == on.engine.default.report
        assert (report.asked, report.ended, report.fills, report.verdict) == (1, 1, 0, "verified")
        assert report.snapshot + report.replayed >= seq
        assert on.engine.state.recent[gone.client_id].status is OrderStatus.CANCELED
        heard, watcher = on.watch("facts.activity")
        await eventually(
            lambda: any("The start of SIM/paper is verified: 1 orders ended" in str(delta) for delta in heard)
        )
        watcher.close()


async def test_money_that_nobody_can_explain_is_a_finding_of_the_report(tmp_path: Path) -> None:
    async with deck(tmp_path) as on:
        assert isinstance(on.engine.venue, PaperVenue)
        on.engine.venue._exchange.deposit(PAPER, USDT, D(500))
        await on.limit()
    async with deck(tmp_path) as on:
        report = (await reports(on))[-1]
        (finding,) = report.findings
        assert (report.verdict, finding.subject, finding.before, finding.after) == ("halted", "USDT", "10000", "10500")


async def test_a_state_that_contradicts_itself_is_never_traded_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with deck(tmp_path) as on:
        await on.market(quantity="0.002")
    real = Journal.open

    def spoilt(*args: Any, **more: Any) -> Journal:
        journal = real(*args, **more)
        next(iter(journal.recovered.state.positions.values())).lots[0].quantity += 1
        return journal

    with monkeypatch.context() as patch:
        patch.setattr(Journal, "open", spoilt)
        async with deck(tmp_path) as on:
            assert on.engine.default.report is not None
            assert (on.engine.default.report.verdict, on.engine.default.report.findings[0].grade) == (
                "halted",
                "corrupt",
            )
            assert "contradicts itself" in on.engine.state.halts["engine"].reason
            assert on.engine.state.orders == {}
    async with deck(tmp_path) as on:
        assert on.engine.default.report is not None
        assert on.engine.default.report.findings == ()
        assert on.engine.state.position(PAPER, InstrumentId(BTC)).quantity == D("0.002")  # type: ignore[union-attr]
