"""The simulated market keeps its contract and looks like a market."""

from __future__ import annotations

import statistics
from collections import defaultdict
from decimal import Decimal
from itertools import pairwise
from typing import TYPE_CHECKING

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import NotFoundError, StateCorruptionError, ValidationError
from engine.model.candle import timeframe_ns
from engine.model.candle_builder import CandleBuilder
from engine.model.ids import InstrumentId, TradeId
from engine.model.market import BookUpdate, MarketEvent, MarketTrade, OrderBook
from engine.model.order import OrderSide
from engine.venues.markets.sim_profile import SCENES, SimulatedSettings, scene
from engine.venues.markets.simulated import SimulatedMarket

if TYPE_CHECKING:
    from engine.venues.markets.contract import Market

SECOND = 10**9
MINUTE = 60 * SECOND
START = 1_754_900_017 * SECOND
"""Seventeen seconds into a minute of a Monday morning."""
BTC, ETH, CROSS = (InstrumentId(f"SIM:{s}") for s in ("BTC/USDT", "ETH/USDT", "ETH/BTC"))


def market(seed: int = 1, rate: float = 10.0, start: int = START) -> SimulatedMarket:
    return SimulatedMarket(SimulatedSettings(seed=seed, rate=rate), start)


class Session:
    """Twelve minutes of a market, as a consumer of its feed sees them at every 100 ms."""

    def __init__(self, simulated: SimulatedMarket, seconds: int) -> None:
        self.market = simulated
        self.books = {i.id: OrderBook(i.id) for i in simulated.instruments()}
        for book in self.books.values():
            assert book.apply(simulated.snapshot(book.instrument))
        self.events: list[MarketEvent] = []
        self.trades: dict[InstrumentId, list[MarketTrade]] = defaultdict(list)
        self.mids: dict[InstrumentId, list[float]] = defaultdict(list)
        self.spreads: dict[InstrumentId, list[int]] = defaultdict(list)
        self.triangle: list[float] = []
        self.crossed = 0
        self.shallowest = 10**9
        begin = simulated.now
        for tick in range(1, seconds * 10 + 1):
            for event in simulated.advance(begin + tick * SECOND // 10):
                self.take(event)
            self.sample()

    def take(self, event: MarketEvent) -> None:
        self.events.append(event)
        if isinstance(event, BookUpdate):
            book = self.books[event.instrument]
            assert book.apply(event)
            self.crossed += book.crossed
            self.shallowest = min(self.shallowest, len(book.bids), len(book.asks))
        elif isinstance(event, MarketTrade):
            self.trades[event.instrument].append(event)

    def sample(self) -> None:
        quotes = {}
        for instrument in self.market.instruments():
            book = self.books[instrument.id]
            bid, ask = book.best_bid, book.best_ask
            assert bid is not None
            assert ask is not None
            self.mids[instrument.id].append((bid + ask) / 2)
            self.spreads[instrument.id].append(ask - bid)
            unit = 10**instrument.price_scale
            quotes[instrument.id] = (bid / unit, ask / unit)
        btc, eth, cross = quotes[BTC], quotes[ETH], quotes[CROSS]
        self.triangle.append(max(eth[0] / (btc[1] * cross[1]), btc[0] * cross[0] / eth[1]) - 1)


@pytest.fixture(scope="module")
def session() -> Session:
    return Session(market(), 720)


def test_it_fulfils_the_contract_of_a_market() -> None:
    simulated: Market = market()
    assert [i.symbol for i in simulated.instruments()] == ["BTC/USDT", "ETH/USDT", "ETH/BTC", "SOL/USDT", "BNB/USDT"]
    assert simulated.start_time == simulated.now == START
    assert simulated.live(BTC)
    assert simulated.depletes
    due = simulated.next_time()
    assert due is not None
    assert simulated.advance(due - 1) == []
    assert simulated.advance(due) != []


def test_the_book_is_never_crossed_and_at_least_fifty_levels_deep(session: Session) -> None:
    assert session.crossed == 0
    assert session.shallowest >= 50


def test_every_price_and_quantity_is_positive_and_on_the_grid(session: Session) -> None:
    # A scaled integer is a tick and a lot here, so that every whole number is on the grid.
    for instrument in session.market.instruments():
        rules = instrument.current_rules
        assert instrument.price_to_int(rules.price_tick) == 1
        assert instrument.quantity_to_int(rules.lot) == 1
        assert rules.maker_fee == rules.taker_fee == Decimal("0.001")
    for event in session.events:
        if isinstance(event, BookUpdate):
            assert all(type(p) is int and type(q) is int and p > 0 <= q for p, q in (*event.bids, *event.asks))
        elif isinstance(event, MarketTrade):
            assert event.price > 0 < event.quantity


def test_events_come_in_order_of_time_and_updates_without_a_gap(session: Session) -> None:
    times = [e.ts for e in session.events]
    assert times == sorted(times)
    for instrument in session.books:
        updates = [e.seq for e in session.events if isinstance(e, BookUpdate) and e.instrument == instrument]
        assert updates == list(range(1, len(updates) + 1))
        ids = [int(t.trade_id) for t in session.trades[instrument]]
        assert ids == list(range(1, len(ids) + 1))


def test_books_are_updated_about_as_often_as_asked(session: Session) -> None:
    counts = [sum(1 for e in session.events if isinstance(e, BookUpdate) and e.instrument == i) for i in session.books]
    assert all(6500 < count < 7900 for count in counts)
    fast = market(rate=100)
    assert 9000 < sum(isinstance(e, BookUpdate) for e in fast.advance(START + 20 * SECOND)) < 11_000


def test_going_round_the_triangle_never_pays_its_fees_and_rarely_anything(session: Session) -> None:
    fees = 3 * 0.001
    assert max(session.triangle) < fees / 5
    # What remains before fees is gone soon: the market makers pull it back.
    streak = longest = 0
    for gain in session.triangle:
        streak = streak + 1 if gain > 5e-5 else 0
        longest = max(longest, streak)
    assert longest < 20
    assert sum(gain > 0 for gain in session.triangle) / len(session.triangle) < 0.25


def test_prices_rest_and_jump_instead_of_trembling(session: Session) -> None:
    for instrument, mids in session.mids.items():
        moves = [b - a for a, b in pairwise(mids)]
        still = sum(m == 0 for m in moves) / len(moves)
        assert 0.3 < still < 0.97, instrument
        deviation = statistics.pstdev(moves)
        kurtosis = sum(m**4 for m in moves) / len(moves) / deviation**4
        assert kurtosis > 6, instrument


def test_trades_come_in_bursts(session: Session) -> None:
    # A Poisson process has variance = mean; a self-exciting one has clearly more.
    for instrument in (BTC, ETH):
        counts: dict[int, int] = defaultdict(int)
        for ts in {t.ts for t in session.trades[instrument]}:
            counts[ts // SECOND] += 1
        per_second = [counts[s] for s in range(START // SECOND, START // SECOND + 720)]
        assert statistics.pvariance(per_second) > 1.5 * statistics.fmean(per_second)


def test_the_spread_widens_when_prices_move(session: Session) -> None:
    mids, spreads = session.mids[BTC], session.spreads[BTC]
    windows = [
        (max(mids[i : i + 50]) - min(mids[i : i + 50]), statistics.fmean(spreads[i : i + 50]))
        for i in range(0, len(mids), 50)
    ]
    windows.sort()
    third = len(windows) // 3
    calm = statistics.fmean(s for _, s in windows[:third])
    wild = statistics.fmean(s for _, s in windows[-third:])
    assert wild > 1.3 * calm


def test_the_book_is_thin_at_the_touch_and_thick_behind_it(session: Session) -> None:
    top = behind = 0
    for book in session.books.values():
        top += sum(q for _, q in book.top_bids(3)) + sum(q for _, q in book.top_asks(3))
        behind += sum(q for _, q in book.top_bids(33)[30:]) + sum(q for _, q in book.top_asks(33)[30:])
    assert behind > 1.3 * top


def test_usdt_pairs_move_together(session: Session) -> None:
    def returns(instrument: InstrumentId) -> list[float]:
        sampled = session.mids[instrument][::50]
        return [b / a - 1 for a, b in pairwise(sampled)]

    assert statistics.correlation(returns(BTC), returns(ETH)) > 0.5


def test_candles_of_the_session_are_those_of_its_trades(session: Session) -> None:
    for instrument in session.market.instruments():
        builder = CandleBuilder(instrument, "1m")
        built = []
        for trade in session.trades[instrument.id]:
            built += builder.on_trade(trade)
        first_whole = (START // MINUTE + 1) * MINUTE
        built = [c for c in built if c.ts >= first_whole]
        kept = session.market.history(instrument.id, "1m", 2**62, len(built))
        assert kept[-len(built) :] == built


def test_the_past_joins_the_session_without_a_jump(session: Session) -> None:
    for instrument in session.market.instruments():
        candles = session.market.history(instrument.id, "1m", 2**62, 60)
        assert [c.ts for c in candles] == list(range(candles[0].ts, candles[-1].ts + 1, MINUTE))
        assert candles[0].ts < START - 40 * MINUTE
        for before, after in pairwise(candles):
            assert after.open == pytest.approx(before.close, rel=8e-4)
        assert all(c.low <= min(c.open, c.close) <= max(c.open, c.close) <= c.high for c in candles)


def test_volume_of_the_session_is_of_the_size_of_the_past(session: Session) -> None:
    candles = session.market.history(BTC, "1m", 2**62, 300)
    lived = statistics.fmean(c.volume for c in candles[-11:])
    past = statistics.fmean(c.volume for c in candles[:-11])
    assert past / 6 < lived < past * 6


def test_history_never_tells_the_future() -> None:
    simulated = market()
    newest = simulated.history(BTC, "1m", START + 3600 * SECOND, 5)[-1]
    assert newest.ts + MINUTE <= START
    hour = simulated.history(BTC, "1h", START, 1)[0]
    assert hour.ts + timeframe_ns("1h") <= START


def test_history_goes_back_ninety_days_of_hours_and_thirty_of_minutes() -> None:
    simulated = market()
    hours = simulated.history(ETH, "1h", START, 90 * 24)
    assert len(hours) == 90 * 24
    minutes = simulated.history(ETH, "1m", START, 30 * 1440)
    assert len(minutes) == 30 * 1440
    assert all(c.high >= c.low > 0 < c.volume for c in hours)
    days = simulated.history(ETH, "1d", START, 5000)
    assert 395 <= len(days) <= 400


@pytest.mark.parametrize("timeframe", ["5m", "15m", "1h", "4h", "1d", "1w"])
def test_long_candles_are_made_of_the_short_ones(timeframe: str) -> None:
    simulated = market()
    simulated.advance(START + 200 * SECOND)
    for candle in simulated.history(BTC, timeframe, 2**62, 3):
        length = timeframe_ns(timeframe)
        minutes = simulated.history(BTC, "1m", candle.ts + length, length // MINUTE)
        assert minutes[0].ts == candle.ts
        assert (candle.open, candle.close) == (minutes[0].open, minutes[-1].close)
        assert candle.high == max(m.high for m in minutes)
        assert candle.low == min(m.low for m in minutes)
        assert candle.volume == pytest.approx(sum(m.volume for m in minutes), abs=1e-5)


@settings(max_examples=12, deadline=None)
@given(st.lists(st.integers(0, 4 * SECOND), max_size=12))
def test_how_time_is_cut_makes_no_difference(cuts: list[int]) -> None:
    end = START + 5 * SECOND
    whole = market().advance(end)
    cut = market()
    pieces: list[MarketEvent] = []
    for at in sorted(cuts):
        pieces += cut.advance(START + at)
    assert pieces + cut.advance(end) == whole


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 50 * SECOND), st.integers(1, 20))
def test_a_restored_market_goes_on_exactly_as_the_saved_one(at: int, seed: int) -> None:
    original = market(seed)
    original.advance(START + at)
    original.impact(BTC, START + at, OrderSide.BUY, 5_000, original.snapshot(BTC).asks[0][0])
    original.impact(CROSS, START + at, OrderSide.SELL, 50_000, original.snapshot(CROSS).bids[0][0])
    data = original.save()
    copy = market(seed, start=START + 10**15)
    copy.restore(data)
    assert copy.save() == data
    assert copy.start_time == START
    end = START + at + 3 * SECOND
    assert copy.advance(end) == original.advance(end)
    for instrument in original.instruments():
        assert copy.snapshot(instrument.id) == original.snapshot(instrument.id)
        assert copy.history(instrument.id, "1m", 2**62, 30) == original.history(instrument.id, "1m", 2**62, 30)


def test_another_seed_is_another_market_and_the_same_seed_the_same() -> None:
    end = START + 3 * SECOND
    assert market(1).advance(end) == market(1).advance(end)
    assert market(1).advance(end) != market(2).advance(end)
    assert market(1).history(BTC, "1h", START, 50) != market(2).history(BTC, "1h", START, 50)


def test_a_restart_gap_is_skipped_and_its_candles_are_there() -> None:
    simulated = market()
    simulated.advance(START + 90 * SECOND)
    back = START + 3 * 86_400 * SECOND + 12_345
    snapshots = simulated.skip(back)
    assert simulated.now == back
    assert [type(e) for e in snapshots] == [BookUpdate] * 5
    books = {i.id: OrderBook(i.id) for i in simulated.instruments()}
    for event in snapshots:
        assert isinstance(event, BookUpdate)
        assert event.snapshot
        assert event.ts == back
        assert books[event.instrument].apply(event)
    for event in simulated.advance(back + 70 * SECOND):
        if isinstance(event, BookUpdate):
            assert books[event.instrument].apply(event)
    gap = simulated.history(BTC, "1m", 2**62, 3 * 1440 + 10)
    assert [c.ts for c in gap] == list(range(gap[0].ts, gap[-1].ts + 1, MINUTE))
    assert gap[0].ts < START < gap[-1].ts
    for before, after in pairwise(gap):
        assert after.open == pytest.approx(before.close, rel=1e-3)
    assert simulated.skip(back) == []


def test_what_the_trader_takes_is_gone_from_the_book() -> None:
    simulated = market()
    price, lots = simulated.snapshot(BTC).asks[0]
    simulated.impact(BTC, START, OrderSide.BUY, lots, price)
    assert simulated.snapshot(BTC).asks[0][0] > price
    price, lots = simulated.snapshot(BTC).bids[0]
    simulated.impact(BTC, START, OrderSide.SELL, lots - 1, price)
    assert simulated.snapshot(BTC).bids[0] == (price, 1)


def test_a_large_purchase_lifts_the_price_which_then_comes_back_most_of_the_way() -> None:
    quiet, pressed = market(rate=1), market(rate=1)
    for simulated in (quiet, pressed):
        simulated.advance(START + SECOND)
    now = START + SECOND
    for price, lots in pressed.snapshot(BTC).asks[:40]:
        pressed.impact(BTC, now, OrderSide.BUY, lots, price)
    # 20 million USDT in all: a hundredth of the day's turnover
    pressed.impact(BTC, now, OrderSide.BUY, 30_000_000, pressed.snapshot(BTC).asks[-1][0])

    def lift(seconds: int, instrument: InstrumentId) -> float:
        mids = []
        for simulated in (quiet, pressed):
            simulated.advance(now + seconds * SECOND)
            book = simulated.snapshot(instrument)
            mids.append((book.bids[0][0] + book.asks[0][0]) / 2)
        return mids[1] / mids[0] - 1

    early, cross = lift(2, BTC), lift(2, CROSS)
    assert early > 8e-4
    assert cross < -8e-4
    later, last = lift(60, BTC), lift(3600, BTC)
    assert early > later > last
    assert -1e-4 < last < 4e-4


def test_strange_requests_are_refused_with_a_sentence() -> None:
    simulated = market()
    with pytest.raises(NotFoundError, match="SIM:BTC/USDT"):
        simulated.snapshot(InstrumentId("SIM:DOGE/USDT"))
    with pytest.raises(ValidationError, match="1m and longer"):
        simulated.history(BTC, "30s", START, 10)
    with pytest.raises(StateCorruptionError, match="cannot be read"):
        simulated.restore(b"\x93nonsense")
    with pytest.raises(StateCorruptionError, match="seed 2"):
        market(1).restore(market(2).save())
    state = msgspec.msgpack.decode(simulated.save())
    state[6] = []
    with pytest.raises(StateCorruptionError, match="incomplete"):
        simulated.restore(msgspec.msgpack.encode(state))
    assert simulated.history(BTC, "1m", START, 0) == []


def test_a_price_level_survives_a_change_of_the_random_streams(monkeypatch: pytest.MonkeyPatch) -> None:
    original = market()
    original.advance(START + 30 * SECOND)
    data = original.save()
    mid = original.snapshot(BTC).bids[0][0]
    monkeypatch.setattr("engine.venues.markets.sim_path._M0", 1.3)
    copy = market()
    copy.restore(data)
    end = START + 300 * SECOND
    copy.advance(end)
    assert copy.snapshot(BTC).bids[0][0] == pytest.approx(mid, rel=0.01)
    candles = copy.history(BTC, "1m", 2**62, 5)
    assert candles[-1].close == pytest.approx(mid / 10, rel=0.01)


@pytest.mark.parametrize("name", sorted(SCENES))
def test_every_scene_keeps_sound_books(name: str) -> None:
    lived = Session(SimulatedMarket(scene(name), START), 20)
    assert lived.crossed == 0
    assert lived.shallowest >= 50
    assert max(lived.triangle) < 3 * 0.001


@pytest.mark.parametrize("seed", range(4))
def test_the_wildest_market_keeps_sound_books(seed: int) -> None:
    wild = SimulatedMarket(SimulatedSettings(seed=seed, rate=2.0, volatility=20.0), START)
    lived = Session(wild, 240)
    assert lived.crossed == 0
    assert lived.shallowest >= 50


def test_a_scene_is_the_same_whenever_it_is_started() -> None:
    def moves(start: int) -> list[int]:
        simulated = SimulatedMarket(scene("market-5hz"), start)
        return [e.price for e in simulated.advance(start + 5 * SECOND) if isinstance(e, MarketTrade)]

    assert moves(START) == moves(START + 7 * 86_400 * SECOND + 3 * MINUTE)


def test_a_print_of_the_feed_is_what_a_consumer_expects(session: Session) -> None:
    trade = session.trades[BTC][0]
    assert trade.trade_id == TradeId("1")
    assert trade.aggressor in (OrderSide.BUY, OrderSide.SELL)
    sides = [t.aggressor is OrderSide.BUY for t in session.trades[BTC]]
    assert 0.3 < sum(sides) / len(sides) < 0.7
