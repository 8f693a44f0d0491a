"""Markets that fall silent: noticed, stood in for, traded with care, and well again once the feed itself is heard."""

from __future__ import annotations

from typing import Any

from engine.clock import SimulatedClock
from engine.market.feeds import FeedWatch
from engine.market.hub import MarketHub
from engine.model.ids import InstrumentId, TradeId
from engine.model.market import BookUpdate, FeedStatus, MarketTrade
from engine.model.order import OrderSide
from engine.resilience.caution import Caution
from engine.resilience.handler import ErrorHandler
from engine.resilience.scenario import Scenarios
from engine.resilience.settings import FeedSettings
from tests.risk.house import BTC, ETH, instrument

SECOND = 1_000_000_000


class Deck:
    """Two markets, a watch, and what it told."""

    def __init__(self, **settings: Any) -> None:
        self.clock = SimulatedClock()
        self.hub = MarketHub()
        for key in (BTC, ETH):
            self.hub.add(instrument(key, "0.01", "0.001"))
        self.caution = Caution()
        self.facts: list[Any] = []
        self.scenarios = Scenarios(self.clock, self.facts.append, ErrorHandler(self.clock))
        self.renewed: list[InstrumentId] = []
        self.watch = FeedWatch(self.hub, FeedSettings(**settings), self.caution, self.scenarios, self.renewed.append)

    def book(self, key: InstrumentId, *, asked: bool = False) -> None:
        now = self.clock.now()
        update = BookUpdate(key, now, 1, snapshot=True, bids=((100, 5),), asks=((101, 5),))
        self.hub.on_market(update, now, asked=asked)

    def trade(self, key: InstrumentId, price: int = 100) -> None:
        now = self.clock.now()
        self.hub.on_market(MarketTrade(key, now, TradeId("1"), price, 1, OrderSide.BUY), now)

    def later(self, seconds: float) -> None:
        self.clock.set(self.clock.now() + int(seconds * SECOND))
        self.watch.tick(self.clock.now())


def test_thirty_seconds_of_silence_are_an_interruption_and_not_one_less() -> None:
    on = Deck()
    on.book(BTC)
    on.book(ETH)
    on.later(30)
    assert on.watch.silent == {}
    on.trade(ETH)
    on.later(0.001)
    assert list(on.watch.silent) == [BTC]
    assert "The feed of BTC/USDT is interrupted" in on.caution.obstacle(BTC)
    assert on.caution.obstacle(ETH) == ""
    assert on.caution.conservative


def test_a_market_never_heard_is_no_interruption() -> None:
    on = Deck()
    on.later(3600)
    assert on.watch.silent == {}


def test_books_asked_for_stand_in_and_do_not_end_it_but_the_feed_does() -> None:
    on = Deck()
    on.book(BTC)
    on.later(31)
    assert on.hub.needs_snapshot == {BTC}
    on.book(BTC, asked=True)
    on.later(1)
    assert on.hub.needs_snapshot == set()
    assert on.watch.silent
    on.later(15)
    assert on.hub.needs_snapshot == {BTC}, "a book is only as fresh as its last answer"
    quote = on.hub.quote(BTC)
    assert quote is not None
    on.trade(BTC)
    on.later(1)
    assert on.watch.silent == {}
    assert (on.caution.obstacle(BTC), on.caution.conservative) == ("", False)


def test_saying_that_nothing_is_heard_is_not_being_heard() -> None:
    on = Deck()
    on.book(BTC)
    on.later(29)
    on.hub.on_market(FeedStatus(BTC, on.clock.now(), live=False, reason="the line is down."), on.clock.now())
    on.later(2)
    assert on.caution.obstacle(BTC) == "The feed of BTC/USDT is interrupted (the line is down)."


def test_many_silent_markets_are_one_recovery_with_all_its_steps() -> None:
    on = Deck()
    on.book(BTC)
    on.later(10)
    on.book(ETH)
    on.later(21)
    on.later(10)
    on.trade(BTC)
    on.later(1)
    assert not on.scenarios.history
    on.trade(ETH)
    on.later(1)
    (ended,) = on.scenarios.history
    assert ended.kind == "data_feed_interruption"
    assert ended.steps == [
        "BTC/USDT: books are asked for one by one",
        "BTC/USDT: the last known values stay in sight, with their age",
        "ETH/USDT fell silent too",
        "ETH/USDT: books are asked for one by one",
        "ETH/USDT: the last known values stay in sight, with their age",
        "BTC/USDT heard again",
        "ETH/USDT heard again",
    ]
    assert [type(fact).__name__ for fact in on.facts] == ["ScenarioBegan", "ScenarioEnded"]


def test_sources_and_care_are_as_the_settings_say() -> None:
    on = Deck(fallback_sources=("static_data",), conservative_trading=False, max_staleness=5)
    on.book(BTC)
    on.later(6)
    assert on.hub.needs_snapshot == set()
    assert on.caution.obstacle(BTC)
    assert not on.caution.conservative


def test_a_book_that_stands_still_while_trades_go_by_outside_it_is_frozen() -> None:
    on = Deck(max_frozen=60, max_staleness=1000)
    on.book(BTC)
    for _ in range(5):
        on.later(20)
        on.trade(BTC, 105)
    assert on.renewed == [BTC], "once, not at every look"
    assert "has stood still for" in on.caution.obstacle(BTC)
    on.book(BTC)
    on.later(1)
    assert on.caution.obstacle(BTC), "the same prices again are no sign of life"
    now = on.clock.now()
    on.hub.on_market(BookUpdate(BTC, now, 2, snapshot=True, bids=((104, 5),), asks=((106, 5),)), now)
    on.later(1)
    assert on.caution.obstacle(BTC) == ""
    assert on.watch.frozen == {}


def test_a_market_that_stands_still_itself_is_no_fault() -> None:
    on = Deck(max_frozen=60, max_staleness=1000)
    on.book(BTC)
    for _ in range(10):
        on.later(20)
        on.trade(BTC, 101)
    assert on.renewed == []
    assert on.caution.obstacle(BTC) == ""
