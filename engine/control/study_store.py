"""Stored studies: kept while they run, and the views that doors deliver of them."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from engine.backtest.report import iso_time
from engine.backtest.search.outcome import OBJECTIVES
from engine.control.views_search import HeatMap, StudyRow, StudySet, StudyView
from engine.errors import NotFoundError, ValidationError
from engine.model.ids import instrument_id
from storage import tables
from storage.repositories.query import column_of
from storage.repositories.repository import Repository

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from sqlalchemy.ext.asyncio import AsyncSession

    from engine.control.requests_search import ShowStudy
    from storage.database import Database

__all__ = ["delete_study", "keep_study", "list_studies", "load_study", "study_json", "study_table", "study_view"]

_SHORTEST = 4
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LISTED = (
    "id", "created_at", "updated_at", "study_hash", "kind", "strategy", "title", "spec", "summary", "complete",
    "seconds",
)  # fmt: skip
"""Columns of a list: a result can be large."""
MOST_CELLS = 60
"""Most columns and rows of a heat map; more values than that are put together."""


async def keep_study(database: Database, key: UUID, values: dict[str, Any]) -> None:
    """Write a study, or what has changed of it since it was last written.

    Raises:
        StorageError: The database refused it.
    """
    async with database.session() as session:
        table = Repository(session, tables.BacktestStudyRow)
        if await table.get(key) is None:
            await table.add(tables.BacktestStudyRow(id=key, **values))
        else:
            await table.update(key, **values)


# --- reading ---------------------------------------------------------------------------------------------------------


async def list_studies(database: Database, strategy: str | None, kind: str | None, limit: int) -> list[StudyRow]:
    """Stored studies, the newest first."""
    columns = [column_of(tables.BacktestStudyRow, name) for name in _LISTED]
    query = sa.select(*columns).order_by(columns[1].desc()).limit(limit)
    if strategy is not None:
        query = query.where(column_of(tables.BacktestStudyRow, "strategy") == strategy)
    if kind is not None:
        query = query.where(column_of(tables.BacktestStudyRow, "kind") == kind)
    async with database.reading() as session:
        return [_row(found) for found in (await session.execute(query)).all()]


async def load_study(database: Database, name: str) -> tables.BacktestStudyRow:
    """A stored study as it is.

    Raises:
        NotFoundError: There is none of that id or hash.
    """
    async with database.reading() as session:
        return await _find(session, name)


async def delete_study(database: Database, name: str) -> StudyRow:
    """Remove a stored study; returns what was removed.

    Raises:
        NotFoundError: There is none of that id or hash.
    """
    async with database.session() as session:
        found = await _find(session, name)
        row = _row(found)
        await Repository(session, tables.BacktestStudyRow).delete(found.id)
    return row


async def _find(session: AsyncSession, name: str) -> tables.BacktestStudyRow:
    """The study of an id, or the only one whose id or hash begins like that; the newest of equal ones."""
    table = Repository(session, tables.BacktestStudyRow)
    name = name.strip().lower()
    if len(name) < _SHORTEST:
        raise ValidationError(f"Write at least {_SHORTEST} characters of the study's id or hash, not {name!r}.")
    known = [column_of(tables.BacktestStudyRow, column) for column in ("id", "study_hash", "created_at")]
    rows = (await session.execute(sa.select(*known).order_by(known[2].desc()))).all()
    found = [(key, digest) for key, digest, _ in rows if str(key).startswith(name) or digest.startswith(name)]
    if not found:
        raise NotFoundError(f"There is no stored study {name}; list the studies to see their ids.")
    if len({digest for _, digest in found}) > 1:
        raise ValidationError(f"{len(found)} studies begin with {name}; write more of the id.")
    return await table.require(found[0][0])


def _row(found: Any) -> StudyRow:
    run, summary = found.spec["run"], found.summary
    return StudyRow(
        id=str(found.id),
        hash=found.study_hash,
        kind=found.kind,
        strategy=found.strategy,
        instrument=instrument_id(run["venue"], run["symbol"]),
        timeframe=run["timeframe"],
        start=int(summary["start"]),
        end=int(summary["end"]),
        created=(found.created_at - _EPOCH) // timedelta(microseconds=1) * 1_000,
        objective=summary["objective"],
        best=summary.get("best"),
        stable=summary.get("stable"),
        tried=int(summary.get("tried", 0)),
        sets=int(summary.get("sets", 0)),
        complete=found.complete,
        seconds=found.seconds,
    )


def study_view(found: tables.BacktestStudyRow, asked: ShowStudy) -> StudyView:
    """What doors deliver of a study.

    Raises:
        ValidationError: The heat map is asked for a parameter or figure that the study does not have.
    """
    result = found.result
    front = set(result.get("front", ()))
    rows = result.get("rows", [])
    stable = result.get("stable")
    refused = [*result.get("left_out_first", ()), *result.get("failed_first", ())]
    return StudyView(
        row=_row(found),
        objectives=tuple(found.spec["objectives"]),
        min_trades=int(found.spec["min_trades"]),
        assumptions=result.get("assumptions", {}),
        sets=tuple(_set(result, row, place in front) for place, row in enumerate(rows[: asked.rows])),
        stable=stable,
        stable_set=None if stable is None else _set(result, rows[stable], stable in front),
        left_out=tuple((entry["params"], entry["reason"]) for entry in refused),
        left_out_count=int(result.get("left_out", 0)) + int(result.get("failed", 0)),
        heat=_heat(result, asked, found.spec["objectives"][0]),
        details=result.get("details", {}),
    )


def _set(result: dict[str, Any], row: dict[str, Any], front: bool) -> StudySet:
    return StudySet(
        params=dict(zip(result["params"], row["params"], strict=True)),
        figures=dict(zip(result["figures"], row["figures"], strict=True)),
        region=row["region"],
        few=row["few"],
        front=front,
    )


# --- the heat map ----------------------------------------------------------------------------------------------------


def _heat(result: dict[str, Any], asked: ShowStudy, objective: str) -> HeatMap | None:
    names, rows = result.get("params", []), result.get("rows", [])
    varied = [name for place, name in enumerate(names) if len({row["params"][place] for row in rows}) > 1]
    x, y = asked.x or next(iter(varied), ""), asked.y or ""
    y = y or next((name for name in varied if name != x), "")
    figure = asked.figure or objective
    for name, known in ((asked.x, names), (asked.y, names), (asked.figure, result.get("figures", []))):
        if name is not None and name not in known:
            raise ValidationError(f"The study has no {name!r}; it has {', '.join(known)}.")
    if not x or not y or x == y:
        return None
    sign = OBJECTIVES.get(figure, 1)
    across, down, column = names.index(x), names.index(y), result["figures"].index(figure)
    best: dict[tuple[Any, Any], float] = {}
    for row in rows:
        value = row["figures"][column]
        if value is None or row["few"]:
            continue
        place = (row["params"][down], row["params"][across])
        if place not in best or sign * value > sign * best[place]:
            best[place] = value
    most = _most_cells({(row["params"][down], row["params"][across]) for row in rows})
    columns, column_of_value = _bins([row["params"][across] for row in rows], most)
    lines, line_of_value = _bins([row["params"][down] for row in rows], most)
    cells: list[list[float | None]] = [[None] * len(columns) for _ in lines]
    for (low, high), value in best.items():
        line, place_ = line_of_value[low], column_of_value[high]
        held = cells[line][place_]
        if held is None or sign * value > sign * held:
            cells[line][place_] = value
    return HeatMap(
        x=x,
        y=y,
        figure=figure,
        columns=tuple(columns),
        rows=tuple(lines),
        cells=tuple(tuple(line) for line in cells),
        more_is_better=sign > 0,
    )


def _most_cells(places: set[tuple[Any, Any]]) -> int:
    """Most columns and rows: all values of a grid, fewer where sets were drawn and a cell each would stand alone."""
    cells = len({down for down, _ in places}) * len({across for _, across in places})
    return MOST_CELLS if 2 * len(places) >= cells else min(MOST_CELLS, max(4, math.isqrt(len(places))))


def _bins(values: Sequence[Any], most: int) -> tuple[list[Any], dict[Any, int]]:
    """The values in order, each with its place; too many are put together, each bin under its first value."""
    distinct = sorted(set(values), key=lambda value: (isinstance(value, str), value))
    if len(distinct) <= most:
        return distinct, {value: place for place, value in enumerate(distinct)}
    places = {value: place * most // len(distinct) for place, value in enumerate(distinct)}
    heads = {place: value for value, place in reversed(places.items())}
    return [heads[place] for place in sorted(heads)], places


# --- exporting -------------------------------------------------------------------------------------------------------


def study_json(found: tables.BacktestStudyRow) -> dict[str, Any]:
    """A stored study as one object of plain values: times ISO 8601 in UTC, what is not known null."""
    row = _row(found)
    return {
        "id": row.id,
        "hash": row.hash,
        "kind": row.kind,
        "strategy": row.strategy,
        "instrument": str(row.instrument),
        "timeframe": row.timeframe,
        "start": iso_time(row.start),
        "end": iso_time(row.end),
        "complete": row.complete,
        "seconds": row.seconds,
        "spec": found.spec,
        **found.result,
    }


def study_table(found: tables.BacktestStudyRow) -> dict[str, list[Any]]:
    """The sets of a study as columns: parameters (`param_…`), figures, `region`, `few` and `front`; the best first."""
    result = found.result
    rows, front = result.get("rows", []), set(result.get("front", ()))
    columns: dict[str, list[Any]] = {}
    for place, name in enumerate(result.get("params", [])):
        columns[f"param_{name}"] = [row["params"][place] for row in rows]
    for place, name in enumerate(result.get("figures", [])):
        columns[name] = [row["figures"][place] for row in rows]
    columns["region"] = [row["region"] for row in rows]
    columns["few"] = [row["few"] for row in rows]
    columns["front"] = [place in front for place in range(len(rows))]
    return columns
