"""Bring a database to a version of the schema, forward or back, with a copy of the SQLite file first."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util.exc import CommandError

from engine.errors import QuarterdeckError, StorageError
from storage.connections import sqlite_path
from storage.database import utc_from_ns
from storage.failures import translate

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

    from storage.database import Database

__all__ = ["MigrationReport", "SchemaVersion", "downgrade", "migrate", "require_current", "schema_version"]

_FOLDER = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class SchemaVersion:
    """Where the schema is and where this program wants it."""

    current: str | None
    """None: the database is empty."""
    target: str

    @property
    def is_current(self) -> bool:
        """True when nothing is to be done."""
        return self.current == self.target


@dataclass(frozen=True, slots=True)
class MigrationReport:
    """What a migration did."""

    before: str | None
    after: str | None
    backup: Path | None
    """Copy of the SQLite file as it was; None when none was needed."""

    @property
    def changed(self) -> bool:
        """True when the schema moved."""
        return self.before != self.after


async def schema_version(database: Database) -> SchemaVersion:
    """Ask which version the database has and which one this program wants.

    Raises:
        StorageUnavailableError: The database cannot be reached.
    """

    def current(connection: Connection) -> str | None:
        return MigrationContext.configure(connection).get_current_revision()

    target = await asyncio.to_thread(_head)
    async with database.reading() as session:
        connection = await session.connection()
        return SchemaVersion(await connection.run_sync(current), target)


async def require_current(database: Database) -> None:
    """Check that the schema fits the program.

    Raises:
        StorageError: It does not; the message says what to run.
    """
    version = await schema_version(database)
    if not version.is_current:
        raise StorageError(
            f"The database {database.place} has schema {version.current or 'none'}, this program needs "
            f"{version.target}; run `quarterdeck storage migrate`.",
            error_code="schema",
        )


async def migrate(database: Database, revision: str = "head") -> MigrationReport:
    """Bring the schema forward to a revision; the steps run in a thread of their own, in one transaction.

    An existing SQLite file is copied first (unless the settings say otherwise). Cancelling does not stop the thread.

    Raises:
        StorageError: A step failed and was undone, or the schema is newer than this program.
        StorageUnavailableError: The database cannot be reached.
    """
    return await _move(database, revision, back=False)


async def downgrade(database: Database, revision: str) -> MigrationReport:
    """Take the schema back to a revision (`base` removes everything), with a copy of the SQLite file first.

    Raises:
        StorageError: A step failed and was undone, or the revision is not known.
    """
    return await _move(database, revision, back=True)


async def _move(database: Database, revision: str, *, back: bool) -> MigrationReport:
    before = await schema_version(database)
    if not back and revision == "head" and before.is_current:
        return MigrationReport(before.current, before.current, None)
    await asyncio.to_thread(_refuse_unknown, before.current, database.place)
    backup = None
    if (
        before.current is not None
        and database.settings.backend == "sqlite"
        and database.settings.backup_before_migrating
    ):
        backup = await asyncio.to_thread(_copy, database, before.current)
    try:
        await asyncio.to_thread(_run, database, revision, back)
    except QuarterdeckError:
        raise
    except CommandError as error:
        raise StorageError(f"The schema of {database.place} was not changed: {error}.", error_code="schema") from error
    except Exception as error:
        cause = translate(error)
        kept = f" A copy from before is at {backup}." if backup else ""
        raise StorageError(
            f"The schema of {database.place} stays at {before.current or 'none'}; a step failed: {cause.message}{kept}",
            error_code="migration",
        ) from error
    return MigrationReport(before.current, (await schema_version(database)).current, backup)


def _config(database: Database | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    if database is not None:
        config.attributes.update(settings=database.settings, home=database.home)
    return config


def _head() -> str:
    head = ScriptDirectory.from_config(_config()).get_current_head()
    if head is None:
        raise StorageError("The program's own migrations are missing; install it again.", error_code="schema")
    return head


def _refuse_unknown(current: str | None, place: str) -> None:
    known = {step.revision for step in ScriptDirectory.from_config(_config()).walk_revisions()}
    if current is not None and current not in known:
        raise StorageError(
            f"The database {place} has schema {current}, which is newer than this program; start the newer program, or "
            "restore a copy from the `backups` folder.",
            error_code="schema",
        )


def _run(database: Database, revision: str, back: bool) -> None:
    config = _config(database)
    if back:
        command.downgrade(config, revision)
    else:
        command.upgrade(config, revision)


def _copy(database: Database, revision: str) -> Path:
    """Copy the SQLite file with what its write-ahead log holds, and check the copy."""
    source = sqlite_path(database.settings, database.home)
    folder = database.home / "backups"
    folder.mkdir(parents=True, exist_ok=True)
    stamp = utc_from_ns(database.clock.now()).strftime("%Y%m%dT%H%M%S%fZ")
    target = folder / f"{source.stem}-{revision}-{stamp}.db"
    unfinished = target.with_suffix(".part")
    with contextlib.closing(sqlite3.connect(source)) as old, contextlib.closing(sqlite3.connect(unfinished)) as new:
        old.backup(new)
        verdict = new.execute("PRAGMA quick_check").fetchone()[0]
    if verdict != "ok":
        unfinished.unlink()
        raise StorageError(
            f"The database {database.place} is damaged ({verdict}) and was not migrated; restore a copy from {folder}.",
            error_code="damaged",
        )
    unfinished.replace(target)
    target.chmod(0o600)
    return target
