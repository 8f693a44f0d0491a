"""A console on an engine that runs in another process: it comes, it goes, and the engine does not notice.

What it is shown and asks for goes over the engine's socket. An engine that is restarted or hands over is found again by
itself. Nothing of the engine is loaded here but its nouns, so that the first screen is there within a second.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import gc
import logging
import os
import signal
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import click

from console.home import command_line, open_process_log
from console.plain import say
from console.terminal import restore_attributes, save_attributes
from engine.control.exit_codes import ExitCode
from engine.errors import EngineNotRunningError, QuarterdeckError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from console.cli import Invocation
    from console.driver import TerminalLease
    from console.ending import ConsoleEnded
    from console.preferences import Preferences
    from console.stage import ConsoleApp
    from engine.control.client import SocketLink

__all__ = ["attach", "attach_to", "listen", "make_console", "quiet"]

STDIN, STDOUT, STDERR = 0, 1, 2
STARTING_S = 20.0
"""How long an engine that holds the lock may take to answer: it may be recovering."""
PAUSE_S = 0.1
SETTINGS_S = 1.0
COLLECT_AFTER = (5000, 10, 10)


@click.command()
@click.option("--read-only", is_flag=True, help="Only look; the engine refuses whatever would change something.")
@click.pass_context
def attach(context: click.Context, read_only: bool) -> None:
    """Open a console on the engine that runs in this home folder."""
    invocation: Invocation = context.obj
    context.exit(attach_to(invocation.home, read_only=read_only))


def attach_to(home: Path, *, read_only: bool = False, greeting: str = "") -> int:
    """Run a console on this terminal until the person leaves or the terminal is gone.

    Args:
        home: Home folder of the engine.
        read_only: Ask for the right to look only.
        greeting: A sentence that the console shows first.

    Returns:
        The exit status: 0, 1 when the console crashed, 2 without a terminal, 3 without an engine.
    """
    if not (os.isatty(STDIN) and os.isatty(STDOUT)):
        say("The console needs a terminal for input and output, and this is none.", err=True)
        return ExitCode.MISUNDERSTOOD
    attributes = save_attributes(STDIN)
    session = _Session(home, read_only, greeting)
    try:
        with quiet(home):
            ended = asyncio.run(session.run())
    except EngineNotRunningError as error:
        say(error.message, err=True)
        return ExitCode.NO_ENGINE
    except QuarterdeckError as error:
        say(f"{error.title}: {error.message}", err=True)
        return ExitCode.REFUSED
    restore_attributes(STDIN, attributes)
    return _take_leave(home, ended, session)


class _Session:
    """One console and its link, from the first word to the last."""

    def __init__(self, home: Path, read_only: bool, greeting: str) -> None:
        self.pid = 0
        """The engine's process, as last heard."""
        self._home = home
        self._read_only = read_only
        self._greeting = greeting
        self._wanted: dict[str, Any] = {}

    async def run(self) -> ConsoleEnded:
        """Find the engine, draw until the end, and leave."""
        from engine.control.client import SocketLink

        link = SocketLink(self._home, client="console", read_only=self._read_only)
        await self._open(link)
        try:
            # Textual is loaded while the engine looks up what it is asked.
            asked = asyncio.create_task(self._preferences(link), name="settings")
            await asyncio.sleep(0)
            from console.stage import Stage

            stop = asyncio.Event()
            stage = Stage(STDIN)
            listen(stage, stop)
            preferences = await asked
            stage.lease.mouse = bool(self._wanted.get("mouse", True))
            patience = float(self._wanted.get("stall_seconds", stage.lease.patience.seconds))
            stage.lease.patience = dataclasses.replace(stage.lease.patience, seconds=patience)
            ended = await stage.play(lambda lease: make_console(link, lease, preferences), stop)
        finally:
            if link.welcome is not None:
                self.pid = link.welcome.pid
            await link.close()
        if stage.abandoned:
            # Closing the event loop would wait for a console that does not end.
            os._exit(ExitCode.REFUSED)
        return ended

    async def _open(self, link: SocketLink) -> None:
        """Open the link; an engine that is just starting is waited for."""
        from engine.control.lock import find_holder

        for attempt in range(int(STARTING_S / PAUSE_S)):
            try:
                await link.open()
            except EngineNotRunningError as error:
                if error.error_code == "not_answering" or find_holder(self._home) is None:
                    raise
                if not attempt:
                    os.write(STDOUT, b"The engine is starting\xe2\x80\xa6\n")
                await asyncio.sleep(PAUSE_S)
            else:
                return
        await link.open()

    async def _preferences(self, link: SocketLink) -> Preferences:
        from console.preferences import Preferences

        wanted: dict[str, Any] = {}
        with suppress(QuarterdeckError, TimeoutError):
            # Without them, as across two releases, the console is as on a first start.
            async with asyncio.timeout(SETTINGS_S):
                rows = await link.call("config.get", {"key": "console"})
            wanted = {row.key.partition(".")[2]: row.value for row in rows}
        self._wanted = wanted
        known = {name: wanted[name] for name in ("theme", "frames_per_second", "keys", "time_zone") if name in wanted}
        return Preferences(
            **known,
            home=self._home,
            pictures=self._home / "pictures",
            attached=True,
            read_only=self._read_only,
            greeting=link.skew or self._greeting,
        )


def make_console(link: SocketLink, lease: TerminalLease, preferences: Preferences) -> ConsoleApp:
    """The app over a link, drawing on a terminal."""
    from console.app import QuarterdeckApp
    from console.driver import driver_for

    return QuarterdeckApp(link, driver_class=driver_for(lease), preferences=preferences)


def listen(stage: Any, stop: asyncio.Event) -> None:
    """Whatever tells this process to end closes the console in order; the engine is another process."""
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    loop.add_signal_handler(signal.SIGINT, stop.set)
    loop.add_signal_handler(signal.SIGHUP, stage.lose, "it hung up")


@contextlib.contextmanager
def quiet(home: Path) -> Iterator[None]:
    """Nothing that this process prints or logs reaches the terminal that it draws on."""
    gc.set_threshold(*COLLECT_AFTER)
    with open_process_log(home) as log:
        told = os.fdopen(os.dup(log), "a", encoding="utf-8")
        logging.basicConfig(format="%(asctime)s %(levelname)s console: %(message)s", level=logging.INFO, stream=told)
        kept = os.dup(STDERR)
        os.dup2(log, STDERR)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(kept, STDERR)
            os.close(kept)


def _take_leave(home: Path, ended: ConsoleEnded, session: _Session) -> int:
    """Say what has become of console and engine."""
    from console.ending import ExitIntent

    if ended.intent is ExitIntent.STOP:
        say("The engine has been stopped.")
        return 0
    on = f"the engine goes on (process {session.pid})"
    again = f"`{command_line(home, 'attach')}` comes back"
    if ended.why == "crashed":
        say(f"The console ended by an error of its own ({ended.detail}); {on}. {again}.", err=True)
        return ExitCode.REFUSED
    with suppress(OSError):
        # A terminal that is lost takes no words.
        say(f"The console is closed; {on}. {again}.")
    return 0
