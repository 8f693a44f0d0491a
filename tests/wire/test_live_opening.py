"""The first start in accounts that have traded before: what was executed then is part of what they open with."""

from __future__ import annotations

from contextlib import AsyncExitStack
from decimal import Decimal as D
from typing import TYPE_CHECKING

import pytest

from engine import events as ev
from engine.errors import ExchangeRateLimitError
from engine.model.entries import TradingState
from engine.model.ids import ClientOrderId, InstrumentId
from engine.model.order import OrderSide, OrderType
from engine.model.venue import OrderCommand
from tests.chaos.wire_world import MARKETS, Harbour, Hurry, World
from tests.kit.waiting import eventually
from tests.wire.faults import Fault

if TYPE_CHECKING:
    from pathlib import Path

    from engine.model.ids import Currency

BUY, SELL = OrderSide.BUY, OrderSide.SELL
HIDDEN_S = 3.0
PATIENCE = 10
"""How often an exchange may want fewer questions, a second apart."""


def trade(harbour: Harbour, symbol: str, *sides: OrderSide, name: str = "before", size: str = "0.01") -> None:
    """Somebody trades the account from elsewhere, at the price of the book."""
    exchange, key = harbour.exchange, InstrumentId(f"{harbour.venue}:{symbol}")
    lot = exchange.instruments[key].current_rules.lot
    for number, side in enumerate(sides):
        quantity = lot * 5 if ":" in symbol else D(size)
        command = OrderCommand(
            client_id=ClientOrderId(f"{name}{symbol.replace('/', '').replace(':', 'x')}{number}"),
            account=harbour.account,
            instrument=key,
            side=side,
            type=OrderType.MARKET,
            quantity=quantity,
        )
        # What each exchange keeps of an order as it was sent.
        configuration = {"market_market_ioc": {"base_size": f"{quantity:f}"}}
        terms = {"type": "MARKET", "timeInForce": "GTC", "list": -1, "group": None, "workingType": "", "close": False}
        assert exchange.place(command, {**terms, "order_configuration": configuration}).order is not None


class Lives:
    """One account with a past, and the engines that trade it one after the other."""

    def __init__(self, home: Path, kind: str) -> None:
        self.kind = kind
        self.world = World(home, (kind,), 7, Hurry())
        (self.harbour,) = self.world.harbours

    def there(self) -> dict[Currency, D]:
        """What is in the account."""
        return {balance.currency: balance.total for balance in self.harbour.exchange.balances(self.harbour.account)}

    def booked(self) -> dict[Currency, D]:
        """What is booked to be in it."""
        held = self.world.engine.state.balances[self.harbour.account]
        return {currency: balance.total for currency, balance in held.items() if balance.total}

    async def online(self) -> None:
        unit = self.world.unit(self.harbour)
        halted = TradingState.HALTED
        await eventually(
            lambda: self.world.online(self.harbour) or self.world.engine.state.trading_state() is halted, seconds=30
        )
        assert self.world.online(self.harbour), (unit.connection.reason, self.world.engine.state.halts)

    async def compared(self) -> None:
        """Everything is asked for once more, and compared; later, when the exchange wants fewer questions now.

        It counts those of the engine before, of which this one does not know.
        """
        engine, (account,) = self.world.engine, self.world.unit(self.harbour).accounts
        unit = self.world.unit(self.harbour)
        refused: ExchangeRateLimitError | None = None
        for _ in range(PATIENCE):
            try:
                await engine.dispatcher.inquiry.catch_up(unit.guard, account)
                assert await unit.upkeep[account].accounts.compare(unit.guard, account) == ()
            except ExchangeRateLimitError as error:
                refused = error
                await self.world.clock.sleep(1)
            else:
                return
        raise AssertionError("asked in vain") from refused

    def nothing_was_booked(self) -> None:
        """The books are what is there, by no fact but the opening."""
        state = self.world.engine.state
        assert state.external_fills == {}
        assert all(sums.adjustments == 0 for sums in state.sums.values())
        assert self.booked() == self.there()
        derivatives = {
            position.instrument: position.quantity for position in self.harbour.exchange.positions(self.harbour.account)
        }
        for key, quantity in derivatives.items():
            assert state.positions[self.harbour.account, key].quantity == quantity
        assert state.trading_state() is TradingState.ACTIVE


@pytest.fixture(params=sorted(MARKETS))
def lives(request: pytest.FixtureRequest, tmp_path: Path) -> Lives:
    return Lives(tmp_path, request.param)


async def test_what_was_executed_before_the_first_start_is_not_booked_by_a_later_one(lives: Lives) -> None:
    for symbol in MARKETS[lives.kind]:
        trade(lives.harbour, symbol, BUY, BUY, SELL)
    async with lives.world.running():
        await lives.online()
        lives.nothing_was_booked()
        await lives.world.host.stop()
        await lives.world.start()
        await lives.online()
        await lives.compared()
        lives.nothing_was_booked()


async def test_nor_by_an_engine_that_takes_over(lives: Lives) -> None:
    for symbol in MARKETS[lives.kind]:
        trade(lives.harbour, symbol, BUY, BUY, SELL)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(lives.world.running())
        await lives.online()
        await stack.enter_async_context(lives.world.succeeding())
        await lives.online()
        await lives.compared()
        lives.nothing_was_booked()


async def test_one_that_is_listed_only_after_the_opening_is_part_of_it_too(lives: Lives) -> None:
    symbol = MARKETS[lives.kind][-1]
    lives.harbour.exchange.faults.arm(Fault.LATE_VISIBLE, delay_s=HIDDEN_S)
    trade(lives.harbour, symbol, BUY)
    shown = lives.world.clock.monotonic() + int(HIDDEN_S * 1e9)
    async with lives.world.running():
        await lives.online()
        assert lives.world.clock.monotonic() < shown, "the account was opened before the execution was listed"
        await eventually(lambda: lives.world.clock.monotonic() > shown)
        await lives.compared()
        lives.nothing_was_booked()


async def test_what_is_executed_elsewhere_afterwards_is_booked_once(lives: Lives) -> None:
    symbol = MARKETS[lives.kind][-1]
    trade(lives.harbour, symbol, BUY)
    async with lives.world.running():
        await lives.online()
        trade(lives.harbour, symbol, BUY, name="after")
        await lives.compared()
        await lives.world.host.stop()
        trade(lives.harbour, symbol, SELL, name="later")
        await lives.world.start()
        await lives.online()
        await lives.compared()
        state = lives.world.engine.state
        orders = {key.rpartition("|")[2] for key in state.external_fills}
        assert len(orders) == 2
        assert lives.booked() == lives.there()
        assert all(sums.adjustments == 0 for sums in state.sums.values())


async def test_a_market_that_is_watched_later_brings_nothing_of_its_past(tmp_path: Path) -> None:
    lives, past = Lives(tmp_path, "binance"), "ETH/USDT"
    # Nothing is left of it, so that nothing names the market when the account is opened.
    trade(lives.harbour, past, BUY, size="1")
    trade(lives.harbour, past, SELL, size="0.999", name="all")
    assert "ETH" not in lives.there()
    async with lives.world.running():
        await lives.online()
        facts: list[ev.Event] = []
        lives.world.engine.ledger.subscribe(lambda record: facts.append(record.event))
        await lives.world.engine.watch(InstrumentId(f"{lives.harbour.venue}:{past}"))
        await lives.compared()
        lives.nothing_was_booked()
        trade(lives.harbour, past, BUY, name="after")
        await lives.compared()
        assert any(isinstance(fact, ev.ExternalFillSeen) for fact in facts)
        assert lives.booked() == lives.there()
