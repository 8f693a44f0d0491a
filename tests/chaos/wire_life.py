"""An engine process that trades at the simulated exchanges of another process, until it is killed."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from engine import crash_points
from engine.control.host import EngineHost, build_engine
from engine.control.live.consent import words_for
from engine.control.lock import EngineLock
from engine.model.ids import AccountId, InstrumentId, VenueId
from engine.model.signal import Signal, SignalAction, SignalDirection
from tests.chaos.life import enter
from tests.chaos.session import _context
from tests.chaos.wire_world import LIMITS, dressed
from tests.wire.accounts import StaticCredentials

# Imported by every life otherwise.
from engine.venues import binance as _binance, coinbase as _coinbase, okx as _okx  # noqa: F401  # isort: skip

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from multiprocessing.context import ForkServerProcess
    from pathlib import Path

    from engine.model.credentials import Credentials
    from tests.chaos.wire_world import Hurry, World

__all__ = ["Life"]

START_S = 30.0
ENTER = signal.SIGUSR1
"""Has every bot enter."""


@dataclass(frozen=True)
class _Plan:
    hurry: Hurry
    keys: list[tuple[str, str, Credentials]]
    order: str
    """Where it is killed, as `crash_points.killer` wants it; empty for nowhere."""


class Life:
    """One engine process over the home folder of a world.

    Args:
        world: Its exchanges are open, and no engine is.
        point: Where it kills itself, such as `order.leaving:1`, counted from when it trades; empty for nowhere.
    """

    def __init__(self, world: World, point: str = "") -> None:
        keys = [(str(h.venue), str(h.account), h.exchange.keys.of(h.account).credentials) for h in world.harbours]
        context = _context()
        context.set_forkserver_preload([__name__])
        self._line, there = context.Pipe(duplex=False)
        plan = _Plan(world.hurry, keys, point)
        self._child: ForkServerProcess = context.Process(target=live, args=(world.home, plan, there))
        self._child.start()
        there.close()

    async def ready(self) -> None:
        """Wait until it trades."""
        assert await asyncio.to_thread(self._line.poll, START_S)
        assert await asyncio.to_thread(self._line.recv) == "ready"

    def let_bots_enter(self) -> None:
        """Have every bot buy at the market, with a stop; again for more of it."""
        os.kill(self._child.pid or 0, ENTER)

    @property
    def dead(self) -> bool:
        """Whether it has ended."""
        return not self._child.is_alive()

    def kill(self) -> None:
        """End it as a loss of power would; harmless when it is dead."""
        self._child.kill()

    async def over(self) -> None:
        """Wait until it is dead, by whosever hand."""
        await asyncio.to_thread(self._child.join, START_S)
        assert self._child.exitcode == -signal.SIGKILL


def live(home: Path, plan: _Plan, parent: Connection) -> None:
    """Trade until killed; says `ready`, or why it does not trade."""
    enter(home)
    with ExitStack() as stack:
        for change in plan.hurry.apply():
            stack.enter_context(change)
        asyncio.run(_live(home, plan, parent))


async def _live(home: Path, plan: _Plan, parent: Connection) -> None:
    keys = StaticCredentials()
    for venue, account, credentials in plan.keys:
        keys.add(venue, account, credentials)  # type: ignore[arg-type]
    host = dressed(build_engine(home), keys, plan.hurry)
    host.hold(EngineLock.acquire(home, release=host.release))
    await host.start()
    typed = words_for(VenueId(plan.keys[0][0]), AccountId(plan.keys[0][1]))
    await host.link().call("risk.set_limits", {"limits": LIMITS, "live": typed})
    asyncio.get_running_loop().add_signal_handler(ENTER, _let_enter, host)
    if plan.order:
        crash_points.arm(crash_points.killer(plan.order))
    parent.send("ready")
    await host.wait_stopped()


def _let_enter(host: EngineHost) -> None:
    engine = host.engine
    assert engine is not None
    for owner, bot in engine.bots.running.items():
        instrument = InstrumentId(engine.bots.config(engine.state.bots[owner]).instrument)
        mark = engine.mark(instrument)
        assert mark is not None
        bot.act(
            Signal(
                instrument=instrument,
                strategy="test",
                action=SignalAction.ENTER,
                direction=SignalDirection.BUY,
                confidence=1.0,
                ts=engine.clock.now(),
                reason="a test wants it",
                stop=float(mark) * 0.97,
            )
        )
