"""The control socket: how long an operation takes over it, and what attached consoles cost the engine's loop.

QUARTERDECK_TEST_STOPPED_SECONDS says how long one of three consoles stands still; the bar is stated for 600.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from engine.control.client import open_link
from tests.bench.table import Row, percentile, sync_times, workplace
from tests.kit.terminal import Terminal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from engine.control.client import SocketLink
    from engine.control.views import BookView

STOPPED_S = float(os.environ.get("QUARTERDECK_TEST_STOPPED_SECONDS", "60"))
READS, ORDERS = 500, 80
"""Fewer than a client may ask for in a minute."""
PAUSE_S = 0.12
"""Between two orders: the gate lets ten a second pass."""
SETTLED_S = 15.0
"""After the start, and after the consoles have come: until then memory grows by what is loaded."""
BTC = "SIM:BTC/USDT"


@contextmanager
def engine(home: Path) -> Iterator[dict[str, Any]]:
    """A running engine; what it measured is in the dictionary at the end."""
    result = home / "measured.json"
    found: dict[str, Any] = {}
    command = [sys.executable, "-m", "tests.bench.door_child", str(home), str(result)]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        yield found
    finally:
        child.terminate()
        child.wait(60)
    found.update(json.loads(result.read_text(encoding="utf-8")))


async def timed(link: SocketLink, operation: str, params: dict[str, Any], request_id: str | None = None) -> Any:
    """Milliseconds of a call, and its reply."""
    began = time.perf_counter()
    reply = await link.call(operation, params, request_id=request_id)
    return (time.perf_counter() - began) * 1e3, reply


async def round_trips(home: Path) -> tuple[list[float], list[float]]:
    """Milliseconds of reading and of changing operations, one after the other."""
    async with open_link(home) as link:
        reading = [(await timed(link, "orders.list", {}))[0] for _ in range(READS)]
        book: BookView = await link.call("market.book", {"instrument": BTC, "depth": 1})
        price = str((Decimal(book.bids[0][0]) * Decimal("0.96")).quantize(Decimal(10)).scaleb(-book.price_scale))
        order = {"instrument": BTC, "side": "buy", "type": "limit", "quantity": "0.002", "price": price}
        changing = []
        for number in range(ORDERS):
            took, row = await timed(link, "orders.place", order, f"bench-{number}")
            changing.append(took)
            cancel = {"client_id": row.client_id}
            changing.append((await timed(link, "orders.cancel", cancel, f"bench-{number}-c"))[0])
            await asyncio.sleep(PAUSE_S)
        return reading, changing


def round_trip_rows(home: Path) -> list[Row]:
    """The rows of a client in another process than the engine."""
    with engine(home):
        reading, changing = asyncio.run(round_trips(home))
    disk = percentile(sync_times(home, os.fdatasync, count=100, pause_s=0.005), 50)
    rows = []
    for what, times, more in (
        ("reading (orders.list)", reading, ""),
        ("changing (orders.place and cancel), durable", changing, f"; the disk alone takes {disk:.2f} ms for a sync"),
    ):
        middle, last = percentile(times, 50), percentile(times, 99)
        measured = f"p50 {middle:.2f} ms, p99 {last:.2f} ms{more}"
        rows.append(Row(f"round trip over the socket, {what}", measured, "p50 ≤ 1 ms", middle <= 1))
    return rows


def consoles_rows(home: Path) -> list[Row]:
    """Three consoles on an engine, of which one is stopped by a signal."""
    command = [sys.executable, "-P", "-m", "console", "--home", str(home), "attach"]
    with engine(home) as measured:
        terminals = [Terminal(command, (120, 40)) for _ in range(3)]
        _read(terminals, SETTLED_S)
        assert all("attached" in terminal.text() for terminal in terminals), terminals[0].text()
        stopped = terminals[2]
        stopped.process.send_signal(signal.SIGSTOP)
        began = time.monotonic()
        _read(terminals[:2], STOPPED_S)
        ended = time.monotonic()
        stopped.process.send_signal(signal.SIGCONT)
        _read(terminals, 5)
        again = "attached" in stopped.text()
        for terminal in terminals:
            terminal.process.terminate()
            terminal.close()
    late = [value for at, value in measured["late"] if began <= at <= ended]
    memory = [value for at, value in measured["memory"] if began <= at <= ended]
    worst = percentile(late, 99)
    quarter = max(1, len(memory) // 4)
    growth = (sum(memory[-quarter:]) - sum(memory[:quarter])) / quarter / 2**20
    what = f"3 consoles, one stopped for {STOPPED_S:g} s"
    return [
        Row(f"loop lag, {what}", f"p99 {worst:.1f} ms, most {max(late):.1f} ms", "p99 ≤ 10 ms", worst <= 10),
        Row(f"memory, {what}", f"{growth:+.1f} MB from the first to the last quarter", "flat (≤ 2 MB)", growth <= 2),
        Row("the stopped console goes on by itself", str(again), "True", again),
    ]


def _read(terminals: list[Terminal], seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for terminal in terminals:
            terminal.read(0.02)


def run() -> list[Row]:
    """All rows."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    with workplace("door") as home:
        (home / "trips").mkdir()
        (home / "consoles").mkdir()
        return [*round_trip_rows(home / "trips"), *consoles_rows(home / "consoles")]
