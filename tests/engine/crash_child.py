"""An engine that trades until it is killed and says what was answered: `-m tests.engine.crash_child HOME SEED`."""

from __future__ import annotations

import asyncio
import random
import sys
from decimal import Decimal as D
from pathlib import Path

from engine.control.host import build_engine
from engine.errors import ConflictError, OrderRejectionError

BTC = "SIM:BTC/USDT"


async def trade(home: Path, seed: int) -> None:
    """Place, amend and cancel orders as fast as they are answered."""
    rng = random.Random(seed)
    host = build_engine(home, {"paper.latency_ms": 1, "paper.latency_jitter_ms": 1, "paper.seed": 7})
    await host.start()
    link = host.link()
    await link.call("risk.set_limits", {"limits": {"max_orders_per_second": 1000, "max_orders_per_minute": 60000}})
    say("ready")
    number = 0
    while True:
        number += 1
        book = await link.call("market.book", {"instrument": BTC, "depth": 1})
        if not book.bids or not book.asks:
            await asyncio.sleep(0.01)
            continue
        side = rng.choice(("buy", "sell"))
        params = {"instrument": BTC, "side": side, "quantity": str(D(rng.randrange(20, 60)).scaleb(-5))}
        if rng.random() < 0.5:
            away = rng.choice((0, 0, 3000))
            price = book.bids[0][0] - away if side == "buy" else book.asks[0][0] + away
            params |= {"type": "limit", "price": str(D(price).scaleb(-book.price_scale))}
        try:
            row = await link.call("orders.place", params, request_id=f"{seed}-{number}")
            say(f"placed {row.client_id}")
            if rng.random() < 0.3:
                await link.call("orders.cancel", {"client_id": row.client_id})
        except (OrderRejectionError, ConflictError):
            # Nothing to sell yet, or already over: both are answers.
            await asyncio.sleep(0.002)


def say(line: str) -> None:
    """Tell the parent at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(trade(Path(sys.argv[1]), int(sys.argv[2])))
