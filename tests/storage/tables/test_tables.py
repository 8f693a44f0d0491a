"""The tables: what they accept, what they refuse, and that both backends agree."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from engine.errors import DataValidationError, StorageError
from storage import tables as t
from storage.repositories.query import columns_of
from storage.repositories.repository import Repository
from tests.storage import rows

if TYPE_CHECKING:
    from collections.abc import Callable

    from storage.database import Database


async def keep(database: Database, *new: t.Record) -> None:
    async with database.session() as session:
        for row in new:
            await Repository(session, type(row)).add(row)


def values(row: t.Record) -> dict[str, object]:
    return {name: getattr(row, name) for name in columns_of(type(row))}


async def test_every_table_takes_gives_back_changes_and_removes_a_row(database: Database) -> None:
    bot, run = rows.bot(), rows.run()
    await keep(database, bot, run)
    examples = rows.examples(bot.id, run.id)
    assert {type(row) for row in examples} | {t.BotInstanceRow, t.BacktestRunRow} == set(t.ALL_TABLES)
    for row in examples:
        model = type(row)
        await keep(database, row)
        async with database.reading() as session:
            found = await Repository(session, model).require(row.id)
        assert values(found) == values(row), model
        if model is t.AuditLogRow:
            continue
        text = next(name for name, column in columns_of(model).items() if name != "id" and not column.nullable)
        async with database.session() as session:
            same = getattr(row, text)
            if text not in {"created_at", "updated_at"}:
                await Repository(session, model).update(row.id, **{text: same})
            assert await Repository(session, model).delete(row.id)
        async with database.reading() as session:
            assert await Repository(session, model).get(row.id) is None


BROKEN: dict[str, Callable[[], t.Record]] = {
    "quantity_positive": lambda: rows.trade(quantity=Decimal(0)),
    "price_positive": lambda: rows.trade(price=Decimal(-1)),
    "executed_price_positive": lambda: rows.trade(executed_price=Decimal("-0.000000000000000001")),
    "filled_non_negative": lambda: rows.order(filled=Decimal(-1)),
    "closed_after_created": lambda: rows.order(closed_ns=rows.NS - 1),
    "free_balance_non_negative": lambda: rows.balance(free_balance=Decimal("-0.1"), locked_balance=Decimal("0.4")),
    "version_positive": lambda: rows.make(
        t.StrategyConfigRow, name="n", strategy_type="static", parameters={}, risk_parameters={}, version=0
    ),
    "target_of_scope": lambda: rows.make(
        t.EmergencyStopRow, scope="venue", cause="c", triggered_by="o", details={}, occurred_at=rows.NOON
    ),
    "cleared_by_somebody": lambda: rows.make(
        t.BreakerEventRow,
        kind="drawdown",
        state="closed",
        cause="c",
        details={},
        occurred_at=rows.NOON,
        cleared_at=rows.NOON,
    ),
}


@pytest.mark.parametrize("rule", BROKEN)
async def test_a_row_that_breaks_a_rule_is_refused_and_the_rule_is_named(database: Database, rule: str) -> None:
    with pytest.raises(StorageError) as refusal:
        await keep(database, BROKEN[rule]())
    assert refusal.value.error_code == "constraint"
    assert rule in str(refusal.value.details["constraint"])


@pytest.mark.parametrize(
    "column", [("trades", "side"), ("trades", "status"), ("alerts", "severity"), ("bot_instances", "status")]
)
async def test_the_database_itself_refuses_a_word_outside_the_vocabulary(
    database: Database, column: tuple[str, str]
) -> None:
    bot = rows.bot()
    await keep(database, bot, *rows.examples(bot.id, bot.id)[1:2])
    await keep(
        database,
        rows.make(t.AlertRow, user_id=t.LOCAL_OPERATOR_ID, alert_type="a", severity="low", title="t", message="m"),
    )
    with pytest.raises(StorageError, match=f"ck_{column[0]}_{column[1]}_word"):
        async with database.session() as session:
            await session.execute(sa.text(f"UPDATE {column[0]} SET {column[1]} = 'sideways'"))


async def test_a_word_outside_the_vocabulary_is_refused_with_the_choices(database: Database) -> None:
    with pytest.raises(DataValidationError, match="use one of buy, sell"):
        await keep(database, rows.trade(side="sideways"))


async def test_an_order_is_not_stored_with_more_filled_than_ordered_unless_it_says_so(database: Database) -> None:
    nearly = {"quantity": Decimal("1.000000000000000000"), "filled": Decimal("1.000000000000000001")}
    with pytest.raises(DataValidationError, match="more than"):
        await keep(database, rows.order(**nearly))
    async with database.session() as session:
        assert await Repository(session, t.OrderHistoryRow).add_many([rows.order(**nearly, overfilled=True)]) == 1
    with pytest.raises(StorageError, match="filled_within_quantity"):
        async with database.session() as session:
            await session.execute(sa.update(t.OrderHistoryRow).values(filled=Decimal(3), overfilled=False))


async def test_free_and_locked_must_add_up_to_the_total_to_the_last_digit(database: Database) -> None:
    off = rows.balance(total_balance=Decimal("0.300000000000000001"))
    with pytest.raises(DataValidationError, match="do not add up"):
        await keep(database, off)
    with pytest.raises(DataValidationError, match="do not add up"):
        async with database.session() as session:
            await Repository(session, t.BalanceSnapshotRow).add_many([off])
    await keep(database, rows.balance())
    with pytest.raises(StorageError, match="balance_sum"):
        async with database.session() as session:
            await session.execute(sa.update(t.BalanceSnapshotRow).values(total_balance=Decimal("0.31")))


async def test_a_fill_is_stored_once_by_its_natural_key(database: Database) -> None:
    await keep(database, rows.fill())
    with pytest.raises(StorageError, match=r"uq_fill_history_natural_key|fill_history\.venue"):
        await keep(database, rows.fill())
    await keep(database, rows.fill(account="other"), rows.fill(venue_order_id="v2"))


async def test_names_and_versions_are_unique_and_a_deleted_bot_frees_its_name(database: Database) -> None:
    first = rows.bot()
    await keep(database, first)
    with pytest.raises(StorageError) as refusal:
        await keep(database, rows.bot())
    assert refusal.value.error_code == "constraint"
    async with database.session() as session:
        await Repository(session, t.BotInstanceRow).update(first.id, deleted_at=rows.NOON)
    await keep(database, rows.bot())


async def test_references_must_exist_and_each_cascade_does_what_it_says(database: Database) -> None:
    bot, run = rows.bot(), rows.run()
    with pytest.raises(StorageError, match=r"fk_trades_bot_id_bot_instances|a foreign key"):
        await keep(database, rows.trade(bot_id=bot.id))
    await keep(database, bot, run)
    by_table = {type(row): row for row in rows.examples(bot.id, run.id)}
    kept = [by_table[m] for m in (t.BacktestTradeRow, t.BacktestEquityRow, t.AlertRow, t.PerformanceMetricsRow)]
    await keep(database, *kept, by_table[t.TradeRow])
    async with database.session() as session:
        await Repository(session, t.BacktestRunRow).delete(run.id)
        assert await Repository(session, t.BacktestTradeRow).count() == 0
        assert await Repository(session, t.BacktestEquityRow).count() == 0
    with pytest.raises(StorageError) as refusal:
        async with database.session() as session:
            await Repository(session, t.BotInstanceRow).delete(bot.id)
    assert refusal.value.error_code == "constraint"
    async with database.session() as session:
        await Repository(session, t.TradeRow).delete(by_table[t.TradeRow].id)
        await Repository(session, t.BotInstanceRow).delete(bot.id)
    async with database.reading() as session:
        assert await Repository(session, t.PerformanceMetricsRow).count() == 0
        assert [alert.bot_id for alert in await Repository(session, t.AlertRow).find()] == [None]


@pytest.mark.parametrize("statement", ["UPDATE audit_log SET action = 'x'", "DELETE FROM audit_log"])
async def test_the_audit_log_only_grows(database: Database, statement: str) -> None:
    await keep(database, t.AuditLogRow(user_id=t.LOCAL_OPERATOR_ID, action="a", resource_type="bot"))
    with pytest.raises(StorageError, match="append-only"):
        async with database.session() as session:
            await session.execute(sa.text(statement))


async def test_text_that_only_one_backend_would_take_is_refused_on_both(database: Database) -> None:
    for name in ("x" * 129, "nul\0"):
        with pytest.raises(DataValidationError, match="at most 128 characters"):
            await keep(database, rows.trade(symbol=name))
    with pytest.raises(DataValidationError, match="finite"):
        await keep(database, rows.run(metrics={"profit_factor": float("inf")}))


def test_account_is_part_of_every_order_fill_position_balance_and_trade() -> None:
    for model in (
        t.OrderHistoryRow,
        t.FillHistoryRow,
        t.PositionRow,
        t.BalanceSnapshotRow,
        t.TradeRow,
        t.BacktestTradeRow,
    ):
        column = columns_of(model)["account"]
        assert not column.nullable, model


def test_frequent_questions_have_an_index() -> None:
    indexed = {
        (table.name, *(column.name for column in index.columns))
        for table in t.METADATA.tables.values()
        for index in table.indexes
    }
    assert {
        ("trades", "bot_id", "created_at"),
        ("positions", "bot_id", "created_at"),
        ("alerts", "bot_id", "timestamp"),
        ("alerts", "user_id", "timestamp"),
        ("trades", "symbol", "exchange"),
        ("positions", "symbol", "exchange"),
        ("balance_snapshots", "user_id", "timestamp"),
        ("audit_log", "user_id", "timestamp"),
        ("users", "is_active"),
        ("strategy_configs", "is_active"),
        ("ml_models", "model_type", "is_active"),
    } <= indexed
