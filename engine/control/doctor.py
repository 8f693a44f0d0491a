"""A look at everything of a home folder, with the engine running or dead; nothing is changed.

Each check gives findings: what was looked at, how it is, in words, and what to do about it.
"""

from __future__ import annotations

import asyncio
import os
import platform
import sqlite3
import stat
import sys
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from engine.clock import SystemClock
from engine.config import load_settings
from engine.control import places
from engine.control.doctor_venues import look_at_venues
from engine.control.finding import FAILED, OFF, OK, WARNING, Finding
from engine.control.lock import find_holder
from engine.control.moments import iso
from engine.control.paper_venue import paper_files
from engine.errors import EngineNotRunningError, QuarterdeckError
from storage.journal import JournalOptions, Reader
from storage.journal.archive import archive_folder
from storage.journal.checkup import check_all, check_ends
from storage.journal.schema import connect, read_meta
from storage.journal.usage import measure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from engine.config import Settings
    from engine.control.lock import LockHolder

__all__ = ["FAILED", "OFF", "OK", "WARNING", "Finding", "diagnose"]

ANSWER_S = 5.0
"""Seconds that a running engine has to answer."""
BEHIND = 50_000
"""Facts that the reports may be behind without a word."""
PRIVATE = (
    *("journal.db", "journal.hwm", "paper.db", "config.toml", "config.yaml", ".env", "engine.lock"),
    *("keys.sealed", "live.json"),
)
"""Files that nobody else may read."""
OLDEST_SQLITE = (3, 37, 0)
NETWORK = frozenset({"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "fuse.sshfs", "afs", "ceph", "glusterfs"})
"""File systems on which locks and the write-ahead log cannot be trusted."""
FUTURE_NS = 5_000_000_000
EARLIEST_NS = 1_735_689_600_000_000_000
"""2025-01-01: a clock that says less is wrong."""


@dataclass(slots=True)
class _Patient:
    home: Path
    deep: bool
    settings: Settings | None = None
    holder: LockHolder | None = None
    last_seq: int | None = None
    last_ts: int = 0
    instance: str = ""

    @property
    def journal(self) -> Path:
        return self.home / "journal.db"


def diagnose(home: Path, *, deep: bool = False, told: Callable[[Finding], None] = lambda _: None) -> list[Finding]:
    """Check a home folder.

    Args:
        home: The home folder; it may not exist.
        deep: Also read through every fact and every database, which takes a while.
        told: Called with each finding as soon as it is known.

    Returns:
        The findings in order; a check that fails by itself is a finding as well.
    """
    patient, found = _Patient(home, deep), []
    for check in _CHECKS:
        try:
            for finding in check(patient):
                found.append(finding)
                told(finding)
        except (QuarterdeckError, OSError, sqlite3.Error) as error:
            message = error.message if isinstance(error, QuarterdeckError) else str(error)
            finding = Finding(check.__name__.strip("_").replace("_", " "), FAILED, message)
            found.append(finding)
            told(finding)
        if not home.is_dir():
            break
    return found


# --- the machine -----------------------------------------------------------------------------------------------------


def _home(patient: _Patient) -> Iterator[Finding]:
    home = patient.home
    if not home.is_dir():
        yield Finding("home", WARNING, f"{home} does not exist yet.", "`quarterdeck` makes it at its first start.")
        return
    found, mine = home.stat(), os.geteuid()
    if found.st_uid != mine:
        yield Finding(
            "home",
            FAILED,
            f"{home} belongs to user {found.st_uid}, you are user {mine}.",
            f"Run the command as its owner, or give it to you: chown -R {mine} {home}",
        )
    elif not os.access(home, os.R_OK | os.W_OK | os.X_OK):
        yield Finding("home", FAILED, f"{home} may not be written by you.", f"chmod u+rwx {home}")
    elif stat.S_IMODE(found.st_mode) & 0o077:
        yield Finding("home", WARNING, f"Others may look into {home}.", f"chmod 700 {home}")
    else:
        yield Finding("home", OK, f"{home} is yours alone.")
    kind = _file_system(home)
    if kind in NETWORK:
        yield Finding(
            "file system",
            FAILED,
            f"{home} is on a network file system ({kind}): its locks and syncs cannot be trusted.",
            "Move the home folder to a local disk and name it with --home.",
        )


def _file_system(home: Path) -> str:
    """Kind of the file system that a folder is on; empty where the system does not tell."""
    best = ("", "")
    try:
        lines = Path("/proc/self/mounts").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    for line in lines:
        _, place, kind, *_ = line.split(" ")
        place = place.replace("\\040", " ")
        if Path(place) in (home, *home.parents) and len(place) >= len(best[0]):
            best = (place, kind)
    return best[1]


def _files(patient: _Patient) -> Iterator[Finding]:
    mine, wrong = os.geteuid(), []
    names = [*PRIVATE, "journal.db-wal", "paper.db-wal", "watched.json", "run", "logs", "backups"]
    on_paper = [file.name for file in paper_files(patient.home)]
    for file in (patient.home / name for name in dict.fromkeys([*names, *on_paper])):
        try:
            found = file.stat()
        except FileNotFoundError:
            continue
        if found.st_uid != mine:
            wrong.append((FAILED, f"{file.name} belongs to user {found.st_uid}", f"chown {mine} {file}"))
        elif not os.access(file, os.R_OK | os.W_OK):
            wrong.append((FAILED, f"{file.name} may not be read and written by you", f"chmod u+rw {file}"))
        elif stat.S_IMODE(found.st_mode) & 0o077 and file.name in (*PRIVATE, *on_paper):
            wrong.append((WARNING, f"others may read {file.name}", f"chmod 600 {file}"))
    for state, words, advice in wrong:
        yield Finding("files", state, f"{words[0].upper()}{words[1:]}.", advice)
    if not wrong:
        yield Finding("files", OK, "All files are yours to read and write, and nobody else's.")


def _programs(_: _Patient) -> Iterator[Finding]:
    words = f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}."
    if sys.version_info < (3, 11) or sqlite3.sqlite_version_info < OLDEST_SQLITE:
        needed = ".".join(map(str, OLDEST_SQLITE))
        yield Finding("programs", FAILED, words, f"Quarterdeck needs Python 3.11 and SQLite {needed} or newer.")
    else:
        yield Finding("programs", OK, words)


def _clock(patient: _Patient) -> Iterator[Finding]:
    now = SystemClock().now()
    if now < EARLIEST_NS:
        yield Finding(
            "clock", FAILED, f"The clock says {iso(now)}.", "Set the clock; orders are refused by venues else."
        )
    elif patient.last_ts > now + FUTURE_NS:
        ahead = (patient.last_ts - now) / 1e9
        yield Finding(
            "clock",
            WARNING,
            f"The newest fact was booked {ahead:.0f} s in the future: the clock has gone back.",
            "Let the system keep its clock (NTP), then start the engine again.",
        )
    else:
        yield Finding("clock", OK, f"The clock says {iso(now)}, behind no fact.")


# --- settings and engine ---------------------------------------------------------------------------------------------


def _settings(patient: _Patient) -> Iterator[Finding]:
    patient.settings = load_settings(patient.home)
    places.control_socket(patient.home)
    yield Finding("settings", OK, "The settings can be used.")


def _engine(patient: _Patient) -> Iterator[Finding]:
    holder = patient.holder = find_holder(patient.home)
    if holder is None:
        yield Finding("engine", OFF, "No engine runs here.")
        return
    who = f"process {holder.pid}, release {holder.release}" if holder.pid else "it has not said who it is"
    try:
        ready, words = asyncio.run(asyncio.wait_for(_ask(patient.home), ANSWER_S))
    except (TimeoutError, EngineNotRunningError):
        yield Finding(
            "engine",
            FAILED,
            f"An engine holds this home ({who}) but does not answer on its socket.",
            "It may be starting; if this stays, `quarterdeck stop --now` ends it and the next start recovers.",
        )
        return
    if ready:
        yield Finding("engine", OK, f"An engine runs ({who}). {words}")
    else:
        yield Finding("engine", WARNING, f"An engine runs ({who}), but {words}", "`quarterdeck attach` shows more.")


async def _ask(home: Path) -> tuple[bool, str]:
    from engine.control.client import open_link

    async with open_link(home, read_only=True, client="doctor") as link:
        found = await link.call("health.ready")
    if found.ready or not found.reasons:
        return found.ready, found.summary
    more = f" ({len(found.reasons) - 1} more)" if len(found.reasons) > 1 else ""
    return False, found.reasons[0] + more


# --- what is stored --------------------------------------------------------------------------------------------------


def _journal(patient: _Patient) -> Iterator[Finding]:
    path = patient.journal
    if not path.exists() and not path.with_suffix(".hwm").exists():
        yield Finding("journal", OFF, "There is no journal yet.")
        return
    found = check_ends(path)
    # What a start reads through in any case takes less than a second.
    deep = patient.deep or found.facts - found.archived <= JournalOptions().full_check_below
    if deep:
        found = check_all(path)
    with closing(Reader(path)) as reader:
        newest = reader.latest(1)
    with closing(connect(path, read_only=True)) as connection:
        patient.instance = read_meta(connection).instance
    patient.last_seq, patient.last_ts = found.facts, newest[0].ts if newest else 0
    for problem in found.problems:
        advice = (
            "`quarterdeck journal repair` keeps all that can be vouched for; `quarterdeck backup list` shows copies."
        )
        yield Finding("journal", FAILED, problem, advice)
    for note in found.notes:
        yield Finding("journal", WARNING, note)
    for first, last in found.lost:
        yield Finding("journal", WARNING, f"Facts {first:,} to {last:,} were lost in an earlier repair.")
    if not found.problems:
        how = "every one of them is whole" if deep else "its end, mark and newest snapshot fit"
        yield Finding("journal", OK, f"{found.facts:,} facts, {found.archived:,} of them archived; {how}.")


def _disk(patient: _Patient) -> Iterator[Finding]:
    budget = patient.settings.journal.budget_megabytes * 1_000_000 if patient.settings is not None else 0
    usage = measure(patient.journal, budget)
    if usage.words:
        yield Finding("disk", FAILED if usage.alarming else WARNING, usage.words)
        return
    of = f" of {budget / 1e6:,.0f}" if budget else ""
    words = (
        f"The journal takes {usage.total / 1e6:,.1f}{of} MB (file {usage.live / 1e6:,.1f}, snapshots "
        f"{usage.snapshots / 1e6:,.1f}, archive {usage.archive / 1e6:,.1f}); {usage.free / 1e9:,.1f} GB are free."
    )
    yield Finding("disk", OK, words)


def _paper_venue(patient: _Patient) -> Iterator[Finding]:
    file, built_in = patient.home / "paper.db", patient.settings is None or patient.settings.simulated
    if not file.exists():
        if patient.last_seq and built_in:
            yield Finding(
                "paper venue",
                FAILED,
                "paper.db is missing, but the journal knows of it.",
                "Bring it back from a backup made with the journal (`quarterdeck backup list`).",
            )
        else:
            yield Finding("paper venue", OFF, "There is no paper account at the simulated market.")
    for found in paper_files(patient.home):
        yield _sqlite_finding("paper venue", found, deep=patient.deep, table="accounts")


def _venues(patient: _Patient) -> Iterator[Finding]:
    if patient.settings is not None:
        yield from look_at_venues(patient.home, patient.settings, running=patient.holder is not None)


def _reports(patient: _Patient) -> Iterator[Finding]:
    from storage.connections import sqlite_path

    settings = patient.settings
    if settings is None:
        yield Finding("reports", OFF, "Without usable settings it is not known where they are.")
        return
    if settings.database.backend != "sqlite":
        yield _reach_server(patient)
        return
    file = sqlite_path(settings.database, patient.home)
    if not file.exists():
        yield Finding("reports", OFF, "There is no report database yet; the engine makes it.")
        return
    finding = _sqlite_finding("reports", file, deep=patient.deep, table="alembic_version")
    yield finding
    if finding.state == OK and patient.last_seq is not None:
        with closing(_read_only(file)) as connection:
            row = connection.execute("SELECT instance, seq FROM projection_cursors WHERE view = 'history'").fetchone()
        if row is None or row[0] != patient.instance:
            yield Finding("reports", WARNING, "They belong to another journal; the next start makes them anew.")
        elif patient.last_seq - row[1] > BEHIND:
            words = f"They are {patient.last_seq - row[1]:,} facts behind."
            yield Finding("reports", WARNING, words, "A running engine catches up by itself.")


def _reach_server(patient: _Patient) -> Finding:
    from storage.database import Database
    from storage.migrations.runner import schema_version

    assert patient.settings is not None
    database = Database(patient.settings.database, patient.home)

    async def look() -> str:
        from storage.connections import build_engine

        database._engine = build_engine(database.settings, database.home)
        try:
            version = await schema_version(database)
        finally:
            await database.close()
        return "" if version.is_current else f"has schema {version.current or 'none'}, this program {version.target}"

    try:
        behind = asyncio.run(asyncio.wait_for(look(), 2 * ANSWER_S))
    except (QuarterdeckError, OSError, TimeoutError) as error:
        return Finding(
            "reports", FAILED, f"{database.place} cannot be reached: {error}", "The engine trades without it."
        )
    if behind:
        return Finding("reports", WARNING, f"{database.place} {behind}.", "`quarterdeck storage migrate`")
    return Finding("reports", OK, f"{database.place} answers and has the right schema.")


def _read_only(file: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True, timeout=2.0)


def _sqlite_finding(name: str, file: Path, *, deep: bool, table: str) -> Finding:
    """Whether a database can be read; deep looks at all of it."""
    try:
        with closing(_read_only(file)) as connection:
            tables = connection.execute("SELECT name FROM sqlite_master WHERE name = ?", (table,)).fetchall()
            if not tables:
                words = f"{file.name} is not set up yet; the engine does it when it opens it."
                return Finding(name, OFF, words)
            connection.execute(f"SELECT count(*) FROM {table}").fetchone()  # noqa: S608 - one of two names
            verdict = connection.execute("PRAGMA quick_check(1)").fetchone()[0] if deep else "ok"
    except sqlite3.Error as error:
        verdict = str(error)
    if verdict != "ok":
        advice = f"Restore {file.name} from a backup (`quarterdeck backup list`)."
        if name == "reports":
            advice = f"Move {file.name} away: it is made anew from the journal."
        return Finding(name, FAILED, f"{file.name} is damaged or cannot be read: {verdict}.", advice)
    return Finding(
        name, OK, f"{file.name} {'is whole' if deep else 'can be read'} ({file.stat().st_size / 1e6:,.1f} MB)."
    )


def _leftovers(patient: _Patient) -> Iterator[Finding]:
    home, running = patient.home, patient.holder is not None
    found = [*home.glob("*.new"), *home.glob("journal.db.repaired*"), *(home / "backups").glob("*.part")]
    if not running:
        found += (home / "run").glob("*.sock")
    set_aside = [*home.glob("damaged-*"), *home.glob("replaced-*"), *archive_folder(patient.journal).glob("*.aside")]
    if found:
        names = ", ".join(sorted(path.name for path in found))
        yield Finding("leftovers", OK, f"Left behind by an interrupted run, and harmless: {names}.")
    for path in sorted(set_aside):
        words = f"{path.name} was set aside by a repair or a restore."
        yield Finding("leftovers", OK, words, f"Once everything is in order: rm -r {path}")
    if not found and not set_aside:
        yield Finding("leftovers", OK, "Nothing was left behind.")


_CHECKS: tuple[Callable[[_Patient], Iterator[Finding]], ...] = (
    _home,
    _programs,
    _settings,
    _files,
    _engine,
    _journal,
    _clock,
    _disk,
    _paper_venue,
    _venues,
    _reports,
    _leftovers,
)
