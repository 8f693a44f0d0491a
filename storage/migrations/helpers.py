"""Help for migrations that change data: transform rows batch by batch, without the product's models."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sqlalchemy.engine import Connection, RowMapping

__all__ = ["transform_rows"]


def transform_rows(
    connection: Connection,
    table: sa.TableClause,
    change: Callable[[RowMapping], Mapping[str, Any] | None],
    *,
    key: str = "id",
    batch: int = 500,
) -> int:
    """Pass every row through a function and write back what it changes.

    Args:
        connection: The migration's connection (`op.get_bind()`).
        table: The table as it is at this step, with the columns concerned (`sa.table(...)`), key included.
        change: Gets a row, gives the columns to set, or None to leave it.
        key: The unique column that orders and identifies the rows; `change` must not set it.
        batch: Rows read and written at a time.

    Returns:
        How many rows were changed.
    """
    identity = table.c[key]
    changed = 0
    last: Any = None
    while True:
        statement = sa.select(table).order_by(identity).limit(batch)
        if last is not None:
            statement = statement.where(identity > last)
        rows = connection.execute(statement).mappings().all()
        for row in rows:
            values = change(row)
            if values:
                connection.execute(sa.update(table).where(identity == row[key]).values(**values))
                changed += 1
        if len(rows) < batch:
            return changed
        last = rows[-1][key]
