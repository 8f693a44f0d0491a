"""What the running engine does for a hand-over: prove its state, stand still, pack what travels, and let go."""

from __future__ import annotations

import asyncio
from itertools import islice
from typing import TYPE_CHECKING

import msgspec

from engine.control.handover.machine import Identity
from engine.control.handover.messages import Final, Page
from engine.control.handover.steps import Steps
from engine.crash_points import crash_point
from engine.errors import HandoverError
from engine.inheritance import Carried, History
from engine.logs import get_logger
from engine.state.proof import StateProof
from engine.venues.limits.coordinator import CoordinatorCarried
from storage.journal import JOURNAL_FORMAT, stored_epoch

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from engine.control.handover.messages import Hello
    from engine.control.lock import EngineLock
    from engine.control.service import Service
    from engine.engine import Engine
    from engine.model.ids import InstrumentId
    from storage.journal import Journal

__all__ = ["Giver"]

log = get_logger(__name__)

CALLS_S = 1.0
"""Seconds that operations under way have to end before the engine stands still; orders go on meanwhile."""
LEAVE_S = 1.0
"""Seconds that orders have to leave which were booked before the engine stood still."""
ANSWER_S = 0.15
"""Seconds that the venue has to answer what has left."""
MARK_S = 0.5
OUTCOMES_A_PAGE, ORDERS_A_TURN = 100, 100
CANDLES = 300
"""Bars of each series that travel."""
STEP_S = 0.001


class Giver:
    """One hand-over as the running engine sees it. Call the methods in their order.

    Args:
        engine: Trades.
        journal: The engine's.
        service: Its operations.
        lock: The home's lock.
        leave: Ends this process's part once another one has taken over; told its number.
        keys: Descriptor that carries the unlocked keys of accounts; None for none.
    """

    def __init__(
        self,
        engine: Engine,
        journal: Journal,
        service: Service,
        lock: EngineLock,
        leave: Callable[[int], None],
        keys: int | None = None,
    ) -> None:
        self.lock = lock
        self.limits: Callable[[], CoordinatorCarried] = CoordinatorCarried
        """Tells how the limits of exchanges stand."""
        self.keys = keys
        self._engine = engine
        self._journal = journal
        self._service = service
        self._leave = leave
        self._proof = StateProof(engine.state)
        self._bars: dict[tuple[InstrumentId, str], int] = {}
        self._told: set[str] = set()
        engine.ledger.subscribe(self._proof.hear)

    def identity(self) -> Identity:
        """Who the running engine is."""
        now = self._engine.clock.now()
        return Identity(
            release=self._engine.release,
            pid=self._engine.pid,
            journal_format=JOURNAL_FORMAT,
            journal_id=self._journal.meta.journal_id,
            epoch=self._journal.epoch,
            reached=tuple(
                unit.id
                for unit in self._engine.venues.values()
                if not unit.connection.lost and unit.venue.health().paused_until <= now
            ),
            pauses=msgspec.structs.replace(self.limits(), lanes=[]),
        )

    async def tell_early(self, send: Callable[[Page], Awaitable[None]]) -> tuple[int, str]:
        """Send what is large and may travel while the engine trades.

        Returns:
            A number, and the hash of the state there.
        """
        for page in self._pages():
            await send(page)
            await asyncio.sleep(0)
        more = True
        while more:
            more = self._proof.prepare(ORDERS_A_TURN)
            await asyncio.sleep(0)
        return self._engine.ledger.seq, self._proof.digest()

    async def stand_still(self, peer: Hello) -> Final:
        """Stop everything and book the end.

        Returns:
            The last fact, the hash there, and what travels.

        Raises:
            QuarterdeckError: The engine cannot stand still now; `thaw` lets it go on.
        """
        engine, service = self._engine, self._service
        steps = Steps(engine.clock)
        service.pause.hold()
        if service.changing and not await service.finish(CALLS_S):
            raise HandoverError(f"{service.changing} operations are under way; restart the engine when they are done.")
        standstill = engine.standstill
        standstill.freeze(peer.pid)
        steps.done("calls")
        crash_point("handover.frozen")
        await standstill.drain(LEAVE_S, ANSWER_S)
        steps.done("drain")
        await standstill.seal(peer.release)
        steps.done("book")
        crash_point("handover.booked")
        await standstill.let_go()
        steps.done("let go")
        crash_point("handover.let_go")
        final = Final(
            seq=engine.ledger.seq,
            digest=self._proof.digest(),
            carried=Carried(risk=engine.risk.carry(), dispatch=engine.dispatcher.carry(), limits=self.limits()),
            page=Page(histories=list(self._histories()), outcomes=list(service.answered(self._told))),
        )
        steps.done("pack")
        await self._marked()
        steps.done("mark")
        log.info("the engine stands still", ms=steps.ms, seq=final.seq)
        return final

    async def thaw(self, reason: str) -> None:
        """Go on as before."""
        try:
            await self._engine.standstill.thaw(reason)
        finally:
            self._service.pause.go_on()

    def leave(self, pid: int) -> None:
        """Another process has taken over: nothing is done here any more."""
        log.info("the engine is handed over", process=pid, seq=self._engine.ledger.seq)
        self.lock.forget()
        self._service.pause.close(f"The engine goes on in process {pid}; ask there, with the same request id.")
        crash_point("handover.left")
        self._leave(pid)

    def moved(self) -> bool:
        """Whether somebody has opened another epoch; reads the journal's file, blocks.

        Raises:
            QuarterdeckError: It cannot be read.
        """
        return stored_epoch(self._journal.path) != self._journal.epoch

    def close(self) -> None:
        """Forget what was prepared."""
        self._engine.ledger.unsubscribe(self._proof.hear)

    # --- what travels ------------------------------------------------------------------------------------------------

    def _pages(self) -> Iterator[Page]:
        for history in self._histories():
            yield Page(histories=[history])
        answered = self._service.answered()
        while outcomes := list(islice(answered, OUTCOMES_A_PAGE)):
            self._told.update(outcome.request_id for outcome in outcomes)
            yield Page(outcomes=outcomes)

    def _histories(self) -> Iterator[History]:
        """The newest closed bars that were not sent yet; bots' memories reach further back."""
        for market in self._engine.hub.markets.values():
            for series in market.series.values():
                key = (market.instrument.id, series.timeframe)
                after = self._bars.get(key, -1)
                newest = list(islice(reversed(series.closed), CANDLES))
                bars = [candle for candle in reversed(newest) if candle.ts > after]
                if bars:
                    self._bars[key] = bars[-1].ts
                    yield History(instrument=key[0], timeframe=key[1], candles=bars)

    async def _marked(self) -> None:
        """Wait until the high-water mark is written: from the switch on only the successor may write it."""
        clock = self._engine.clock
        end = clock.monotonic() + int(MARK_S * 1e9)
        while not self._journal.marked:
            if clock.monotonic() > end:
                raise HandoverError("The disk is too slow to hand over just now; try again when it is less busy.")
            await clock.sleep(STEP_S)
