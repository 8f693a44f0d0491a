"""What commands do with a home folder's journal: say what is in it, check it, write it out, repair and archive it.

Reading is done beside a running engine; repair and archiving without one hold the home's lock.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import msgspec

from engine.clock import SystemClock
from engine.config import load_settings
from engine.control.lock import EngineLock, find_holder
from engine.control.moments import iso, stamp
from engine.control.requests_research import moment
from engine.errors import ConflictError, NotFoundError, ValidationError
from engine.events import Event, event_name
from storage.journal import MoveRules, Query, Reader
from storage.journal.archive import Archive, archive_folder
from storage.journal.checkup import check_all
from storage.journal.damage import using
from storage.journal.mark import HighWaterMark
from storage.journal.mover import move
from storage.journal.recovery import mark_path, snapshot_folder
from storage.journal.repair import repair
from storage.journal.schema import SCHEMA_VERSION, connect, read_meta, refuse_newer
from storage.journal.snapshots import STATE_FORMAT, SnapshotStore
from storage.journal.survey import Survey, survey
from storage.journal.usage import measure

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from storage.journal.checkup import Checkup

__all__ = [
    "Survey",
    "archive_journal",
    "examine_journal",
    "export_journal",
    "journal_file",
    "journal_info",
    "query",
    "repair_journal",
    "verify_journal",
]

_END = 2**63 - 1
Progress = Callable[[int, int], None]
"""Called with what is done and how much it is in all."""


def journal_file(home: Path) -> Path:
    """The journal of a home folder.

    Raises:
        NotFoundError: It has none.
    """
    path = home / "journal.db"
    if not path.exists() and not mark_path(path).exists():
        raise NotFoundError(f"There is no journal in {home}: no engine has run there yet.")
    return path


def _rules(home: Path) -> MoveRules:
    wanted = load_settings(home).journal
    return MoveRules(hot_days=wanted.hot_days, budget_bytes=wanted.budget_megabytes * 1_000_000)


def journal_info(home: Path) -> dict[str, Any]:
    """What is known of a journal without reading through it, in plain values.

    Raises:
        NotFoundError: There is none.
        JournalError: It cannot be opened.
        StateCorruptionError: It is damaged, or a newer release wrote it.
    """
    path = journal_file(home)
    with using(path), closing(connect(path, read_only=True)) as connection:
        version = refuse_newer(connection, path)
        meta = read_meta(connection)
    with closing(Reader(path)) as reader:
        last = reader.last_seq()
        newest = reader.latest(1)
        oldest = reader.since(0, 1).records
        mark = HighWaterMark.read(mark_path(path))
        archive = Archive(archive_folder(path))
        usage = measure(path, _rules(home).budget_bytes)
    return {
        "file": str(path),
        "format": version,
        "newest_format": SCHEMA_VERSION,
        "state_format": STATE_FORMAT,
        "journal_id": meta.journal_id,
        "instance": meta.instance,
        "epoch": meta.epoch,
        "facts": last,
        "first": iso(oldest[0].ts) if oldest else None,
        "last": iso(newest[0].ts) if newest else None,
        "mark": mark.seq if mark is not None else None,
        "snapshots": SnapshotStore(snapshot_folder(path)).numbers(),
        "archived": meta.archived,
        "segments": len(archive.segments()),
        "lost": [[span.first, span.last] for span in archive.lost()],
        "bytes": {"journal": usage.live, "snapshots": usage.snapshots, "archive": usage.archive, "all": usage.total},
        "budget_bytes": usage.budget,
        "free_bytes": usage.free,
    }


def verify_journal(home: Path, progress: Progress = lambda _done, _of: None, *, replayed: bool = False) -> Checkup:
    """Check every fact, the archive, mark, snapshots and the file; an engine may run meanwhile.

    Raises:
        NotFoundError: There is no journal.
        JournalError: It cannot be opened.
        StateCorruptionError: Not even its beginning can be read, or a newer release wrote it.
    """
    return check_all(journal_file(home), progress, replayed=replayed)


def export_journal(
    home: Path,
    *,
    after: int = 0,
    until: int | None = None,
    since: str | None = None,
    before: str | None = None,
    wanted: Query | None = None,
) -> Iterator[bytes]:
    """Facts as JSON, one line each: number, time, epoch, kind, what it is about, and the fact itself.

    Args:
        home: The home folder.
        after: Number of the fact before the first one.
        until: Number of the last fact; None for the newest.
        since: Time of the first fact, inclusive.
        before: Time of the end, exclusive.
        wanted: Which facts; None for all.

    Raises:
        ValidationError: A time cannot be read.
        NotFoundError: There is no journal.
        StateCorruptionError: It is damaged on the way.
    """
    path = journal_file(home)
    try:
        begin_ts, end_ts = moment(since), moment(before)
    except ValueError as error:
        raise ValidationError(f"{error}.") from None
    with closing(Reader(path)) as reader:
        if begin_ts is not None:
            after = max(after, reader.number_at(begin_ts) - 1)
        last = _END if until is None else until
        if end_ts is not None:
            last = min(last, reader.number_at(end_ts) - 1)
        for record in reader.records(after, last, wanted or Query()):
            event = record.event
            yield msgspec.json.encode(
                {
                    "seq": record.seq,
                    "time": iso(record.ts),
                    "ts": record.ts,
                    "epoch": record.epoch,
                    "kind": event_name(event),
                    "correlation": record.correlation,
                    "fact": msgspec.to_builtins(event, str_keys=True),
                }
            )


def query(kinds: tuple[str, ...] = (), owner: str = "", about: str = "") -> Query:
    """Which facts to export.

    Raises:
        ValidationError: There is no such kind of fact.
    """
    known = {kind.__name__ for kind in Event.__args__}
    for kind in kinds:
        if kind not in known:
            near = difflib.get_close_matches(kind, known, 1, 0.4)
            raise ValidationError(f"There is no kind of fact {kind!r}." + (f" Did you mean {near[0]}?" if near else ""))
    return Query(kinds=kinds, owner=owner, subject=about)


def examine_journal(home: Path, progress: Progress = lambda _done, _of: None) -> Survey:
    """Find out what of a journal can be vouched for; changes nothing.

    Raises:
        NotFoundError: There is no journal.
        StateCorruptionError: A newer release wrote it.
    """
    return survey(journal_file(home), progress)


def repair_journal(home: Path, release: str, agree: Callable[[Survey], bool], progress: Progress) -> dict[str, Any]:
    """Repair a journal, holding the home's lock.

    Args:
        home: The home folder.
        release: Of this program, for the lock.
        agree: Shown what was found, says whether to go on; not asked when nothing is damaged.
        progress: As for a survey.

    Returns:
        `repaired`; when it is true also `seq`, `instance`, `aside` and `lost`, the spans that could not be kept.

    Raises:
        EngineAlreadyRunningError: An engine runs.
        JournalError: Nothing can be vouched for, or a file cannot be written; the journal stays as it was.
    """
    path = journal_file(home)
    with EngineLock.acquire(home, release=release) as lock:
        found = survey(path, progress)
        if found.whole or not agree(found):
            return {"repaired": False, "whole": found.whole}
        now = SystemClock().now()
        done = repair(path, found, stamp(now), now)
        assert lock.fileno() >= 0
    lost = [*found.bad, *([found.lost_end] if found.lost_end else [])]
    return {"repaired": True, **asdict(done), "aside": str(done.aside), "lost": [list(span) for span in lost]}


def archive_journal(home: Path, release: str, *, hot_days: float | None = None, facts: int = 50_000) -> dict[str, Any]:
    """Move closed history to the archive now, beside an engine or without one; without one the file is also packed.

    Args:
        home: The home folder.
        release: Of this program, for the lock.
        hot_days: Age in days from which facts move; None takes the settings.
        facts: Facts in a segment.

    Raises:
        ConflictError: Facts are being moved just now.
        JournalError: The disk is full, or a file cannot be used; nothing is lost.
    """
    path = journal_file(home)
    rules = _rules(home)
    rules = MoveRules(
        hot_days=rules.hot_days if hot_days is None else hot_days,
        budget_bytes=rules.budget_bytes,
        segment_facts=facts,
    )
    before = measure(path)
    first, last = move(path, rules)
    packed = False
    if find_holder(home) is None:
        with EngineLock.acquire(home, release=release):
            _pack(path)
            packed = True
    after = measure(path)
    return {"from": first, "to": last, "packed": packed, "bytes_before": before.total, "bytes_after": after.total}


def _pack(path: Path) -> None:
    """Write the file anew without free pages, so that later ones can be given back piece by piece."""
    with using(path), closing(connect(path)) as connection:
        pages, free = (connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count"))
        size = pages * connection.execute("PRAGMA page_size").fetchone()[0]
        if os.statvfs(path.parent).f_bavail * os.statvfs(path.parent).f_frsize < 2 * size:
            raise ConflictError(f"There is no room to pack {path.name}: twice {size / 1e6:.0f} MB must be free.")
        if free or connection.execute("PRAGMA auto_vacuum").fetchone()[0] != 2:
            connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
            connection.execute("VACUUM")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
