"""Copies of a home folder, taken while the engine runs: each a folder with a manifest, made whole or not at all.

The journal is copied before the files of paper venues, so that a venue knows every execution that the journal knows.
What the venue has beyond it, a restored engine asks for as after any other interruption. Keys are copied as they are
kept, encrypted; consent to trade real money is not: whoever puts a backup back, perhaps on another machine, is asked.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import sqlite3
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from engine.control.live.consent import FILE as CONSENTS
from engine.control.moments import stamp
from engine.control.paper_venue import paper_files
from engine.control.views_records import BackupRow
from engine.errors import ConflictError, NotFoundError, QuarterdeckError, StorageError
from storage.journal.archive import archive_folder
from storage.journal.chain import last_link
from storage.journal.checkup import check_all
from storage.journal.damage import using
from storage.journal.recovery import snapshot_folder
from storage.journal.schema import connect, read_meta, sync_folder
from storage.journal.snapshots import SnapshotStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from engine.config import Settings

__all__ = ["Manifest", "backup_folder", "create_backup", "find_backup", "list_backups", "prune", "verify_backup"]

PREFIX = "backup-"
MANIFEST = "manifest.json"
VERSION = 1
LEFT_OUT = frozenset({"logs", "run", "backups", "candles", "recordings", "scenes", "engine.lock", CONSENTS})
"""What a home folder holds and a backup does not; candles only when they are asked for."""
_PAGES = 2_000
NS_PER_DAY = 86_400_000_000_000


class FileEntry(msgspec.Struct, frozen=True):
    """One file of a backup."""

    path: str
    size: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a backup holds."""

    version: int
    created: int
    """When it was begun, UTC nanoseconds."""
    release: str
    journal_id: str
    instance: str
    epoch: int
    seq: int
    """Number of the journal's last fact."""
    head: str
    """Hash of the chain there, in hex."""
    reports: str
    """Where the report database is when it is not in the backup; empty when it is, or when there was none."""
    candles: bool
    files: list[FileEntry]


def backup_folder(home: Path, settings: Settings) -> Path:
    """Where the backups of a home folder are."""
    return home / settings.backup.folder if settings.backup.folder is not None else home / "backups"


# --- making one ------------------------------------------------------------------------------------------------------


def create_backup(
    home: Path,
    settings: Settings,
    release: str,
    now: int,
    *,
    candles: bool = False,
    progress: Callable[[float, str], None] = lambda _share, _words: None,
) -> BackupRow:
    """Copy a home folder, with the engine running or not, and check what was copied.

    Args:
        home: The home folder.
        settings: Its settings.
        release: Of this program.
        now: UTC nanoseconds.
        candles: Copy stored candles as well.
        progress: Told the share done and what is being done.

    Raises:
        NotFoundError: There is no journal yet, so nothing worth a copy.
        ConflictError: Another backup is being made.
        StorageError: The disk is full, or a file cannot be read or written; no half-made backup is left.
    """
    if not (home / "journal.db").exists():
        raise NotFoundError(f"There is no journal in {home} yet; there is nothing to back up.")
    folder = backup_folder(home, settings)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _alone(folder):
        for leftover in folder.glob(f"{PREFIX}*.part"):
            shutil.rmtree(leftover)
        target = folder / f"{PREFIX}{stamp(now)}"
        if target.exists():
            raise ConflictError(f"The backup {target.name} exists already; wait a second.")
        unfinished = target.with_name(target.name + ".part")
        unfinished.mkdir(mode=0o700)
        try:
            manifest = _Copying(home, settings, unfinished, progress).all(release, now, candles=candles)
            _write(unfinished / MANIFEST, msgspec.json.format(msgspec.json.encode(manifest), indent=2))
            sync_folder(unfinished)
            unfinished.rename(target)
            sync_folder(folder)
        except (OSError, sqlite3.Error) as error:
            raise StorageError(
                f"The backup could not be made: {error}. Free space or name another folder (backup.folder), then try "
                "again; nothing half-made was left.",
                error_code="backup",
            ) from error
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
    return _row(target, manifest)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    descriptor = os.open(folder / ".lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as error:
        raise ConflictError(f"Another backup is being made in {folder}; wait for it.") from error
    finally:
        os.close(descriptor)


class _Copying:
    """One backup on its way."""

    def __init__(self, home: Path, settings: Settings, target: Path, progress: Callable[[float, str], None]) -> None:
        self._home = home
        self._settings = settings
        self._target = target
        self._progress = progress

    def all(self, release: str, now: int, *, candles: bool) -> Manifest:
        journal = self._home / "journal.db"
        # It brings the whole of SQLAlchemy along, which an engine that only lists backups need not wait for.
        from storage.connections import sqlite_path

        self._progress(0.0, "copying the journal")
        with using(journal):
            self._database(journal)
            with closing(connect(self._target / journal.name)) as connection:
                meta = read_meta(connection)
                seq, head = last_link(connection, meta.journal_id)
            self._progress(0.4, "copying archive and snapshots")
            # Whatever has left the file before it was copied is in a segment that was whole before that.
            self._folder(archive_folder(journal), lambda file: file.suffix in (".segment", ".json"))
            self._snapshots(journal, seq)
        self._progress(0.6, "copying the paper venues")
        papers, reports = paper_files(self._home), sqlite_path(self._settings.database, self._home)
        for paper in papers:
            self._database(paper)
        self._progress(0.7, "copying the reports")
        elsewhere = ""
        if self._settings.database.backend != "sqlite":
            elsewhere = "a PostgreSQL server; it can be made anew from the journal"
        elif reports.exists() and reports.parent == self._home:
            self._database(reports)
        self._rest({journal.name, reports.name, *(paper.name for paper in papers)}, candles=candles)
        for folder in self._target.rglob("*"):
            if folder.is_dir():
                folder.chmod(0o700)
        self._progress(0.9, "checking what was copied")
        for paper in papers:
            _check_database(self._target / paper.name)
        return Manifest(
            version=VERSION,
            created=now,
            release=release,
            journal_id=meta.journal_id,
            instance=meta.instance,
            epoch=meta.epoch,
            seq=seq,
            head=head.hex(),
            reports=elsewhere,
            candles=candles,
            files=[_entry(self._target, file) for file in sorted(self._target.rglob("*")) if file.is_file()],
        )

    def _database(self, source: Path) -> None:
        """Copy a SQLite file as it is at one moment, with what its log holds; writers go on meanwhile."""
        target = self._target / source.name
        os.close(os.open(target, os.O_CREAT | os.O_WRONLY, 0o600))
        address = f"{source.absolute().as_uri()}?mode=ro"
        with closing(sqlite3.connect(address, uri=True, timeout=10)) as old, closing(sqlite3.connect(target)) as new:
            # One read transaction around all of it: a copy that is made in pieces begins anew at every write.
            old.execute("BEGIN")
            old.execute("SELECT count(*) FROM sqlite_master").fetchone()
            old.backup(new, pages=_PAGES)
            old.execute("COMMIT")
            new.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        for suffix in ("-wal", "-shm"):
            target.with_name(target.name + suffix).unlink(missing_ok=True)
        _sync(target)

    def _snapshots(self, journal: Path, seq: int) -> None:
        store = SnapshotStore(snapshot_folder(journal))
        for number in store.numbers():
            if number <= seq:
                self._file(store.path(number), Path(snapshot_folder(journal).name) / store.path(number).name)

    def _folder(self, source: Path, wanted: Callable[[Path], bool] = lambda _: True) -> None:
        for file in sorted(source.rglob("*")) if source.is_dir() else ():
            if file.is_file() and wanted(file) and "__pycache__" not in file.parts:
                self._file(file, file.relative_to(self._home))

    def _rest(self, done: set[str], *, candles: bool) -> None:
        """Settings, strategies and whatever else a person keeps in the home folder."""
        for entry in sorted(self._home.iterdir()):
            known = entry.name.startswith(tuple(done)) or entry.name in (
                "journal.hwm", "journal.snapshots", "journal.archive",
            )  # fmt: skip
            passing = entry.suffix in (".new", ".part", ".lock") or entry.name.startswith(("damaged-", "replaced-"))
            if known or passing or (entry.name in LEFT_OUT and not (candles and entry.name == "candles")):
                continue
            if entry.is_dir():
                self._folder(entry)
            elif entry.is_file():
                self._file(entry, Path(entry.name))

    def _file(self, source: Path, relative: Path) -> None:
        target = self._target / relative
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            shutil.copyfile(source, target)
        except FileNotFoundError:
            # An old snapshot may go while it is being copied; the facts tell the same.
            return
        target.chmod(0o600)
        _sync(target)


def _write(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    path.chmod(0o600)
    _sync(path)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _entry(folder: Path, file: Path) -> FileEntry:
    return FileEntry(file.relative_to(folder).as_posix(), file.stat().st_size, _sha256(file))


def _sha256(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _check_database(file: Path) -> None:
    if not file.exists():
        return
    with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro&immutable=1", uri=True)) as connection:
        verdict = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    if verdict != "ok":
        raise StorageError(f"{file.name} is damaged: {verdict}.", error_code="damaged")


# --- what there is ---------------------------------------------------------------------------------------------------


def read_manifest(backup: Path) -> Manifest:
    """Read what a backup holds.

    Raises:
        StorageError: It has none, or a newer release made it.
    """
    try:
        found = msgspec.json.decode((backup / MANIFEST).read_bytes(), type=Manifest)
    except (OSError, msgspec.MsgspecError) as error:
        raise StorageError(f"{backup} is no backup that can be read: {error}.") from error
    if found.version > VERSION:
        raise StorageError(f"{backup} was made by a newer release; install that one to use it.")
    return found


def _row(backup: Path, manifest: Manifest) -> BackupRow:
    return BackupRow(
        name=backup.name,
        path=str(backup),
        created=manifest.created,
        release=manifest.release,
        instance=manifest.instance,
        seq=manifest.seq,
        files=len(manifest.files),
        bytes=sum(entry.size for entry in manifest.files),
        candles=manifest.candles,
    )


def list_backups(home: Path, settings: Settings) -> list[BackupRow]:
    """All backups, the newest first; a folder without a manifest that can be read is shown with its problem."""
    folder = backup_folder(home, settings)
    rows: list[BackupRow] = []
    for path in sorted(folder.glob(f"{PREFIX}*"), reverse=True) if folder.is_dir() else ():
        if not path.is_dir() or path.suffix == ".part":
            continue
        try:
            rows.append(_row(path, read_manifest(path)))
        except StorageError as error:
            created = int(path.stat().st_mtime) * 10**9
            rows.append(BackupRow(name=path.name, path=str(path), created=created, problem=error.message))
    return rows


def find_backup(home: Path, settings: Settings, name: str) -> Path:
    """A backup by its name, `latest`, or the path of its folder.

    Raises:
        NotFoundError: There is none.
    """
    if name == "latest":
        whole = [row for row in list_backups(home, settings) if not row.problem]
        if not whole:
            raise NotFoundError(f"There is no backup in {backup_folder(home, settings)}.")
        return Path(whole[0].path)
    for path in (backup_folder(home, settings) / name, Path(name).expanduser().absolute()):
        if (path / MANIFEST).exists():
            return path
    raise NotFoundError(f"There is no backup {name}; `quarterdeck backup list` shows those there are.")


def verify_backup(backup: Path, progress: Callable[[float, str], None] = lambda _share, _words: None) -> list[str]:
    """Check every file of a backup, every fact of its journal, and its databases.

    Returns:
        What is wrong with it, a sentence each; empty when it is whole.

    Raises:
        StorageError: It cannot be read at all.
    """
    manifest, problems = read_manifest(backup), []
    progress(0.0, "comparing checksums")
    for entry in manifest.files:
        file = backup / entry.path
        if not file.is_file():
            problems.append(f"{entry.path} is missing.")
        elif file.stat().st_size != entry.size or _sha256(file) != entry.sha256:
            problems.append(f"{entry.path} is not what was copied.")
    if problems:
        return problems
    progress(0.3, "checking the facts")
    try:
        found = check_all(backup / "journal.db", lambda done, of: progress(0.3 + 0.6 * done / max(of, 1), "checking"))
        problems += found.problems
        if (found.facts, found.head) != (manifest.seq, manifest.head):
            problems.append(f"The journal ends at fact {found.facts}, not at {manifest.seq} as the manifest says.")
        for paper in paper_files(backup):
            _check_database(paper)
    except (QuarterdeckError, sqlite3.Error) as error:
        problems.append(str(error))
    finally:
        for suffix in ("-wal", "-shm"):
            (backup / f"journal.db{suffix}").unlink(missing_ok=True)
    return problems


# --- keeping some ----------------------------------------------------------------------------------------------------


def kept(rows: list[BackupRow], daily: int, weekly: int, monthly: int) -> set[str]:
    """Names of the backups to keep: the newest of each of so many days, weeks and months that have one."""
    names: set[str] = {rows[0].name} if rows else set()
    for count, part in ((daily, 1), (weekly, 7), (monthly, 30)):
        newest: dict[int, str] = {}
        for row in sorted(rows, key=lambda row: row.created, reverse=True):
            newest.setdefault(row.created // (part * NS_PER_DAY), row.name)
        names |= {newest[key] for key in sorted(newest, reverse=True)[:count]}
    return names


def prune(home: Path, settings: Settings) -> list[str]:
    """Remove backups that are not to be kept; those that cannot be read are left alone.

    Returns:
        Names of those removed.
    """
    wanted = settings.backup
    rows = [row for row in list_backups(home, settings) if not row.problem]
    keep = kept(rows, wanted.keep_daily, wanted.keep_weekly, wanted.keep_monthly)
    gone = [row for row in rows if row.name not in keep]
    for row in gone:
        # Under another name first: a removal that is cut short leaves nothing that looks like a backup.
        path = Path(row.path)
        leaving = path.with_name(path.name + ".part")
        path.rename(leaving)
        shutil.rmtree(leaving)
    return [row.name for row in gone]
