"""One websocket connection that comes back: made, logged in, subscribed, watched, and made anew when it ends.

Its life in one turn: wait for the backoff and the venue's limit of connections; connect; log in; subscribe everything
wanted; tell `on_up` when all of it is confirmed; deliver; tell `on_down` when it ends, whatever the reason.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from typing import TYPE_CHECKING

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException
from websockets.protocol import State

from engine.errors import AuthenticationError, ExchangeConnectionError, QuarterdeckError, UnknownOutcomeError
from engine.logs import get_logger
from engine.model.venue import StreamHealth
from engine.venue_settings import is_loopback
from engine.venues.native.address import check_address
from engine.venues.native.pace import Backoff, Pace
from engine.venues.native.subscriptions import Subscriptions

if TYPE_CHECKING:
    import random
    import ssl
    from collections.abc import Awaitable, Callable, Iterable

    from engine.clock import Clock
    from engine.venues.limits.connections import Connections
    from engine.venues.native.stream_table import Frames, StreamTable

__all__ = ["Listener", "StreamConnection"]

log = get_logger(__name__)

NS = 1_000_000_000
BURST = 32
"""Messages read before others on the loop get their turn."""
SLICE_NS = 2_000_000
"""Time spent on messages before others on the loop get their turn."""
TICK_S = 1.0
"""How often silence, pings and deadlines are looked at."""
STEADY_NS = 30 * NS
"""A connection that was up this long begins with short pauses again."""
REFUSED_S = 60.0
"""Pause after the venue has refused connections for now and did not say for how long."""
LATE = 16
"""Frames kept by the library before it stops reading from the socket; what lies there is bounded as well."""

# At debug level the library would write every frame down, keys and signatures included.
_wire_log = logging.getLogger(f"{__name__}.wire")
_wire_log.setLevel(logging.WARNING)


class Listener:
    """Who is told of a connection's life: plain functions, called on the loop, that return at once."""

    __slots__ = ("on_down", "on_frame", "on_up")

    def __init__(
        self,
        on_frame: Callable[[StreamConnection, bytes, int], None],
        on_up: Callable[[StreamConnection], None],
        on_down: Callable[[StreamConnection, str], None],
    ) -> None:
        self.on_frame = on_frame
        self.on_up = on_up
        self.on_down = on_down


class StreamConnection:
    """One connection of a `StreamPool`; the object stays the same when the connection is made anew.

    Args:
        table: What kind of stream it is.
        name: What it is called in health and logs.
        listener: Told of frames, ups and downs.
        clock: Time and waiting.
        chance: Draws the jitter.
        limit: What the venue allows of connections; None for no limit.
        trust: Gives the certificate authorities, once an encrypted connection is made.
        on_renew: Called when the planned renewal is due, instead of ending the connection.
    """

    def __init__(
        self,
        table: StreamTable,
        name: str,
        listener: Listener,
        *,
        clock: Clock,
        chance: random.Random,
        limit: Connections | None = None,
        trust: Callable[[], Awaitable[ssl.SSLContext]],
        on_renew: Callable[[StreamConnection], bool] = lambda _: False,
    ) -> None:
        self.table = table
        self.name = name
        self.up = False
        """Open, logged in and everything wanted confirmed."""
        self.opened = 0
        """Counts connections made; tells one from the next."""
        self.retired = False
        """True when another connection carries its channels; it does not come back."""
        self.heard = 0
        """UTC nanoseconds (engine clock) of the last message."""
        self.messages = 0
        self.reason = "not connected yet"
        """Why it is down."""
        self._listener = listener
        self._clock = clock
        self._limit = limit
        self._trust = trust
        self._on_renew = on_renew
        self._backoff = Backoff(chance, first=table.backoff_s, longest=table.backoff_most_s)
        self._chance = chance
        self._pace = Pace(table.messages_per_second, clock)
        self._ws: ClientConnection | None = None
        self._over: asyncio.Future[str] | None = None
        self._since = clock.now()
        self._pause = 0.0
        self._changed = asyncio.Event()
        self._began = self._spoke = self._up_since = 0
        self._renew_at = 0
        self._ready = False
        self._subscriptions = Subscriptions(table.standing)
        self._answers: dict[str, asyncio.Future[None]] = {}

    # ------------------------------------------------------------------------------------------ what the adapter calls

    @property
    def channels(self) -> dict[str, None]:
        """What is wanted on it, standing channels included, in the order of asking."""
        return self._subscriptions.wanted

    def acknowledge(self, channels: Iterable[str] = (), *, number: int | None = None) -> None:
        """The venue has confirmed these channels, or those of the batch with this number; others are ignored."""
        self._subscriptions.acknowledge(channels, number)
        self._come_up()

    def reject(self, error: QuarterdeckError, channels: Iterable[str] = (), *, number: int | None = None) -> None:
        """The venue has refused channels: they are wanted no more, and whoever waits for them gets the error."""
        gone = self._subscriptions.reject(error, channels, number)
        log.warning("subscription refused", connection=self.name, channels=sorted(gone)[:20], why=error.message)
        self._come_up()

    async def answer(self, key: str) -> None:
        """Wait until `answered` is called with this key, for logins; raises what it was called with.

        Raises:
            ExchangeConnectionError: The connection ended before.
        """
        future = self._answers[key] = asyncio.get_running_loop().create_future()
        try:
            await future
        finally:
            self._answers.pop(key, None)

    def answered(self, key: str, error: QuarterdeckError | None = None) -> None:
        """Let `answer` return, or raise; nothing happens when nobody waits."""
        future = self._answers.get(key)
        if future is None or future.done():
            return
        if error is None:
            future.set_result(None)
        else:
            future.set_exception(error)

    async def send(self, frame: bytes, *, opened: int | None = None) -> None:
        """Send a text message within the table's pace.

        Args:
            frame: Its content in UTF-8.
            opened: Only on the connection with this `opened`, for messages that belong to one login.

        Raises:
            ExchangeConnectionError: It certainly did not leave.
            UnknownOutcomeError: It was given to the system, and the connection ended before it was gone.
        """
        await self._pace.turn()
        ws = self._ws
        if ws is None or ws.state is not State.OPEN or (opened is not None and opened != self.opened):
            raise ExchangeConnectionError(f"{self.name} is not connected ({self.reason}); nothing was sent.")
        try:
            # Open, and no fragments are ever sent: the library writes before it waits for anything.
            await ws.send(frame, text=True)
        except ConnectionClosed as error:
            raise UnknownOutcomeError(f"{self.name} ended while a message left: {_told(error)}.") from error
        self._spoke = self._clock.monotonic()

    def drop(self, reason: str, *, pause_s: float | None = None) -> None:
        """End the connection and make it anew.

        Args:
            reason: A few words for people.
            pause_s: Seconds to wait before; None for the backoff's.
        """
        if pause_s is not None:
            self._pause = pause_s
        if self._over is not None and not self._over.done():
            self._over.set_result(reason)

    def renew(self) -> None:
        """Bring a successor up before this connection goes, as in a planned renewal: the venue is about to end it."""
        self._renew_at = self._clock.monotonic()

    @property
    def is_open(self) -> bool:
        """Whether messages can be sent; true before `up`."""
        return self._ws is not None and self._ws.state is State.OPEN

    def health(self) -> StreamHealth:
        """How it is."""
        return StreamHealth(
            name=self.name,
            up=self.up,
            since=self._since,
            heard=self.heard,
            messages=self.messages,
            reconnects=max(0, self.opened - 1),
            reason="" if self.up else self.reason,
        )

    # --------------------------------------------------------------------------------------------- what the pool calls

    def want(self, channels: Iterable[str]) -> None:
        """Subscribe these too, now or when the connection is open."""
        self._subscriptions.want(channels)
        self._changed.set()

    def forget(self, channels: Iterable[str]) -> None:
        """Subscribe these no more."""
        self._subscriptions.forget(channels)
        self._changed.set()

    def again(self, channels: Iterable[str]) -> None:
        """Unsubscribe and subscribe anew, for channels that begin with a snapshot."""
        self._subscriptions.again(channels)
        self._changed.set()

    async def confirmed(self, channels: Iterable[str]) -> None:
        """Wait until the venue has confirmed these; raises what it refused one with."""
        await self._subscriptions.confirmed(channels)

    async def run(self) -> None:
        """Live until cancelled or retired."""
        try:
            while not self.retired:
                reason, error = await self._live()
                if self.retired:
                    break
                pause = self._pause_after(error)
                log.info("stream down", connection=self.name, why=reason, pause_s=round(pause, 2))
                await self._clock.sleep(pause)
        finally:
            self._note_down("closed" if not self.retired else self.reason)

    def retire(self, reason: str) -> None:
        """End for good, because another connection carries on or nothing is wanted any more."""
        self.retired = True
        self.drop(reason)

    # ------------------------------------------------------------------------------------------------- one life of it

    async def _live(self) -> tuple[str, BaseException | None]:
        """Connect and deliver until the end; gives the reason, and the error where there was one."""
        try:
            ws = await self._open()
        except (OSError, TimeoutError, WebSocketException, QuarterdeckError) as error:
            self._note_down(_told(error))
            return self.reason, error
        loop = asyncio.get_running_loop()
        over = self._over = loop.create_future()
        failed: list[BaseException] = []

        def ended(task: asyncio.Task[None]) -> None:
            if task.cancelled() or over.done():
                return
            cause = task.exception()
            if cause is not None:
                failed.append(cause)
            over.set_result(_told(cause) if cause is not None else "it ended")

        self._begin(ws)
        works = {"read": self._read(ws), "subscribe": self._subscribe(), "watch": self._watch()}
        tasks = [loop.create_task(work, name=f"{self.name}: {name}") for name, work in works.items()]
        for task in tasks:
            task.add_done_callback(ended)
        reason = "closed"
        try:
            reason = await over
        finally:
            self._end(reason)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await _hang_up(ws, gently=self.retired)
        cause = failed[0] if failed else None
        if cause is not None and not isinstance(cause, QuarterdeckError | ConnectionClosed | OSError):
            log.error("stream failed", connection=self.name, exc_info=cause)
        return reason, cause

    async def _open(self) -> ClientConnection:
        self._over = None
        if self._limit is not None:
            await self._limit.turn()
        address = check_address(await self.table.address())
        table = self.table
        return await connect(
            address,
            ssl=await self._trust() if address.lower().startswith("wss") else None,
            # A proxy of the surroundings would carry messages away from this machine and back.
            proxy=None if is_loopback(address) else True,
            compression="deflate" if table.compression else None,
            user_agent_header="Quarterdeck",
            open_timeout=table.open_s,
            ping_interval=table.ping.protocol_s,
            ping_timeout=table.ping.protocol_timeout_s,
            close_timeout=1.0,
            max_size=table.max_bytes,
            max_queue=LATE,
            logger=_wire_log,
        )

    def _begin(self, ws: ClientConnection) -> None:
        self._ws = ws
        self.opened += 1
        now = self._clock.monotonic()
        self._began = self._spoke = now
        self.heard = self._clock.now()
        if self.opened == 1:
            self.reason = "subscribing"
        renew = self.table.renew_s
        # Drawn a little early, so that connections made together are not renewed together.
        self._renew_at = 0 if renew is None else now + int(renew * self._chance.uniform(0.9, 1.0) * NS)

    def _end(self, reason: str) -> None:
        self._ws = None
        self._ready = False
        self._subscriptions.reset()
        for future in self._answers.values():
            if not future.done():
                future.set_exception(ExchangeConnectionError(f"{self.name} ended: {reason}."))
        if self.up and self._clock.monotonic() - self._up_since >= STEADY_NS:
            self._backoff.reset()
        self._note_down(reason)

    def _note_down(self, reason: str) -> None:
        self.reason = reason
        if self.up:
            self.up = False
            self._since = self._clock.now()
            self._listener.on_down(self, reason)

    def _pause_after(self, error: BaseException | None) -> float:
        asked, self._pause = self._pause, 0.0
        pause = self._backoff.pause()
        if asked:
            return asked
        if isinstance(error, InvalidStatus) and error.response.status_code in (403, 418, 429):
            told = error.response.headers.get("Retry-After", "")
            return max(pause, float(told) if told.isdecimal() else REFUSED_S)
        # A key that is refused is refused a moment later as well, and asking often gets addresses banned.
        return self.table.backoff_most_s if isinstance(error, AuthenticationError) else pause

    async def _read(self, ws: ClientConnection) -> None:
        clock, tell, pong = self._clock, self._listener.on_frame, self.table.ping.pong
        count, since = 0, clock.monotonic()
        while True:
            data = await ws.recv(decode=False)
            now = clock.now()
            self.heard = now
            self.messages += 1
            if data != pong:
                tell(self, data, now)
            count += 1
            if count >= BURST or clock.monotonic() - since > SLICE_NS:
                # Messages that wait already are read without a pause: others on the loop want to live too.
                await asyncio.sleep(0)
                count, since = 0, clock.monotonic()

    async def _subscribe(self) -> None:
        """Log in, then keep what is subscribed equal to what is wanted."""
        if self.table.login is not None:
            await self.table.login(self)
        self._ready = True
        self._began = 0
        while True:
            self._changed.clear()
            await self._send_batches(self.table.unsubscribe, self._subscriptions.to_leave(), asked=False)
            await self._send_batches(self.table.subscribe, self._subscriptions.to_ask(), asked=True)
            self._come_up()
            await self._changed.wait()

    async def _send_batches(self, frames: Frames | None, channels: list[str], *, asked: bool) -> None:
        subscriptions, confirms = self._subscriptions, self.table.acknowledged and frames is not None
        for start in range(0, len(channels), self.table.batch):
            batch = channels[start : start + self.table.batch]
            number = subscriptions.next_number()
            if asked:
                subscriptions.ask(number, batch, self._deadline() if confirms else None)
            if frames is not None:
                made = frames(number, batch)
                for frame in await made if inspect.isawaitable(made) else made:
                    await self.send(frame)
            if asked and not confirms:
                self.acknowledge(batch)

    def _deadline(self) -> int:
        return self._clock.monotonic() + int(self.table.acknowledge_s * NS)

    def _come_up(self) -> None:
        if self.up or not self._ready or self._ws is None or not self._subscriptions.complete:
            return
        self.up = True
        self.reason = ""
        self._since = self._clock.now()
        self._up_since = self._clock.monotonic()
        self._listener.on_up(self)

    async def _watch(self) -> None:
        while True:
            await self._clock.sleep(TICK_S)
            now = self._clock.monotonic()
            why = self._broken(now)
            if why:
                raise ExchangeConnectionError(why)
            await self._ping(now)
            if self._renew_at and now >= self._renew_at:
                self._renew_at = 0
                if not self._on_renew(self):
                    self.drop("it is renewed as planned", pause_s=0.001)

    def _broken(self, now: int) -> str:
        table = self.table
        late = now - int(table.acknowledge_s * NS)
        if self._began and self._began <= late and table.login is not None:
            return f"the login was not confirmed within {table.acknowledge_s:g} s"
        if self._subscriptions.late(now):
            return f"subscriptions were not confirmed within {table.acknowledge_s:g} s"
        if self._clock.now() - self.heard > table.silence_s * NS:
            return f"nothing was heard for {table.silence_s:g} s"
        return ""

    async def _ping(self, now: int) -> None:
        ping = self.table.ping
        if ping.text is None:
            return
        silent = self._clock.now() - self.heard
        if silent >= ping.text_s * NS and now - self._spoke >= ping.text_s * NS:
            await self.send(ping.text)


async def _hang_up(ws: ClientConnection, *, gently: bool) -> None:
    if gently:
        await ws.close()
        return
    # A line that is silent or in disorder gets no farewell: waiting for its answer would only take time.
    ws.transport.abort()
    await ws.wait_closed()


def _told(error: BaseException) -> str:
    """A few words about why a connection failed, without the address: it may hold a key."""
    if isinstance(error, QuarterdeckError):
        return error.message.rstrip(".")
    if isinstance(error, InvalidStatus):
        return f"the venue answered {error.response.status_code} instead of opening a stream"
    if isinstance(error, ConnectionClosed):
        close = error.rcvd
        return f"the venue closed it ({close.code} {close.reason})".replace(" )", ")") if close else "the line broke"
    if isinstance(error, TimeoutError):
        return "the venue did not answer in time"
    if isinstance(error, OSError):
        return f"the venue cannot be reached ({error.strerror or type(error).__name__})"
    return f"it failed ({type(error).__name__})"
