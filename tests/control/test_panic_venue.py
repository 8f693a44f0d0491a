"""Accounts are emptied without a journal: what fails is asked again, and all is sold, in however many orders."""

from __future__ import annotations

import asyncio
from decimal import Decimal as D
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from engine import events as ev
from engine.clock import SimulatedClock
from engine.control.panic import PanicReport
from engine.control.panic_venue import PanicLog, Part, empty_accounts
from engine.errors import (
    AuthenticationError,
    ExchangeConnectionError,
    QuarterdeckError,
    UnknownOutcomeError,
)
from engine.model.account import Account, TradingMode
from engine.model.fill import Fill
from engine.model.ids import AccountId, ClientOrderId, Currency, InstrumentId, TradeId, VenueId, VenueOrderId
from engine.model.market import BookUpdate
from engine.model.order import Liquidity, OrderSide, OrderStatus, OrderType
from engine.model.venue import OrderCommand, VenueBalance, VenueOrder, VenuePosition
from tests.execution.house import ScriptedVenue
from tests.risk.house import BTC, instrument

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from engine.model.instrument import Instrument

USDT, COIN = Currency("USDT"), Currency("BTC")
A, B = AccountId("a"), AccountId("b")


class Hurried(SimulatedClock):
    """Whoever sleeps moves the time on."""

    async def sleep(self, seconds: float) -> None:
        self.set(self.now() + int(seconds * 1e9))
        await asyncio.sleep(0)


class Exchange(ScriptedVenue):
    """An exchange with coins in two accounts, a largest order, and a book of a given depth for each order."""

    def __init__(self, clock: SimulatedClock, held: dict[AccountId, str]) -> None:
        super().__init__(clock)
        self.id = VenueId("SIM")
        self.held = {account: D(text) for account, text in held.items()}
        self.resting: dict[AccountId, VenueOrder] = {}
        self.most: D | None = None
        self.depth: D | None = None
        self.fails: dict[str, list[Exception]] = {}
        """What the next requests of a kind, or of a kind and an account, fail with."""
        self.lost_answer = False
        self.placed: list[OrderCommand] = []

    async def start(self, events: Any, market: Any) -> None:
        self._fail("start")
        self.sink, self.market = events, market

    async def instruments(self) -> Sequence[Instrument]:
        self._fail("instruments")
        return [instrument(BTC, "0.01", "0.00001", min_notional=D(10), max_quantity=self.most)]

    def _fail(self, kind: str, account: str = "") -> None:
        for name in (kind, f"{kind} {account}"):
            if self.fails.get(name):
                raise self.fails[name].pop(0)

    async def balances(self, account: AccountId) -> Sequence[VenueBalance]:
        self._fail("balances", account)
        locked = self.resting[account].quantity if account in self.resting else D(0)
        return [VenueBalance(currency=COIN, total=self.held[account], locked=locked)]

    async def positions(self, account: AccountId) -> Sequence[VenuePosition]:
        self._fail("positions", account)
        return ()

    async def watch(self, instruments: Sequence[InstrumentId]) -> None:
        for name in instruments:
            self.market(BookUpdate(name, self.clock.now(), 1, True, ((1, 1),), ((2, 1),)))

    def rest(self, account: AccountId, quantity: str) -> ClientOrderId:
        """An order to sell rests."""
        client_id = ClientOrderId(f"rests-{account}")
        self.resting[account] = VenueOrder(
            client_id=client_id,
            venue_order_id=VenueOrderId("V"),
            account=account,
            instrument=BTC,
            side=OrderSide.SELL,
            type=OrderType.LIMIT,
            quantity=D(quantity),
            filled=D(0),
            status=OrderStatus.ACCEPTED,
            created=0,
            updated=0,
        )
        return client_id

    async def open_orders(self, account: AccountId) -> Sequence[VenueOrder]:
        self._fail("open_orders", account)
        return [order for name, order in self.resting.items() if name == account]

    async def cancel(self, account: AccountId, client_id: ClientOrderId) -> None:
        self._fail("cancel", account)
        del self.resting[account]

    async def order(self, account: AccountId, client_id: ClientOrderId) -> VenueOrder | None:
        self._fail("order", account)
        return self.orders.get(client_id)

    async def place(self, command: OrderCommand) -> None:
        self._fail("place", command.account)
        self.placed.append(command)
        now = self.clock.now()
        free = self.held[command.account]
        if command.account in self.resting:
            free -= self.resting[command.account].quantity
        if (self.most is not None and command.quantity > self.most) or command.quantity > free:
            self.sink(command.account, ev.OrderRejected(client_id=command.client_id, code="x", reason="no", ts=now))
            return
        done = command.quantity if self.depth is None else min(command.quantity, self.depth)
        self.held[command.account] -= done
        self.orders[command.client_id] = VenueOrder(
            client_id=command.client_id,
            venue_order_id=VenueOrderId("V"),
            account=command.account,
            instrument=BTC,
            side=command.side,
            type=command.type,
            quantity=command.quantity,
            filled=done,
            status=OrderStatus.FILLED if done == command.quantity else OrderStatus.CANCELED,
            created=now,
            updated=now,
        )
        if self.lost_answer:
            self.lost_answer = False
            raise UnknownOutcomeError("no answer")
        fill = Fill(
            venue=self.id,
            account=command.account,
            instrument=BTC,
            trade_id=TradeId(str(len(self.placed))),
            venue_order_id=VenueOrderId("V"),
            client_id=command.client_id,
            side=command.side,
            price=D(100),
            quantity=done,
            fee=D(0),
            fee_currency=USDT,
            liquidity=Liquidity.TAKER,
            ts=now,
        )
        self.sink(command.account, ev.OrderFilled(fill=fill))

    def sizes(self, account: AccountId = A) -> list[str]:
        return [f"{one.quantity.normalize():f}" for one in self.placed if one.account == account]


@pytest.fixture
def clock() -> Hurried:
    return Hurried()


async def empty(venue: Exchange, path: Path, wait_s: float = 60) -> PanicReport:
    """Empty both accounts."""
    report, clock = PanicReport(), venue.clock
    log = PanicLog(path / "panic.log", clock, print)
    accounts = [Account(id=name, venue=venue.id, mode=TradingMode.LIVE, base_currency=USDT) for name in venue.held]
    try:
        await empty_accounts(
            venue, accounts, Part(), clock=clock, log=log, wait_s=wait_s, say=lambda _: None, report=report
        )
    finally:
        log.close()
    return report


def broken(times: int = 1) -> list[Exception]:
    return [ExchangeConnectionError("one 502") for _ in range(times)]


@pytest.mark.parametrize(
    "request_kind", ["start", "instruments", "open_orders a", "balances a", "positions", "cancel a", "place a"]
)
async def test_one_request_that_fails_is_made_again_and_costs_nothing(
    tmp_path: Path, clock: Hurried, request_kind: str
) -> None:
    venue = Exchange(clock, {A: "1", B: "2"})
    rests = [venue.rest(A, "0.5"), venue.rest(B, "0.5")]
    venue.fails[request_kind] = broken()
    report = await empty(venue, tmp_path)
    assert (sorted(report.cancelled), report.left) == (sorted(rests), [])
    assert (venue.sizes(A), venue.sizes(B)) == (["1"], ["2"])


@pytest.mark.parametrize("error", [ExchangeConnectionError("away"), AuthenticationError("locked"), KeyError("parse")])
async def test_an_account_that_never_answers_keeps_no_other_from_being_emptied(
    tmp_path: Path, clock: Hurried, error: Exception
) -> None:
    venue = Exchange(clock, {A: "1", B: "2"})
    for kind in ("open_orders", "balances"):
        venue.fails[f"{kind} a"] = [error] * 1000
    report = await empty(venue, tmp_path, wait_s=10)
    assert (venue.sizes(B), venue.held[B]) == (["2"], D(0))
    assert report.left
    assert all("account a" in left for left in report.left)


async def test_a_venue_that_answers_for_no_account_is_an_error(tmp_path: Path, clock: Hurried) -> None:
    venue = Exchange(clock, {A: "1", B: "2"})
    venue.fails["open_orders"] = [AuthenticationError("The keys are locked.") for _ in range(2)]
    with pytest.raises(QuarterdeckError, match="locked"):
        await empty(venue, tmp_path)


async def test_coins_are_sold_although_nobody_tells_what_is_open(tmp_path: Path, clock: Hurried) -> None:
    venue = Exchange(clock, {A: "1"})
    venue.fails["open_orders"] = broken(1000)
    report = await empty(venue, tmp_path, wait_s=10)
    assert venue.held[A] == 0
    assert [left.partition(" (")[0] for left in report.left] == [
        "whatever open orders the account a has: they are not told"
    ]


async def test_what_an_order_that_does_not_go_away_holds_is_left_and_the_rest_sold(
    tmp_path: Path, clock: Hurried
) -> None:
    venue = Exchange(clock, {A: "1"})
    order = venue.rest(A, "0.25")
    venue.fails["cancel"] = broken(1000)
    report = await empty(venue, tmp_path, wait_s=20)
    assert venue.sizes() == ["0.75"]
    assert [left.split()[:2] for left in report.left] == [["order", f"{order}:"], ["0.25", "BTC"]]


async def test_what_is_larger_than_the_largest_order_is_cut(tmp_path: Path, clock: Hurried) -> None:
    venue = Exchange(clock, {A: "7.5"})
    venue.most = D(1)
    report = await empty(venue, tmp_path)
    assert venue.sizes() == ["1"] * 7 + ["0.5"], "five at a time"
    assert (report.left, venue.held[A]) == ([], D(0))


async def test_a_thin_book_is_sold_into_again_until_nothing_is_left(tmp_path: Path, clock: Hurried) -> None:
    venue = Exchange(clock, {A: "1"})
    venue.depth = D("0.4")
    report = await empty(venue, tmp_path)
    assert venue.sizes() == ["1", "0.6", "0.2"]
    assert (report.left, venue.held[A]) == ([], D(0))


async def test_a_thin_book_is_tried_until_the_time_is_up(tmp_path: Path, clock: Hurried) -> None:
    venue = Exchange(clock, {A: "1"})
    venue.depth = D(0)
    began = clock.now()
    report = await empty(venue, tmp_path, wait_s=30)
    assert 30 <= (clock.now() - began) / 1e9 < 31
    assert venue.sizes() == ["1"] * 6, "after pauses of 0.5, 0.5, 2, 4, 8 and 15 seconds"
    assert report.left == ["1 BTC of the account a"]


async def test_an_order_without_an_answer_is_asked_for_and_the_next_one_waits_for_it(
    tmp_path: Path, clock: Hurried
) -> None:
    venue = Exchange(clock, {A: "1"})
    venue.depth, venue.lost_answer = D("0.7"), True
    venue.fails["order"] = broken(20)
    began = clock.now()
    report = await empty(venue, tmp_path)
    assert (venue.sizes(), report.left) == (["1", "0.3"], [])
    assert clock.now() - began > 20 * 0.2 * 1e9, "not before its fate was known"


async def test_an_order_that_the_venue_does_not_show_holds_the_next_one_back_as_long_as_it_may_be_hidden(
    tmp_path: Path, clock: Hurried
) -> None:
    venue = Exchange(clock, {A: "1"})

    async def vanishes(command: OrderCommand) -> None:
        del venue.place
        venue.placed.append(command)
        raise UnknownOutcomeError("no answer")

    venue.place = vanishes  # type: ignore[method-assign]
    began = clock.now()
    report = await empty(venue, tmp_path)
    assert (venue.sizes(), report.left) == (["1", "1"], [])
    assert clock.now() - began > venue.capabilities.visibility_delay_s * 1e9


async def test_what_the_venue_refuses_again_and_again_is_left_before_the_time_is_up(
    tmp_path: Path, clock: Hurried
) -> None:
    venue = Exchange(clock, {A: "1"})
    refuse: Callable[[OrderCommand], Any] = venue.place

    async def refuses(command: OrderCommand) -> None:
        await refuse(msgspec.structs.replace(command, quantity=D(10)))

    venue.place = refuses  # type: ignore[method-assign]
    began = clock.now()
    report = await empty(venue, tmp_path)
    assert (len(venue.placed), report.left) == (5, ["1 BTC of the account a"])
    assert (clock.now() - began) / 1e9 < 10
