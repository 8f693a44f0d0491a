"""The process of a replay: `python -P -m engine.control.replay.process --home HOME`.

It says `ready SOCKET` or `error TEXT` on its standard output and ends when its standard input does: whoever opened it
holds the other end, so that no replay outlives its console.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from engine.clock import SystemClock
from engine.control.replay.host import build_replay
from engine.errors import QuarterdeckError
from engine.logs import configure_logs, get_logger

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main"]


async def _run(home: Path) -> int:
    try:
        host = build_replay(home)
    except QuarterdeckError as error:
        _say("error", error.message)
        return 1
    configure_logs(home / "logs", host.settings.logging, SystemClock(), "replay")
    try:
        await host.start()
        _say("ready", str(await host.serve()))
        await _until_alone()
    except QuarterdeckError as error:
        _say("error", error.message)
        return 1
    except Exception as error:
        # The process's root: the trace goes to the log, the person gets a sentence.
        get_logger(__name__).exception("the replay ends")
        _say("error", f"The replay failed ({type(error).__name__}: {error}). logs/replay.log has the details.")
        return 1
    finally:
        await host.stop()
    return 0


async def _until_alone() -> None:
    """Return when whoever opened the replay is gone."""
    loop, alone = asyncio.get_running_loop(), asyncio.Event()

    def heard() -> None:
        if not os.read(0, 4096):
            loop.remove_reader(0)
            alone.set()

    loop.add_reader(0, heard)
    await alone.wait()


def _say(word: str, rest: str) -> None:
    with suppress(OSError):
        os.write(1, f"{word} {' '.join(rest.split())}\n".encode())


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a replay until its opener is gone."""
    parser = argparse.ArgumentParser(prog="quarterdeck-replay", description=__doc__)
    parser.add_argument("--home", type=Path, required=True)
    return asyncio.run(_run(parser.parse_args(arguments).home))


if __name__ == "__main__":
    sys.exit(main())
