"""Strategies as bots ask for them: by name or file, as they are now, or as they were when the bot was set up."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from engine.errors import ConfigurationError, NotFoundError, StrategyLoadError
from engine.strategy.beside import beside, find_beside
from engine.strategy.loader import is_path
from engine.strategy.sources import FOLDER, SourceStore

if TYPE_CHECKING:
    from collections.abc import Mapping

    from engine.bots.config import BotConfig
    from engine.config import Settings
    from engine.strategy.contract import Strategy
    from engine.strategy.loader import LoadedStrategy, StrategyRegistry
    from engine.strategy.params import ParamValue
    from engine.strategy.quoting import EventStrategy

__all__ = ["Library", "strategy_defaults"]


def strategy_defaults(settings: Settings) -> tuple[dict[str, ParamValue], dict[str, dict[str, ParamValue]]]:
    """What the settings say about parameters that nobody gives, as `StrategyRegistry.set_defaults` takes it."""
    said = settings.strategies.defaults.model_dump(exclude_none=True)
    return said, {name: dict(values) for name, values in settings.strategies.parameters.items()}


class Library:
    """Strategies of a registry, and the kept sources of versions that have run before.

    A bot with a strategy of the person's own goes on with the source it was set up with, whatever becomes of the file,
    until it is changed, started by hand or swapped; a built-in strategy is always that of the release.

    Args:
        registry: Used on the loop alone.
        home: The home folder, in which sources are kept.
    """

    def __init__(self, registry: StrategyRegistry, home: Path) -> None:
        self._registry = registry
        self.sources = SourceStore(home / FOLDER)
        self._kept: dict[str, LoadedStrategy] = {}
        """Loaded from kept sources, by hash."""

    # --- for bots ----------------------------------------------------------------------------------------------------

    async def prepare(self, name: str, file: str | None, source: str = "") -> None:
        """Load a strategy in a thread, so that `make` need not. Raises as `make`."""
        await self.find(name, file, source)

    def make(
        self, name: str, file: str | None, params: Mapping[str, bool | int | float | str], source: str = ""
    ) -> Strategy:
        """Build a strategy.

        Args:
            name: Its name.
            file: Path of its file; None for a known one.
            params: Its parameters, those that differ from their defaults.
            source: Hash of the source that is meant; empty for the one that is there now.

        Raises:
            NotFoundError: There is none of that name, or that source is not kept.
            StrategyLoadError: It cannot be loaded.
            ConfigurationError: A parameter does not fit.
        """
        found = self._loaded(name, file, source)
        strategy = found.build(params)
        if self.sources.has(found.source_hash):
            strategy.source_copy = str(self.sources.path(found.source_hash))
        return strategy

    def on_events(self, name: str, file: str | None, source: str = "") -> bool:
        """Whether a strategy decides on events. Raises as `make`."""
        return self._loaded(name, file, source).on_events

    def make_event(
        self, name: str, file: str | None, params: Mapping[str, bool | int | float | str], source: str = ""
    ) -> EventStrategy:
        """Build a strategy that decides on events, as `make`."""
        return self._loaded(name, file, source).build_event(params)

    def _loaded(self, name: str, file: str | None, source: str) -> LoadedStrategy:
        found = self._known(name, file, source)
        if found is None:
            digest = self.sources.digest_of(file) or source
            if digest and self.sources.has(digest):
                return self._keep_loaded(self.sources.load(digest, self._shown(file)), name)
            return self._registry.load_file(Path(file)) if file else self._registry.get(name)
        return found

    # --- for operations ----------------------------------------------------------------------------------------------

    async def find(self, name: str, file: str | None, source: str = "") -> LoadedStrategy:
        """A strategy as `make` builds it; its code has been run in a thread. Raises as `make`."""
        known = self._known(name, file, source)
        if known is not None:
            return known
        pinned = self.sources.digest_of(file)
        digest = pinned or source
        if pinned or self.sources.has(digest):
            shown = self._shown(file)
            loaded = await beside(lambda: self.sources.load(digest, shown), f"version {digest}")
            return self._keep_loaded(loaded, name)
        return await find_beside(self._registry, name, file)

    async def settle(self, config: BotConfig) -> BotConfig:
        """A configuration with the source that its strategy has now, which is kept from here on.

        Raises:
            NotFoundError, StrategyLoadError: The strategy cannot be had, or its source cannot be kept.
        """
        file = config.strategy_file or self._own_file(config.strategy)
        if file is not None and self.sources.digest_of(file):
            found = await self.find(config.strategy, file)
        else:
            found = await find_beside(self._registry, config.strategy, file)
        if is_path(config.strategy):
            file = file or config.strategy
        elif found.name != config.strategy:
            raise StrategyLoadError(
                f"The file {file} holds the strategy {found.name}, not {config.strategy}; name that one."
            )
        await asyncio.to_thread(self.sources.keep, found.source, found.source_hash)
        named = config.strategy_file or (file if is_path(config.strategy) else None)
        watches: tuple[str, ...] = ()
        if not found.on_events:
            # Parameters that do not fit are refused by whoever checks the whole configuration.
            with suppress(ConfigurationError):
                watches = found.build(config.params).watches()
        return config.model_copy(
            update={
                "strategy": found.name,
                "strategy_file": named,
                "source": found.source_hash,
                "watches": watches,
            }
        )

    async def restored(self, config: BotConfig) -> BotConfig:
        """A configuration of before, set so that it gets the very source that it had then.

        Where that source is no longer what its file or this release holds, the kept copy takes the file's place.

        Raises:
            NotFoundError: The source is not kept any more.
            StrategyLoadError: It cannot be loaded.
        """
        if not config.source:
            # Set up by a release that kept no sources: what there is now is all there is.
            return await self.settle(config)
        try:
            now = await self.settle(config)
        except (StrategyLoadError, NotFoundError):
            now = None
        if now is not None and now.source == config.source:
            return now
        # Also where it is loaded already: after a restart the bot would be left with what is kept on disk.
        await asyncio.to_thread(self.sources.read, config.source)
        copy = str(self.sources.path(config.source))
        await self.find(config.strategy, copy)
        return config.model_copy(update={"strategy_file": copy})

    async def keep_running(self, strategy: Strategy) -> None:
        """Keep the source of a strategy that runs, where nobody has yet."""
        digest = strategy.source_hash
        known = self._registry.known(strategy.name)
        if digest and known is not None and known.source_hash == digest and not self.sources.has(digest):
            await asyncio.to_thread(self.sources.keep, known.source, digest)

    def own_file(self, config: BotConfig) -> Path | None:
        """The person's file that a bot's strategy comes from; None for a built-in one, and for a kept version."""
        file = config.strategy_file or self._own_file(config.strategy)
        return None if file is None or self.sources.digest_of(file) else Path(file).expanduser()

    # --- inside ------------------------------------------------------------------------------------------------------

    def _known(self, name: str, file: str | None, source: str) -> LoadedStrategy | None:
        """What needs no code to be run."""
        kept = self._kept.get(self.sources.digest_of(file) or source)
        if kept is not None and kept.name == name:
            return kept
        if self.sources.digest_of(file):
            return None
        loaded = self._registry.known_file(Path(file)) if file else self._registry.known(name)
        if loaded is None or not source or loaded.origin == "built-in" or loaded.source_hash == source:
            return loaded
        return None

    def _keep_loaded(self, loaded: LoadedStrategy, name: str) -> LoadedStrategy:
        if name and loaded.name != name:
            raise StrategyLoadError(f"The source {loaded.source_hash} holds the strategy {loaded.name}, not {name}.")
        found = self._kept[loaded.source_hash] = self._registry.with_defaults(loaded)
        return found

    def _shown(self, file: str | None) -> Path | None:
        return None if file is None or self.sources.digest_of(file) else Path(file)

    def _own_file(self, name: str) -> str | None:
        known = self._registry.known(name)
        return None if known is None or known.origin == "built-in" else known.path
