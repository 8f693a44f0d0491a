"""The operations of the parity report: a bot's past beside a backtest, as a job that stores what it finds."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from engine.control.ops.data import local_path
from engine.control.registry import Role, operation
from engine.control.requests_analyses import ExportParity, Parity
from engine.control.worker import settings_for_worker
from engine.errors import ConflictError, DataError, ValidationError

if TYPE_CHECKING:
    from pathlib import Path

    from engine.control.context import Context
    from engine.control.views import JobRow
    from engine.control.views_analyses import AnalysisView
    from storage.database import Database


@operation("backtests.parity", Parity, Role.TRADER, mutates=True, offline=True)
async def parity(context: Context, request: Parity) -> JobRow:
    """Replay what a bot did through the backtester and say trade by trade where and why they differ; a job."""
    task = {
        "analysis": "parity",
        "request": request.model_dump(mode="json"),
        **settings_for_worker(context.settings),
    }
    context.need_reports().warm_up()
    return context.need_jobs().start("analysis", f"Parity of {request.bot}", task)


@operation("backtests.export_parity", ExportParity, Role.TRADER, offline=True)
async def export_parity(context: Context, request: ExportParity) -> str:
    """Write a stored parity report to a .json file, or its trades to a .csv file."""
    file = local_path(request.file)
    if file.suffix.lower() not in (".json", ".csv"):
        raise ValidationError(f"The name {file.name!r} must end in .json (everything) or .csv (the trades).")

    async def work(database: Database) -> AnalysisView:
        from engine.control.analysis_store import load_analysis

        return await load_analysis(database, request.id)

    view = await context.need_reports().run(work)
    if view.row.kind != "parity":
        raise ValidationError(f"The analysis {view.row.id[:8]} is no parity report; it is of the kind {view.row.kind}.")
    await asyncio.to_thread(_write, file, view.result, overwrite=request.overwrite)
    return f"The parity report {view.row.id[:8]} is in {file}."


_SIDES = ("entry_time", "exit_time", "entry_price", "exit_price", "quantity", "fees", "pnl", "entry_reason", "reason")
_PARTS = ("total", "fills", "latency", "spread", "slippage", "unexplained")


def _flat(row: dict[str, Any]) -> dict[str, Any]:
    """A trade as a line of a table; empty where something is not known."""
    line = {name: row.get(name) for name in ("state", "side", "entry_time", "delay_s", "quantity_difference")}
    line |= {name: row.get(name) for name in ("fees_difference", "pnl_difference")}
    line["why"] = "; ".join(row["why"])
    for side in ("recorded", "tested"):
        found = row.get(side) or {}
        line |= {f"{side}_{name}": found.get(name) for name in _SIDES}
    for leg in ("entry_price", "exit_price"):
        found = row.get(leg) or {}
        line |= {f"{leg}_{name}": found.get(name) for name in _PARTS}
    return line


def _write(file: Path, result: dict[str, Any], *, overwrite: bool) -> None:
    import csv
    import io
    import json

    if file.suffix.lower() == ".json":
        text = json.dumps(result, indent=2, ensure_ascii=False) + "\n"
    else:
        sink = io.StringIO()
        lines = [_flat(row) for row in result["trades"]]
        names = list(_flat({"why": []}))
        table = csv.DictWriter(sink, names, lineterminator="\n")
        table.writeheader()
        table.writerows(lines)
        text = sink.getvalue()
    try:
        with file.open("w" if overwrite else "x", encoding="utf-8") as out:
            out.write(text)
    except FileExistsError:
        raise ConflictError(f"The file {file} exists; choose another name, or let it be overwritten.") from None
    except OSError as error:
        raise DataError(f"The file {file} cannot be written: {error.strerror}. Check the folder.") from error
