"""One HTTP request to a venue, and what is certain about it when it fails."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from engine.venues.native.request import Answer

if TYPE_CHECKING:
    import ssl

    import aiohttp

    from engine.clock import Clock

__all__ = ["NoAnswerError", "open_session", "send"]

CONNECTIONS = 64
LONGEST_ANSWER = 64 * 1024 * 1024
"""Bytes; the largest list of instruments has about a quarter of this."""


class NoAnswerError(Exception):
    """A request has no answer; never leaves the adapter.

    Args:
        why: Words without anything secret.
        sent: Whether the request may have reached the venue.
    """

    def __init__(self, why: str, *, sent: bool) -> None:
        super().__init__(why)
        self.why = why
        self.sent = sent


class _Way:
    """How far one request came."""

    __slots__ = ("connected",)

    def __init__(self) -> None:
        self.connected = False


def open_session(context: ssl.SSLContext) -> aiohttp.ClientSession:
    """A pool of connections that repeats nothing and follows nobody.

    Args:
        context: Whose certificates are trusted.
    """
    import aiohttp

    async def connected(_session: object, way: Any, _params: object) -> None:
        if isinstance(mark := way.trace_request_ctx, _Way):
            mark.connected = True

    trace = aiohttp.TraceConfig()
    # Before there is a connection nothing can have been written; afterwards everything may have.
    trace.on_connection_create_end.append(connected)
    trace.on_connection_reuseconn.append(connected)
    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(ssl=context, limit=CONNECTIONS, happy_eyeballs_delay=0),
        cookie_jar=aiohttp.DummyCookieJar(),
        trace_configs=[trace],
    )
    # A broken connection must not send a PUT or DELETE twice behind our back.
    session._retry_connection = False
    return session


async def send(
    session: aiohttp.ClientSession,
    clock: Clock,
    url: str,
    method: str,
    headers: dict[str, Any],
    body: str | None,
    timeout_s: float,
) -> Answer:
    """Send one request and give what came back, whatever its status.

    A cancelled request may have reached the venue.

    Raises:
        NoAnswerError: Nothing came back; tells whether it may have reached the venue.
    """
    import aiohttp
    import yarl

    way = _Way()
    sent = clock.now()
    try:
        async with session.request(
            method,
            yarl.URL(url, encoded=True),
            data=None if body is None else body.encode(),
            headers=headers,
            timeout=aiohttp.ClientTimeout(total=timeout_s, sock_connect=timeout_s, sock_read=timeout_s),
            allow_redirects=False,
            trace_request_ctx=way,
        ) as response:
            payload = await _read(response)
            heads = {name.lower(): value for name, value in response.headers.items()}
            return Answer(response.status, payload, heads, sent, clock.now())
    except TimeoutError:
        raise NoAnswerError(f"no answer within {timeout_s:g} s", sent=way.connected) from None
    except aiohttp.ClientConnectorError as error:
        raise NoAnswerError(_no_connection(error), sent=way.connected) from None
    except (aiohttp.ClientError, OSError, asyncio.IncompleteReadError) as error:
        # The text of such an error may hold the signed address; its kind says enough.
        raise NoAnswerError(f"the connection failed ({type(error).__name__})", sent=way.connected) from None


async def _read(response: aiohttp.ClientResponse) -> bytes:
    pieces, size = [], 0
    async for piece in response.content.iter_any():
        pieces.append(piece)
        if (size := size + len(piece)) > LONGEST_ANSWER:
            raise NoAnswerError("the answer is longer than any that makes sense", sent=True)
    return b"".join(pieces)


def _no_connection(error: Any) -> str:
    import aiohttp

    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return "its certificate is not trusted; is the CA file right, or somebody in between?"
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "its name cannot be resolved"
    if isinstance(error, aiohttp.ClientSSLError):
        return "no encrypted connection could be made"
    return f"no connection could be made ({error.strerror or type(error.os_error).__name__})"
