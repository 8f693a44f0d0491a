"""kill -9 in the middle of a panic: whoever starts next goes on with it, and nothing is sold twice."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from decimal import Decimal as D
from typing import TYPE_CHECKING

import pytest

from engine.control.client import open_link
from engine.crash_points import CRASH_AT
from engine.errors import OrderRejectionError, QuarterdeckError
from engine.model.entries import TradingState
from tests.conftest import ROOT
from tests.control.house import BTC, deck
from tests.control.test_panic import ETH, QUICK, facts
from tests.kit.waiting import eventually

if TYPE_CHECKING:
    from pathlib import Path

SOL = "SIM:SOL/USDT"
BOUGHT = {BTC: D("0.004"), SOL: D("0.5")}
RESTS = 3
SENT = len(BOUGHT) + RESTS
"""Orders that left before the panic; those that close come after them."""


async def open_some(home: Path) -> None:
    """Two positions and three orders that rest."""
    async with open_link(home) as link:
        for instrument, quantity in BOUGHT.items():
            await link.call("orders.place", {"instrument": instrument, "side": "buy", "quantity": f"{quantity}"})
        for number in range(RESTS):
            price = {"type": "limit", "price": f"{2400 - number}", "quantity": "0.02"}
            await link.call("orders.place", {"instrument": ETH, "side": "buy", **price})
        for _ in range(3000):
            rows = await link.call("orders.list")
            held = await link.call("portfolio.positions")
            if len(held) == len(BOUGHT) and [row.status for row in rows] == ["accepted"] * RESTS:
                return
            await asyncio.sleep(0.01)
    raise AssertionError("the engine does not trade")


def spawned(home: Path, at: str) -> tuple[subprocess.Popen[bytes], int]:
    """An engine that dies at a point, and where it says that it is ready."""
    ready, said = os.pipe()
    command = [sys.executable, "-P", "-m", "console.headless", "--home", str(home), "--ready", str(said)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), CRASH_AT: at}
    child = subprocess.Popen(command, pass_fds=(said,), env=environment, stderr=subprocess.DEVNULL)
    os.close(said)
    return child, ready


async def panic_until_death(home: Path, at: str) -> None:
    """An engine in a process of its own that dies at a point of its panic."""
    (home / "config.toml").write_text(QUICK)
    child, ready = spawned(home, at)
    try:
        assert b"ready" in await asyncio.to_thread(os.read, ready, 200)
        await open_some(home)
        try:
            async with open_link(home) as link:
                await link.call("risk.emergency_stop", {"reason": "fire"})
        except (QuarterdeckError, OSError):
            # It may be dead before it has answered.
            pass
        assert await asyncio.to_thread(child.wait, 30) == -signal.SIGKILL
    finally:
        os.close(ready)
        child.kill()
        child.wait()


@pytest.mark.parametrize(
    "at",
    [
        "cancel.leaving:1",
        "cancel.sent:2",
        f"order.leaving:{SENT + 1}",
        f"order.sent:{SENT + 1}",
        f"order.sent:{SENT + 2}",
    ],
)
async def test_the_next_engine_goes_on_with_the_panic(tmp_path: Path, at: str) -> None:
    await panic_until_death(tmp_path, at)
    halts = facts(tmp_path, "TradingStateChanged")
    assert [(h.scope, h.state) for h in halts] == [("engine", "halted")], "the halt came first, and is durable"
    async with deck(tmp_path) as on:
        state = on.engine.state
        assert state.trading_state() is TradingState.HALTED
        with pytest.raises(OrderRejectionError):
            await on.market("buy", "0.001")
        await eventually(lambda: [stop.done for stop in on.engine.risk.stops] == [True], seconds=30)
        (stop,) = on.engine.risk.stops
        assert (stop.reason, stop.left) == ("fire", ())
        assert [p.instrument for p in state.owned.values() if p.lots] == []
        (unit,) = on.engine.venues.values()
        assert list(await unit.venue.open_orders(on.engine.account)) == []
        assert [b.currency for b in await unit.venue.balances(on.engine.account) if b.total] == ["USDT"]
    assert sold(tmp_path) == BOUGHT, "everything once"
    assert len(facts(tmp_path, "TradingStateChanged")) == 1, "nobody had to ask again, and nobody released it"


def sold(home: Path) -> dict[str, D]:
    """What was sold of each instrument."""
    found: dict[str, D] = {}
    for event in facts(home, "OrderFilled"):
        if event.fill.side == "sell":
            found[event.fill.instrument] = found.get(event.fill.instrument, D(0)) + event.fill.quantity
    return found
