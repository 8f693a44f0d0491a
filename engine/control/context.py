"""What the handlers of operations work with."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from engine.clock import SystemClock
from engine.control.live.arming import EMBEDDED, Arming
from engine.control.money_book import KeptBook
from engine.errors import ConflictError, EngineNotRunningError, StorageError
from engine.events import OperatorActed
from engine.logs import redact

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from pathlib import Path

    from engine.alerts.sender import AlertSender
    from engine.clock import Clock
    from engine.config import Settings
    from engine.control.backup_schedule import BackupSchedule
    from engine.control.error_book import ErrorBook
    from engine.control.handover.door import HandoverDoor
    from engine.control.jobs import Jobs
    from engine.control.library import Library
    from engine.control.projector import Projector
    from engine.control.quality_book import QualityBook
    from engine.control.recording import RecordingKeeper
    from engine.control.replay.player import Player
    from engine.control.reports import Reports
    from engine.control.server import ControlServer
    from engine.control.vault import Vault
    from engine.control.watch_list import WatchList
    from engine.engine import Engine
    from engine.strategy.loader import StrategyRegistry
    from storage.candles import CandleStore
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
    library: Library | None = None
    """Strategies as bots ask for them, and the sources of their versions."""
    reports: Reports | None = None
    engine: Engine | None = None
    reader: AsyncReader | None = None
    jobs: Jobs | None = None
    projector: Projector | None = None
    quality_book: QualityBook | None = None
    recording: RecordingKeeper | None = None
    """What looks after the recorder."""
    backups: BackupSchedule | None = None
    """The backups that nobody asks for."""
    error_book: ErrorBook | None = None
    replay: Player | None = None
    """Where these are the means of a replay, what moves it."""
    request_stop: Callable[[str], None] | None = None
    """Asks the host to end the engine."""
    reload: Callable[[], Awaitable[None]] | None = None
    """Lets the engine take over what it can of settings that have changed."""
    handover: HandoverDoor | None = None
    """The door for a process that takes the engine over."""
    start_successor: Callable[[], Awaitable[int]] | None = None
    """Starts such a process and returns its number."""
    control: ControlServer | None = None
    """The door for other processes."""
    sender: AlertSender | None = None
    """Sends alerts to people who are away."""
    vault: Vault | None = None
    """Keys of accounts; made when they are first needed where there is no engine."""
    watch_list: WatchList | None = None
    """Keeps which instruments a person has chosen to watch."""
    money_book: KeptBook = field(default_factory=KeptBook)
    """The money-flow ledger, once somebody has asked for it."""
    on_keys: Callable[[], None] | None = None
    """Told when keys were changed, unlocked or locked."""
    arming: Arming = field(default_factory=lambda: Arming(SystemClock()))
    """Which consoles may send orders with real money."""
    actor: str = field(default="console")
    """Who asks; every call has its own."""
    connection: str = EMBEDDED
    """Over which connection; every call has its own."""

    def need_engine(self) -> Engine:
        """The running engine.

        Raises:
            EngineNotRunningError: There is none here.
        """
        if self.engine is None:
            raise EngineNotRunningError("This needs a running engine; start one with `quarterdeck`.")
        return self.engine

    def need_reports(self) -> Reports:
        """The report database.

        Raises:
            StorageError: There is none here.
        """
        if self.reports is None:
            raise StorageError("There is no report database here; use a home folder of Quarterdeck.")
        return self.reports

    def need_library(self) -> Library:
        """Strategies as bots ask for them.

        Raises:
            ConflictError: There are no bots here.
        """
        if self.library is None:
            raise ConflictError("There are no bots here; ask a running engine.")
        return self.library

    async def need_vault(self) -> Vault:
        """The keys of this home folder, read.

        Raises:
            ConflictError: A replay has no keys.
        """
        if self.replay is not None:
            raise ConflictError("The past has no keys; ask the engine itself.")
        if self.vault is None:
            from engine.control.vault import Vault

            self.vault = Vault(self.home, self.clock)
            await self.vault.open(self.settings.keys.place)
        return self.vault

    def need_jobs(self) -> Jobs:
        """What runs heavy work.

        Raises:
            ConflictError: Nothing here does.
        """
        if self.jobs is None:
            raise ConflictError("No heavy work can be done here; ask a running engine, or the command line.")
        return self.jobs

    def need_replay(self) -> Player:
        """What moves the replay.

        Raises:
            ConflictError: This is no replay.
        """
        if self.replay is None:
            raise ConflictError("This engine lives in the present; open the past with `quarterdeck replay`.")
        return self.replay

    def audit_change(
        self, operation: str, before: Mapping[str, Any], after: Mapping[str, Any], *, subject: str = ""
    ) -> None:
        """Book what a change has replaced by what; only what differs, as plain values.

        Args:
            operation: Which changed it.
            before: Name -> value that was in force.
            after: The same names -> value in force from now on.
            subject: What was changed, such as a bot's name.
        """
        if self.engine is None or self.engine.ledger.failed is not None or not after:
            return
        old, new = redact(dict(before)), redact(dict(after))
        lines = ", ".join(f"{name}: {old.get(name)} -> {value}" for name, value in new.items())
        self.engine.ledger.record(
            OperatorActed(
                actor=self.actor,
                operation=operation,
                summary=f"{subject} {lines}".strip()[:500],
                before=json.dumps(old, default=str),
                after=json.dumps(new, default=str),
            )
        )

    async def close(self) -> None:
        """Close the door for other processes, and what was read from."""
        for part in (self.control, self.reader, self.reports):
            if part is not None:
                await part.close()
        if self.vault is not None:
            self.vault.close()

    def audit(self, operation: str, summary: str, request_id: str = "") -> None:
        """Book who asked for what; nothing secret may be in the summary."""
        if self.engine is not None and self.engine.ledger.failed is None:
            self.engine.ledger.record(
                OperatorActed(actor=self.actor, operation=operation, summary=summary, request_id=request_id)
            )
