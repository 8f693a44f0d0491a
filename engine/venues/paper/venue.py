"""The paper venue: the paper exchange and a market behind the venue contract, with latency and a durable store.

One task moves the market on and matches it, one delivers reports; a request is carried by a task of its own, so that a
caller who gives up leaves it under way, as with a real venue. What the exchange did leaves the venue only when the
store has committed it: reports, replies and answers to questions alike.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter, deque
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import structlog

from engine.errors import (
    ExchangeConnectionError,
    ExchangeError,
    ExchangeRateLimitError,
    OrderRejectionError,
    QuarterdeckError,
    UnknownOutcomeError,
)
from engine.events import OrderFilled
from engine.model.ids import AccountId, VenueId
from engine.model.instrument import InstrumentKind
from engine.model.market import FeedStatus, MarketTrade
from engine.model.order import Liquidity, OrderType, TimeInForce
from engine.model.venue import Capabilities, MarginMode, VenueStatus
from engine.venues.paper.commits import Commits
from engine.venues.paper.exchange import PaperExchange
from engine.venues.paper.faults import Fault, Operation
from engine.venues.paper.fill_model import FillKind
from engine.venues.paper.questions import FILLS_A_PAGE, PaperQuestions
from engine.venues.paper.road import Road
from engine.venues.paper.settings import PaperSettings
from engine.venues.paper.store import Batch

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence
    from typing import Any

    from engine.clock import Clock
    from engine.model.candle import Candle
    from engine.model.fill import Fill
    from engine.model.ids import ClientOrderId, InstrumentId
    from engine.model.instrument import Instrument
    from engine.model.market import MarketEvent
    from engine.model.venue import (
        EventSink,
        MarketSink,
        OrderCommand,
        VenueBalance,
        VenueOrder,
    )
    from engine.venues.markets.contract import Market
    from engine.venues.paper.faults import Faults
    from engine.venues.paper.orders import Report
    from engine.venues.paper.store import PaperStore

__all__ = ["PAPER_ACCOUNT", "SIMULATED", "PaperVenue"]

_T = TypeVar("_T")

log = structlog.get_logger(__name__)

SIMULATED = VenueId("SIM")
PAPER_ACCOUNT = AccountId("paper")
CATCH_UP_NS = 600 * 1_000_000_000
"""After a restart a gap up to this long is lived through, order by order; a longer one is skipped."""
CHECKPOINT_NS = 5 * 1_000_000_000
"""How often market and queue places are stored when nothing else happens."""
_TURN_NS = 1_500_000
_TURN_EVENTS = 48
_IDLE_S = 0.25
_TAPE = 1_000
"""Public trades kept per instrument."""
CAPABILITIES = Capabilities(
    kinds=frozenset({InstrumentKind.SPOT, InstrumentKind.MARGIN, InstrumentKind.LINEAR_PERPETUAL}),
    order_types=frozenset(OrderType),
    times_in_force=frozenset(TimeInForce),
    post_only=True,
    reduce_only=True,
    amend=True,
    oco=True,
    lookup_by_client_id=True,
    candles=True,
    visibility_delay_s=0.0,
    margin_modes=frozenset(MarginMode),
    max_leverage=Decimal(20),
    countdown=True,
    collar=True,
)


class PaperVenue(PaperQuestions):
    """A venue (`engine.model.venue.Venue`) on paper.

    Args:
        market: Where prices come from; nobody else may advance it.
        store: The venue's file, not yet open.
        clock: The engine's clock; the market lives in its time.
        settings: Fees, latency, fills.
        venue: The venue's name.
        accounts: Accounts that exist from the start, with the settings' balances when they are new.
        kind: What orders are matched against.
    """

    def __init__(
        self,
        market: Market,
        store: PaperStore,
        clock: Clock,
        settings: PaperSettings | None = None,
        *,
        venue: VenueId = SIMULATED,
        accounts: Sequence[AccountId] = (PAPER_ACCOUNT,),
        kind: FillKind = FillKind.BOOK,
    ) -> None:
        self.id = venue
        self.capabilities = CAPABILITIES
        self.settings = settings or PaperSettings()
        self._market = market
        self._store = store
        self._clock = clock
        self._accounts = accounts
        self._exchange = PaperExchange(venue, market.instruments(), self.settings, kind=kind, track=True)
        self._road = Road(clock, self.settings.latency)
        self._commits = Commits(store, self._batch, self._road.send, self._fail)
        self._status = VenueStatus.OFFLINE
        self._failure = ""
        self._tasks: set[asyncio.Task[Any]] = set()
        self._watched: set[InstrumentId] = set()
        self._tapes: dict[InstrumentId, deque[MarketTrade]] = {}
        self._market_sink: MarketSink | None = None
        self._event_sink: EventSink | None = None
        self._suspended = False
        self._deadlines = {}
        self._stored_at = 0
        self._step = 20_000_000
        """Nanoseconds of market time taken at once; follows how much happens in them."""

    # --- life --------------------------------------------------------------------------------------------------------

    @property
    def faults(self) -> Faults:
        """What is to go wrong next (tests only)."""
        return self._road.faults

    @property
    def status(self) -> VenueStatus:
        """Online from the end of `start` until `close` or a failure of the store or the market."""
        if self.faults.away:
            return VenueStatus.OFFLINE
        if self.faults.maintained and self._status is VenueStatus.ONLINE:
            return VenueStatus.MAINTENANCE
        return self._status

    async def start(self, events: EventSink, market: MarketSink) -> None:
        """Restore what is stored, live through the gap since then, and open; idempotent.

        Raises:
            StorageError: The store cannot be used.
            StateCorruptionError: What is stored belongs to another market.
            ExchangeConnectionError: It failed for good, or is away.
        """
        if self.faults.away or self._failure:
            self._check_open()
        if self._status is VenueStatus.ONLINE:
            return
        if self._suspended:
            raise ExchangeConnectionError(f"{self.id} is being handed over to another process.")
        self._market_sink, self._event_sink = market, events
        stored = await asyncio.wrap_future(self._store.submit(self._store.open))
        if stored.market is not None:
            self._market.restore(stored.market)
        self._exchange.restore(stored.image, f"{secrets.token_hex(4)}-")
        for account in self._accounts:
            self._exchange.open_account(account)
        for instrument in self._market.instruments():
            if self._market.live(instrument.id):
                self._match(self._market.snapshot(instrument.id))
        await self._catch_up()
        await self._commits.durable()
        self._run(events)

    def _run(self, events: EventSink) -> None:
        self._status = VenueStatus.ONLINE
        self._spawn(self._guard(lambda: self._road.deliver(events)), "paper venue: reports")
        self._spawn(self._guard(self._pump), "paper venue: market")

    async def close(self) -> None:
        """Stop, store where market and queues stand, and close the file. Working orders stay."""
        try:
            await self._halt()
        finally:
            await asyncio.to_thread(self._store.close)

    async def _halt(self) -> None:
        """Stop and store everything; requests under way end without an answer."""
        was_open, self._status = self._status is VenueStatus.ONLINE, VenueStatus.OFFLINE
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if was_open:
            await self._commits.durable()

    async def suspend(self) -> None:
        """Stop as `close` does, but stay able to go on, for as long as no other process opens the file.

        Raises:
            UnknownOutcomeError: What has happened could not be stored.
        """
        self._suspended = True
        await self._halt()
        await asyncio.wrap_future(self._store.submit(self._store.lend))

    async def resume(self) -> None:
        """Go on after `suspend`; the market lives through the gap.

        Raises:
            StorageError: Another process has used the file since.
        """
        if self._event_sink is not None and self._suspended:
            await asyncio.wrap_future(self._store.submit(self._store.take_back))
            self._suspended = False
            self._run(self._event_sink)

    # --- requests ----------------------------------------------------------------------------------------------------

    async def place(self, command: OrderCommand) -> None:
        """Send an order.

        Raises:
            UnknownOutcomeError: No answer, or the client order id was used before; ask with `order`.
            ExchangeConnectionError: The order certainly did not leave.
        """
        if self._exchange.forgets and await self._stored_order(command.account, command.client_id) is not None:
            raise UnknownOutcomeError(f"The client order id {command.client_id} was used long ago; ask for that order.")
        await self._request(Operation.PLACE, partial(self._exchange.place, command))

    async def cancel(self, account: AccountId, client_id: ClientOrderId) -> None:
        """Ask to cancel. Raises as `place`."""
        await self._request(Operation.CANCEL, partial(self._exchange.cancel, account, client_id))

    async def amend(
        self,
        account: AccountId,
        client_id: ClientOrderId,
        *,
        quantity: Decimal | None = None,
        price: Decimal | None = None,
        stop_price: Decimal | None = None,
    ) -> None:
        """Change a working order in place. Raises as `place`."""
        change = partial(
            self._exchange.amend, account, client_id, quantity=quantity, price=price, stop_price=stop_price
        )
        await self._request(Operation.AMEND, change)

    # --- questions ---------------------------------------------------------------------------------------------------

    async def instruments(self) -> Sequence[Instrument]:
        """All tradable instruments."""
        return self._market.instruments()

    async def balances(self, account: AccountId) -> Sequence[VenueBalance]:
        """All non-zero balances of an account.

        Raises:
            NotFoundError: No such account.
            ExchangeConnectionError: The venue is not open.
        """
        return await self._ask(lambda: self._exchange.balances(account))

    async def order(self, account: AccountId, client_id: ClientOrderId) -> VenueOrder | None:
        """Look an order up by our id, however old. Raises ExchangeConnectionError."""
        found = await self._ask(lambda: self._exchange.order(account, client_id))
        if found is not None:
            return found
        return await self._stored_order(account, client_id)

    async def _stored_order(self, account: AccountId, client_id: ClientOrderId) -> VenueOrder | None:
        old = await asyncio.wrap_future(self._store.submit(partial(self._store.find_order, account, client_id)))
        return None if old is None else self._exchange.view(old)

    async def open_orders(self, account: AccountId) -> Sequence[VenueOrder]:
        """All working orders of an account. Raises NotFoundError, ExchangeConnectionError."""
        return await self._ask(lambda: self._exchange.open_orders(account))

    async def fills_since(self, account: AccountId, cursor: str) -> tuple[Sequence[Fill], str]:
        """Executions after a cursor ("" for all), oldest first, at most a page, and the cursor for the next.

        Raises:
            ValidationError: The cursor is none of this venue's.
            StateConsistencyError: The venue's file is not the one, or is older than the one, that gave the cursor.
            ExchangeConnectionError: The venue is not open.
        """
        after = self._exchange.cursors.number(cursor)
        found = await self._ask(lambda: self._exchange.fills_since(account, cursor))
        if after + 1 >= self._exchange.oldest_fill:
            return found
        read = self._store.submit(lambda: self._store.find_fills(account, after, FILLS_A_PAGE))
        page = await asyncio.wrap_future(read)
        return [stored.fill for stored in page], self._exchange.cursors.of(page[-1].number) if page else found[1]

    async def candles(
        self, instrument: InstrumentId, timeframe: str, *, end: int | None = None, limit: int = 500
    ) -> Sequence[Candle]:
        """The newest closed candles before `end`. Raises NotFoundError, ValidationError, ExchangeConnectionError."""
        self._check_open()
        until = self._clock.now() if end is None else end
        return await asyncio.to_thread(self._market.history, instrument, timeframe, until, limit)

    async def watch(self, instruments: Sequence[InstrumentId]) -> None:
        """Deliver these too, beginning with a snapshot each.

        Raises:
            NotFoundError: The market has no such instrument; none of them is watched then.
        """
        self._check_open()
        live = {instrument: self._market.live(instrument) for instrument in instruments}
        for instrument in instruments:
            if instrument in self._watched:
                continue
            self._watched.add(instrument)
            if live[instrument]:
                self._show(self._market.snapshot(instrument))
            else:
                now = self._clock.now()
                self._show(FeedStatus(instrument, now, live=False, reason="The market has no book yet."))

    async def unwatch(self, instruments: Sequence[InstrumentId]) -> None:
        """Stop delivering these."""
        self._watched.difference_update(instruments)

    # --- the market --------------------------------------------------------------------------------------------------

    async def _pump(self) -> None:
        """Move the market on with the clock, without ever holding the loop for long."""
        while not self._failure:
            await self._follow(self._clock.now())
            now = self._clock.now()
            self._expire(now)
            if now - self._stored_at >= CHECKPOINT_NS:
                self._commits.flush()
            due = self._market.next_time()
            wait = _IDLE_S if due is None else (due - now) / 1e9
            await self._idle(min(max(wait, 0.001), _IDLE_S))

    async def _idle(self, seconds: float) -> None:
        await self._clock.sleep(seconds)

    async def _follow(self, to: int) -> None:
        """Live through the market up to a time, giving the loop its turn every millisecond or so."""
        market = self._market
        began, count = self._clock.monotonic(), 0
        while market.now < to and not self._failure:
            due = market.next_time()
            target = to if due is None else min(to, max(due, market.now + self._step))
            events = market.advance(target)
            # No await until all of them are matched: a commit in between would store half a step.
            for event in events:
                self._match(event)
            self._commits.flush_reports()
            count += len(events)
            self._step = max(self._step // 2, 1_000_000) if len(events) > _TURN_EVENTS else min(self._step * 2, 10**9)
            if count >= _TURN_EVENTS or self._clock.monotonic() - began > _TURN_NS:
                await asyncio.sleep(0)
                began, count = self._clock.monotonic(), 0

    async def _catch_up(self) -> None:
        now = self._clock.now()
        if now - self._market.now <= CATCH_UP_NS:
            await self._follow(now)
            return
        log.info("the paper market skips the time it was closed", seconds=(now - self._market.now) // 10**9)
        for event in self._market.skip(now):
            self._match(event)
        self._commits.flush_reports()

    def _match(self, event: MarketEvent) -> None:
        reports = self._exchange.on_market(event)
        if reports:
            self._keep(reports)
        if event.instrument in self._exchange.broken:
            self._keep(self._exchange.on_book(self._market.snapshot(event.instrument)))
        if isinstance(event, MarketTrade):
            self._tapes.setdefault(event.instrument, deque(maxlen=_TAPE)).append(event)
        if event.instrument in self._watched:
            self._show(event)

    def _show(self, event: MarketEvent) -> None:
        if self._market_sink is not None and not self.faults.away:
            self._market_sink(event)

    def _keep(self, reports: Sequence[Report]) -> None:
        """Hold reports until they are stored, and let executions press on the market."""
        self._commits.keep(reports)
        fills = [event.fill for _, event in reports if isinstance(event, OrderFilled)]
        ids = Counter(fill.trade_id for fill in fills)
        for fill in fills:
            # Own orders that met each other took nothing from the market.
            if fill.liquidity is Liquidity.TAKER and ids[fill.trade_id] == 1:
                instrument = self._exchange.instrument(fill.instrument)
                quantity, price = instrument.quantity_to_int(fill.quantity), instrument.price_to_int(fill.price)
                self._market.impact(fill.instrument, fill.ts, fill.side, quantity, price)

    def _batch(self) -> Batch:
        """Everything that has changed, and the market of the same moment."""
        self._stored_at = self._clock.now()
        return Batch.of(self._exchange.take_changes(), self._exchange.queues(), self._market.save())

    def _fail(self, reason: str) -> None:
        """Stop for good: nothing that is not stored may be said."""
        if self._failure:
            return
        self._failure, self._status = reason, VenueStatus.OFFLINE
        log.critical("the paper venue failed", problem=reason)
        self._commits.abandon(f"The paper venue failed: {reason}")
        now = self._clock.now()
        for instrument in sorted(self._watched):
            self._show(FeedStatus(instrument, now, live=False, reason="The paper venue failed."))

    # --- requests under way ------------------------------------------------------------------------------------------

    async def _request(self, operation: Operation, act: Callable[[int], Sequence[Report]]) -> None:
        self._check_open()
        # A caller who stops waiting does not stop the request.
        await asyncio.shield(self._spawn(self._carry(operation, act), f"paper venue: {operation}"))

    async def _carry(self, operation: Operation, act: Callable[[int], Sequence[Report]]) -> None:
        fault, delay = self.faults.take(operation)
        if fault is Fault.REFUSE:
            raise ExchangeConnectionError(f"The connection to {self.id} was refused; the request did not leave.")
        await self._road.there(delay)
        if fault is Fault.RATE_LIMIT:
            raise self._too_many()
        lost = UnknownOutcomeError(f"{self.id} did not answer; ask for the order by its client order id.")
        if fault is Fault.LOSE_REQUEST:
            raise lost
        self._check_open()
        try:
            self._keep(act(self._clock.now()))
        except OrderRejectionError as error:
            # That id stands for another order, which must not be touched by what is said about this one.
            raise UnknownOutcomeError(error.message, error_code=error.error_code) from error
        await self._commits.durable()
        if fault is Fault.LOSE_REPLY or self.faults.away:
            raise lost
        await self._road.back()

    async def _ask(self, question: Callable[[], _T]) -> _T:
        self._check_open()
        fault, delay = self.faults.take(Operation.QUERY)
        if fault is Fault.REFUSE:
            raise ExchangeConnectionError(f"The connection to {self.id} was refused.")
        await self._road.there(delay)
        if fault is Fault.RATE_LIMIT:
            raise self._too_many()
        self._check_open()
        answer = question()
        if self._exchange.changed or not self._commits.idle:
            await self._commits.durable()
        if fault is not None:
            raise ExchangeError(f"{self.id} did not answer a question in time; ask again.")
        await self._road.back()
        return answer

    def _too_many(self) -> ExchangeRateLimitError:
        hint = self.faults.retry_after_ms
        details: dict[str, object] = {} if hint is None else {"retry_after_ms": hint}
        return ExchangeRateLimitError(f"{self.id} takes no more requests for a while.", details=details)

    def _check_open(self) -> None:
        if self.faults.away or self.faults.maintained:
            why = "the connection is lost" if self.faults.away else "it is being maintained"
            raise ExchangeConnectionError(f"{self.id} cannot be reached: {why}.")
        if self._status is not VenueStatus.ONLINE:
            why = f"it failed: {self._failure}" if self._failure else "it is not started"
            raise ExchangeConnectionError(f"{self.id} cannot be reached: {why}")

    async def _guard(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Root of the two tasks that live as long as the venue: if one fails, the venue has failed."""
        try:
            await work()
        except QuarterdeckError as error:
            self._fail(error.message)
        except Exception as error:  # the last place that can tell; the loop would only drop it
            log.exception("a task of the paper venue failed")
            self._fail(f"{type(error).__name__}: {error}")

    def _spawn(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        """Start a task that `close` ends."""
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            # A request's failure belongs to its caller, who may have gone: then nobody else would look at it.
            task.exception()
