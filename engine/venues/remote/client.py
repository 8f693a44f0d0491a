"""A venue in another process, as the engine sees it: the venue contract over a unix socket.

What is certain and what is not follows from the connection alone: a request made while there is none did not leave; a
request that was written and not answered before the connection ended may have taken effect.
"""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any

import msgspec
import structlog

from engine.errors import ConflictError, ExchangeConnectionError, QuarterdeckError, UnknownOutcomeError
from engine.model.market import BookUpdate, FeedStatus
from engine.model.venue import StreamHealth, VenueHealth, VenueStatus
from engine.venues.remote.frames import CHANGES, PROTOCOL, RESULTS, Hello, Kind, Welcome, encode, frame, raised
from engine.venues.remote.line import Line

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from decimal import Decimal
    from pathlib import Path

    from engine.clock import Clock
    from engine.events import VenueEvent
    from engine.model.candle import Candle
    from engine.model.fill import Fill
    from engine.model.ids import AccountId, ClientOrderId, InstrumentId, VenueId
    from engine.model.instrument import Instrument
    from engine.model.margin import MarginSetting
    from engine.model.market import MarketEvent, MarketTrade, Ticker
    from engine.model.venue import (
        Capabilities,
        EventSink,
        FundingPayment,
        MarginMode,
        MarketSink,
        OrderCommand,
        Permissions,
        VenueBalance,
        VenueOrder,
        VenuePosition,
    )
    from engine.venues.remote.frames import Failure

__all__ = ["RemoteVenue"]

log = structlog.get_logger(__name__)

START_S = 20.0
"""Seconds that a start waits for the venue's process."""
AGAIN_S = (0.02, 0.05, 0.1, 0.25, 0.5, 1.0)
"""Pauses between attempts to connect; the last one repeats."""
SILENCE_S = 10.0
"""A connection on which nothing is heard for this long, though the server beats every second, is given up."""

_results = {method: msgspec.msgpack.Decoder(kind) for method, kind in RESULTS.items()}


class RemoteVenue:
    """A venue (`engine.model.venue.Venue`) behind a socket; it reconnects by itself.

    Args:
        path: The server's socket.
        clock: The engine's clock.
        venue: The venue's name.
        capabilities: What it can do; the server's own word replaces it on the first connection.
        release: Version of this program.
        revive: Called, and awaited, before every attempt to connect after one has failed: it may start the server.
        missed: Called when private events were lost for good, as after a restart of the server: whoever keeps the
            books has to ask what happened.
    """

    def __init__(
        self,
        path: Path,
        clock: Clock,
        *,
        venue: VenueId,
        capabilities: Capabilities,
        release: str,
        revive: Callable[[], Awaitable[None]] | None = None,
        missed: Callable[[], None] | None = None,
    ) -> None:
        self.id = venue
        self.capabilities = capabilities
        self.missed = missed
        self.pid = 0
        """Process number of the server; 0 before the first connection."""
        self._path = path
        self._clock = clock
        self._release = release
        self._revive = revive
        self._status = VenueStatus.OFFLINE
        self._reason = "it is not started"
        self._since = clock.now()
        self._events: EventSink | None = None
        self._market: MarketSink | None = None
        self._watched: dict[InstrumentId, None] = {}
        self._line: Line | None = None
        self._welcomed: asyncio.Future[Welcome] | None = None
        self._run = ""
        self._heard = 0
        self._number = 0
        self._pending: dict[int, tuple[str, asyncio.Future[Any]]] = {}
        self._task: asyncio.Task[None] | None = None

    # --- life --------------------------------------------------------------------------------------------------------

    @property
    def status(self) -> VenueStatus:
        """Online while the connection stands and the venue behind it is online."""
        return self._status

    async def start(self, events: EventSink, market: MarketSink) -> None:
        """Connect and begin to deliver; idempotent.

        Raises:
            ExchangeConnectionError: The venue's process cannot be reached.
            ConflictError: It is of a release that this one does not understand.
        """
        if self._task is not None:
            return
        self._events, self._market = events, market
        await self._connect_within(START_S)
        self._task = asyncio.get_running_loop().create_task(self._keep(), name=f"line to {self.id}")

    async def close(self) -> None:
        """Stop delivering and hang up; the venue goes on."""
        self._reason = "it was closed"
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        line, self._line = self._line, None
        if line is not None:
            line.hang_up()
            await line.wait_lost()
        self._lost("it was closed")

    async def _connect_within(self, seconds: float) -> None:
        end = self._clock.monotonic() + int(seconds * 1e9)
        attempt = 0
        while not await self._try_to_connect():
            if self._clock.monotonic() >= end:
                raise ExchangeConnectionError(
                    f"The process of {self.id} cannot be reached at {self._path}: {self._reason}. Run `quarterdeck "
                    "venue sim status`; its log is beside the engine's."
                )
            await self._before_attempt(attempt)
            attempt += 1

    async def _keep(self) -> None:
        """Wait for the end of each connection and make the next one."""
        while True:
            line = self._line
            if line is not None:
                await self._listen(line)
                self._line = None
                self._lost("the connection to its process was lost")
            attempt = 0
            while not await self._try_to_connect():
                await self._before_attempt(attempt)
                attempt += 1

    async def _before_attempt(self, attempt: int) -> None:
        if self._revive is not None:
            try:
                await self._revive()
            except (QuarterdeckError, OSError) as error:
                log.warning("the venue's process cannot be started", problem=str(error))
        await self._clock.sleep(AGAIN_S[min(attempt, len(AGAIN_S) - 1)])

    async def _listen(self, line: Line) -> None:
        """Return when the connection has ended, or nothing was heard on it for too long."""
        heard = -1
        while not line.lost and heard != line.taken:
            heard = line.taken
            await line.wait_lost(SILENCE_S, self._clock)
        if not line.lost:
            log.warning("nothing is heard of the venue's process; the connection is made anew")
            line.hang_up()
            await line.wait_lost()

    async def _try_to_connect(self) -> bool:
        """Connect and greet; False when there is nobody, for now."""
        self._welcomed = asyncio.get_running_loop().create_future()
        line = Line(self._on_frame)
        try:
            await line.dial(self._path)
            hello = Hello(
                protocol=PROTOCOL,
                release=self._release,
                pid=os.getpid(),
                watched=list(self._watched),
                run=self._run,
                heard=self._heard,
            )
            line.write(frame(Kind.HELLO, encode(hello)))
            await asyncio.wait((self._welcomed, line.end), timeout=START_S, return_when=asyncio.FIRST_COMPLETED)
            welcome = self._welcomed.result() if self._welcomed.done() else None
        except OSError as error:
            self._reason = error.strerror or str(error)
            return False
        except ConflictError as error:
            line.hang_up()
            if self._task is None:
                raise
            # Somebody has put another release there while this engine trades: it waits, and says why.
            self._reason = error.message
            return False
        except BaseException:
            line.hang_up()
            raise
        if welcome is None:
            self._reason = "it does not answer"
            line.hang_up()
            return False
        self._line = line
        self._opened(welcome)
        return True

    def _opened(self, welcome: Welcome) -> None:
        self.capabilities, self.pid = welcome.capabilities, welcome.pid
        self._status, self._since = welcome.status, self._clock.now()
        if not welcome.complete:
            log.warning("reports of the venue were lost with its process; it is asked what happened", venue=self.id)
            if self.missed is not None:
                self.missed()

    def _lost(self, why: str) -> None:
        """Nothing is heard any more: say so to everybody who waits."""
        self._status, self._reason, self._since = VenueStatus.OFFLINE, why, self._clock.now()
        pending, self._pending = self._pending, {}
        for method, future in pending.values():
            if not future.done():
                future.set_exception(self._unanswered(method, why))
        if self._market is not None:
            now = self._clock.now()
            for instrument in self._watched:
                self._show(FeedStatus(instrument, now, live=False, reason=f"{self.id}: {why}."))

    def _unanswered(self, method: str, why: str) -> QuarterdeckError:
        if method in CHANGES:
            return UnknownOutcomeError(f"{self.id} did not answer ({why}); ask for the order by its client order id.")
        return ExchangeConnectionError(f"{self.id} did not answer ({why}); ask again.")

    # --- frames ------------------------------------------------------------------------------------------------------

    def _on_frame(self, kind: Kind, content: Any) -> None:
        match kind:
            case Kind.BOOK | Kind.TRADE | Kind.CANDLE | Kind.FEED | Kind.MARK:
                if content.instrument in self._watched:
                    self._show(content)
            case Kind.EVENT:
                number, account, event = content
                self._heard = number
                self._tell(account, event)
            case Kind.REPLY:
                self._answered(*content)
            case Kind.FAILURE:
                self._refused(*content)
            case Kind.WELCOME:
                self._welcome(content)
            case Kind.REFUSAL:
                if self._welcomed is not None and not self._welcomed.done():
                    self._welcomed.set_exception(ConflictError(content.message, error_code="release"))

    def _welcome(self, welcome: Welcome) -> None:
        # At once, because the events that were missed follow in the same breath.
        self._run, self._heard = welcome.run, welcome.heard
        if self._welcomed is not None and not self._welcomed.done():
            self._welcomed.set_result(welcome)

    def _tell(self, account: AccountId, event: VenueEvent) -> None:
        if self._events is not None:
            try:
                self._events(account, event)
            except Exception:  # the line must live; who listens has its own way to tell
                log.exception("a report was not taken")

    def _show(self, event: MarketEvent) -> None:
        if self._market is not None:
            try:
                self._market(event)
            except Exception:  # the line must live; who listens has its own way to tell
                log.exception("a market event was not taken")

    def _answered(self, number: int, result: msgspec.Raw) -> None:
        method, future = self._pending.pop(number, ("", None))
        if future is not None and not future.done():
            future.set_result(_results[method].decode(result))

    def _refused(self, number: int, found: Failure) -> None:
        _, future = self._pending.pop(number, ("", None))
        if future is not None and not future.done():
            future.set_exception(raised(found))

    # --- requests ----------------------------------------------------------------------------------------------------

    async def _request(self, method: str, *arguments: Any) -> Any:
        line = self._line
        if line is None or line.lost or self._status is not VenueStatus.ONLINE:
            raise ExchangeConnectionError(f"{self.id} cannot be reached: {self._reason}; the request did not leave.")
        self._number += 1
        number = self._number
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        data = frame(Kind.REQUEST, encode((number, method, arguments)))
        self._pending[number] = method, future
        line.write(data)
        try:
            return await future
        finally:
            self._pending.pop(number, None)

    async def place(self, command: OrderCommand) -> None:
        """Send an order.

        Raises:
            UnknownOutcomeError: No answer; ask with `order` and never send again.
            ExchangeConnectionError: The order certainly did not leave.
        """
        await self._request("place", command)

    async def cancel(self, account: AccountId, client_id: ClientOrderId) -> None:
        """Ask to cancel. Raises as `place`."""
        await self._request("cancel", account, client_id)

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
        await self._request("amend", account, client_id, quantity, price, stop_price)

    async def instruments(self) -> Sequence[Instrument]:
        """All tradable instruments. Raises ExchangeConnectionError."""
        found: list[Instrument] = await self._request("instruments")
        return found

    async def balances(self, account: AccountId) -> Sequence[VenueBalance]:
        """All non-zero balances of an account. Raises NotFoundError, ExchangeConnectionError."""
        found: list[VenueBalance] = await self._request("balances", account)
        return found

    async def order(self, account: AccountId, client_id: ClientOrderId) -> VenueOrder | None:
        """Look an order up by our id. Raises ExchangeConnectionError."""
        found: VenueOrder | None = await self._request("order", account, client_id)
        return found

    async def open_orders(self, account: AccountId) -> Sequence[VenueOrder]:
        """All working orders of an account. Raises ExchangeConnectionError."""
        found: list[VenueOrder] = await self._request("open_orders", account)
        return found

    async def fills_since(self, account: AccountId, cursor: str) -> tuple[Sequence[Fill], str]:
        """Executions after a cursor, at most a page, and the cursor for the next. Raises as the venue does."""
        found: tuple[list[Fill], str] = await self._request("fills_since", account, cursor)
        return found

    async def watch(self, instruments: Sequence[InstrumentId]) -> None:
        """Deliver these too, beginning with a whole book each. Raises NotFoundError, ExchangeConnectionError."""
        fresh = [instrument for instrument in instruments if instrument not in self._watched]
        self._watched.update(dict.fromkeys(fresh))
        try:
            await self._request("watch", list(instruments))
        except BaseException:
            for instrument in fresh:
                self._watched.pop(instrument, None)
            raise

    async def unwatch(self, instruments: Sequence[InstrumentId]) -> None:
        """Stop delivering these."""
        for instrument in instruments:
            self._watched.pop(instrument, None)
        await self._request("unwatch", list(instruments))

    async def book(self, instrument: InstrumentId, depth: int) -> BookUpdate:
        """The present book. Raises NotFoundError, ExchangeConnectionError."""
        found: BookUpdate = await self._request("book", instrument, depth)
        return found

    async def candles(
        self, instrument: InstrumentId, timeframe: str, *, end: int | None = None, limit: int = 500
    ) -> Sequence[Candle]:
        """The newest closed candles before `end`. Raises NotFoundError, ValidationError, ExchangeConnectionError."""
        found: list[Candle] = await self._request("candles", instrument, timeframe, end, limit)
        return found

    async def server_time(self) -> int:
        """The venue's clock. Raises ExchangeConnectionError."""
        found: int = await self._request("server_time")
        return found

    async def trades(self, instrument: InstrumentId, limit: int = 100) -> Sequence[MarketTrade]:
        """The newest public trades. Raises NotFoundError, ExchangeConnectionError."""
        found: list[MarketTrade] = await self._request("trades", instrument, limit)
        return found

    async def tickers(self, instruments: Sequence[InstrumentId] | None = None) -> Sequence[Ticker]:
        """The last 24 hours of these instruments. Raises NotFoundError, ExchangeConnectionError."""
        wanted = None if instruments is None else list(instruments)
        found: list[Ticker] = await self._request("tickers", wanted)
        return found

    async def permissions(self, account: AccountId) -> Permissions:
        """What may be done with the account. Raises NotFoundError, ExchangeConnectionError."""
        found: Permissions = await self._request("permissions", account)
        return found

    async def positions(self, account: AccountId) -> Sequence[VenuePosition]:
        """All open positions. Raises NotFoundError, ExchangeConnectionError."""
        found: list[VenuePosition] = await self._request("positions", account)
        return found

    async def margin(self, account: AccountId, instrument: InstrumentId, mode: MarginMode) -> MarginSetting:
        """Leverage and margin mode of a perpetual. Raises ValidationError, and as `positions`."""
        found: MarginSetting = await self._request("margin", account, instrument, mode)
        return found

    async def set_margin(
        self, account: AccountId, instrument: InstrumentId, leverage: Decimal, mode: MarginMode
    ) -> None:
        """Set leverage and margin mode. Raises ValidationError, and as `place`."""
        await self._request("set_margin", account, instrument, leverage, mode)

    async def funding_since(self, account: AccountId, cursor: str) -> tuple[Sequence[FundingPayment], str]:
        """Settled funding after a cursor. Raises NotFoundError, ExchangeConnectionError."""
        found: tuple[list[FundingPayment], str] = await self._request("funding_since", account, cursor)
        return found

    async def countdown(self, account: AccountId, seconds: float) -> None:
        """Feed the dead-man's switch. Raises ValidationError, and as `place`."""
        await self._request("countdown", account, seconds)

    def health(self) -> VenueHealth:
        """How the way to the venue's process is."""
        up = self._status is VenueStatus.ONLINE
        stream = StreamHealth(name="process", up=up, since=self._since, reason="" if up else self._reason)
        return VenueHealth(streams=(stream,))
