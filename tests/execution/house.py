"""A scripted venue, a journal that is durable when told, and the real desk and dispatcher between them."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from decimal import Decimal as D
from typing import TYPE_CHECKING, Any

import msgspec

from engine import events as ev
from engine.clock import SimulatedClock
from engine.errors import ExchangeRateLimitError, JournalError
from engine.execution.desk import Desk
from engine.execution.dispatcher import Dispatcher
from engine.execution.ids import ClientIds
from engine.ledger import Ledger
from engine.model.account import Account, TradingMode
from engine.model.fill import Fill
from engine.model.ids import (
    MANUAL,
    AccountId,
    ClientOrderId,
    Currency,
    InstrumentId,
    Owner,
    TradeId,
    VenueId,
    VenueOrderId,
)
from engine.model.instrument import Instrument, InstrumentKind, InstrumentRules
from engine.model.order import Decision, Liquidity, Order, OrderRequest, OrderSide, OrderStatus, OrderType
from engine.model.risk import Quote, Refusal, RefusalCode, Verdict
from engine.model.venue import (
    Capabilities,
    OrderCommand,
    Permissions,
    VenueBalance,
    VenueHealth,
    VenueOrder,
    VenueStatus,
)
from engine.state import EngineState
from engine.venues.spot_only import SpotOnly
from storage.journal import MemoryJournal

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from engine.model.candle import Candle
    from engine.model.market import BookUpdate, MarketTrade, Ticker
    from engine.model.venue import EventSink, MarketSink, Venue

VENUE, PAPER, USDT, BTC = VenueId("SIM"), AccountId("paper"), Currency("USDT"), Currency("BTC")
MARKET = InstrumentId("SIM:BTC/USDT")
BUY, SELL = OrderSide.BUY, OrderSide.SELL
BOT = Owner("bot1")
INSTRUMENT = Instrument(
    id=MARKET,
    venue=VENUE,
    symbol="BTC/USDT",
    kind=InstrumentKind.SPOT,
    base=BTC,
    quote=USDT,
    settle=USDT,
    rules=(InstrumentRules(valid_from=0, price_tick=D("0.01"), lot=D("0.001"), taker_fee=D("0.001")),),
)


class SlowJournal(MemoryJournal):
    """Facts are durable when the test says so, or never."""

    def __init__(self) -> None:
        super().__init__(keep=True)
        self.held = False
        self.broken = False
        self._reached = 0
        self._changed = asyncio.Event()

    @property
    def durable_seq(self) -> int:
        return self._reached if self.held else super().durable_seq

    def append(self, record: ev.Record) -> None:
        if self.broken:
            raise JournalError("The disk is full.")
        super().append(record)
        if not self.held:
            self._reached = record.seq

    def hold(self) -> None:
        """From now on nothing becomes durable by itself."""
        self._reached = super().durable_seq
        self.held = True

    def release(self) -> None:
        """Everything appended so far is durable now."""
        self._reached = super().durable_seq
        self._notify()

    def fail(self) -> None:
        """Nothing becomes durable any more."""
        self.broken = True
        self._notify()

    def _notify(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    async def wait_durable(self, seq: int) -> None:
        while self.durable_seq < seq:
            if self.broken:
                raise JournalError("The disk is full.")
            await self._changed.wait()
        if self.broken:
            raise JournalError("The disk is full.")


class ScriptedVenue(SpotOnly):
    """An exchange that does what the test says; what was sent to it is in `sent`.

    A behaviour set by `on` for the next request of a kind replaces the usual one: it is called with the request's usual
    action and may call it, drop it, fail before or after it, or wait.
    """

    def __init__(self, clock: SimulatedClock) -> None:
        self.id = VENUE
        self.capabilities = Capabilities(
            kinds=frozenset({InstrumentKind.SPOT}),
            order_types=frozenset(OrderType),
            times_in_force=frozenset(),
            post_only=True,
            reduce_only=True,
            amend=True,
            oco=True,
            lookup_by_client_id=True,
            candles=False,
            visibility_delay_s=30.0,
        )
        self.clock = clock
        self.sent: list[tuple[Any, ...]] = []
        self.orders: dict[ClientOrderId, VenueOrder] = {}
        self.fills: list[Fill] = []
        self.silent = False
        """True while the private stream delivers nothing."""
        self.sink: EventSink = lambda account, event: None
        self._script: dict[str, list[Callable[[Callable[[], None]], Awaitable[None]]]] = {}

    def on(self, kind: str, *behaviours: Callable[[Callable[[], None]], Awaitable[None]]) -> None:
        self._script.setdefault(kind, []).extend(behaviours)

    async def _do(self, kind: str, usual: Callable[[], None]) -> None:
        script = self._script.get(kind)
        if script:
            await script.pop(0)(usual)
        else:
            usual()

    def tell(self, event: ev.VenueEvent) -> None:
        if not self.silent:
            self.sink(PAPER, event)

    # what the venue does by itself

    def accept(self, command: OrderCommand, status: OrderStatus = OrderStatus.ACCEPTED, filled: str = "0") -> None:
        now = self.clock.now()
        order = VenueOrder(
            client_id=command.client_id,
            venue_order_id=VenueOrderId(f"V{command.client_id[-6:]}"),
            account=command.account,
            instrument=command.instrument,
            side=command.side,
            type=command.type,
            quantity=command.quantity,
            filled=D(filled),
            status=status,
            created=now,
            updated=now,
            price=command.price,
            stop_price=command.stop_price,
        )
        self.orders[command.client_id] = order
        self.tell(ev.OrderAccepted(client_id=command.client_id, venue_order_id=order.venue_order_id, ts=now))

    def change(self, client_id: ClientOrderId, **more: Any) -> VenueOrder:
        self.orders[client_id] = msgspec.structs.replace(self.orders[client_id], **more)
        return self.orders[client_id]

    def execute(self, client_id: ClientOrderId, quantity: str | D, price: str = "100", trade: str = "") -> Fill:
        order = self.orders[client_id]
        filled = order.filled + D(quantity)
        done = filled >= order.quantity
        self.change(client_id, filled=filled, status=OrderStatus.FILLED if done else OrderStatus.PARTIALLY_FILLED)
        fill = Fill(
            venue=VENUE,
            account=PAPER,
            instrument=MARKET,
            trade_id=TradeId(trade or f"T{len(self.fills) + 1}"),
            venue_order_id=order.venue_order_id,
            client_id=client_id,
            side=order.side,
            price=D(price),
            quantity=D(quantity),
            fee=D(0),
            fee_currency=USDT,
            liquidity=Liquidity.TAKER,
            ts=self.clock.now(),
        )
        self.fills.append(fill)
        self.tell(ev.OrderFilled(fill=fill))
        return fill

    def end(self, client_id: ClientOrderId, reason: str = "asked for") -> None:
        self.change(client_id, status=OrderStatus.CANCELED, reason=reason)
        self.tell(ev.OrderCanceled(client_id=client_id, reason=reason, ts=self.clock.now()))

    def _cancel(self, client_id: ClientOrderId) -> None:
        order = self.orders.get(client_id)
        if order is not None and order.status in (OrderStatus.ACCEPTED, OrderStatus.PARTIALLY_FILLED):
            self.end(client_id)
            return
        self.tell(ev.OrderCancelRejected(client_id=client_id, code="gone", reason="no such order", ts=self.clock.now()))

    # the venue contract

    @property
    def status(self) -> VenueStatus:
        return VenueStatus.ONLINE

    async def start(self, events: EventSink, market: MarketSink) -> None:
        self.sink = events

    async def close(self) -> None:
        return

    async def instruments(self) -> Sequence[Instrument]:
        return [INSTRUMENT]

    async def balances(self, account: AccountId) -> Sequence[VenueBalance]:
        return []

    async def place(self, command: OrderCommand) -> None:
        sent = ("place", command.client_id)
        self.sent.append(sent)
        try:
            await self._do("place", lambda: self.accept(command))
        except ExchangeRateLimitError:
            # The venue's own word that it took no notice of it.
            self.sent.remove(sent)
            self.sent.append(("too many", command.client_id))
            raise

    async def cancel(self, account: AccountId, client_id: ClientOrderId) -> None:
        self.sent.append(("cancel", client_id))
        await self._do("cancel", lambda: self._cancel(client_id))

    async def amend(
        self,
        account: AccountId,
        client_id: ClientOrderId,
        *,
        quantity: D | None = None,
        price: D | None = None,
        stop_price: D | None = None,
    ) -> None:
        self.sent.append(("amend", client_id, quantity, price, stop_price))
        wanted = {"quantity": quantity, "price": price, "stop_price": stop_price}

        def usual() -> None:
            self.change(client_id, **{name: value for name, value in wanted.items() if value is not None})
            self.tell(ev.OrderAmended(client_id=client_id, ts=self.clock.now(), **wanted))

        await self._do("amend", usual)

    async def order(self, account: AccountId, client_id: ClientOrderId) -> VenueOrder | None:
        self.sent.append(("order", client_id))
        await self._do("order", lambda: None)
        return self.orders.get(client_id)

    async def open_orders(self, account: AccountId) -> Sequence[VenueOrder]:
        self.sent.append(("open_orders",))
        await self._do("open_orders", lambda: None)
        working = (OrderStatus.ACCEPTED, OrderStatus.PARTIALLY_FILLED)
        return [order for order in self.orders.values() if order.status in working]

    async def fills_since(self, account: AccountId, cursor: str) -> tuple[Sequence[Fill], str]:
        self.sent.append(("fills", cursor))
        after = int(cursor or 0)
        page = self.fills[after : after + 2]
        return page, str(after + len(page))

    async def watch(self, instruments: Sequence[InstrumentId]) -> None:
        return

    async def unwatch(self, instruments: Sequence[InstrumentId]) -> None:
        return

    async def book(self, instrument: InstrumentId, depth: int) -> BookUpdate:
        raise NotImplementedError

    async def candles(
        self, instrument: InstrumentId, timeframe: str, *, end: int | None = None, limit: int = 500
    ) -> Sequence[Candle]:
        return []

    async def trades(self, instrument: InstrumentId, limit: int = 100) -> Sequence[MarketTrade]:
        return ()

    async def tickers(self, instruments: Sequence[InstrumentId] | None = None) -> Sequence[Ticker]:
        return ()

    async def permissions(self, account: AccountId) -> Permissions:
        return Permissions(read=True, trade=True, withdraw=False)

    def health(self) -> VenueHealth:
        return VenueHealth()

    async def server_time(self) -> int:
        return self.clock.now()

    def requests(self, kind: str) -> list[tuple[Any, ...]]:
        """What was sent of one kind."""
        return [sent for sent in self.sent if sent[0] == kind]


class OpenGate:
    """Lets everything pass but what the test forbids."""

    def __init__(self) -> None:
        self.forbids = False
        self.counted = 0
        self.asked: list[tuple[OrderRequest, ClientOrderId | None]] = []

    def check(self, request: OrderRequest, now: int, replaces: ClientOrderId | None = None) -> Verdict:
        self.asked.append((request, replaces))
        if self.forbids:
            return Verdict(refusals=(Refusal(code=RefusalCode.HALTED, message="Trading is halted."),))
        return Verdict()

    def passed(self, request: OrderRequest, now: int) -> None:
        self.counted += 1


class House:
    """One account with 100,000 USDT and 10 BTC at a scripted venue."""

    def __init__(
        self,
        venue: ScriptedVenue | None = None,
        records: Sequence[ev.Record] = (),
        epoch: int = 1,
        timeout_s: float = 20.0,
        front: Callable[[ScriptedVenue], Venue] | None = None,
    ) -> None:
        self.clock = venue.clock if venue is not None else SimulatedClock()
        self.venue = venue or ScriptedVenue(self.clock)
        self.state = EngineState()
        self.journal = SlowJournal()
        for record in records:
            self.state.apply(record)
            self.journal.append(record)
        self.ledger = Ledger(self.state, self.journal, self.clock, epoch)
        self.gate = OpenGate()
        self.front: Venue = self.venue if front is None else front(self.venue)
        """What the dispatcher talks to."""
        self.bid, self.ask = D(99), D(101)
        self.dispatcher = Dispatcher(self.ledger, {VENUE: self.front}, self.clock, timeout_s=timeout_s)
        self.desk = Desk(self.ledger, self.gate, self, ClientIds("abcdefgh", epoch), self.dispatcher)
        self.dispatcher.attach(self.desk)
        self.venue.sink = self.desk.on_event
        if not records:
            account = Account(id=PAPER, venue=VENUE, mode=TradingMode.PAPER, base_currency=USDT)
            self.ledger.record(ev.AccountOpened(account=account))
            self.ledger.record(ev.InstrumentDefined(instrument=INSTRUMENT))
            self.ledger.record(ev.Deposited(account=PAPER, currency=USDT, amount=D(100_000)))
            self.ledger.record(ev.Deposited(account=PAPER, currency=BTC, amount=D(10)))
            self.ledger.record(ev.FillsCaughtUp(account=PAPER, cursor=""))

    def quote(self, instrument: InstrumentId) -> Quote | None:
        return Quote(self.bid, self.ask, (self.bid + self.ask) / 2, self.clock.now())

    def request(self, side: OrderSide = BUY, quantity: str = "1", **more: Any) -> OrderRequest:
        price = more.pop("price", "90")
        kind = more.pop("type", OrderType.MARKET if price is None else OrderType.LIMIT)
        return OrderRequest(
            account=PAPER,
            instrument=MARKET,
            owner=more.pop("owner", MANUAL),
            side=side,
            type=kind,
            quantity=D(quantity),
            price=None if price is None else D(price),
            decision=Decision(reason="test"),
            **more,
        )

    def submit(self, side: OrderSide = BUY, quantity: str = "1", **more: Any) -> Order:
        return self.desk.submit(self.request(side, quantity, **more))

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """With the dispatcher at work; fails if it ended by itself."""
        task = asyncio.ensure_future(self.dispatcher.run())
        try:
            await turns()
            yield
            if task.done():
                task.result()
                assert self.journal.broken, "the dispatcher ended though all is well"
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def status(self, order: Order) -> OrderStatus:
        """The order's present status, looked up anew."""
        found = self.state.order(order.client_id)
        assert found is not None
        return found.status

    def facts(self, *kinds: type) -> list[Any]:
        return [record.event for record in self.journal.records if isinstance(record.event, kinds)]

    def names(self, order: Order) -> list[str]:
        """The facts of an order, without `Order`."""
        found = []
        for record in self.journal.records:
            fill = getattr(record.event, "fill", None)
            client_id = fill.client_id if fill is not None else getattr(record.event, "client_id", None)
            if client_id == order.client_id:
                found.append(type(record.event).__name__.removeprefix("Order"))
        return found

    def crashed(self, durable: int | None = None) -> House:
        """A new engine over what was durable when this one was killed; the venue has lived on."""
        kept = [record for record in self.journal.records if durable is None or record.seq <= durable]
        return House(self.venue, kept, self.ledger.epoch + 1)


def command(client_id: str) -> OrderCommand:
    """A limit order to buy 1 at 90."""
    return OrderCommand(
        client_id=ClientOrderId(client_id),
        account=PAPER,
        instrument=MARKET,
        side=BUY,
        type=OrderType.LIMIT,
        quantity=D(1),
        price=D(90),
    )


async def turns(count: int = 30) -> None:
    """Let everybody on the loop do what can be done now."""
    for _ in range(count):
        await asyncio.sleep(0)


# --- behaviours ------------------------------------------------------------------------------------------------------


def fails(error: Exception) -> Callable[[Callable[[], None]], Awaitable[None]]:
    """The request does not arrive."""

    async def behave(usual: Callable[[], None]) -> None:
        raise error

    return behave


def takes_effect_then_fails(error: Exception) -> Callable[[Callable[[], None]], Awaitable[None]]:
    """The request arrives and takes effect; the answer is lost."""

    async def behave(usual: Callable[[], None]) -> None:
        usual()
        raise error

    return behave


def waits_for(event: asyncio.Event) -> Callable[[Callable[[], None]], Awaitable[None]]:
    """The request is under way until the event is set."""

    async def behave(usual: Callable[[], None]) -> None:
        await event.wait()
        usual()

    return behave


async def never_answers(usual: Callable[[], None]) -> None:
    """No answer within any time."""
    await asyncio.Event().wait()
