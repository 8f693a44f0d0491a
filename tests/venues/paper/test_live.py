"""Paper at live prices: what an exchange says moves orders on paper, and its silence moves nothing."""

from __future__ import annotations

from contextlib import asynccontextmanager
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from engine.errors import ExchangeConnectionError, NotFoundError, StateCorruptionError
from engine.events import OrderAccepted, OrderFilled, OrderRejected
from engine.model.ids import AccountId, ClientOrderId, InstrumentId
from engine.model.market import BookUpdate, FeedStatus, MarketTrade, OrderBook
from engine.model.order import OrderSide, OrderType
from engine.model.venue import OrderCommand, VenueStatus
from engine.venues.markets import live as live_module
from engine.venues.markets.live import LiveMarket
from engine.venues.markets.sim_profile import SimulatedSettings
from engine.venues.markets.simulated import SimulatedMarket
from engine.venues.paper import live as paper_module
from engine.venues.paper.live import LivePaperVenue
from engine.venues.paper.settings import LatencySettings, PaperSettings
from engine.venues.paper.store import PaperStore
from engine.venues.paper.venue import PAPER_ACCOUNT, PaperVenue
from tests.kit.fake_feed import FakeFeed
from tests.kit.venue_contract import VenueContract
from tests.venues.paper.harness import PaperHarness

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from engine.venues.markets.contract import Market

ME = AccountId("paper-binance")
BTC = InstrumentId("BINANCE:BTC/USDT")
SIMULATED_BTC = InstrumentId("SIM:BTC/USDT")


class LiveHarness(PaperHarness):
    """A paper venue at the prices of a fake exchange, in simulated time."""

    def __init__(self, path: Path, feed: FakeFeed, **fees: Decimal) -> None:
        self.feed = feed
        self.fees = fees
        super().__init__(self._no_market, path, feed.listed[0].id, Decimal("0.01"))

    def _no_market(self, now: int) -> Market:
        raise NotImplementedError

    def _make(self) -> PaperVenue:
        self.live = LiveMarket(self.feed, self.clock, **self.fees)
        self.paper_market = self.live
        settings = PaperSettings(latency=LatencySettings(request_ms=1, report_ms=1, jitter_ms=0))
        # The harness looks for its instrument at once; here it is known only after the start.
        self.live.use(self.feed.listed[0])
        return LivePaperVenue(self.live, PaperStore(self.path), self.clock, settings, accounts=(ME,))

    async def open(self) -> None:
        """Start, and listen to BTC."""
        await self.call(self.venue.start(self._hear, self.market.append))
        await self.call(self.venue.watch([BTC]))

    def heard(self, *kinds: type[Any]) -> list[Any]:
        """Reports of these kinds."""
        return [event for _, event in self.events if isinstance(event, kinds)]

    async def place(self, name: str, side: OrderSide, quantity: str, price: str | None = None) -> None:
        """Send an order."""
        command = OrderCommand(
            client_id=ClientOrderId(name),
            account=ME,
            instrument=BTC,
            side=side,
            type=OrderType.MARKET if price is None else OrderType.LIMIT,
            quantity=Decimal(quantity),
            price=None if price is None else Decimal(price),
        )
        await self.call(self.venue.place(command))

    def shown(self) -> OrderBook:
        """The book as whoever listens has built it."""
        book = OrderBook(BTC)
        for event in self.market:
            if isinstance(event, BookUpdate):
                assert book.apply(event), "no gap reaches the engine"
        return book


@asynccontextmanager
async def opened(path: Path, feed: FakeFeed, **fees: Decimal) -> AsyncIterator[LiveHarness]:
    harness = LiveHarness(path, feed, **fees)
    await harness.open()
    try:
        yield harness
    finally:
        await harness.call(harness.venue.close())


@pytest.fixture
def feed() -> FakeFeed:
    return FakeFeed()


@pytest.fixture
async def on(tmp_path: Path, feed: FakeFeed) -> AsyncIterator[LiveHarness]:
    async with opened(tmp_path / "paper.db", feed) as harness:
        yield harness


def quote(feed: FakeFeed, bid: int = 600_000, ask: int = 600_010) -> None:
    feed.book_is([(bid, 2000), (bid - 10, 5000)], [(ask, 2000), (ask + 10, 5000)])


async def test_orders_fill_on_the_books_of_the_exchange_at_its_fees(on: LiveHarness, feed: FakeFeed) -> None:
    quote(feed)
    await on.until(lambda: on.live.live(BTC))
    await on.place("a1", OrderSide.BUY, "0.05")
    await on.until(lambda: on.heard(OrderFilled))
    (filled,) = on.heard(OrderFilled)
    assert (filled.fill.price, filled.fill.quantity, filled.fill.venue) == (
        Decimal("60001.0"),
        Decimal("0.050"),
        "BINANCE",
    )
    assert filled.fill.fee == Decimal("60001.0") * Decimal("0.05") * Decimal("0.001")


async def test_what_is_shown_is_the_book_as_it_moves_without_a_gap(on: LiveHarness, feed: FakeFeed) -> None:
    quote(feed)
    for step in range(5):
        feed.moves(bids=[(600_000 + step, 1000 + step)])
    feed.book_is([(500_000, 1)], [(500_010, 1)])
    feed.moves(asks=[(500_010, 0), (500_020, 3)])
    await on.until(lambda: sum(isinstance(event, BookUpdate) for event in on.market) >= 8)
    assert (on.shown().best_bid, on.shown().best_ask) == (500_000, 500_020)
    asked = await on.call(on.venue.book(BTC, 10))
    assert (asked.bids, asked.seq) == (((500_000, 1),), on.shown().seq)


async def test_a_resting_order_fills_when_others_trade_through_it(on: LiveHarness, feed: FakeFeed) -> None:
    quote(feed)
    await on.until(lambda: on.live.live(BTC))
    await on.place("a1", OrderSide.BUY, "0.01", "59990.0")
    await on.until(lambda: on.heard(OrderAccepted))
    feed.trades_at(599_890, 50)
    await on.until(lambda: on.heard(OrderFilled))
    assert on.heard(OrderFilled)[0].fill.price == Decimal("59990.0")
    assert any(isinstance(event, MarketTrade) for event in on.market), "public trades are shown too"


async def test_a_silent_feed_is_told_of_and_lets_orders_wait(on: LiveHarness, feed: FakeFeed) -> None:
    quote(feed)
    await on.until(lambda: on.live.live(BTC))
    await on.place("rests", OrderSide.BUY, "0.01", "59000.0")
    feed.falls_silent()
    await on.until(lambda: [event.live for event in on.market if isinstance(event, FeedStatus)][-1] is False)
    await on.place("market", OrderSide.BUY, "0.01")
    await on.until(lambda: on.heard(OrderRejected))
    assert [order.client_id for order in await on.call(on.venue.open_orders(ME))] == ["rests"]
    # The next change of a book that the feed keeps brings the whole of it, without a snapshot having been told.
    feed.moves(asks=[(580_000, 1000), (600_010, 0), (600_020, 0)], bids=[(600_000, 0), (599_990, 0), (579_990, 10)])
    await on.until(lambda: on.heard(OrderFilled))
    assert on.shown().best_ask == 580_000


async def test_a_gap_in_a_book_that_is_kept_here_is_closed_by_asking(on: LiveHarness, feed: FakeFeed) -> None:
    feed.tell(BookUpdate(BTC, 1, 5, snapshot=True, bids=((100, 1),), asks=((110, 1),)))
    feed.tell(BookUpdate(BTC, 2, 6, snapshot=False, bids=((101, 1),), asks=()))
    feed.answer_book = BookUpdate(BTC, 4, 9, snapshot=True, bids=((105, 1),), asks=((110, 1),))
    feed.tell(BookUpdate(BTC, 3, 8, snapshot=False, bids=((104, 1),), asks=()))
    await on.until(lambda: "book" in feed.asked and on.live.live(BTC))
    feed.tell(BookUpdate(BTC, 5, 9, snapshot=False, bids=((999, 1),), asks=()))
    feed.tell(BookUpdate(BTC, 6, 10, snapshot=False, bids=((106, 1),), asks=()))
    await on.until(lambda: on.shown().best_bid == 106)
    assert on.shown().size_at(OrderSide.BUY, 999) == 0, "what the answer held already is not applied again"


async def test_an_exchange_that_cannot_be_reached_leaves_the_accounts_known_and_the_markets_silent(
    tmp_path: Path, feed: FakeFeed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paper_module, "FIRST_S", 0.05)
    path = tmp_path / "paper.db"
    async with opened(path, feed) as on:
        quote(feed)
        await on.until(lambda: on.live.live(BTC))
        await on.place("rests", OrderSide.BUY, "0.01", "59000.0")
    feed.away = True
    async with opened(path, feed) as on:
        assert on.venue.status is VenueStatus.ONLINE
        assert [order.client_id for order in await on.call(on.venue.open_orders(ME))] == ["rests"]
        assert [instrument.id for instrument in await on.call(on.venue.instruments())] == [BTC]
        assert not on.live.live(BTC)
        with pytest.raises(ExchangeConnectionError):
            await on.call(on.venue.candles(BTC, "1m"))
        feed.away = False
        await on.until(lambda: on.live.is_open)
        assert feed.watched == [BTC]
        quote(feed, bid=589_990, ask=590_000)
        await on.until(lambda: on.heard(OrderFilled))


async def test_a_first_start_without_the_exchange_knows_nothing_to_trade(
    tmp_path: Path, feed: FakeFeed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paper_module, "FIRST_S", 0.05)
    feed.away = True
    harness = LiveHarness(tmp_path / "paper.db", feed)
    harness.live._used.clear()
    await harness.call(harness.venue.start(harness._hear, harness.market.append))
    with pytest.raises(ExchangeConnectionError, match="has not told yet"):
        await harness.call(harness.venue.instruments())
    with pytest.raises(NotFoundError):
        await harness.call(harness.venue.watch([BTC]))
    await harness.call(harness.venue.close())
    assert feed.closed


async def test_fees_of_the_settings_hold_instead_of_those_of_the_exchange(tmp_path: Path, feed: FakeFeed) -> None:
    async with opened(tmp_path / "paper.db", feed, taker_fee=Decimal("0.01"), maker_fee=Decimal(0)) as on:
        (btc, *_) = await on.call(on.venue.instruments())
        assert (btc.current_rules.taker_fee, btc.current_rules.maker_fee) == (Decimal("0.01"), Decimal(0))


async def test_a_venue_that_does_not_take_what_it_hears_begins_every_book_anew(
    on: LiveHarness, feed: FakeFeed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_module, "KEPT", 20)
    quote(feed)
    for step in range(50):
        feed.moves(bids=[(600_000, 100 + step)])
    assert len(on.live._queue) <= 22
    await on.until(lambda: on.live.live(BTC) and on.shown().size_at(OrderSide.BUY, 600_000) == 149)


async def test_a_file_of_another_market_is_refused(tmp_path: Path, feed: FakeFeed) -> None:
    async with opened(tmp_path / "paper.db", feed):
        pass
    other = FakeFeed("OKX")
    harness = LiveHarness(tmp_path / "paper.db", other)
    with pytest.raises(StateCorruptionError, match="belongs to the market of BINANCE"):
        await harness.call(harness.venue.start(harness._hear, harness.market.append))
    await harness.call(harness.venue.close())


class OverAnotherVenue(PaperHarness):
    """A paper venue at the prices of another paper venue, which stands for the exchange."""

    def _make(self) -> PaperVenue:
        self.paper_market = self._make_market(self.clock.now())
        source = self.path.with_name("exchange.db")
        source.unlink(missing_ok=True)
        fast = PaperSettings(latency=LatencySettings(request_ms=0, report_ms=0, jitter_ms=0))
        feed = PaperVenue(self.paper_market, PaperStore(source), self.clock, fast)
        self.live = LiveMarket(feed, self.clock)
        return LivePaperVenue(self.live, PaperStore(self.path), self.clock, self.settings, accounts=(PAPER_ACCOUNT,))

    async def start(self) -> PaperHarness:
        """Start, and listen to what the suite trades."""
        await self.call(self.venue.start(self._hear, self.market.append))
        await self.call(self.live.watch([self.instrument.id]))
        await self.until(lambda: self.live.live(self.instrument.id))
        return self


class TestTheSuiteOfAllVenues(VenueContract):
    @pytest.fixture
    async def harness(self, tmp_path: Path) -> AsyncIterator[OverAnotherVenue]:
        def make(now: int) -> SimulatedMarket:
            return SimulatedMarket(SimulatedSettings(seed=7), now)

        h = OverAnotherVenue(make, tmp_path / "paper.db", SIMULATED_BTC, Decimal("0.005"))
        await h.start()
        yield h
        await h.venue.close()
