"""Handing an engine over: how long no order can leave, with ten bots and 100 book updates a second."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

from engine import events as ev
from engine.control.venue_process import send_stop, wait_until_gone
from storage.journal import Reader, replay
from tests.bench.table import Row, workplace

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from engine.events import Record

SCENE = {"bots": 10, "orders": 20, "paper.updates_per_second": 100}
EVERY_MS = 20
ROUNDS = 5
BAR_MS = 250


def run() -> list[Row]:
    """Measure with the venue inside the engine, and in a process of its own."""
    rows = []
    for words, more in (("venue inside the engine", {}), ("venue in its own process", {"paper.process": True})):
        with workplace("handover") as home:
            blocked, touched = _scene(home, {**SCENE, **more})
        worst = max(blocked)
        rows += [
            Row(
                f"hand-over, {words}: order path blocked",
                f"worst {worst:.0f} ms of {', '.join(f'{ms:.0f}' for ms in blocked)}",
                f"<= {BAR_MS} ms",
                worst <= BAR_MS,
            ),
            Row(f"hand-over, {words}: resting orders touched", str(touched), "0", touched == 0),
        ]
    return rows


def _scene(home: Path, wanted: dict[str, Any]) -> tuple[list[float], int]:
    """Milliseconds of each hand-over in a row, and resting orders that anything happened to."""
    engine = _start(home, "start", {**wanted, "every_ms": EVERY_MS})
    resting = wanted["orders"]
    more = {key: value for key, value in wanted.items() if key not in ("bots", "orders")}
    for _ in range(ROUNDS):
        time.sleep(2)
        successor = _start(home, "take-over", {**more, "every_ms": EVERY_MS})
        engine.wait(30)
        engine = successor
    time.sleep(1)
    engine.send_signal(signal.SIGTERM)
    engine.wait(30)
    if wanted.get("paper.process"):
        send_stop(home)
        wait_until_gone(home, 20)
    reader = Reader(home / "journal.db")
    records = list(reader.records())
    reader.close()
    assert [record.seq for record in records] == list(range(1, len(records) + 1))
    replay(home / "journal.db")
    return _gaps(records), _touched(records, resting)


def _gaps(records: Sequence[Record]) -> list[float]:
    """From the last order accepted before each hand-over to the first that left after it, in milliseconds."""
    gaps, accepted, waiting = [], 0, False
    for record in records:
        if isinstance(record.event, ev.OrderAccepted) and not waiting:
            accepted = record.ts
        elif isinstance(record.event, ev.HandedOver):
            waiting = True
        elif isinstance(record.event, ev.OrderSubmitted) and waiting:
            gaps.append((record.ts - accepted) / 1e6)
            waiting = False
    return gaps


def _touched(records: Sequence[Record], resting: int) -> int:
    """How many of the first orders anything happened to after they rested."""
    first = [r.event.client_id for r in records if isinstance(r.event, ev.OrderIntended)][:resting]
    handed = next(r.seq for r in records if isinstance(r.event, ev.HandedOver))
    return sum(r.seq > handed and getattr(r.event, "client_id", "") in first for r in records)


def _start(home: Path, what: str, wanted: dict[str, Any]) -> subprocess.Popen[str]:
    child = subprocess.Popen(
        [sys.executable, "-m", "tests.control.handover.child", str(home), what, json.dumps(wanted)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    line = child.stdout.readline()
    assert line.startswith("ready"), line
    return child
