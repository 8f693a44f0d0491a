"""Rows leave to CSV and JSON and come back the same, or a mistake is named and nothing is imported."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from engine.errors import DataValidationError, StorageError
from storage import tables as t
from storage.repositories.query import Query, columns_of
from storage.repositories.repository import Repository
from storage.transfer import export_rows, import_rows
from tests.storage import rows

if TYPE_CHECKING:
    from pathlib import Path

    from storage.database import Database


def unfinished(folder: Path) -> list[Path]:
    return list(folder.glob("*.part"))


@pytest.mark.parametrize("ending", ["csv", "json"])
async def test_every_table_survives_the_way_out_and_back(database: Database, tmp_path: Path, ending: str) -> None:
    bot = rows.bot(name='quote " comma , line\nbreak', config={"text": "ä\\N", "list": [1, None, 0.1]})
    run = rows.run(error=r"\N")
    everything = [bot, run, *rows.examples(bot.id, run.id)]
    async with database.session() as session:
        for row in everything:
            await Repository(session, type(row)).add(row)
    async with database.reading() as session:
        for row in everything:
            path = tmp_path / f"{type(row).__name__}.{ending}"
            assert await export_rows(session, Query(type(row)).equal(id=row.id), path) == 1
    for row in everything:
        if isinstance(row, t.AuditLogRow):
            continue
        async with database.session() as session:
            model = type(row)
            path = tmp_path / f"{model.__name__}.{ending}"
            if not isinstance(row, t.BotInstanceRow | t.BacktestRunRow):
                await Repository(session, model).delete(row.id)
                assert await import_rows(session, model, path) == 1
                session.expunge_all()
            found = await Repository(session, model).require(row.id)
            assert {n: getattr(found, n) for n in columns_of(model)} == {n: getattr(row, n) for n in columns_of(model)}
    assert unfinished(tmp_path) == []


@pytest.mark.parametrize("ending", ["csv", "json"])
async def test_a_large_table_goes_out_in_batches_and_an_empty_one_too(
    database: Database, tmp_path: Path, ending: str
) -> None:
    path = tmp_path / f"trades.{ending}"
    async with database.session() as session:
        assert await export_rows(session, Query(t.TradeRow), path) == 0
        assert await import_rows(session, t.TradeRow, path) == 0
        await Repository(session, t.TradeRow).add_many([rows.trade(quantity=Decimal(n + 1)) for n in range(1100)])
        assert await export_rows(session, Query(t.TradeRow).sorted_by("quantity"), path) == 1100
        await session.execute(sa.delete(t.TradeRow))
        assert await import_rows(session, t.TradeRow, path) == 1100
        found = await Repository(session, t.TradeRow).find(Query(t.TradeRow).sorted_by("-quantity"), limit=1)
        assert found[0].quantity == 1100


async def test_a_file_without_keys_and_stamps_gets_new_ones(database: Database, tmp_path: Path) -> None:
    path = tmp_path / "orders.csv"
    path.write_text(
        "account,exchange,symbol,side,order_type,quantity,price,status\n"
        "paper,SIM,BTC/USDT,buy,market,0.100000000000000001,\\N,filled\n"
    )
    async with database.session() as session:
        assert await import_rows(session, t.TradeRow, path) == 1
        found = await Repository(session, t.TradeRow).find()
    assert (found[0].quantity, found[0].price) == (Decimal("0.100000000000000001"), None)
    assert found[0].created_at is not None


GOOD = {
    "account": "paper",
    "exchange": "SIM",
    "symbol": "BTC/USDT",
    "side": "buy",
    "order_type": "market",
    "quantity": "1",
    "status": "filled",
}


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.json", json.dumps([GOOD, GOOD | {"quantity": 0.1}]), "Row 2 .* quantity must be exact"),
        ("a.json", json.dumps([GOOD | {"quantity": "many"}]), "Row 1 .* quantity"),
        ("a.json", json.dumps([GOOD | {"prise": "1"}]), "unknown column 'prise'"),
        ("a.json", json.dumps([GOOD | {"side": "up"}]), "Row 1 .* side"),
        ("a.json", json.dumps({"rows": []}), "one JSON list of objects"),
        ("a.json", "[{", "not what its ending says"),
        ("a.csv", "account,exchange\npaper\n", "has 1 values, the heading 2"),
        ("a.csv", "account\n\udc80\n", "not what its ending says"),
        ("a.txt", "", "neither in .csv nor in .json"),
        ("missing.csv", None, "cannot be used: No such file"),
    ],
)
async def test_a_wrong_file_is_refused_with_its_place_and_nothing_is_imported(
    database: Database, tmp_path: Path, name: str, content: str | None, message: str
) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(DataValidationError, match=message):
        async with database.session() as session:
            await import_rows(session, t.TradeRow, path)
    async with database.reading() as session:
        assert await Repository(session, t.TradeRow).count() == 0


async def test_a_row_that_a_constraint_refuses_keeps_the_whole_file_out(database: Database, tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps([GOOD, GOOD | {"quantity": "-1"}]))
    with pytest.raises(StorageError, match="quantity_positive"):
        async with database.session() as session:
            await import_rows(session, t.TradeRow, path)
    async with database.reading() as session:
        assert await Repository(session, t.TradeRow).count() == 0


async def test_a_folder_that_is_missing_is_named_and_no_file_is_left_half_done(
    database: Database, tmp_path: Path
) -> None:
    async with database.reading() as session:
        with pytest.raises(DataValidationError, match="cannot be used"):
            await export_rows(session, Query(t.TradeRow), tmp_path / "nowhere" / "a.csv")
    assert unfinished(tmp_path) == []
