"""Loading the compiled kernels without the event loop noticing.

Importing numba takes a second and compiling takes several, most of it holding the interpreter: a thread of this process
would make everything stutter. So another process compiles first and leaves the machine code in numba's cache; then a
thread imports and takes it from there. Until then, and wherever it cannot be done, the plain books do the work.
"""

from __future__ import annotations

import asyncio
import importlib
import os
import sys
from typing import TYPE_CHECKING, Any

from engine.logs import get_logger

if TYPE_CHECKING:
    from types import ModuleType

__all__ = ["Fast", "fast", "load", "prepare"]

log = get_logger(__name__)

COMPILE_S = 180.0
"""Longest time compiling may take; it is given up after."""


class Fast:
    """The modules that hold the compiled way."""

    def __init__(self, kernels: ModuleType, array: ModuleType, moves: dict[str, Any]) -> None:
        self.kernels: Any = kernels
        self.array: Any = array
        self.moves = moves
        """By venue, the machine code that reads a message and takes it in: for just the types it was made for."""


class _State:
    fast: Fast | None = None
    preparing: asyncio.Task[bool] | None = None


def fast() -> Fast | None:
    """The compiled way; None until it is loaded."""
    return _State.fast


def load() -> Fast:
    """Import numba and have every kernel ready, compiled now or taken from the cache. Takes long: never on the loop."""
    if _State.fast is None:
        kernels = importlib.import_module("engine.venues.native.books.kernels")
        array = importlib.import_module("engine.venues.native.books.array")
        _State.fast = Fast(kernels, array, _call_each(kernels, array))
    return _State.fast


def _call_each(kernels: Any, array: Any) -> dict[str, Any]:
    scratch = array.Scratch()
    kernels.binance_diff(b"{}", 0, 2, 2, scratch.rows)
    kernels.binance_snapshot(b"{}", 2, 2, scratch.rows)
    kernels.okx_books(b"{}", 0, 2, 2, scratch.rows)
    kernels.coinbase_level2(b"{}", 0, 2, 2, scratch.rows)
    book = array.ArrayBook("", scratch, (2, 2))
    book.change(0)
    kernels.okx_crc(book.rows, *array.crc_room())
    kernels.binance_move(b"{}", 0, 0, False, book.rows, scratch.rows)
    kernels.okx_move(b"{}", 0, 0, book.rows, scratch.rows)
    kernels.coinbase_move(b"{}", 0, 0, book.rows, scratch.rows)
    moves = {"binance": kernels.binance_move, "okx": kernels.okx_move, "coinbase": kernels.coinbase_move}
    return {venue: kernels.direct(kernel) for venue, kernel in moves.items()}


async def prepare() -> bool:
    """Load the compiled way; call it once when an adapter starts, as a task of its own. Safe to call many times.

    Returns:
        Whether it is loaded; False where numba cannot be used, which is logged and costs nothing but speed.
    """
    if _State.fast is not None:
        return True
    if _State.preparing is None or _State.preparing.done():
        _State.preparing = asyncio.get_running_loop().create_task(_prepare(), name="prepare books")
    return await asyncio.shield(_State.preparing)


async def _prepare() -> bool:
    try:
        await _compile()
        await asyncio.to_thread(load)
    except (ImportError, OSError, RuntimeError, TimeoutError) as error:
        log.warning("books stay uncompiled", why=str(error) or type(error).__name__)
        return False
    return True


async def _compile() -> None:
    """Fill the cache in another process, of low priority."""
    words = [sys.executable, "-c", "import engine.venues.native.books.loading as it; it.load()"]
    null = asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(
        *words, stdin=null, stdout=null, stderr=null, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    )
    try:
        async with asyncio.timeout(COMPILE_S):
            code = await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if code != 0:
        raise RuntimeError(f"compiling ended with code {code}")
