"""What is special about the paper venue: latency, faults, durability before words, life across restarts."""

from __future__ import annotations

import asyncio
import gc
import threading
import warnings
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from engine.errors import ExchangeConnectionError, ExchangeError, StorageError, UnknownOutcomeError
from engine.events import OrderAccepted, OrderFilled
from engine.model.ids import ClientOrderId, InstrumentId
from engine.model.market import BookUpdate, FeedStatus, MarketTrade, OrderBook
from engine.model.order import Liquidity, OrderSide, OrderStatus, OrderType
from engine.model.venue import OrderCommand, VenueStatus
from engine.venues.markets.replay import ReplayMarket
from engine.venues.markets.sim_profile import SimulatedSettings
from engine.venues.markets.simulated import SimulatedMarket
from engine.venues.paper import core, exchange
from engine.venues.paper.exchange import PaperExchange
from engine.venues.paper.faults import Fault, Operation
from engine.venues.paper.fill_model import FillKind
from engine.venues.paper.settings import LatencySettings, PaperSettings
from engine.venues.paper.store import Batch, PaperStore
from engine.venues.paper.venue import PAPER_ACCOUNT, SIMULATED
from tests.venues.paper.harness import PaperHarness

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from engine.model.market import MarketDatum

BTC = InstrumentId("SIM:BTC/USDT")
SIZE = Decimal("0.005")
LATENCY = LatencySettings(request_ms=30, report_ms=20, jitter_ms=10)


class WatchedMarket(SimulatedMarket):
    """The simulated market; remembers the trader's impact, and can lose book updates."""

    def __init__(self, now: int, rate: float = 10.0) -> None:
        super().__init__(SimulatedSettings(seed=5, rate=rate), now)
        self.pressed: list[tuple[OrderSide, int]] = []
        self.steps: list[int] = []
        self.lose = 0

    def impact(self, instrument: InstrumentId, ts: int, side: OrderSide, quantity: int, price: int) -> None:
        self.pressed.append((side, quantity))
        super().impact(instrument, ts, side, quantity, price)

    def advance(self, to_ns: int) -> list[MarketDatum]:
        events = super().advance(to_ns)
        self.steps.append(len(events))
        kept: list[MarketDatum] = []
        for event in events:
            if self.lose and isinstance(event, BookUpdate) and event.instrument == BTC:
                self.lose -= 1
            else:
                kept.append(event)
        return kept


def harness(path: Path, *, settings: PaperSettings | None = None, rate: float = 10.0) -> PaperHarness:
    return PaperHarness(lambda now: WatchedMarket(now, rate), path, BTC, SIZE, settings=settings)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "paper.db"


@pytest.fixture
async def h(path: Path) -> AsyncIterator[PaperHarness]:
    h = await harness(path, settings=PaperSettings(latency=LATENCY)).start()
    yield h
    await h.venue.close()


def market_of(h: PaperHarness) -> WatchedMarket:
    assert isinstance(h.paper_market, WatchedMarket)
    return h.paper_market


def command(h: PaperHarness, name: str, side: OrderSide = OrderSide.BUY, price: str | None = None) -> OrderCommand:
    return OrderCommand(
        client_id=ClientOrderId(name),
        account=h.account,
        instrument=BTC,
        side=side,
        type=OrderType.MARKET if price is None else OrderType.LIMIT,
        quantity=SIZE,
        price=None if price is None else Decimal(price),
    )


async def low_price(h: PaperHarness) -> str:
    """A price far below the market."""
    return str(h.instrument.round_price(h.instrument.price_from_int(await best_bid(h)) * Decimal("0.9")))


async def best_bid(h: PaperHarness) -> int:
    return (await h.call(h.venue.book(BTC, 1))).bids[0][0]


# --- latency ---------------------------------------------------------------------------------------------------------


async def test_request_and_report_take_their_time(h: PaperHarness) -> None:
    price = await low_price(h)
    sent = h.clock.now()
    await h.call(h.venue.place(command(h, "a", price=price)))
    accepted = h.events[0][1]
    assert isinstance(accepted, OrderAccepted)
    assert 30_000_000 <= accepted.ts - sent <= 40_000_000 + 5_000_000
    assert h.clock.now() - sent >= 50_000_000


async def test_requests_arrive_in_the_order_they_left(h: PaperHarness) -> None:
    price = await low_price(h)
    names = [f"n{i}" for i in range(12)]
    await h.call(asyncio.gather(*(h.venue.place(command(h, name, price=price)) for name in names)))
    await h.until(lambda: len(h.events) == len(names))
    assert [event.client_id for _, event in h.events if isinstance(event, OrderAccepted)] == names
    assert [o.client_id for o in await h.call(h.venue.open_orders(h.account))] == names


# --- faults ----------------------------------------------------------------------------------------------------------


async def test_a_refused_connection_leaves_nothing_behind(h: PaperHarness) -> None:
    h.venue.faults.plan(Operation.PLACE, Fault.REFUSE)
    with pytest.raises(ExchangeConnectionError):
        await h.call(h.venue.place(command(h, "a")))
    assert await h.call(h.venue.order(h.account, ClientOrderId("a"))) is None


async def test_a_lost_request_and_a_lost_reply_look_the_same_until_asked(h: PaperHarness) -> None:
    price = await low_price(h)
    h.venue.faults.plan(Operation.PLACE, Fault.LOSE_REQUEST, Fault.LOSE_REPLY)
    for name in ("never", "there"):
        with pytest.raises(UnknownOutcomeError):
            await h.call(h.venue.place(command(h, name, price=price)))
    assert await h.call(h.venue.order(h.account, ClientOrderId("never"))) is None
    found = await h.call(h.venue.order(h.account, ClientOrderId("there")))
    assert found is not None
    assert found.status is OrderStatus.ACCEPTED


async def test_a_lost_report_is_found_in_the_fills(h: PaperHarness) -> None:
    h.venue.faults.lost_reports = 10
    await h.call(h.venue.place(command(h, "a")))
    await h.until(lambda: h.venue.faults.lost_reports < 10)
    assert h.events == []
    fills, _ = await h.call(h.venue.fills_since(h.account, ""))
    assert sum(fill.quantity for fill in fills) == SIZE


async def test_a_delayed_request_takes_longer(h: PaperHarness) -> None:
    h.venue.faults.delay(Operation.CANCEL, 2.0)
    before = h.clock.now()
    await h.call(h.venue.cancel(h.account, ClientOrderId("never")))
    assert h.clock.now() - before >= 2 * 10**9


async def test_questions_fail_too(h: PaperHarness) -> None:
    h.venue.faults.plan(Operation.QUERY, Fault.REFUSE, Fault.LOSE_REPLY)
    with pytest.raises(ExchangeConnectionError):
        await h.call(h.venue.open_orders(h.account))
    with pytest.raises(ExchangeError):
        await h.call(h.venue.open_orders(h.account))
    assert await h.call(h.venue.open_orders(h.account)) == []


# --- durability before words -----------------------------------------------------------------------------------------


class BrokenStore(PaperStore):
    """Fails from a chosen moment on."""

    broken = False

    def commit(self, batch: Batch) -> None:
        if self.broken:
            raise StorageError("The disk is full.")
        super().commit(batch)


async def test_when_the_store_fails_nothing_is_said_and_the_venue_closes(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.venues.paper.harness.PaperStore", BrokenStore)
    h = await harness(path).start()
    await h.call(h.venue.watch([BTC]))
    monkeypatch.setattr(BrokenStore, "broken", True)
    with pytest.raises(UnknownOutcomeError, match="disk is full"):
        await h.call(h.venue.place(command(h, "a")))
    assert h.venue.status is VenueStatus.OFFLINE
    assert h.events == []
    assert isinstance(h.market[-1], FeedStatus)
    assert not h.market[-1].live
    with pytest.raises(ExchangeConnectionError, match="disk is full"):
        await h.call(h.venue.open_orders(h.account))
    await h.call(h.venue.close())
    monkeypatch.setattr(BrokenStore, "broken", False)
    again = await harness(path).start()
    assert await again.call(again.venue.order(h.account, ClientOrderId("a"))) is None
    await again.venue.close()


class GatedStore(PaperStore):
    """Commits only while its gate is open."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.gate = threading.Event()
        self.gate.set()
        self.commits = 0

    def commit(self, batch: Batch) -> None:
        assert self.gate.wait(30)
        self.commits += 1
        super().commit(batch)


async def test_nothing_is_said_before_it_is_stored_and_what_waits_shares_a_commit(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.venues.paper.harness.PaperStore", GatedStore)
    h = await harness(path).start()
    price = await low_price(h)
    store = h.venue._store
    assert isinstance(store, GatedStore)
    await h.clock.advance(1.0)
    store.gate.clear()
    before = store.commits
    placing = asyncio.gather(*(h.venue.place(command(h, f"n{i}", price=price)) for i in range(8)))
    await h.until(lambda: len(h.venue._exchange.open_orders(h.account)) == 8)
    asking = asyncio.ensure_future(h.venue.open_orders(h.account))
    await h.clock.advance(10.0)
    assert h.events == []
    assert not placing.done()
    assert not asking.done()
    store.gate.set()
    await h.call(placing)
    await h.until(lambda: len(h.events) == 8)
    assert len(await h.call(asking)) == 8
    # the one that was under way with the first, and one for all that came meanwhile
    assert store.commits - before <= 3
    await h.venue.close()


async def test_a_failing_market_closes_the_venue(h: PaperHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: int) -> list[MarketDatum]:
        raise RuntimeError("the market is broken")

    monkeypatch.setattr(h.paper_market, "advance", fail)
    await h.until(lambda: h.venue.status is VenueStatus.OFFLINE)
    with pytest.raises(ExchangeConnectionError, match="the market is broken"):
        await h.call(h.venue.balances(h.account))


# --- the market ------------------------------------------------------------------------------------------------------


async def test_executions_that_take_liquidity_press_on_the_market(h: PaperHarness) -> None:
    await h.call(h.venue.place(command(h, "a")))
    await h.until(lambda: len(h.events) > 1)
    fills = [event.fill for _, event in h.events if isinstance(event, OrderFilled)]
    assert all(fill.liquidity is Liquidity.TAKER for fill in fills)
    assert market_of(h).pressed == [(OrderSide.BUY, h.instrument.quantity_to_int(f.quantity)) for f in fills]


async def test_a_book_that_lost_an_update_is_healed_by_a_snapshot(h: PaperHarness) -> None:
    market = market_of(h)
    market.lose = 1
    await h.until(lambda: not market.lose)
    await h.clock.advance(1.0)
    followed = h.venue._exchange._listings[BTC].books
    assert followed is not None
    truth = OrderBook(BTC)
    truth.apply(market.snapshot(BTC))
    assert (followed.book.bids, followed.book.asks) == (truth.bids, truth.asks)


async def test_a_busy_market_leaves_the_loop_its_turns(path: Path) -> None:
    h = await harness(path, rate=200.0).start()
    turns = 0

    async def beat() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async with asyncio.TaskGroup() as tasks:
        heart = tasks.create_task(beat())
        steps = market_of(h).steps
        steps.clear()
        # ten seconds at once, as after a machine's sleep
        h.clock.set(h.clock.now() + 10 * 10**9)
        await h.until(lambda: market_of(h).now >= h.clock.now() - 10**8)
        heart.cancel()
    assert sum(steps) > 10_000
    assert max(steps[5:]) <= 400
    assert turns > sum(steps) / 400
    await h.venue.close()


# --- restarts --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("gap_s", [300, 24 * 3600])
async def test_a_paper_order_lives_while_the_engine_does_not(path: Path, gap_s: int) -> None:
    h = await harness(path).start()
    ask = (await h.call(h.venue.book(BTC, 1))).asks[0][0]
    # so far above the market that it rests only because it sells, and so near that minutes reach it
    stop = h.instrument.round_price(h.instrument.price_from_int(ask) * Decimal("1.0005"))
    order = OrderCommand(
        client_id=ClientOrderId("waits"),
        account=h.account,
        instrument=BTC,
        side=OrderSide.BUY,
        type=OrderType.STOP_LOSS,
        quantity=SIZE,
        stop_price=stop,
    )
    below = OrderCommand(
        client_id=ClientOrderId("below"),
        account=h.account,
        instrument=BTC,
        side=OrderSide.BUY,
        type=OrderType.TAKE_PROFIT,
        quantity=SIZE,
        stop_price=h.instrument.round_price(h.instrument.price_from_int(ask) * Decimal("0.9995")),
    )
    for each in (order, below):
        await h.call(h.venue.place(each))
    await h.call(h.venue.close())
    closed = h.clock.now()
    h.clock.set(closed + gap_s * 10**9)
    h.venue = h._make()
    await h.start()
    fills, _ = await h.call(h.venue.fills_since(h.account, ""))
    # the market has gone one way or the other
    assert fills
    assert all(fill.ts > closed for fill in fills)
    if gap_s < 600:
        assert min(fill.ts for fill in fills) < closed + gap_s * 10**9
    await h.venue.close()


async def test_a_venue_that_is_closed_before_its_tasks_began_leaves_none_behind(path: Path) -> None:
    h = harness(path)
    before = asyncio.all_tasks()
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        await h.venue.start(lambda *_: None, h.market.append)
        await h.venue.close()
        gc.collect()
    assert asyncio.all_tasks() == before
    assert [str(warning.message) for warning in warned] == []


async def test_the_market_goes_on_where_it_stood(path: Path) -> None:
    h = await harness(path).start()
    await h.call(h.venue.place(command(h, "a")))
    await h.call(h.venue.close())
    stood = h.paper_market.snapshot(BTC)
    h.venue = h._make()
    await h.start()
    went_on = h.paper_market.snapshot(BTC)
    assert went_on.seq - stood.seq < 50
    assert abs(went_on.bids[0][0] - stood.bids[0][0]) / stood.bids[0][0] < 0.01
    await h.venue.close()


async def test_ids_and_fills_that_left_memory_are_known_to_the_file(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (core, exchange):
        monkeypatch.setattr(module, "ENDED_KEPT", 2)
    monkeypatch.setattr(core, "FILLS_KEPT", 1)
    h = await harness(path).start()
    for number in range(5):
        await h.call(h.venue.place(command(h, f"n{number}")))
    await h.until(lambda: sum(isinstance(e, OrderAccepted) for _, e in h.events) == 5)
    found = await h.call(h.venue.order(h.account, ClientOrderId("n0")))
    assert found is not None
    assert found.status is OrderStatus.FILLED
    with pytest.raises(UnknownOutcomeError):
        await h.call(h.venue.place(command(h, "n0")))
    fills, cursor = await h.call(h.venue.fills_since(h.account, ""))
    assert sum(fill.quantity for fill in fills) == 5 * SIZE
    assert await h.call(h.venue.fills_since(h.account, cursor)) == ([], cursor)
    await h.venue.close()


# --- recorded markets ------------------------------------------------------------------------------------------------


async def test_recorded_candles_fill_on_bars(path: Path, shared_data: Path) -> None:
    from engine.venues.markets.recording import CandleRecording

    file = shared_data / "candles" / "binance_BTCUSDT_15m.parquet"
    recording = CandleRecording(file, "SIM", "BTC/USDT", "15m")
    first, second, third = recording.candles(BTC, recording.start_time, recording.start_time + 45 * 60 * 10**9)

    h = PaperHarness(
        lambda _: ReplayMarket(recording), path, BTC, SIZE, start=recording.start_time, kind=FillKind.BAR, step_s=30.0
    )
    await h.start()
    await h.until(lambda: h.clock.now() > second.ts)
    await h.call(h.venue.place(command(h, "next-open")))
    await h.until(lambda: any(isinstance(event, OrderFilled) for _, event in h.events))
    (fill,) = (event.fill for _, event in h.events if isinstance(event, OrderFilled))
    # placed inside the second bar, so it waits for the third one's open
    assert fill.ts == third.ts
    assert 1.0 <= float(fill.price) / third.open < 1.001
    assert first.ts < second.ts < third.ts
    await h.venue.close()


def test_a_resting_order_fills_in_a_recorded_market_when_its_queue_is_traded_away(shared_data: Path) -> None:
    from engine.venues.markets.capture import CaptureRecording

    file = shared_data / "captures" / "binance" / "spot_btcusdt_20240808.jsonl.gz"
    recording = CaptureRecording(file, "SIM")
    (instrument,) = recording.instruments()
    paper = PaperExchange(SIMULATED, [instrument])
    paper.open_account(PAPER_ACCOUNT)
    waiting: dict[ClientOrderId, tuple[int, int]] = {}
    sold: dict[ClientOrderId, int] = {}
    made: list[int] = []
    book = OrderBook(instrument.id)
    for number, event in enumerate(recording.events()):
        if isinstance(event, BookUpdate):
            book.apply(event)
        for name, (price, _) in waiting.items():
            # whoever trades below us has passed us, also a buyer: trades are recorded ahead of the book
            if isinstance(event, MarketTrade) and (
                event.price < price or (event.price == price and event.aggressor is OrderSide.SELL)
            ):
                sold[name] = sold.get(name, 0) + event.quantity
        reports = list(paper.on_market(event))
        for _, report in reports:
            if isinstance(report, OrderFilled) and report.fill.liquidity is Liquidity.MAKER:
                name = report.fill.client_id
                price, ahead = waiting[name]
                assert report.fill.price == instrument.price_from_int(price)
                crossed = book.best_ask is not None and book.best_ask <= price
                # others in the queue may cancel, so less than all that stood ahead may have to trade; never nothing
                assert crossed or sold.get(name, 0) > 0
                if not crossed and sold.get(name, 0) >= ahead:
                    made.append(sold[name])
        if number % 500 == 499 and book.best_bid is not None:
            name = ClientOrderId(f"r{number}")
            waiting[name] = book.best_bid, book.bids[book.best_bid]
            paper.place(
                OrderCommand(
                    client_id=name,
                    account=PAPER_ACCOUNT,
                    instrument=instrument.id,
                    side=OrderSide.BUY,
                    type=OrderType.LIMIT,
                    quantity=Decimal("0.0005"),
                    price=instrument.price_from_int(book.best_bid),
                ),
                event.ts,
            )
    assert len(waiting) > 10
    assert len(made) > 3
