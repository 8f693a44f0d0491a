"""How a connection is made: the address from the settings, the pool, and what each SQLite connection is told first."""

from __future__ import annotations

import importlib.util
import json
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import URL, event
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from engine.errors import ConfigurationError, DataValidationError
from storage.types import decimal_key

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy.engine import Connection

    from storage.settings import DatabaseSettings

__all__ = ["ACCESS", "build_engine", "database_url", "sqlite_path"]

ACCESS = "quarterdeck_access"
"""Execution option that says how a transaction begins: `read`, `write`, or `schema` for a migration."""


def sqlite_path(settings: DatabaseSettings, home: Path) -> Path:
    """Tell where the SQLite file is."""
    return home / (settings.sqlite_file or "quarterdeck.db")


def database_url(settings: DatabaseSettings, home: Path) -> URL:
    """Build the address from the settings alone. Printing it hides the password."""
    if settings.backend == "sqlite":
        return URL.create("sqlite+aiosqlite", database=str(sqlite_path(settings, home)))
    password = settings.postgresql_password
    return URL.create(
        "postgresql+asyncpg",
        username=settings.postgresql_username,
        password=password.get_secret_value() if password else None,
        host=settings.postgresql_host,
        port=settings.postgresql_port,
        database=settings.postgresql_database,
    )


def build_engine(settings: DatabaseSettings, home: Path, *, pooled: bool = True) -> AsyncEngine:
    """Make an engine; nothing is connected yet.

    Args:
        settings: Which backend, and how many connections.
        home: The home folder, for a relative SQLite file.
        pooled: False opens and closes a connection for each use, as a migration in its own thread needs.

    Raises:
        ConfigurationError: The PostgreSQL driver is not installed.
    """
    options: dict[str, Any] = {
        "hide_parameters": True,
        "json_serializer": _write_json,
        "json_deserializer": _read_json,
    }
    if not pooled:
        options["poolclass"] = NullPool
    url = database_url(settings, home)
    if settings.backend == "sqlite":
        if pooled:
            options |= {
                "pool_size": settings.sqlite_readers + 1,
                "max_overflow": 0,
                "pool_timeout": settings.pool_timeout,
            }
        engine = create_async_engine(url, connect_args={"timeout": settings.sqlite_busy_timeout}, **options)
        _prepare_sqlite(engine, settings)
        return engine
    if importlib.util.find_spec("asyncpg") is None:
        raise ConfigurationError(
            "database.backend is postgresql, but its driver is missing; install the extra `quarterdeck[postgres]`."
        )
    if pooled:
        options |= {
            "pool_size": settings.postgresql_pool_size,
            "max_overflow": settings.overflow,
            "pool_timeout": settings.pool_timeout,
            "pool_pre_ping": True,
        }
    arguments = {
        "timeout": settings.connect_timeout,
        "command_timeout": settings.statement_timeout,
        "server_settings": {"application_name": "quarterdeck", "timezone": "UTC"},
    }
    return create_async_engine(url, connect_args=arguments, **options)


def _prepare_sqlite(engine: AsyncEngine, settings: DatabaseSettings) -> None:
    """Make every connection enforce foreign keys, wait when busy and begin its transactions as they are meant."""

    @event.listens_for(engine.sync_engine, "connect")
    def _connected(connection: Any, _record: Any) -> None:
        # The driver's own transaction handling is off: `_begin` below says when and how a transaction starts.
        connection.isolation_level = None
        connection.create_function("decimal_key", 1, decimal_key, deterministic=True)
        cursor = connection.cursor()
        for pragma in (
            f"busy_timeout = {int(settings.sqlite_busy_timeout * 1000)}",
            "journal_mode = WAL",
            "synchronous = FULL",
            "foreign_keys = ON",
        ):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def _begin(connection: Connection) -> None:
        access = connection.get_execution_options().get(ACCESS, "write")
        # Rebuilding a table drops it, which with foreign keys on would delete the rows that point to it.
        for key, wanted in (("query_only", access == "read"), ("foreign_keys", access != "schema")):
            if connection.info.get(key) is not wanted:
                connection.exec_driver_sql(f"PRAGMA {key} = {'ON' if wanted else 'OFF'}")
                connection.info[key] = wanted
        # A writer takes its lock at once; one that read first could not wait for another writer any more.
        connection.exec_driver_sql("BEGIN" if access == "read" else "BEGIN IMMEDIATE")


def _write_json(value: Any) -> str:
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_plain)
    except (TypeError, ValueError) as error:
        raise DataValidationError(f"A JSON column cannot hold this value: {error}. Use plain finite values.") from error


def _read_json(text: str | bytes) -> Any:
    return json.loads(text)


def _plain(value: object) -> str:
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, UUID):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")
