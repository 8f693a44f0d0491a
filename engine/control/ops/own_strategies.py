"""Operations on strategies of one's own: a file from a template, and a check of what every strategy must keep to."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from engine.control.present.bots import strategy_row
from engine.control.registry import Role, operation
from engine.control.requests_strategies import CheckStrategy, NewStrategy
from engine.control.worker import settings_for_worker
from engine.errors import ConflictError, DataError
from engine.strategy.beside import find_beside
from engine.strategy.loader import is_path
from engine.strategy.templates import new_strategy

if TYPE_CHECKING:
    from pathlib import Path

    from engine.control.context import Context
    from engine.control.views import JobRow, StrategyRow


@operation("strategies.new", NewStrategy, Role.TRADER, mutates=True, offline=True)
async def new(context: Context, request: NewStrategy) -> StrategyRow:
    """Write a strategy file from a template into the home's strategies folder; it can be used by its name at once."""
    source = new_strategy(request.name, request.template)
    taken = next((found for found in context.strategies.all() if found.name == request.name), None)
    if taken is not None:
        raise ConflictError(f"There is a strategy {request.name} already ({taken.path}); choose another name.")
    file = context.home / "strategies" / f"{request.name}.py"
    await asyncio.to_thread(_write, file, source)
    return strategy_row(await find_beside(context.strategies, "", str(file)))


def _write(file: Path, source: str) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("x", encoding="utf-8") as out:
            out.write(source)
    except FileExistsError:
        raise ConflictError(f"The file {file} exists; choose another name.") from None
    except OSError as error:
        raise DataError(f"The file {file} cannot be written: {error.strerror}. Check the folder.") from error


@operation("strategies.check", CheckStrategy, Role.TRADER, mutates=True, offline=True)
async def check(context: Context, request: CheckStrategy) -> JobRow:
    """Check what every strategy must keep to, on made-up and stored candles; a job, whose report has every check."""
    named = is_path(request.strategy)
    found = await find_beside(context.strategies, request.strategy, None)
    if found.on_events:
        found.build_event(request.params)
    else:
        found.build(request.params)
    task = request.model_dump(mode="json") | {"strategy": found.path if named else found.name}
    return context.need_jobs().start("check", f"check {found.name}", task | settings_for_worker(context.settings))
