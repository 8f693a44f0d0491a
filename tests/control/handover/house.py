"""Two engines of one home folder, a running one and one that takes it over, in one process and on one loop."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from engine.control.handover.machine import Patience
from engine.control.handover.successor import take_over
from engine.control.host import EngineHost, build_engine
from engine.control.lock import EngineLock
from tests.control.house import Deck
from tests.kit.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

QUICK = Patience(greeting=5, warming=20, proving=10, standing=10, confirming=5, taking=5)
OVERRIDES = {"paper.latency_ms": 0, "paper.latency_jitter_ms": 0, "paper.seed": 7}


def build(home: Path, **settings: Any) -> EngineHost:
    """An engine that is not started."""
    return build_engine(home, OVERRIDES | {name.replace("__", "."): value for name, value in settings.items()})


@asynccontextmanager
async def running(home: Path, **settings: Any) -> AsyncIterator[Deck]:
    """An engine that holds its home's lock and can be taken over."""
    host = build(home, **settings)
    lock = EngineLock.acquire(home, release=host.release)
    host.hold(lock)
    try:
        await host.start()
        found = Deck(host)
        await eventually(lambda: all(m.quote() is not None for m in found.engine.hub.markets.values()))
        yield found
    finally:
        await host.stop()
        lock.release()


@asynccontextmanager
async def succeeding(home: Path, patience: Patience = QUICK, **settings: Any) -> AsyncIterator[Deck]:
    """The engine that has taken over."""
    host = build(home, **settings)
    try:
        await take_over(host, patience)
        yield Deck(host)
    finally:
        await host.stop()
        if host.lock is not None:
            host.lock.release()
