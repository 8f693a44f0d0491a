"""What all tables share: the metadata with its naming rule, the random key, the time stamps, the column words."""

from __future__ import annotations

import uuid
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel

from storage.types import JSON_DOCUMENT, BoundedText, DecimalText, FiniteFloat, UtcDateTime, WordText

if TYPE_CHECKING:
    import enum

__all__ = [
    "METADATA",
    "Document",
    "Long",
    "MaybeDocument",
    "MaybeLong",
    "MaybeMoney",
    "MaybeName",
    "MaybeNanos",
    "MaybeRatio",
    "MaybeTime",
    "Money",
    "Name",
    "Nanos",
    "Ratio",
    "Record",
    "StampedRecord",
    "Time",
    "compared",
    "non_negative",
    "one_of",
    "positive",
    "word",
]

METADATA = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)
"""Every table of the product; names of constraints are fixed, so that a migration can find them on both backends."""

_NAME = BoundedText(128)
_LONG = BoundedText(4096)
_MONEY = DecimalText()
_TIME = UtcDateTime()
_RATIO = FiniteFloat()

Name = Annotated[str, Field(sa_type=_NAME)]
"""A name or identifier, at most 128 characters."""
MaybeName = Annotated[str | None, Field(sa_type=_NAME, nullable=True)]
Long = Annotated[str, Field(sa_type=_LONG)]
"""A message or reason, at most 4096 characters."""
MaybeLong = Annotated[str | None, Field(sa_type=_LONG, nullable=True)]
Money = Annotated[Decimal, Field(sa_type=_MONEY)]
"""An exact decimal: price, quantity, balance or fee."""
MaybeMoney = Annotated[Decimal | None, Field(sa_type=_MONEY, nullable=True)]
Time = Annotated[datetime, Field(sa_type=_TIME)]
"""An aware UTC time."""
MaybeTime = Annotated[datetime | None, Field(sa_type=_TIME, nullable=True)]
Nanos = Annotated[int, Field(sa_type=sa.BigInteger())]
"""UTC nanoseconds, or a sequence number."""
MaybeNanos = Annotated[int | None, Field(sa_type=sa.BigInteger(), nullable=True)]
Ratio = Annotated[float, Field(sa_type=_RATIO)]
"""A finite ratio, score or percentage."""
MaybeRatio = Annotated[float | None, Field(sa_type=_RATIO, nullable=True)]
Document = Annotated[dict[str, Any], Field(sa_type=JSON_DOCUMENT)]
"""A flexible structure."""
MaybeDocument = Annotated[dict[str, Any] | None, Field(sa_type=JSON_DOCUMENT, nullable=True)]


class Record(SQLModel, registry=registry(metadata=METADATA)):
    """A row with a random key that the application makes."""

    id: UUID = Field(default_factory=uuid.uuid4, primary_key=True)

    def verify(self) -> None:
        """Check what a portable constraint cannot; called before the row is written.

        Raises:
            DataValidationError: The row contradicts itself.
        """


class StampedRecord(Record):
    """A row that knows when it was made and last changed; the session fills both from its clock when it writes."""

    created_at: datetime = Field(default=None, sa_type=UtcDateTime(), nullable=False)
    updated_at: datetime = Field(default=None, sa_type=UtcDateTime(), nullable=False)


def word(words: type[enum.StrEnum]) -> Any:
    """Declare a column that holds one word of an enumeration; `one_of` adds the constraint."""
    return Field(sa_type=WordText(words), nullable=False)


def one_of(column: str, words: type[enum.StrEnum]) -> sa.CheckConstraint:
    """Restrict a column to the words of an enumeration (empty columns pass)."""
    allowed = ", ".join(f"'{item.value}'" for item in words)
    return sa.CheckConstraint(f"{column} IN ({allowed})", name=f"{column}_word")


def positive(*columns: str) -> tuple[sa.CheckConstraint, ...]:
    """Require decimals above zero. The cast makes text compare as a number on SQLite and is void on PostgreSQL."""
    return tuple(sa.CheckConstraint(f"CAST({name} AS NUMERIC) > 0", name=f"{name}_positive") for name in columns)


def non_negative(*columns: str) -> tuple[sa.CheckConstraint, ...]:
    """Require decimals of zero or more."""
    return tuple(sa.CheckConstraint(f"CAST({name} AS NUMERIC) >= 0", name=f"{name}_non_negative") for name in columns)


def compared(smaller: str, larger: str, *, unless: str = "") -> sa.CheckConstraint:
    """Require one decimal to be at most another, unless a boolean column says otherwise.

    SQLite compares as binary floats here: it never refuses a right row, and may pass one that is wrong by less than
    one part in 10^15; `verify` is exact.
    """
    rule = f"CAST({smaller} AS NUMERIC) <= CAST({larger} AS NUMERIC)"
    if unless:
        rule = f"{unless} OR {rule}"
    return sa.CheckConstraint(rule, name=f"{smaller}_within_{larger}")
