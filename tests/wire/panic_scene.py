"""The scene of a panic at one simulated exchange: what is open, what is in the way, and what a bystander notes.

Ten positions in ten markets, twenty orders that rest, a bot that asks for orders without a pause, one position that has
become worth less than the smallest order, one market with a book that is too thin for the position in it, and data
requests that have used up all that is allowed to them and go on asking. Requests and reports take 50 ms both ways.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal as D
from importlib import import_module
from typing import TYPE_CHECKING, Any

from engine import events as ev
from engine.clock import SystemClock
from engine.control.live.consent import words_for
from engine.errors import OrderRejectionError, QuarterdeckError
from engine.model.entries import TradingState
from engine.model.ids import AccountId, InstrumentId, Owner
from engine.model.order import OrderRequest, OrderSide, OrderType
from engine.venues.limits.lane import SHARES
from engine.venues.native.request import Priority
from tests.chaos.wire_world import BEAT_S, Harbour, Hurry, World
from tests.kit.waiting import eventually
from tests.wire.coinbase.keys import ec_fields
from tests.wire.markets import ScriptedMarket, perpetual, spot
from tests.wire.venues import VENUES

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from engine.control.views_emergency import StopRow
    from engine.engine import Engine
    from engine.model.instrument import Instrument

__all__ = ["KINDS", "PanicScene", "Seen", "panic_at"]

KINDS = ("binance", "binanceusdm", "okx", "coinbase")
ACCOUNT = AccountId("main-panic")
ROUND_TRIP_S = 0.05
HELD, RESTING = 10, 20
SWAP = 7
"""Number of the market at OKX that is a perpetual."""
THIN, DUST = 8, 9
"""Numbers of the two markets in which something is in the way."""
PRICE, LOW, HALF, SIZE = D(100), D(40), D("0.05"), D("0.5")
"""Prices before and after the fall, half the spread, and what is held of most."""
ASKERS = 60
BOT = "spinner"


def _instruments(kind: str) -> list[Instrument]:
    names = [f"C{number:02d}" for number in range(HELD)]
    if kind == "binanceusdm":
        return [perpetual("BINANCEUSDM", f"{one}/USDT:USDT", tick="0.01", lot="0.001") for one in names]
    if kind == "coinbase":
        fees = {"maker": "0.004", "taker": "0.006", "min_notional": "1"}
        return [spot("COINBASE", f"{one}/USD", tick="0.01", lot="0.00000001", **fees) for one in names]
    if kind == "okx":
        # OKX knows no smallest value: what is too small there is less than the smallest quantity.
        fees = {"maker": "0.0008", "taker": "0.001", "min_notional": "0"}
        made = [
            spot("OKX", f"{one}/USDT", tick="0.01", lot="0.01" if number == DUST else "0.0001", **fees)
            for number, one in enumerate(names)
        ]
        made[SWAP] = perpetual("OKX", f"{names[SWAP]}/USDT:USDT", tick="0.01", lot="0.01", min_notional="0")
        return made
    return [spot("BINANCE", f"{one}/USDT", tick="0.01", lot="0.0001") for one in names]


@dataclass
class Seen:
    """What became of the panic; times in seconds from the moment at which it was asked for."""

    entered: int = 0
    """Orders that were booked after the halt and close nothing."""
    refused: int = 0
    """Wishes of the bot that were refused after the halt."""
    before: int = 0
    """Wishes of the bot that were granted before."""
    answered_s: float = 0.0
    """Until the operation had answered."""
    cancelled_s: float | None = None
    """Until nothing of what rested was left at the exchange."""
    listed_s: float | None = None
    """Until everything was flat there, or listed with amount and reason."""
    done_s: float | None = None
    """Until the stop said that it is done."""
    slowest_s: float = 0.0
    """The slowest other operation meanwhile."""
    asked: int = 0
    """Other operations that were answered meanwhile."""
    throttled: int = 0
    """Data requests that waited or were refused for want of room."""
    violations: dict[str, int] = field(default_factory=dict)
    """Limits of the exchange that were exceeded, by name."""
    stop: StopRow | None = None
    """What the stop said in the end."""
    wrong: list[str] = field(default_factory=list)
    """Where books and exchange differ in the end."""


class PanicScene:
    """An engine at one exchange, made ready for a panic."""

    def __init__(self, world: World, market: ScriptedMarket, kind: str) -> None:
        self.world, self.market, self.kind = world, market, kind
        (self.harbour,) = world.harbours
        self.exchange = self.harbour.exchange
        self.instruments = list(self.exchange.instruments.values())
        self.seen = Seen()
        self._halted = 0
        self._tasks: list[asyncio.Task[Any]] = []
        self._bot = Owner("")

    @property
    def engine(self) -> Engine:
        return self.world.engine

    async def call(self, operation: str, **params: Any) -> Any:
        return await self.world.host.link().call(operation, params)

    # --- making ready ------------------------------------------------------------------------------------------------

    async def prepare(self) -> None:
        """Open positions and orders, then take away what they need."""
        await eventually(lambda: self.world.online(self.harbour), seconds=90)
        await eventually(lambda: all(self.engine.mark(i.id) is not None for i in self.instruments), seconds=90)
        typed = words_for(self.harbour.venue, ACCOUNT)
        await self.call("live.arm", account=ACCOUNT, typed=typed, minutes=60, max_order="1000", max_total="100000")
        bot = await self.call(
            "bots.create",
            name=BOT,
            strategy="trend_following",
            instrument=self.instruments[0].id,
            capital="1000",
            mode="live",
        )
        self._bot = Owner(bot.id)
        # A venue takes ten orders a second at most.
        for number, instrument in enumerate(self.instruments):
            await self._hold(instrument, self._size(number))
        for number in range(RESTING):
            # None rests where the price is going to fall.
            instrument, price = self.instruments[number % DUST], PRICE - 3 - number // DUST
            order = {"type": "limit", "price": f"{price:f}", "quantity": "0.2"}
            await self.call("orders.place", instrument=instrument.id, side="buy", **order)
            await asyncio.sleep(0.12)
        await eventually(lambda: len(self.exchange.ledger.open_orders(ACCOUNT)) == RESTING, seconds=30)
        # Orders are counted over ten seconds too, and a person does not panic in the second of the last order.
        await asyncio.sleep(3.0)
        self._spoil()
        await eventually(lambda: self._fell(self.instruments[DUST].id), seconds=30)

    def _fell(self, instrument: InstrumentId) -> bool:
        mark = self.engine.mark(instrument)
        return mark is not None and abs(mark - LOW) < 1

    async def _hold(self, instrument: Instrument, size: D) -> None:
        """Buy; what the venue's limits have no room for now is asked for again."""
        for _ in range(60):
            row = await self.call("orders.place", instrument=instrument.id, side="buy", quantity=f"{size:f}")
            await eventually(lambda: row.client_id not in self.engine.state.orders, seconds=90)  # noqa: B023
            if any(key[2] == instrument.id for key in self._held()):
                return
            await asyncio.sleep(1.0)
        raise AssertionError(f"{instrument.id} cannot be bought")

    def _size(self, number: int) -> D:
        if number == DUST:
            return {"okx": D("0.01"), "coinbase": D("0.02")}.get(self.kind, D("0.1"))
        return SIZE * (4 if number == THIN else 1)

    def _spoil(self) -> None:
        """Thin one book, and let the price of one market fall until what is held there is worth too little."""
        thin, dust = self.instruments[THIN], self.instruments[DUST]
        self.market.book(thin.id, {"99.95": "0.3"}, {"100.05": "50"})
        self.market.book(dust.id, {f"{LOW - HALF:f}": "50"}, {f"{LOW + HALF:f}": "50"})

    def _held(self) -> list[tuple[Any, ...]]:
        return [key for key, position in self.engine.state.owned.items() if position.lots]

    # --- what goes on meanwhile --------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Markets that move, data requests without end, a person who looks."""
        self._tasks += [asyncio.ensure_future(self._move())]

    async def exhaust(self, patience_s: float) -> float:
        """Ask for data without end; gives the used share of the limit that is used most, once no more may be used.

        Args:
            patience_s: Seconds after which it is as it is: requests for data are spaced out once half of their part
                is used.
        """
        self._tasks += [asyncio.ensure_future(self._flood()) for _ in range(ASKERS)]
        await self.world.until(lambda: self._share() >= SHARES[Priority.DATA] - 0.01, turns=int(patience_s / BEAT_S))
        return self._share()

    def _share(self) -> float:
        return max(share for lane in self.world.host.coordinator.lanes for share in lane.usage().values())

    async def _move(self) -> None:
        turn = 0
        while True:
            turn += 1
            for instrument in self.instruments:
                # Nobody bids anything far below: a thin book ends.
                self.market.change(instrument.id, {}, {"200": str(5 + turn % 2)})
            await asyncio.sleep(0.25)

    async def _flood(self) -> None:
        venue = self.world.unit(self.harbour).venue
        while True:
            try:
                async with asyncio.timeout(0.5):
                    await venue.candles(self.instruments[0].id, "1m", limit=1000)
            except (TimeoutError, QuarterdeckError):
                self.seen.throttled += 1
            await asyncio.sleep(0.01)

    async def _look(self) -> None:
        """Other operations, one after the other."""
        link = self.world.host.link()
        while True:
            for name in ("engine.status", "orders.list", "portfolio.positions", "risk.overview", "bots.list"):
                began = time.perf_counter()
                await link.call(name, {})
                self.seen.slowest_s = max(self.seen.slowest_s, time.perf_counter() - began)
                self.seen.asked += 1
            await asyncio.sleep(0.02)

    async def _spin(self) -> None:
        """The bot: as often as the loop turns it wants to buy."""
        while True:
            request = OrderRequest(
                account=ACCOUNT,
                instrument=self.instruments[0].id,
                owner=self._bot,
                side=OrderSide.BUY,
                type=OrderType.LIMIT,
                quantity=D("0.1"),
                price=D(90),
            )
            try:
                self.engine.desk.submit(request)
                self.seen.before += 1
            except OrderRejectionError:
                self.seen.refused += bool(self._halted)
            await asyncio.sleep(0.05 if not self._halted else 0.001)

    def _hear(self, record: ev.Record) -> None:
        event = record.event
        if isinstance(event, ev.TradingStateChanged) and event.state is TradingState.HALTED:
            self._halted = record.seq
        elif isinstance(event, ev.OrderIntended) and self._halted and not event.reduce_only:
            self.seen.entered += 1

    # --- the panic ---------------------------------------------------------------------------------------------------

    async def panic(self, patience_s: float = 20.0) -> Seen:
        """Stop everything, and wait until it is done or patience ends."""
        seen = self.seen
        self.engine.ledger.subscribe(self._hear)
        self._tasks += [asyncio.ensure_future(self._look()), asyncio.ensure_future(self._spin())]
        # So that the bot has an order on its way.
        await eventually(lambda: seen.before > 0)
        began = time.perf_counter()
        await self.call("risk.emergency_stop", reason="panic")
        seen.answered_s = time.perf_counter() - began
        while time.perf_counter() - began < patience_s and seen.done_s is None:
            await asyncio.sleep(0.01)
            self._note(time.perf_counter() - began)
        (seen.stop,) = (await self.call("risk.overview")).stops
        for task in self._tasks:
            task.cancel()
        seen.violations = dict(self.harbour.simulator.limits.violations)
        await asyncio.sleep(0.3)
        seen.wrong = self._differences()
        return seen

    def _note(self, now: float) -> None:
        seen, (stop,) = self.seen, self.engine.risk.stops
        resting = [o for o in self.exchange.ledger.open_orders(ACCOUNT) if o.command.type is OrderType.LIMIT]
        if seen.cancelled_s is None and not resting:
            seen.cancelled_s = now
        listed = {one.instrument for one in stop.left}
        if seen.listed_s is None and seen.cancelled_s is not None and {key[2] for key in self._held()} <= listed:
            seen.listed_s = now
        if stop.done:
            seen.done_s = now

    def _differences(self) -> list[str]:
        held = {key[2]: self.engine.state.owned[key].quantity for key in self._held()}
        there: dict[InstrumentId, D] = {}
        if self.kind == "binanceusdm":
            there = {p.instrument: p.quantity for p in self.exchange.positions(ACCOUNT) if p.quantity}
        else:
            names = {i.base: i.id for i in self.instruments}
            there = {
                names[b.currency]: b.total for b in self.exchange.balances(ACCOUNT) if b.currency in names and b.total
            }
        return [
            f"{one}: {held.get(one)} booked, {there.get(one)} there"
            for one in {*held, *there}
            if held.get(one) != there.get(one)
        ]


@asynccontextmanager
async def panic_at(kind: str, home: Path, *, latency_s: float = ROUND_TRIP_S) -> AsyncIterator[PanicScene]:
    """The scene at one kind of exchange, ready for `PanicScene.panic`."""
    clock = SystemClock()
    instruments = _instruments(kind)
    market = ScriptedMarket(instruments, clock.now())
    for instrument in instruments:
        market.book(instrument.id, {"99.95": "50"}, {"100.05": "50"})
    market.advance(clock.now())
    simulator = import_module(VENUES[kind]).make(clock, market=market)
    simulator.latency_s = latency_s
    money = {instruments[0].quote: D(100_000)}
    simulator.exchange.open_account(ACCOUNT, money, **(ec_fields("panic") if kind == "coinbase" else {}))
    harbour = Harbour(kind, simulator, ACCOUNT, symbols=tuple(i.symbol for i in instruments))
    world = World(home, (kind,), 7, Hurry(timeout_s=5.0, compare_s=60.0), harbours=[harbour])
    async with world.running():
        scene = PanicScene(world, market, kind)
        scene.begin()
        try:
            await scene.prepare()
            yield scene
        finally:
            for task in scene._tasks:
                task.cancel()
