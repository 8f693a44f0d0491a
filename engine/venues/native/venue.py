"""The shell that adapters of real exchanges share: life cycle, catalogue, markets, requests, reports, health.

An adapter fills in what its venue does differently: the methods of `Seams`. It gives an account's connection
(`PrivateStream`) and the markets' connections (`MarketFeed`), answers requests with model objects, and hands every
private event to `AccountLine`. Everything else is here:

- Status is ONLINE only while every account's private stream stands and the markets can be heard. The loss of a private
  stream makes the venue OFFLINE at once; when it is back, `missed` is called before ONLINE shows, so that whoever
  keeps the books compares them before anything new is sent.
- A request that changes something is carried to its end even when the caller gives up, within the venue's timeout:
  what left has its outcome reported, and nothing leaves later than that.
- A definite refusal of an order becomes a report (OrderRejected, OrderCancelRejected); an error that proves nothing is
  raised.
- A private stream's life is proven by holding answers against what it told (`Witness`); one that fails is renewed.
"""

from __future__ import annotations

import asyncio
from collections import deque
from functools import partial
from statistics import median
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec
import structlog

from engine import events as ev
from engine.errors import (
    AuthenticationError,
    AuthorizationError,
    ExchangeConnectionError,
    ExchangeInsufficientFundsError,
    NotFoundError,
    NotVisibleYetError,
    OrderRejectionError,
    QuarterdeckError,
    UnknownOutcomeError,
    ValidationError,
)
from engine.model.candle import timeframe_ns
from engine.model.venue import VenueHealth, VenueStatus
from engine.venues.native.catalogue import Catalogue
from engine.venues.native.line import AccountLine
from engine.venues.native.maintenance import Maintenance
from engine.venues.native.proof import prove
from engine.venues.native.seams import Seams

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
    from decimal import Decimal

    from engine.clock import Clock
    from engine.events import VenueEvent
    from engine.model.candle import Candle
    from engine.model.credentials import CredentialSource
    from engine.model.ids import AccountId, ClientOrderId, InstrumentId
    from engine.model.instrument import Instrument
    from engine.model.market import MarketEvent
    from engine.model.venue import (
        Capabilities,
        EventSink,
        MarketSink,
        OrderCommand,
        VenueOrder,
    )
    from engine.venues.native.line import MarketFeed
    from engine.venues.native.options import VenueOptions
    from engine.venues.native.request import Endpoint, Params, Priority, Transport

__all__ = ["NativeVenue", "visible_after"]

log = structlog.get_logger(__name__)


REFUSALS = (
    OrderRejectionError,
    ExchangeInsufficientFundsError,
    ValidationError,
    NotFoundError,
    AuthenticationError,
    AuthorizationError,
)
"""Errors that say for certain that the venue refused, or that nothing was sent."""
LISTED_S = 600.0
"""Age from which the list of instruments is fetched anew when somebody asks for it."""
LEARNT_S = 10.0
"""Age up to which the list of instruments is not fetched anew for a symbol that it does not hold."""
BACK_S = 5.0
"""Longest that `start` waits for a venue that is already connecting again; real time."""
LATENCIES = 64


def visible_after(capabilities: Capabilities, timeout_s: float) -> Capabilities:
    """Capabilities with the time that a request may take added to the venue's own delay.

    Args:
        capabilities: As they are for a request that reaches the venue at once.
        timeout_s: Longest time one request may take, the wait for room in the limits included, in seconds.
    """
    return msgspec.structs.replace(capabilities, visibility_delay_s=capabilities.visibility_delay_s + timeout_s)


class NativeVenue(Seams):
    """Base of the adapters (`engine.model.venue.Venue`).

    Args:
        options: The venue as it is configured.
        credentials: Where the keys of its accounts are.
        clock: The engine's clock.
        capabilities: What it can do.
        timeframes: Names of the candles it has, such as `1m`.
        missed: Called when private events may have been lost: whoever keeps the books has to compare them.

    Attributes:
        maintained_codes: By which the venue says that it is being maintained.
    """

    leverage_moved: Callable[[AccountId, InstrumentId, Decimal], None] | None = None
    """Hears that somebody has changed an instrument's leverage at the venue, where it tells."""
    maintained_codes: ClassVar[frozenset[str]] = frozenset()

    def __init__(
        self,
        options: VenueOptions,
        credentials: CredentialSource,
        clock: Clock,
        *,
        capabilities: Capabilities,
        timeframes: frozenset[str],
        missed: Callable[[], None] | None = None,
    ) -> None:
        self.id = options.id
        self.options = options
        self.capabilities = capabilities
        self.clock = clock
        self.missed = missed
        self.catalogue = Catalogue(options.id)
        self.lines: dict[AccountId, AccountLine] = {}
        self._credentials = credentials
        self._timeframes = timeframes
        self._events: EventSink | None = None
        self._market: MarketSink | None = None
        self._public: Transport | None = None
        self._feed: MarketFeed | None = None
        self._watched: dict[InstrumentId, None] = {}
        self._maintenance = Maintenance(options.id, self.maintained_codes, self._is_well, self.public_moved, clock)
        self._reason = "it is not started"
        self._starting = asyncio.Lock()
        self._back = asyncio.Event()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._latencies: deque[float] = deque(maxlen=LATENCIES)

    # --- life --------------------------------------------------------------------------------------------------------

    @property
    def status(self) -> VenueStatus:
        """Whether requests can be expected to succeed."""
        if self._feed is None:
            return VenueStatus.OFFLINE
        if self._maintenance.on:
            return VenueStatus.MAINTENANCE
        well = self._feed.up and all(line.up for line in self.lines.values())
        return VenueStatus.ONLINE if well else VenueStatus.OFFLINE

    async def start(self, events: EventSink, market: MarketSink) -> None:
        """Connect and begin to deliver; where that has happened already, wait a moment for what is being renewed.

        Raises:
            ExchangeConnectionError: The venue cannot be reached.
            AuthenticationError: An account has no key, the keys are locked, or the venue does not take the key.
        """
        async with self._starting:
            if self._feed is not None:
                await self._come_back()
                return
            self._events, self._market = events, market
            try:
                await self._open()
            except BaseException:
                await self._release()
                raise
        log.info("venue connected", venue=self.id, instruments=len(self.catalogue), accounts=list(self.lines))

    async def close(self) -> None:
        """Stop delivering and release everything; working orders stay at the venue. It may be started again."""
        async with self._starting:
            await self._release()

    async def _open(self) -> None:
        self._public = self._transport(None, None)
        for account in self.options.accounts:
            credentials = self._credentials.credentials(self.id, account)
            if credentials is None:
                raise AuthenticationError(
                    f"There is no key for the account {account} at {self.id}; add it with `quarterdeck keys add`."
                )
            self.lines[account] = AccountLine(account, self._transport(account, credentials), self)
        await self._prepared()
        await self._refresh()
        for line in self.lines.values():
            await self._opened(line)
            line.stream = self._private_stream(line)
            await line.stream.open()
        self._feed = self._market_feed()
        if self._watched:
            await self._feed.watch([self.catalogue.get(i) for i in self._watched if i in self.catalogue])
        self._reason = ""
        for line in self.lines.values():
            self._keep(prove(self, line), f"proof of {self.id} {line.account}")

    async def _release(self) -> None:
        self._events = self._market = None
        self._reason = "it was closed"
        feed, self._feed = self._feed, None
        lines, self.lines = self.lines, {}
        public, self._public = self._public, None
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        ends: list[Coroutine[Any, Any, None]] = [] if feed is None else [feed.close()]
        ends += [line.stream.close() for line in lines.values() if line.stream is not None]
        ends += [self._end_transport(line.transport) for line in lines.values()]
        ends += [] if public is None else [self._end_transport(public)]
        for problem in await asyncio.gather(*ends, return_exceptions=True):
            if isinstance(problem, Exception):
                log.warning("a connection did not end in order", venue=self.id, problem=str(problem))

    async def _come_back(self) -> None:
        if self.status is VenueStatus.ONLINE:
            return
        self._back.clear()
        try:
            async with asyncio.timeout(BACK_S):
                while self.status is VenueStatus.OFFLINE:
                    await self._back.wait()
                    self._back.clear()
        except TimeoutError:
            raise ExchangeConnectionError(f"{self.id} cannot be reached: {self._reason or 'it is silent'}.") from None

    def private_moved(self, line: AccountLine, *, reason: str = "") -> None:
        """A private stream came up, or was lost for a reason."""
        if reason:
            self._reason = f"the private stream of {line.account}: {reason}"
            log.warning("private stream lost", venue=self.id, account=line.account, reason=reason)
            return
        self._back.set()

    def public_moved(self) -> None:
        """The markets' connections came up or were lost; the feed tells which."""
        self._back.set()

    def ask_to_compare(self) -> None:
        """Private events may have been lost: whoever keeps the books compares them."""
        if self.missed is not None:
            self.missed()

    def venue_now(self) -> int:
        """The venue's clock in UTC nanoseconds, as far as its offset is known."""
        return self.clock.now() + int((self._clock_offset_ms() or 0.0) * 1e6)

    # --- deliveries --------------------------------------------------------------------------------------------------

    def tell(self, account: AccountId, event: VenueEvent) -> None:
        """Hand a private event on; nothing is delivered while the venue is closed."""
        if self._events is not None:
            self._events(account, event)

    def show(self, event: MarketEvent) -> None:
        """Hand a market event of a watched instrument on."""
        if self._market is not None and event.instrument in self._watched:
            try:
                self._market(event)
            except Exception:  # the connection must live; who listens has its own way to tell
                log.exception("a market event was not taken")

    # --- markets -----------------------------------------------------------------------------------------------------

    async def instruments(self) -> Sequence[Instrument]:
        """All tradable instruments with their rules, as they were at most ten minutes ago."""
        self._need_open()
        if self.clock.now() - self.catalogue.loaded > LISTED_S * 1e9:
            await self._refresh()
        return list(self.catalogue)

    async def _refresh(self) -> None:
        self.catalogue.fill(await self._listings(), self.clock.now())

    async def learn(self, symbols: Iterable[str]) -> None:
        """Make sure that rows about these symbols are understood, so that none of them is passed over.

        Raises:
            NotVisibleYetError: One of them is not listed, not even in a new list; ask again.
        """
        wanted = set(symbols)
        missing = self._not_understood(wanted)
        if missing and self.clock.now() - self.catalogue.loaded > LEARNT_S * 1e9:
            await self._refresh()
            missing = self._not_understood(wanted)
        if missing:
            # No longer listed at all: the name says what it was, where names do.
            self.catalogue.remember((s, found) for s in missing if (found := self._named(s)) is not None)
            missing = self._not_understood(wanted)
        if missing:
            raise NotVisibleYetError(
                f"{self.id} tells of {', '.join(missing[:3])}, which it does not list; it is asked again.",
                error_code="instrument_unknown",
            )

    def strange(self, symbol: str) -> None:
        """The private stream tells of a symbol that is not understood: comparing the books learns it."""
        if not self.catalogue.is_foreign(symbol):
            self.ask_to_compare()

    def _not_understood(self, symbols: set[str]) -> list[str]:
        return sorted(s for s in symbols if self.catalogue.by_symbol(s) is None and not self.catalogue.is_foreign(s))

    async def watch(self, instruments: Sequence[InstrumentId]) -> None:
        """Deliver books, trades and candles of these too. Raises NotFoundError, ExchangeConnectionError."""
        wanted = [self.catalogue.get(instrument) for instrument in dict.fromkeys(instruments)]
        feed = self._need_open()
        fresh = [instrument for instrument in wanted if instrument.id not in self._watched]
        self._watched.update((instrument.id, None) for instrument in fresh)
        try:
            await feed.watch(wanted)
        except BaseException:
            for instrument in fresh:
                self._watched.pop(instrument.id, None)
            raise

    async def unwatch(self, instruments: Sequence[InstrumentId]) -> None:
        """Stop delivering these."""
        leaving = [i for i in dict.fromkeys(instruments) if i in self._watched]
        for instrument in leaving:
            del self._watched[instrument]
        if self._feed is not None and leaving:
            await self._feed.unwatch([self.catalogue.get(i) for i in leaving if i in self.catalogue])

    async def candles(
        self, instrument: InstrumentId, timeframe: str, *, end: int | None = None, limit: int = 500
    ) -> Sequence[Candle]:
        """The newest closed candles before `end`, oldest first; as many requests as that takes.

        Raises:
            NotFoundError: The venue does not trade the instrument.
            ValidationError: It has no candles of that length.
            ExchangeConnectionError: It cannot be reached.
        """
        self._need_open()
        found = self.catalogue.get(instrument)
        if timeframe not in self._timeframes:
            known = ", ".join(sorted(self._timeframes, key=timeframe_ns))
            raise ValidationError(f"{self.id} has no candles of {timeframe}; it has {known}.")
        now = self.venue_now()
        until = now if end is None else min(end, now)
        return await _paged(partial(self._candle_page, found, timeframe), timeframe_ns(timeframe), until, limit)

    # --- orders ------------------------------------------------------------------------------------------------------

    async def place(self, command: OrderCommand) -> None:
        """Send an order; what becomes of it is reported. Raises UnknownOutcomeError, ExchangeConnectionError."""
        line = self.line(command.account)
        await self._to_the_end(lambda: self._place(line, command), f"place {command.client_id}")

    async def cancel(self, account: AccountId, client_id: ClientOrderId) -> None:
        """Ask to cancel. Raises as `place`."""
        line = self.line(account)
        await self._to_the_end(
            lambda: self._changed(line, client_id, self._end_order(line, client_id)), f"cancel {client_id}"
        )

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
        line = self.line(account)
        await self._to_the_end(
            lambda: self._changed(line, client_id, self._change_order(line, client_id, quantity, price, stop_price)),
            f"amend {client_id}",
        )

    async def open_orders(self, account: AccountId) -> Sequence[VenueOrder]:
        """All working orders of an account, ours or not. Raises ExchangeConnectionError."""
        line = self.line(account)
        asked = self.venue_now()
        orders = await self._open_orders(line)
        line.witness.listed(orders, asked, self.clock.now())
        return list(orders)

    async def order(self, account: AccountId, client_id: ClientOrderId) -> VenueOrder | None:
        """Look an order up by our id. Raises ExchangeConnectionError."""
        line = self.line(account)
        found = await self._find_order(line, client_id)
        if found is not None:
            line.witness.answered(client_id, found.updated, self.clock.now())
        return found

    async def _place(self, line: AccountLine, command: OrderCommand) -> None:
        try:
            events = await self._send(line, self.catalogue.get(command.instrument), command)
        except REFUSALS as error:
            events = [
                ev.OrderRejected(
                    client_id=command.client_id,
                    code=error.error_code or error.kind,
                    reason=error.message,
                    ts=self.clock.now(),
                )
            ]
        line.answered(events)

    async def _changed(
        self, line: AccountLine, client_id: ClientOrderId, change: Coroutine[Any, Any, Sequence[VenueEvent]]
    ) -> None:
        try:
            events = await change
        except (AuthenticationError, AuthorizationError):
            # Said about the key, not about the order: it may still work, and is asked about again.
            raise
        except REFUSALS as error:
            code, now = error.error_code or error.kind, self.clock.now()
            events = [ev.OrderCancelRejected(client_id=client_id, code=code, reason=error.message, ts=now)]
        line.answered(events)

    async def _to_the_end(self, work: Callable[[], Coroutine[Any, Any, None]], name: str) -> None:
        """Carry a request to its end within the timeout, whether or not the caller waits for it."""

        async def in_time() -> None:
            try:
                # The margin lets the transport say itself whether the request had left.
                async with asyncio.timeout(self.options.timeout_s + 1.0):
                    await work()
            except TimeoutError:
                raise UnknownOutcomeError(f"{self.id} did not answer in time; ask for the order by its id.") from None

        await asyncio.shield(self._keep(in_time(), name))

    def _keep(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            expected = isinstance(error, QuarterdeckError | TimeoutError)
            log.info("a request failed", task=task.get_name(), problem=str(error), exc_info=None if expected else error)

    # --- requests ----------------------------------------------------------------------------------------------------

    def line(self, account: AccountId) -> AccountLine:
        """The way of an account's requests.

        Raises:
            ExchangeConnectionError: The venue is not started.
            NotFoundError: It has no such account.
        """
        self._need_open()
        line = self.lines.get(account)
        if line is None:
            raise NotFoundError(f"{self.id} has no account {account}; it has {', '.join(self.lines) or 'none'}.")
        return line

    async def ask(
        self,
        line: AccountLine | None,
        endpoint: Endpoint,
        params: Params | None = None,
        *,
        priority: Priority | None = None,
        cost: dict[str, float] | None = None,
    ) -> bytes:
        """Send a request of an account, or a public one, and give the body of the answer. Raises as `Transport.call`.

        Also raises ExchangeConnectionError while the venue is closed.
        """
        transport = self._public if line is None else line.transport
        if transport is None:
            raise self._not_open()
        began = self.clock.monotonic()
        try:
            body = await transport.call(endpoint, params, priority=priority, cost=cost)
        except QuarterdeckError as error:
            if self._feed is not None and self._maintenance.begins(error):
                self._keep(self._maintenance.look(), f"maintenance of {self.id}")
            raise
        self._latencies.append((self.clock.monotonic() - began) / 1e6)
        return body

    def _need_open(self) -> MarketFeed:
        if self._feed is None:
            raise self._not_open()
        return self._feed

    def _not_open(self) -> ExchangeConnectionError:
        return ExchangeConnectionError(f"{self.id} cannot be reached: {self._reason}; the request did not leave.")

    # --- health ------------------------------------------------------------------------------------------------------

    def health(self) -> VenueHealth:
        """How the way to the venue is."""
        streams = [] if self._feed is None else list(self._feed.health())
        streams += [line.stream.health() for line in self.lines.values() if line.stream is not None]
        return VenueHealth(
            streams=tuple(streams),
            latency_ms=median(self._latencies) if self._latencies else None,
            clock_offset_ms=self._clock_offset_ms(),
            limits=self._limits(),
            paused_until=self._paused_until(),
        )


async def _paged(
    page_before: Callable[[int, int], Awaitable[Sequence[Candle]]], length: int, end: int, limit: int
) -> list[Candle]:
    """Closed candles of a length before a time, oldest first, page by page."""
    candles: list[Candle] = []
    while len(candles) < limit:
        page = [candle for candle in await page_before(end, limit - len(candles)) if candle.ts + length <= end]
        if not page:
            break
        candles[:0] = page
        end = page[0].ts
    return candles[-limit:] if limit > 0 else []
