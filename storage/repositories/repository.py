"""Create, read, update and delete for any table, one row or thousands, inside the caller's transaction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

import sqlalchemy as sa

from engine.errors import DataValidationError, NotFoundError
from storage.database import session_time, stamp_new
from storage.repositories.query import Query, column_of, columns_of
from storage.tables.base import Record, StampedRecord

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence
    from uuid import UUID

    from sqlalchemy.ext.asyncio import AsyncSession

__all__ = ["Page", "Repository"]

_Row = TypeVar("_Row", bound=Record)
MAX_PAGE_SIZE = 1000


@dataclass(frozen=True, slots=True)
class Page(Generic[_Row]):
    """One page of a large result."""

    items: list[_Row]
    number: int
    """From 1."""
    size: int
    total: int
    """Rows on all pages."""

    @property
    def pages(self) -> int:
        """How many pages there are; 0 when nothing was found."""
        return -(-self.total // self.size)

    @property
    def has_next(self) -> bool:
        """True when a later page has rows."""
        return self.number < self.pages


class Repository(Generic[_Row]):
    """The rows of one table, seen through one session.

    Nothing is kept until the session's block ends. Rows given back may be changed freely; `update` writes them.

    Args:
        session: A session of `Database.session()`, or of `Database.reading()` for reading only.
        model: The table.
    """

    def __init__(self, session: AsyncSession, model: type[_Row]) -> None:
        self._session = session
        self._model = model

    def query(self) -> Query[_Row]:
        """Start a query that finds everything."""
        return Query(self._model)

    async def add(self, row: _Row) -> _Row:
        """Write a new row and give it back with its time stamps.

        Raises:
            DataValidationError: A value does not fit its column, or the row contradicts itself.
            StorageError: A constraint refuses the row.
        """
        self._session.add(row)
        await self._session.flush()
        return row

    async def get(self, key: UUID) -> _Row | None:
        """Read a row by its key; None when there is none."""
        return await self._session.get(self._model, key)

    async def require(self, key: UUID) -> _Row:
        """Read a row by its key.

        Raises:
            NotFoundError: There is none.
        """
        row = await self.get(key)
        if row is None:
            raise NotFoundError(f"There is no {self._name} with the key {key}; list them to see which exist.")
        return row

    async def update(self, key: UUID, **changes: object) -> _Row:
        """Change columns of a row and give it back.

        Raises:
            NotFoundError: There is no such row.
            DataValidationError: A column does not exist or may not change, or a value does not fit.
            StorageError: A constraint refuses the change.
        """
        row = await self.require(key)
        self._check_names(changes)
        for name, value in changes.items():
            setattr(row, name, value)
        await self._session.flush()
        return row

    async def delete(self, key: UUID) -> bool:
        """Remove a row; False when there was none.

        Raises:
            StorageError: Other rows depend on it.
        """
        row = await self.get(key)
        if row is None:
            return False
        await self._session.delete(row)
        await self._session.flush()
        return True

    async def find(self, query: Query[_Row] | None = None, *, limit: int | None = None) -> list[_Row]:
        """Read the rows a query finds, all of them unless limited."""
        statement = self._select(query)
        return list((await self._session.scalars(statement.limit(limit))).all())

    async def first(self, query: Query[_Row] | None = None) -> _Row | None:
        """Read the first row a query finds, or None."""
        rows = await self.find(query, limit=1)
        return rows[0] if rows else None

    async def count(self, query: Query[_Row] | None = None) -> int:
        """Count the rows a query finds."""
        conditions = (query or self.query()).conditions
        statement = sa.select(sa.func.count()).select_from(self._model).where(*conditions)
        return (await self._session.scalars(statement)).one()

    async def page(self, query: Query[_Row] | None = None, *, number: int = 1, size: int = 100) -> Page[_Row]:
        """Read one page and count them all.

        Args:
            query: What to find, in which order.
            number: Page from 1; a page after the last is empty.
            size: Rows a page, 1 to 1000.

        Raises:
            DataValidationError: Number or size is out of range.
        """
        if number < 1 or not 1 <= size <= MAX_PAGE_SIZE:
            raise DataValidationError(
                f"Page {number} of {size} rows cannot be read; pages count from 1 and have 1 to {MAX_PAGE_SIZE} rows."
            )
        statement = self._select(query).offset((number - 1) * size).limit(size)
        items = list((await self._session.scalars(statement)).all())
        return Page(items, number, size, await self.count(query))

    async def stream(self, query: Query[_Row] | None = None, *, batch: int = 1000) -> AsyncIterator[_Row]:
        """Read a large result row by row, never holding more than a batch in memory."""
        statement = self._select(query).execution_options(yield_per=batch)
        async for row in await self._session.stream_scalars(statement):
            yield row

    async def add_many(self, rows: Sequence[_Row]) -> int:
        """Write many new rows in one statement; all or, by the session's rollback, none.

        Returns:
            How many were written.

        Raises:
            DataValidationError: A value does not fit its column, or a row contradicts itself.
            StorageError: A constraint refuses a row.
        """
        if not rows:
            return 0
        now = session_time(self._session)
        names = tuple(columns_of(self._model))
        for row in rows:
            stamp_new(row, now)
            row.verify()
        values = [{name: getattr(row, name) for name in names} for row in rows]
        await self._session.execute(sa.insert(self._model), values)
        return len(values)

    async def update_many(self, changes: Mapping[UUID, Mapping[str, object]]) -> int:
        """Change many rows in as few statements as the sets of changed columns allow.

        Rows already read by this session are refreshed by reading them again. `verify` is not called; the database's
        own constraints hold.

        Args:
            changes: Key to new column values.

        Returns:
            How many rows were given.

        Raises:
            NotFoundError: One of the rows does not exist.
            DataValidationError: A column does not exist or may not change, or a value does not fit.
            StorageError: A constraint refuses a change.
        """
        groups: dict[tuple[str, ...], list[dict[str, object]]] = {}
        stamp = {"updated_at": session_time(self._session)} if issubclass(self._model, StampedRecord) else {}
        for key, values in changes.items():
            self._check_names(values)
            groups.setdefault(tuple(sorted(values)), []).append({"id": key, **values, **stamp})
        for group in groups.values():
            await self._require_all([cast("UUID", values["id"]) for values in group])
            await self._session.execute(sa.update(self._model), group)
        return len(changes)

    async def delete_where(self, query: Query[_Row]) -> int:
        """Remove the rows a query finds and count them.

        Raises:
            DataValidationError: The query has no condition; an empty one must not empty a table.
            StorageError: Other rows depend on one of them.
        """
        if not query.conditions:
            raise DataValidationError(f"Deleting every {self._name} needs a condition; add one to the query.")
        statement = sa.delete(self._model).where(*query.conditions)
        result = await self._session.execute(statement)
        return cast("sa.CursorResult[Any]", result).rowcount

    @property
    def _name(self) -> str:
        return self._model.__name__.removesuffix("Row")

    def _select(self, query: Query[_Row] | None) -> sa.Select[_Row]:
        return (query or self.query()).select(self._session.get_bind().dialect.name)

    def _check_names(self, changes: Mapping[str, object]) -> None:
        for name in changes:
            column_of(self._model, name)
            if name in {"id", "created_at", "updated_at"}:
                raise DataValidationError(f"The column {name} of {self._name} is kept by the store and cannot be set.")

    async def _require_all(self, keys: list[UUID], batch: int = 500) -> None:
        identity = column_of(self._model, "id")
        for start in range(0, len(keys), batch):
            wanted = keys[start : start + batch]
            found = set(await self._session.scalars(sa.select(identity).where(identity.in_(wanted))))
            missing = [key for key in wanted if key not in found]
            if missing:
                raise NotFoundError(f"There is no {self._name} with the key {missing[0]}; nothing was changed.")
