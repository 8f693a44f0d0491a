"""Builds an engine for embedding: settings, logs, journal, venue, departments and doors of one home folder."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import shutil
import subprocess
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from engine.clock import SystemClock
from engine.config import Settings, changes, load_settings, shown
from engine.control.backend import EngineBackend
from engine.control.backup_schedule import BackupSchedule
from engine.control.build import build_id
from engine.control.context import Context
from engine.control.error_book import ErrorBook
from engine.control.handover.door import HandoverDoor
from engine.control.handover.giving import Giver
from engine.control.home_venues import SETTINGS_SEEN, exchange_plans
from engine.control.hot_reload import HotReload
from engine.control.jobs import Jobs
from engine.control.journal_options import journal_options
from engine.control.library import Library, strategy_defaults
from engine.control.live.arming import Arming
from engine.control.local import LocalLink
from engine.control.memory_copies import facts_after, older_memories
from engine.control.messenger import make_sender
from engine.control.mirror import DatabaseMirror
from engine.control.paper_venue import home_venue, make_venue, simulated_plan
from engine.control.presets import register_presets
from engine.control.projector import Projector
from engine.control.quality_book import QualityBook
from engine.control.recording import RecordingKeeper
from engine.control.reload import merged, take_over, waiting
from engine.control.reports import Reports
from engine.control.server import ControlServer
from engine.control.service import Service
from engine.control.topics import Topics
from engine.control.vault import Vault
from engine.control.watch_list import WatchList
from engine.engine import Engine
from engine.errors import HandoverError, QuarterdeckError
from engine.events import OperatorActed
from engine.health import limit_arenas
from engine.logs import add_secret, configure_logs, get_logger
from engine.model.ids import AccountId, InstrumentId
from engine.strategy.loader import StrategyRegistry
from engine.venues.limits.coordinator import Coordinator
from engine.venues.markets.sim_profile import scene as find_scene
from storage.candles import CandleStore
from storage.journal import AsyncReader, Journal, JournalOptions

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from engine.alerts.sender import AlertSender
    from engine.clock import Clock
    from engine.control.handover.machine import Patience
    from engine.control.handover.peer import PeerProcess
    from engine.control.lock import EngineLock
    from engine.inheritance import Inherited
    from engine.market.hub import MarketHub
    from engine.model.venue import Venue
    from engine.risk.scopes import Emergency
    from engine.venue_unit import VenuePlan

__all__ = ["PAPER_ACCOUNT", "EngineHost", "build_engine"]

log = get_logger(__name__)

PAPER_ACCOUNT = AccountId("paper")
SCENES = "scenes"
ANSWERS_S = 3.0
"""Seconds that calls under way have to be answered when the engine ends."""
PROJECTION_AFTER_S = 2.0
SUCCESSOR_POLL_S = 0.5
SEE_OFF_S = 10.0
"""Seconds that a process has to let go of the lock after another one has taken over; it may not write any more."""


class EngineHost:
    """One engine with its doors. `start`, `stop` and `wait_stopped` are what a process needs to hold it.

    Args:
        home: Home folder; it exists and is locked by the caller.
        settings: Validated settings.
        scene: Name of a scene with a fixed seed; it lives in a folder of its own that is emptied first.
        clock: The engine's clock.
        reread: Reads the settings anew for `reload`; None keeps those of the start.
        emergency: What is to be cancelled and closed from the start on, without bots; None for a usual start.
        vault: The keys of accounts; None for those of the home folder without anything from a process before.

    Raises:
        NotFoundError: There is no such scene.
    """

    def __init__(
        self,
        home: Path,
        settings: Settings,
        *,
        scene: str | None = None,
        clock: Clock | None = None,
        reread: Callable[[], Settings] | None = None,
        emergency: Emergency | None = None,
        vault: Vault | None = None,
    ) -> None:
        # A scene's folder is emptied at its start: only a name that is in the table may ever become one.
        self._market = find_scene(scene) if scene is not None else None
        self.home = home if scene is None else home / SCENES / scene
        self._root = home
        self.settings = settings
        self.scene = scene
        self._reread = reread
        self._emergency = emergency
        self.clock = clock or SystemClock()
        self.vault = vault or Vault(home, self.clock)
        self._watch_list = WatchList(self.home)
        self._chosen: tuple[InstrumentId, ...] = ()
        self.coordinator = Coordinator(self.clock, lambda: bool(self.engine and self.engine.risk.gate.closing))
        """Lets every request to an exchange leave, for the whole process."""
        self.release = version("quarterdeck")
        self.engine: Engine | None = None
        self.context: Context | None = None
        self.service: Service | None = None
        self.topics: Topics | None = None
        self._registry = StrategyRegistry(self.home / "strategies")
        self.library = Library(self._registry, self.home)
        self.successor = 0
        """Process that has taken the engine over; 0 when none has."""
        self.lock: EngineLock | None = None
        """The lock of the home folder, once it is known."""
        self.door: HandoverDoor | None = None
        self.sender: AlertSender | None = None
        """Sends alerts to whoever is away, once it is assembled."""
        self._journal: Journal | None = None
        self.patience: Patience | None = None
        """How long a process that takes over may take; None for the usual times."""
        self._command: tuple[str, ...] = ()
        self._build = ""
        self._tasks: list[asyncio.Task[None]] = []
        self._stopping = asyncio.Event()

    # --- life --------------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Recover and begin to trade.

        Raises:
            QuarterdeckError: Journal, venue or state cannot be brought up; the message says what to do.
        """
        # What is loaded and folded now lives as long as the engine: to look through it for garbage again and again is
        # a good part of a start.
        gc.disable()
        try:
            await self._start()
        finally:
            gc.enable()

    async def _start(self) -> None:
        await asyncio.to_thread(self._prepare_home)
        await self.prepare()
        plans = await asyncio.to_thread(self.make_venues)
        try:
            journal = await asyncio.to_thread(self._open_journal)
        except BaseException:
            # Whoever tries again needs the venues, which only one program has at a time.
            await asyncio.gather(*(plan.venue.close() for plan in plans))
            raise
        self.assemble(journal, plans)
        await self.go()

    async def take_over(self) -> None:
        """Take over from the engine that runs in this home folder, and trade.

        Raises:
            EngineNotRunningError: No engine runs there; start one as usual.
            HandoverError: There was no hand-over; the running engine goes on and nothing was touched.
            QuarterdeckError: This process has taken over and then failed; another start recovers.
        """
        from engine.control.handover.successor import take_over as take_engine_over

        if self.scene is not None:
            raise HandoverError("A scene begins anew at every start; there is nothing to take over.")
        await take_engine_over(self)

    def hold(self, lock: EngineLock | None, successor: Sequence[str] = ()) -> None:
        """Know the lock of the home folder, so that it can be handed over.

        Args:
            lock: Held; None while it is still to come from the engine that is taken over.
            successor: Command that starts a process which takes over.
        """
        self.lock = lock or self.lock
        self._command = tuple(successor) or self._command

    @property
    def keys_descriptor(self) -> int | None:
        """What carries unlocked keys over to whoever is started next; None when there is nothing like it."""
        return self.vault.descriptor

    @property
    def lock_folder(self) -> Path:
        """The folder that the lock and the sockets are in."""
        return self._root

    @property
    def journal_file(self) -> Path:
        """Where the journal is."""
        return self.home / "journal.db"

    async def prepare(self) -> None:
        """Open the log, load the strategies and read what build this is; doing it later would hold the loop."""
        limit_arenas()
        configure_logs(self.home / "logs", self.settings.logging, self.clock)
        password = self.settings.database.postgresql_password
        if password is not None:
            add_secret(password.get_secret_value())
        if self.scene is None:
            await self.vault.open(self.settings.keys.place)
        await asyncio.to_thread(self._registry.scan)
        self._registry.set_defaults(*strategy_defaults(self.settings))
        self._chosen = await asyncio.to_thread(self._watch_list.load)
        self._build = await asyncio.to_thread(build_id)

    def assemble(
        self,
        journal: Journal,
        plans: Sequence[VenuePlan],
        *,
        hub: MarketHub | None = None,
        inherited: Inherited | None = None,
    ) -> None:
        """Build the engine and its doors; nothing is started.

        Args:
            journal: With the right to write, or about to get it.
            plans: Where it trades, the venue first that is meant where none is named.
            hub: Markets that are kept already.
            inherited: What an engine that is taken over left.
        """
        self._journal = journal
        for note in journal.recovered.notes:
            log.warning("journal", note=note)
        journal.on_note(lambda note: log.warning("journal", note=note))
        engine = Engine(
            settings=self.settings,
            journal=journal,
            venues=plans,
            library=self.library,
            clock=self.clock,
            release=self.release,
            emergency=self._emergency,
            hub=hub,
            inherited=inherited,
            watch_list=self._chosen,
        )
        context = Context(
            home=self.home,
            settings=self.settings,
            clock=self.clock,
            strategies=self._registry,
            library=self.library,
            candles=CandleStore(self.home / "candles"),
            reports=(reports := Reports(self.settings.database, self.home, self.clock, engine.errors)),
            engine=engine,
            reader=AsyncReader(self.journal_file),
            jobs=Jobs(self.home, self.clock),
            projector=Projector(reports, self.journal_file, self.clock, lambda: journal.durable_seq, engine.errors),
            error_book=ErrorBook(reports, engine.errors, self.clock),
            request_stop=lambda reason: self._stopping.set(),
            reload=self.reload if self._reread is not None else None,
            vault=self.vault,
            watch_list=self._watch_list,
            arming=Arming(self.clock),
            recording=RecordingKeeper(engine, self._registry, self.home) if self.scene is None else None,
            on_keys=lambda: _try_venues(engine),
        )
        engine.bots.look_for_copies(older_memories(context.reader))
        engine.bots.events.look_for_facts(facts_after(context.reader))
        if context.projector is not None:
            context.quality_book = QualityBook.beside(context.projector)
            DatabaseMirror(reports, context.projector, self.journal_file).serve(engine)
        self.engine, self.context = engine, context
        self.service, self.topics = Service(context), Topics(context)
        self.sender = context.sender = make_sender(self.settings.alerts, engine)
        engine.remedies.circuit_breakers[reports.breaker.name] = reports.breaker

    async def go(self) -> None:
        """Start what `assemble` built, and open the doors.

        Raises:
            QuarterdeckError: Venue or state cannot be brought up.
        """
        engine, context = self.engine, self.context
        assert engine is not None
        assert context is not None
        await engine.start()
        if self.scene is None and not self._emergency and engine.inherited is None:
            await register_presets(engine, self.home, self.library)
        await self._open_doors(context)
        await _note_settings(engine, self.home / SETTINGS_SEEN, self.settings)
        # What lives from now on for good need not be looked through by every full collection of garbage.
        gc.collect()
        gc.freeze()
        self._own(_project(context), "projection")
        if context.recording is not None:
            self._own(context.recording.run(), "recorder")
        if self.scene is None:
            self._own(HotReload(context).run(), "hot reload")
        if self.scene is None and context.jobs is not None:
            context.backups = BackupSchedule(self.home, self.settings, context.jobs, self.clock)
            self._own(context.backups.run(), "backups")
            engine.remedies.backup = context.backups.make
        self._own(_keep_errors(context), "errors")
        if self.sender is not None:
            self._own(self.sender.run(), "alerts")

    async def _open_doors(self, context: Context) -> None:
        assert self.service is not None
        assert self.topics is not None
        self._own(self.topics.run(), "topics")
        if self.lock is not None and self.scene is None:
            self.door = context.handover = HandoverDoor(self._root, self._make_giver, self.clock, self.patience)
            await self.door.start()
            context.start_successor = self._start_successor if self._command else None
        context.control = ControlServer(self._root, EngineBackend(self.service, self.topics), self.clock, self._build)
        await context.control.start()

    def _make_giver(self) -> Giver:
        assert self.engine is not None
        assert self.service is not None
        assert self.lock is not None
        assert self._journal is not None
        giver = Giver(self.engine, self._journal, self.service, self.lock, self._left, self.vault.descriptor)
        giver.limits = self.coordinator.standing
        return giver

    async def _start_successor(self) -> int:
        """Start a process that takes over, and see how it ends if it does not."""
        child = await asyncio.to_thread(_spawn, self._command, self.home / "logs" / "process.log")
        self._own(self._await_successor(child), "successor")
        return child.pid

    async def _await_successor(self, child: subprocess.Popen[bytes]) -> None:
        try:
            # Not asyncio's own child: that one would end together with the loop, and this one is to outlive it.
            while child.poll() is None:
                await self.clock.sleep(SUCCESSOR_POLL_S)
        finally:
            # It goes on without us; this tells subprocess not to warn about it.
            child.returncode = child.returncode or 0
        if self.door is not None:
            self.door.missed(child.pid, f"Process {child.pid} ended before it could take over; its log says why.")

    def see_off(self, before: PeerProcess) -> None:
        """Look after the process that was taken over from: one that is stopped in its last step would hold the lock."""
        self._own(self._end_of(before), "predecessor")

    async def _end_of(self, before: PeerProcess) -> None:
        try:
            await self.clock.sleep(SEE_OFF_S)
            if self.lock is not None and self.lock.is_open_in(before.pid):
                log.warning("the process before this one does not let go of the lock and is ended", process=before.pid)
                before.kill()
        finally:
            before.close()

    def _left(self, pid: int) -> None:
        """Another process has taken over: what is left here ends."""
        self.successor = pid
        self._stopping.set()

    def _own(self, work: Any, name: str) -> None:
        self._tasks.append(asyncio.get_running_loop().create_task(work, name=name))

    def changed_settings(self) -> list[str]:
        """Settings that are others than at the last start of an engine here, `key: old -> new` each; blocks."""
        return changes(_read_seen(self.home / SETTINGS_SEEN), shown(self.settings))

    def _prepare_home(self) -> None:
        if self.scene is not None and self.home.exists():
            shutil.rmtree(self.home)
        self.home.mkdir(parents=True, exist_ok=True, mode=0o700)
        (self.home / "strategies").mkdir(exist_ok=True, mode=0o700)

    def journal_options(self) -> JournalOptions:
        """How the settings want the journal to work."""
        return journal_options(self.settings.journal)

    def _open_journal(self) -> Journal:
        journal = Journal.open(self.journal_file, self.journal_options())
        journal.open_epoch()
        return journal

    def make_venues(self) -> list[VenuePlan]:
        """Build the venues of the settings; blocks for the imports. Raises as `make_venue` and `exchange_plans`."""
        settings, plans = self.settings, []
        if settings.simulated or self.scene is not None:
            plans.append(simulated_plan(self.make_venue(), settings))
        if self.scene is None and settings.venues:
            plans += exchange_plans(self.home, settings, self.clock, self.vault, self.coordinator)
        # The one that is meant where none is named comes first.
        return sorted(plans, key=lambda plan: plan.venue.id != settings.default_venue)

    def make_venue(self) -> Venue:
        """Build the simulated market; blocks for the imports.

        Raises:
            QuarterdeckError: It is in a process of its own that cannot be reached.
        """
        # A scene is a market of its own that begins anew: nothing of it outlives the engine.
        if self.scene is None:
            return home_venue(self.home, self.settings.paper, self.clock, self.release, self._compare)
        return make_venue(self.home, self.settings.paper, self.clock, scene=self._market)

    def _compare(self) -> None:
        if self.engine is not None:
            _compare_all(self.engine)

    async def stop(self) -> None:
        """End in order; returns when everything booked is durable."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=2)
        context = self.context
        if self.door is not None:
            await self.door.close()
        if context is not None and context.control is not None:
            context.control.stop_listening()
        if context is not None and context.jobs is not None:
            await context.jobs.close()
        if self.service is not None:
            # Who asked before the end is answered: the journal takes nothing once it is closed.
            await self.service.finish(ANSWERS_S)
        if self.engine is not None:
            await self.engine.stop()
        if context is not None:
            if context.recording is not None:
                await context.recording.close()
            await context.close()

    async def wait_stopped(self) -> None:
        """Return when somebody asked the engine to end, or it ended by itself; raise what made it end."""
        if self.engine is None:
            return
        loop = asyncio.get_running_loop()
        asked = loop.create_task(self._stopping.wait(), name="stop asked")
        over = loop.create_task(self.engine.wait_stopped(), name="engine over")
        try:
            await asyncio.wait({asked, over}, return_when=asyncio.FIRST_COMPLETED)
            if over.done():
                over.result()
        finally:
            asked.cancel()
            over.cancel()

    async def reload(self) -> None:
        """Read the settings again and take over what can change while the engine runs; the log says what waits.

        Settings that cannot be used change nothing. Never raises.
        """
        engine, context = self.engine, self.context
        if self._reread is None or engine is None or context is None or engine.stopped:
            return
        try:
            fresh = await asyncio.to_thread(self._reread)
            before, now = self.settings, merged(self.settings, fresh)
            self.settings = context.settings = now
            take_over(engine, now)
            self._registry.set_defaults(*strategy_defaults(self.settings))
            configure_logs(self.home / "logs", now.logging, self.clock)
            log.info(
                "settings read again", taken=changes(shown(before), shown(now)), need_restart=waiting(before, fresh)
            )
            await _note_settings(engine, self.home / SETTINGS_SEEN, self.settings)
        except QuarterdeckError as error:
            log.error("the settings were not taken over", problem=error.message)
        except Exception:
            # The root of an errand: whatever is wrong with a file must not end the engine.
            log.exception("the settings were not taken over")

    # --- doors -------------------------------------------------------------------------------------------------------

    def link(self, *, wire: bool = False) -> LocalLink:
        """The in-process door."""
        if self.service is None or self.topics is None:
            raise QuarterdeckError("The engine has not been started yet.")
        return LocalLink(self.service, self.topics, wire=wire)


async def _keep_errors(context: Context) -> None:
    """Errors are counted from the first moment on; what keeps them comes up with the reports."""
    await context.clock.sleep(PROJECTION_AFTER_S)
    if context.error_book is not None:
        await context.error_book.run()


async def _project(context: Context) -> None:
    """Reports live in SQL; the engine trades without them, so they come up beside it, once the start is over."""
    await context.clock.sleep(PROJECTION_AFTER_S)
    await asyncio.gather(*(view.run() for view in (context.projector, context.quality_book) if view is not None))


def _spawn(command: Sequence[str], output: Path) -> subprocess.Popen[bytes]:
    with output.open("ab") as log_file:
        return subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log_file, stderr=log_file, start_new_session=True
        )


def _read_seen(file: Path) -> dict[str, str]:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        # The first start, or a file that was cut short: there is nothing to compare with.
        return {}
    return {str(key): str(value) for key, value in found.items()} if isinstance(found, dict) else {}


def _keep_seen(file: Path, seen: Mapping[str, str]) -> None:
    """Write the settings down for their owner's eyes only, and all or nothing."""
    fresh = file.with_name(file.name + ".new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w", encoding="utf-8") as target:
        json.dump(seen, target, indent=2)
    fresh.replace(file)


def build_engine(
    home: Path,
    overrides: Mapping[str, Any] | None = None,
    *,
    keys: int | None = None,
    passphrase: int | None = None,
) -> EngineHost:
    """Read the settings of a home folder and make an engine that is ready to be started.

    Args:
        home: Home folder; it exists.
        overrides: `scene` names a scene; every other key is a setting (`paper.seed`) that outranks all sources.
        keys: Descriptor in which the process before has left its unlocked keys; None for none.
        passphrase: Descriptor from which the passphrase of the keys can be read; None for none.

    Raises:
        ConfigurationError: The settings cannot be used.
    """
    explicit = dict(overrides or {})
    scene = explicit.pop("scene", None)

    def read() -> Settings:
        return load_settings(home, explicit=explicit)

    clock = SystemClock()
    vault = Vault(home, clock, capsule=keys, passphrase=passphrase)
    return EngineHost(home, read(), scene=scene, clock=clock, reread=read, vault=vault)


async def _note_settings(engine: Engine, file: Path, settings: Settings) -> None:
    """Book which settings are others than at the last start; secrets are masked."""
    before, now = await asyncio.to_thread(_read_seen, file), shown(settings)
    for line in changes(before, now):
        engine.ledger.record(OperatorActed(actor="settings", operation="settings.changed", summary=line[:500]))
    await engine.journal.wait_durable(engine.ledger.seq)
    try:
        await asyncio.to_thread(_keep_seen, file, now)
    except OSError as error:
        log.warning("the settings of this start were not kept", problem=str(error))


def _try_venues(engine: Engine) -> None:
    """Keys were unlocked, added or agreed to: a venue that waits for them tries at once."""
    for unit in engine.venues.values():
        unit.connection.try_soon()


def _compare_all(engine: Engine) -> None:
    """Reports of a venue were lost: nothing that is booked of any is taken for whole before it was compared."""
    engine.dispatcher.compare_soon()
    for unit in engine.venues.values():
        unit.connection.sync_soon()
