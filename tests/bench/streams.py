"""A native adapter's streams, from an exchange's process to the books that strategies see: what one core can carry.

OKX's adapter watches `MARKETS` instruments over a real socket; every event passes the market hub and the recorder, as
in an engine, and then somebody looks at the best prices. This process keeps to one core, and the exchange's to another
where there is one.

Latency is counted from the moment at which the exchange's process hands a message to its own socket.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import aiohttp
import orjson

from console.embedded import COLLECT_AFTER
from engine.clock import SystemClock
from engine.market.hub import MarketHub
from engine.market.recorder import Recorder
from engine.market.recording_writer import RecordingWriter
from engine.model.ids import VenueId, instrument_id
from engine.model.market import BookMoved
from engine.venues.factory import NoKeys, make_adapter
from engine.venues.limits.coordinator import Coordinator
from engine.venues.native.books.loading import prepare
from engine.venues.native.options import VenueOptions
from storage.recordings.settings import RecorderSettings
from storage.recordings.shelf import Shelf
from tests.bench.feed_child import TRADE_EVERY
from tests.bench.recordings import CAPTURES
from tests.bench.table import Lag, Row, percentile, workplace

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from engine.model.market import MarketEvent
    from storage.recordings.manifest import Manifest

MARKETS = 20
LOAD, LOAD_SECONDS = 10_000, 20.0
QUIET, QUIET_SECONDS = 1_000, 15.0
WARM_SECONDS = 3.0
LATE_S = 30.0
LAG_MS = 10.0
LATENCY_MS = 5.0
AHEAD = 1.02
"""The exchange is asked for a little more than must go through, because its own process may be late."""


@contextlib.contextmanager
def exchange() -> Iterator[int]:
    """The exchange's process; gives its port."""
    child = subprocess.Popen([sys.executable, "-m", "tests.bench.feed_child"], stdout=subprocess.PIPE, text=True)
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(child.pid, {cores[-1]})
    try:
        assert child.stdout is not None
        yield int(child.stdout.readline())
    finally:
        child.kill()
        child.communicate(timeout=20)


class Desk:
    """Hears the adapter as an engine does, and notes when each change of a book can be seen."""

    def __init__(self, folder: Path) -> None:
        self.clock = SystemClock()
        self.hub = MarketHub()
        self.recorder = Recorder(self.hub, self._writer, RecorderSettings(keep_free_gib=0), self.clock, "bench")
        self.seen: dict[str, list[int]] = {}
        """Monotonic nanoseconds of each change, by instrument."""
        self.best: tuple[int | None, int | None] = (None, None)
        self.ready = asyncio.Event()
        """Set once every book has begun."""
        self._count, self._due = 0, -1
        self._arrived = asyncio.Event()
        self._shelf = Shelf(folder)

    def _writer(self, session: Manifest) -> RecordingWriter:
        writer = RecordingWriter(self._shelf, session.id, RecorderSettings(keep_free_gib=0), self.clock)
        writer.start()
        return writer

    def hear(self, event: MarketEvent) -> None:
        """An adapter's event."""
        now = self.clock.now()
        self.hub.on_market(event, now)
        self.recorder.on_market(event, now)
        if isinstance(event, BookMoved) and not event.snapshot:
            book = self.hub.markets[event.instrument].book
            self.best = book.best_bid, book.best_ask
            self.seen[event.instrument].append(time.monotonic_ns())
            self._count += 1
            if self._count == self._due:
                self._arrived.set()
        elif not self.ready.is_set() and all(market.live for market in self.hub.markets.values()):
            self.ready.set()

    def forget(self) -> None:
        """Begin to count anew."""
        self._count, self._due = 0, -1
        self._arrived.clear()
        for times in self.seen.values():
            times.clear()

    async def all(self, count: int) -> None:
        """Wait until so many changes have been seen, or for some seconds in vain."""
        self._due = count
        if self._count < count:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._arrived.wait(), LATE_S)

    async def tick(self) -> None:
        """What an engine does for the recorder once a second."""
        while True:
            await asyncio.sleep(1)
            self.recorder.tick()


class Measured:
    """One rate for some seconds."""

    def __init__(self, told: dict[str, Any], seen: dict[str, list[int]], lag: Lag, busy: float) -> None:
        sent = {name: times for name, times in told["sent"].items() if times}
        self.lost = sum(len(times) for times in sent.values()) - sum(len(times) for times in seen.values())
        self.rate = sum(len(times) for times in sent.values()) / told["took"] * TRADE_EVERY / (TRADE_EVERY - 1)
        self.latency = [
            (seen_at - sent_at) / 1e6
            for name, times in sent.items()
            for sent_at, seen_at in zip(times, seen[f"OKX:{name.replace('-', '/')}"], strict=False)
        ]
        """Milliseconds."""
        self.lag = lag
        self.busy = busy / told["took"]
        """Share of a core."""


async def measure(port: int, folder: Path, runs: list[tuple[float, float]]) -> list[Measured]:
    """Watch, and have the exchange send at each of these rates for so many seconds."""
    desk = Desk(folder)
    address = f"127.0.0.1:{port}"
    options = VenueOptions(
        id=VenueId("OKX"), testnet=False, addresses={"rest": f"http://{address}", "ws": f"ws://{address}"}
    )
    coordinator = Coordinator(desk.clock)
    venue = await asyncio.to_thread(make_adapter, "okx", options, NoKeys(), desk.clock, coordinator=coordinator)
    assert await prepare(), "the compiled way is missing"
    await venue.start(lambda *_: None, desk.hear)
    ticking = asyncio.create_task(desk.tick())
    try:
        names = [instrument_id("OKX", f"Q{number}/USDT") for number in range(MARKETS)]
        listed = {instrument.id: instrument for instrument in await venue.instruments()}
        for name in names:
            desk.hub.add(listed[name])
            desk.seen[name] = []
        desk.recorder.follow({name: listed[name] for name in names})
        await venue.watch(names)
        await desk.ready.wait()
        gc.collect()
        gc.freeze()
        return [await _run(desk, address, rate, seconds) for rate, seconds in runs]
    finally:
        gc.unfreeze()
        ticking.cancel()
        await venue.close()
        await desk.recorder.close()


async def _run(desk: Desk, address: str, rate: float, seconds: float) -> Measured:
    desk.forget()
    lag = Lag()
    beating = asyncio.create_task(lag.beat())
    began = time.process_time()
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=300)) as session:
        words = {"rate": str(rate), "seconds": str(seconds)}
        async with session.get(f"http://{address}/go", params=words) as answer:
            body = await answer.read()
    busy = time.process_time() - began
    beating.cancel()
    told = await asyncio.to_thread(orjson.loads, body)
    await desk.all(sum(len(times) for times in told["sent"].values()))
    return Measured(told, desk.seen, lag, busy)


def run() -> list[Row]:
    """Both rates."""
    if not CAPTURES.is_dir():
        return [Row("streams", f"skipped: no recordings at {CAPTURES}")]
    with exchange() as port, workplace("streams") as folder:
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
        gc.set_threshold(*COLLECT_AFTER)
        runs: list[tuple[float, float]] = [(LOAD, WARM_SECONDS), (LOAD * AHEAD, LOAD_SECONDS), (QUIET, QUIET_SECONDS)]
        _, load, quiet = asyncio.run(measure(port, folder, runs))
    lag, latency = percentile(load.lag.late, 99), percentile(quiet.latency, 99)
    return [
        Row(
            f"streams: messages a second, {MARKETS} instruments, recorded",
            f"{load.rate:,.0f}, {load.busy:.0%} of a core, {load.lost} missed",
            f"≥ {LOAD:,}",
            load.rate >= LOAD and not load.lost,
        ),
        Row(
            "streams: loop lag meanwhile",
            load.lag.words(),
            f"p99 ≤ {LAG_MS:.0f} ms",
            lag <= LAG_MS,
        ),
        Row("streams: from the exchange's socket to the hub meanwhile", _both(load.latency)),
        Row(
            f"streams: from the exchange's socket to the hub, {QUIET:,}/s",
            f"{_both(quiet.latency)}, {quiet.busy:.0%} of a core",
            f"p99 ≤ {LATENCY_MS:.0f} ms",
            latency <= LATENCY_MS and not quiet.lost,
        ),
    ]


def _both(times: list[float]) -> str:
    return f"p50 {percentile(times, 50):.2f} ms, p99 {percentile(times, 99):.2f} ms"
