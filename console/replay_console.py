"""A console on the past of a home folder, in a process of its own; an engine may run beside it or not."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any

from console.attach import listen, make_console, quiet
from console.plain import say
from console.terminal import restore_attributes, save_attributes
from engine.control.exit_codes import ExitCode
from engine.errors import QuarterdeckError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from console.ending import ConsoleEnded

__all__ = ["replay_console"]

STDIN, STDOUT = 0, 1


def replay_console(home: Path, where: Mapping[str, int]) -> int:
    """Show the past on this terminal until the person leaves.

    Args:
        home: Home folder with a journal.
        where: `at` (UTC nanoseconds), `seq` or `session`; nothing for the last moment.

    Returns:
        The exit status: 0, 1 when it could not be shown, 2 without a terminal.
    """
    if not (os.isatty(STDIN) and os.isatty(STDOUT)):
        say("The console needs a terminal for input and output, and this is none; use --json or --list.", err=True)
        return ExitCode.MISUNDERSTOOD
    attributes = save_attributes(STDIN)
    try:
        with quiet(home):
            ended = asyncio.run(_show(home, where))
    except QuarterdeckError as error:
        say(f"{error.title}: {error.message}", err=True)
        return ExitCode.REFUSED
    restore_attributes(STDIN, attributes)
    if ended.why == "crashed":
        say(f"The console ended by an error of its own ({ended.detail}).", err=True)
        return ExitCode.REFUSED
    return ExitCode.DONE


async def _show(home: Path, where: Mapping[str, int]) -> ConsoleEnded:
    from console.preferences import Preferences
    from console.replay_process import open_replay
    from console.stage import Stage

    os.write(STDOUT, "Reading the journal…\n".encode())
    door = await open_replay(home)
    try:
        asked: dict[str, Any] = {"ts" if name == "at" else name: value for name, value in where.items()}
        if asked:
            await door.link.call("replay.seek", asked)
        preferences = Preferences(home=home, pictures=home / "pictures", attached=True, read_only=True)
        stop = asyncio.Event()
        stage = Stage(STDIN)
        listen(stage, stop)
        return await stage.play(lambda lease: make_console(door.link, lease, preferences), stop)
    finally:
        await door.close()
