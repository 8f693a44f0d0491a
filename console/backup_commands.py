"""The commands `backup …`: copies of the home folder, made, listed, checked and put back."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from console.offline_call import call, do_job, in_home, table, utc
from console.plain import say, say_json
from engine.model.text import clean

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from console.cli import Invocation
    from engine.control.views_records import BackupRow

__all__ = ["backup"]


@click.group()
def backup() -> None:
    """Make, list, check and restore copies of the home folder."""


@contextmanager
def _progress() -> Iterator[Callable[[float, str], None]]:
    watched = sys.stderr.isatty()

    def tell(share: float, words: str) -> None:
        if watched:
            click.echo(f"\r\x1b[2K{share:4.0%} {clean(words)}", nl=False, err=True)

    try:
        yield tell
    finally:
        if watched:
            click.echo("\r\x1b[2K", nl=False, err=True)


@backup.command()
@click.option(
    "--candles/--no-candles", default=None, help="Copy stored candles as well; the settings say so otherwise."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def create(invocation: Invocation, candles: bool | None, as_json: bool) -> None:
    """Copy the home folder; an engine may run meanwhile."""
    job = in_home(invocation.home, lambda host: do_job(host, "backup.create", {"candles": candles}))
    if as_json:
        say_json(job.report)
        return
    say(job.message)
    say(f"It is in {job.report['path']}.")


@backup.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array.")
@click.pass_obj
def list_backups(invocation: Invocation, as_json: bool) -> None:
    """List the backups of this home folder, the newest first."""
    rows: list[BackupRow] = call(invocation.home, "backup.list")
    if as_json:
        import msgspec

        say_json(msgspec.to_builtins(rows))
        return
    if not rows:
        say("There is no backup yet; `quarterdeck backup create` makes one.")
        return
    table(
        ("name", "made (UTC)", " facts", " MB", "release", ""),
        (
            (row.name, utc(row.created), f"{row.seq:,}", f"{row.bytes / 1e6:,.1f}", row.release, row.problem)
            for row in rows
        ),
    )


def _found(invocation: Invocation, name: str) -> Any:
    from engine.control.offline import named_backup

    return named_backup(invocation.home, name)


@backup.command()
@click.argument("name", default="latest")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_context
def verify(context: click.Context, name: str, as_json: bool) -> None:
    """Check every file and every fact of a backup (NAME, `latest` or a folder).

    The exit status is 1 if it is damaged.
    """
    from engine.control.backups import verify_backup

    path = _found(context.obj, name)
    with _progress() as progress:
        problems = verify_backup(path, progress)
    if as_json:
        say_json({"backup": str(path), "problems": problems})
    else:
        for problem in problems:
            say(problem, err=True)
        if not problems:
            say(f"{path} is whole.")
    context.exit(1 if problems else 0)


@backup.command()
@click.argument("name", default="latest")
@click.option("--from", "source", type=click.Path(file_okay=False), help="The home folder whose backup NAME is meant.")
@click.option("--over", is_flag=True, help="Take the place of a home that is not empty; its files are kept aside.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object; asks nothing, so say --yes as well.")
@click.pass_obj
def restore(invocation: Invocation, name: str, source: str | None, over: bool, yes: bool, as_json: bool) -> None:
    """Put a backup (NAME, `latest` or a folder) into this home folder; no engine may run.

    The journal gets a new instance id at the next start, and every venue is asked what became of its orders.
    Keys come back as they were, encrypted; consent to trade real money does not and is given again.
    """
    from importlib.metadata import version
    from pathlib import Path

    from engine.control.offline import named_backup
    from engine.control.restore import restore_backup

    home = invocation.home
    path = named_backup(Path(source).absolute() if source else home, name)
    if not yes and (as_json or not click.confirm(f"Put {path.name} into {home}?")):
        raise click.Abort
    with _progress() as progress:
        done = restore_backup(home, path, version("quarterdeck"), over=over, progress=progress)
    if as_json:
        say_json(done)
        return
    say(f"{home} is as it was at fact {done['seq']:,}.")
    if done["aside"]:
        say(f"What was there before is in {done['aside']}.")
    say("At the next start every venue is asked what became of its orders; what differs is corrected and shown.")
    say("Live accounts, if there are any, stay closed until you consent again (`quarterdeck live consent`).")
