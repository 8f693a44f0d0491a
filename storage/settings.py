"""Settings of the SQL database: which backend, where it is, how many connections, how long to wait."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

__all__ = ["POOL_CEILING", "DatabaseSettings"]

POOL_CEILING = 20
"""No more connections than this are ever open at once."""


class DatabaseSettings(BaseModel):
    """The `database` group. Passwords are secrets and never shown."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    backend: Literal["sqlite", "postgresql"] = "sqlite"
    """Where tables live: a file in the home folder, or a PostgreSQL server."""
    sqlite_file: Path | None = None
    """Database file; None means `quarterdeck.db` in the home folder, a relative path is taken from there."""
    sqlite_readers: int = Field(default=4, ge=1, le=POOL_CEILING - 1)
    """Connections that read at the same time, beside the one writer."""
    sqlite_busy_timeout: float = Field(default=5.0, gt=0, le=60)
    """Seconds to wait for another process that is writing."""
    postgresql_host: str = "localhost"
    """Name or address of the server."""
    postgresql_port: int = Field(default=5432, ge=1, le=65535)
    """Port of the server."""
    postgresql_database: str = "trading_bot"
    """Name of the database; it must exist."""
    postgresql_username: str | None = None
    """Required when the backend is postgresql."""
    postgresql_password: SecretStr | None = None
    """None when the server trusts the connection (a local socket, a client certificate)."""
    postgresql_pool_size: int = Field(default=10, ge=5, le=POOL_CEILING)
    """Connections kept open."""
    postgresql_max_overflow: int = Field(default=20, ge=0, le=POOL_CEILING)
    """Further connections in a burst; pool size and overflow together never exceed 20."""
    connect_timeout: float = Field(default=5.0, gt=0, le=60)
    """Seconds for opening one connection."""
    pool_timeout: float = Field(default=10.0, gt=0, le=300)
    """Seconds to wait for a free connection (on SQLite: for the writer's turn) before reporting exhaustion."""
    statement_timeout: float = Field(default=60.0, gt=0, le=3600)
    """Seconds one PostgreSQL statement may take."""
    slow_query_ms: float = Field(default=100.0, gt=0)
    """Queries slower than this (milliseconds) are logged with their shape."""
    migrate_at_start: bool = True
    """Bring an older database up to date at start; off, an older one is refused with the command to run."""
    backup_before_migrating: bool = True
    """Copy a SQLite file to `backups/` in the home folder before its schema changes."""

    @property
    def overflow(self) -> int:
        """The overflow in force, held under the ceiling of 20 connections."""
        return min(self.postgresql_max_overflow, POOL_CEILING - self.postgresql_pool_size)

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.backend == "postgresql" and not self.postgresql_username:
            raise ValueError("postgresql_username is required when backend is postgresql")
        return self
