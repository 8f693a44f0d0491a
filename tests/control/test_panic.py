"""Panic: a hung or dead engine is replaced, everything is cancelled and closed once, and what is left is said."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sqlite3
import subprocess
import sys
from decimal import Decimal as D
from typing import TYPE_CHECKING, Any

import pytest

from engine import events as ev
from engine.clock import SimulatedClock
from engine.control import takeover
from engine.control.client import open_link
from engine.control.host import PAPER_ACCOUNT, EngineHost, build_engine
from engine.control.lock import find_holder
from engine.control.notify import watchdog_socket
from engine.control.panic import PanicReport, stop_directly
from engine.control.panic_scope import check_scope
from engine.control.panic_venue import PanicLog, Part, empty_accounts
from engine.control.takeover import take_over
from engine.errors import EngineError, NotFoundError, StateConsistencyError, ValidationError
from engine.model.account import Account, TradingMode
from engine.model.entries import BotState, TradingState
from engine.model.ids import AccountId, Currency, InstrumentId
from engine.model.order import OrderStatus
from engine.model.venue import VenueBalance
from engine.risk.scopes import Emergency
from storage.journal.reader import Query, Reader
from tests.conftest import ROOT
from tests.control.house import BTC, deck
from tests.execution.house import ScriptedVenue
from tests.kit.exchanges import Exchanges
from tests.kit.fake_feed import FakeFeed
from tests.kit.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

QUICK = "[paper]\nlatency_ms = 0\nlatency_jitter_ms = 0\nseed = 7\n"
ETH = "SIM:ETH/USDT"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "config.toml").write_text(QUICK)
    return tmp_path


@pytest.fixture
def engine(home: Path) -> Iterator[subprocess.Popen[bytes]]:
    """An engine in a process of its own that trades."""
    ready, said = os.pipe()
    command = [sys.executable, "-P", "-m", "console.headless", "--home", str(home), "--ready", str(said)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    child = subprocess.Popen(command, pass_fds=(said,), env=environment, stderr=subprocess.DEVNULL)
    os.close(said)
    assert b"ready" in os.read(ready, 200)
    os.close(ready)
    yield child
    child.kill()
    child.wait()


async def trade(home: Path) -> tuple[str, str]:
    """A position, an order that rests, and a bot that runs; ids of both orders."""
    async with open_link(home) as link:
        bought = await link.call("orders.place", {"instrument": BTC, "side": "buy", "quantity": "0.005"})
        price = {"type": "limit", "price": "2400"}
        resting = await link.call("orders.place", {"instrument": ETH, "side": "buy", "quantity": "0.05", **price})
        wanted = {"name": "t1", "strategy": "trend_following", "instrument": "SIM:SOL/USDT"}
        await link.call("bots.create", wanted)
        await link.call("bots.start", {"bot": "t1"})
        for _ in range(3000):
            # What is killed before its venue has heard of the orders has nothing to cancel or to close.
            working = [row.client_id for row in await link.call("orders.list") if row.status == "accepted"]
            if working == [resting.client_id] and await link.call("portfolio.positions"):
                return str(bought.client_id), str(resting.client_id)
            await asyncio.sleep(0.01)
    raise AssertionError("the engine does not trade")


def facts(home: Path, *kinds: str) -> list[Any]:
    """Facts of these kinds in the journal, oldest first."""
    reader = Reader(home / "journal.db")
    try:
        return [record.event for record in reader.since(0, 10_000, Query(kinds=kinds)).records]
    finally:
        reader.close()


@pytest.mark.parametrize("blow", [signal.SIGSTOP, signal.SIGKILL])
async def test_a_hung_or_killed_engine_is_replaced_and_everything_is_closed_once(
    home: Path, engine: subprocess.Popen[bytes], blow: signal.Signals
) -> None:
    _, resting = await trade(home)
    engine.send_signal(blow)
    if blow is signal.SIGKILL:
        engine.wait()
    said: list[str] = []
    report = PanicReport()

    await stop_directly(home, "smoke", wait_s=20, say=said.append, report=report)

    assert engine.wait() == -signal.SIGKILL
    assert report.killed == ((engine.pid,) if blow is signal.SIGSTOP else ())
    assert (report.left, report.foreign, report.epoch) == ([], [], 2)
    assert report.cancelled == [resting]
    assert [line.partition(" at ")[0] for line in report.closed] == [f"sold 0.00500 of {BTC}"]
    assert find_holder(home) is None
    sold = [e for e in facts(home, "OrderIntended") if e.side == "sell"]
    assert [(str(e.quantity), e.reduce_only) for e in sold] == [("0.00500", True)]
    halts = facts(home, "TradingStateChanged")
    assert [(h.state, h.reason, h.actor) for h in halts] == [("halted", "smoke", "emergency:panic")]

    async with deck(home) as on:
        assert on.engine.state.trading_state() is TradingState.HALTED, "also for whoever starts the engine next"
        assert (on.engine.state.orders, [p for p in on.engine.state.owned.values() if p.lots]) == ({}, [])
        assert on.engine.state.bots[next(iter(on.engine.state.bots))].state is BotState.RUNNING


@pytest.mark.parametrize("scope", ["venue:OKX", "account:main", "strategy:grid", "bot:t2", "symbol:SIM:BTC/USD"])
async def test_a_misspelt_part_costs_no_engine_its_life(
    home: Path, engine: subprocess.Popen[bytes], scope: str
) -> None:
    await trade(home)
    engine.send_signal(signal.SIGSTOP)
    report = PanicReport()
    with pytest.raises(NotFoundError, match="There is no"):
        await stop_directly(home, "smoke", wait_s=20, say=lambda _: None, report=report, scope=scope)
    assert (engine.poll(), report.killed) == (None, ())


async def test_a_part_is_stopped_without_the_engine_and_the_rest_left(
    home: Path, engine: subprocess.Popen[bytes]
) -> None:
    _, resting = await trade(home)
    engine.send_signal(signal.SIGSTOP)
    report = PanicReport()
    await stop_directly(home, "smoke", wait_s=20, say=lambda _: None, report=report, scope=f"symbol:{ETH}")
    assert (report.killed, report.cancelled, report.closed, report.left) == ((engine.pid,), [resting], [], [])
    async with deck(home) as on:
        assert list(on.engine.state.halts) == [f"instrument:{ETH}"]
        assert [p.instrument for p in on.engine.state.owned.values() if p.lots] == [BTC]


@pytest.mark.parametrize(
    ("scope", "without", "says"),
    [
        ("bot:t1", False, "cannot be read"),
        ("strategy:grid", True, "Without the journal nobody knows"),
        ("venue:OKX", True, "There is no venue OKX"),
        ("account:main", False, "There is no account main"),
    ],
)
def test_without_a_journal_that_can_be_read_a_part_is_told_from_the_settings(
    home: Path, scope: str, without: bool, says: str
) -> None:
    (home / "journal.db").write_bytes(b"nothing that can be read")
    settings = build_engine(home).settings
    with pytest.raises((ValidationError, NotFoundError), match=says):
        check_scope(home, settings, scope, without_journal=without)
    for known in ("all", "venue:SIM", "account:paper", "symbol:BTC/USDT"):
        check_scope(home, settings, known, without_journal=without)


async def test_nothing_is_entered_between_the_start_and_the_stop(home: Path) -> None:
    async with deck(home) as on:
        await on.limit(quantity="0.003")
    host = EngineHost(home, build_engine(home).settings, emergency=Emergency("smoke"))
    await host.start()
    try:
        assert host.engine is not None
        state = host.engine.state
        assert state.trading_state() is TradingState.HALTED
        assert state.halts["engine"].actor == "emergency:panic"
        assert host.engine.bots.running == {}
        await eventually(lambda: not state.orders)
    finally:
        await host.stop()
    kinds = [type(event) for event in facts(home, "EngineStarted", "TradingStateChanged", "BotStateChanged")]
    assert kinds[-1] is ev.TradingStateChanged


# --- without a journal -----------------------------------------------------------------------------------------------


async def damaged(home: Path) -> str:
    """A home whose journal cannot be opened, with a position and an order at the venue; the order's id."""
    async with deck(home) as on:
        await on.market("buy", "0.005")
        row = await on.limit(quantity="0.002")
    with sqlite3.connect(home / "journal.db") as journal:
        journal.execute("UPDATE events SET body = x'7b7d' WHERE seq = 12")
    journal.close()
    return str(row.client_id)


async def at_the_venue(home: Path) -> tuple[list[str], list[str]]:
    """Ids of open orders and what is in the account, by the venue's own word."""
    from engine.clock import SystemClock
    from engine.config import load_settings
    from engine.control.paper_venue import make_venue

    venue = make_venue(home, load_settings(home).paper, SystemClock())
    await venue.start(lambda _a, _e: None, lambda _e: None)
    await asyncio.sleep(0)
    try:
        orders = [str(order.client_id) for order in await venue.open_orders(PAPER_ACCOUNT)]
        return orders, sorted(str(b.currency) for b in await venue.balances(PAPER_ACCOUNT) if b.total)
    finally:
        await venue.close()


async def test_a_damaged_journal_stops_the_stop_unless_it_is_said_to_go_on_without(home: Path) -> None:
    order = await damaged(home)
    (home / "run").mkdir(exist_ok=True)
    watchdog = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    watchdog.bind(str(watchdog_socket(home)))
    watchdog.settimeout(1)
    said: list[str] = []

    with pytest.raises(StateConsistencyError, match="Fact 12"):
        await stop_directly(home, "smoke", wait_s=5, say=said.append, report=PanicReport())
    assert await at_the_venue(home) == ([order], ["BTC", "USDT"]), "nothing was sent"
    assert b"STOPPING=1" in watchdog.recv(200), "whoever watches starts no other engine"
    watchdog.close()

    report = PanicReport()
    await stop_directly(home, "smoke", wait_s=20, say=said.append, report=report, without_journal=True)

    assert (report.left, report.cancelled, report.epoch) == ([], [order], 0)
    assert [line.partition(" at ")[0] for line in report.closed] == [f"sold 0.00500 of {BTC}"]
    assert await at_the_venue(home) == ([], ["USDT"])
    assert any("every coin sold" in sentence for sentence in said)
    lines = (home / "logs" / "panic.log").read_text().splitlines()
    assert ['"did": "cancel"' in lines[0], '"did": "close"' in lines[1], len(lines)] == [True, True, 2]


class Keeper(ScriptedVenue):
    """A venue with a coin in the account that it trades against nothing."""

    async def balances(self, account: AccountId) -> Sequence[VenueBalance]:
        return [VenueBalance(currency=Currency(name), total=D(5), locked=D(0)) for name in ("DOGE", "USDT")]


async def test_a_coin_that_nothing_trades_is_not_said_to_be_gone(tmp_path: Path) -> None:
    clock = SimulatedClock()
    venue, report, log = Keeper(clock), PanicReport(), PanicLog(tmp_path / "panic.log", clock, print)
    base = Currency("USDT")
    account = Account(id=PAPER_ACCOUNT, venue=venue.id, mode=TradingMode.PAPER, base_currency=base)
    await empty_accounts(venue, [account], Part(), clock=clock, log=log, wait_s=1, say=lambda _: None, report=report)
    log.close()
    assert (report.done, report.left) == (False, ["5 DOGE of the account paper"])


async def test_every_venue_is_emptied_and_one_that_is_away_keeps_no_other_from_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    binance, okx = FakeFeed(), FakeFeed("OKX")
    exchanges = Exchanges(monkeypatch, binance, okx)
    config = "[paper]\nenabled = true\nseed = 7\n[venues.binance]\n[venues.okx]\n"
    async with exchanges.deck(tmp_path, config) as on:
        exchanges.quote()
        await eventually(lambda: on.engine.mark(InstrumentId("BINANCE:BTC/USDT")) is not None)
        row = await on.call("orders.place", instrument="BINANCE:BTC/USDT", side="buy", quantity="0.01")
        await on.reaches(row, OrderStatus.FILLED)
        rests = {
            "instrument": "BINANCE:BTC/USDT",
            "side": "buy",
            "type": "limit",
            "quantity": "0.005",
            "price": "57000",
        }
        await on.reaches(await on.call("orders.place", **rests), OrderStatus.ACCEPTED)
    (tmp_path / "journal.db").write_bytes(b"nothing that can be read")
    okx.away = True
    report = PanicReport()
    said: list[str] = []
    listen = binance.watch

    async def watch(instruments: Sequence[InstrumentId]) -> None:
        await listen(instruments)
        exchanges.quote()

    monkeypatch.setattr(binance, "watch", watch)
    await stop_directly(tmp_path, "smoke", wait_s=10, say=said.append, report=report, without_journal=True)
    assert len(report.cancelled) == 1
    assert [line.partition(" at ")[0] for line in report.closed] == ["sold 0.010 of BINANCE:BTC/USDT"]
    assert report.left == []
    assert sum("are cancelled" in sentence for sentence in said) == 3, (
        "the accounts on paper at OKX are known without it"
    )


# --- taking over -----------------------------------------------------------------------------------------------------

HOLD = """
import sys, time
from pathlib import Path
from engine.control.lock import EngineLock
lock = EngineLock.acquire(Path(sys.argv[1]), release="2.0.0")
print("held", flush=True)
time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that holds the lock and does nothing else."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    child = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, env=environment)
    assert child.stdout is not None
    assert child.stdout.readline() == b"held\n"
    yield child
    child.kill()
    child.wait()
    child.stdout.close()


def test_a_stopped_holder_is_killed_and_the_lock_is_ours(tmp_path: Path, holder: subprocess.Popen[bytes]) -> None:
    holder.send_signal(signal.SIGSTOP)
    taken = take_over(tmp_path, "2.0.0")
    assert taken.killed == (holder.pid,)
    found = find_holder(tmp_path)
    assert found is not None
    assert found.pid == os.getpid()
    taken.lock.release()
    assert take_over(tmp_path, "2.0.0").killed == ()


def test_a_holder_that_does_not_say_who_it_is_is_left_alone(
    tmp_path: Path, holder: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(takeover, "DEATH_S", 0.01)
    os.truncate(tmp_path / "engine.lock", 0)
    with pytest.raises(EngineError, match=r"has not said who it is.*killed: nobody"):
        take_over(tmp_path, "2.0.0")
    assert holder.poll() is None
