"""The paper exchange: cost of a bar, of a trailing stop, of a fill; the paper venue: time to an acknowledged order."""

from __future__ import annotations

import asyncio
import time
from decimal import Decimal
from typing import TYPE_CHECKING

from engine.clock import SystemClock
from engine.model.ids import AccountId, ClientOrderId, Currency
from engine.model.order import OrderSide, OrderType
from engine.model.venue import OrderCommand
from engine.venues.markets.sim_profile import SimulatedSettings
from engine.venues.markets.simulated import SimulatedMarket
from engine.venues.paper.exchange import PaperExchange
from engine.venues.paper.fill_model import FillKind
from engine.venues.paper.settings import LatencySettings, PaperSettings
from engine.venues.paper.store import PaperStore
from engine.venues.paper.venue import PAPER_ACCOUNT, SIMULATED, PaperVenue
from tests.bench.table import Row, best_rate, percentile, workplace

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from engine.model.instrument import Instrument

START = 1_754_900_040 * 10**9
MINUTE = 60 * 10**9
ACCOUNT = AccountId("bench")


def run() -> list[Row]:
    """Measure; best of a few rounds where the machine may be busy."""
    instrument = SimulatedMarket(SimulatedSettings(seed=1), START).instruments()[0]
    idle = _microseconds(_bars(_exchange(instrument)), 200_000)
    guarded = _exchange(instrument)
    guarded.place(_order(instrument, "stop", OrderSide.SELL, OrderType.STOP_LOSS, stop="50"), START)
    resting = _microseconds(_bars(guarded), 200_000)
    trailing = _microseconds(_trail(guarded, instrument), 50_000)
    filling = _microseconds(_fill(_exchange(instrument), instrument), 5_000)
    with workplace("paper") as folder:
        times = asyncio.run(_acknowledge(folder))
    middle, slow = percentile(times, 50) * 1e3, percentile(times, 99) * 1e3
    return [
        Row("paper exchange: a bar without orders", f"{idle:.2f} µs", "< 1 µs", idle < 1),
        Row("paper exchange: a bar that reaches no stop", f"{resting:.2f} µs", "< 5 µs", resting < 5),
        Row("paper exchange: amending a stop", f"{trailing:.1f} µs", "< 15 µs", trailing < 15),
        Row("paper exchange: a market order placed and filled", f"{filling:.0f} µs"),
        Row("paper venue: a market order until its reply, stored", f"p50 {middle:.1f} ms, p99 {slow:.1f} ms"),
    ]


def _exchange(instrument: Instrument) -> PaperExchange:
    exchange = PaperExchange(SIMULATED, [instrument], kind=FillKind.BAR)
    exchange.open_account(ACCOUNT, {Currency("USDT"): Decimal(10**9), Currency("BTC"): Decimal(1000)})
    exchange.mark(instrument.id, 100.0)
    return exchange


def _order(
    instrument: Instrument, name: str, side: OrderSide, kind: OrderType = OrderType.MARKET, stop: str | None = None
) -> OrderCommand:
    return OrderCommand(
        client_id=ClientOrderId(name),
        account=ACCOUNT,
        instrument=instrument.id,
        side=side,
        type=kind,
        quantity=Decimal("0.1"),
        stop_price=None if stop is None else Decimal(stop),
    )


def _microseconds(work: Callable[[int], object], count: int) -> float:
    def all_of_it() -> int:
        for number in range(count):
            work(number)
        return count

    return 1e6 / best_rate(all_of_it)


def _bars(exchange: PaperExchange) -> Callable[[int], object]:
    (name,) = exchange.instruments()
    return lambda i: exchange.on_bar(
        name, START + i * MINUTE, START + (i + 1) * MINUTE, 100.0, 101.0, 99.0, 100.0, 10.0
    )


def _trail(exchange: PaperExchange, instrument: Instrument) -> Callable[[int], object]:
    stops = [Decimal("50") + instrument.current_rules.price_tick * (i % 100) for i in range(1000)]
    return lambda i: exchange.amend(ACCOUNT, ClientOrderId("stop"), START, stop_price=stops[i % 1000])


def _fill(exchange: PaperExchange, instrument: Instrument) -> Callable[[int], object]:
    bar, count = _bars(exchange), 0

    def one(i: int) -> object:
        nonlocal count
        count += 1
        exchange.place(_order(instrument, f"o{count}", OrderSide.BUY if count % 2 else OrderSide.SELL), START)
        return bar(i)

    return one


async def _acknowledge(folder: Path) -> list[float]:
    clock = SystemClock()
    market = SimulatedMarket(SimulatedSettings(seed=1), clock.now())
    latency = LatencySettings(request_ms=0, report_ms=0, jitter_ms=0)
    venue = PaperVenue(market, PaperStore(folder / "paper.db"), clock, PaperSettings(latency=latency))
    await venue.start(lambda *_: None, lambda _: None)
    times = []
    for number in range(300):
        began = time.perf_counter()
        await venue.place(
            OrderCommand(
                client_id=ClientOrderId(f"o{number}"),
                account=PAPER_ACCOUNT,
                instrument=market.instruments()[0].id,
                side=OrderSide.SELL if number % 2 else OrderSide.BUY,
                type=OrderType.MARKET,
                quantity=Decimal("0.001"),
            )
        )
        times.append(time.perf_counter() - began)
    await venue.close()
    return times
