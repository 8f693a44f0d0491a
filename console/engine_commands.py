"""The commands of `quarterdeck engine`: start, stop, restart, look at, and install an engine without a console."""

from __future__ import annotations

import os
import select
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

import click

from console.home import command_line, open_process_log, prepare_home, process_log
from console.launch_line import MAX_LINE, Words
from console.lifecycle import end, status, stop
from console.plain import say
from engine.control.exit_codes import ExitCode

if TYPE_CHECKING:
    from pathlib import Path

    from console.cli import Invocation
    from engine.control.lock import LockHolder

__all__ = ["begin", "engine"]

READY_S = 120.0


@click.group()
def engine() -> None:
    """Start, stop, restart and look at an engine without a console."""


@engine.command()
@click.option("--foreground", is_flag=True, help="Stay in the foreground, as a service manager wants it.")
@click.option("--no-watchdog", is_flag=True, help="Let nobody restart the engine when it crashes or hangs.")
@click.option("--unlock", is_flag=True, help="Ask for the passphrase of the key file first.")
@click.option("--passphrase-fd", type=click.IntRange(min=0), help="Read that passphrase from this descriptor.")
@click.option("--wait", type=click.FloatRange(min=0), default=READY_S, show_default=True, help="Seconds to wait.")
@click.pass_context
def start(
    context: click.Context, foreground: bool, no_watchdog: bool, unlock: bool, passphrase_fd: int | None, wait: float
) -> None:
    """Start an engine in the background and wait until it trades."""
    invocation: Invocation = context.obj
    home = prepare_home(invocation.home)
    if foreground:
        if unlock:
            raise click.UsageError("--unlock asks on a terminal; in the foreground give a --passphrase-fd.")
        _become_engine(home, passphrase_fd)
    if not unlock and passphrase_fd is None:
        context.exit(begin(home, wait, watched=not no_watchdog))
    from console.keys_commands import read_passphrase, say_unlocked, unlock_with

    said = read_passphrase(passphrase_fd)
    if _holder(home) is not None:
        unlock_with(home, said)
        context.exit(begin(home, wait))
    status = begin(home, wait, watched=not no_watchdog, passphrase=said)
    if status == 0:
        say_unlocked(home)
    context.exit(status)


def begin(home: Path, wait: float = READY_S, *, watched: bool = True, passphrase: str = "") -> int:
    """Start an engine in the background, say how that went, and return the exit status.

    Args:
        home: The home folder; it exists.
        wait: Seconds until the engine has to be ready.
        watched: Whether a watchdog looks after it.
        passphrase: Of the file of keys, so that venues are opened with them at once; empty to leave it locked.

    Raises:
        ConfigurationError: The home folder's path is too long for the engine's sockets.
    """
    from engine.control.places import control_socket

    control_socket(home)
    holder = _holder(home)
    if holder is not None:
        say(_already(home, holder), err=True)
        return ExitCode.NO_ENGINE
    hear, tell = os.pipe()
    secret = _pipe_of(passphrase) if passphrase else None
    try:
        if watched:
            from console.watch import start_watchdog

            start_watchdog(home, ready=tell, passphrase=secret)
        else:
            _start_unwatched(home, tell, secret)
    except OSError as error:
        raise click.ClickException(f"The engine could not be started: {error}.") from error
    finally:
        os.close(tell)
        if secret is not None:
            os.close(secret)
    try:
        status = _report(home, *_first_word(hear, wait), wait)
    finally:
        os.close(hear)
    if status == 0 and not passphrase:
        from console.keys_commands import say_locked

        say_locked(home)
    return status


def _pipe_of(text: str) -> int:
    """A descriptor from which a text that is shorter than a pipe can be read once."""
    reading, writing = os.pipe()
    os.write(writing, text.encode())
    os.close(writing)
    return reading


def _report(home: Path, word: str, rest: str, wait: float) -> int:
    status, stop = command_line(home, "status"), command_line(home, "stop")
    match word:
        case "ready":
            say(f"The engine runs (process {rest}). `{status}` shows it, `{stop}` ends it.")
            return 0
        case "running" | "error":
            say(rest, err=True)
            return ExitCode.NO_ENGINE if word == "running" else ExitCode.REFUSED
        case "":
            say(f"The engine ended before it was ready; its log is {process_log(home)}.", err=True)
            return ExitCode.REFUSED
        case _:
            say(f"The engine is still starting after {wait:g} s. `{status}` shows when it trades.", err=True)
            return ExitCode.UNKNOWN


def _first_word(hear: int, wait: float) -> tuple[str, str]:
    """What the new process says first: nothing when it ended, `waiting` when it took too long."""
    words = Words()
    while select.select([hear], [], [], wait)[0]:
        data = os.read(hear, MAX_LINE)
        if not data:
            return "", ""
        for word, rest in words.feed(data):
            return word, rest
    return "waiting", ""


def _start_unwatched(home: Path, tell: int, secret: int | None) -> None:
    import subprocess

    command, fds = [sys.executable, "-P", "-m", "console.headless", "--home", str(home), "--ready", str(tell)], [tell]
    if secret is not None:
        command += ["--passphrase", str(secret)]
        fds.append(secret)
    with open_process_log(home) as log:
        child = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, pass_fds=fds, start_new_session=True
        )
    # It goes on without us; this tells subprocess not to warn about it.
    child.returncode = 0


def _become_engine(home: Path, passphrase: int | None = None) -> None:
    holder = _holder(home)
    if holder is not None:
        say(_already(home, holder), err=True)
        sys.exit(ExitCode.NO_ENGINE)
    # The same process: a service manager watches the one that it has started.
    command = [sys.executable, "-P", "-m", "console.headless", "--home", str(home)]
    if passphrase is not None:
        os.set_inheritable(passphrase, True)
        command += ["--passphrase", str(passphrase)]
    os.execv(sys.executable, command)  # noqa: S606 a list of arguments, no shell


def _holder(home: Path) -> LockHolder | None:
    from engine.control.lock import find_holder

    return find_holder(home)


def _already(home: Path, holder: LockHolder) -> str:
    who = f"process {holder.pid}" if holder.pid else "a process that has not said who it is"
    return (
        f"An engine is already running in {home} ({who}). `{command_line(home, 'attach')}` opens a console on it, "
        f"`{command_line(home, 'stop')}` ends it."
    )


engine.add_command(status)
engine.add_command(stop)


@engine.command()
@click.option("--cold", is_flag=True, help="Stop the engine and start another one, instead of handing over.")
@click.option("--wait", type=click.FloatRange(min=0), default=READY_S, show_default=True, help="Seconds to wait.")
@click.pass_context
def restart(context: click.Context, cold: bool, wait: float) -> None:
    """Replace the running engine by a new process of the installed release; orders stay where they are."""
    from console.restart import hand_over

    home = prepare_home(context.obj.home)
    if not cold:
        context.exit(hand_over(home, wait))
    end(home, wait=wait)
    context.exit(begin(home, wait))


@engine.command("install-unit")
@click.option("--print", "only_print", is_flag=True, help="Print the unit and write nothing.")
@click.option("--force", is_flag=True, help="Replace a unit of that name that says something else.")
@click.pass_obj
def install_unit(invocation: Invocation, only_print: bool, force: bool) -> None:
    """Write a systemd user unit that starts the engine of this home folder."""
    from console.unit import next_steps, unit_name, unit_path, unit_text

    text = unit_text(invocation.home)
    if only_print:
        say(text.rstrip("\n"))
        return
    path = unit_path(invocation.home)
    if path.exists() and path.read_text(encoding="utf-8") != text and not force:
        raise click.ClickException(
            f"{path} exists and says something else. Look at it, then replace it with --force, or see the new one "
            "with --print."
        )
    with suppress(FileExistsError):
        path.parent.mkdir(parents=True)
    path.write_text(text, encoding="utf-8")
    say(f"Wrote {path}.\n")
    say(next_steps(unit_name(invocation.home)))


@engine.command()
@click.option(
    "--lines", "-n", type=click.IntRange(min=0), default=40, show_default=True, help="How many to begin with."
)
@click.option("--follow", "-f", is_flag=True, help="Go on showing what is written, until Ctrl-C.")
@click.option(
    "--level",
    type=click.Choice(["debug", "info", "warning", "error", "critical"], case_sensitive=False),
    default="debug",
    help="Least level shown.",
)
@click.option("--process", is_flag=True, help="Show what the process printed, such as the trace of a crash.")
@click.option("--json", "as_json", is_flag=True, help="Show the records as they are written, JSON lines.")
@click.pass_obj
def logs(invocation: Invocation, lines: int, follow: bool, level: str, process: bool, as_json: bool) -> None:
    """Show the end of the engine's log; works without an engine too."""
    from console.log_tail import show_log

    path = process_log(invocation.home) if process else invocation.home / "logs" / "engine.log"
    if not path.exists():
        raise click.ClickException(f"There is no log yet: {path}.")
    with suppress(KeyboardInterrupt):
        show_log(path, lines, level, say, follow=follow, raw=process or as_json)
