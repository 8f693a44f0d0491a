"""One client of a venue's server: facts complete and in order, the market newest-wins, every request answered."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, cast

import msgspec
import structlog

from engine.errors import ExchangeError, QuarterdeckError
from engine.venues.remote.frames import (
    ARGUMENTS,
    Frames,
    Hello,
    Kind,
    Refusal,
    decode,
    encode,
    failure,
    frame,
)
from engine.venues.remote.peers import is_ours

if TYPE_CHECKING:
    from engine.model.ids import InstrumentId
    from engine.venues.remote.server import VenueServer

__all__ = ["Session"]

log = structlog.get_logger(__name__)

HIGH_WATER = 256 * 1024
"""Bytes that wait for a client above which it is spared the market."""
CUT_OFF = 64 * 1024 * 1024
"""Bytes that wait for a client at which it is cut off; it resumes by number when it comes back."""

_arguments = {method: msgspec.msgpack.Decoder(kinds) for method, kinds in ARGUMENTS.items()}


class Session(asyncio.Protocol):
    """A connection as the server sees it.

    Args:
        server: Whose client this is.
    """

    def __init__(self, server: VenueServer) -> None:
        self.watched: set[InstrumentId] = set()
        self.greeted = False
        self._server = server
        self._frames = Frames()
        self._transport: asyncio.Transport | None = None
        self._out: list[bytes] = []
        self._pressed = False
        self._behind: set[InstrumentId] = set()
        """Instruments of which something was not sent, so that a whole book must come first."""

    # --- the connection ----------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take a client of our own user only."""
        self._transport = cast("asyncio.Transport", transport)
        if not is_ours(transport.get_extra_info("socket")):
            log.warning("a program of another user knocked at the venue")
            self._transport.abort()
            return
        self._transport.set_write_buffer_limits(high=HIGH_WATER)
        self._server.sessions.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the client; what it asked for goes on."""
        self._transport = None
        self._server.left(self)

    def pause_writing(self) -> None:
        """The client does not follow: it hears facts and answers, and of the market nothing for now."""
        self._pressed = True

    def resume_writing(self) -> None:
        """The client follows again: it gets the present book of whatever it has missed."""
        self._pressed = False
        behind, self._behind = self._behind, set()
        for instrument in sorted(behind & self.watched):
            self.show_present(instrument, "This connection was too slow for every update.")

    def data_received(self, data: bytes) -> None:
        """Take frames in."""
        try:
            for kind, body in self._frames.feed(data):
                self._take(kind, body)
        except (ValueError, msgspec.MsgspecError) as error:
            log.warning("a client of the venue cannot be understood", problem=str(error))
            self.cut()

    def cut(self) -> None:
        """End the connection at once."""
        if self._transport is not None:
            self._transport.abort()

    # --- to the client -----------------------------------------------------------------------------------------------

    def send(self, data: bytes) -> None:
        """Send a frame that may not be lost; all of one turn of the loop leave together."""
        if self._transport is None:
            return
        if not self._out:
            asyncio.get_running_loop().call_soon(self._flush)
        self._out.append(data)

    def show(self, instrument: InstrumentId, data: bytes) -> None:
        """Send a market frame, or remember that it was left out."""
        if instrument not in self.watched:
            return
        if self._pressed:
            self._behind.add(instrument)
        elif instrument not in self._behind:
            self.send(data)

    def show_present(self, instrument: InstrumentId, reason: str = "") -> None:
        """Send what the market is like now, saying before why something may be missing."""
        for data in self._server.mirror.present(instrument, reason):
            self.send(data)

    def beat(self) -> None:
        """Let the client know that the server lives."""
        if not self._pressed:
            self.send(frame(Kind.BEAT))

    def _flush(self) -> None:
        out, self._out = self._out, []
        transport = self._transport
        if transport is None:
            return
        transport.write(b"".join(out))
        if transport.get_write_buffer_size() > CUT_OFF:
            log.warning("a client of the venue does not read and is cut off")
            transport.abort()

    # --- from the client ---------------------------------------------------------------------------------------------

    def _take(self, kind: int, body: bytes) -> None:
        if not self.greeted:
            if kind != Kind.HELLO:
                raise ValueError("a client that does not say hello")
            self._greet(decode(Kind.HELLO, body))
            return
        if kind != Kind.REQUEST:
            raise ValueError(f"a frame of kind {kind}")
        number, method, arguments = decode(Kind.REQUEST, body)
        self._server.own(self._serve(number, method, arguments), f"venue request: {method}")

    def _greet(self, hello: Hello) -> None:
        refused = self._server.objection(hello)
        if refused:
            self.send(frame(Kind.REFUSAL, encode(Refusal(refused))))
            self._flush()
            if self._transport is not None:
                self._transport.close()
            return
        self.greeted = True
        welcome, missed = self._server.welcome(hello)
        self.send(frame(Kind.WELCOME, encode(welcome)))
        for data in missed:
            self.send(data)
        if hello.watched:
            self.own_watch(hello.watched)

    def own_watch(self, instruments: list[InstrumentId]) -> None:
        """Take up again what the client watched before its connection was lost."""
        self._server.own(self._watch_again(instruments), "venue: watch again")

    async def _watch_again(self, instruments: list[InstrumentId]) -> None:
        try:
            await self._server.watch(self, instruments)
        except QuarterdeckError as error:
            log.warning("a market cannot be watched again", problem=error.message)

    async def _serve(self, number: int, method: str, arguments: bytes) -> None:
        try:
            result = await self._answer(method, arguments)
            data = frame(Kind.REPLY, encode((number, result)))
        except QuarterdeckError as error:
            data = frame(Kind.FAILURE, encode((number, failure(error))))
        except Exception as error:  # the client must hear of it, and the server must live
            log.exception("a request failed", method=method)
            said = ExchangeError(f"The venue's process failed at {method} ({type(error).__name__}); its log says why.")
            data = frame(Kind.FAILURE, encode((number, failure(said))))
        self.send(data)

    async def _answer(self, method: str, arguments: bytes) -> Any:
        decoder = _arguments.get(method)
        if decoder is None:
            raise ExchangeError(f"The venue's process knows no request {method}.")
        given = decoder.decode(arguments)
        server = self._server
        match method:
            case "watch":
                return await server.watch(self, given[0])
            case "unwatch":
                return await server.unwatch(self, given[0])
            case "amend":
                account, client_id, quantity, price, stop = given
                return await server.venue.amend(account, client_id, quantity=quantity, price=price, stop_price=stop)
            case "candles":
                instrument, timeframe, end, limit = given
                return await server.venue.candles(instrument, timeframe, end=end, limit=limit)
            case _:
                return await getattr(server.venue, method)(*given)
