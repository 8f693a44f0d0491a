"""A headless engine with a heartbeat on its loop: run by the benchmark of the socket, not by itself.

    python -m tests.bench.door_child HOME RESULT

Five bots on five markets with 100 book updates a second each. It notes by how much a beat of 5 ms comes late, and once
a second how much memory the process holds, and writes both down when it is told to end.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.control.host import build_engine
from engine.control.lock import EngineLock
from engine.health import resident_bytes

if TYPE_CHECKING:
    from engine.control.host import EngineHost

BEAT_S = 0.005
SYMBOLS = ("BTC/USDT", "ETH/USDT", "ETH/BTC", "SOL/USDT", "BNB/USDT")


async def beat(late: list[tuple[float, float]], memory: list[tuple[float, int]]) -> None:
    """Measure until cancelled; times are on the machine's monotonic scale."""
    looked = 0.0
    while True:
        before = time.monotonic()
        await asyncio.sleep(BEAT_S)
        now = time.monotonic()
        late.append((now, max(0.0, (now - before - BEAT_S) * 1e3)))
        if now - looked >= 1:
            looked = now
            memory.append((now, resident_bytes()))


async def serve(host: EngineHost) -> dict[str, Any]:
    """Run the engine until SIGTERM; returns what was measured."""
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    await host.start()
    link = host.link()
    for number, symbol in enumerate(SYMBOLS):
        strategy = "trend_following" if number % 2 else "mean_reversion"
        request = {"name": f"bot-{number}", "strategy": strategy, "timeframe": "1m", "capital": "1000"}
        await link.call("bots.create", {**request, "instrument": f"SIM:{symbol}"})
        await link.call("bots.start", {"bot": f"bot-{number}"})
    late: list[tuple[float, float]] = []
    memory: list[tuple[float, int]] = []
    measuring = asyncio.get_running_loop().create_task(beat(late, memory), name="heartbeat")
    print("ready", flush=True)
    await ended.wait()
    measuring.cancel()
    await host.stop()
    return {"late": late, "memory": memory}


def main() -> None:
    """Hold the home's lock and serve."""
    home, result = Path(sys.argv[1]), Path(sys.argv[2])
    market = {"paper.updates_per_second": 100.0, "paper.seed": 100, "paper.balances": {"USDT": "100000"}}
    with EngineLock.acquire(home, release="bench"):
        measured = asyncio.run(serve(build_engine(home, market)))
    result.write_text(json.dumps(measured), encoding="utf-8")


if __name__ == "__main__":
    main()
