"""Hot reload: strategies' files and bots' files that have changed are applied to running bots, or told why not.

What is seen at the start of the engine is what changes are measured against: a file that was edited while no engine
ran is taken over when it is edited again, or by hand.
"""

from __future__ import annotations

import asyncio
import hashlib
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from engine.bots.changing import change
from engine.control.bot_files import read_bot
from engine.control.live.bot_changes import widened
from engine.control.presets import FOLDER, register_presets
from engine.errors import ConfigurationError, HandoverError, JournalError, QuarterdeckError
from engine.logs import get_logger
from engine.model.entries import BotState
from engine.model.faults import Severity

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from engine.bots.config import BotConfig
    from engine.control.context import Context
    from engine.model.entries import BotEntry
    from engine.model.ids import Owner

__all__ = ["ACTOR", "HotReload"]

log = get_logger(__name__)

ACTOR = "hot reload"
"""Who is named in the audit."""
GONE = "gone"


class HotReload:
    """Looks at files now and then.

    Args:
        context: The engine, its library of strategies and its settings.
    """

    def __init__(self, context: Context) -> None:
        self._context = replace(context, actor=ACTOR)
        self._bots = context.home / FOLDER
        self._files: dict[Path, str] = {}
        """The bots' files as they were last looked at."""
        self._seen: dict[Owner, str] = {}
        """The source of a strategy's file that a bot does not run and that was dealt with."""

    async def run(self) -> None:
        """Look at the files for as long as the engine runs."""
        self._files = await asyncio.to_thread(_digests, self._bots)
        while True:
            settings = self._context.need_engine().settings.strategies
            await self._context.clock.sleep(settings.hot_reload_seconds)
            if self._context.need_engine().settings.strategies.hot_reload:
                await self.look()

    async def look(self) -> None:
        """Take over what has changed since the last look. What fails is told, and keeps nothing else from its turn."""
        bots = self._context.need_engine().bots
        if bots.asleep or bots.backlog.held:
            return
        for entry in list(self._context.need_engine().state.bots.values()):
            with self._contained(f"The strategy of the bot {entry.name}"):
                await self._look_at_strategy(entry)
        with self._contained("The files of bots"):
            await self._look_at_files()

    # --- strategies --------------------------------------------------------------------------------------------------

    async def _look_at_strategy(self, entry: BotEntry) -> None:
        engine, library = self._context.need_engine(), self._context.need_library()
        bot = engine.bots.running.get(entry.id)
        if bot is None or entry.state not in (BotState.RUNNING, BotState.PAUSED):
            return
        await library.keep_running(bot.runner.strategy)
        config = engine.bots.config(entry)
        file = library.own_file(config)
        if file is None:
            return
        digest = await asyncio.to_thread(_digest, file)
        if digest == bot.runner.strategy.source_hash:
            self._seen.pop(entry.id, None)
            return
        if self._seen.get(entry.id) == digest:
            return
        self._seen[entry.id] = digest
        if digest == GONE:
            self._tell(f"The file {file} of the bot {entry.name} is gone; the bot goes on with the version it runs.")
            return
        try:
            await self._apply(entry, config, await library.settle(config), f"the file {file} has changed")
        except (JournalError, HandoverError):
            del self._seen[entry.id]
            raise
        except QuarterdeckError as error:
            self._tell(
                f"The file {file} of the bot {entry.name} has changed and is not taken over; the bot goes on with the "
                f"version it runs. {error.message}"
            )

    # --- bots' files -------------------------------------------------------------------------------------------------

    async def _look_at_files(self) -> None:
        now = await asyncio.to_thread(_digests, self._bots)
        changed = [file for file, digest in now.items() if self._files.get(file) != digest]
        for file in changed:
            self._files[file] = now[file]
            try:
                await self._look_at_file(file)
            except (JournalError, HandoverError):
                del self._files[file]
                raise
            except QuarterdeckError as error:
                self._tell(
                    f"The file {file} has changed and is not taken over; its bot stays as it is. {error.message}"
                )

    async def _look_at_file(self, file: Path) -> None:
        engine, library = self._context.need_engine(), self._context.need_library()
        config = (await asyncio.to_thread(read_bot, file)).configuration()
        entry = next((one for one in engine.state.bots.values() if one.name.lower() == config.name.lower()), None)
        if entry is None:
            await register_presets(engine, self._context.home, library)
            return
        settled = await library.settle(config.model_copy(update={"name": entry.name}))
        await self._apply(entry, _present(self._context, entry), settled, f"the file {file} has changed")

    # --- inside ------------------------------------------------------------------------------------------------------

    async def _apply(self, entry: BotEntry, before: BotConfig | None, after: BotConfig, why: str) -> None:
        engine = self._context.need_engine()
        old = before.model_dump(mode="json") if before is not None else {}
        new = after.model_dump(mode="json")
        names = [name for name, value in new.items() if old.get(name) != value]
        if not names:
            return
        at_work = entry.state is not BotState.STOPPED
        wider = widened(before, after, at_work=at_work) if engine.bots.is_live(after) else []
        if wider:
            raise ConfigurationError(
                f"It trades real money, and nobody is asked here about {', '.join(wider)}: take it over by hand with "
                f"`bots swap` or `bots configure`, with the console armed."
            )
        await change(engine.bots, entry, after)
        log.info("a bot was changed by hot reload", bot=entry.id, why=why, changed=names)
        self._context.audit_change(
            "bots.configure",
            {name: old.get(name) for name in names},
            {name: new[name] for name in names},
            subject=f"{entry.name}: {why}:",
        )

    def _tell(self, text: str) -> None:
        self._context.need_engine().errors.alert(Severity.MEDIUM, "bots", text)

    @contextmanager
    def _contained(self, what: str) -> Iterator[None]:
        try:
            yield
        except (JournalError, HandoverError) as error:
            log.warning("hot reload waits: nothing can be booked", problem=error.message)
        except QuarterdeckError as error:
            log.warning("hot reload left something out", what=what, problem=error.message)
        except Exception as error:  # an errand nobody waits for: it must end neither the engine nor itself
            log.exception("hot reload failed", what=what)
            self._context.need_engine().errors.report(error, component="bots", operation="hot reload")


def _present(context: Context, entry: BotEntry) -> BotConfig | None:
    try:
        return context.need_engine().bots.config(entry)
    except ConfigurationError:
        return None


def _digest(file: Path) -> str:
    try:
        return hashlib.sha256(file.read_bytes()).hexdigest()[:16]
    except OSError:
        return GONE


def _digests(folder: Path) -> dict[Path, str]:
    return {file: _digest(file) for file in sorted(folder.glob("*.json"))}
