"""The shell of the adapters: life cycle, requests carried to their end, proof of life."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from engine import events as ev
from engine.clock import SimulatedClock
from engine.errors import (
    AuthenticationError,
    ExchangeConnectionError,
    ExchangeError,
    NotFoundError,
    OrderRejectionError,
    UnknownOutcomeError,
    ValidationError,
)
from engine.model.candle import Candle
from engine.model.credentials import Credentials
from engine.model.ids import AccountId, ClientOrderId, InstrumentId, VenueId, VenueOrderId
from engine.model.instrument import InstrumentKind
from engine.model.market import FeedStatus
from engine.model.order import OrderSide, OrderType, TimeInForce
from engine.model.venue import Capabilities, OrderCommand, StreamHealth, VenueStatus
from engine.venues.native.options import VenueOptions
from engine.venues.native.venue import NativeVenue
from tests.venues.native.test_catalogue import instrument

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.events import VenueEvent
    from engine.model.instrument import Instrument
    from engine.model.market import MarketEvent
    from engine.model.venue import VenueOrder
    from engine.venues.native.line import AccountLine
    from engine.venues.native.request import Transport

MAIN, OTHER = AccountId("main"), AccountId("other")
BTC = InstrumentId("BINANCE:BTC/USDT")
A = ClientOrderId("a")
S = 1_000_000_000


class Keys:
    def __init__(self, *accounts: AccountId) -> None:
        self.accounts = accounts

    def credentials(self, venue: VenueId, account: AccountId) -> Credentials | None:
        return Credentials(key="k", secret="s") if account in self.accounts else None


class Stream:
    def __init__(self, line: AccountLine) -> None:
        self.line = line
        self.log: list[str] = []
        self.fails: Exception | None = None

    async def open(self) -> None:
        if self.fails is not None:
            raise self.fails
        self.log.append("open")
        self.line.on_up()

    async def close(self) -> None:
        self.log.append("close")

    def renew(self, reason: str) -> None:
        self.log.append(f"renew: {reason}")

    def health(self) -> StreamHealth:
        return StreamHealth(name=f"private {self.line.account}", up=self.line.up, since=0)


class Feed:
    def __init__(self) -> None:
        self.up = True
        self.watched: set[str] = set()
        self.closed = False

    async def watch(self, instruments: Sequence[Instrument]) -> None:
        self.watched |= {i.id for i in instruments}

    async def unwatch(self, instruments: Sequence[Instrument]) -> None:
        self.watched -= {i.id for i in instruments}

    async def close(self) -> None:
        self.closed = True

    def health(self) -> Sequence[StreamHealth]:
        return [StreamHealth(name="public 1", up=self.up, since=0)]


class Adapter(NativeVenue):
    """An adapter whose venue answers what the test put into `answer`."""

    def __init__(self, *accounts: AccountId, keys: Keys | None = None, clock: SimulatedClock | None = None) -> None:
        super().__init__(
            VenueOptions(id=VenueId("BINANCE"), accounts=accounts),
            keys or Keys(*accounts),
            clock or SimulatedClock(),
            capabilities=Capabilities(
                kinds=frozenset({InstrumentKind.SPOT}),
                order_types=frozenset({OrderType.LIMIT}),
                times_in_force=frozenset({TimeInForce.GTC}),
                post_only=True,
                reduce_only=False,
                amend=True,
                oco=False,
                lookup_by_client_id=True,
                candles=True,
            ),
            timeframes=frozenset({"1m"}),
            missed=lambda: self.log.append("missed"),
        )
        self.log: list[str] = []
        self.heard: list[VenueEvent] = []
        self.market: list[MarketEvent] = []
        self.streams: dict[AccountId, Stream] = {}
        self.stream_fails: Exception | None = None
        self.answer: Any = ()
        self.gate: asyncio.Event | None = None
        self.feed = Feed()
        self.transports: list[object] = []
        self.orders: list[VenueOrder] = []

    def is_online(self) -> bool:
        return self.status is VenueStatus.ONLINE

    async def begin(self) -> Adapter:
        await self.start(lambda _, event: self.heard.append(event), self.market.append)
        await asyncio.sleep(0)  # its tasks get to their first wait
        return self

    def _transport(self, account: AccountId | None, credentials: Credentials | None) -> Transport:
        self.transports.append(account)
        return account or "public"  # type: ignore[return-value]

    async def _end_transport(self, transport: Transport) -> None:
        self.transports.remove(None if transport == "public" else transport)  # type: ignore[comparison-overlap]

    def _private_stream(self, line: AccountLine) -> Stream:
        stream = self.streams[line.account] = Stream(line)
        stream.fails = self.stream_fails
        return stream

    def _market_feed(self) -> Feed:
        self.feed = Feed()
        return self.feed

    async def _listings(self) -> Sequence[tuple[str, Instrument]]:
        return [("BTCUSDT", instrument("BTC"))]

    async def server_time(self) -> int:
        return self.clock.now()

    async def _answered(self) -> Any:
        if self.gate is not None:
            await self.gate.wait()
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    async def _send(self, line: AccountLine, instrument: Instrument, command: OrderCommand) -> Sequence[VenueEvent]:
        self.log.append(f"send {command.client_id}")
        return await self._answered()  # type: ignore[no-any-return]

    async def _end_order(self, line: AccountLine, client_id: ClientOrderId) -> Sequence[VenueEvent]:
        return await self._answered()  # type: ignore[no-any-return]

    async def _change_order(
        self,
        line: AccountLine,
        client_id: ClientOrderId,
        quantity: Decimal | None,
        price: Decimal | None,
        stop_price: Decimal | None,
    ) -> Sequence[VenueEvent]:
        return await self._answered()  # type: ignore[no-any-return]

    async def _open_orders(self, line: AccountLine) -> Sequence[VenueOrder]:
        self.log.append("list")
        return self.orders

    async def _find_order(self, line: AccountLine, client_id: ClientOrderId) -> VenueOrder | None:
        return None

    async def _candle_page(self, instrument: Instrument, timeframe: str, end: int, limit: int) -> Sequence[Candle]:
        newest = (end - 1) // (60 * S)
        return [
            Candle(instrument.id, timeframe, n * 60 * S, 1.0, 1.0, 1.0, 1.0, 1.0)
            for n in range(max(0, newest - min(limit, 3) + 1), newest + 1)
        ]


def command(client_id: ClientOrderId = A, account: AccountId = MAIN) -> OrderCommand:
    return OrderCommand(
        client_id=client_id,
        account=account,
        instrument=BTC,
        side=OrderSide.BUY,
        type=OrderType.LIMIT,
        quantity=Decimal(1),
        price=Decimal(5),
    )


def accepted(ts: int) -> ev.OrderAccepted:
    return ev.OrderAccepted(client_id=A, venue_order_id=VenueOrderId("7"), ts=ts)


async def test_it_is_online_once_every_account_and_the_markets_are_heard() -> None:
    venue = Adapter(MAIN, OTHER)
    assert not venue.is_online()
    await venue.begin()
    assert venue.is_online()
    venue.feed.up = False
    assert not venue.is_online()
    assert [s.name for s in venue.health().streams] == ["public 1", "private main", "private other"]
    await venue.close()


async def test_a_start_that_fails_leaves_nothing_open_and_may_be_repeated() -> None:
    venue = Adapter(MAIN)
    venue.stream_fails = ExchangeConnectionError("The venue cannot be reached.")
    with pytest.raises(ExchangeConnectionError):
        await venue.begin()
    assert venue.transports == []
    assert venue.streams[MAIN].log == ["close"]
    venue.stream_fails = None
    await venue.begin()
    assert venue.is_online()
    await venue.close()
    assert venue.transports == []
    assert venue.feed.closed


async def test_an_account_without_a_key_is_refused_with_what_to_do() -> None:
    venue = Adapter(MAIN, keys=Keys())
    with pytest.raises(AuthenticationError, match="quarterdeck keys add"):
        await venue.begin()


async def test_closed_and_started_again_it_watches_what_it_watched() -> None:
    venue = await Adapter(MAIN).begin()
    await venue.watch([BTC])
    await venue.close()
    with pytest.raises(ExchangeConnectionError):
        await venue.place(command())
    with pytest.raises(ExchangeConnectionError):
        await venue.instruments()
    await venue.begin()
    assert venue.feed.watched == {BTC}
    await venue.close()


async def test_a_lost_private_stream_is_offline_and_asks_to_compare_before_it_is_online_again() -> None:
    venue = await Adapter(MAIN, OTHER).begin()
    line = venue.lines[OTHER]
    seen: list[bool] = []
    venue.missed = lambda: seen.append(venue.is_online())
    line.on_down("the line broke")
    assert not venue.is_online()
    with pytest.raises(NotFoundError):
        venue.line(AccountId("nobody"))
    line.on_up()
    assert seen == [False]
    assert venue.is_online()
    await venue.close()


async def test_an_answer_and_the_stream_are_told_once() -> None:
    venue = await Adapter(MAIN).begin()
    now = venue.clock.now()
    venue.answer = [accepted(now)]
    await venue.place(command())
    venue.lines[MAIN].heard([accepted(now)])
    assert venue.heard == [accepted(now)]
    await venue.close()


async def test_a_refusal_is_reported_and_what_proves_nothing_is_raised() -> None:
    venue = await Adapter(MAIN).begin()
    venue.answer = OrderRejectionError("Too small.", error_code="-1013")
    await venue.place(command())
    await venue.cancel(MAIN, ClientOrderId("b"))
    await venue.amend(MAIN, ClientOrderId("c"), price=Decimal(4))
    kinds = [(type(event).__name__, getattr(event, "code", "")) for event in venue.heard]
    assert kinds == [
        ("OrderRejected", "-1013"),
        ("OrderCancelRejected", "-1013"),
        ("OrderCancelRejected", "-1013"),
    ]
    for error in (UnknownOutcomeError("?"), ExchangeError("?"), ExchangeConnectionError("?")):
        venue.answer = error
        with pytest.raises(type(error)):
            await venue.place(command(ClientOrderId("d")))
    assert len(venue.heard) == 3
    await venue.close()


async def test_an_order_whose_caller_gave_up_is_carried_to_its_end() -> None:
    venue = await Adapter(MAIN).begin()
    venue.gate = asyncio.Event()
    venue.answer = [accepted(venue.clock.now())]
    task = asyncio.get_running_loop().create_task(venue.place(command()))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    venue.gate.set()
    for _ in range(5):
        await asyncio.sleep(0)
    assert venue.log == ["send a"]
    assert [type(event) for event in venue.heard] == [ev.OrderAccepted]
    await venue.close()


async def test_nothing_is_sent_by_a_request_that_the_close_overtook() -> None:
    venue = await Adapter(MAIN).begin()
    task = asyncio.get_running_loop().create_task(venue.place(command()))
    await venue.close()
    with pytest.raises((asyncio.CancelledError, ExchangeConnectionError)):
        await task
    assert venue.heard == []


async def test_candles_are_paged_and_only_closed_ones_given() -> None:
    clock = SimulatedClock(600 * S + 30 * S)
    venue = await Adapter(MAIN, clock=clock).begin()
    candles = await venue.candles(BTC, "1m", limit=7)
    assert [c.ts // (60 * S) for c in candles] == [3, 4, 5, 6, 7, 8, 9]
    assert [c.ts // (60 * S) for c in await venue.candles(BTC, "1m", end=120 * S, limit=50)] == [0, 1]
    with pytest.raises(ValidationError, match="1m"):
        await venue.candles(BTC, "7m")
    await venue.close()


async def test_only_watched_markets_are_shown() -> None:
    venue = await Adapter().begin()
    status = FeedStatus(BTC, 1, live=True)
    venue.show(status)
    assert venue.market == []
    await venue.watch([BTC])
    venue.show(status)
    assert venue.market == [status]
    await venue.unwatch([BTC])
    venue.show(status)
    assert venue.market == [status]
    with pytest.raises(NotFoundError):
        await venue.watch([InstrumentId("BINANCE:NO/SUCH")])
    await venue.close()


async def test_a_stream_that_tells_nothing_is_renewed_and_the_books_compared() -> None:
    clock = SimulatedClock()
    venue = await Adapter(MAIN, clock=clock).begin()
    await clock.advance(5)
    venue.answer = [accepted(clock.now())]
    await venue.place(command())
    for _ in range(8):
        await clock.advance(2)
    assert "missed" in venue.log
    assert venue.streams[MAIN].log == ["open", "renew: it did not tell what became of 1 orders"]
    assert not venue.is_online()
    await venue.close()


async def test_open_orders_are_listed_to_prove_a_stream_only_while_there_are_any() -> None:
    clock = SimulatedClock()
    venue = await Adapter(MAIN, clock=clock).begin()
    for _ in range(20):
        await clock.advance(2)
    assert "list" not in venue.log
    venue.lines[MAIN].heard([accepted(clock.now())])
    for _ in range(20):
        await clock.advance(2)
    # It is not among the orders listed, and the stream never told its end.
    assert "list" in venue.log
    assert "missed" in venue.log
    await venue.close()
