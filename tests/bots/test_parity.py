"""What the journal tells of a bot is enough to put its trades, halts and refusals beside a backtest."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from engine import events as ev
from engine.backtest.parity import Past, compare
from engine.control.parity import BotPast
from engine.errors import NotFoundError
from engine.model.order import OrderSide
from engine.strategy.contract import Wish
from tests.bots.house import MINUTE, PAPER
from tests.bots.yard import Told, Yard

if TYPE_CHECKING:
    from engine.model.entries import BotEntry


class Life:
    """A yard whose facts are kept."""

    def __init__(self) -> None:
        self.yard = Yard()
        defined = ev.InstrumentDefined(instrument=self.yard.instrument)
        self.records = [ev.Record(0, self.yard.clock.now(), 1, defined)]
        self.yard.ledger.subscribe(self.records.append)

    def past(self, bot: str = "a") -> BotPast:
        return BotPast(self.records, bot)

    async def started(self) -> BotEntry:
        return await self.yard.started("a")

    def bars(self, *prices: float) -> None:
        for price in prices:
            self.yard.minute(price)
            self.yard.deliver()


async def test_round_trips_carry_what_their_orders_knew() -> None:
    life = Life()
    await life.started()
    began = life.yard.clock.now()
    Told.wishes.append(Wish.enter(1, 1.0, "go", stop=90.0))
    life.bars(100, 101)
    Told.wishes.append(Wish.exit("enough"))
    life.bars(103, 104)
    (trade,) = life.past().trades(life.yard.instrument, began, life.yard.clock.now())

    assert (trade.side, trade.quantity) == (OrderSide.BUY, 1.0)
    assert (trade.entry.reason, trade.exit.reason if trade.exit else "") == ("go", "enough")
    assert trade.entry.sent is not None
    assert began <= trade.entry.sent <= trade.entry.ts
    assert trade.entry.mark == 100.0, "the close at which it was decided"
    assert trade.pnl is not None


async def test_an_open_trade_and_a_stop_are_told() -> None:
    life = Life()
    await life.started()
    Told.wishes.append(Wish.enter(1, 1.0, "go", stop=95.0))
    life.bars(100, 101)
    (trade,) = life.past().trades(life.yard.instrument, 0, 2**62)
    assert trade.exit is None
    life.yard.minute(101, 101, 94, 94)
    life.yard.deliver()
    (trade,) = life.past().trades(life.yard.instrument, 0, 2**62)
    assert trade.exit is not None
    assert trade.exit.trigger == 95.0


async def test_downtime_pauses_and_halts_are_spans() -> None:
    life = Life()
    entry = await life.started()
    life.bars(100)
    paused = life.yard.clock.now()
    life.yard.manager.pause(entry, "lunch")
    life.bars(100, 100)
    life.yard.manager.resume(entry)
    resumed = life.yard.clock.now()
    life.yard.ledger.record(ev.TradingStateChanged(scope="all", state="halted", reason="a person", actor="me"))
    life.bars(100)
    life.yard.ledger.record(ev.TradingStateChanged(scope="all", state="active", reason="", actor="me"))
    spans = life.past().spans(paused - MINUTE, life.yard.clock.now() + 1)
    found = [(span.kind, span.start, span.end) for span in spans]
    assert ("paused", paused, resumed) in found
    assert ("halt", resumed, resumed + MINUTE) in found
    assert next(span.words for span in spans if span.kind == "paused") == "the bot was paused (lunch)"


async def test_what_the_bot_did_not_do_while_paused_is_explained() -> None:
    life = Life()
    entry = await life.started()
    life.bars(100)
    life.yard.manager.pause(entry, "lunch")
    life.bars(100, 100)
    past, now = life.past(), life.yard.clock.now()
    told = Past(spans=past.spans(0, now), trades=past.trades(life.yard.instrument, 0, now))
    other = Life()
    await other.started()
    Told.wishes.append(Wish.enter(1, 1.0, "go", stop=90.0))
    other.bars(100, 101)
    Told.wishes.append(Wish.exit("enough"))
    other.bars(103, 104)
    from engine.backtest.trades import TradeBook

    book = TradeBook(other.yard.instrument)
    for fill in other.past().fills:
        book.add(fill, "go")
    assert book.closed
    report = compare(told, book.closed, [now], [100.0], MINUTE, "end of data")
    (row,) = report["trades"]
    assert (row["state"], row["why"]) == ("missing", ["paused: the bot was paused (lunch)"])


def test_a_bot_that_is_not_in_the_journal_is_said() -> None:
    with pytest.raises(NotFoundError, match="knows no bot 'nobody'"):
        Life().past("nobody")


async def test_the_equity_before_a_time_is_found() -> None:
    from decimal import Decimal as D

    life = Life()
    await life.started()
    for ts, equity in ((10, 100), (20, 200)):
        life.yard.ledger.record(ev.EquityRecorded(account=PAPER, equity=D(equity), ts=ts))
    past = life.past()
    assert [past.equity_at(PAPER, ts) for ts in (5, 15, 99)] == [D(100), D(100), D(200)]
    assert past.equity_at("elsewhere", 15) is None
