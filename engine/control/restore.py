"""Putting a backup back: into an empty home folder, or over one whose files are kept aside.

Consent to trade real money is never put back, nor kept: it was given to another state of affairs.
"""

from __future__ import annotations

import os
import shutil
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from engine.clock import SystemClock
from engine.control.backups import read_manifest, verify_backup
from engine.control.live.consent import FILE as CONSENTS
from engine.control.lock import EngineLock
from engine.control.moments import stamp
from engine.control.paper_venue import paper_file
from engine.errors import ConflictError, StateCorruptionError, StorageError
from engine.venues.paper.owner import OwnerLock
from storage.journal.mark import HighWaterMark, Mark
from storage.journal.recovery import mark_path
from storage.journal.schema import sync_folder

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["restore_backup"]

STAYS = frozenset({"logs", "run", "backups", "candles", "recordings", "scenes", "engine.lock"})
"""What a restore leaves where it is."""


def restore_backup(
    home: Path,
    backup: Path,
    release: str,
    *,
    over: bool = False,
    progress: Callable[[float, str], None] = lambda _share, _words: None,
) -> dict[str, Any]:
    """Check a backup and put it into a home folder, holding its lock.

    The restored journal gets a new instance id at its next start, and every venue is asked what became of its orders.
    Live accounts stay closed there until a person consents again.
    A restore that is cut short leaves a home that refuses to start until it is done again.

    Args:
        home: The home folder; made when it is missing.
        backup: Folder of the backup.
        release: Of this program, for the lock.
        over: Take the place of a home that has a journal; its files are kept aside.
        progress: Told the share done and what is being done.

    Returns:
        `seq`, `instance` of the backup, `aside` (None when nothing was there) and `files`.

    Raises:
        EngineAlreadyRunningError: An engine runs there.
        ConflictError: The home is not empty and `over` was not said, or a paper venue runs there.
        StorageError: The backup is damaged, or a file cannot be written; what was there is kept.
    """
    problems = verify_backup(backup, lambda share, words: progress(0.7 * share, words))
    if problems:
        raise StorageError(
            f"The backup {backup} is damaged and was not restored: {' '.join(problems)}", details={"faults": problems}
        )
    manifest = read_manifest(backup)
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    with ExitStack() as held:
        held.enter_context(EngineLock.acquire(home, release=release))
        _hold_venue(home, held)
        there = _to_replace(home)
        if there and not over:
            raise ConflictError(
                f"{home} is not empty ({', '.join(sorted(path.name for path in there)[:5])}). Restore into another "
                "folder with --home, or say --over: what is there is then kept aside."
            )
        try:
            aside = _exchange(home, backup, Mark(manifest.seq, bytes.fromhex(manifest.head)), progress)
        except OSError as error:
            raise StorageError(
                f"The backup could not be put into {home}: {error}. Free space, then restore it again; what was there "
                "before is kept aside in it."
            ) from error
    return {
        "seq": manifest.seq,
        "instance": manifest.instance,
        "aside": str(aside) if aside is not None else None,
        "files": len(manifest.files),
    }


def _hold_venue(home: Path, held: ExitStack) -> None:
    try:
        owner = OwnerLock.acquire(paper_file(home), "a restore")
    except StorageError as error:
        raise ConflictError(f"{error.message} End it first: `quarterdeck venue sim stop`.") from error
    held.callback(owner.release)


def _to_replace(home: Path) -> list[Path]:
    passing = ("damaged-", "replaced-", ".restoring-")
    return [
        path
        for path in home.iterdir()
        if path.name not in STAYS and path.suffix != ".lock" and not path.name.startswith(passing)
    ]


def _exchange(home: Path, backup: Path, mark: Mark, progress: Callable[[float, str], None]) -> Path | None:
    """Put the files in place. Until the last step a start is refused: mark and journal do not fit."""
    now = stamp(SystemClock().now())
    for leftover in home.glob(".restoring-*"):
        shutil.rmtree(leftover)
    staged = home / f".restoring-{now}"
    progress(0.75, "copying")
    shutil.copytree(backup, staged)
    (staged / "manifest.json").unlink()
    # Backups of earlier releases hold it.
    (staged / CONSENTS).unlink(missing_ok=True)
    _sync_all(staged)
    marked = mark_path(home / "journal.db")
    there = _to_replace(home)
    if _unreadable(marked):
        # One fact more than the backup holds, so that journal and mark never fit.
        HighWaterMark.create(marked, Mark(mark.seq + 1, mark.hash))
    sync_folder(home)
    aside = None
    old = [path for path in there if path != marked]
    if old:
        aside = _new_folder(home / f"replaced-{now}")
        # The journal goes first and comes last.
        for path in sorted(old, key=lambda path: not path.name.startswith("journal.db")):
            path.rename(aside / path.name)
    progress(0.95, "putting in place")
    for path in sorted(staged.iterdir(), key=lambda path: path.name == "journal.db"):
        target = home / path.name
        if path.name == "candles" and target.exists():
            shutil.rmtree(target)
        path.rename(target)
    sync_folder(home)
    if aside is not None and marked in there:
        marked.rename(aside / marked.name)
    else:
        marked.unlink(missing_ok=True)
    staged.rmdir()
    sync_folder(home)
    return aside


def _sync_all(folder: Path) -> None:
    """Have every copied file on the disk before one of them takes its place: the mark that vouches for them goes."""
    for path in (folder, *folder.rglob("*")):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _new_folder(wanted: Path) -> Path:
    """Make a folder under a name that is not taken, as an earlier attempt of the same second may have done."""
    for count in range(2, 1000):
        try:
            wanted.mkdir(mode=0o700)
        except FileExistsError:
            wanted = wanted.with_name(f"{wanted.name.partition('_')[0]}_{count}")
        else:
            break
    return wanted


def _unreadable(marked: Path) -> bool:
    try:
        found = HighWaterMark.read(marked)
    except StateCorruptionError:
        return False
    return found is None or not found.seq
