"""A bot on books under its manager: quotes, fills, pauses, halts, stops, restarts, failures."""

from __future__ import annotations

from decimal import Decimal as D
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from engine import events as ev
from engine.bots.changing import change
from engine.errors import ConfigurationError, ConflictError
from engine.execution.effects import PlaceEffect
from engine.model.account import TradingMode
from engine.model.candle import Candle
from engine.model.entries import BotState, TradingState
from engine.model.market import BookUpdate, FeedStatus
from engine.model.order import OrderSide, OrderType, TimeInForce
from engine.strategy.intents import Take, Want
from tests.bots.events.pen import SECOND, Pen, Puppet, both
from tests.bots.house import MARKET, MINUTE, PAPER
from tests.bots.yard import Yard

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from engine.strategy.views import Context, MarketView


async def test_quotes_follow_the_market_and_fills_are_told() -> None:
    pen = Pen()
    entry = await pen.quoting()
    pen.book(100, 101)
    assert pen.shows(entry) == [("buy", 100.0)]
    order = pen.orders(entry)[0]
    assert (order.post_only, order.tif) == (True, TimeInForce.GTC)
    pen.book(101, 102)
    assert pen.shows(entry) == [("buy", 101.0)]
    pen.book(99, 100)  # the ask comes to the bid at 101
    assert pen.owned(entry) == 1
    memory = pen.live(entry).core.context.memory
    assert memory.fills == 1
    assert "bid filled" in memory.updates
    assert pen.shows(entry) == [("buy", 99.0), ("sell", 100.0)]
    assert pen.live(entry).core.context.notes == {"last fill": 101.0}


async def test_a_quote_that_is_right_stays_where_it_is() -> None:
    pen = Pen()
    entry = await pen.quoting()
    pen.book(100, 101)
    sent = len(pen.sent)
    for _ in range(5):
        pen.book(100, 101)
    assert len(pen.sent) == sent
    assert pen.live(entry).core.context.memory.books == 6


async def test_a_key_never_works_twice_while_the_venue_is_slow() -> None:
    pen = Pen(slow=True)
    entry = await pen.quoting()
    pen.book(100, 101)
    pen.deliver()
    pen.book(101, 102)
    pen.book(102, 103)
    # The cancel is on its way: nothing new may go out yet.
    assert [order.price for order in pen.orders(entry)] == [D(100)]
    pen.deliver()
    assert pen.shows(entry) == [("buy", 102.0)]


async def test_what_was_to_replace_an_order_that_has_filled_meanwhile_is_not_sent() -> None:
    pen = Pen(slow=True)

    def once(market: MarketView, ctx: Context) -> None:
        if ctx.memory.books in (1, 2):
            ctx.quote(market, [Want("bid", OrderSide.BUY, market.bid, 2.0)])

    entry = await pen.quoting(once)
    pen.book(100, 101)
    pen.deliver()
    pen.book(99.5, 101)  # its cancel is under way
    assert [order.cancel_requested for order in pen.orders(entry)] == [True]
    pen.book(98, 99)
    pen.deliver()
    memory = pen.live(entry).core.context.memory
    assert pen.owned(entry) == 2
    assert memory.fills == 1
    assert pen.shows(entry) == []
    assert "bid filled" in memory.updates


async def test_paused_it_takes_its_quotes_away_and_still_sells_what_it_holds() -> None:
    pen = Pen()
    entry = await pen.quoting()
    pen.book(100, 101)
    pen.book(99, 100)
    assert pen.owned(entry) == 1
    pen.manager.pause(entry)
    assert pen.shows(entry) == [("sell", 100.0)]
    pen.book(98, 99.5)
    assert pen.shows(entry) == [("sell", 99.5)]
    pen.manager.resume(entry)
    pen.book(98, 99.5)
    assert pen.shows(entry) == [("buy", 98.0), ("sell", 99.5)]


async def test_a_halt_takes_its_quotes_away_and_the_release_brings_them_back() -> None:
    pen = Pen()
    entry = await pen.quoting()
    pen.book(100, 101)
    pen.risk.hold("a person", "enough", TradingState.REDUCING)
    pen.pass_time(1)
    assert pen.shows(entry) == []
    pen.book(100, 101)
    assert pen.shows(entry) == []
    pen.risk.release("a person", "go on")
    pen.pass_time(1)
    pen.book(100, 101)
    assert pen.shows(entry) == [("buy", 100.0)]


async def test_a_market_that_falls_silent_is_not_quoted_in() -> None:
    pen = Pen()
    entry = await pen.quoting()
    pen.book(100, 101)
    pen.pass_time(9)
    assert pen.shows(entry) == [("buy", 100.0)]
    pen.pass_time(3)
    assert pen.shows(entry) == []
    assert not pen.live(entry).core.views[MARKET].live
    pen.book(100, 101)
    assert pen.shows(entry) == [("buy", 100.0)]


@pytest.mark.parametrize("how", ["a gap", "the feed"])
async def test_a_market_that_is_not_to_be_trusted_is_left_at_once(how: str) -> None:
    pen = Pen()
    entry = await pen.quoting()
    pen.book(100, 101)
    assert pen.shows(entry) == [("buy", 100.0)]
    now = pen.clock.now()
    gap = BookUpdate(MARKET, now, pen.books + 50, False, ((10, 10),), ())
    pen.hub.on_market(gap if how == "a gap" else FeedStatus(MARKET, now, False, "closed"), now)
    assert pen.shows(entry) == []
    view = pen.live(entry).core.views[MARKET]
    assert (view.live, view.ready, view.bids(1)) == (False, False, [])
    pen.books += 60
    pen.book(100, 101)
    assert (view.live, pen.shows(entry)) == (True, [("buy", 100.0)])


def asks_once(size: float = 1.0) -> Callable[[MarketView, Context], None]:
    """A strategy that remembers what it has asked for."""

    def once(market: MarketView, ctx: Context) -> None:
        if ctx.memory.books == 1:
            ctx.quote(market, [Want("bid", OrderSide.BUY, 90.0, size)])
            ctx.place(market, Want("deep", OrderSide.BUY, 80.0, 1.0))

    return once


async def test_what_a_pause_or_a_broken_book_took_away_comes_back_by_itself() -> None:
    pen = Pen()
    entry = await pen.quoting(asks_once())
    pen.book(100, 101)
    shown = [("buy", 80.0), ("buy", 90.0)]
    assert pen.shows(entry) == shown
    pen.manager.pause(entry)
    pen.book(100, 101)
    assert pen.shows(entry) == []
    pen.manager.resume(entry)
    pen.book(100, 101)
    assert pen.shows(entry) == shown
    pen.pass_time(12)
    assert pen.shows(entry) == []
    pen.book(100, 101)
    assert pen.shows(entry) == shown
    assert entry.refusals == 0


async def test_what_was_refused_is_asked_for_again_once_it_is_possible() -> None:
    pen = Pen()
    pen.risk.hold("a person", "enough", TradingState.REDUCING)
    entry = await pen.quoting(asks_once())
    pen.book(100, 101)
    assert pen.shows(entry) == []
    pen.risk.release("a person", "go on")
    pen.pass_time(1)
    pen.book(100, 101)
    assert pen.shows(entry) == [("buy", 80.0), ("buy", 90.0)]
    pen = Pen()
    entry = await pen.quoting(asks_once(5_000.0))
    for _ in range(20):
        pen.book(100, 101)
    assert pen.shows(entry) == [("buy", 80.0)]
    assert 4 <= entry.refusals <= 6  # after 1, 2, 4 and 8 s


async def test_what_the_strategy_has_taken_back_or_what_has_filled_is_not_asked_for_again() -> None:
    pen = Pen()
    asked = asks_once()

    def moves(market: MarketView, ctx: Context) -> None:
        asked(market, ctx)
        if ctx.memory.books == 2:
            ctx.cancel(market, "deep")

    entry = await pen.quoting(moves)
    pen.book(100, 101)
    pen.manager.pause(entry)
    pen.book(100, 101)
    pen.manager.resume(entry)
    pen.book(100, 101)
    assert pen.shows(entry) == [("buy", 90.0)]
    pen.book(88, 89)
    pen.book(100, 101)
    assert (float(pen.owned(entry)), pen.shows(entry)) == (1.0, [])


async def test_held_it_asks_for_nothing_and_hears_afterwards_what_it_has_missed() -> None:
    pen = Pen()
    entry = await pen.quoting()
    pen.book(100, 101)
    sent, memory = len(pen.sent), pen.live(entry).core.context.memory
    pen.manager.backlog.hold()
    pen.book(101, 102)
    pen.trade(101, 1.0, OrderSide.BUY)
    opened = pen.clock.now()
    pen.hub.on_market(Candle(MARKET, "1m", opened, 1.0, 1.0, 1.0, 1.0, 1.0), opened + MINUTE)
    pen.book(99, 100)  # its bid at 100 is filled
    pen.pass_time(30)
    assert (memory.books, memory.bars, memory.fills, memory.timers) == (1, 0, 0, 0)
    assert len(pen.sent) == sent
    assert pen.owned(entry) == 1
    pen.manager.backlog.go_on()
    assert (memory.bars, memory.fills) == (1, 1)
    assert memory.updates == ["bid accepted", "bid filled"]
    pen.book(99, 100)
    assert (entry.state, memory.books) == (BotState.RUNNING, 2)
    assert pen.shows(entry) == [("buy", 99.0), ("sell", 100.0)]


async def test_the_last_book_of_a_burst_is_told_in_its_time() -> None:
    pen = Pen()
    entry = await pen.quoting()
    core = pen.live(entry).core
    core.book_ns = 3 * SECOND
    pen.book(100, 101)
    pen.book(101, 102)
    pen.book(102, 103)
    assert (core.context.memory.books, pen.shows(entry)) == (1, [("buy", 100.0)])
    pen.pass_time(1)
    assert (core.context.memory.books, pen.shows(entry)) == (2, [("buy", 102.0)])
    pen.pass_time(5)
    assert core.context.memory.books == 2


async def test_a_liquidation_takes_its_orders_away_and_asks_for_a_person() -> None:
    pen = Pen()
    entry = await pen.quoting()
    pen.book(100, 101)
    pen.book(99, 100)
    view = pen.live(entry).core.views[MARKET]
    assert (view.position, len(pen.shows(entry))) == (1.0, 2)
    now = pen.clock.now()
    pen.ledger.record(
        ev.PositionLiquidated(account=PAPER, instrument=MARKET, owner=entry.id, reason="no margin", ts=now)
    )
    assert (entry.state, pen.shows(entry)) == (BotState.PAUSED, [])
    assert "was liquidated (no margin)" in entry.reason
    # What the venue has sold is seen at the next beat, by whatever fact it is booked.
    view.position = 7.0
    pen.pass_time(1)
    assert view.position == 1.0


async def test_timers_and_bars_come() -> None:
    pen = Pen()
    entry = await pen.quoting(None)
    pen.pass_time(20)
    assert pen.live(entry).core.context.memory.timers == 4
    opened = pen.clock.now()
    pen.hub.on_market(Candle(MARKET, "1m", opened, 1.0, 1.0, 1.0, 1.0, 1.0), opened + MINUTE)
    assert pen.live(entry).core.context.memory.bars == 1


async def test_stopped_it_cancels_everything_and_stopped_with_close_it_is_flat() -> None:
    pen = Pen()
    entry = await pen.quoting()
    pen.book(100, 101)
    pen.manager.stop(entry)
    assert (entry.state, pen.shows(entry)) == (BotState.STOPPED, [])
    await pen.manager.start(entry)
    pen.book(100, 101)
    pen.book(99, 100)
    assert pen.owned(entry) == 1
    pen.manager.stop(entry, "close")
    assert (entry.state, pen.shows(entry)) == (BotState.STOPPED, [])
    assert not pen.owned(entry)


async def test_after_a_restart_it_goes_on_with_its_orders_and_its_memory() -> None:
    pen = Pen()
    entry = await pen.quoting()
    pen.book(100, 101)
    pen.book(99, 100)
    pen.book(99, 100)
    before = pen.shows(entry)
    ids = {order.client_id for order in pen.orders(entry)}
    assert before == [("buy", 99.0), ("sell", 100.0)]
    pen.manager.save()
    books = pen.live(entry).core.context.memory.books
    pen.manager.suspend()
    pen.ledger.unsubscribe(pen.manager._on_record)
    pen.manager = pen.new_manager()
    await pen.manager.recover()
    assert entry.state is BotState.RUNNING
    assert pen.live(entry).core.context.memory.books == books
    assert pen.live(entry).core.views[MARKET].position == 1.0
    assert set(pen.live(entry).core.context.orders[MARKET]) == {"bid", "ask"}
    pen.book(99, 100)
    assert {order.client_id for order in pen.orders(entry)} == ids


async def test_an_order_that_takes_leaves_nothing_behind() -> None:
    pen = Pen()

    def take(market: MarketView, ctx: Context) -> None:
        if not market.position and ctx.memory.books == 1:
            ctx.take(market, "lift", OrderSide.BUY, 8.0, market.ask)

    entry = await pen.quoting(take)
    pen.book(100, 101, 5.0)
    assert pen.owned(entry) == 5
    assert pen.orders(entry) == []
    sent = pen.sent[0]
    assert isinstance(sent, PlaceEffect)
    order = sent.command
    assert (order.tif, order.type, order.price) == (TimeInForce.IOC, OrderType.LIMIT, D(101))
    assert "lift expired" in pen.live(entry).core.context.memory.updates


async def test_legs_go_together_or_not_at_all() -> None:
    pen = Pen()

    def legs(market: MarketView, ctx: Context) -> None:
        if ctx.memory.books == 1:
            ctx.legs(
                [
                    Take(market.id, "one", OrderSide.BUY, 1.0, market.ask),
                    Take(market.id, "two", OrderSide.BUY, 9_000.0, market.ask),
                ]
            )

    entry = await pen.quoting(legs)
    pen.book(100, 101)
    assert pen.sent == []
    assert pen.live(entry).core.context.memory.updates == ["one rejected", "two rejected"]


async def test_a_refused_quote_is_not_tried_at_every_book() -> None:
    pen = Pen()

    def too_much(market: MarketView, ctx: Context) -> None:
        ctx.quote(market, [Want("bid", OrderSide.BUY, market.bid, 5_000.0)])

    entry = await pen.quoting(too_much)
    for _ in range(3):
        pen.book(100, 101)
    refused = entry.refusals
    assert refused == 2
    assert "bid: " in str(pen.live(entry).core.context.notes["refused"])
    for listener in pen.hub.markets[MARKET].listeners:
        for _ in range(5):
            listener(pen.hub.markets[MARKET].book.to_snapshot(), pen.clock.now())
    assert entry.refusals == refused


async def test_it_is_tried_ever_more_rarely_and_at_once_again_after_it_was_taken() -> None:
    pen = Pen()
    size = [5_000.0]

    def much(market: MarketView, ctx: Context) -> None:
        ctx.quote(market, [Want("bid", OrderSide.BUY, market.bid, size[0])])

    entry = await pen.quoting(much)
    for _ in range(300):
        pen.book(100, 101)
    # After 1, 2, 4 … 32 s and then every minute.
    assert 8 <= entry.refusals <= 11
    size[0] = 1.0
    for _ in range(61):
        pen.book(100, 101)
    assert pen.live(entry).core.context.orders[MARKET]
    size[0] = 5_000.0
    before = entry.refusals
    for _ in range(4):
        pen.book(100, 101)
    assert entry.refusals - before == 3


async def test_a_strategy_that_fails_ends_its_bot_and_its_quotes() -> None:
    pen = Pen()
    entry = await pen.quoting()
    pen.book(100, 101)

    def wrong(market: MarketView, ctx: Context) -> None:
        raise ZeroDivisionError("oh")

    Puppet.moves = staticmethod(wrong)
    pen.book(101, 102)
    assert entry.state is BotState.ERROR
    assert "on_book()" in entry.reason
    assert "ZeroDivisionError" in entry.reason
    assert pen.shows(entry) == []


async def test_a_strategy_may_stop_itself() -> None:
    pen = Pen()

    def stop(market: MarketView, ctx: Context) -> None:
        both(market, ctx)
        if ctx.memory.books == 2:
            ctx.stop("the loss of the day is reached")

    entry = await pen.quoting(stop)
    pen.book(100, 101)
    pen.book(100, 101)
    assert (entry.state, entry.reason) == (BotState.PAUSED, "the loss of the day is reached")
    assert pen.shows(entry) == []


async def test_what_does_not_fit_is_refused_before_it_is_created() -> None:
    pen = Pen()
    with pytest.raises(ConfigurationError, match="own orders"):
        pen.create("x", "puppet", execution={"algorithm": "twap"})
    with pytest.raises(ConfigurationError, match="in the engine's process"):
        pen.create("x", "puppet", isolation="process")
    with pytest.raises(ConfigurationError, match="decides on bars"):
        pen.create("x", "told", markets=("SIM:ETH/USDT",))
    with pytest.raises(ConfigurationError, match="ETH/USDT is not known"):
        pen.create("x", "puppet", markets=("SIM:ETH/USDT",))


async def test_on_real_money_it_is_refused_when_created_changed_and_started() -> None:
    pen = Pen()
    with pytest.raises(ConfigurationError, match=r"trade on paper only in this release; set mode to paper"):
        pen.create("x", "puppet", mode="live")

    signals = await pen.started("signals", "quiet")
    wanted = pen.manager.config(signals).model_copy(update={"strategy": "puppet", "mode": "live"})
    with pytest.raises(ConfigurationError, match="on paper only"):
        await change(pen.manager, signals, wanted)
    assert (signals.state, pen.manager.config(signals).strategy) == (BotState.RUNNING, "quiet")

    quoting = await pen.quoting()
    with pytest.raises(ConfigurationError, match="on paper only"):
        await change(pen.manager, quoting, pen.manager.config(quoting).model_copy(update={"mode": "live"}))
    pen.manager.stop(quoting)
    # As a journal may hold it that was written elsewhere.
    pen.manager.book(quoting, pen.manager.config(quoting).model_copy(update={"mode": "live"}))
    with pytest.raises(ConfigurationError, match="on paper only"):
        await pen.manager.start(quoting)
    assert quoting.state is BotState.ERROR
    assert quoting.id not in pen.manager.running


async def test_an_account_of_real_money_is_refused_whatever_the_mode() -> None:
    pen = Pen()
    pen.state.accounts[PAPER] = msgspec.structs.replace(pen.state.accounts[PAPER], mode=TradingMode.LIVE)
    with pytest.raises(ConfigurationError, match="real money"):
        pen.create("x", "puppet")
    with pytest.raises(ConfigurationError, match="on paper only"):
        pen.create("x", "puppet", mode="live")


async def test_from_books_to_bars_only_flat_and_without_orders() -> None:
    pen = Pen()
    entry = await pen.quoting()
    wanted = pen.manager.config(entry).model_copy(update={"strategy": "quiet"})
    pen.book(100, 101)
    with pytest.raises(ConflictError, match="a strategy on bars does not take over from one on books; close them"):
        await change(pen.manager, entry, wanted)
    pen.book(99, 100)
    assert pen.owned(entry) == 1
    with pytest.raises(ConflictError, match="has a position or orders"):
        await change(pen.manager, entry, wanted)
    assert pen.shows(entry) == [("buy", 99.0), ("sell", 100.0)], "the old one goes on"
    assert pen.live(entry).core.strategy.name == "puppet"

    pen.manager.stop(entry)
    assert entry.state is BotState.STOPPED
    assert (pen.owned(entry), pen.orders(entry)) == (D(1), [])
    with pytest.raises(ConflictError, match="has a position or orders"):
        await change(pen.manager, entry, wanted)
    Puppet.moves = None
    await pen.manager.start(entry)
    pen.manager.close_position(entry, "enough")
    pen.book(99, 100)
    assert (pen.owned(entry), pen.orders(entry)) == (D(0), [])
    await change(pen.manager, entry, wanted)
    assert pen.manager.running[entry.id].runner.strategy.name == "quiet"


async def test_from_bars_to_books_only_flat_and_without_orders() -> None:
    yard = Yard()
    yard.library.known["puppet"], Puppet.moves = Puppet, None
    entry = await yard.holding()
    wanted = yard.manager.config(entry).model_copy(update={"strategy": "puppet"})
    stops = yard.orders(entry, OrderType.STOP_LOSS)
    with pytest.raises(ConflictError, match="a strategy on books does not take over from one on bars"):
        await change(yard.manager, entry, wanted)
    assert yard.orders(entry) == stops, "the stop stays"
    yard.manager.close_position(entry, "enough")
    yard.minute(100)
    assert (yard.owned(entry), yard.orders(entry)) == (D(0), [])
    await change(yard.manager, entry, wanted)
    assert yard.manager.running[entry.id].runner.strategy.name == "puppet"


async def test_what_is_bought_while_the_other_kind_is_built_keeps_the_old_one() -> None:
    pen = Pen()
    entry = await pen.quoting(None)
    pen.book(100, 101)
    assert pen.orders(entry) == []
    plain = pen.history

    async def slow(*wanted: Any) -> Sequence[Candle]:
        Puppet.moves = staticmethod(both)
        pen.book(100, 101)
        return await plain(*wanted)

    pen.history = slow
    with pytest.raises(ConflictError, match="has a position or orders"):
        await change(pen.manager, entry, pen.manager.config(entry).model_copy(update={"strategy": "quiet"}))
    assert pen.live(entry).core.strategy.name == "puppet"
    assert pen.shows(entry) == [("buy", 100.0)]


async def test_a_stopped_bot_hears_nothing_more() -> None:
    pen = Pen()
    entry = await pen.quoting()
    pen.manager.stop(entry)
    assert pen.hub.markets[MARKET].listeners == []
    pen.book(100, 101)
    assert pen.orders(entry) == []
    with pytest.raises(ConflictError):
        pen.manager.pause(entry)
