"""Finding an engine: connect to the socket of a home folder and exchange hello and welcome, or say why not."""

from __future__ import annotations

import asyncio
import logging
import os
from typing import TYPE_CHECKING

from websockets.asyncio.client import ClientConnection, unix_connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

from engine.control.places import control_socket
from engine.control.protocol import (
    DEAD_S,
    HEARTBEAT_S,
    HELLO_S,
    MAX_BYTES,
    Hello,
    Welcome,
    decode_error,
    decode_incoming,
    encode_request,
)
from engine.control.wire import decode
from engine.errors import AuthenticationError, EngineError, EngineNotRunningError

if TYPE_CHECKING:
    from pathlib import Path

    from engine.control.lock import LockHolder

__all__ = ["dial"]

CLOSE_S = 1.0
_library = logging.getLogger("quarterdeck.websockets")
_library.setLevel(logging.ERROR)


async def dial(home: Path, hello: Hello, path: Path | None = None) -> tuple[ClientConnection, Welcome]:
    """Connect to the engine of a home folder and introduce oneself.

    Args:
        home: The home folder.
        hello: What is said of oneself.
        path: Another socket than the engine's, such as that of a replay.

    Returns:
        The connection, and what the engine says of itself; its protocol may be another one.

    Raises:
        EngineNotRunningError: Nobody answers. With the code `not_answering`, somebody is there and says nothing; with
            `not_ready`, an engine holds the folder and has opened no door yet, or none any more.
        AuthenticationError: The engine belongs to another user.
        QuarterdeckError: The engine refuses the hello.
    """
    path = path or control_socket(home)
    try:
        async with asyncio.timeout(HELLO_S):
            connection = await unix_connect(
                os.fspath(path),
                uri="ws://engine/",
                compression=None,
                max_size=MAX_BYTES,
                open_timeout=None,
                ping_interval=HEARTBEAT_S,
                ping_timeout=DEAD_S,
                close_timeout=CLOSE_S,
                user_agent_header=None,
                proxy=None,
                logger=_library,
            )
            try:
                return connection, await _introduce(connection, hello)
            except BaseException:
                connection.transport.abort()
                raise
    except TimeoutError:
        raise _silent(home) from None
    except (FileNotFoundError, ConnectionRefusedError):
        raise _absent(home) from None
    except PermissionError:
        raise _stranger(home) from None
    except InvalidStatus as error:
        if error.response.status_code == 403:
            raise _stranger(home) from None
        raise _silent(home) from error
    except (ConnectionClosed, InvalidHandshake, EOFError, OSError) as error:
        raise EngineNotRunningError(
            f"The engine in {home} ended the connection before it answered; it is starting or ending. Try again in a "
            "moment."
        ) from error


async def _introduce(connection: ClientConnection, hello: Hello) -> Welcome:
    await connection.send(encode_request(0, "hello", hello), text=True)
    said = decode_incoming(await connection.recv())
    if said.error is not None:
        raise decode_error(said.error)
    welcome: Welcome = decode(said.result, Welcome)
    return welcome


def _absent(home: Path) -> EngineNotRunningError:
    holder = _holder(home)
    if holder is None:
        return EngineNotRunningError(
            f"No engine is running in {home}. Start one with `quarterdeck`, or `quarterdeck engine start` without a "
            "console."
        )
    return EngineNotRunningError(
        f"The engine in {home}{_named(holder)} has no door open: it is just starting or ending. Try again in a moment.",
        error_code="not_ready",
        details={"pid": holder.pid},
    )


def _silent(home: Path) -> EngineNotRunningError:
    holder = _holder(home)
    return EngineNotRunningError(
        f"The engine in {home}{_named(holder)} has not answered within {HELLO_S:g} s: it hangs, was stopped by a "
        "signal, or the machine is overloaded. `quarterdeck status` shows who it is; `quarterdeck stop` ends it.",
        error_code="not_answering",
        details={"pid": holder.pid if holder is not None else 0},
    )


def _holder(home: Path) -> LockHolder | None:
    """Who holds the home folder, if that can be told."""
    from engine.control.lock import find_holder

    try:
        return find_holder(home)
    except EngineError:
        return None


def _named(holder: LockHolder | None) -> str:
    return f" (process {holder.pid})" if holder is not None and holder.pid else ""


def _stranger(home: Path) -> AuthenticationError:
    return AuthenticationError(f"The engine in {home} belongs to another user. Run this as the owner of the folder.")
