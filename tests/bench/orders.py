"""From an operation to the bytes of its request on the venue's socket: risk, arming, and an intent stored for good.

The engine and its native adapters run here, over a wire simulator in a process of its own, with the journal on a real
disk. Operations come through the engine's own door, one after the other, and the moment is that at which the last byte
of the request was handed to the system: plain http, so that it can be recognised; encrypting adds a few microseconds.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from asyncio import selector_events
from contextlib import contextmanager
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from engine.control.home_venues import exchange_plans
from engine.control.host import build_engine
from engine.control.live.consent import Consents, words_for
from engine.execution.connection import ConnectionState
from engine.model.credentials import Credentials
from engine.model.ids import AccountId, VenueId
from tests.bench.table import Row, percentile, sync_times, workplace
from tests.chaos.wire_world import LIMITS
from tests.wire.accounts import StaticCredentials

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from engine.control.host import EngineHost
    from engine.control.views import BookView

KINDS = {"binance": "BTC/USDT", "okx": "BTC/USDT", "coinbase": "BTC/USD"}
MAIN = AccountId("main")
ORDERS = 80
WARM = 5
"""Orders before it is measured: connections are made and code is loaded."""
PAUSE_S = 0.15
"""Between two requests: Binance allows five orders a second."""
READY_S = 60.0
MIDDLE_MS, LAST_MS = 3.0, 15.0


class Wire:
    """Notes when requests that change something were written."""

    def __init__(self) -> None:
        self.written: list[tuple[Any, int]] = []
        """Connection and monotonic nanoseconds, in their order."""
        self.any = asyncio.Event()

    @contextmanager
    def tapped(self) -> Iterator[None]:
        """While this lasts."""
        kind: Any = selector_events._SelectorSocketTransport  # type: ignore[attr-defined]
        write, writelines = kind.write, kind.writelines

        def one(transport: Any, data: bytes) -> None:
            write(transport, data)
            self._note(transport, bytes(data[:7]))

        def many(transport: Any, pieces: Any) -> None:
            kept = list(pieces)
            writelines(transport, kept)
            self._note(transport, b"".join(kept)[:7])

        with patch.object(kind, "write", one), patch.object(kind, "writelines", many):
            yield

    def _note(self, transport: Any, begin: bytes) -> None:
        now = time.monotonic_ns()
        if begin.startswith((b"POST ", b"DELETE ")):
            self.written.append((transport, now))
            self.any.set()
        elif self.written and self.written[-1][0] is transport:
            # The rest of the same request.
            self.written[-1] = (transport, now)


@contextmanager
def simulator(kind: str) -> Iterator[dict[str, Any]]:
    """A wire simulator's process, and what it says of itself."""
    command = [sys.executable, "-m", "tests.wire", "--venue", kind, "--plain"]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert child.stdout is not None
        yield json.loads(child.stdout.readline())
    finally:
        child.terminate()
        child.communicate(timeout=30)


def _build(home: Path, kind: str, said: dict[str, Any]) -> EngineHost:
    addresses = ", ".join(f'{name} = "{where}"' for name, where in said["addresses"].items())
    (home / "config.toml").write_text(
        f'[paper]\nenabled = false\n[venues.{kind}]\nmode = "live"\ntestnet = false\naccounts = ["{MAIN}"]\n'
        f'symbols = ["{KINDS[kind]}"]\naddresses = {{ {addresses} }}\n'
    )
    host = build_engine(home)
    key = next(row for row in said["keys"] if row["account"] == MAIN)
    keys = StaticCredentials()
    venue = VenueId(said["venue"])
    keys.add(venue, MAIN, Credentials(key=key["key"], secret=key["secret"], passphrase=key["passphrase"]))
    Consents(home).give(host.settings.venues[kind], MAIN, words_for(venue, MAIN), "bench", host.clock.now())
    host.make_venues = (  # type: ignore[method-assign]
        lambda: exchange_plans(home, host.settings, host.clock, keys, host.coordinator)
    )
    return host


async def measure(
    home: Path, kind: str, said: dict[str, Any], count: int, warm: int = WARM
) -> tuple[list[float], list[float]]:
    """Milliseconds until the bytes were written, and until the reply, of `count` orders placed and cancelled."""
    host = _build(home, kind, said)
    await host.start()
    try:
        await _ready(host, VenueId(said["venue"]))
        link = host.link()
        typed = words_for(VenueId(said["venue"]), MAIN)
        await link.call("risk.set_limits", {"limits": LIMITS, "live": typed})
        await link.call(
            "live.arm",
            {"account": MAIN, "typed": typed, "minutes": 60, "max_order": "1000", "max_total": "1000000"},
        )
        instrument = f"{said['venue']}:{KINDS[kind]}"
        written: list[float] = []
        replied: list[float] = []
        wire = Wire()
        with wire.tapped():
            for number in range(count + warm):
                if number == warm:
                    written.clear()
                    replied.clear()
                book: BookView = await link.call("market.book", {"instrument": instrument, "depth": 1})
                price = Decimal(book.bids[0][0] * 96 // 100 // book.tick * book.tick).scaleb(-book.price_scale)
                order = {"instrument": instrument, "side": "buy", "type": "limit", "quantity": "0.001"}
                row = await _timed(link, wire, "orders.place", order | {"price": f"{price:f}"}, written, replied)
                await asyncio.sleep(PAUSE_S)
                await _timed(link, wire, "orders.cancel", {"client_id": row.client_id}, written, replied)
                await asyncio.sleep(PAUSE_S)
        return written, replied
    finally:
        await host.stop()


async def _ready(host: EngineHost, venue: VenueId) -> None:
    assert host.engine is not None
    unit = host.engine.venues[venue]
    end = time.monotonic() + READY_S
    while unit.connection.state is not ConnectionState.ONLINE or not unit.recovered:
        assert time.monotonic() < end, f"{venue} did not come up: {unit.connection.state}"
        await asyncio.sleep(0.1)


async def _timed(
    link: Any, wire: Wire, operation: str, params: dict[str, Any], written: list[float], replied: list[float]
) -> Any:
    wire.written.clear()
    wire.any.clear()
    began = time.monotonic_ns()
    row = await link.call(operation, params)
    replied.append((time.monotonic_ns() - began) / 1e6)
    # It is answered when it is stored, and leaves right after.
    await wire.any.wait()
    written.append((wire.written[0][1] - began) / 1e6)
    return row


def run() -> list[Row]:
    """Each exchange with a simulator."""
    rows = []
    for kind in KINDS:
        with workplace(f"orders-{kind}") as home, simulator(kind) as said:
            written, replied = asyncio.run(measure(home, kind, said, ORDERS))
            syncs = sync_times(home, os.fdatasync, count=200, pause_s=0.005)
        disk = f"p50 {percentile(syncs, 50):.2f} ms, p99 {percentile(syncs, 99):.2f} ms"
        middle, last = percentile(written, 50), percentile(written, 99)
        rows += [
            Row(
                f"{kind}: from an operation (place, cancel) to its bytes on the socket",
                f"p50 {middle:.2f} ms, p99 {last:.2f} ms; a bare sync takes {disk}",
                f"p50 ≤ {MIDDLE_MS:.0f} ms, p99 ≤ {LAST_MS:.0f} ms",
                middle <= MIDDLE_MS and last <= LAST_MS,
            ),
            Row(
                f"{kind}: until the reply",
                f"p50 {percentile(replied, 50):.2f} ms, p99 {percentile(replied, 99):.2f} ms",
            ),
        ]
    return rows
