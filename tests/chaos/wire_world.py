"""The world of the wire chaos test: three simulated exchanges on loopback and one engine that trades live at all.

Everything between the engine's doors and the sockets of the exchanges is real: configuration, consent, arming, risk,
journal, dispatcher, native adapters, rate coordinator. Only the keys come from the exchanges themselves, and waits of
the engine are shortened (`Hurry`), for what is tested is what follows from a wait and not its length.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal as D
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import msgspec
from websockets.exceptions import InvalidStatus

from engine.clock import SystemClock
from engine.config import load_settings
from engine.control.handover.machine import Patience
from engine.control.handover.successor import take_over
from engine.control.home_venues import exchange_plans
from engine.control.host import EngineHost, build_engine
from engine.control.live.consent import Consents, words_for
from engine.control.lock import EngineLock
from engine.errors import QuarterdeckError
from engine.execution import connection, dispatcher, inquiry
from engine.execution.connection import ConnectionState
from engine.model.ids import AccountId
from engine.model.order import OrderStatus
from engine.venues.binance import usdm_stream
from engine.venues.coinbase import private as coinbase_private
from engine.venues.limits.rules import BINANCE_USDM_LIMITS, Limit, lowered
from engine.venues.native import maintenance, proof, search, transport, witness
from engine.venues.native.connection import StreamConnection
from tests.kit.limits import WIDE
from tests.wire.accounts import StaticCredentials
from tests.wire.coinbase.keys import ec_fields
from tests.wire.venues import make_simulator

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Mapping
    from pathlib import Path

    from engine.engine import Engine
    from engine.model.credentials import CredentialSource
    from engine.model.instrument import Instrument
    from engine.model.venue import OrderCommand
    from engine.venue_unit import VenuePlan, VenueUnit
    from tests.wire.simulator import Call, Reply, Route, Simulator

__all__ = ["LIMITS", "MARKETS", "Harbour", "Hurry", "World", "dressed"]

MARKETS = {
    # One only: Binance weighs a question about executions by symbol, and a storm asks hundreds of them.
    "binance": ("BTC/USDT",),
    "binanceusdm": ("BTC/USDT:USDT", "ETH/USDT:USDT"),
    "okx": ("BTC/USDT", "ETH/USDT", "BTC/USDT:USDT"),
    "coinbase": ("BTC/USD", "ETH/USD"),
}
"""What is traded at each kind of venue."""
QUOTE, RICH = {"coinbase": "USD"}, D(1_000_000)
HOLDINGS = {"BTC": D(5), "ETH": D(100)}
BEAT_S = 0.05
OKX_PAUSE_S = 2.0
"""OKX names no time with its 429; its windows are two seconds long."""
ROOM = {"weight_per_minute": 5500.0, "requests_per_minute": 3000.0}
"""What exchanges grant today, and simulators hold us to, with some left for what fixed minutes count otherwise."""
USDM_ROOM = {"weight_per_minute": 2200.0}
QUICK = Patience(greeting=5, warming=20, proving=10, standing=10, confirming=5, taking=5)
IN_FLIGHT = 8
"""Turns of the loop, a twentieth of a second apart, within which what had left before a 429 was read may still arrive:
turns and not seconds, for a busy machine may stand still."""
UNANSWERED = (OrderStatus.PENDING, OrderStatus.SUBMITTED, OrderStatus.UNKNOWN)
LIMITS = {
    **{name: str(figure) for name, figure in WIDE.items()},
    "max_orders_per_second": 1000,
    "max_orders_per_minute": 60_000,
    "max_total_positions": 100,
    "max_positions_per_symbol": 100,
    "allow_short": True,
    "max_daily_loss_pct": "1",
    "max_weekly_loss_pct": "1",
    "max_monthly_loss_pct": "1",
    "breaker_drawdown_pct": "1",
    "max_drawdown_pct": "1",
    "max_position_size_pct": "1",
    "max_portfolio_exposure": "1",
    "max_leverage": "5",
}


@dataclass(frozen=True)
class Hurry:
    """How long the engine waits, in seconds."""

    timeout_s: float = 2.0
    """For the answer to a request."""
    visible_s: float = 4.0
    """For an accepted order to be shown; simulators hide orders for less."""
    grace_s: float = 2.0
    """For the private stream to tell what an answer told."""
    compare_s: float = 10.0
    """Between two comparisons with the venue."""
    again_s: float = 1.0
    """Longest pause before another attempt to connect, or to ask whether a maintenance is over."""
    ask_s: tuple[float, ...] = (0.1, 0.4, 1.0, 1.5)

    def apply(self) -> Iterator[Any]:
        """The patches that make it so."""
        yield patch.object(dispatcher, "COMPARE_EVERY_S", self.compare_s)
        yield patch.object(dispatcher, "CANCEL_AGAIN_S", (0.1, 0.3, 0.6, 1.0))
        yield patch.object(inquiry, "ASK_AFTER_S", self.ask_s)
        yield patch.object(search, "VISIBLE_AFTER_S", self.visible_s)
        yield patch.object(witness, "GRACE_NS", int(self.grace_s * 1e9))
        yield patch.object(proof, "PROOF_S", self.compare_s)
        yield patch.object(proof, "OVERDUE_S", 0.3)
        yield patch.object(transport, "lowered", _as_today)
        yield patch.object(StreamConnection, "_pause_after", _no_longer(self.again_s))
        for place, name in (
            (connection, "LONGEST_PAUSE_S"),
            (maintenance, "LOOK_S"),
            (coinbase_private, "REFUSED_S"),
            (usdm_stream, "AGAIN_S"),
        ):
            yield patch.object(place, name, self.again_s)


def _no_longer(most_s: float) -> Callable[[StreamConnection, BaseException | None], float]:
    """Pauses between attempts to connect, bounded where the venue itself asked for none."""
    pause_after = StreamConnection._pause_after

    def bounded(self: StreamConnection, error: BaseException | None) -> float:
        asked = self._pause > 0 or isinstance(error, InvalidStatus)
        seconds = pause_after(self, error)
        return seconds if asked else min(seconds, most_s)

    return bounded


def _as_today(limits: tuple[Limit, ...], settings: Mapping[str, float]) -> tuple[Limit, ...]:
    """Room for a storm, in which questions about orders are many: what exchanges grant today, and simulators count."""
    room = USDM_ROOM if limits is BINANCE_USDM_LIMITS else ROOM
    return tuple(
        msgspec.structs.replace(limit, capacity=room.get(limit.name, limit.capacity))
        for limit in lowered(limits, settings)
    )


@dataclass
class Harbour:
    """One simulated exchange, and what a bystander notes there."""

    kind: str
    simulator: Simulator
    account: AccountId
    arrivals: Counter[str] = field(default_factory=Counter)
    """How often an order of an id reached the exchange's matching."""
    breaches: Counter[str] = field(default_factory=Counter)
    """Requests that came although the exchange had asked for a pause, by path and what had been told to pause."""
    symbols: tuple[str, ...] = ()
    """What is traded here; none for what `MARKETS` says."""
    pauses: int = 0
    beats: int = 0
    _quiet: dict[str, tuple[int, float]] = field(default_factory=dict)
    _port: int = 0
    _told: str = ""

    def __post_init__(self) -> None:
        self.symbols = self.symbols or MARKETS[self.kind]
        self.exchange, self.venue = self.simulator.exchange, self.simulator.exchange.venue
        self._place, self._respond = self.exchange.place, self.simulator.respond
        self.exchange.place = self._noted  # type: ignore[method-assign]
        self.simulator.respond = self._heard  # type: ignore[method-assign]

    @property
    def instruments(self) -> list[Instrument]:
        """What is traded here."""
        return [i for i in self.exchange.instruments.values() if i.symbol in self.symbols]

    def _noted(self, command: OrderCommand, terms: dict[str, Any] | None = None, *, place: str = "order") -> Any:
        self.arrivals[command.client_id] += 1
        return self._place(command, terms, place=place)

    def _heard(self, call: Call) -> tuple[Reply, float, Route | None]:
        now = self.exchange.clock.monotonic() / 1e9
        # OKX counts each endpoint and instrument apart: only the same question has to wait.
        key = f"{call.place} {call.params.get('instId', '')}" if self.kind == "okx" else ""
        beat, end = self._quiet.get(key, (0, 0.0))
        if now < end and self.beats > beat + IN_FLIGHT and not (self.kind == "okx" and call.method == "POST"):
            self.breaches[f"{call.place} after {self._told}"] += 1
        answer = self._respond(call)
        if answer[0].status in (418, 429):
            pause = float(answer[0].headers.get("Retry-After", OKX_PAUSE_S if self.kind == "okx" else 0.0))
            self.pauses += 1
            self._told = f"{call.place} had {answer[0].status}"
            self._quiet[key] = (self.beats, max(end, now + pause))
        return answer

    async def beat(self) -> None:
        """Count the turns of the loop, for ever."""
        while True:
            await asyncio.sleep(BEAT_S)
            self.beats += 1

    @property
    def pausing(self) -> bool:
        """Whether the exchange wants a pause now."""
        now = self.exchange.clock.monotonic() / 1e9
        return any(now < end for _, end in self._quiet.values())

    async def shut(self) -> None:
        """Refuse every connection from now on, as a venue that is away does; what rests there goes on resting."""
        self._port = self.simulator.port
        await self.simulator.stop()

    async def open(self) -> None:
        """Take connections at the same address again."""
        await self.simulator.start(port=self._port)

    def break_private(self) -> None:
        """Break every private connection."""
        for socket in list(self.simulator.sockets):
            if socket.private:
                socket.drop()


def _harbour(kind: str, clock: SystemClock, seed: int, rate: float) -> Harbour:
    simulator = make_simulator(kind, clock, seed=seed, rate=rate)
    exchange, account, quote = simulator.exchange, AccountId(f"acc-{kind}"), QUOTE.get(kind, "USDT")
    bases = {symbol.partition("/")[0] for symbol in MARKETS[kind] if ":" not in symbol}
    money = {quote: RICH} | {base: HOLDINGS[base] for base in sorted(bases)}
    exchange.open_account(account, money, **(ec_fields(f"chaos {seed}") if kind == "coinbase" else {}))
    return Harbour(kind, simulator, account)


def dressed(host: EngineHost, keys: CredentialSource | None, hurry: Hurry) -> EngineHost:
    """An engine that waits no longer than wanted for orders to be shown.

    Args:
        host: Not started.
        keys: Gives its keys; None for those of its home folder.
        hurry: How long it waits.
    """

    def make() -> list[VenuePlan]:
        plans = exchange_plans(host.home, host.settings, host.clock, keys or host.vault, host.coordinator)
        for plan in plans:
            able = plan.venue.capabilities
            delay = hurry.visible_s + hurry.timeout_s
            plan.venue.capabilities = msgspec.structs.replace(able, visibility_delay_s=delay)
        return plans

    host.make_venues = make  # type: ignore[method-assign]
    return host


class World:
    """Exchanges and an engine.

    Args:
        home: An empty folder.
        kinds: Exchanges.
        seed: Of markets and faults.
        hurry: Waits of the engine.
        rate: Events a second of each market.
        more: Lines of the settings that come first.
        harbours: Exchanges that are already made; None for those of `kinds` over the simulated market.
    """

    def __init__(
        self,
        home: Path,
        kinds: tuple[str, ...],
        seed: int,
        hurry: Hurry,
        rate: float = 10.0,
        more: str = "",
        harbours: list[Harbour] | None = None,
    ) -> None:
        self.home = home
        self.kinds = kinds
        self.seed = seed
        self.hurry = hurry
        self.clock = SystemClock()
        self.harbours = harbours or [_harbour(kind, self.clock, seed + n, rate) for n, kind in enumerate(kinds)]
        self.more = more
        self.terms: tuple[str, ...] = ()
        """Lines of the settings of every exchange."""
        self.keys: CredentialSource | None = self._known_keys()
        """Gives the keys of engines; None for those that their home folder holds."""
        self.host: EngineHost

    def _known_keys(self) -> StaticCredentials:
        keys = StaticCredentials()
        for harbour in self.harbours:
            keys.add(harbour.venue, harbour.account, harbour.exchange.keys.of(harbour.account).credentials)
        return keys

    def _config(self) -> str:
        lines = [self.more, "[paper]", "enabled = false"]
        for harbour in self.harbours:
            addresses = ", ".join(f'{name} = "{where}"' for name, where in harbour.simulator.addresses.items())
            symbols = ", ".join(f'"{symbol}"' for symbol in harbour.symbols)
            lines += [
                f"[venues.{harbour.kind}]",
                'mode = "live"',
                "testnet = false",
                f'accounts = ["{harbour.account}"]',
                f"symbols = [{symbols}]",
                f"timeout_s = {self.hurry.timeout_s}",
                f"addresses = {{ {addresses} }}",
                *self.terms,
            ]
        return "\n".join(lines) + "\n"

    @asynccontextmanager
    async def waiting(self) -> AsyncIterator[World]:
        """Start the exchanges, and allow engines to trade there; none is started."""
        with ExitStack() as stack:
            for change in self.hurry.apply():
                stack.enter_context(change)
            beats: list[asyncio.Task[None]] = []
            try:
                for harbour in self.harbours:
                    await harbour.simulator.start()
                beats = [asyncio.ensure_future(harbour.beat()) for harbour in self.harbours]
                self._allow()
                yield self
            finally:
                for task in beats:
                    task.cancel()
                for harbour in self.harbours:
                    await harbour.simulator.stop()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[World]:
        """Start everything; at the end the engine is stopped in order."""
        async with self.waiting(), self.holding():
            yield self

    @asynccontextmanager
    async def holding(self) -> AsyncIterator[EngineHost]:
        """Start an engine that can be taken over; at the end it is stopped in order."""
        self.host = host = self.build()
        lock = EngineLock.acquire(self.home, release=host.release)
        host.hold(lock)
        try:
            await self._set_out(host)
            yield host
        finally:
            # It may be another one by now.
            await self.host.stop()
            lock.release()

    @asynccontextmanager
    async def succeeding(self) -> AsyncIterator[EngineHost]:
        """Have the engine taken over by another one of this process; the one before ends, as its process would."""
        before, host = self.host, self.build()
        try:
            await take_over(host, QUICK)
            self.host = host
            await before.stop()
            yield host
        finally:
            await host.stop()
            if host.lock is not None:
                host.lock.release()

    async def start(self) -> None:
        """Start an engine, the first one or the next."""
        self.host = self.build()
        await self._set_out(self.host)

    async def _set_out(self, host: EngineHost) -> None:
        await host.start()
        typed = words_for(self.harbours[0].venue, self.harbours[0].account)
        await host.link().call("risk.set_limits", {"limits": LIMITS, "live": typed})

    def _allow(self) -> None:
        (self.home / "config.toml").write_text(self._config())
        settings = load_settings(self.home)
        for harbour in self.harbours:
            typed = words_for(harbour.venue, harbour.account)
            Consents(self.home).give(settings.venues[harbour.kind], harbour.account, typed, "chaos", self.clock.now())

    def build(self) -> EngineHost:
        """An engine that is not started."""
        return dressed(build_engine(self.home), self.keys, self.hurry)

    # --- looking -----------------------------------------------------------------------------------------------------

    @property
    def engine(self) -> Engine:
        """The engine that runs."""
        assert self.host.engine is not None
        return self.host.engine

    def unit(self, harbour: Harbour) -> VenueUnit:
        """The engine's side of an exchange."""
        return self.engine.venues[harbour.venue]

    def online(self, harbour: Harbour) -> bool:
        """Whether the engine trades there."""
        return self.unit(harbour).connection.state is ConnectionState.ONLINE and self.unit(harbour).recovered

    def unanswered(self, harbour: Harbour) -> int:
        """Orders there of which nobody has said yet what became of them."""
        orders = self.engine.state.orders.values()
        return sum(order.account == harbour.account and order.status in UNANSWERED for order in orders)

    @property
    def at_rest(self) -> bool:
        """Whether nothing is open anywhere, and nothing is under way."""
        return (
            not self.engine.state.orders
            and self.engine.dispatcher.quiet
            and all(self.online(h) and not h.exchange.ledger.open_orders(h.account) for h in self.harbours)
        )

    async def until(self, holds: Callable[[], bool], turns: int = 400) -> bool:
        """Wait for something; turns of the loop are counted and not seconds, for a busy machine may stand still."""
        for _ in range(turns):
            if holds():
                return True
            await asyncio.sleep(BEAT_S)
        return holds()

    async def settle(self, patience_s: float) -> str:
        """After the storm: cancel what rests, and wait until both sides are at rest and have compared.

        Args:
            patience_s: How long nothing may come nearer to it, in seconds of a machine that has nothing else to do.

        Returns:
            What did not come to rest in time; empty when all did.
        """
        for harbour in self.harbours:
            harbour.simulator.faults.disarm()
        link, calm, restless, refused = self.host.link(), 0, 0, ""
        # A machine that is slow takes longer for the same steps; one that is stuck takes none.
        patience, beats, least = int(patience_s / BEAT_S), 0, self._open()
        while beats < patience:
            if self.at_rest:
                calm += 1
                # Two whole rounds of comparing, so that whatever was kept back is told by now.
                if calm * BEAT_S > 2 * self.hurry.compare_s + self.hurry.grace_s:
                    return ""
            else:
                if restless % 40 == 0:
                    try:
                        await link.call("orders.cancel_all", {})
                        refused = ""
                    except QuarterdeckError as error:
                        refused = f"cancelling was refused: {error.message}"
                calm, restless = 0, restless + 1
            await asyncio.sleep(BEAT_S)
            beats += 1
            if self._open() < least:
                beats, least = 0, self._open()
        return "; ".join(filter(None, (self._unrest(), refused)))

    def _open(self) -> int:
        """Orders that are open in the books or at an exchange."""
        there = sum(len(h.exchange.ledger.open_orders(h.account)) for h in self.harbours)
        return len(self.engine.state.orders) + there

    def _unrest(self) -> str:
        said = [f"{o.client_id} is {o.status}" for o in list(self.engine.state.orders.values())[:5]]
        said += [f"{h.venue} is {self.unit(h).connection.state}" for h in self.harbours if not self.online(h)]
        said += [
            f"{h.venue} still has {o.client_id}"
            for h in self.harbours
            for o in h.exchange.ledger.open_orders(h.account)
        ][:5]
        said += [f"{h.venue} wants a pause" for h in self.harbours if h.pausing]
        dispatcher = self.engine.dispatcher
        said += [f"{dispatcher.waiting} requests wait to be sent"] if dispatcher.waiting else []
        if not dispatcher._allowed.is_set():
            said.append("sending is held")
        if queue := dispatcher._urgent or dispatcher._normal:
            said.append(f"the first of them is of fact {queue[0].seq}, durable is {self.engine.journal.durable_seq}")
        return "; ".join(said) or "requests are still under way"
