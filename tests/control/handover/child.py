"""An engine process that trades and says what happens: `python -m tests.control.handover.child HOME WHAT JSON`.

WHAT is `start` or `take-over`. Settings in JSON may hold `bots` (how many run), `orders` (resting orders to begin with)
and `every_ms` (an order is placed and cancelled so often); all others are settings of the engine. Each line that it
says is a word and what belongs to it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import sys
from decimal import Decimal as D
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.control.host import EngineHost, build_engine
from engine.control.lock import EngineLock
from engine.errors import QuarterdeckError
from engine.model.ids import MANUAL, AccountId, InstrumentId
from engine.model.order import Decision, OrderRequest, OrderSide, OrderType
from tests.kit.waiting import eventually

if TYPE_CHECKING:
    from engine.engine import Engine

MARKETS = ("BTC/USDT", "ETH/USDT", "ETH/BTC", "SOL/USDT", "BNB/USDT")
PAPER = AccountId("paper")
BTC = InstrumentId("SIM:BTC/USDT")
AWAY = D("0.95")


def say(word: str, *rest: object) -> None:
    """Tell the parent at once."""
    sys.stdout.write(" ".join(map(str, (word, *rest))) + "\n")
    sys.stdout.flush()


def order(engine: Engine, away: D = AWAY) -> OrderRequest | None:
    """A small buy far from the market; None while there is none."""
    mark = engine.mark(BTC)
    if mark is None:
        return None
    instrument = engine.state.instruments[BTC]
    return OrderRequest(
        account=PAPER,
        instrument=BTC,
        owner=MANUAL,
        side=OrderSide.BUY,
        type=OrderType.LIMIT,
        quantity=D("0.0002"),
        price=instrument.round_price(mark * away),
        decision=Decision(reason="child"),
    )


async def trade(host: EngineHost, every_ms: float) -> None:
    """Place an order so often whenever the engine takes one, and cancel the one before."""
    before = None
    while True:
        engine = host.engine
        if engine is not None and engine.ready and not engine.standstill.frozen:
            request = order(engine)
            with contextlib.suppress(QuarterdeckError):
                if request is not None:
                    last, before = before, engine.desk.submit(request).client_id
                    if last is not None:
                        engine.desk.cancel(last, "child")
        await asyncio.sleep(every_ms / 1000)


async def prepare(host: EngineHost, bots: int, orders: int) -> None:
    """Bots and resting orders to begin with."""
    link = host.link()
    engine = host.engine
    assert engine is not None
    await link.call("risk.set_limits", {"limits": {"max_orders_per_second": 1000, "max_orders_per_minute": 60000}})
    await eventually(lambda: all(market.quote() is not None for market in engine.hub.markets.values()))
    for number in range(bots):
        strategy = "trend_following" if number % 2 else "mean_reversion"
        request = {"name": f"bot-{number}", "strategy": strategy, "timeframe": "1m", "capital": "500"}
        await link.call("bots.create", {**request, "instrument": f"SIM:{MARKETS[number % len(MARKETS)]}"})
        await link.call("bots.start", {"bot": f"bot-{number}"})
    for number in range(orders):
        request_ = order(engine, AWAY - D(number) / 1000)
        assert request_ is not None
        engine.desk.submit(request_)
    await eventually(lambda: all(o.venue_order_id is not None for o in engine.state.orders.values()))


async def run(home: Path, what: str, wanted: dict[str, Any]) -> int:
    """Live until told to stop, or until another process has taken over."""
    bots, orders, every = (wanted.pop(key, 0) for key in ("bots", "orders", "every_ms"))
    host = build_engine(home, {"paper.latency_ms": 1, "paper.latency_jitter_ms": 1, "paper.seed": 7} | wanted)
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    trader = asyncio.create_task(trade(host, every), name="trader") if every else None
    try:
        if what == "start":
            host.hold(EngineLock.acquire(home, release=host.release))
            await host.start()
            await prepare(host, bots, orders)
        else:
            await host.take_over()
    except QuarterdeckError as error:
        say("refused", error.message)
        return 1
    assert host.engine is not None
    say("ready", host.engine.journal.epoch)
    over = asyncio.create_task(host.wait_stopped(), name="over")
    asked = asyncio.create_task(stop.wait(), name="asked")
    await asyncio.wait({over, asked}, return_when=asyncio.FIRST_COMPLETED)
    if trader is not None:
        trader.cancel()
    say("left" if host.successor else "stopping", host.successor)
    await host.stop()
    if host.lock is not None:
        host.lock.release()
    for task in (over, asked):
        task.cancel()
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(run(Path(sys.argv[1]), sys.argv[2], json.loads(sys.argv[3]))))
