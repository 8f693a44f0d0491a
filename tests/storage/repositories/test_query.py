"""Queries compose, and mean the same on both backends."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from engine.errors import DataValidationError
from storage import tables as t
from storage.repositories.query import Query
from storage.repositories.repository import Repository
from tests.storage import rows

if TYPE_CHECKING:
    from storage.database import Database

TRADES = Query(t.TradeRow)
PRICES = ("9.5", "10", "100", "0.000000000000000001", "10.000000000000000001")


@pytest_asyncio.fixture(loop_scope="module")
async def filled(database: Database) -> Database:
    new = [
        rows.trade(
            symbol=symbol,
            price=Decimal(price),
            side=side,
            pnl=pnl,
            created_at=rows.NOON + n * timedelta(hours=1),
        )
        for n, (symbol, price, side, pnl) in enumerate(
            zip(
                ("BTC/USDT", "btc/usdt", "ETH_USDT", "100%", "Ärger"),
                PRICES,
                ("buy", "sell", "buy", "sell", "buy"),
                (None, Decimal("-2"), Decimal("-10"), Decimal("3"), None),
                strict=True,
            )
        )
    ]
    async with database.session() as session:
        await Repository(session, t.TradeRow).add_many(new)
    return database


async def symbols(database: Database, query: Query[t.TradeRow]) -> list[str]:
    async with database.reading() as session:
        return [row.symbol for row in await Repository(session, t.TradeRow).find(query)]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (TRADES.sorted_by("price"), ["100%", "BTC/USDT", "btc/usdt", "Ärger", "ETH_USDT"]),
        (TRADES.sorted_by("-price"), ["ETH_USDT", "Ärger", "btc/usdt", "BTC/USDT", "100%"]),
        (TRADES.sorted_by("symbol"), ["100%", "BTC/USDT", "ETH_USDT", "btc/usdt", "Ärger"]),
        (TRADES.sorted_by("pnl", "symbol"), ["ETH_USDT", "btc/usdt", "100%", "BTC/USDT", "Ärger"]),
        (TRADES.sorted_by("-pnl", "-symbol"), ["100%", "btc/usdt", "ETH_USDT", "Ärger", "BTC/USDT"]),
        (TRADES.equal(side="buy", symbol="BTC/USDT"), ["BTC/USDT"]),
        (TRADES.equal(price=Decimal("10.000")), ["btc/usdt"]),
        (TRADES.equal(pnl=None).sorted_by("symbol"), ["BTC/USDT", "Ärger"]),
        (TRADES.unequal(pnl=None).sorted_by("symbol"), ["100%", "ETH_USDT", "btc/usdt"]),
        (TRADES.unequal(pnl=Decimal(-2)).sorted_by("symbol"), ["100%", "BTC/USDT", "ETH_USDT", "Ärger"]),
        (TRADES.between("price", Decimal(10), Decimal(100)).sorted_by("price"), ["btc/usdt", "Ärger", "ETH_USDT"]),
        (TRADES.between("price", high=Decimal("9.5")).sorted_by("price"), ["100%", "BTC/USDT"]),
        (TRADES.between("pnl", low=Decimal("-9.999")).sorted_by("pnl"), ["btc/usdt", "100%"]),
        (TRADES.one_of("symbol", ["100%", "nothing"]), ["100%"]),
        (TRADES.one_of("symbol", []), []),
        (TRADES.one_of("side", ["sell"]).sorted_by("symbol"), ["100%", "btc/usdt"]),
        (TRADES.containing("symbol", "btc").sorted_by("symbol"), ["BTC/USDT", "btc/usdt"]),
        (TRADES.containing("symbol", "%"), ["100%"]),
        (TRADES.containing("symbol", "_"), ["ETH_USDT"]),
        (TRADES.within("created_at", rows.NOON, rows.NOON + timedelta(hours=1)), ["BTC/USDT"]),
        (TRADES.within("created_at", start=rows.NOON + timedelta(hours=4)), ["Ärger"]),
        (TRADES.equal(side="buy") & TRADES.containing("symbol", "usdt").sorted_by("-symbol"), ["ETH_USDT", "BTC/USDT"]),
    ],
)
async def test_a_query_finds_these_in_this_order(
    filled: Database, query: Query[t.TradeRow], expected: list[str]
) -> None:
    assert await symbols(filled, query) == expected


async def test_nanosecond_windows_work_on_integer_columns(database: Database) -> None:
    async with database.session() as session:
        fills = Repository(session, t.FillHistoryRow)
        await fills.add_many([rows.fill(trade_id=str(n), ts_ns=rows.NS + n) for n in range(3)])
        found = await fills.find(fills.query().within("ts_ns", rows.NS + 1, rows.NS + 2))
        assert [row.trade_id for row in found] == ["1"]


def test_a_query_is_never_changed() -> None:
    first = TRADES.equal(side="buy")
    assert first.sorted_by("price") is not first
    assert first.order == ()
    assert TRADES.conditions == ()


def test_mistakes_are_named() -> None:
    with pytest.raises(DataValidationError, match="has no column 'prise'"):
        TRADES.equal(prise=1)
    with pytest.raises(DataValidationError, match="has no column 'prise'"):
        TRADES.sorted_by("-prise")
    with pytest.raises(DataValidationError, match="holds no text"):
        TRADES.containing("quantity", "1")
    with pytest.raises(DataValidationError, match="holds no time"):
        TRADES.within("symbol", rows.NOON)
    with pytest.raises(DataValidationError, match="cannot be combined"):
        _ = TRADES & Query(t.FillHistoryRow)  # type: ignore[arg-type]
