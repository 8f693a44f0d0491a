"""Queries as values: filters compose with `&` and mean the same on both backends."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import sqlalchemy as sa
from sqlalchemy.sql import operators

from engine.errors import DataValidationError
from storage.tables.base import Record
from storage.types import BoundedText, DecimalText, UtcDateTime, WordText, decimal_order

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

__all__ = ["Query", "Sort", "column_of", "columns_of"]

_Row = TypeVar("_Row", bound=Record)
_Condition = sa.ColumnElement[bool]


def columns_of(model: type[Record]) -> dict[str, sa.Column[Any]]:
    """Attribute name to column, in the table's order."""
    return {attribute.key: attribute.columns[0] for attribute in sa.inspect(model).column_attrs}


def column_of(model: type[Record], name: str) -> sa.Column[Any]:
    """Find a column by its attribute name.

    Raises:
        DataValidationError: The table has no such column.
    """
    columns = columns_of(model)
    if name not in columns:
        raise DataValidationError(f"{model.__name__} has no column {name!r}; it has {', '.join(columns)}.")
    return columns[name]


@dataclass(frozen=True, slots=True)
class Sort:
    """One sort key. Empty values come last in either direction."""

    column: str
    descending: bool = False


@dataclass(frozen=True)
class Query(Generic[_Row]):
    """Rows of one table that meet every condition, in an order. Each method gives a new query.

    Conditions on decimals compare as numbers; text compares by code point.
    """

    model: type[_Row]
    conditions: tuple[_Condition, ...] = ()
    order: tuple[Sort, ...] = field(default=())

    def __and__(self, other: Query[_Row]) -> Query[_Row]:
        """Meet the conditions of both; the right order comes after the left."""
        if self.model is not other.model:
            raise DataValidationError(
                f"Queries on {self.model.__name__} and {other.model.__name__} cannot be combined; use one table."
            )
        return Query(self.model, self.conditions + other.conditions, self.order + other.order)

    def equal(self, **values: object) -> Query[_Row]:
        """Columns that have these values; None means empty."""
        found = self
        for name, value in values.items():
            column = column_of(self.model, name)
            found = found._with(column.is_(None) if value is None else column == value)
        return found

    def unequal(self, **values: object) -> Query[_Row]:
        """Columns that have other values than these, empty ones included; None means not empty."""
        found = self
        for name, value in values.items():
            column = column_of(self.model, name)
            found = found._with(column.is_not(None) if value is None else column.is_distinct_from(value))
        return found

    def between(self, name: str, low: object = None, high: object = None) -> Query[_Row]:
        """A column from `low` to `high`, both included; None leaves that end open."""
        found = self
        if low is not None:
            found = found._with(_compare(column_of(self.model, name), operators.ge, low))
        if high is not None:
            found = found._with(_compare(column_of(self.model, name), operators.le, high))
        return found

    def one_of(self, name: str, values: Iterable[object]) -> Query[_Row]:
        """A column that has one of these values; none of them finds nothing."""
        return self._with(column_of(self.model, name).in_(list(values)))

    def containing(self, name: str, text: str) -> Query[_Row]:
        """A text column that contains this, whatever the case of its ASCII letters.

        Raises:
            DataValidationError: The column holds no text.
        """
        column = column_of(self.model, name)
        if not isinstance(column.type, BoundedText | sa.String | WordText):
            raise DataValidationError(f"{self.model.__name__}.{name} holds no text; search another column.")
        return self._with(sa.type_coerce(column, sa.String()).icontains(text, autoescape=True))

    def within(self, name: str, start: datetime | int | None = None, end: datetime | int | None = None) -> Query[_Row]:
        """A time window, start included and end not: aware times, or UTC nanoseconds for a column of those.

        Raises:
            DataValidationError: The column holds no time.
        """
        column = column_of(self.model, name)
        if not isinstance(column.type, UtcDateTime | sa.BigInteger):
            raise DataValidationError(f"{self.model.__name__}.{name} holds no time; use another column.")
        found = self
        if start is not None:
            found = found._with(column >= start)
        if end is not None:
            found = found._with(column < end)
        return found

    def sorted_by(self, *names: str) -> Query[_Row]:
        """Order by columns, a leading `-` meaning the largest first. Added to the order there is."""
        keys = tuple(Sort(name.lstrip("-"), name.startswith("-")) for name in names)
        for key in keys:
            column_of(self.model, key.column)
        return replace(self, order=self.order + keys)

    def select(self, dialect: str) -> sa.Select[_Row]:
        """Write the query as a statement; the key breaks ties, so that pages never overlap."""
        statement = sa.select(self.model).where(*self.conditions)
        for key in self.order:
            column = column_of(self.model, key.column)
            value = _sortable(column, dialect)
            statement = statement.order_by((value.desc() if key.descending else value.asc()).nulls_last())
        return statement.order_by(column_of(self.model, "id"))

    def _with(self, condition: _Condition) -> Query[_Row]:
        return replace(self, conditions=(*self.conditions, condition))


def _compare(column: sa.Column[Any], operator: Any, value: object) -> _Condition:
    if isinstance(column.type, DecimalText):
        if not isinstance(value, Decimal | int):
            raise DataValidationError(f"The decimal column {column.name} compares with a Decimal, not {value!r}.")
        condition: _Condition = operator(decimal_order(column), decimal_order(sa.literal(value, column.type)))
        return condition
    plain: _Condition = operator(column, value)
    return plain


def _sortable(column: sa.Column[Any], dialect: str) -> sa.ColumnElement[Any]:
    if isinstance(column.type, DecimalText):
        return decimal_order(column)
    if dialect == "postgresql" and isinstance(column.type, BoundedText | WordText | sa.String):
        # A server's locale must not decide the order; SQLite sorts by code point too.
        return sa.type_coerce(column, sa.String()).collate("C")
    return column
