"""Loading a strategy's file beside the event loop: its code runs in a thread, and only so long.

The code is trusted, as everything is that runs inside the engine's process; what is kept away from the loop is work
that takes its time, such as a large import.
"""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from engine.errors import QuarterdeckError, StrategyLoadError
from engine.strategy.loader import is_path, read_strategy_file

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.strategy.loader import LoadedStrategy, StrategyRegistry

__all__ = ["DEADLINE_S", "beside", "find_beside"]

DEADLINE_S = 10.0


async def find_beside(
    registry: StrategyRegistry, name: str, file: str | None = None, deadline_s: float = DEADLINE_S
) -> LoadedStrategy:
    """A strategy by name, or from its file, which is run in a thread when it is not known as it is now.

    Afterwards `StrategyRegistry.get` and `load_file` give it without running anything.

    Args:
        registry: Where it is looked for and kept; used on the loop alone.
        name: Its name or path, where `file` does not say.
        file: Path of its file.
        deadline_s: Seconds that the file may take.

    Raises:
        NotFoundError: There is none of that name.
        StrategyLoadError: The file cannot be loaded, or takes too long.
    """
    if not file and not is_path(name):
        if registry.known(name) is None:
            await _look_again(registry, deadline_s)
        return registry.get(name)
    path = Path(file or name)
    known = registry.known_file(path)
    if known is not None:
        return known
    return registry.keep(await beside(lambda: read_strategy_file(path), f"file {path}", deadline_s))


async def _look_again(registry: StrategyRegistry, deadline_s: float) -> None:
    """Take in what a person has put into the folder since it was last looked at; what cannot be loaded stays out."""
    for path in registry.new_files():
        with suppress(StrategyLoadError):
            registry.keep(await beside(partial(read_strategy_file, path), f"file {path}", deadline_s))


async def beside(read: Callable[[], LoadedStrategy], what: str, deadline_s: float = DEADLINE_S) -> LoadedStrategy:
    """Load a strategy in a thread.

    Args:
        read: Loads it.
        what: What is loaded, in words after `The strategy`.
        deadline_s: Seconds that it may take.

    Raises:
        StrategyLoadError: It cannot be loaded, or takes too long.
        NotFoundError: What `read` raises.
    """
    try:
        return await asyncio.wait_for(_in_thread(read, what), deadline_s)
    except TimeoutError:
        raise StrategyLoadError(
            f"The strategy {what} was not loaded: it takes more than {deadline_s:g} s. Let it do its work in "
            "`columns` and `decide`, not while it is read."
        ) from None


def _in_thread(read: Callable[[], LoadedStrategy], what: str) -> asyncio.Future[LoadedStrategy]:
    loop = asyncio.get_running_loop()
    done: asyncio.Future[LoadedStrategy] = loop.create_future()

    def tell(loaded: LoadedStrategy | None, error: Exception | None) -> None:
        if done.done():
            return
        if error is not None:
            done.set_exception(error)
        elif loaded is not None:
            done.set_result(loaded)

    def work() -> None:
        loaded, problem = None, None
        try:
            loaded = read()
        except QuarterdeckError as error:
            problem = error
        except Exception as error:
            problem = StrategyLoadError(f"The strategy {what} was not loaded: {type(error).__name__}: {error}.")
        if not loop.is_closed():
            loop.call_soon_threadsafe(tell, loaded, problem)

    # A thread of its own that nobody waits for: code that never ends must not hold the engine's end.
    threading.Thread(target=work, name="strategy-file", daemon=True).start()
    return done
