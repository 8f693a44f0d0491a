"""The monitor of the state on a running engine: quiet while all is well, never silent when it is not."""

from __future__ import annotations

import asyncio
from decimal import Decimal as D
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from engine import events as ev
from engine.errors import ExchangeConnectionError
from engine.model.entries import TradingState
from engine.model.ids import AccountId, Currency, InstrumentId
from engine.model.order import OrderStatus
from engine.model.verification import BALANCES, CHECKS, LIMITS, ORDERS, POSITIONS, Finding, Grade
from engine.venues.paper.venue import PaperVenue
from storage.journal import Query
from tests.control.house import BTC, Deck, deck
from tests.kit.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from engine.model.venue import VenuePosition

PAPER, USDT, MARKET = AccountId("paper"), Currency("USDT"), InstrumentId(BTC)


@pytest.fixture
async def on(tmp_path: Path) -> AsyncIterator[Deck]:
    async with deck(tmp_path) as found:
        yield found


def venue(on: Deck) -> PaperVenue:
    assert isinstance(on.engine.venue, PaperVenue)
    return on.engine.venue


async def checked(on: Deck) -> dict[str, Finding]:
    """One round; its findings by subject."""
    event = await on.engine.default.monitor.check()
    return {finding.subject: finding for finding in event.findings}


async def history(on: Deck) -> None:
    """Let the database follow to the end of the journal."""
    assert on.host.context is not None
    assert on.host.context.projector is not None
    await on.engine.journal.wait_durable(on.engine.ledger.seq)
    await on.host.context.projector.catch_up()


async def test_while_all_is_well_every_round_is_kept_and_says_nothing(on: Deck) -> None:
    await on.market(quantity="0.002")
    await on.limit()
    heard, watcher = on.watch("facts.activity")
    for _ in range(2):
        assert await checked(on) == {}
    await history(on)
    trail = await on.call("state.audit")
    assert {row.check for row in trail.rows} == set(CHECKS)
    assert [row.passed for row in trail.rows] == [True] * 12, "the start and two rounds"
    assert not any("check of the state" in str(delta) for delta in heard)
    watcher.close()
    health = {row.component: row for row in await on.call("health.components")}
    assert (health["state"].state, health["state"].figures["findings"]) == ("ok", 0)


async def test_trading_on_meanwhile_is_no_false_alarm(on: Deck) -> None:
    await on.call("risk.set_limits", limits={"max_orders_per_second": 1000, "max_positions_per_symbol": 10})

    async def trade() -> None:
        for number in range(12):
            row = await on.market("buy" if number % 2 == 0 else "sell", quantity="0.001")
            await on.limit(quantity="0.001", away=0.04 + number / 1000)
            assert row.client_id
            await asyncio.sleep(0)

    trading = asyncio.ensure_future(trade())
    rounds = []
    while not trading.done():
        rounds.append(await on.engine.default.monitor.check())
        await asyncio.sleep(0)
    await trading
    assert len(rounds) >= 3
    assert [finding for event in rounds for finding in event.findings] == []
    assert on.engine.state.trading_state() is TradingState.ACTIVE


async def facts(on: Deck, *kinds: type[Any]) -> list[Any]:
    await on.engine.journal.wait_durable(on.engine.ledger.seq)
    assert on.host.context is not None
    assert on.host.context.reader is not None
    records = await on.host.context.reader.latest(1000, Query(kinds=tuple(kind.__name__ for kind in kinds)))
    return [record.event for record in reversed(records)]


@pytest.mark.parametrize(
    ("deposit", "expected", "adjusted", "state"),
    [
        ("100", Grade.LOGGED, 0, TradingState.ACTIVE),
        ("400", Grade.RECONCILED, 1, TradingState.ACTIVE),
        ("600", Grade.FORCED, 1, TradingState.HALTED),
    ],
)
async def test_money_that_no_execution_explains(
    on: Deck, deposit: str, expected: Grade, adjusted: int, state: TradingState
) -> None:
    venue(on)._exchange.deposit(PAPER, USDT, D(deposit))
    first = await on.engine.default.monitor.check()
    assert first.findings == ()
    assert f"The venue shows +{deposit} USDT; an execution may still explain it" in first.notes[0]
    found = await checked(on)
    assert (found["USDT"].check, found["USDT"].grade) == (BALANCES, expected)
    assert len(await facts(on, ev.BalanceAdjusted)) == adjusted
    assert on.engine.state.trading_state() is state
    again = await checked(on)
    assert (set(again), [f.standing for f in again.values()]) == ((set(), []) if adjusted else ({"USDT"}, [True]))
    await history(on)
    trail = await on.call("state.audit", check=BALANCES, findings=True)
    assert trail.total == (1 if adjusted else 2)
    assert trail.rows[0].finding.startswith(f"{expected}: The venue has")
    alerts = [row for row in (await on.call("alerts.list")).rows if row.kind == "state"]
    assert len(alerts) == (1 if state is TradingState.HALTED else 0)


async def test_an_end_that_was_never_reported_is_found_and_told(on: Deck, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.consistency.checks.LATE_NS", -1)
    row = await on.limit()
    await on.reaches(row, OrderStatus.ACCEPTED)
    venue(on).faults.lost_reports = 10
    venue(on)._keep(venue(on)._exchange.cancel(PAPER, row.client_id, on.engine.clock.now()))
    await eventually(lambda: venue(on).faults.lost_reports < 10)
    await checked(on)
    await on.reaches(row, OrderStatus.CANCELED)
    found = await checked(on)
    assert (found[row.client_id].check, found[row.client_id].grade) == (ORDERS, Grade.FORCED)


async def test_a_position_that_nobody_explains_halts_trading_though_a_question_after_it_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    perpetual = InstrumentId("SIM:BTC/USDT:USDT")
    async with deck(tmp_path, paper__perpetuals=True) as on:
        row = await on.call("orders.place", instrument=perpetual, side="buy", quantity="1")
        await on.reaches(row, OrderStatus.FILLED)
        real = venue(on).positions

        async def doubled(account: AccountId) -> list[VenuePosition]:
            return [msgspec.structs.replace(said, quantity=2 * said.quantity) for said in await real(account)]

        async def silent(*_: object) -> None:
            raise TimeoutError

        monkeypatch.setattr(venue(on), "positions", doubled)
        monkeypatch.setattr(on.engine.guard, "margin", silent)
        await on.engine.default.monitor.check()
        event = await on.engine.default.monitor.check()
        assert on.engine.state.positions[PAPER, perpetual].quantity == 2
        assert on.engine.state.trading_state() is TradingState.HALTED
        assert "no execution explains it" in on.engine.state.halts["engine"].reason
        grades = [finding.grade for finding in event.findings if finding.check == POSITIONS]
        assert grades == [Grade.FORCED, Grade.FAILED]


@pytest.mark.parametrize("what", ["lot", "money", "order"])
async def test_a_state_that_contradicts_itself_halts_trading(on: Deck, what: str) -> None:
    filled = await on.market(quantity="0.002")
    await on.reaches(filled, OrderStatus.FILLED)
    # What is booked must not be told again as something new.
    await checked(on)
    match what:
        case "lot":
            on.engine.state.positions[PAPER, MARKET].lots[0].quantity += 1
        case "money":
            on.engine.state.balances[PAPER][USDT].reserved += 1
        case _:
            on.engine.state.recent[filled.client_id].fill_keys.clear()
    found = await checked(on)
    expected = {"lot": POSITIONS, "money": BALANCES, "order": ORDERS}[what]
    assert expected in {f.check for f in found.values() if f.grade is Grade.CORRUPT}
    halt = on.engine.state.halts["engine"]
    assert (halt.state, halt.actor) == (TradingState.HALTED, "recovery")
    assert "contradicts itself" in halt.reason
    assert await facts(on, ev.BalanceAdjusted, ev.ExternalFillSeen) == [], "nothing is booked on the strength of it"
    assert {group.error_type for group in on.engine.errors.groups()} == {"state_corruption"}
    health = {row.component: row.state for row in await on.call("health.components")}
    assert health["state"] == "failed"


async def test_a_check_that_fails_is_a_finding_and_keeps_no_other_from_being_made(
    on: Deck, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(account: AccountId) -> None:
        raise KeyError(account)

    async def away(*_: object) -> None:
        raise ExchangeConnectionError("The venue is away.")

    monkeypatch.setattr(on.engine.risk, "uses", breaks)
    monkeypatch.setattr(on.engine.default.upkeep[PAPER].accounts, "compare", away)
    event = await on.engine.default.monitor.check()
    assert event.checks == (POSITIONS, ORDERS)
    assert {f.check: f.grade for f in event.findings} == {BALANCES: Grade.FAILED, LIMITS: Grade.FAILED}
    assert any("The venue is away." in f.text for f in event.findings)
    assert any("KeyError" in f.text for f in event.findings)
    assert on.engine.state.trading_state() is TradingState.ACTIVE


async def test_a_row_of_the_database_that_differs_is_made_anew_from_the_journal(
    on: Deck, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.consistency.monitor.SETTLED_NS", 0)
    row = await on.market(quantity="0.002")
    await history(on)
    assert await checked(on) == {}
    assert on.host.context is not None
    assert on.host.context.reports is not None

    async def spoil(database: Any) -> None:
        import sqlalchemy as sa

        from storage.tables import FillHistoryRow

        async with database.session() as session:
            await session.execute(sa.update(FillHistoryRow).values(quantity=D("0.001")))

    await on.host.context.reports.run(spoil)
    await history(on)
    found = await checked(on)
    assert (found[row.client_id].check, found[row.client_id].grade) == (POSITIONS, Grade.FORCED)
    assert "made anew from the journal" in found[row.client_id].correction
    await history(on)
    assert await checked(on) == {}


async def test_rounds_are_made_by_themselves_and_on_demand(tmp_path: Path) -> None:
    async with deck(tmp_path, error_handling__state_consistency={"validation_frequency": 0.01}) as on:
        await eventually(lambda: on.engine.default.monitor.last is not None)
        view = await on.call("state.check")
        assert (set(view.checks), view.findings) == (set(CHECKS), ())
        reports = await on.call("recovery.report", limit=5)
        assert [(report.verdict, report.findings) for report in reports] == [("verified", ())]
