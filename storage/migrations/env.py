"""Alembic's environment: runs the steps over our own asynchronous engine, inside the caller's thread."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import sqlalchemy as sa
from alembic import context

from engine.errors import ConfigurationError
from storage.connections import ACCESS, build_engine
from storage.settings import DatabaseSettings
from storage.tables import METADATA
from storage.types import BoundedText, DecimalText, FiniteFloat, UtcDateTime, WordText

if TYPE_CHECKING:
    from alembic.autogenerate.api import AutogenContext
    from sqlalchemy.engine import Connection

_LOCK = 7_203_414_909
"""Key of the PostgreSQL advisory lock that lets one process migrate at a time."""


def _render(kind: str, item: Any, _context: AutogenContext) -> str | Literal[False]:
    """Write plain types into new steps, so that a step never changes when the product's types do."""
    if kind != "type":
        return False
    if isinstance(item, DecimalText):
        return 'sa.String(64).with_variant(sa.Numeric(38, 18), "postgresql")'
    if isinstance(item, UtcDateTime):
        return "sa.DateTime(timezone=True)"
    if isinstance(item, BoundedText):
        return f"sa.String({item.length})"
    if isinstance(item, WordText):
        return "sa.String(32)"
    if isinstance(item, FiniteFloat):
        return "sa.Float()"
    return False


def _run(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=METADATA,
        render_as_batch=True,
        compare_type=True,
        render_item=_render,
        # SQLite can undo schema changes too, once its transactions are begun explicitly as ours are.
        transactional_ddl=True,
        transaction_per_migration=False,
    )
    with context.begin_transaction():
        if connection.dialect.name == "postgresql":
            connection.execute(sa.text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
        context.run_migrations()
        if connection.dialect.name == "sqlite":
            _check_references(connection)


def _check_references(connection: Connection) -> None:
    """Refuse a step that left a row pointing nowhere: foreign keys are not enforced while tables are rebuilt."""
    broken = connection.exec_driver_sql("PRAGMA foreign_key_check").fetchall()
    if broken:
        raise RuntimeError(f"{len(broken)} rows of table {broken[0][0]} refer to rows that do not exist")


async def _migrate() -> None:
    settings = context.config.attributes.get("settings")
    home = context.config.attributes.get("home")
    if settings is None or home is None:
        given = context.get_x_argument(as_dictionary=True).get("home")
        if not given:
            raise ConfigurationError(
                "Alembic was not told which database to use; run `quarterdeck storage migrate`, or pass -x home=FOLDER."
            )
        settings, home = DatabaseSettings(), Path(given)
    engine = build_engine(settings, home, pooled=False).execution_options(**{ACCESS: "schema"})
    try:
        async with engine.connect() as connection:
            await connection.run_sync(_run)
            await connection.commit()
    finally:
        await engine.dispose()


asyncio.run(_migrate())
