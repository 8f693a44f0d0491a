"""The engine as a whole, on the paper venue: what is done stays done, over restarts, kills and faults."""

from __future__ import annotations

import asyncio
import shutil
import signal
import subprocess
import sys
from decimal import Decimal as D
from typing import TYPE_CHECKING, Any

import pytest

from engine import events as ev
from engine import pulse
from engine.control.host import build_engine
from engine.errors import ExchangeConnectionError, JournalError, OrderRejectionError, VenueCircuitOpenError
from engine.execution.dispatcher import Dispatcher
from engine.model.candle import Candle
from engine.model.entries import BotState, TradingState
from engine.model.fill import Fill
from engine.model.ids import AccountId, ClientOrderId, Currency, InstrumentId, Owner, TradeId, VenueId, VenueOrderId
from engine.model.market import BookUpdate, FeedStatus
from engine.model.order import Liquidity, OrderSide, OrderStatus, OrderType
from engine.model.signal import Signal, SignalAction, SignalDirection
from engine.pulse import Pulse
from engine.risk.department import RiskDepartment
from engine.venues.paper.faults import Fault, Operation
from engine.venues.paper.venue import CAPABILITIES, PaperVenue
from storage.journal import Query
from tests.conftest import ROOT
from tests.control.house import BTC, Deck, deck, fail
from tests.kit.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

PAPER, USDT, COIN = AccountId("paper"), Currency("USDT"), Currency("BTC")
MARKET = InstrumentId(BTC)
TREND = {"name": "trend", "strategy": "trend_following", "instrument": BTC, "timeframe": "1m", "capital": "2000"}


@pytest.fixture
async def on(tmp_path: Path) -> AsyncIterator[Deck]:
    async with deck(tmp_path) as found:
        yield found


def venue(on: Deck) -> PaperVenue:
    assert isinstance(on.engine.venue, PaperVenue)
    return on.engine.venue


async def facts(on: Deck, *kinds: type[Any]) -> list[Any]:
    """All facts of these kinds in the journal, oldest first."""
    await on.engine.journal.wait_durable(on.engine.ledger.seq)
    assert on.host.context is not None
    assert on.host.context.reader is not None
    names = tuple(kind.__name__ for kind in kinds)
    return [r.event for r in reversed(await on.host.context.reader.latest(100_000, Query(kinds=names)))]


async def agrees_with_the_venue(on: Deck) -> None:
    """Balances, executions and open orders are the same on both sides, each execution once."""
    there = {balance.currency: balance.total for balance in await venue(on).balances(PAPER)}
    here = {b.currency: b.total for b in on.engine.state.balances[PAPER].values() if b.total}
    assert here == {currency: total for currency, total in there.items() if total}
    fills: list[Fill] = []
    cursor = ""
    while True:
        page, after = await venue(on).fills_since(PAPER, cursor)
        fills += page
        if after == cursor:
            break
        cursor = after
    booked = [fact.fill.key for fact in await facts(on, ev.OrderFilled)]
    assert sorted(booked) == sorted(fill.key for fill in fills)
    working = {order.client_id: order.filled for order in await venue(on).open_orders(PAPER)}
    assert {order.client_id: order.filled for order in on.engine.state.orders.values()} == working


def enter(on: Deck, price: float) -> Signal:
    return Signal(
        instrument=MARKET,
        strategy="trend_following",
        action=SignalAction.ENTER,
        direction=SignalDirection.BUY,
        confidence=1.0,
        ts=on.engine.clock.now(),
        reason="crossed",
        stop=price * 0.97,
    )


# --- a day at work ---------------------------------------------------------------------------------------------------


async def test_everything_a_trader_did_is_there_after_a_stop_and_a_start(tmp_path: Path) -> None:
    async with deck(tmp_path) as on:
        rests = await on.limit()
        await on.reaches(rests, OrderStatus.ACCEPTED)
        gone = await on.limit(away=0.02)
        await on.call("orders.cancel", client_id=gone.client_id)
        await on.reaches(gone, OrderStatus.CANCELED)
        await on.market(quantity="0.002")
        await on.call("bots.create", **TREND)
        await on.call("bots.start", bot="trend")
        owner = on.engine.bots.find("trend").id
        bot = on.engine.bots.running[owner]
        mark = on.engine.mark(MARKET)
        assert mark is not None
        bot.act(enter(on, float(mark)))
        await eventually(lambda: [o.type for o in bot.orders()] == [OrderType.STOP_LOSS])
        await eventually(lambda: bot.orders()[0].status is OrderStatus.ACCEPTED)
        held, balances = bot.quantity, dict(on.engine.state.balances[PAPER])
        instance = on.engine.journal.meta.instance
    async with deck(tmp_path) as on:
        state = on.engine.state
        assert (on.engine.journal.epoch, on.engine.journal.meta.instance) == (2, instance)
        assert state.orders[rests.client_id].status is OrderStatus.ACCEPTED
        assert state.recent[gone.client_id].status is OrderStatus.CANCELED
        assert state.balances[PAPER] == balances
        assert state.owned[Owner("manual"), PAPER, MARKET].quantity == D("0.002")
        bot = on.engine.bots.running[owner]
        assert (bot.quantity, state.bots[owner].state) == (held, BotState.RUNNING)
        assert [order.type for order in bot.orders()] == [OrderType.STOP_LOSS]
        await agrees_with_the_venue(on)
        assert await facts(on, ev.BalanceAdjusted, ev.ExternalFillSeen) == []
        await on.call("risk.emergency_stop", reason="end of the day")
        await eventually(lambda: not on.engine.state.orders and not on.engine.risk.emergency_words)
    async with deck(tmp_path) as on:
        assert on.engine.state.orders == {}
        assert all(not position.lots for position in on.engine.state.owned.values())
        assert (await on.call("engine.status")).trading is TradingState.HALTED
        with pytest.raises(OrderRejectionError):
            await on.call("orders.place", instrument=BTC, side="buy", quantity="0.001")
        await on.call("risk.resume", reason="a new day")
        await on.market(quantity="0.001")
        await agrees_with_the_venue(on)


async def test_nothing_answered_is_lost_and_nothing_is_done_twice_however_often_the_engine_is_killed(
    tmp_path: Path,
) -> None:
    answered: list[str] = []
    for seed in range(4):
        child = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "tests.engine.crash_child", str(tmp_path), str(seed)),
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert child.stdout is not None
        for _ in range(15 + 10 * seed):
            line = (await asyncio.wait_for(child.stdout.readline(), 30)).decode().strip()
            if not line:
                assert child.stderr is not None
                pytest.fail((await child.stderr.read()).decode()[-2000:])
            if line.startswith("placed "):
                answered.append(line.removeprefix("placed "))
        child.send_signal(signal.SIGKILL)
        rest = await child.stdout.read()
        answered += [x.removeprefix("placed ") for x in rest.decode().splitlines() if x.startswith("placed Q")]
        await child.wait()
    async with deck(tmp_path) as on:
        assert len(answered) >= 50
        assert len(await facts(on, ev.OrderFilled)) >= 10
        intended = [fact.client_id for fact in await facts(on, ev.OrderIntended)]
        assert len(set(intended)) == len(intended)
        # The last line may have been cut by the kill.
        assert {client_id for client_id in answered if client_id.startswith("Q")} <= set(intended)
        await agrees_with_the_venue(on)
        assert await facts(on, ev.BalanceAdjusted, ev.ExternalFillSeen, ev.ExternalOrderSeen) == []
        settled = {OrderStatus.ACCEPTED, OrderStatus.PARTIALLY_FILLED}
        assert {order.status for order in on.engine.state.orders.values()} <= settled
        await on.call("orders.cancel_all")
        await eventually(lambda: not on.engine.state.orders)
        assert all(not balance.reserved for balance in on.engine.state.balances[PAPER].values())


# --- a venue with faults ---------------------------------------------------------------------------------------------


async def test_lost_requests_and_replies_end_in_the_truth_and_in_one_order(on: Deck) -> None:
    for fault, end in (
        (Fault.LOSE_REPLY, OrderStatus.FILLED),
        (Fault.LOSE_REQUEST, OrderStatus.REJECTED),
        (Fault.REFUSE, OrderStatus.REJECTED),
    ):
        venue(on).faults.plan(Operation.PLACE, fault)
        row = await on.call("orders.place", instrument=BTC, side="buy", quantity="0.001")
        await on.reaches(row, end)
    await agrees_with_the_venue(on)


async def test_lost_reports_are_found_by_comparing(on: Deck) -> None:
    venue(on).faults.lost_reports = 2
    row = await on.call("orders.place", instrument=BTC, side="buy", quantity="0.001")
    await eventually(lambda: not venue(on).faults.lost_reports)
    assert on.engine.state.orders[row.client_id].filled == 0
    for client_id in await on.engine.dispatcher.inquiry.compare(on.engine.venue, PAPER):
        await on.engine.dispatcher.inquiry.ask(on.engine.venue, PAPER, client_id)
    await on.reaches(row, OrderStatus.FILLED)
    await agrees_with_the_venue(on)


async def test_a_cancel_goes_through_whatever_is_lost_on_its_way(on: Deck) -> None:
    row = await on.limit()
    await on.reaches(row, OrderStatus.ACCEPTED)
    venue(on).faults.plan(Operation.CANCEL, Fault.LOSE_REQUEST, Fault.REFUSE)
    await on.call("orders.cancel", client_id=row.client_id)
    await on.reaches(row, OrderStatus.CANCELED)


# --- meeting the venue -----------------------------------------------------------------------------------------------


async def test_what_a_venue_has_that_nobody_booked_becomes_an_adjustment_with_a_reason(tmp_path: Path) -> None:
    async with deck(tmp_path) as on:
        await on.market(quantity="0.001")
        venue(on)._exchange.deposit(PAPER, USDT, D(500))
        await on.limit()
    async with deck(tmp_path) as on:
        (adjusted,) = await facts(on, ev.BalanceAdjusted)
        assert (adjusted.currency, adjusted.amount) == (USDT, D(500))
        assert "after the restart" in adjusted.reason
        await agrees_with_the_venue(on)


def lose_journal(home: Path) -> None:
    """Remove the journal with its snapshots and its mark."""
    for file in home.glob("journal*"):
        if file.is_dir():
            shutil.rmtree(file)
        else:
            file.unlink()


async def test_a_journal_that_is_gone_begins_with_what_the_venue_has_and_touches_no_order_of_before(
    tmp_path: Path,
) -> None:
    async with deck(tmp_path) as on:
        await on.market(quantity="0.002")
        row = await on.limit()
        await on.reaches(row, OrderStatus.ACCEPTED)
        held = on.engine.state.balance(PAPER, COIN).total
    lose_journal(tmp_path)
    async with deck(tmp_path) as on:
        state = on.engine.state
        assert state.balance(PAPER, COIN).total == held
        assert await facts(on, ev.ExternalFillSeen, ev.BalanceAdjusted, ev.OrderFilled) == []
        assert {fact.currency: fact.amount for fact in await facts(on, ev.Deposited)}[COIN] == held
        assert [order.client_id for order in state.external_orders.values()] == [row.client_id]
        await on.call("orders.cancel_all")
        assert len(await venue(on).open_orders(PAPER)) == 1, "not ours: shown, never touched"


async def test_an_opening_that_was_cut_short_is_completed_and_not_doubled(tmp_path: Path) -> None:
    async with deck(tmp_path):
        pass
    host = build_engine(tmp_path, {"paper.latency_ms": 0})
    host.make_venue = lambda: _Waiting()  # type: ignore[method-assign,assignment,return-value]
    with pytest.raises(ExchangeConnectionError):
        await host.start()
    await host.stop()
    async with deck(tmp_path) as on:
        on.engine.state.cursors.clear()
        await on.engine.default._open_accounts()
        assert on.engine.state.balance(PAPER, USDT).total == 10_000
        assert len(await facts(on, ev.Deposited)) == 1


class _Waiting:
    """A venue that cannot be reached."""

    id = VenueId("SIM")
    capabilities = CAPABILITIES

    async def start(self, events: object, market: object) -> None:
        raise ExchangeConnectionError("The venue cannot be reached.")

    async def close(self) -> None:
        raise ExchangeConnectionError("The venue cannot be reached.")


async def test_a_start_that_fails_releases_everything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def unreachable(*_: object) -> None:
        raise ExchangeConnectionError("The venue cannot be reached.")

    with monkeypatch.context() as patch:
        patch.setattr(PaperVenue, "start", unreachable)
        host = build_engine(tmp_path)
        with pytest.raises(ExchangeConnectionError):
            await host.start()
        await host.stop()
        await host.stop()
    async with deck(tmp_path) as on:
        assert (await on.call("engine.status")).epoch == 2


async def test_nobody_judges_before_what_is_booked_is_what_the_venue_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = asyncio.Event()
    host = build_engine(tmp_path, {"paper.latency_ms": 0})
    real = Dispatcher.recover

    async def slow(self: Any, *args: Any, **how: Any) -> Any:
        await gate.wait()
        return await real(self, *args, **how)

    monkeypatch.setattr(Dispatcher, "recover", slow)
    ticks: list[int] = []
    monkeypatch.setattr(RiskDepartment, "tick", lambda self, now: ticks.append(now))
    starting = asyncio.ensure_future(host.start())
    await eventually(lambda: host.engine is not None and host.engine._tasks is not None)
    await asyncio.sleep(0.01)
    assert ticks == []
    gate.set()
    await starting
    await eventually(lambda: ticks)
    await host.stop()


# --- faults of our own -----------------------------------------------------------------------------------------------


async def test_a_part_that_cannot_take_a_fact_halts_trading_and_the_engine_lives(on: Deck) -> None:
    def breaks(record: ev.Record) -> None:
        raise ZeroDivisionError

    on.engine.ledger.subscribe(breaks)
    with pytest.raises(OrderRejectionError):
        await on.call("orders.place", instrument=BTC, side="buy", quantity="0.001")
    on.engine.ledger.unsubscribe(breaks)
    status = await on.call("engine.status")
    assert status.trading is TradingState.HALTED
    assert "ZeroDivisionError" in status.failure
    await on.call("risk.resume", reason="looked into it")
    await on.market(quantity="0.001")


async def test_a_check_that_breaks_halts_trading_and_is_made_again(on: Deck, monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks(now: int) -> None:
        raise KeyError("drawdown")

    with monkeypatch.context() as patch:
        patch.setattr(on.engine.risk, "tick", breaks)
        await eventually(lambda: on.engine.state.trading_state() is TradingState.HALTED)
    assert on.engine._tasks is not None
    assert not on.engine._tasks.done()
    await on.call("risk.resume", reason="looked into it")


@pytest.mark.parametrize("broken", ["risk", "capital", "algos", "quality"])
async def test_a_department_that_breaks_keeps_no_other_from_its_turn(
    on: Deck, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    heard: list[str] = []

    def ticks(name: str) -> None:
        def tick(now: int) -> None:
            heard.append(name)
            if name == broken:
                raise ZeroDivisionError

        monkeypatch.setattr(getattr(on.engine, name), "tick", tick)

    parts = ["risk", "capital", "algos", "quality"]
    for name in parts:
        ticks(name)
    monkeypatch.setattr(on.engine.hub, "roll", lambda now: heard.append("bars"))
    Pulse(on.engine).beat(on.engine.clock.now())
    assert heard[:5] == ["bars", *parts]
    assert on.engine.state.trading_state() is TradingState.HALTED, "what is not judged protects nothing"
    assert "ZeroDivisionError" in on.engine.failure
    assert on.engine.errors.total == 1


async def test_a_report_that_cannot_be_booked_halts_trading_and_the_stream_goes_on(on: Deck) -> None:
    strange = Fill(
        venue=VenueId("SIM"),
        account=PAPER,
        instrument=InstrumentId("SIM:NO/NO"),
        trade_id=TradeId("1"),
        venue_order_id=VenueOrderId("1"),
        client_id=ClientOrderId("web"),
        side=OrderSide.BUY,
        price=D(1),
        quantity=D(1),
        fee=D(0),
        fee_currency=USDT,
        liquidity=Liquidity.TAKER,
        ts=on.engine.clock.now(),
    )
    on.engine.on_venue(PAPER, ev.OrderFilled(fill=strange))
    assert on.engine.state.trading_state() is TradingState.HALTED
    assert "SIM:NO/NO" in on.engine.failure or "cannot be booked" in on.engine.failure


async def test_a_market_event_that_cannot_be_used_stops_no_feed(on: Deck, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(on.engine.hub, "on_market", lambda *_: 1 / 0)
        on.engine.on_market(FeedStatus(MARKET, 1, live=True))
    heard = on.engine.hub.market(MARKET).heard
    await eventually(lambda: on.engine.hub.market(MARKET).heard > heard)


async def test_a_failed_journal_halts_everything_and_the_engine_can_still_be_looked_at_and_stopped(on: Deck) -> None:
    row = await on.limit()
    await on.reaches(row, OrderStatus.ACCEPTED)
    fail(on.engine.journal)
    await eventually(lambda: on.engine.failure)
    with pytest.raises(JournalError):
        await on.call("orders.cancel", client_id=row.client_id)
    heard = on.engine.hub.market(MARKET).heard
    await eventually(lambda: on.engine.hub.market(MARKET).heard > heard)
    status = await on.call("engine.status")
    assert status.failure == "The disk is full."
    assert on.engine._tasks is not None
    assert not on.engine._tasks.done()
    await on.call("engine.stop")
    await on.host.wait_stopped()


# --- books and bars --------------------------------------------------------------------------------------------------


async def test_a_gap_in_a_book_is_mended_by_the_venue(on: Deck) -> None:
    market = on.engine.hub.market(MARKET)
    market.built.seq -= 3  # as if these had been lost on the way
    await eventually(lambda: market.broken)
    await eventually(lambda: not market.broken)
    seq = market.book.seq
    await eventually(lambda: market.book.seq > seq)
    assert market.live


async def test_a_book_that_cannot_be_fetched_stays_closed_and_is_asked_for_again(
    on: Deck, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def down(*_: object) -> BookUpdate:
        raise OSError("down")

    market = on.engine.hub.market(MARKET)
    with monkeypatch.context() as patch:
        patch.setattr(on.engine.venue, "book", down)
        market.built.seq -= 3
        await eventually(lambda: market.broken)
        await eventually(lambda: len(market.missed) > 2)
        assert market.broken
    await eventually(lambda: not market.broken)


async def test_a_bar_that_was_not_heard_as_a_whole_is_the_venues(on: Deck) -> None:
    series = on.engine.hub.series(MARKET, "1m")
    told: list[Candle] = []
    series.listeners.append(told.append)
    now = on.engine.clock.now()
    start = now - now % 60_000_000_000 - 2 * 60_000_000_000
    series.waiting.append(Candle(MARKET, "1m", start, 1.0, 1.0, 1.0, 1.0, 0.0))
    await eventually(lambda: told)
    assert told[0].ts >= start
    assert told[0].close > 1_000
    assert series.waiting == []


async def test_a_bar_that_the_venue_never_has_goes_on_as_it_was_heard(
    on: Deck, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pulse, "ROLL_S", 0.001)
    series = on.engine.hub.series(MARKET, "1s")
    far = on.engine.clock.now() + 10**15
    series.waiting.append(Candle(MARKET, "1s", far, 1.0, 1.0, 1.0, 1.0, 0.0))
    await eventually(lambda: series.closed and series.closed[-1].ts == far)


async def test_settings_that_changed_since_the_last_start_are_in_the_audit(tmp_path: Path) -> None:
    async with deck(tmp_path) as on:
        assert not [fact for fact in await facts(on, ev.OperatorActed) if fact.actor == "settings"]
    (tmp_path / "settings-seen.json").write_text("not json", encoding="utf-8")
    async with deck(tmp_path):
        pass
    async with deck(tmp_path, strategies__max_concurrent_strategies=3) as on:
        (audit,) = [fact for fact in await facts(on, ev.OperatorActed) if fact.actor == "settings"]
        assert audit.summary == "strategies.max_concurrent_strategies: 10 -> 3"
        assert on.engine.bots.max_running == 3
    assert (tmp_path / "settings-seen.json").stat().st_mode & 0o777 == 0o600


async def test_an_engine_that_is_stopped_twice_stops_once(on: Deck) -> None:
    await asyncio.gather(on.engine.stop(), on.engine.stop())
    await on.engine.wait_stopped()
    assert on.engine.stopped


async def test_a_breaker_that_came_open_from_the_process_before_does_not_keep_a_start_from_the_venue(on: Deck) -> None:
    breaker = on.engine.guard.breaker
    for _ in range(50):
        breaker.note(ExchangeConnectionError("Nobody answers."), counts=lambda _: True)
    with pytest.raises(VenueCircuitOpenError):
        await on.engine.guard.instruments()
    assert await on.engine.default._listed() == await on.engine.venue.instruments()
