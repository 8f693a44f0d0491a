"""Queries are timed; slow ones are logged by shape, without values."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa
from structlog.testing import capture_logs

from engine.errors import StorageError
from storage.database import Database
from storage.timing import statement_shape

if TYPE_CHECKING:
    from pathlib import Path

    from storage.settings import DatabaseSettings

STEP_NS = 30_000_000


class SteppingClock:
    """Goes on by 30 ms whenever it is read."""

    def __init__(self) -> None:
        self.read = 0

    def now(self) -> int:
        return 1_700_000_000_000_000_000

    def monotonic(self) -> int:
        self.read += STEP_NS
        return self.read

    async def sleep(self, seconds: float) -> None:
        raise AssertionError("nothing sleeps here")


@pytest.mark.parametrize(("threshold", "slow"), [(29.0, True), (31.0, False)])
async def test_a_query_over_the_threshold_is_logged_without_its_values(
    settings: DatabaseSettings, tmp_path: Path, threshold: float, slow: bool
) -> None:
    database = Database(settings.model_copy(update={"slow_query_ms": threshold}), tmp_path, SteppingClock())
    await database.open(migrate=False)
    async with database:
        before = database.statistics
        with capture_logs() as logs:
            async with database.reading() as session:
                await session.execute(
                    sa.text("SELECT id FROM users WHERE username = :name AND email = 'plain@example.org'"),
                    {"name": "bound@example.org"},
                )
        after = database.statistics
    assert after.count > before.count
    assert after.slowest_ms == 30.0
    assert after.mean_ms == 30.0
    assert (after.slow > before.slow) == slow
    found = [entry for entry in logs if entry.get("statement", "").startswith("SELECT id FROM users WHERE username")]
    assert [entry["duration_ms"] for entry in found] == ([30.0] if slow else [])
    assert "plain@example.org" not in str(logs)
    assert "bound@example.org" not in str(logs)


async def test_a_query_that_fails_is_counted_too(database: Database) -> None:
    before = database.statistics.count
    with pytest.raises(StorageError, match="quarterdeck storage migrate"):
        async with database.reading() as session:
            await session.execute(sa.text("SELECT * FROM nowhere"))
    assert database.statistics.count > before


def test_the_shape_of_a_statement_has_no_literals() -> None:
    statement = "SELECT *\n FROM t1 WHERE a = 'it''s' AND b IN (1, 2.5)  AND c = $1"
    assert statement_shape(statement) == "SELECT * FROM t1 WHERE a = ? AND b IN (?, ?) AND c = $?"
    assert len(statement_shape("x " * 1000)) <= 500
