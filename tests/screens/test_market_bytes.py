"""What the market screen costs on the line: counted while its fake market moves five times a second."""

from __future__ import annotations

import asyncio

import msgspec
import pytest
from rich.color import ColorSystem

from console.app import QuarterdeckApp
from console.preferences import Preferences
from engine.control import views
from engine.model.order import OrderSide
from screens.base import DeckScreen
from tests.kit import fake_market
from tests.kit.deck import FakeTime
from tests.kit.fake_link import FakeLink
from tests.kit.fake_market import BTC, NOW
from tests.widgets.counting import Counted, FakeMarket

HZ = 5
FRAMES = 60
BUDGET = 10 * 1024 / HZ
"""Bytes a frame."""
IDLE_BUDGET = 512 / HZ


class CountedConsole(Counted, QuarterdeckApp):
    """The console on a terminal that counts."""


class Feed:
    """A market that moves in every frame: most sizes, often the price, some trades, the last candle, the ticker."""

    def __init__(self, link: FakeLink) -> None:
        self.link = link
        self.market = FakeMarket(depth=40)
        self.trades: list[views.TradeRow] = []
        self.candle = fake_market.candles("BTC/USDT", "1m", 1)[-1]
        self.frame = 0

    def step(self) -> None:
        market, random = self.market, self.market.random
        market.step()
        self.frame += 1
        now = NOW + self.frame * 1_000_000_000 // HZ

        def side(direction: int) -> tuple[tuple[int, int], ...]:
            keys = [market.mid + direction * (5 + 10 * place) for place in range(40)]
            return tuple((key, int(market.sizes[key] * 100_000)) for key in keys)

        book = views.BookView(
            instrument=BTC, ts=now, seq=self.frame, price_scale=2, quantity_scale=5, tick=10,
            bids=side(-1), asks=side(1),
            own=(views.OwnLevel(side=OrderSide.BUY, price=market.mid - 25, quantity=5000, client_ids=()),),
            last=market.mid + 5, last_side=OrderSide.BUY, live=True,
        )  # fmt: skip
        for _ in market.trades:
            price, quantity = market.mid + random.choice((-5, 5)), int(random.lognormvariate(9, 1))
            aggressor = random.choice((OrderSide.BUY, OrderSide.SELL))
            self.trades.insert(0, views.TradeRow(ts=now, price=price, quantity=quantity, aggressor=aggressor))
        trades = views.TradesView(instrument=BTC, price_scale=2, quantity_scale=5, trades=tuple(self.trades[:60]))
        close = market.mid / 100
        high, low = max(self.candle.high, close), min(self.candle.low, close)
        self.candle = msgspec.structs.replace(self.candle, close=close, high=high, low=low, closed=False)
        tickers = self.link.data["market.tickers"]
        ticker = msgspec.structs.replace(tickers[0], last=msgspec.convert(f"{close:.1f}", type=type(tickers[0].last)))
        self.link.publish("market.book", book, instrument=BTC)
        self.link.publish("market.trades", trades, instrument=BTC)
        candles = views.CandleView(instrument=BTC, timeframe="1m", candles=(self.candle,))
        self.link.publish("market.candles", candles, instrument=BTC)
        self.link.publish("market.tickers", (ticker, *tickers[1:]))
        status = msgspec.structs.replace(self.link.data["engine.status"], lag_ms=float(random.choice((1, 2, 3))))
        if self.frame % HZ == 0:
            self.link.publish("engine.status", msgspec.structs.replace(status, now=now))


async def measure(app: CountedConsole, time: FakeTime, feed: Feed | None, keys: str = "") -> float:
    """Return bytes a frame of the screen, drawn by hand at its rate."""
    app.console._color_system = ColorSystem.TRUECOLOR
    async with app.run_test(size=(80, 24)) as pilot:
        for _ in range(4):
            await pilot.pause()
            if isinstance(app.screen, DeckScreen):
                app.screen.paint()
        for key in keys.split():
            await pilot.press(key)
        await pilot.pause()
        app.counter.take()
        for _ in range(FRAMES):
            time.seconds += 1 / HZ
            if feed is not None:
                feed.step()
            for _ in range(3):
                await asyncio.sleep(0)
            deck = app.deck_screen
            assert deck is not None
            deck.paint()
            # Textual's frame timer runs on real time; the frame is wanted now.
            app.screen._on_timer_update()
            await pilot.pause()
        return len(app.counter.take()) / FRAMES


@pytest.mark.parametrize("keys", ["", "v", "tab tab"], ids=["chart", "tape", "orders focused"])
async def test_the_market_at_five_hertz_stays_within_ten_kibibytes_a_second(keys: str) -> None:
    link, time = FakeLink(), FakeTime()
    app = CountedConsole(link, preferences=Preferences(screen="market"), steady=time)
    cost = await measure(app, time, Feed(link), keys)
    assert 100 < cost <= BUDGET, f"{cost * HZ / 1024:.1f} KiB/s"


async def test_a_market_behind_the_ticket_costs_no_more() -> None:
    link, time = FakeLink(), FakeTime()
    app = CountedConsole(link, preferences=Preferences(screen="market"), steady=time)
    cost = await measure(app, time, Feed(link), "b")
    assert cost <= BUDGET, f"{cost * HZ / 1024:.1f} KiB/s"


@pytest.mark.parametrize("screen", ["dashboard", "market", "portfolio"])
async def test_a_screen_on_which_nothing_happens_costs_next_to_nothing(screen: str) -> None:
    link, time = FakeLink(), FakeTime()
    app = CountedConsole(link, preferences=Preferences(screen=screen), steady=time)
    cost = await measure(app, time, None)
    assert cost <= IDLE_BUDGET, f"{cost * HZ:.0f} bytes/s"
