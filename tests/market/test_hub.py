"""The hub shows markets as they are, with their age, and announces every bar once, whole and in order."""

from __future__ import annotations

from decimal import Decimal as D

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import NotFoundError, ValidationError
from engine.market.hub import CandleSeries, MarketHub
from engine.model.candle import Candle
from engine.model.ids import InstrumentId, TradeId
from engine.model.market import BookUpdate, FeedStatus, MarketTrade, Ticker
from engine.model.order import OrderSide
from tests.execution.house import INSTRUMENT, MARKET

SECOND = 1_000_000_000
MINUTE = 60 * SECOND
START = 28_333_333 * MINUTE
E8 = 10**8


@pytest.fixture
def hub() -> MarketHub:
    hub = MarketHub()
    hub.add(INSTRUMENT)
    return hub


def book(seq: int, bid: int, ask: int, *, snapshot: bool = False) -> BookUpdate:
    """Whole units of price; a level of 1 a side."""
    return BookUpdate(MARKET, START, seq, snapshot, ((bid * E8, E8),), ((ask * E8, E8),))


def trade(ts: int, price: float, quantity: float = 1.0) -> MarketTrade:
    return MarketTrade(MARKET, ts, TradeId("t"), int(price * E8), int(quantity * E8), OrderSide.BUY)


def candle(ts: int, close: float, *, closed: bool = True) -> Candle:
    return Candle(MARKET, "1m", ts, close, close, close, close, 5.0, closed)


# --- books -----------------------------------------------------------------------------------------------------------


def test_nothing_is_known_of_a_market_before_it_was_heard(hub: MarketHub) -> None:
    assert hub.quote(MARKET) is None
    assert hub.quote(InstrumentId("SIM:NO/NO")) is None
    assert hub.feed_age_ns(START) is None
    with pytest.raises(NotFoundError, match=r"known are SIM:BTC/USDT"):
        hub.market(InstrumentId("SIM:NO/NO"))


def test_a_book_gives_the_quote_and_its_age(hub: MarketHub) -> None:
    hub.on_market(book(1, 99, 101, snapshot=True), START)
    hub.on_market(trade(START, 100.5), START + 5)
    quote = hub.quote(MARKET)
    assert quote is not None
    assert (quote.bid, quote.ask, quote.last, quote.mark, quote.ts) == (D(99), D(101), D("100.5"), D(100), START + 5)
    assert hub.feed_age_ns(START + 25) == 20
    assert hub.quote(MARKET) is quote, "not made anew while nothing moves"


def test_events_of_markets_that_nobody_keeps_are_left_out(hub: MarketHub) -> None:
    other = InstrumentId("SIM:NO/NO")
    hub.on_market(FeedStatus(other, START, live=True), START)
    assert other not in hub.markets


def test_a_gap_hides_the_book_stops_its_clock_and_asks_for_a_snapshot(hub: MarketHub) -> None:
    hub.on_market(book(1, 99, 101, snapshot=True), START)
    hub.on_market(book(3, 98, 102), START + 10)
    market = hub.market(MARKET)
    assert hub.needs_snapshot == {MARKET}
    assert (market.live, market.gaps, market.heard) == (False, 1, START)
    quote = hub.quote(MARKET)
    assert quote is not None
    assert (quote.bid, quote.ask, quote.mark) == (None, None, None)
    hub.on_market(book(4, 98, 102), START + 20)
    assert (market.gaps, market.heard) == (1, START), "one gap, and the frozen book grows no younger"
    hub.on_market(trade(START + 30, 100.5), START + 30)
    hub.on_market(candle(START, 100.5, closed=False), START + 40)
    quote = hub.quote(MARKET)
    assert quote is not None
    assert (quote.ts, quote.last) == (START, D("100.5")), "a trade is kept, and makes the market no younger"


def test_a_snapshot_mends_the_gap_and_goes_on_with_what_was_heard_meanwhile(hub: MarketHub) -> None:
    hub.on_market(book(1, 99, 101, snapshot=True), START)
    for seq in (4, 5, 6):
        hub.on_market(book(seq, 90 + seq, 110 - seq), START)
    hub.on_market(book(4, 95, 105, snapshot=True), START + 7)
    market = hub.market(MARKET)
    assert (market.book.seq, market.live, market.heard) == (6, True, START + 7)
    assert hub.needs_snapshot == set()
    hub.on_market(book(7, 97, 103), START + 8)
    assert (market.book.seq, market.gaps) == (7, 1)


def test_a_snapshot_that_comes_too_early_leaves_the_gap(hub: MarketHub) -> None:
    hub.on_market(book(1, 99, 101, snapshot=True), START)
    hub.on_market(book(9, 98, 102), START)
    hub.on_market(book(5, 98, 102, snapshot=True), START)
    assert hub.needs_snapshot == {MARKET}
    hub.on_market(book(8, 98, 102, snapshot=True), START)
    assert hub.needs_snapshot == set()
    assert hub.market(MARKET).book.seq == 9


def test_updates_that_are_already_in_the_book_change_nothing(hub: MarketHub) -> None:
    hub.on_market(book(5, 99, 101, snapshot=True), START)
    hub.on_market(book(4, 1, 2), START + 9)
    market = hub.market(MARKET)
    assert (market.gaps, market.heard, market.book.best_bid) == (0, START, 99 * E8)


def test_a_crossed_book_gives_no_prices_to_trade_on(hub: MarketHub) -> None:
    hub.on_market(book(1, 101, 99, snapshot=True), START)
    quote = hub.quote(MARKET)
    assert quote is not None
    assert quote.mark is None


def test_hearing_that_a_feed_is_dead_makes_nothing_younger(hub: MarketHub) -> None:
    hub.on_market(book(1, 99, 101, snapshot=True), START)
    hub.on_market(FeedStatus(MARKET, START, live=False, reason="gone"), START + 60 * SECOND)
    market = hub.market(MARKET)
    assert (market.heard, market.live, market.reason) == (START, False, "gone")
    assert hub.feed_age_ns(START + 60 * SECOND) == 60 * SECOND


@given(st.lists(st.integers(0, 12), min_size=1, max_size=30))
def test_whatever_is_lost_or_repeated_a_shown_book_is_the_one_of_its_number(seqs: list[int]) -> None:
    hub = MarketHub()
    market = hub.add(INSTRUMENT)
    for number in seqs:
        # every third event is a snapshot; the book of a number has its best bid at that number
        snapshot = number % 3 == 0
        bids = ((max(number, 1) * E8, E8),)
        old = () if snapshot else tuple((price, 0) for price in market.built.bids if price != bids[0][0])
        hub.on_market(BookUpdate(MARKET, START, number, snapshot, bids + old, ()), START)
        if not market.broken and market.book.seq > 0:
            assert market.book.best_bid == market.book.seq * E8
        assert market.broken == (MARKET in hub.needs_snapshot)


# --- bars ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def series(hub: MarketHub) -> CandleSeries:
    """One-minute bars with a known one, and a listener."""
    series = hub.series(MARKET, "1m")
    series.seed([candle(START - MINUTE, 99)])
    return series


@pytest.fixture
def heard(series: CandleSeries) -> list[Candle]:
    told: list[Candle] = []
    series.listeners.append(told.append)
    return told


def test_a_timeframe_must_make_sense(hub: MarketHub) -> None:
    with pytest.raises(ValidationError, match="timeframe"):
        hub.series(MARKET, "1 minute")
    assert hub.series(MARKET, "5m") is hub.series(MARKET, "5m")


def test_the_first_bar_was_not_heard_from_its_beginning_and_waits_for_the_venues_own(
    hub: MarketHub, series: CandleSeries, heard: list[Candle]
) -> None:
    hub.on_market(trade(START + 30 * SECOND, 100), START)
    hub.roll(START + MINUTE)
    assert heard == []
    assert hub.doubtful() == [(MARKET, series)]
    hub.on_market(trade(START + 70 * SECOND, 105), START)
    hub.roll(START + 2 * MINUTE)
    assert heard == [], "order is kept: the second waits behind the first"
    assert not series.mend([candle(START - MINUTE, 99)]), "the venue's is not there yet"
    assert series.mend([candle(START - MINUTE, 99), candle(START, 101)])
    assert [(bar.ts, bar.close) for bar in heard] == [(START, 101), (START + MINUTE, 105)]
    assert hub.doubtful() == []


def test_later_bars_close_by_time_silent_ones_included(
    hub: MarketHub, series: CandleSeries, heard: list[Candle]
) -> None:
    hub.on_market(trade(START + SECOND, 100), START)
    hub.roll(START + MINUTE)
    series.mend([candle(START, 100)])
    hub.on_market(trade(START + 90 * SECOND, 110, 2), START)
    hub.roll(START + 4 * MINUTE)
    assert [(bar.ts - START, bar.close, bar.volume) for bar in heard[1:]] == [
        (MINUTE, 110, 2),
        (2 * MINUTE, 110, 0),
        (3 * MINUTE, 110, 0),
    ]
    hub.roll(START + 4 * MINUTE)
    assert len(heard) == 4


def test_a_trade_closes_the_bars_before_it(hub: MarketHub, series: CandleSeries, heard: list[Candle]) -> None:
    hub.on_market(trade(START + SECOND, 100), START)
    hub.on_market(trade(START + MINUTE, 101), START)
    series.give_up()
    hub.on_market(trade(START + 2 * MINUTE, 102), START)
    assert [bar.close for bar in heard] == [100, 101]
    assert series.growing is not None
    assert series.growing.close == 102


def test_a_bar_in_which_the_feed_was_lost_is_the_venues_to_tell(
    hub: MarketHub, series: CandleSeries, heard: list[Candle]
) -> None:
    hub.on_market(trade(START + SECOND, 100), START)
    hub.roll(START + MINUTE)
    series.mend([candle(START, 100)])
    hub.on_market(trade(START + 61 * SECOND, 101), START)
    hub.on_market(FeedStatus(MARKET, START, live=False, reason="gone"), START)
    hub.roll(START + 3 * MINUTE)
    assert len(heard) == 1
    assert [bar.ts for bar in series.waiting] == [START + MINUTE, START + 2 * MINUTE]
    assert series.mend([candle(START + MINUTE, 107), candle(START + 2 * MINUTE, 108)])
    assert [bar.close for bar in heard] == [100, 107, 108]
    hub.roll(START + 4 * MINUTE)
    assert len(heard) == 3, "still deaf: the bar of this minute is doubtful as well"
    hub.on_market(trade(START + 4 * MINUTE + SECOND, 120), START)
    hub.roll(START + 5 * MINUTE)
    assert series.mend([candle(START + 3 * MINUTE, 109)])
    assert [bar.close for bar in heard][3:] == [109, 120]


def test_a_gap_in_the_book_makes_the_growing_bar_doubtful(
    hub: MarketHub, series: CandleSeries, heard: list[Candle]
) -> None:
    hub.on_market(trade(START + SECOND, 100), START)
    hub.roll(START + MINUTE)
    series.mend([candle(START, 100)])
    hub.on_market(book(1, 99, 101, snapshot=True), START)
    hub.on_market(book(7, 99, 101), START)
    hub.roll(START + 2 * MINUTE)
    assert [bar.ts for bar in series.waiting] == [START + MINUTE]
    assert len(heard) == 1


def test_bars_that_a_venue_never_delivers_are_announced_as_they_were_heard(
    hub: MarketHub, series: CandleSeries, heard: list[Candle]
) -> None:
    hub.on_market(trade(START + SECOND, 100), START)
    hub.roll(START + MINUTE)
    series.give_up()
    assert [(bar.ts, bar.close) for bar in heard] == [(START, 100)]
    assert series.waiting == []


def test_history_asked_for_at_the_turn_of_a_bar_swallows_no_bar(
    hub: MarketHub, series: CandleSeries, heard: list[Candle]
) -> None:
    """A screen asks for candles just when a bar has closed at the venue and not yet here."""
    hub.on_market(trade(START + SECOND, 100), START)
    hub.roll(START + MINUTE)
    series.mend([candle(START, 100)])
    hub.on_market(trade(START + 61 * SECOND, 101), START)
    series.seed([candle(START, 100), candle(START + MINUTE, 102)])
    hub.roll(START + 2 * MINUTE)
    assert [(bar.ts, bar.close) for bar in heard] == [(START, 100), (START + MINUTE, 102)]


def test_the_first_history_is_kept_and_not_announced(hub: MarketHub) -> None:
    series = hub.series(MARKET, "1m")
    told: list[Candle] = []
    series.listeners.append(told.append)
    series.seed([candle(START - 2 * MINUTE, 1), candle(START - MINUTE, 2), candle(START, 3, closed=False)])
    assert told == []
    assert [bar.close for bar in series.closed] == [1, 2]


def test_a_venue_that_delivers_candles_is_believed(hub: MarketHub, series: CandleSeries, heard: list[Candle]) -> None:
    hub.on_market(candle(START, 100, closed=False), START)
    assert series.growing is not None
    assert series.growing.close == 100
    hub.on_market(candle(START, 103), START)
    hub.on_market(candle(START + MINUTE, 104, closed=False), START)
    hub.on_market(candle(START + MINUTE, 105), START)
    assert [(bar.ts, bar.close) for bar in heard] == [(START, 103), (START + MINUTE, 105)]


def test_after_a_silence_too_long_to_fill_the_next_bar_is_doubtful(
    hub: MarketHub, series: CandleSeries, heard: list[Candle]
) -> None:
    hub.on_market(trade(START + SECOND, 100), START)
    hub.roll(START + MINUTE)
    series.mend([candle(START, 100)])
    much_later = START + 20_000 * MINUTE + 30 * SECOND
    hub.on_market(trade(much_later, 200), START)
    hub.roll(much_later + MINUTE)
    assert [bar.close for bar in heard] == [100, 100]
    assert [bar.close for bar in series.waiting] == [200]


@given(st.lists(st.tuples(st.sampled_from(["trade", "roll", "lose", "mend", "seed", "gap"]), st.integers(1, 150))))
def test_bars_are_announced_once_in_order_and_without_a_hole(steps: list[tuple[str, int]]) -> None:
    hub = MarketHub()
    hub.add(INSTRUMENT)
    series = hub.series(MARKET, "1m")
    series.seed([candle(START - MINUTE, 1)])
    heard: list[Candle] = []
    series.listeners.append(heard.append)
    now = START
    for what, seconds in steps:
        now += seconds * SECOND
        venue = [candle(ts, 7) for ts in range(START - MINUTE, now - now % MINUTE, MINUTE)]
        match what:
            case "trade":
                hub.on_market(trade(now, 5), now)
            case "roll":
                hub.roll(now)
            case "lose":
                hub.on_market(FeedStatus(MARKET, now, live=False), now)
            case "gap":
                series.spoil()
            case "mend":
                series.mend(venue)
            case _:
                series.seed(venue)
    times = [bar.ts for bar in heard]
    assert times == list(range(START, START + len(times) * MINUTE, MINUTE))


# --- candles beside trades, and days ---------------------------------------------------------------------------------


def test_where_trades_are_heard_a_growing_candle_does_not_count_them_twice(
    hub: MarketHub, series: CandleSeries
) -> None:
    hub.on_market(trade(START - SECOND, 100), START - SECOND)
    hub.on_market(trade(START, 101), START)
    hub.on_market(candle(START, 101, closed=False), START)
    hub.on_market(trade(START + SECOND, 102), START + SECOND)
    assert series.growing is not None
    assert (series.growing.close, series.growing.volume) == (102, 2.0)


def test_the_first_bar_shows_what_the_venue_tells_of_it_and_waits_for_the_end_of_it(
    hub: MarketHub, series: CandleSeries, heard: list[Candle]
) -> None:
    hub.on_market(candle(START, 99, closed=False), START)
    hub.on_market(trade(START + SECOND, 100), START + SECOND)
    hub.on_market(candle(START, 101, closed=False), START)
    assert series.growing is not None
    assert series.growing.volume == 5.0
    hub.roll(START + MINUTE)
    assert heard == []
    hub.on_market(candle(START, 103), START + MINUTE)
    assert [(bar.ts, bar.close) for bar in heard] == [(START, 103)]


def test_a_bar_that_the_venue_tells_otherwise_is_corrected_and_not_announced_again(
    hub: MarketHub, series: CandleSeries, heard: list[Candle]
) -> None:
    for ts, price in ((START - SECOND, 99.0), (START, 100.0), (START + MINUTE, 101.0), (START + 2 * MINUTE, 102.0)):
        hub.on_market(trade(ts, price), ts)
    assert [(bar.ts, bar.close) for bar in heard] == [(START, 100), (START + MINUTE, 101)]
    hub.on_market(candle(START, 98), START + 2 * MINUTE)
    hub.on_market(heard[1], START + 2 * MINUTE)
    assert [bar.close for bar in series.closed] == [99, 98, 101]
    assert (series.corrected, len(heard)) == (1, 2)


def test_the_venues_day_counts_while_the_market_is_not_much_younger(hub: MarketHub) -> None:
    market = hub.market(MARKET)
    hub.on_market(Ticker(instrument=MARKET, ts=START, open=D(90), base_volume=D(7)), START)
    assert market.day() is not None
    assert market.heard == 0
    hub.on_market(book(1, 99, 101, snapshot=True), START + 120 * SECOND)
    assert market.day() is not None
    hub.on_market(book(2, 99, 101), START + 121 * SECOND)
    assert market.day() is None
