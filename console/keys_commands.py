"""The commands `keys …` that ask for a secret: it is typed unseen or read from a descriptor, and never an argument."""

from __future__ import annotations

import getpass
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import click

from console.home import command_line, prepare_home
from console.plain import say, say_json
from engine.errors import EngineNotRunningError, QuarterdeckError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from console.cli import Invocation
    from engine.control.views_keys import KeysView

__all__ = ["keys", "perform_named", "read_passphrase", "say_locked", "say_unlocked", "unlock_running", "unlock_with"]

_FROM = click.option(
    "--from-fd",
    "descriptor",
    type=click.IntRange(min=0),
    help="Read key, secret and passphrase from this descriptor instead of asking: one a line, a PEM text on several.",
)
_PHRASE = click.option(
    "--passphrase-fd", type=click.IntRange(min=0), help="Read the key file's passphrase from this descriptor."
)


@click.group()
def keys() -> None:
    """Keep the keys of accounts at exchanges: add, list, rotate, remove, unlock."""


@keys.command()
@click.argument("venue")
@click.argument("account", default="")
@_FROM
@_PHRASE
@click.pass_obj
def add(invocation: Invocation, venue: str, account: str, descriptor: int | None, passphrase_fd: int | None) -> None:
    """Keep the key of ACCOUNT at VENUE, such as `keys add binance`."""
    _keep(invocation.home, "keys.add", venue, account, descriptor, passphrase_fd)


@keys.command()
@click.argument("venue")
@click.argument("account", default="")
@_FROM
@_PHRASE
@click.pass_obj
def rotate(invocation: Invocation, venue: str, account: str, descriptor: int | None, passphrase_fd: int | None) -> None:
    """Replace the key of ACCOUNT at VENUE by a new one."""
    _keep(invocation.home, "keys.rotate", venue, account, descriptor, passphrase_fd)


@keys.command()
@click.argument("venue")
@click.argument("account", default="")
@_PHRASE
@click.option("--json", "as_json", is_flag=True, help="Print exactly what the wire carries.")
@click.pass_obj
def test(invocation: Invocation, venue: str, account: str, passphrase_fd: int | None, as_json: bool) -> None:
    """Ask VENUE what the key of ACCOUNT may do; nothing is ordered.

    Where no engine runs that has the key file open, its passphrase is asked for.
    """
    from console.reply_text import plain, show

    home, params = prepare_home(invocation.home), {"venue": venue, "account": account}
    if not _engine_runs(home):
        before: KeysView = perform_named(home, "keys.list")
        if before.has_passphrase and before.state == "locked":
            params["unlock"] = read_passphrase(passphrase_fd)
    told = perform_named(home, "keys.test", params)
    if as_json:
        say_json(plain(told))
    else:
        show(told)


@keys.command()
@_PHRASE
@click.pass_obj
def unlock(invocation: Invocation, passphrase_fd: int | None) -> None:
    """Open the encrypted file of keys for the running engine."""
    unlock_running(invocation.home, passphrase_fd)


@keys.command()
@click.pass_obj
def passphrase(invocation: Invocation) -> None:
    """Change the passphrase of the encrypted file of keys."""
    home = prepare_home(invocation.home)
    old = _typed("Passphrase of the key file")
    shown = perform_named(home, "keys.passphrase", {"old": old, "new": _new_passphrase()})
    say(f"{shown.place} has a new passphrase.".capitalize())


def unlock_running(home: Path, descriptor: int | None) -> None:
    """Unlock the keys of the engine that runs in a home folder.

    Args:
        home: The home folder.
        descriptor: Where the passphrase can be read; None asks for it.

    Raises:
        QuarterdeckError: No engine runs, which is said before anything is asked; or the passphrase is wrong.
    """
    if not _engine_runs(home):
        start = command_line(home, "engine start --unlock")
        raise EngineNotRunningError(
            f"No engine runs in {home} that could be unlocked; `{start}` starts one and asks for the passphrase."
        )
    unlock_with(home, read_passphrase(descriptor))


def unlock_with(home: Path, passphrase: str) -> None:
    """Unlock the keys of the engine that runs in a home folder. Raises as `unlock_running`."""
    _say_state(perform_named(home, "keys.unlock", {"passphrase": passphrase}))


def say_unlocked(home: Path) -> None:
    """Say how the keys of an engine are that was started with a passphrase.

    Raises:
        click.ClickException: They are locked all the same; the engine runs.
    """
    shown = perform_named(home, "keys.list")
    if shown.state != "open":
        raise click.ClickException(f"The engine runs, but its keys are {shown.state}: {shown.reason}")
    _say_state(shown)


def say_locked(home: Path) -> None:
    """Say it where the keys of an engine that was just started are locked, and how they are opened."""
    # The engine runs whatever comes of the question; that is what its start was about.
    with suppress(QuarterdeckError):
        if perform_named(home, "keys.list").state == "locked":
            cure = command_line(home, "keys unlock")
            say(f"Its keys are LOCKED: accounts at exchanges wait for them. `{cure}` opens them.", err=True)


def _engine_runs(home: Path) -> bool:
    from engine.control.lock import find_holder

    return find_holder(home) is not None


def _say_state(shown: KeysView) -> None:
    say(f"The keys are {shown.state}: {_count(len(shown.keys))} of {shown.place}.")


def _keep(
    home: Path, operation: str, venue: str, account: str, descriptor: int | None, passphrase_fd: int | None
) -> None:
    prepare_home(home)
    before: KeysView = perform_named(home, "keys.list")
    if before.state == "failed":
        raise click.ClickException(before.reason)
    fields = _asked(venue) if descriptor is None else _read(descriptor)
    params = {"venue": venue, "account": account, **fields}
    if before.has_passphrase and not before.exists:
        say(f"It will be kept in {before.place}. Choose a passphrase for that; it cannot be recovered.", err=True)
        params["unlock"] = _new_passphrase() if passphrase_fd is None else read_passphrase(passphrase_fd)
    elif before.has_passphrase and before.state == "locked":
        params["unlock"] = read_passphrase(passphrase_fd)
    kept = perform_named(home, operation, params)
    say(f"The key of {kept.changed} is in {kept.place}.")
    test = command_line(home, f"keys test {kept.changed.replace('/', ' ').lower()}")
    say(f"`{test}` asks the venue what it may do.", err=True)


def _asked(venue: str) -> dict[str, str]:
    found = {"key": _typed(f"Key of {venue.upper()}"), "secret": _secret(f"Secret of {venue.upper()}")}
    if venue.upper().startswith(("OKX", "KUCOIN", "BITGET")):
        found["passphrase"] = _typed("Passphrase of the key")
    return found


def _secret(prompt: str) -> str:
    """A secret of one line, or a PEM text up to its last line."""
    lines = [_typed(prompt)]
    if lines[0].startswith("-----BEGIN") and "-----END" not in lines[0]:
        while not lines[-1].startswith("-----END"):
            lines.append(_typed("  …"))
    return "\n".join(lines)


def _read(descriptor: int) -> dict[str, str]:
    try:
        with open(descriptor, encoding="utf-8") as source:
            lines = [line.rstrip("\r\n") for line in source if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise click.ClickException(f"Nothing can be read from descriptor {descriptor} ({error}).") from None
    if len(lines) < 2:
        raise click.ClickException("Key and secret are expected, one a line; nothing was kept.")
    key, rest = lines[0], lines[1:]
    if rest[0].startswith("-----BEGIN"):
        last = next((at for at, line in enumerate(rest) if line.startswith("-----END")), len(rest) - 1)
        rest = ["\n".join(rest[: last + 1]), *rest[last + 1 :]]
    return {"key": key, "secret": rest[0], "passphrase": rest[1] if len(rest) > 1 else ""}


def _typed(prompt: str) -> str:
    if not sys.stdin.isatty():
        raise click.ClickException("There is no terminal to type a secret on; give it on a descriptor (see --help).")
    return getpass.getpass(f"{prompt}: ")


def read_passphrase(descriptor: int | None) -> str:
    """The passphrase of the key file, from a descriptor or else typed. Raises SecurityError."""
    if descriptor is None:
        return _typed("Passphrase of the key file")
    from engine.control.vault import from_descriptor

    return from_descriptor(descriptor)


def _new_passphrase() -> str:
    first = _typed("New passphrase")
    if _typed("The same again") != first:
        raise click.ClickException("They are not the same; nothing was changed.")
    return first


def _count(number: int) -> str:
    return "one key" if number == 1 else f"{number} keys"


def perform_named(home: Path, name: str, params: Mapping[str, Any] | None = None) -> Any:
    """Run an operation by its name, at the engine where one runs, else in the home folder alone."""
    from console.operation_call import fresh_request_id, perform
    from engine.control.ops import all as entered
    from engine.control.registry import find_operation

    assert entered.__all__
    entry = find_operation(name)
    return perform(home, entry, dict(params or {}), fresh_request_id() if entry.mutates else None)
