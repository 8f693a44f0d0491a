"""Bots that are written down in the home folder: each file of `bots/` is registered at the start of the engine."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from engine.control.bot_files import read_bot
from engine.errors import JournalError, QuarterdeckError
from engine.logs import get_logger
from engine.model.faults import Severity

if TYPE_CHECKING:
    from pathlib import Path

    from engine.control.library import Library
    from engine.engine import Engine

__all__ = ["FOLDER", "register_presets"]

log = get_logger(__name__)

FOLDER = "bots"
"""Folder of the home folder with the files, as `bots.export` writes them."""


async def register_presets(engine: Engine, home: Path, library: Library | None = None) -> None:
    """Make a bot of every file whose bot is not there yet; one that starts with the engine is started, on paper.

    A file that cannot be used is told and left out. Never raises for a file.

    Args:
        engine: Whose bots they become.
        home: The home folder.
        library: Notes and keeps the source of each one's strategy; None notes nothing.

    Raises:
        JournalError: Nothing can be booked any more.
    """
    for file in await asyncio.to_thread(lambda: sorted((home / FOLDER).glob("*.json"))):
        try:
            config = (await asyncio.to_thread(read_bot, file)).configuration()
            if any(entry.name.lower() == config.name.lower() for entry in engine.state.bots.values()):
                continue
            if library is not None:
                config = await library.settle(config)
            entry = engine.bots.create(config)
            log.info("a bot was registered from a file", bot=entry.id, name=entry.name, file=str(file))
            if config.autostart and not engine.bots.is_live(config):
                await engine.bots.start(entry)
        except JournalError:
            raise
        except QuarterdeckError as error:
            engine.errors.alert(Severity.MEDIUM, "bots", f"The bot of the file {file} is left out: {error.message}")
