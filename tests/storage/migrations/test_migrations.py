"""The schema goes forward and back on both backends, equals the models, and an old file is copied first."""

from __future__ import annotations

import sqlite3
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from engine.errors import StorageError
from storage import tables as t
from storage.connections import build_engine
from storage.database import Database
from storage.migrations import helpers, runner
from storage.repositories.repository import Repository
from storage.settings import DatabaseSettings
from tests.storage import rows

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy.engine import Connection

    from engine.clock import SimulatedClock

STEP = """
import sqlalchemy as sa
from alembic import op
revision, down_revision, branch_labels, depends_on = "002", "001", None, None

def upgrade():
    op.create_table("half_done", sa.Column("id", sa.Integer(), primary_key=True))
    {action}

def downgrade():
    op.drop_table("half_done")
"""


def schema_of(connection: Connection) -> dict[str, Any]:
    inspector = sa.inspect(connection)
    return {
        table: {
            "columns": {(c["name"], str(c["type"]), c["nullable"]) for c in inspector.get_columns(table)},
            "checks": {(c["name"], c["sqltext"]) for c in inspector.get_check_constraints(table)},
            "uniques": {(c["name"], *c["column_names"]) for c in inspector.get_unique_constraints(table)},
            "foreign": {
                (c["name"], *c["constrained_columns"], c["referred_table"], c["options"].get("ondelete"))
                for c in inspector.get_foreign_keys(table)
            },
            "indexes": {(i["name"], *i["column_names"], bool(i["unique"])) for i in inspector.get_indexes(table)},
            "key": inspector.get_pk_constraint(table)["name"],
        }
        for table in inspector.get_table_names()
        if table != "alembic_version"
    }


async def read_schema(database: Database) -> dict[str, Any]:
    async with database.reading() as session:
        return await (await session.connection()).run_sync(schema_of)


def unmigrated(settings: DatabaseSettings, home: Path) -> Database:
    """A database that is open and that no migration has touched."""
    database = Database(settings, home)
    database._engine = build_engine(settings, home)
    return database


async def test_the_migrations_make_exactly_what_the_models_describe(
    fresh_settings: DatabaseSettings, tmp_path: Path
) -> None:
    database = unmigrated(fresh_settings, tmp_path)
    async with database:
        async with database.session() as session:
            await (await session.connection()).run_sync(t.METADATA.create_all)
        described = await read_schema(database)
        async with database.session() as session:
            await (await session.connection()).run_sync(t.METADATA.drop_all)
        report = await runner.migrate(database)
        assert (report.before, report.after, report.backup) == (None, "004", None)
        assert await read_schema(database) == described
        assert set(described) == {str(model.__tablename__) for model in t.ALL_TABLES}


async def test_autogenerate_finds_nothing_to_do(database: Database) -> None:
    def difference(connection: Connection) -> list[Any]:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        return list(compare_metadata(context, t.METADATA))

    async with database.reading() as session:
        assert await (await session.connection()).run_sync(difference) == []


async def test_the_schema_goes_forward_back_and_forward_again(fresh_settings: DatabaseSettings, tmp_path: Path) -> None:
    async with Database(fresh_settings, tmp_path) as database:
        first = await read_schema(database)
        assert (await runner.migrate(database)).changed is False
        down = await runner.downgrade(database, "base")
        assert (down.before, down.after) == ("004", None)
        assert await read_schema(database) == {}
        if fresh_settings.backend == "postgresql":
            async with database.reading() as session:
                left = await session.execute(
                    sa.text("SELECT proname FROM pg_proc WHERE proname = 'refuse_audit_change'")
                )
                assert left.all() == []
        with pytest.raises(StorageError, match="quarterdeck storage migrate"):
            await runner.require_current(database)
        assert (await runner.migrate(database)).after == "004"
        assert await read_schema(database) == first
        async with database.reading() as session:
            operator = await Repository(session, t.UserRow).require(t.LOCAL_OPERATOR_ID)
        assert (operator.username, operator.is_active, operator.password_hash) == ("operator", True, None)


async def test_an_older_database_may_not_be_opened_when_migrating_is_off(tmp_path: Path) -> None:
    settings = DatabaseSettings(migrate_at_start=False)
    with pytest.raises(StorageError, match="has schema none, this program needs 004") as refusal:
        await Database(settings, tmp_path).open()
    assert refusal.value.error_code == "schema"


async def test_a_database_of_a_newer_program_is_refused_untouched(settings: DatabaseSettings, tmp_path: Path) -> None:
    database = Database(settings, tmp_path)
    await database.open(migrate=False)
    async with database:
        before = (await runner.schema_version(database)).current
        async with database.session() as session:
            await session.execute(sa.text("UPDATE alembic_version SET version_num = '999'"))
        try:
            with pytest.raises(StorageError, match="newer than this program"):
                await runner.migrate(database)
        finally:
            async with database.session() as session:
                await session.execute(sa.text("UPDATE alembic_version SET version_num = :before"), {"before": before})


@pytest.fixture
def add_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Add a second step that makes a table and then does this."""
    folder = tmp_path / "steps"
    (folder / "versions").mkdir(parents=True)
    for name in ("env.py", "versions/001_initial_schema.py"):
        (folder / name).write_text((Path(runner.__file__).parent / name).read_text())
    monkeypatch.setattr(runner, "_FOLDER", folder)

    def write(action: str) -> None:
        (folder / "versions" / "002_next.py").write_text(STEP.format(action=action))

    return write


async def test_a_file_is_copied_before_its_schema_changes(
    add_step: Callable[[str], None], tmp_path: Path, clock: SimulatedClock
) -> None:
    home = tmp_path / "home"
    async with Database(DatabaseSettings(), home, clock) as database:
        async with database.session() as session:
            await Repository(session, t.TradeRow).add(rows.trade())
        add_step("pass")
        report = await runner.migrate(database)
        assert (report.before, report.after) == ("001", "002")
        assert "half_done" in await read_schema(database)
    assert report.backup is not None
    assert report.backup.parent == home / "backups"
    assert report.backup.name == "quarterdeck-001-20231114T221320000000Z.db"
    copy = sqlite3.connect(report.backup)
    assert copy.execute("SELECT count(*) FROM trades").fetchone() == (1,)
    assert copy.execute("SELECT version_num FROM alembic_version").fetchone() == ("001",)
    copy.close()
    assert [path.name for path in (home / "backups").iterdir()] == [report.backup.name]


@pytest.mark.parametrize(
    "action", ["raise RuntimeError('no')", "op.execute('INSERT INTO nowhere VALUES (1)')"], ids=["raises", "bad SQL"]
)
async def test_a_step_that_fails_leaves_the_schema_as_it_was(
    add_step: Callable[[str], None], action: str, fresh_settings: DatabaseSettings, tmp_path: Path
) -> None:
    async with Database(fresh_settings, tmp_path / "home") as database:
        add_step(action)
        with pytest.raises(StorageError, match="stays at 001") as failure:
            await runner.migrate(database)
        assert ("backups" in failure.value.message) == (fresh_settings.backend == "sqlite")
        assert "half_done" not in await read_schema(database)
        assert (await runner.schema_version(database)).current == "001"


async def test_rebuilding_a_table_on_sqlite_keeps_the_rows_that_point_to_it(
    add_step: Callable[[str], None], tmp_path: Path
) -> None:
    rebuild = (
        'with op.batch_alter_table("backtest_runs", recreate="always") as batch:\n'
        '        batch.add_column(sa.Column("note", sa.String(20)))'
    )
    async with Database(DatabaseSettings(), tmp_path / "home") as database:
        run = rows.run()
        async with database.session() as session:
            await Repository(session, t.BacktestRunRow).add(run)
            await Repository(session, t.BacktestEquityRow).add(
                t.BacktestEquityRow(run_id=run.id, ts_ns=1, equity=Decimal(1))
            )
        add_step(rebuild)
        await runner.migrate(database)
        async with database.session() as session:
            assert await Repository(session, t.BacktestEquityRow).count() == 1
            await Repository(session, t.BacktestRunRow).delete(run.id)
            assert await Repository(session, t.BacktestEquityRow).count() == 0


async def test_a_step_that_leaves_a_row_pointing_nowhere_is_undone(
    add_step: Callable[[str], None], tmp_path: Path
) -> None:
    async with Database(DatabaseSettings(), tmp_path / "home") as database:
        bot = rows.bot()
        async with database.session() as session:
            await Repository(session, t.BotInstanceRow).add(bot)
            await Repository(session, t.TradeRow).add(rows.trade(bot_id=bot.id))
        add_step('op.execute("DELETE FROM bot_instances")')
        with pytest.raises(StorageError, match="stays at 001") as failure:
            await runner.migrate(database)
        assert "do not exist" in str(failure.value.__cause__)
        async with database.reading() as session:
            assert await Repository(session, t.BotInstanceRow).count() == 1


async def test_rows_are_transformed_batch_by_batch_in_a_data_migration(database: Database) -> None:
    async with database.session() as session:
        await Repository(session, t.TradeRow).add_many([rows.trade(symbol=f"S{n}/USDT") for n in range(25)])
    table = sa.table("trades", sa.column("id", sa.Uuid()), sa.column("symbol", sa.String()))

    def change(row: Any) -> dict[str, str] | None:
        return {"symbol": row["symbol"].lower()} if int(row["symbol"][1:-5]) % 2 else None

    async with database.session() as session:
        connection = await session.connection()
        changed = await connection.run_sync(lambda sync: helpers.transform_rows(sync, table, change, batch=10))
        found = {row.symbol for row in await Repository(session, t.TradeRow).find()}
    assert changed == 12
    assert found == {f"s{n}/usdt" if n % 2 else f"S{n}/USDT" for n in range(25)}
