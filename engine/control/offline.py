"""Operations without an engine: what commands do with a home folder's candles, backtests, strategies and settings.

It runs beside an engine of the same home as well: candles and reports are shared files with locks of their own, and
the journal is never touched. What needs an engine says so.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from engine.clock import SystemClock
from engine.config import json_schema, load_settings
from engine.logs import configure_logs

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

    from engine.config import Settings

__all__ = ["Offline", "home_paths", "migrate_storage", "named_backup", "offline", "settings_schema", "settings_values"]


class Offline:
    """Runs operations in a context without an engine; see `offline`."""

    def __init__(self, home: Path, settings: Settings) -> None:
        from engine.control.context import Context
        from engine.control.jobs import Jobs
        from engine.control.library import strategy_defaults
        from engine.control.reports import Reports
        from engine.control.service import Service
        from engine.strategy.loader import StrategyRegistry
        from storage.candles import CandleStore

        clock = SystemClock()
        registry = StrategyRegistry(home / "strategies")
        registry.set_defaults(*strategy_defaults(settings))
        self.context = Context(
            home=home,
            settings=settings,
            clock=clock,
            strategies=registry,
            candles=CandleStore(home / "candles"),
            reports=Reports(settings.database, home, clock),
            jobs=Jobs(home, clock),
            actor="command line",
        )
        self._service = Service(self.context)

    async def call(self, operation: str, params: Mapping[str, Any] | None = None) -> Any:
        """Run an operation and return its reply; raises what the operation refuses with."""
        return await self._service.call(operation, params)

    async def close(self) -> None:
        """End jobs and close the report database."""
        if self.context.jobs is not None:
            await self.context.jobs.close()
        if self.context.reports is not None:
            await self.context.reports.close()
        if self.context.vault is not None:
            self.context.vault.close()


@asynccontextmanager
async def offline(home: Path) -> AsyncIterator[Offline]:
    """The operations of a home folder for the time of a command.

    Args:
        home: Home folder; it exists.

    Raises:
        ConfigurationError: Its settings cannot be used.
    """
    settings = load_settings(home)
    # A file of its own: an engine of this home rotates its log files itself.
    configure_logs(home / "logs", settings.logging, SystemClock(), "commands")
    host = Offline(home, settings)
    try:
        yield host
    finally:
        await host.close()


# --- settings and places ---------------------------------------------------------------------------------------------


def settings_values(home: Path) -> dict[str, Any]:
    """All settings in force as plain values by group, secrets masked.

    Raises:
        ConfigurationError: They cannot be used; every fault is listed with its source.
    """
    return load_settings(home).model_dump(mode="json")


def settings_schema() -> dict[str, Any]:
    """The JSON Schema of all settings."""
    return json_schema()


def home_paths(home: Path) -> dict[str, str]:
    """Where everything of a home folder is, by what it is."""
    settings = load_settings(home)
    database = settings.database
    reports = str(home / (database.sqlite_file or "quarterdeck.db"))
    if database.backend == "postgresql":
        host, port = database.postgresql_host, database.postgresql_port
        reports = f"postgresql at {host}:{port}/{database.postgresql_database}"
    return {
        "home": str(home),
        "settings": str(home / "config.toml"),
        "journal": str(home / "journal.db"),
        "snapshots": str(home / "journal.snapshots"),
        "archive": str(home / "journal.archive"),
        "paper venue": str(home / "paper.db"),
        "reports": reports,
        "candles": str(home / "candles"),
        "strategies": str(home / "strategies"),
        "logs": str(home / "logs"),
        "backups": str(home / (settings.backup.folder or "backups")),
    }


def named_backup(home: Path, name: str) -> Path:
    """The folder of a backup of a home folder, by its name, `latest`, or a path.

    Raises:
        NotFoundError: There is none.
        ConfigurationError: The settings cannot be used.
    """
    from engine.control.backups import find_backup

    return find_backup(home, load_settings(home), name)


async def migrate_storage(home: Path) -> dict[str, str | None]:
    """Bring the report database's schema up to date, with a copy of the SQLite file first.

    Returns:
        `place`, and the schema `before` and `after`; `backup` is the copy, None when there was nothing to change.

    Raises:
        StorageError: It cannot be reached, is newer than this program, or a step failed and was undone.
    """
    from storage.database import Database

    database = Database(load_settings(home).database, home)
    await database.open(migrate=True)
    await database.close()
    done = database.migration
    return {
        "place": database.place,
        "before": done.before if done is not None else None,
        "after": done.after if done is not None else None,
        "backup": str(done.backup) if done is not None and done.backup is not None else None,
    }
