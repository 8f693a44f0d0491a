"""ccxt's asynchronous classes, imported when needed, tamed: our clock, our way out, nothing repeated or throttled."""

from __future__ import annotations

import asyncio
import importlib
import json
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Protocol

from engine.errors import ConfigurationError, ValidationError

if TYPE_CHECKING:
    from engine.venues.native.clock_offset import ClockOffset
    from engine.venues.native.request import Answer, Endpoint

__all__ = ["CallNotes", "Carrier", "call_notes", "ccxt_class", "import_class", "make_exchange"]


class CallNotes:
    """What a request that ccxt makes on our behalf is for, and how it was answered."""

    __slots__ = ("answer", "carries", "endpoint")

    def __init__(self, endpoint: Endpoint, carries: str = "") -> None:
        self.endpoint = endpoint
        self.carries = carries
        """What the request that changes something has to hold, such as our order id; empty for nothing."""
        self.answer: Answer | None = None
        """The last one, as it came."""


call_notes: ContextVar[CallNotes | None] = ContextVar("call_notes", default=None)
"""Set around a call of ccxt's unified methods; what is not noted is a question that goes last."""


class Carrier(Protocol):
    """Takes the requests that a ccxt object makes."""

    async def carry(self, url: str, method: str, headers: dict[str, Any], body: str | None) -> Answer:
        """Send one request through the rate coordinator."""


async def ccxt_class(exchange: str, *, streaming: bool = False) -> type[Any]:
    """The class of an exchange; imported in a thread, because it takes a second.

    Args:
        exchange: ccxt's id, such as `binance`.
        streaming: With websocket methods (`ccxt.pro`).

    Raises:
        ConfigurationError: ccxt does not know it.
    """
    return await asyncio.to_thread(import_class, exchange, streaming)


def import_class(exchange: str, streaming: bool) -> type[Any]:
    """As `ccxt_class`, at once: blocks for the import."""
    package = importlib.import_module("ccxt.pro" if streaming else "ccxt.async_support")
    if exchange not in package.exchanges and not (streaming and _without_streams(exchange)):
        raise ConfigurationError(
            f"ccxt knows no exchange called {exchange}; `python -c 'import ccxt; print(ccxt.exchanges)'` lists them."
        )
    found: type[Any] = getattr(package, exchange, None) or _without_streams(exchange)
    return _tamed(found)


def _without_streams(exchange: str) -> Any:
    package = importlib.import_module("ccxt.async_support")
    return getattr(package, exchange) if exchange in package.exchanges else None


_made: dict[type[Any], type[Any]] = {}


def _tamed(base: type[Any]) -> type[Any]:
    """A subclass whose every request goes through a carrier and whose clock is the venue's."""
    if base in _made:
        return _made[base]

    class Tamed(base):  # type: ignore[misc]
        carrier: Carrier
        offset: ClockOffset

        def on_json_response(self, text: str) -> Any:
            # Numbers stay as they were written: ccxt makes exact ones of text.
            return json.loads(text, parse_float=str)

        def milliseconds(self) -> int:
            return self.offset.now() // 1_000_000

        def microseconds(self) -> int:
            return self.offset.now() // 1_000

        def seconds(self) -> int:
            return self.offset.now() // 1_000_000_000

        async def fetch(self, url: str, method: str = "GET", headers: Any = None, body: Any = None) -> Any:
            notes = call_notes.get()
            if notes is not None and method != "GET" and notes.carries not in f"{url} {body or ''}":
                raise ValidationError(
                    f"ccxt does not hand our order id on to {self.id}; without it nobody could tell what became of an "
                    "order, so that none is sent.",
                    error_code="no_client_id",
                )
            sent = self.prepare_request_headers(headers)
            answer = await self.carrier.carry(url, method, sent, body)
            text = answer.body.decode("utf-8", "replace")
            told = self.parse_json(text)
            reason, heads = "", dict(answer.headers)
            self.handle_errors(answer.status, reason, url, method, heads, text, told, sent, body)
            self.handle_http_status_code(answer.status, reason, url, method, text)
            return told if told is not None else text

    Tamed.__name__ = Tamed.__qualname__ = base.__name__
    _made[base] = Tamed
    return Tamed


def make_exchange(kind: type[Any], carrier: Carrier, offset: ClockOffset, session: Any, config: dict[str, Any]) -> Any:
    """An object of a tamed class.

    Args:
        kind: From `ccxt_class`.
        carrier: Takes its requests.
        offset: Tells the venue's time.
        session: aiohttp session for its websockets.
        config: More of ccxt's configuration.
    """
    kind_with = type(kind.__name__, (kind,), {"carrier": carrier, "offset": offset})
    options = {"maxRetriesOnFailure": 0, **config.pop("options", {})}
    exchange = kind_with(
        {
            "enableRateLimit": False,
            "session": session,
            "asyncio_loop": asyncio.get_running_loop(),
            "options": options,
            "enableLastHttpResponse": False,
            "enableLastJsonResponse": False,
            "enableLastResponseHeaders": False,
            **config,
        }
    )
    exchange.enableRateLimit = False
    return exchange
