"""Rows to CSV or JSON files and back, without losing a digit, a zone or the difference between empty and nothing."""

from __future__ import annotations

import asyncio
import csv
import json
from contextlib import contextmanager
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal, TypeVar
from uuid import UUID

import pydantic
import sqlalchemy as sa

from engine.errors import DataValidationError
from storage.repositories.query import columns_of
from storage.repositories.repository import Repository
from storage.tables.base import Record
from storage.types import DecimalText

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import TextIO

    from sqlalchemy.ext.asyncio import AsyncSession

    from storage.repositories.query import Query

__all__ = ["export_rows", "import_rows"]

_Row = TypeVar("_Row", bound=Record)
Format = Literal["csv", "json"]
_NOTHING = r"\N"
"""How CSV says that a value is absent; a text that begins with a backslash gets a second one."""
_BATCH = 1000


async def export_rows(
    session: AsyncSession,
    query: Query[_Row],
    path: Path,
    *,
    format: Format | None = None,
) -> int:
    """Write what a query finds to a file, which appears under its name when it is complete.

    Args:
        session: A session to read with.
        query: What to write, in which order.
        path: The file; its ending decides between CSV and JSON.
        format: Says so explicitly.

    Returns:
        How many rows were written.

    Raises:
        DataValidationError: The ending is neither .csv nor .json, or the file cannot be written.
    """
    kind = _format_of(path, format)
    names = tuple(columns_of(query.model))
    unfinished = path.with_name(path.name + ".part")
    count = 0
    with _file_errors(path):
        file = await asyncio.to_thread(unfinished.open, "w", encoding="utf-8", newline="")
        try:
            write = _CsvWriter(file, names) if kind == "csv" else _JsonWriter(file, names)
            batch: list[Record] = []
            async for row in Repository(session, query.model).stream(query, batch=_BATCH):
                batch.append(row)
                if len(batch) >= _BATCH:
                    count += await asyncio.to_thread(write.rows, batch)
                    batch = []
            count += await asyncio.to_thread(write.rows, batch)
            write.end()
        except BaseException:
            file.close()
            unfinished.unlink(missing_ok=True)
            raise
        file.close()
        unfinished.replace(path)
    return count


async def import_rows(
    session: AsyncSession,
    model: type[_Row],
    path: Path,
    *,
    format: Format | None = None,
) -> int:
    """Add the rows of a file to a table; one wrong row and the session's rollback keeps none of them.

    Time stamps and keys in the file are kept; a file without keys gets new ones. The file is read as a whole first.

    Returns:
        How many rows were added.

    Raises:
        DataValidationError: The file cannot be read, a column is unknown, or a value does not fit.
        StorageError: A constraint refuses a row.
    """
    kind = _format_of(path, format)
    with _file_errors(path):
        rows = await asyncio.to_thread(_read, model, path, kind)
    repository = Repository(session, model)
    for start in range(0, len(rows), _BATCH):
        await repository.add_many(rows[start : start + _BATCH])
    return len(rows)


class _CsvWriter:
    def __init__(self, file: TextIO, names: tuple[str, ...]) -> None:
        self._names = names
        self._writer = csv.writer(file, lineterminator="\n")
        self._writer.writerow(names)

    def rows(self, rows: list[Record]) -> int:
        self._writer.writerows([_csv_cell(getattr(row, name)) for name in self._names] for row in rows)
        return len(rows)

    def end(self) -> None:
        """A CSV file just ends."""


class _JsonWriter:
    def __init__(self, file: TextIO, names: tuple[str, ...]) -> None:
        self._file = file
        self._names = names
        self._started = False

    def rows(self, rows: list[Record]) -> int:
        for row in rows:
            self._file.write(",\n" if self._started else "[\n")
            self._started = True
            values = {name: _plain(getattr(row, name)) for name in self._names}
            self._file.write(json.dumps(values, ensure_ascii=False, allow_nan=False))
        return len(rows)

    def end(self) -> None:
        self._file.write("\n]\n" if self._started else "[]\n")


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, datetime | date):
        return value.isoformat()
    return str(value) if isinstance(value, UUID) else value


def _csv_cell(value: Any) -> str:
    if value is None:
        return _NOTHING
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False, allow_nan=False)
    if isinstance(value, bool):
        return "true" if value else "false"
    text = repr(value) if isinstance(value, float) else str(_plain(value))
    return "\\" + text if text.startswith("\\") else text


def _format_of(path: Path, given: Format | None) -> Format:
    if given is not None:
        return given
    match path.suffix.lower():
        case ".csv":
            return "csv"
        case ".json":
            return "json"
    raise DataValidationError(f"{path.name} ends neither in .csv nor in .json; rename it or give the format.")


@contextmanager
def _file_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DataValidationError(f"The file {path} cannot be used: {error.strerror or error}.") from error
    except (UnicodeDecodeError, csv.Error, json.JSONDecodeError) as error:
        raise DataValidationError(f"The file {path} is not what its ending says: {error}.") from error


def _read(model: type[_Row], path: Path, kind: Format) -> list[_Row]:
    with path.open(encoding="utf-8", newline="") as file:
        raw = _read_csv(model, file, path) if kind == "csv" else _read_json(file, path)
        return [_row(model, values, number, path) for number, values in enumerate(raw, 1)]


def _read_csv(model: type[Record], file: TextIO, path: Path) -> Iterator[dict[str, Any]]:
    documents = {name for name, column in columns_of(model).items() if isinstance(column.type, sa.JSON)}
    reader = csv.reader(file)
    names = next(reader, [])
    for number, cells in enumerate(reader, 1):
        if len(cells) != len(names):
            raise DataValidationError(
                f"Row {number} of {path} has {len(cells)} values, the heading {len(names)}; nothing was imported."
            )
        values: dict[str, Any] = {}
        for name, cell in zip(names, cells, strict=True):
            if cell == _NOTHING:
                values[name] = None
            elif name in documents:
                values[name] = json.loads(cell)
            else:
                values[name] = cell[1:] if cell.startswith("\\") else cell
        yield values


def _read_json(file: TextIO, path: Path) -> Iterator[dict[str, Any]]:
    content = json.load(file)
    if not isinstance(content, list) or not all(isinstance(item, dict) for item in content):
        raise DataValidationError(f"{path} must hold one JSON list of objects; nothing was imported.")
    yield from content


def _row(model: type[_Row], values: dict[str, Any], number: int, path: Path) -> _Row:
    known = columns_of(model)
    unknown = [name for name in values if name not in known]
    if unknown:
        raise DataValidationError(
            f"Row {number} of {path} has the unknown column {unknown[0]!r}; {model.__name__} has {', '.join(known)}. "
            "Nothing was imported."
        )
    for name, value in values.items():
        if isinstance(value, float) and isinstance(known[name].type, DecimalText):
            raise DataValidationError(
                f"Row {number} of {path}: {name} must be exact; write {value!r} as text. Nothing was imported."
            )
    try:
        return model.model_validate(values)
    except pydantic.ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise DataValidationError(f"Row {number} of {path}: {place}: {first['msg']}. Nothing was imported.") from error
