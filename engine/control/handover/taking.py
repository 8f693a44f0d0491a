"""What a successor does beside the running engine: get warm, follow the journal, and at last be the engine."""

from __future__ import annotations

import asyncio
import gc
from typing import TYPE_CHECKING

from engine.bots.config import BotConfig
from engine.control.handover.steps import Steps
from engine.control.lock import EngineLock
from engine.crash_points import crash_point
from engine.errors import HandoverError, QuarterdeckError, StateConsistencyError
from engine.inheritance import EarlySession, Inherited
from engine.logs import get_logger
from engine.market.hub import MarketHub
from engine.model.candle import Bars
from engine.model.ids import InstrumentId, venue_of
from engine.standstill import exclusive
from engine.state.proof import StateProof
from engine.strategy.runner import StrategyRunner
from engine.venue_unit import OPEN_S
from storage.journal import Follower

if TYPE_CHECKING:
    from collections.abc import Iterable

    from engine.control.handover.messages import Final, Page
    from engine.control.host import EngineHost
    from engine.control.outcomes import Outcome
    from engine.events import Record
    from engine.model.ids import VenueId
    from engine.venue_unit import VenuePlan
    from storage.journal import Successor

__all__ = ["Taker"]

log = get_logger(__name__)

FOLLOW_S = 0.02
"""Pause between two looks at the journal while it is followed."""
ORDERS_A_TURN = 500
VENUES_OWN = tuple(f"paper.{name}:" for name in ("process", "market", "seed", "replay_file"))
"""Settings that make the venue's file unusable when they change."""


class Taker:
    """One successor. Call the methods in their order; `give_up` at any time before `take`.

    Args:
        host: Not started.
        epoch: The running engine's.
        reached: Venues that answer it.
    """

    def __init__(self, host: EngineHost, epoch: int, reached: Iterable[VenueId] = ()) -> None:
        self.taken = False
        self._host = host
        self._epoch = epoch
        self._reached = frozenset(reached)
        self._hub = MarketHub()
        self._inherited: Inherited
        self._session: EarlySession | None = None
        self._plans: list[VenuePlan] = []
        self._follower: Follower
        self._proof: StateProof
        self._journal: Successor | None = None
        self._outcomes: list[Outcome] = []
        self._following: asyncio.Task[None] | None = None
        self._turn = asyncio.Lock()
        self._steps = Steps(host.clock)

    @property
    def journal_id(self) -> str:
        """Which journal is followed."""
        return self._follower.recovered.meta.journal_id

    @property
    def seq(self) -> int:
        """The last fact that was followed."""
        return self._follower.state.seq

    async def warm_up(self) -> None:
        """Import, read and connect; the running engine does not notice.

        A venue that the running engine cannot reach either, or whose keys are locked for both, is taken over as it is.

        Raises:
            QuarterdeckError: Something is wrong with the settings, the journal or a venue that the running engine
                reaches.
        """
        host = self._host
        await host.prepare()
        self._follower = await asyncio.to_thread(Follower.open, host.journal_file, host.journal_options())
        self._proof = StateProof(self._follower.state)
        self._follower.heard = self._hear
        self._plans = await asyncio.to_thread(host.make_venues)
        early = [plan for plan in self._plans if exclusive(plan.venue) is None]
        if len(early) < len(self._plans):
            await asyncio.to_thread(self._expect_the_venue)
        for plan in self._plans:
            warm_up = getattr(plan.venue, "warm_up", None)
            if warm_up is not None:
                await warm_up([key for key in self._follower.state.instruments if venue_of(key) == plan.venue.id])
        self._session = EarlySession(self._hub, host.clock) if early else None
        missed = dict(
            zip((plan.venue.id for plan in early), await asyncio.gather(*map(self._meet, early)), strict=True)
        )
        away = {venue: error for venue, error in missed.items() if error is not None}
        for venue, error in away.items():
            words = _words(error)
            if venue in self._reached:
                raise HandoverError(
                    f"The new process cannot use {venue}, at which the running engine goes on trading: {words}"
                ) from error
            log.warning("a venue is taken over as one that is away", venue=venue, problem=words)
        self._inherited = Inherited(self._session, missed.keys() - away.keys(), away)

    async def _meet(self, plan: VenuePlan) -> Exception | None:
        """Hear a venue beside the running engine; gives why not where it cannot be reached."""
        try:
            async with asyncio.timeout(OPEN_S):
                await self._listen(plan)
        except (QuarterdeckError, TimeoutError, OSError) as error:
            await plan.venue.close()
            return error
        return None

    async def _listen(self, plan: VenuePlan) -> None:
        assert self._session is not None
        await plan.venue.start(self._session.on_event, self._session.on_market)
        for instrument in await plan.venue.instruments():
            if plan.watched is None or instrument.id in self._follower.state.instruments:
                self._hub.add(instrument)
        await plan.venue.watch([key for key in self._hub.markets if venue_of(key) == plan.venue.id])

    def _expect_the_venue(self) -> None:
        """See that the settings of this start can open the venue that the running engine is to let go."""
        differ = [line for line in self._host.changed_settings() if line.startswith(VENUES_OWN)]
        if differ:
            raise HandoverError(
                f"The venue would be another with the changed settings ({'; '.join(differ)}). Set them as they were; "
                "paper.process can be changed while no engine runs."
            )

    def _hear(self, record: Record) -> None:
        self._proof.hear(record)
        if self._session is not None:
            self._session.booked(record)

    async def _follow(self) -> None:
        while True:
            async with self._turn:
                await asyncio.to_thread(self._follower.catch_up)
            await self._host.clock.sleep(FOLLOW_S)

    async def _stop_following(self) -> None:
        task, self._following = self._following, None
        if task is not None:
            # A thread cannot be cancelled: whoever holds the turn ends its look first.
            async with self._turn:
                task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            if not task.cancelled() and task.exception() is not None:
                raise task.exception() or RuntimeError

    def keep(self, page: Page) -> None:
        """Take in what travels."""
        for history in page.histories:
            self._inherited.add(history)
        self._outcomes += page.outcomes

    def _go_on_following(self) -> None:
        self._following = asyncio.get_running_loop().create_task(self._follow(), name="follow the journal")

    async def show(self, seq: int) -> str:
        """The hash of the state at a number, once everything that may be slow has been done once.

        Raises:
            QuarterdeckError: The journal cannot be followed to there.
        """
        while await asyncio.to_thread(self._follower.catch_up, seq) < seq:
            # Booked there, and not durable yet.
            await self._host.clock.sleep(FOLLOW_S)
        digest = await asyncio.to_thread(self._digest)
        await self._rehearse()
        # Nothing of what was made so far need be looked through again, and no collection may fall into the switch.
        gc.collect()
        gc.freeze()
        gc.disable()
        self._go_on_following()
        return digest

    def _digest(self) -> str:
        while self._proof.prepare(ORDERS_A_TURN):
            pass
        return self._proof.digest()

    async def _rehearse(self) -> None:
        """Run every bot's strategy once over the bars that came along, so that nothing is loaded or compiled later."""
        host, done = self._host, set()
        for entry in tuple(self._follower.state.bots.values()):
            try:
                config = BotConfig.decode(entry.config)
                key = (config.strategy, config.strategy_file, config.instrument, config.timeframe)
                if key in done:
                    continue
                done.add(key)
                await host.library.prepare(config.strategy, config.strategy_file)
                await asyncio.to_thread(self._run_once, config)
            except QuarterdeckError as error:
                log.info("a bot's strategy could not be rehearsed", bot=entry.id, problem=error.message)

    def _run_once(self, config: BotConfig) -> None:
        strategy = self._host.library.make(config.strategy, config.strategy_file, dict(config.params))
        instrument = InstrumentId(config.instrument)
        bars = self._inherited.bars(instrument, config.timeframe)
        runner = StrategyRunner(strategy, instrument, timeframe=config.timeframe)
        if bars:
            runner.warm_up(Bars.from_candles(config.timeframe, bars))

    async def confirm(self, final: Final) -> str:
        """Reach the last fact, take in what travels, and build the engine around it; nothing is written yet.

        Returns:
            The hash of the state.

        Raises:
            QuarterdeckError: It cannot be reached, or what travels does not fit.
        """
        steps = self._steps = Steps(self._host.clock)
        await self._stop_following()
        steps.done("follow")
        follower = self._follower
        if follower.catch_up() != final.seq:
            raise StateConsistencyError(
                f"The running engine ends at fact {final.seq}, and the journal at {follower.state.seq}."
            )
        digest = self._proof.digest()
        steps.done("reach")
        self._inherited.carried = final.carried
        self._host.coordinator.take(final.carried.limits)
        self._journal = follower.prepare(self._epoch)
        self._host.assemble(self._journal, self._plans, hub=self._hub, inherited=self._inherited)
        assert self._host.service is not None
        self._host.service.remember(self._outcomes)
        steps.done("build")
        crash_point("handover.ready")
        return digest

    def take(self, descriptor: int) -> int:
        """Open the next epoch and sign the lock: from here on this process is the engine.

        Args:
            descriptor: The lock's.

        Returns:
            The epoch.

        Raises:
            QuarterdeckError: The right to write has moved on; nothing was changed.
        """
        assert self._journal is not None
        self._steps.done("grant")
        crash_point("handover.taking")
        epoch = self._journal.open_epoch()
        self.taken = True
        crash_point("handover.taken")
        self._host.hold(EngineLock.adopt(self._host.lock_folder, descriptor, release=self._host.release))
        crash_point("handover.signed")
        self._steps.done("take")
        return epoch

    async def trade(self) -> None:
        """Meet the venue and trade. Raises what a start raises."""
        try:
            await self._host.go()
        finally:
            gc.enable()
        self._steps.done("start")
        log.info("the engine was taken over", ms=self._steps.ms, epoch=self._epoch + 1)
        self._follower.close()
        crash_point("handover.trading")

    async def give_up(self) -> None:
        """Leave everything as it was."""
        if self.taken:
            return
        gc.enable()
        try:
            await self._stop_following()
        except Exception as error:  # it ends anyway, and has said why
            log.info("the journal could not be followed", problem=str(error))
        for plan in self._plans:
            if exclusive(plan.venue) is None:
                await plan.venue.close()
        if self._journal is not None:
            await asyncio.to_thread(self._journal.abandon)


def _words(error: Exception) -> str:
    return error.message if isinstance(error, QuarterdeckError) else str(error) or type(error).__name__
