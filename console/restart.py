"""Restarting an engine without a gap: it hands over to a fresh process, and this waits for how that goes."""

from __future__ import annotations

import asyncio
import secrets
from typing import TYPE_CHECKING, Any

from console.home import command_line
from console.plain import say
from engine.control.exit_codes import ExitCode, exit_code_of
from engine.control.lock import find_holder
from engine.errors import EngineNotRunningError, QuarterdeckError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["hand_over"]

LOOK_S = 0.1


def hand_over(home: Path, wait: float) -> int:
    """Have the engine of a home folder hand over, wait for the end of that, say it, and return the exit status."""
    holder = find_holder(home)
    if holder is None:
        say(f"No engine is running in {home}. `{command_line(home, 'engine start')}` starts one.", err=True)
        return ExitCode.NO_ENGINE
    cold = f"`{command_line(home, 'engine restart --cold')}` stops it and starts another one."
    try:
        return asyncio.run(_restart(home, holder.pid, wait))
    except TimeoutError:
        if (now := find_holder(home)) is not None and now.pid == holder.pid:
            say(f"The engine has not handed over within {wait:g} s; process {holder.pid} goes on. {cold}", err=True)
        else:
            look = f"`{command_line(home, 'status')}` and `{command_line(home, 'engine logs')}`"
            say(f"Process {holder.pid} has let go, and no other trades after {wait:g} s: look at {look}.", err=True)
        return ExitCode.UNKNOWN
    except QuarterdeckError as error:
        say(f"{error.title}: {error.message} {cold}", err=True)
        return exit_code_of(error.kind)


async def _restart(home: Path, before: int, wait: float) -> int:
    from engine.control.client import open_link

    async with asyncio.timeout(wait):
        async with open_link(home) as link:
            say(await link.call("engine.restart", request_id=secrets.token_hex(10)))
            while (holder := find_holder(home)) is None or holder.pid in (0, before):
                standing = await _standing(link)
                if standing is not None and standing.state == "failed":
                    say(f"There was no hand-over: {standing.words}", err=True)
                    return ExitCode.REFUSED
                await asyncio.sleep(LOOK_S)
        while True:
            if await _trades(home, holder.pid):
                break
            await asyncio.sleep(LOOK_S)
    say(f"The engine goes on in process {holder.pid}; orders and bots were not touched.")
    return ExitCode.DONE


async def _standing(link: Any) -> Any:
    """How the hand-over stands; None while the engine changes hands."""
    try:
        return await link.call("engine.handover")
    except EngineNotRunningError:
        return None


async def _trades(home: Path, pid: int) -> bool:
    """Whether the new process answers."""
    from engine.control.client import open_link

    try:
        async with open_link(home) as link:
            return link.welcome is not None and link.welcome.pid == pid
    except EngineNotRunningError:
        return False
