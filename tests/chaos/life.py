"""One engine process of the fault test: it trades until it is killed, or brings everything to rest and tells.

The functions here are entered in a fresh fork of a process that has imported everything and started nothing, so that a
life costs a fraction of a second.
"""

from __future__ import annotations

import asyncio
import ctypes
import faulthandler
import gc
import os
import random
import signal
import threading
import traceback
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from engine import crash_points
from engine.control.host import EngineHost, build_engine
from engine.control.lock import EngineLock
from engine.errors import QuarterdeckError
from engine.execution import dispatcher, inquiry
from engine.model.entries import TradingState
from engine.model.ids import AccountId
from engine.model.order import OrderStatus
from engine.venues.remote.client import RemoteVenue
from tests.chaos.defects import plant
from tests.chaos.plan import SPECIAL, Life, Plan
from tests.chaos.records import Counts, Notes
from tests.chaos.trader import Trader, unanswered
from tests.chaos.weather import Weather

# Imported at the start of a life otherwise, and of every one anew.
from engine.venues.markets import simulated as _simulated  # noqa: F401  # isort: skip
from engine.venues.paper import settings as _settings, venue as _venue  # noqa: F401  # isort: skip

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from engine.clock import Clock
    from engine.model.venue import Venue

__all__ = ["calm", "config", "enter", "measure", "trade"]


class Told(Protocol):
    """Hears how a life goes; a connection, as a rule."""

    def send(self, words: Any, /) -> None:
        """Hear it."""


PAPER = AccountId("paper")
PR_SET_PDEATHSIG = 1
TRADERS = 4
PAUSE_S = 0.04
SETTLE_S = 8.0
LIMITS = {"max_orders_per_second": 1000, "max_orders_per_minute": 60000}


def config(home: Path, plan: Plan, *, snapshots: bool) -> None:
    """Write the settings of a session into its home folder."""
    lines = [
        "[paper]",
        "latency_ms = 2",
        "latency_jitter_ms = 1",
        "updates_per_second = 5",
        f"seed = {plan.seed % 1000}",
        f"process = {str(plan.process).lower()}",
        'balances = {USDT = "1000000", BTC = "50", ETH = "500"}',
        "[journal]",
        f"snapshot_events = {150 if snapshots else 10_000}",
    ]
    (home / "config.toml").write_text("\n".join(lines) + "\n")


def hurry() -> None:
    """Ask venues within fractions of a second, where a person's engine takes its time."""
    dispatcher.COMPARE_EVERY_S = 0.7
    dispatcher.CANCEL_AGAIN_S = (0.05, 0.1, 0.2, 0.3)
    inquiry.ASK_AFTER_S = (0.05, 0.1, 0.2, 0.2, 0.3, 0.3)


def enter(home: Path) -> None:
    """First steps of a process: its own session, its words into a file, and no life after the test's own."""
    os.setsid()
    with suppress(OSError, AttributeError):
        # Where the kernel can (Linux): whoever ends the test leaves no engines behind.
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    output = os.open(home / "life.log", os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600)
    for descriptor in (1, 2):
        os.dup2(output, descriptor)
    # A process that hangs says where.
    faulthandler.dump_traceback_later(25, repeat=True, file=output)
    gc.enable()
    hurry()


def trade(home: Path, plan: Plan, life: Life, parent: Told, succeeds: bool = False) -> None:
    """Start, trade until killed. `ready` on the connection says that trading begins, anything else why it does not.

    Args:
        home: The home folder.
        plan: The session.
        life: This life.
        parent: Hears how it goes.
        succeeds: Take over from the engine that runs there, instead of starting.
    """
    enter(home)
    plant(plan.defect)
    crash_points.arm(_hazards(life, slow_disk=bool(plan.defect)))
    try:
        asyncio.run(_trade(home, plan, life, parent, succeeds))
    except QuarterdeckError as error:
        with suppress(OSError):
            parent.send(error.message)


def _hazards(life: Life, *, slow_disk: bool) -> Callable[[str], None]:
    """What happens at crash points: in half of all lives the disk is slow, and at its own point a life ends."""
    chance, never = random.Random(life.seed), threading.Event()
    slow = chance.uniform(0.005, 0.02) if slow_disk or chance.random() < 0.5 else 0.0
    kill: Callable[[str], None] | None = None
    if life.point in SPECIAL:
        os.environ[crash_points.CRASH_AT] = f"{life.order}:{os.getpid()}"
    elif life.point:
        kill = crash_points.killer(life.order)

    def pass_by(name: str) -> None:
        if slow and name in ("journal.commit", "venue.commit"):
            never.wait(slow)
        if kill is not None:
            kill(name)

    return pass_by


async def _trade(home: Path, plan: Plan, life: Life, parent: Told, succeeds: bool) -> None:
    chance = random.Random(f"{life.seed}|{succeeds}")
    counts, notes = Counts(home / "counts"), Notes(home / "asked")
    host = build_engine(home)
    weather = _meet(host, plan, chance, counts, Notes(home / "sent"))
    if succeeds:
        await host.take_over()
    else:
        host.hold(EngineLock.acquire(home, release=host.release))
        await host.start()
    before = unanswered(home / "asked")
    assert weather
    weather[0].trading = True
    link = host.link()
    await link.call("risk.set_limits", {"limits": LIMITS})
    parent.send("ready")
    counts.add("lives")
    async with asyncio.TaskGroup() as tasks:
        begun: list[asyncio.Task[None]] = []
        for number in range(0 if plan.socket else TRADERS):
            name = f"{plan.seed}.{life.number}.{number + TRADERS * succeeds}"
            trader = Trader(name, link, random.Random(f"{life.seed}|{number}|{succeeds}"), notes, counts, PAUSE_S)
            work = _work(trader, before if number == 0 else [])
            begun.append(tasks.create_task(work, name=f"trader {number}"))
        if not plan.socket:
            begun.append(tasks.create_task(measure(lambda: True, host.clock, counts), name="stopwatch"))
        if life.hang_up == "cut the line":
            begun.append(tasks.create_task(_cut(weather[0].venue, chance), name="cut"))
        await host.wait_stopped()
        # Somebody has taken over: this process ends as one that handed over does.
        for task in begun:
            task.cancel()
    await host.stop()


def _meet(host: EngineHost, plan: Plan, chance: random.Random, counts: Counts, sent: Notes) -> list[Weather]:
    """Put the weather between an engine and its venue; it is in the list once the engine has started."""
    made: list[Weather] = []
    make = host.make_venue

    def meet() -> Any:
        made.append(Weather(make(), chance, plan.trouble, sent, counts))
        return made[0]

    host.make_venue = meet  # type: ignore[method-assign]
    return made


async def _work(trader: Trader, before: list[tuple[str, str, dict[str, Any]]]) -> None:
    for request, operation, params in before:
        # A client that never heard asks again under the same id: it may not be done twice.
        await trader.ask(operation, params, request)
    await trader.trade()


async def measure(trades: Callable[[], bool], clock: Clock, counts: Counts) -> None:
    """Count the time in which clients can trade."""
    before = clock.monotonic()
    while True:
        await asyncio.sleep(0.02)
        now = clock.monotonic()
        if trades():
            counts.add("traded_ns", now - before)
        before = now


async def _cut(venue: Venue, chance: random.Random) -> None:
    """Break the line to the venue's process now and then."""
    while isinstance(venue, RemoteVenue):
        await asyncio.sleep(chance.uniform(0.05, 0.3))
        if venue._line is not None:
            venue._line.hang_up()


# --- the end ---------------------------------------------------------------------------------------------------------


def calm(home: Path, plan: Plan, parent: Told) -> None:
    """Start once more in good weather, compare, end every order, compare again, stop in order."""
    enter(home)
    plant(plan.defect)
    try:
        problems = asyncio.run(_calm(home, 2.0 if plan.defect else SETTLE_S))
    except Exception:
        problems = [f"the last start failed: {traceback.format_exc()}"]
    parent.send(msgspec.json.encode(problems))


async def _calm(home: Path, patience: float) -> list[str]:
    host = build_engine(home)
    await host.start()
    try:
        assert host.engine is not None
        problems = await _until_none(lambda: _open_differences(host), patience)
        if host.engine.state.trading_state() is TradingState.HALTED:
            problems.append(
                f"the engine has halted itself: {[str(h.reason) for h in host.engine.state.halts.values()]}"
            )
        await host.link().call("orders.cancel_all", {})
        return problems + await _until_none(lambda: _still_open(host), patience)
    finally:
        await host.stop()


async def _until_none(look: Any, seconds: float) -> list[str]:
    """What a look still finds when there was time enough."""
    end = asyncio.get_running_loop().time() + seconds
    while found := await look():
        if asyncio.get_running_loop().time() > end:
            return list(found)
        await asyncio.sleep(0.02)
    return []


async def _open_differences(host: EngineHost) -> list[str]:
    """Working orders that only one side has, or that differ."""
    engine = host.engine
    assert engine is not None
    there = {o.client_id: (o.quantity, o.filled, o.price) for o in await engine.venue.open_orders(PAPER)}
    here = {o.client_id: (o.quantity, o.filled, o.price) for o in engine.state.orders.values()}
    waits = [o.client_id for o in engine.state.orders.values() if o.status in _UNSETTLED]
    if here == there and not waits:
        return []
    differ = {*here.items()} ^ {*there.items()}
    return [f"open orders differ: {sorted(map(str, differ))}; unsettled: {waits}"]


_UNSETTLED = (OrderStatus.PENDING, OrderStatus.SUBMITTED, OrderStatus.UNKNOWN)


async def _still_open(host: EngineHost) -> list[str]:
    engine = host.engine
    assert engine is not None
    there = [o.client_id for o in await engine.venue.open_orders(PAPER)]
    here = list(engine.state.orders)
    return [f"orders cannot be ended: here {here}, at the venue {there}"] if here or there else []
