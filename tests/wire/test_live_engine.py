"""From end to end: `quarterdeck` in live mode, pointed at a simulated exchange over TLS, headless, with a bot.

Everything is real but the exchange: processes, keys in an encrypted file, consent, command line, socket. The exchange's
own ledger says in the end what is true.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from console.watch import watchdog_pid
from engine.clock import SystemClock
from engine.control.client import SocketLink, open_link
from engine.control.lock import find_holder
from engine.errors import QuarterdeckError
from engine.model.ids import InstrumentId
from engine.model.order import OrderStatus
from tests.wire.certificates import make_authority
from tests.wire.harness import MAIN
from tests.wire.venues import make_simulator

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from tests.wire.simulator import Simulator

KINDS = ("binance", "okx", "ccxt")
THROUGH = {"ccxt": "binance"}
"""Whose simulator stands behind an adapter of any exchange."""
WITH_BOT = ("binance",)
"""Where a bot trades too: it takes up to a minute until its first bar closes, in real time."""
PASSPHRASE = "a long passphrase of a test"
EAGER = '''
from engine.strategy.contract import Strategy, Wish

class Eager(Strategy):
    """Buys whenever it may."""

    name = "eager"
    timeframe = "1m"

    def warmup(self, timeframe):
        return 1

    def columns(self, bars, ta):
        return {}

    def decide(self, row, memory, holding):
        return None if holding.side else Wish.enter(1, 1.0, "always", stop=row.close * 0.97)
'''


class Live:
    """A simulated exchange and a home folder whose engine trades there."""

    def __init__(self, kind: str, simulator: Simulator, home: Path, ca_file: Path) -> None:
        self.kind = kind
        self.group = THROUGH.get(kind, kind)
        """What the venue is called in the settings."""
        self.venue = simulator.exchange.venue
        self.instrument = f"{self.venue}:BTC/USDT"
        self.simulator = simulator
        self.exchange = simulator.exchange
        self.home = home
        self.typed = f"{self.venue}/{MAIN}"
        home.mkdir()
        through = "" if kind == self.group else f'kind = "{kind}"\nexchange = "{self.group}"\n'
        named = simulator.addresses if kind == self.group else {"rest": simulator.rest, "ws": simulator.ws}
        addresses = ", ".join(f'{name} = "{address}"' for name, address in named.items())
        (home / "config.toml").write_text(
            f'[paper]\nenabled = false\n[venues.{self.group}]\n{through}mode = "live"\ntestnet = false\n'
            f'accounts = ["{MAIN}"]\nsymbols = ["BTC/USDT"]\nca_file = "{ca_file}"\naddresses = {{ {addresses} }}\n'
        )

    async def run(self, *arguments: str, says: tuple[str, ...] = ()) -> str:
        """Run a command; {0} in its arguments is a descriptor from which the first of `says` can be read."""
        ends = []
        for text in says:
            reading, writing = os.pipe()
            os.write(writing, text.encode())
            os.close(writing)
            ends.append(reading)
        words = [part.format(*ends) if ends else part for part in arguments]
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", "console", "--home", str(self.home), *words),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            pass_fds=ends,
            env={**os.environ, "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring"},
        )
        for end in ends:
            os.close(end)
        told, complained = await asyncio.wait_for(process.communicate(), 120)
        assert process.returncode == 0, f"{arguments}: {told.decode()}{complained.decode()}"
        return told.decode()

    async def start(self, *, watched: bool = False) -> None:
        """Keys, consent, engine; under a watchdog or alone."""
        key = self.exchange.keys.of(MAIN)
        secret = "\n".join(part for part in (key.key, key.secret, key.passphrase) if part) + "\n"
        says = (secret, f"{PASSPHRASE}\n")
        await self.run("keys", "add", self.group, MAIN, "--from-fd", "{0}", "--passphrase-fd", "{1}", says=says)
        await self.run("live", "consent", MAIN, "--typed", self.typed)
        alone = () if watched else ("--no-watchdog",)
        await self.run("engine", "start", *alone, "--passphrase-fd", "{0}", says=(PASSPHRASE,))

    async def let_a_bot_trade(self, link: SocketLink, file: Path) -> None:
        """Create a bot of a strategy in a file, start it, and stop it once it has bought."""
        file.write_text(EAGER)  # noqa: ASYNC240
        bot = {"name": "eager", "strategy": "eager", "strategy_file": str(file), "capital": "2000", "mode": "live"}
        await link.call("bots.create", {**bot, "instrument": self.instrument})
        before = len(self.exchange.ledger.fills)
        await link.call("bots.start", {"bot": "eager"})
        await until(lambda: len(self.exchange.ledger.fills) > before, seconds=90)
        await link.call("bots.stop", {"bot": "eager"})

    def end(self) -> None:
        """Kill what is left."""
        holder = find_holder(self.home) if (self.home / "run").exists() else None
        for pid in (watchdog_pid(self.home) if holder else 0, holder.pid if holder else 0):
            if pid:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    async def agrees(self, link: SocketLink) -> bool:
        """Whether the engine has booked what the exchange has."""
        rows = await link.call("portfolio.balances")
        booked = {row.currency: row.total for row in rows if row.total}
        return booked == {b.currency: b.total for b in self.exchange.balances(MAIN) if b.total}

    async def online(self, link: SocketLink) -> None:
        """Wait until the engine trades at the exchange: keys are unlocked after the start, and it tries again then."""

        async def listed() -> bool:
            return any(row.id == self.instrument for row in await link.call("instruments.list"))

        await eventually(listed)


async def eventually(true: Callable[[], Awaitable[bool]]) -> None:
    """Wait in real time for what has to be asked."""
    for _ in range(300):
        if await true():
            return
        await asyncio.sleep(0.1)
    raise AssertionError("waited in vain")


async def until(true: Callable[[], object], seconds: int = 30) -> None:
    """Wait in real time."""
    for _ in range(seconds * 50):
        if true():
            return
        await asyncio.sleep(0.02)
    raise AssertionError("waited in vain")


@pytest.fixture(params=KINDS)
async def live(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Live]:
    authority = make_authority(tmp_path)
    simulator = make_simulator(THROUGH.get(request.param, request.param), SystemClock(), rate=20.0)
    await simulator.start(authority)
    made = Live(request.param, simulator, tmp_path / "home", authority.ca_file)
    yield made
    made.end()
    await simulator.stop()


async def test_orders_and_a_bot_trade_at_a_simulated_exchange(live: Live, tmp_path: Path) -> None:
    await live.start()
    ledger, instrument = live.exchange.ledger, live.exchange.instruments[InstrumentId(live.instrument)]
    link = SocketLink(live.home, client="test")
    await link.open()
    try:
        await live.online(link)
        await live.run("orders", "place", "buy", "0.001", live.instrument, "--live", live.typed, "--yes")
        (bought,) = ledger.orders(MAIN)
        await until(lambda: bought.status is OrderStatus.FILLED)
        # The engine may hear of it later than the exchange's ledger shows it: through a poll, or not streamed yet.
        await eventually(lambda: live.agrees(link))

        await link.call("live.arm", {"account": MAIN, "typed": live.typed, "max_order": "5000", "max_total": "9000"})
        low = instrument.round_price(ledger.fills[0].price * Decimal("0.95"))
        order = {
            "instrument": live.instrument,
            "side": "buy",
            "type": "limit",
            "quantity": "0.001",
            "price": f"{low:f}",
        }
        await link.call("orders.place", order)
        await until(lambda: len(ledger.open_orders(MAIN)) == 1)
        (resting,) = ledger.open_orders(MAIN)
        await link.call("orders.cancel", {"client_id": resting.client_id})
        await until(lambda: resting.status is OrderStatus.CANCELED)

        stop = {**order, "side": "sell", "type": "stop_loss", "quantity": "0.0005", "price": None}
        stop["stop_price"] = order["price"]
        await link.call("orders.place", stop)
        (row,) = [row for row in await link.call("orders.list") if row.type == "stop_loss"]
        if live.kind in THROUGH:
            # Nothing rests there for a trigger: the engine holds it, and says so.
            assert (row.held, ledger.open_orders(MAIN)) == (True, [])
        else:
            assert not row.held
            await until(lambda: len(ledger.open_orders(MAIN)) == 1)
        await link.call("orders.cancel", {"client_id": row.client_id})

        async def none_left() -> bool:
            return not await link.call("orders.list") and not ledger.open_orders(MAIN)

        await eventually(none_left)

        if live.kind in WITH_BOT:
            await live.let_a_bot_trade(link, tmp_path / "eager.py")

        await eventually(lambda: live.agrees(link))
    finally:
        await link.close()
    assert ledger.rejections == {}
    assert live.simulator.unknown == {}
    await live.run("stop")
    assert find_holder(live.home) is None


@pytest.mark.parametrize("live", ["binance"], indirect=True)
async def test_killed_under_its_watchdog_it_goes_on_unlocked_and_after_a_reboot_it_waits_for_the_keys(
    live: Live,
) -> None:
    await live.start(watched=True)
    ledger, instrument = live.exchange.ledger, live.exchange.instruments[InstrumentId(live.instrument)]
    async with open_link(live.home) as link:
        await live.online(link)
        await live.run("orders", "place", "buy", "0.001", live.instrument, "--live", live.typed, "--yes")
        await until(lambda: [o.status for o in ledger.orders(MAIN)] == [OrderStatus.FILLED])
        await eventually(lambda: live.agrees(link))
        low = instrument.round_price(ledger.fills[0].price * Decimal("0.95"))
        order = {"instrument": live.instrument, "side": "buy", "type": "limit", "quantity": "0.001"}
        await link.call("orders.place", {**order, "price": f"{low:f}", "live": live.typed})
        await until(lambda: len(ledger.open_orders(MAIN)) == 1)
    killed = find_holder(live.home)
    assert killed is not None
    os.kill(killed.pid, signal.SIGKILL)
    await until(lambda: (found := find_holder(live.home)) is not None and found.pid not in (0, killed.pid))
    await eventually(lambda: answers(live.home))
    async with open_link(live.home) as link:
        await eventually(lambda: known(link))
        assert [row.status for row in await link.call("orders.list")] == ["accepted"]
        await eventually(lambda: live.agrees(link))
    await live.run("stop")
    # After a reboot nobody has the passphrase.
    await live.run("engine", "start", "--no-watchdog")
    async with open_link(live.home) as link:
        (venue,) = await link.call("venues.list")
        assert (venue.state, [(row.known, row.equity) for row in venue.accounts]) == ("locked", [(False, None)])
        assert "keys unlock" in venue.reason
        await live.run("keys", "unlock", "--passphrase-fd", "{0}", says=(PASSPHRASE,))
        # It goes on by itself; a third start within a minute may have to wait for its weight.
        await eventually(lambda: unlocked(link))
    assert len(list(ledger.orders(MAIN))) == 2
    await live.run("stop")


async def answers(home: Path) -> bool:
    """Whether an engine takes calls there."""
    with contextlib.suppress(QuarterdeckError):
        async with open_link(home):
            return True
    return False


async def unlocked(link: SocketLink) -> bool:
    """Whether the engine has the keys to its exchange."""
    (venue,) = await link.call("venues.list")
    return bool(venue.state != "locked")


async def known(link: SocketLink) -> bool:
    """Whether the engine knows what is in its account."""
    (venue,) = await link.call("venues.list")
    return venue.state == "online" and all(row.known for row in venue.accounts)
