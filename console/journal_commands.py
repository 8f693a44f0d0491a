"""The commands `journal …`: what is in the journal, whether it is whole, writing it out, repairing and archiving it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from console.plain import say, say_json
from console.progress import progress_line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from console.cli import Invocation
    from engine.control.journal_tools import Survey

__all__ = ["journal"]


@click.group()
def journal() -> None:
    """Look into the journal, check it, write it out, repair it."""


@journal.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def info(invocation: Invocation, as_json: bool) -> None:
    """Say what the journal holds and how much room it takes, without reading through it."""
    from engine.control.journal_tools import journal_info

    found = journal_info(invocation.home)
    if as_json:
        say_json(found)
        return
    sizes, budget = found["bytes"], found["budget_bytes"]
    say(f"{found['file']}")
    say(f"  facts      {found['facts']:,}, from {found['first'] or '-'} to {found['last'] or '-'}")
    say(f"  instance   {found['instance']}, epoch {found['epoch']}, journal {found['journal_id']}")
    say(f"  mark       {'missing' if found['mark'] is None else format(found['mark'], ',')}")
    say(f"  snapshots  {', '.join(f'{seq:,}' for seq in found['snapshots']) or 'none yet'}")
    say(f"  archive    {found['archived']:,} facts in {found['segments']} files")
    for first, last in found["lost"]:
        say(f"  lost       facts {first:,} to {last:,}, in a repair")
    of = f" of {budget / 1e6:,.0f}" if budget else ""
    say(
        f"  disk       {sizes['all'] / 1e6:,.1f}{of} MB: journal {sizes['journal'] / 1e6:,.1f}, "
        f"snapshots {sizes['snapshots'] / 1e6:,.1f}, archive {sizes['archive'] / 1e6:,.1f}; "
        f"{found['free_bytes'] / 1e9:,.1f} GB are free"
    )


@journal.command()
@click.option(
    "--replay", "replayed", is_flag=True, help="Also fold all facts and hold the newest snapshot against them."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_context
def verify(context: click.Context, replayed: bool, as_json: bool) -> None:
    """Check every fact, the archive, mark and snapshots; an engine may run.

    The exit status is 1 if anything is damaged.
    """
    from dataclasses import asdict

    from engine.control.journal_tools import verify_journal

    invocation: Invocation = context.obj
    with progress_line("checking") as progress:
        found = verify_journal(invocation.home, progress, replayed=replayed)
    if as_json:
        say_json(asdict(found))
    else:
        for problem in found.problems:
            say(problem, err=True)
        for note in found.notes:
            say(note)
        for first, last in found.lost:
            say(f"Facts {first:,} to {last:,} were lost in an earlier repair; all others are whole.")
        if found.problems:
            say("`quarterdeck journal repair` keeps everything that can be vouched for.", err=True)
        else:
            checked = f"{found.facts:,} facts ({found.archived:,} archived) and {found.snapshots} snapshots are whole"
            say(f"{checked}; the chain ends in {found.head}.")
    context.exit(1 if found.problems else 0)


@journal.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path), required=False)
@click.option("--after", type=click.IntRange(min=0), default=0, metavar="N", help="Only facts after this number.")
@click.option("--until", type=click.IntRange(min=1), metavar="N", help="Only facts up to this number.")
@click.option("--since", metavar="TIME", help="Only facts from this day or time (UTC) on.")
@click.option("--before", metavar="TIME", help="Only facts before this day or time (UTC).")
@click.option("--kind", "kinds", multiple=True, metavar="KIND", help="Only facts of this kind, such as OrderFilled.")
@click.option("--owner", default="", help="Only facts of this bot's id, `manual` or `external`.")
@click.option("--about", default="", metavar="ID", help="Only facts about this client order id or bot.")
@click.option("--force", is_flag=True, help="Take the place of a FILE that exists.")
@click.pass_obj
def export(
    invocation: Invocation,
    file: Path | None,
    after: int,
    until: int | None,
    since: str | None,
    before: str | None,
    kinds: tuple[str, ...],
    owner: str,
    about: str,
    force: bool,
) -> None:
    """Write facts as JSON lines to FILE, or print them; archived ones as well."""
    from engine.control.journal_tools import export_journal, query

    wanted = query(kinds, owner, about)
    lines = export_journal(invocation.home, after=after, until=until, since=since, before=before, wanted=wanted)
    if file is None:
        for line in lines:
            say(line.decode())
        return
    say(f"{_write(file, lines, force=force):,} facts are in {file}.")


def _write(file: Path, lines: Iterator[bytes], *, force: bool) -> int:
    if file.exists() and not force:
        raise click.ClickException(f"{file} exists already; choose another name, or say --force.")
    fresh = file.with_name(file.name + ".part")
    count = 0
    try:
        with fresh.open("wb") as target:
            for line in lines:
                target.write(line + b"\n")
                count += 1
        fresh.replace(file)
    except OSError as error:
        raise click.ClickException(f"{file} cannot be written: {error.strerror}.") from error
    finally:
        fresh.unlink(missing_ok=True)
    return count


@journal.command()
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object; asks nothing, so say --yes as well.")
@click.pass_obj
def repair(invocation: Invocation, yes: bool, as_json: bool) -> None:
    """Put a verified copy of all that can be vouched for in the place of a damaged journal; no engine may run.

    The damaged files are kept beside it. The repaired journal has a new instance id, and the next start asks every
    venue what became of its orders.
    """
    from importlib.metadata import version

    from engine.control.journal_tools import repair_journal

    def agree(found: Survey) -> bool:
        if not as_json:
            _say_survey(found)
        return yes or (not as_json and click.confirm("Repair it?"))

    with progress_line("looking") as progress:
        done = repair_journal(invocation.home, version("quarterdeck"), agree, progress)
    if as_json:
        say_json(done)
    elif done["repaired"]:
        say(f"The journal is repaired: it ends at fact {done['seq']:,} and has the instance id {done['instance']}.")
        say(f"The damaged files are in {done['aside']}.")
        say("At the next start every venue is asked what became of its orders; what differs is corrected and shown.")
    elif done["whole"]:
        say("The journal is whole; nothing was done.")
    else:
        raise click.Abort


def _say_survey(found: Survey) -> None:
    """Say exactly what is damaged, what is kept and what is lost."""
    for problem in found.problems:
        say(problem)
    if not found.state.seq:
        say("Nothing of it can be vouched for.")
        return
    say(f"The state can be vouched for up to fact {found.state.seq:,} of {found.last:,}.")
    for first, last in found.bad:
        say(f"Facts {first:,} to {last:,} are damaged and missing from the history; the state does not need them.")
    if found.lost_end is not None:
        first, last = found.lost_end
        say(f"Facts {first:,} to {last:,} ({last - first + 1:,}) will be lost.")


@journal.command()
@click.option(
    "--older-than", "hot_days", type=click.FloatRange(min=0), metavar="DAYS", help="Instead of journal.hot_days."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def archive(invocation: Invocation, hot_days: float | None, as_json: bool) -> None:
    """Move closed history to the archive now; without an engine, pack the file as well."""
    from importlib.metadata import version

    from engine.control.journal_tools import archive_journal

    done = archive_journal(invocation.home, version("quarterdeck"), hot_days=hot_days)
    if as_json:
        say_json(done)
        return
    moved = done["to"] - done["from"]
    say(
        f"{moved:,} facts have moved to the archive; {done['to']:,} are in it." if moved else "Nothing was to be moved."
    )
    say(f"The journal takes {done['bytes_after'] / 1e6:,.1f} MB, before {done['bytes_before'] / 1e6:,.1f} MB.")
