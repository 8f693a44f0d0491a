"""One soak: starts the engine, lets consoles come and go by turns, watches the engine's memory, and judges it."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.control.client import SocketLink
from engine.errors import EngineNotRunningError, QuarterdeckError
from tests.kit.terminal import Terminal

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Outcome", "Sample", "Soak", "growth"]

SYMBOLS = ("BTC/USDT", "ETH/USDT", "ETH/BTC", "SOL/USDT", "BNB/USDT")
TOPICS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("market.book", {"instrument": "SIM:BTC/USDT", "depth": 25}),
    ("market.tickers", {}),
    ("orders.open", {}),
    ("bots.state", {}),
    ("facts.activity", {}),
    ("risk.state", {}),
)
CONSOLES = 3
ORDER_EVERY_S, CONSOLE_EVERY_S, PROGRAM_EVERY_S = 15.0, 30.0, 15.0
"""Of market time, on average: an order by hand, a console that comes, a program that looks in."""
PAGE = os.sysconf("SC_PAGE_SIZE")
MIB = 1024 * 1024
ENDINGS = ("leave", "kill", "hang up", "kill")


@dataclass(frozen=True, slots=True)
class Sample:
    """Memory of the engine at one moment."""

    hours: float
    """Of market time since the start."""
    rss: int
    """Bytes."""


def growth(samples: list[Sample], warm_up_hours: float) -> float:
    """MiB an hour that the memory grows by after the warm-up: the slope of the line of least squares."""
    kept = [sample for sample in samples if sample.hours >= warm_up_hours]
    if len(kept) < 3:
        return float("nan")
    mean_x = sum(sample.hours for sample in kept) / len(kept)
    mean_y = sum(sample.rss for sample in kept) / len(kept)
    spread = sum((sample.hours - mean_x) ** 2 for sample in kept)
    slope = sum((sample.hours - mean_x) * (sample.rss - mean_y) for sample in kept) / spread
    return slope / MIB


@dataclass(slots=True)
class Outcome:
    """What a soak found."""

    samples: list[Sample] = field(default_factory=list)
    consoles: int = 0
    """Consoles that have shown the dashboard of the running engine."""
    programs: int = 0
    silent: int = 0
    """Programs that got no welcome within two seconds."""
    orders: int = 0
    fills: int = 0
    facts: int = 0
    status: int | None = None
    """Exit status of the engine, asked to stop in the end."""
    problems: list[str] = field(default_factory=list)


class Soak:
    """One run.

    Args:
        home: An empty folder.
        hours: Market time to live through.
        speed: How many times as fast as real time.
        bots: How many bots trade.
        told: Hears a line of progress now and then.
    """

    def __init__(
        self,
        home: Path,
        *,
        hours: float,
        speed: float,
        bots: int = 10,
        seed: int = 1,
        told: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._home = home
        self._hours = hours
        self._speed = speed
        self._bots = bots
        self._rng = random.Random(seed)
        self._told = told
        self._consoles: list[tuple[Terminal, float, bool]] = []
        self._passed = 0.0
        """Market seconds since the last look."""
        self.outcome = Outcome()

    def run(self) -> Outcome:
        """Live, and say what was found."""
        engine = self._start()
        try:
            asyncio.run(self._live(engine.pid))
        finally:
            for terminal, _, _ in self._consoles:
                terminal.close()
            engine.send_signal(signal.SIGTERM)
            try:
                self.outcome.status = engine.wait(30)
            except subprocess.TimeoutExpired:
                engine.kill()
                engine.wait()
        return self.outcome

    def _start(self) -> subprocess.Popen[bytes]:
        hear, tell = os.pipe()
        with (self._home / "engine.out").open("wb") as log:
            engine = subprocess.Popen(
                [sys.executable, "-m", "tests.soak.engine_child", str(self._home), str(tell), str(self._speed)],
                stdout=log,
                stderr=log,
                pass_fds=(tell,),
                start_new_session=True,
            )
        os.close(tell)
        said = os.read(hear, 4096).decode()
        os.close(hear)
        assert said.startswith("ready"), f"the engine did not start: {said}"
        return engine

    async def _live(self, pid: int) -> None:
        link = SocketLink(self._home, client="soak")
        await link.open()
        await self._make_bots(link)
        began = time.monotonic()
        last_word = 0.0
        while (hours := (time.monotonic() - began) * self._speed / 3600) < self._hours:
            self._passed = (hours - self.outcome.samples[-1].hours) * 3600 if self.outcome.samples else 0.0
            self.outcome.samples.append(Sample(hours, _rss(pid)))
            if self._due(ORDER_EVERY_S):
                await self._trade(link)
            self._come_and_go()
            if self._due(PROGRAM_EVERY_S):
                await self._program()
            if hours - last_word >= self._hours / 20:
                last_word = hours
                self._told(
                    f"{hours:5.2f} h  {_rss(pid) / MIB:6.1f} MiB  {self.outcome.consoles} consoles, "
                    f"{self.outcome.programs} programs, {self.outcome.orders} orders"
                )
            await asyncio.sleep(0.3)
        self.outcome.samples.append(Sample(hours, _rss(pid)))
        status = await link.call("engine.status")
        self.outcome.facts = status.seq
        if status.failure:
            self.outcome.problems.append(status.failure)
        running = [row.name for row in await link.call("bots.list") if row.state == "running"]
        if len(running) != self._bots:
            self.outcome.problems.append(f"only {len(running)} of {self._bots} bots run in the end")
        self.outcome.fills = (await link.call("orders.fill_history", {"size": 1})).total
        await link.close()

    def _due(self, every_s: float) -> bool:
        """Whether something that happens so often by chance happens now."""
        return self._rng.random() < self._passed / every_s

    async def _make_bots(self, link: SocketLink) -> None:
        await link.call("risk.set_limits", {"limits": {"max_orders_per_minute": 60_000, "max_orders_per_second": 1000}})
        for number in range(self._bots):
            request = {
                "name": f"bot-{number}",
                "strategy": "trend_following" if number % 2 else "mean_reversion",
                "instrument": f"SIM:{SYMBOLS[number % len(SYMBOLS)]}",
                "timeframe": "1m",
                "capital": "2000",
            }
            await link.call("bots.create", request)
            await link.call("bots.start", {"bot": request["name"]})

    async def _trade(self, link: SocketLink) -> None:
        """What a person does: an order that rests, changed and cancelled, or one that fills."""
        side = self._rng.choice(("buy", "sell"))
        with suppress(QuarterdeckError):
            book = await link.call("market.book", {"instrument": "SIM:BTC/USDT", "depth": 1})
            params: dict[str, Any] = {"instrument": "SIM:BTC/USDT", "side": side, "quantity": "0.001"}
            if book.bids and self._rng.random() < 0.7:
                price = book.bids[0][0] * 95 // 100 // book.tick * book.tick
                params |= {"type": "limit", "side": "buy", "price": f"{price / 10**book.price_scale:.8f}"}
            row = await link.call("orders.place", params)
            self.outcome.orders += 1
            if row.price is not None:
                await link.call("orders.cancel", {"client_id": row.client_id})

    def _come_and_go(self) -> None:
        """Consoles: some leave in order, some are killed, some lose their terminal."""
        now = time.monotonic()
        for entry in list(self._consoles):
            terminal, until, counted = entry
            terminal.read(0)
            if not counted and "Dashboard" in terminal.text() and "PAPER" in terminal.text():
                self.outcome.consoles += 1
                self._consoles[self._consoles.index(entry)] = (terminal, until, True)
            elif now > until:
                self._consoles.remove(entry)
                self._end(terminal)
            elif counted and self._rng.random() < 0.2:
                with suppress(OSError):
                    terminal.type(self._rng.choice("1234561234"))
        if len(self._consoles) < CONSOLES and self._due(CONSOLE_EVERY_S):
            command = [
                sys.executable,
                "-c",
                "from console.cli import main; main()",
                "--home",
                str(self._home),
                "attach",
            ]
            size = self._rng.choice(((80, 24), (120, 40), (200, 50)))
            self._consoles.append((Terminal(command, size), now + self._rng.uniform(3, 12), False))

    def _end(self, terminal: Terminal) -> None:
        match self._rng.choice(ENDINGS):
            case "leave":
                with suppress(OSError):
                    terminal.process.send_signal(signal.SIGTERM)
                with suppress(AssertionError):
                    terminal.end(3)
            case "hang up":
                terminal.hang_up()
                with suppress(subprocess.TimeoutExpired):
                    terminal.process.wait(3)
        terminal.close()

    async def _program(self) -> None:
        """A program that watches for a moment and is gone without a word."""
        link = SocketLink(self._home, client="watcher", read_only=True)
        try:
            await link.open()
        except EngineNotRunningError:
            # Two seconds without a welcome: the machine is busy, and a program comes again.
            self.outcome.silent += 1
            return
        for topic, filters in TOPICS:
            link.subscribe(topic, lambda _delta: None, **filters)
        await asyncio.sleep(0.2)
        await link.close()
        self.outcome.programs += 1


def _rss(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]) * PAGE
