"""The pulse of the engine: a few times a second bars are closed by time, and each department looks at the clock."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.errors import JournalError
from engine.logs import get_logger

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.engine import Engine

__all__ = ["Pulse"]

log = get_logger(__name__)

ROLL_S = 0.25
"""How often bars are closed by time and the departments have their turn."""


class Pulse:
    """Gives each department its turn; one that fails keeps no other from it.

    Args:
        engine: Whose departments they are.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def run(self) -> None:
        """Go on until cancelled."""
        while True:
            self.beat(self._engine.clock.now())
            await self._engine.clock.sleep(ROLL_S)

    def beat(self, now: int) -> None:
        """Give every department one turn; never raises."""
        engine = self._engine
        if engine.standstill.frozen:
            return
        self._turn("bars", engine.hub.roll, now)
        if engine.recovered:
            # Risk is first: what it holds or stops, the others no longer do in the same beat.
            self._turn("risk", engine.risk.tick, now)
            self._turn("capital", engine.capital.tick, now)
            self._turn("algorithms", engine.algos.tick, now)
            self._turn("bots", engine.bots.events.tick, now)
            self._turn("quality", engine.quality.tick, now)
        elif engine.emergency is not None:
            # What is to be stopped waits for no venue but its own.
            self._turn("emergency stops", engine.risk.tick_stops, now)

    def _turn(self, name: str, tick: Callable[[int], object], now: int) -> None:
        engine = self._engine
        try:
            tick(now)
        except JournalError as error:
            log.error("a tick waits: the journal failed", department=name, problem=error.message)
        except Exception as error:  # what cannot look after its part must stop trading, not the engine or the others
            log.exception("a tick failed", department=name)
            engine.errors.report(error, component="engine", operation=f"tick of {name}")
            engine.halt(f"A check of the engine failed ({name}: {type(error).__name__}).")
