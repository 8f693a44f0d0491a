"""Column types that mean the same on SQLite and PostgreSQL: exact decimals, aware UTC, bounded text, words, JSON."""

from __future__ import annotations

import decimal
import math
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeDecorator

from engine.errors import DataValidationError

if TYPE_CHECKING:
    import enum

    from sqlalchemy.engine import Dialect
    from sqlalchemy.sql.compiler import SQLCompiler
    from sqlalchemy.types import TypeEngine

__all__ = [
    "DECIMAL_PLACES",
    "JSON_DOCUMENT",
    "BoundedText",
    "DecimalText",
    "FiniteFloat",
    "UtcDateTime",
    "WordText",
    "decimal_key",
    "decimal_order",
    "round_for_storage",
]

DECIMAL_PLACES = 18
"""Places after the point that a stored decimal keeps exactly."""
_INTEGER_DIGITS = 20
_LIMIT = Decimal(10) ** _INTEGER_DIGITS
_EXACT = decimal.Context(prec=60, traps=[decimal.InvalidOperation, decimal.Inexact, decimal.Overflow])
_ROUNDING = decimal.Context(prec=60, rounding=decimal.ROUND_HALF_EVEN, traps=[decimal.InvalidOperation])
_STEP = Decimal(1).scaleb(-DECIMAL_PLACES)


def canonical(value: Decimal) -> Decimal:
    """Give the one form of a decimal both backends return: no trailing zeros, no exponent, no minus zero.

    Raises:
        DataValidationError: The value is not finite, has more than 18 places or more than 20 integer digits.
    """
    if not value.is_finite():
        raise DataValidationError(f"The decimal {value} cannot be stored; only finite numbers can.")
    if abs(value) >= _LIMIT:
        raise DataValidationError(f"The decimal {value} cannot be stored; it has more than 20 digits before the point.")
    try:
        scaled = value.quantize(_STEP, context=_EXACT)
    except decimal.Inexact:
        raise DataValidationError(
            f"The decimal {value} cannot be stored exactly; it has more than 18 places. Round it first."
        ) from None
    if not scaled:
        return Decimal(0)
    bare = scaled.normalize(_EXACT)
    return bare if int(bare.as_tuple().exponent) <= 0 else bare.quantize(Decimal(1), context=_EXACT)


def round_for_storage(value: Decimal) -> Decimal:
    """Round a derived figure (an average, a ratio) to the 18 places a column keeps, halves to even."""
    return canonical(value.quantize(_STEP, context=_ROUNDING))


def decimal_key(text: str | None) -> str | None:
    """Turn a stored decimal into text that sorts as the number does.

    SQLite has no exact numeric type, so comparisons and sorting go through this function, which every connection
    registers under the same name. Negative numbers are written as ten's complement digits.
    """
    if text is None:
        return None
    scaled = int(Decimal(text).scaleb(DECIMAL_PLACES, _EXACT))
    width = _INTEGER_DIGITS + DECIMAL_PLACES
    return f"1{scaled:0{width}d}" if scaled >= 0 else f"0{10**width + scaled:0{width}d}"


class DecimalText(TypeDecorator[Decimal]):
    """Exact decimal with up to 20 digits before and 18 after the point.

    Plain text on SQLite, `NUMERIC(38, 18)` on PostgreSQL. A value that would lose a digit is refused.
    """

    impl = sa.String(64)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Choose the exact type of the backend."""
        if dialect.name == "postgresql":
            return dialect.type_descriptor(sa.Numeric(38, DECIMAL_PLACES))
        return dialect.type_descriptor(sa.String(64))

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> Any:
        """Check a value and write it in canonical form."""
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, Decimal | int):
            raise DataValidationError(f"A decimal column takes a Decimal, not {type(value).__name__} {value!r}.")
        exact = canonical(Decimal(value))
        return exact if dialect.name == "postgresql" else format(exact, "f")

    def process_result_value(self, value: Any, dialect: Dialect) -> Decimal | None:
        """Read a value in canonical form."""
        return None if value is None else canonical(Decimal(value))


class decimal_order(FunctionElement[str]):
    """A decimal column or value as something that compares and sorts as a number on both backends."""

    name = "decimal_order"
    inherit_cache = True
    type = sa.Text()


@compiles(decimal_order)
def _compile_plain(element: decimal_order, compiler: SQLCompiler, **options: Any) -> str:
    return compiler.process(element.clauses, **options)


@compiles(decimal_order, "sqlite")
def _compile_sqlite(element: decimal_order, compiler: SQLCompiler, **options: Any) -> str:
    return f"decimal_key({compiler.process(element.clauses, **options)})"


class UtcDateTime(TypeDecorator[datetime]):
    """Aware time in UTC, to the microsecond. A naive time is refused; what is read is always aware."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Check that a time is aware and convert it to UTC."""
        if value is None:
            return None
        if not isinstance(value, datetime) or value.tzinfo is None:
            raise DataValidationError(f"A time column takes an aware datetime, not {value!r}; give it a zone.")
        utc = value.astimezone(UTC)
        return utc if dialect.name == "postgresql" else utc.replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Give the time back with its zone."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class BoundedText(TypeDecorator[str]):
    """Text of at most `length` characters; SQLite would take more and PostgreSQL would not, so both refuse."""

    impl = sa.String
    cache_ok = True

    def __init__(self, length: int) -> None:
        super().__init__(length)
        self.length = length

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """Check length and content."""
        if value is None:
            return None
        if not isinstance(value, str):
            raise DataValidationError(f"A text column takes a str, not {type(value).__name__} {value!r}.")
        if len(value) > self.length or "\0" in value:
            raise DataValidationError(
                f"The text {value[:40]!r} cannot be stored; it must have at most {self.length} characters and no NUL."
            )
        return str(value)


class WordText(TypeDecorator[Any]):
    """One word of an enumeration, stored as its value and read back as the member."""

    impl = sa.String(32)
    cache_ok = True

    def __init__(self, words: type[enum.StrEnum]) -> None:
        super().__init__()
        self.words = words

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """Check that the word belongs to the enumeration."""
        if value is None:
            return None
        try:
            return str(self.words(value).value)
        except ValueError:
            allowed = ", ".join(word.value for word in self.words)
            raise DataValidationError(f"{value!r} is no {self.words.__name__}; use one of {allowed}.") from None

    def process_result_value(self, value: str | None, dialect: Dialect) -> enum.StrEnum | None:
        """Read the member back."""
        return None if value is None else self.words(value)


class FiniteFloat(TypeDecorator[float]):
    """A ratio or score; NaN and infinity are refused, because SQLite would silently turn NaN into nothing."""

    impl = sa.Float
    cache_ok = True

    def process_bind_param(self, value: float | None, dialect: Dialect) -> float | None:
        """Check that the number is finite."""
        if value is not None and not math.isfinite(value):
            raise DataValidationError(f"The number {value} cannot be stored; leave an undefined ratio empty (None).")
        return value


JSON_DOCUMENT = sa.JSON(none_as_null=True)
"""A flexible structure of plain values, kept as written on both backends. Decimals and times become text."""
