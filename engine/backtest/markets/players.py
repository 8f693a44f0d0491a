"""How each tape is played: what of it reaches the exchange, what of it the strategy hears, and when."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from engine.backtest.markets.tapes import QuoteTape
from engine.model.candle import Candle, timeframe_ns
from engine.model.market import BookUpdate, FeedStatus, MarketTrade, MarkPrice, OrderBook
from engine.strategy.views import Print

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.backtest.markets.run import MarketsRun
    from engine.backtest.markets.tapes import EventTape
    from engine.model.candle import IntArray

__all__ = ["players_of"]


def players_of(run: MarketsRun) -> tuple[list[IntArray], list[Callable[[int], None]]]:
    """The columns of times of a run, and what is called for a row of each."""
    columns: list[IntArray] = []
    plays: list[Callable[[int], None]] = []
    for tape in run.tapes:
        delay = run.spec.latency_ns(run.spec.data_ms, tape.instrument.venue)
        if isinstance(tape, QuoteTape):
            player: _QuotePlayer | _EventPlayer = _QuotePlayer(run, tape)
        else:
            player = _EventPlayer(run, tape)
        if delay:
            columns += [tape.ts, tape.ts + delay]
            plays += [player.happen, player.hear]
        else:
            columns.append(tape.ts)
            plays.append(player.both)
        if isinstance(player, _QuotePlayer) and isinstance(tape, QuoteTape) and tape.bars and run.bot.hears_bars:
            length = timeframe_ns(tape.bars[0].timeframe)
            closes = np.array([bar.ts + length for bar in tape.bars], dtype=np.int64)
            columns.append(closes + delay)
            plays.append(player.bar)
    return columns, plays


class _QuotePlayer:
    """Plays quotes."""

    def __init__(self, run: MarketsRun, tape: QuoteTape) -> None:
        self._run, self._tape = run, tape
        self._venue = tape.instrument.venue
        self._exchange = run.exchanges[self._venue]
        self._passes = self._exchange.matching(tape.id).passes
        self._view = run.bot.views[tape.id]
        self._view.live = True
        self._bids, self._bid_sizes, self._asks, self._ask_sizes = tape.scaled()
        self._ts: list[int] = tape.ts.tolist()
        columns = (tape.bid, tape.ask, tape.bid_size, tape.ask_size)
        self._shown: list[tuple[float, float, float, float]] = list(zip(*(c.tolist() for c in columns), strict=True))
        self._heard = -(1 << 62)

    def happen(self, row: int) -> None:
        """The quote is made at the venue."""
        reports = self._exchange.on_quote(
            self._tape.id, self._ts[row], self._bids[row], self._bid_sizes[row], self._asks[row], self._ask_sizes[row]
        )
        if reports:
            self._run.report(self._venue, reports)

    def hear(self, row: int) -> None:
        """The engine hears of it."""
        view, now, bot = self._view, self._run.clock._now, self._run.bot
        view.bid, view.ask, view.bid_size, view.ask_size = self._shown[row]
        view.ts = now
        if bot.hears_books and now - self._heard >= bot.book_ns:
            self._heard = now
            bot.on_book(view, now)

    def both(self, row: int) -> None:
        """It is heard the moment it is made; what rests is filled before the strategy sees it."""
        view, run = self._view, self._run
        now = view.ts = self._ts[row]
        quote = (now, self._bids[row], self._bid_sizes[row], self._asks[row], self._ask_sizes[row])
        reports = () if self._passes(*quote) else self._exchange.on_quote(self._tape.id, *quote)
        view.bid, view.ask, view.bid_size, view.ask_size = self._shown[row]
        if reports:
            run.report(self._venue, reports)
        bot = run.bot
        if bot.hears_books and now - self._heard >= bot.book_ns:
            self._heard = now
            bot.on_book(view, now)

    def bar(self, row: int) -> None:
        """A bar has closed."""
        self._run.bot.on_bar(self._view, self._tape.bars[row], self._run.clock._now)


class _EventPlayer:
    """Plays a recording: books, trades, candles and marks."""

    def __init__(self, run: MarketsRun, tape: EventTape) -> None:
        self._run, self._tape = run, tape
        self._venue = tape.instrument.venue
        self._exchange = run.exchanges[self._venue]
        self._view = run.bot.views[tape.id]
        self._book = OrderBook(tape.id)
        self._price = 10.0**-tape.instrument.price_scale
        self._size = 10.0**-tape.instrument.quantity_scale
        self._heard = -(1 << 62)

    def happen(self, row: int) -> None:
        """It happens at the venue."""
        event = self._tape.events[row]
        reports = self._exchange.on_market(event)
        if reports:
            self._run.report(self._venue, reports)
        if isinstance(event, MarkPrice):
            self._run.funding.collect(self._tape)

    def hear(self, row: int) -> None:
        """The engine hears of it."""
        event, now, bot, view = self._tape.events[row], self._run.clock._now, self._run.bot, self._view
        if isinstance(event, BookUpdate):
            self._on_book(event, now)
        elif isinstance(event, MarketTrade):
            view.last, view.last_ts = event.price * self._price, now
            if bot.hears_trades:
                bot.on_trade(view, Print(now, view.last, event.quantity * self._size, event.aggressor), now)
        elif isinstance(event, Candle):
            if event.closed and bot.hears_bars and event.timeframe == bot.timeframe:
                bot.on_bar(view, event, now)
        elif isinstance(event, MarkPrice):
            view.funding_rate = float(event.funding_rate or 0)
        elif isinstance(event, FeedStatus):
            view.live = event.live

    def both(self, row: int) -> None:
        """It is heard the moment it happens."""
        self.happen(row)
        self.hear(row)

    def _on_book(self, update: BookUpdate, now: int) -> None:
        book, view, bot = self._book, self._view, self._run.bot
        if not book.apply(update):
            view.live = False
            return
        bid, ask = book.best_bid, book.best_ask
        view.live, view.ts, view.book = True, now, book
        view.bid = bid * self._price if bid is not None else 0.0
        view.ask = ask * self._price if ask is not None else 0.0
        view.bid_size = book.bids[bid] * self._size if bid is not None else 0.0
        view.ask_size = book.asks[ask] * self._size if ask is not None else 0.0
        if bot.hears_books and now - self._heard >= bot.book_ns:
            self._heard = now
            bot.on_book(view, now)
