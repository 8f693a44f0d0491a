"""The check of a venue over the simulated exchanges: what passes, what fails, and that nothing stays."""

from __future__ import annotations

import asyncio
import re
from contextlib import asynccontextmanager
from decimal import Decimal as D
from itertools import count
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from engine.clock import SimulatedClock
from engine.config import load_settings
from engine.control.live.consent import Consents
from engine.control.lock import EngineLock
from engine.control.venue_check.at_home import Wanted, check_at_home, plan_at_home
from engine.control.venue_check.report import Outcome, Redactor, last_passed, plain_of, text_of, write_report
from engine.control.venue_check.run import run_checks
from engine.control.venue_check.subject import Subject
from engine.errors import (
    AuthenticationError,
    AuthorizationError,
    ConflictError,
    NotFoundError,
    UnknownOutcomeError,
    ValidationError,
)
from engine.model.ids import InstrumentId
from engine.model.instrument import InstrumentKind
from engine.model.order import OrderStatus
from engine.venues.binance import feed
from engine.venues.coinbase import venue as coinbase
from engine.venues.factory import make_adapter
from engine.venues.limits.coordinator import Coordinator
from engine.venues.native.options import VenueOptions
from engine.venues.okx import venue as okx
from tests.wire.accounts import StaticCredentials
from tests.wire.harness import MAIN, START, WireHarness
from tests.wire.venues import make_simulator

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from engine.control.venue_check.report import CheckReport
    from engine.model.venue import Venue
    from tests.wire.simulator import Simulator

SYMBOLS = {"binance": "BTC/USDT", "binanceusdm": "BTC/USDT:USDT", "okx": "BTC/USDT", "coinbase": "BTC/USD"}


@pytest.fixture(autouse=True)
def plain_books(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compiling takes longer than any test here."""

    async def prepare() -> bool:
        await asyncio.sleep(0)
        return False

    for module in (feed, okx, coinbase):
        monkeypatch.setattr(module, "prepare", prepare)


class Checking:
    """A simulated exchange and the check of it."""

    def __init__(self, kind: str, clock: SimulatedClock, simulator: Simulator) -> None:
        self.kind = kind
        self.clock = clock
        self.simulator = simulator
        self.exchange = simulator.exchange
        self.key = simulator.exchange.keys.of(MAIN)
        keys = StaticCredentials()
        keys.add(self.exchange.venue, MAIN, self.key.credentials)
        self.instrument = InstrumentId(f"{self.exchange.venue}:{SYMBOLS[kind]}")

        def make(*, account: bool = True) -> Venue:
            options = VenueOptions(
                id=self.exchange.venue,
                accounts=(MAIN,) if account else (),
                testnet=False,
                addresses=simulator.addresses,
            )
            return make_adapter(kind, options, keys, clock, coordinator=Coordinator(clock))

        self.make = make
        self.time = WireHarness(simulator, make, clock, MAIN, self.instrument, D("0.01"))

    async def check(
        self,
        *,
        trade: bool = True,
        account: bool = True,
        wrap: Callable[[Venue], Any] = lambda venue: venue,
    ) -> CheckReport:
        """Check it from start to end, while somebody lets time go on."""
        subject = Subject(wrap(self.make(account=account)), MAIN if account else None, self.instrument, self.clock)
        return await run_checks(
            subject,
            adapter=self.kind,
            target=f"{self.kind} at 127.0.0.1",
            trade=trade,
            secrets=(self.key.key, self.key.secret, self.key.passphrase),
        )

    async def run(self, **how: Any) -> CheckReport:
        """Check it from start to end."""
        return await self.time.call(self.check(**how))


@asynccontextmanager
async def checking(kind: str) -> AsyncIterator[Checking]:
    clock = SimulatedClock(START)
    simulator = make_simulator(kind, clock, rate=20.0)
    await simulator.start()
    try:
        yield Checking(kind, clock, simulator)
    finally:
        await simulator.stop()


def outcomes(report: CheckReport) -> dict[str, Outcome]:
    return {check.name: check.outcome for check in report.checks}


@pytest.mark.parametrize("kind", SYMBOLS)
async def test_every_simulated_exchange_passes_and_nothing_of_the_check_stays(kind: str, tmp_path: Path) -> None:
    async with checking(kind) as c:
        before = {balance.currency: balance.total for balance in c.exchange.balances(MAIN)}
        report = await c.run()
        assert report.passed, text_of(report)
        found = outcomes(report)
        assert not [name for name, outcome in found.items() if outcome is Outcome.WARNED], text_of(report)
        assert {"stream", "candles", "permissions", "resting", "cancel", "buy", "give_back", "new_fills"} <= {
            name for name, outcome in found.items() if outcome is Outcome.PASSED
        }
        spot = c.exchange.instruments[c.instrument].kind is InstrumentKind.SPOT
        assert found["footing"] is (Outcome.SKIPPED if spot else Outcome.PASSED)
        ledger = c.exchange.ledger
        assert ledger.open_orders(MAIN) == []
        assert ledger.rejections == {}
        assert c.simulator.unknown == {}
        bought = sum(fill.quantity for fill in ledger.fills if fill.side == "buy")
        sold = sum(fill.quantity for fill in ledger.fills if fill.side == "sell")
        assert bought > 0
        # What is left of spot is less than a lot: what the fee took.
        assert 0 <= bought - sold <= D("0.0001")
        spent = before[c.exchange.instruments[c.instrument].quote] - next(
            b.total for b in c.exchange.balances(MAIN) if b.currency == c.exchange.instruments[c.instrument].quote
        )
        assert spent < 5, "the check used more than the least"

        structured, readable = write_report(tmp_path, report)
        told = structured.read_text() + readable.read_text()
        for secret in (c.key.key, c.key.secret, c.key.passphrase, MAIN):
            assert not secret or f'"{secret}"' not in told
            assert len(secret) < 8 or secret not in told
        for amount in before.values():
            assert not re.search(rf"(?<![\d.]){amount:f}(?![\d.])", told)
        (passed,) = last_passed(tmp_path, report.venue, report.target)
        assert (passed.private, passed.traded) == (True, True)
        assert last_passed(tmp_path, report.venue, "elsewhere") == []


async def test_a_market_is_looked_at_without_a_key(tmp_path: Path) -> None:
    async with checking("binance") as c:
        report = await c.run(trade=False, account=False)
        assert report.passed, text_of(report)
        found = outcomes(report)
        assert {found[name] for name in ("permissions", "balances", "open_orders", "positions", "fills")} == {
            Outcome.SKIPPED
        }
        assert (report.private, report.traded) == (False, False)
        assert "unknown_order" not in found


async def test_a_key_that_may_withdraw_is_warned_about_and_one_that_may_not_trade_fails(tmp_path: Path) -> None:
    async with checking("okx") as c:
        c.key.withdraw = True
        report = await c.run(trade=False)
        assert outcomes(report)["permissions"] is Outcome.WARNED
        assert report.passed
        c.key.trade = False
        report = await c.run()
        assert outcomes(report)["resting"] is Outcome.FAILED
        assert not report.passed
        assert report.leftovers == ()
        write_report(tmp_path, report)
        assert last_passed(tmp_path, report.venue, report.target) == []


class Broken:
    """A venue with a fault of one kind."""

    def __init__(self, inner: Venue, **instead: Any) -> None:
        self.inner = inner
        self.instead = instead

    def __getattr__(self, name: str) -> Any:
        return self.instead.get(name) or getattr(self.inner, name)


async def test_a_stream_with_a_gap_and_candles_that_overlap_are_found_out() -> None:
    async with checking("binance") as c:

        def wrap(venue: Venue) -> Any:
            async def start(events: Any, market: Any) -> None:
                def leave_out(event: Any) -> None:
                    leave_out.count += 1  # type: ignore[attr-defined]
                    if leave_out.count % 5:  # type: ignore[attr-defined]
                        market(event)

                leave_out.count = 0  # type: ignore[attr-defined]
                await venue.start(events, leave_out)

            async def candles(instrument: Any, timeframe: str, *, end: Any = None, limit: int = 500) -> Any:
                return await venue.candles(instrument, timeframe, limit=limit)

            return Broken(venue, start=start, candles=candles)

        report = await c.run(trade=False, wrap=wrap)
    found = outcomes(report)
    assert found["stream"] is Outcome.FAILED
    assert found["candles"] is Outcome.FAILED
    assert found["book"] is Outcome.PASSED
    assert not report.passed


def without_cancels(times: int) -> Callable[[Venue], Any]:
    """A venue that does not answer that many cancels, and does not hear them."""

    def wrap(venue: Venue) -> Any:
        tries = count(1)

        async def cancel(account: Any, client_id: Any) -> None:
            if next(tries) <= times:
                raise UnknownOutcomeError("No answer arrived in time; 17.25 USDT are free, order 123456789.")
            await venue.cancel(account, client_id)

        return Broken(venue, cancel=cancel)

    return wrap


async def test_an_order_whose_cancel_was_lost_does_not_stay() -> None:
    async with checking("binance") as c:
        report = await c.run(wrap=without_cancels(1))
        assert outcomes(report)["cancel"] is Outcome.FAILED
        assert report.leftovers == ()
        assert c.exchange.ledger.open_orders(MAIN) == []
        words = next(check.words for check in report.checks if check.name == "cancel")
        assert "17.25" not in words
        assert "123456789" not in words


async def test_an_order_that_cannot_be_cancelled_is_named() -> None:
    async with checking("binance") as c:
        report = await c.run(wrap=without_cancels(99))
        (resting, *_) = c.exchange.ledger.open_orders(MAIN)
        assert resting.status is OrderStatus.ACCEPTED
        assert any(resting.client_id in words for words in report.leftovers)
        assert not report.passed


async def test_a_person_who_ends_it_leaves_no_order_behind() -> None:
    async with checking("binance") as c:

        def wrap(venue: Venue) -> Any:
            async def open_orders(account: Any) -> Any:
                found = await venue.open_orders(account)
                if found:
                    task.cancel()
                return found

            return Broken(venue, open_orders=open_orders)

        task = asyncio.ensure_future(c.check(wrap=wrap))
        await c.time.until(task.done)
        report = task.result()
        assert outcomes(report)["interrupted"] is Outcome.FAILED
        (order,) = c.exchange.ledger.orders(MAIN)
        assert order.status is OrderStatus.CANCELED
        assert report.leftovers == ()
        assert c.exchange.ledger.open_orders(MAIN) == []


def test_secrets_and_amounts_of_others_are_taken_out_of_sentences() -> None:
    redactor = Redactor(["topsecret", "main"], ["qdcheck1234abcd1n1"])
    assert redactor.words("key topsecret of main") == "key … of …"
    assert redactor.words("order 12345678 by AbCdEfGhIjKlMnOpQrStUv12") == "order … by …"
    assert redactor.words("used orders_per_10_seconds 3.5%") == "used orders_per_10_seconds 3.5%"
    assert redactor.foreign("order qdcheck1234abcd1n1 needs 12.50 USDT") == "order qdcheck1234abcd1n1 needs … USDT"


async def test_a_report_is_json_that_can_be_read_again(tmp_path: Path) -> None:
    async with checking("binance") as c:
        report = await c.run(trade=False)
    structured, readable = write_report(tmp_path, report)
    assert msgspec.json.decode(structured.read_bytes()) == msgspec.json.decode(msgspec.json.encode(plain_of(report)))
    assert readable.read_text() == text_of(report)
    assert structured.stat().st_mode & 0o077 == 0 or structured.parent.stat().st_mode & 0o077 == 0


# --- from a home folder ----------------------------------------------------------------------------------------------


def write_settings(home: Path, text: str) -> Path:
    home.mkdir(exist_ok=True)
    (home / "config.toml").write_text(text)
    return home


async def test_what_a_person_has_not_agreed_to_is_not_done(tmp_path: Path) -> None:
    home = write_settings(
        tmp_path,
        '[venues.binance]\nmode = "live"\naddresses = { rest = "http://127.0.0.1:9" }\n'
        '[venues.okx]\nmode = "live"\ntestnet = false\n[venues.coinbase]\n',
    )
    with pytest.raises(NotFoundError, match="kraken"):
        await check_at_home(home, Wanted(name="kraken"))
    with pytest.raises(NotFoundError, match="no account 'other'"):
        await check_at_home(home, Wanted(name="binance", account="other"))
    with pytest.raises(AuthorizationError, match="Nobody has agreed"):
        await check_at_home(home, Wanted(name="okx", trade=True, typed="OKX/okx"))
    with pytest.raises(ValidationError, match="on paper"):
        await check_at_home(home, Wanted(name="coinbase", trade=True))
    asked = Wanted(name="binance", trade=True, typed="BINANCE/test-binance")
    with pytest.raises(AuthorizationError, match="Nobody has agreed"):
        await check_at_home(home, asked)
    (venue,) = (v for v in load_settings(home).venues.values() if v.name == "binance")
    Consents(home).give(venue, venue.account_ids[0], "BINANCE/test-binance", "test", 1)
    with pytest.raises(AuthorizationError, match="Type BINANCE/test-binance"):
        await check_at_home(home, msgspec.structs.replace(asked, typed="yes"))
    assert not (home / "venue-checks").exists()


async def test_without_any_key_it_says_so_and_asks_for_no_passphrase(tmp_path: Path) -> None:
    home = write_settings(tmp_path, '[venues.binance]\nmode = "live"\n[keys]\nplace = "file"\n')
    with pytest.raises(AuthenticationError, match="BINANCE/test-binance has no key; add one with"):
        await check_at_home(home, Wanted(name="binance"))


async def test_no_engine_may_run_in_the_same_home_folder(tmp_path: Path) -> None:
    home = write_settings(tmp_path, "")
    lock = EngineLock.acquire(home, release="1")
    try:
        with pytest.raises(ConflictError, match="quarterdeck stop"):
            await check_at_home(home, Wanted(name="binance"))
    finally:
        lock.release()


def test_prices_on_paper_are_those_of_the_exchange_itself(tmp_path: Path) -> None:
    home = write_settings(tmp_path, "")
    plan = plan_at_home(home, Wanted(name="binance"))
    assert (plan.account, plan.target, plan.instrument) == (None, "binance", "BINANCE:BTC/USDT")
