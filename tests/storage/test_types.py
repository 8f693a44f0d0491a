"""Decimals to 18 places and times come back exactly as they went in, on both backends."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings, strategies

from engine.errors import DataValidationError
from storage import tables as t
from storage.database import Database
from storage.repositories.query import Query
from storage.repositories.repository import Repository
from storage.types import canonical, decimal_key, round_for_storage
from tests.storage import rows

if TYPE_CHECKING:
    from pathlib import Path

    from storage.settings import DatabaseSettings

decimals = strategies.decimals(min_value=-(10**20) + 1, max_value=10**20 - 1, places=18) | strategies.decimals(
    min_value=-1, max_value=1, places=18
)
times = strategies.datetimes(
    min_value=datetime(1900, 1, 2, tzinfo=UTC).replace(tzinfo=None),
    max_value=datetime(2200, 1, 1, tzinfo=UTC).replace(tzinfo=None),
    timezones=strategies.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes))),
)


async def roundtrip(database: Database, numbers: list[Decimal], moments: list[datetime], ns: list[int]) -> None:
    locks = [
        t.StateAuditRow(check_name="exact", passed=True, discrepancy=number, before={"n": number}) for number in numbers
    ]
    looks = [t.StateAuditRow(check_name="time", passed=True, timestamp=moment) for moment in moments]
    fills = [rows.fill(trade_id=f"t{i}", ts_ns=value) for i, value in enumerate(ns)]
    async with database:
        async with database.session() as session:
            await session.execute(sa.delete(t.StateAuditRow))
            await session.execute(sa.delete(t.FillHistoryRow))
            await Repository(session, t.StateAuditRow).add_many(locks + looks)
            await Repository(session, t.FillHistoryRow).add_many(fills)
        async with database.reading() as session:
            audit, history = Repository(session, t.StateAuditRow), Repository(session, t.FillHistoryRow)
            exact = await audit.find(audit.query().equal(check_name="exact").sorted_by("discrepancy"))
            stored = {row.id: row for row in exact}
            for row, number in zip(locks, numbers, strict=True):
                assert stored[row.id].discrepancy == number
                assert str(stored[row.id].discrepancy) == str(canonical(number))
                assert stored[row.id].before == {"n": format(number, "f")}
            assert [row.discrepancy for row in exact] == sorted(numbers)
            if numbers:
                middle = sorted(numbers)[len(numbers) // 2]
                above = await audit.find(audit.query().between("discrepancy", low=middle))
                assert sorted(row.discrepancy for row in above if row.discrepancy is not None) == sorted(
                    number for number in numbers if number >= middle
                )
            moved = {row.id: row for row in await audit.find(audit.query().equal(check_name="time"))}
            for row, moment in zip(looks, moments, strict=True):
                assert moved[row.id].timestamp == moment
                assert moved[row.id].timestamp.tzinfo is UTC
            found = await history.find(history.query().sorted_by("ts_ns"))
            assert [row.ts_ns for row in found] == sorted(ns)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    numbers=strategies.lists(decimals, max_size=30),
    moments=strategies.lists(times, max_size=10),
    ns=strategies.lists(strategies.integers(-(2**63), 2**63 - 1), max_size=10),
)
def test_what_is_stored_comes_back_exactly_and_sorts_as_numbers(
    settings: DatabaseSettings, tmp_path: Path, numbers: list[Decimal], moments: list[datetime], ns: list[int]
) -> None:
    quiet = settings.model_copy(update={"migrate_at_start": False})
    asyncio.run(roundtrip(Database(quiet, tmp_path), numbers, moments, ns))


@given(left=decimals, right=decimals)
def test_the_key_of_a_decimal_sorts_as_the_decimal_does(left: Decimal, right: Decimal) -> None:
    one, other = decimal_key(format(left, "f")), decimal_key(format(right, "f"))
    assert one is not None
    assert other is not None
    assert (one < other) == (left < right)
    assert (one == other) == (left == right)


@pytest.mark.parametrize(
    "number", ["0.0000000000000000001", "100000000000000000000", "NaN", "Infinity", "-Infinity", "sNaN"]
)
def test_a_decimal_that_would_lose_a_digit_is_refused(number: str) -> None:
    with pytest.raises(DataValidationError, match="cannot be stored"):
        canonical(Decimal(number))


@pytest.mark.parametrize(
    ("given", "kept"),
    [("1E+2", "100"), ("-0", "0"), ("1.500", "1.5"), ("0E-30", "0"), ("1E-18", "0.000000000000000001")],
)
def test_a_decimal_has_one_stored_form(given: str, kept: str) -> None:
    assert format(canonical(Decimal(given)), "f") == kept
    assert str(round_for_storage(Decimal(given))) == str(canonical(Decimal(given)))


def test_a_derived_figure_is_rounded_half_to_even_at_the_eighteenth_place() -> None:
    assert round_for_storage(Decimal(2) / Decimal(3)) == Decimal("0.666666666666666667")
    assert round_for_storage(Decimal("0.0000000000000000005")) == 0
    assert round_for_storage(Decimal("0.0000000000000000015")) == Decimal("0.000000000000000002")


@pytest.mark.parametrize("value", [0.1, True, "0.1"])
async def test_only_decimals_enter_a_decimal_column(database: Database, value: object) -> None:
    with pytest.raises(DataValidationError, match="takes a Decimal"):
        async with database.session() as session:
            session.add(rows.trade(quantity=value))


async def test_a_naive_time_is_refused(database: Database) -> None:
    with pytest.raises(DataValidationError, match="give it a zone"):
        async with database.session() as session:
            session.add(rows.run(started_at=rows.NOON.replace(tzinfo=None)))


async def test_a_float_does_not_compare_with_a_decimal_column(database: Database) -> None:
    with pytest.raises(DataValidationError, match="compares with a Decimal"):
        Query(t.TradeRow).between("quantity", low=0.1)
