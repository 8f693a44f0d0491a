"""The positions of a bot on books that is not up: left as they are in every market, and a person is told."""

from __future__ import annotations

from decimal import Decimal as D
from typing import TYPE_CHECKING

import msgspec

from engine import events as ev
from engine.model.entries import BotState
from engine.model.faults import Severity
from engine.model.ids import Currency, InstrumentId
from engine.model.market import BookUpdate
from engine.model.order import OrderSide, OrderType
from engine.strategy.intents import Want
from engine.venues.paper.fill_model import FillKind
from tests.bots.events.pen import SECOND, Pen, Puppet, both
from tests.bots.house import MARKET, PAPER

if TYPE_CHECKING:
    from engine.model.entries import BotEntry
    from engine.strategy.views import Context, MarketView

ETHER = InstrumentId("SIM:ETH/USDT")


class TwoMarkets(Pen):
    """A pen with a second market, and notes of what a person was told."""

    def __init__(self) -> None:
        super().__init__()
        self.ether = msgspec.structs.replace(self.instrument, id=ETHER, symbol="ETH/USDT", base=Currency("ETH"))
        self.ledger.record(ev.InstrumentDefined(instrument=self.ether))
        self.hub.add(self.ether)
        self.exchange.list_instrument(self.ether, FillKind.TOP)

    def ether_book(self, bid: int, ask: int) -> None:
        """The second market's book moves."""
        self.clock.set(self.clock.now() + SECOND)
        now, scale, unit = self.clock.now(), 10**self.ether.price_scale, 10**self.ether.quantity_scale
        self.heard = now
        top = (bid * scale, 5 * unit, ask * scale, 5 * unit)
        for account, event in self.exchange.on_quote(ETHER, now, *top):
            self.desk.on_event(account, event)
        update = BookUpdate(ETHER, now, self.books, True, ((top[0], top[1]),), ((top[2], top[3]),))
        self.books += 1
        self.hub.on_market(update, now)

    def position(self, entry: BotEntry, instrument: InstrumentId) -> D:
        position = self.state.owned.get((entry.id, PAPER, instrument))
        return D(0) if position is None else position.quantity

    def critical(self) -> list[str]:
        return [one.text for one in self.manager.errors.notices if one.severity is Severity.CRITICAL]

    async def loaded(self) -> BotEntry:
        """A bot that holds 1 in each market, with a bid and an ask in both."""
        entry = self.create("maker", "puppet", capital=D(50_000), markets=(str(ETHER),))
        await self.manager.start(entry)
        Puppet.moves = staticmethod(both)
        for bid, ask in ((100, 101), (99, 100)):
            self.book(bid, ask)
            self.ether_book(bid, ask)
        assert (self.position(entry, MARKET), self.position(entry, ETHER)) == (D(1), D(1))
        assert self.shows(entry) == [("buy", 99.0), ("buy", 99.0), ("sell", 100.0), ("sell", 100.0)]
        return entry

    def minutes(self, count: int) -> None:
        for _ in range(count):
            self.clock.set(self.clock.now() + 61 * SECOND)
            self.heard = self.clock.now()
            self.manager.caretakers.tick(self.clock.now())


def wrong(market: MarketView, ctx: Context) -> None:
    raise ZeroDivisionError("oh")


def fail(pen: Pen) -> None:
    Puppet.moves = staticmethod(wrong)
    pen.book(99, 100)


async def test_failed_it_keeps_its_positions_without_a_stop_and_what_reduces_them() -> None:
    pen = TwoMarkets()
    entry = await pen.loaded()
    fail(pen)
    assert entry.state is BotState.ERROR
    # Far below where a stop of 2 % would be.
    pen.book(50, 51)
    pen.ether_book(50, 51)
    pen.minutes(8)
    assert (pen.position(entry, MARKET), pen.position(entry, ETHER)) == (D(1), D(1))
    assert pen.shows(entry) == [("sell", 100.0), ("sell", 100.0)]
    assert {order.type for order in pen.orders(entry)} == {OrderType.LIMIT}
    (text,) = pen.critical()
    assert "nobody looks after its positions: 1 SIM:BTC/USDT, 1 SIM:ETH/USDT." in text
    assert not pen.manager.caretakers.protects(entry.id)


async def test_no_more_than_what_is_held_stays_on_offer() -> None:
    pen = TwoMarkets()

    def offers(market: MarketView, ctx: Context) -> None:
        wants = [Want("bid", OrderSide.BUY, market.bid, 1.0)]
        if market.position > 0:
            wants = [Want(f"ask{n}", OrderSide.SELL, 102.0 + n, 1.0) for n in range(2)]
        ctx.quote(market, wants)

    entry = await pen.quoting(offers)
    pen.book(100, 101)
    pen.book(99, 100)
    assert pen.owned(entry) == 1
    fail(pen)
    assert len(pen.shows(entry)) == 1
    assert pen.shows(entry)[0][0] == "sell"
    # It fills: nothing is left to look after, and nothing is sold twice.
    pen.book(110, 111)
    assert (pen.owned(entry), pen.orders(entry)) == (D(0), [])


async def test_a_person_closes_it_in_every_market() -> None:
    pen = TwoMarkets()
    entry = await pen.loaded()
    fail(pen)
    pen.manager.stop(entry, "close", "a person")
    pen.book(99, 100)
    pen.ether_book(99, 100)
    pen.minutes(1)
    assert (pen.position(entry, MARKET), pen.position(entry, ETHER)) == (D(0), D(0))
    assert pen.orders(entry) == []
    assert entry.state is BotState.STOPPED


async def test_after_a_restart_without_its_strategy_it_is_left_alone_as_well() -> None:
    pen = TwoMarkets()
    entry = await pen.loaded()
    pen.manager.save()
    manager = pen.restarted()
    for instrument in (MARKET, ETHER):
        pen.hub.market(instrument).listeners.clear()
    del pen.library.known["puppet"]
    await manager.recover()
    assert entry.state is BotState.ERROR
    pen.book(50, 51)
    pen.minutes(2)
    assert (pen.position(entry, MARKET), pen.position(entry, ETHER)) == (D(1), D(1))
    assert pen.shows(entry) == [("sell", 100.0), ("sell", 100.0)]
    assert [text for text in pen.critical() if "1 SIM:BTC/USDT, 1 SIM:ETH/USDT" in text]
