"""What the handlers of operations work with."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from engine.errors import EngineNotRunningError
from engine.events import OperatorActed

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from engine.clock import Clock
    from engine.config import Settings
    from engine.control.jobs import Jobs
    from engine.engine import Engine
    from engine.strategy.loader import StrategyRegistry
    from storage.candles import CandleStore
    from storage.database import Database
    from storage.journal import AsyncReader

__all__ = ["Context"]


@dataclass(slots=True, kw_only=True)
class Context:
    """One engine's (or an engineless command's) means. Parts that are None are not there."""

    home: Path
    settings: Settings
    clock: Clock
    strategies: StrategyRegistry
    candles: CandleStore
    database: Database | None = None
    engine: Engine | None = None
    reader: AsyncReader | None = None
    jobs: Jobs | None = None
    request_stop: Callable[[str], None] | None = None
    """Asks the host to end the engine."""
    actor: str = field(default="console")

    def need_engine(self) -> Engine:
        """The running engine.

        Raises:
            EngineNotRunningError: There is none here.
        """
        if self.engine is None:
            raise EngineNotRunningError("This needs a running engine; start one with `quarterdeck`.")
        return self.engine

    def audit(self, operation: str, summary: str) -> None:
        """Book who asked for what; nothing secret may be in the summary."""
        if self.engine is not None and self.engine.ledger.failed is None:
            self.engine.ledger.record(OperatorActed(actor=self.actor, operation=operation, summary=summary))
