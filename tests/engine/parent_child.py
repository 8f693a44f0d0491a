"""An engine that trades a schedule until it is killed: `-m tests.engine.parent_child HOME ALGORITHM`."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from engine.control.host import build_engine
from tests.kit.waiting import eventually

BTC = "SIM:BTC/USDT"


async def trade(home: Path, algorithm: str) -> None:
    """Go on with the parents there are, or start one; say each execution."""
    host = build_engine(home, {"paper.latency_ms": 1, "paper.latency_jitter_ms": 1, "paper.seed": 7})
    await host.start()
    assert host.engine is not None
    engine, link = host.engine, host.link()
    state = engine.state
    await eventually(lambda: all(market.quote() is not None for market in engine.hub.markets.values()))
    if not state.parents:
        asked = {"instrument": BTC, "side": "buy", "quantity": "0.015", "algorithm": algorithm, "duration_s": 60}
        await link.call("algos.start", {**asked, "slices": 60, "jitter": "0.2", "participation": "1"})
    seen = -1
    while True:
        await asyncio.sleep(0.005)
        placed = sum(parent.placed for parent in state.parents.values())
        if placed != seen:
            seen = placed
            sys.stdout.write(f"placed {placed}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(trade(Path(sys.argv[1]), sys.argv[2]))
