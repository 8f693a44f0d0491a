"""The replay's transport: where it stands, and how it gets elsewhere: seek, step, play."""

from __future__ import annotations

import asyncio
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

from engine.control.views_replay import ReplayView, SessionRow
from engine.errors import ConflictError, NotFoundError, QuarterdeckError
from engine.logs import get_logger
from storage.journal.past import Tape

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from engine.clock import Clock
    from engine.control.replay.past import PastEngine
    from engine.events import Record
    from engine.state import EngineState
    from storage.journal.past import Session

__all__ = ["KINDS", "SPEEDS", "Player"]

log = get_logger(__name__)

_T = TypeVar("_T")

SPEEDS = (1.0, 5.0, 20.0, 60.0, 300.0, 1800.0)
"""What the keys for slower and faster go through; any other speed can be asked for."""
STEP_S = 0.1
"""Real time between two moves while it plays."""
PAGE = 500
SLICE = 50
"""Facts that happen before whoever watches gets a turn."""
IDLE_NS = 60 * 1_000_000_000
"""A longer time without any fact was without an engine: playing passes over it."""
HOUR_NS = 3_600_000_000_000
LATELY = 5_000
"""Most facts of the hour before that are looked through after a jump."""

_ORDERS = (
    "OrderIntended", "OrderRefused", "OrderAccepted", "OrderRejected", "OrderFilled", "OrderCanceled", "OrderExpired",
    "OrderTriggered", "OrderAmended", "OrderCancelRejected", "OrderOutcomeUnknown", "OrderAdopted",
)  # fmt: skip
KINDS: dict[str, tuple[str, ...]] = {
    "any": (),
    "orders": _ORDERS,
    "fills": ("OrderFilled", "ExternalFillSeen"),
    "bots": ("BotCreated", "BotConfigured", "BotStateChanged", "BotDeleted", "SignalRaised"),
    "risk": (
        "TradingStateChanged",
        "BreakerTripped",
        "BreakerHalfOpened",
        "BreakerHeld",
        "BreakerReset",
        "LimitsChanged",
        "OrderRefused",
        "LockPlaced",
        "LockEnded",
        "LimitBreached",
        "LimitHealed",
    ),
    "operators": ("OperatorActed",),
    "sessions": ("EngineStarted", "EngineStopped"),
}
"""What a step may go to, by name -> facts."""


class Player:
    """Moves through one journal. Use it on one event loop; what is heavy happens in a thread of its own.

    Args:
        path: The journal's file.
        build: Makes the engine of a state: gets the state, the session that booked it, the facts of the hour before.
        moved: Called after a jump with the new engine and the facts to tell of; playing moves the same engine on.
        clock: Measures and sleeps in real time.
    """

    def __init__(
        self,
        path: Path,
        build: Callable[[EngineState, Session | None, list[Record]], PastEngine],
        moved: Callable[[PastEngine, list[Record]], None],
        clock: Clock,
    ) -> None:
        self._path = path
        self._build = build
        self._moved = moved
        self._clock = clock
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="replay")
        self._tape: Tape | None = None
        self._past: PastEngine | None = None
        self._sessions: tuple[Session, ...] = ()
        self._ahead: deque[Record] = deque()
        self._turn = asyncio.Lock()
        self._playing = False
        self._speed = 1.0
        self._busy = ""
        self._note = ""
        self._last = 0
        self._begin = 1
        """The first fact at which there is an account to be shown."""
        self._first_ts = 0
        self._last_ts = 0

    # --- life --------------------------------------------------------------------------------------------------------

    async def open(self, *, at: int | None = None, seq: int | None = None) -> None:
        """Read the tape and go to a time, a fact, or the end of the last session.

        Raises:
            NotFoundError: There is no journal, or nothing was booked by then.
            StateCorruptionError: The journal is damaged.
        """
        await self.look()
        opened = await self._do(lambda: self._need().after(0, 1, ("AccountOpened",)))
        if not opened:
            raise NotFoundError("No account was ever opened in this journal; there is nothing to be shown yet.")
        self._begin, self._first_ts = opened[0].seq, opened[0].ts
        if seq is not None:
            await self.seek(seq)
        elif at is not None:
            await self.seek_time(at)
        else:
            await self.seek(self._last)

    async def look(self) -> None:
        """Read what there is, without going anywhere.

        Raises:
            NotFoundError: There is no journal, or it holds nothing.
        """
        if self._tape is None:
            self._tape = await self._do(lambda: Tape(self._path))
        await self._look()

    async def close(self) -> None:
        """Give the file back."""
        self._playing = False
        if self._tape is not None:
            await self._do(self._tape.close)
        self._thread.shutdown()

    async def run(self) -> None:
        """Play while it is asked for, until cancelled."""
        before = self._clock.monotonic()
        while True:
            await self._clock.sleep(STEP_S)
            now = self._clock.monotonic()
            passed, before = now - before, now
            if self._playing and not self._turn.locked():
                try:
                    async with self._turn:
                        await self._play_on(passed)
                except QuarterdeckError as error:
                    self._playing, self._note = False, error.message
                    log.error("the replay stops", problem=error.message)

    # --- where it stands ---------------------------------------------------------------------------------------------

    @property
    def past(self) -> PastEngine:
        """The engine of the moment.

        Raises:
            ConflictError: The tape is still being read.
        """
        if self._past is None:
            raise ConflictError("The replay is still being read; try again in a moment.")
        return self._past

    def view(self) -> ReplayView:
        """Where it stands."""
        past = self._past
        return ReplayView(
            seq=past.engine.state.seq if past is not None else 0,
            ts=past.clock.position if past is not None else 0,
            last_seq=self._last,
            first_ts=self._first_ts,
            last_ts=self._last_ts,
            playing=self._playing,
            speed=self._speed,
            busy=self._busy,
            note=self._note,
        )

    async def sessions(self) -> list[SessionRow]:
        """Every engine process of the journal, the newest first."""
        await self._look()
        return [
            SessionRow(
                number=number,
                first=session.first,
                last=session.last,
                begin=session.begin,
                end=session.end,
                release=session.release,
                pid=session.pid,
                orderly=session.orderly,
            )
            for number, session in reversed(list(enumerate(self._sessions, start=1)))
        ]

    # --- moving ------------------------------------------------------------------------------------------------------

    async def seek(self, seq: int) -> ReplayView:
        """Go to a fact; it is the last one that has happened then. Before the first account there is nothing to show.

        Raises:
            NotFoundError: There is no such fact.
        """
        return await self._jump(seq, None)

    async def seek_time(self, ts: int) -> ReplayView:
        """Go to a time (UTC nanoseconds).

        Raises:
            NotFoundError: Nothing was booked by then.
        """
        return await self._jump(await self._do(lambda: self._need().seq_at(ts)), ts)

    async def seek_session(self, number: int) -> ReplayView:
        """Go to the beginning of a session, counted from 1.

        Raises:
            NotFoundError: There is no such session.
        """
        await self._look()
        if not 1 <= number <= len(self._sessions):
            raise NotFoundError(f"There is no session {number}; the journal tells of {len(self._sessions)}.")
        return await self.seek(self._sessions[number - 1].first)

    async def step(self, count: int, kind: str) -> ReplayView:
        """Go so many facts of a kind on, or back when negative.

        Raises:
            NotFoundError: There is no further fact of that kind in this direction.
        """
        self._playing = False
        kinds, here, tape = KINDS[kind], self.past.engine.state.seq, self._need()
        if count < 0:
            found = await self._do(lambda: tape.before(here, -count, kinds))
        else:
            found = await self._do(lambda: tape.after(here, count, kinds))
        if not found:
            which = "fact" if kind == "any" else f"fact about {kind}"
            raise NotFoundError(f"There is no {'earlier' if count < 0 else 'later'} {which} in the journal.")
        return await self.seek(found[-1].seq) if count < 0 else await self._forward(found[-1].seq)

    def play(self, speed: float) -> ReplayView:
        """Let time pass, so many times as fast as it did."""
        self._speed, self._playing, self._note = speed, True, ""
        return self.view()

    def pause(self) -> ReplayView:
        """Stand still."""
        self._playing = False
        return self.view()

    # --- inside ------------------------------------------------------------------------------------------------------

    def _need(self) -> Tape:
        if self._tape is None:
            raise ConflictError("The replay is still being read; try again in a moment.")
        return self._tape

    async def _do(self, work: Callable[[], _T]) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    async def _look(self) -> None:
        """Learn what the journal holds by now; a running engine writes on."""
        tape = self._need()

        def look() -> tuple[int, int, tuple[Session, ...]]:
            last = tape.last_seq()
            return last, tape.ts_of(last), tape.sessions()

        self._last, self._last_ts, self._sessions = await self._do(look)

    async def _jump(self, seq: int, ts: int | None) -> ReplayView:
        if not 1 <= seq <= self._last:
            await self._look()
        if seq < 1:
            raise NotFoundError("Nothing had been booked by then; the journal begins later.")
        seq = max(seq, self._begin)
        if seq > self._last:
            raise NotFoundError(f"The journal has no fact {seq}; its last one is {self._last}.")
        async with self._turn:
            self._playing, self._note = False, ""
            await self._fold_to(seq, ts)
        return self.view()

    async def _fold_to(self, seq: int, ts: int | None) -> None:
        tape = self._need()

        def progress(reached: int) -> None:
            self._busy = f"reading fact {reached:,} of {seq:,}"

        def work() -> tuple[EngineState, list[Record]]:
            state = tape.state_at(seq, progress)
            lately = [record for record in tape.before(seq + 1, LATELY) if record.ts > state.meta.ts - HOUR_NS]
            return state, lately[::-1]

        self._busy = f"reading up to fact {seq:,}"
        try:
            state, lately = await self._do(work)
        finally:
            self._busy = ""
        session = next((found for found in reversed(self._sessions) if found.first <= seq), None)
        past = self._build(state, session, lately)
        past.clock.position = max(ts or 0, state.meta.ts)
        self._past = past
        self._ahead.clear()
        self._moved(past, lately)

    async def _forward(self, seq: int) -> ReplayView:
        """Let everything happen up to a fact that lies ahead; a long way is a jump."""
        if seq - self.past.engine.state.seq > PAGE:
            return await self.seek(seq)
        async with self._turn:
            self._note = ""
            while self.past.engine.state.seq < seq and await self._fill():
                self._happen()
        return self.view()

    async def _fill(self) -> bool:
        """Have facts ahead; False at the end of the tape."""
        if not self._ahead:
            here, tape = self.past.engine.state.seq, self._need()
            self._ahead.extend(await self._do(lambda: tape.after(here, PAGE)))
            if self._ahead and self._ahead[-1].seq > self._last:
                self._last, self._last_ts = self._ahead[-1].seq, self._ahead[-1].ts
        return bool(self._ahead)

    def _happen(self) -> None:
        position = self.past.clock.position
        self.past.follow(self._ahead.popleft())
        self.past.clock.position = max(position, self.past.clock.position)

    async def _play_on(self, passed: int) -> None:
        clock, count = self.past.clock, 0
        target = clock.position + int(passed * self._speed)
        while self._playing:
            if not await self._fill():
                self._playing, self._note = False, "This is the end of what was recorded."
                return
            ahead = self._ahead[0].ts
            if ahead > target + IDLE_NS * max(self._speed, 1.0) / SPEEDS[0] and ahead - clock.position > IDLE_NS:
                target = ahead
            if ahead > target:
                break
            self._happen()
            count += 1
            if count % SLICE == 0:
                await asyncio.sleep(0)
        clock.position = max(clock.position, target)
