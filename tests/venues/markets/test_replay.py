"""The replay market plays recordings behind the contract: in order, in either time, resumable."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from engine.clock import SimulatedClock
from engine.errors import ConfigurationError, NotFoundError, StateCorruptionError
from engine.model.candle import Candle, timeframe_ns
from engine.model.ids import InstrumentId
from engine.model.market import BookUpdate, FeedStatus, MarketEvent, MarketTrade, OrderBook
from engine.model.order import OrderSide
from engine.venues.markets.capture import CaptureRecording
from engine.venues.markets.recording import CandleRecording, TradeRecording
from engine.venues.markets.replay import ReplayClock, ReplayMarket

if TYPE_CHECKING:
    from pathlib import Path

    from engine.venues.markets.contract import Market

SECOND = 10**9
CAPTURE = "captures/binance/spot_4sym_20210814.jsonl.gz"
FTM = InstrumentId("BINANCE:FTM/USDT")


@pytest.fixture(scope="module")
def capture(shared_data: Path) -> CaptureRecording:
    return CaptureRecording(shared_data / CAPTURE)


@pytest.fixture(scope="module")
def trades(shared_data: Path) -> TradeRecording:
    return TradeRecording(shared_data / "trades/binance_XRPETH_trades_20191011.parquet", "binance", "XRP/ETH")


@pytest.fixture(scope="module")
def candles(shared_data: Path) -> CandleRecording:
    return CandleRecording(shared_data / "candles/binance_BTCUSDT_1h.parquet", "binance", "BTC/USDT", "1h")


def drain(market: Market) -> list[MarketEvent]:
    events: list[MarketEvent] = []
    while (due := market.next_time()) is not None:
        events += market.advance(due)
    return events


def test_as_fast_as_it_goes_every_event_comes_once_and_then_the_end(capture: CaptureRecording) -> None:
    market = ReplayMarket(capture)
    played = drain(market)
    recorded = list(capture.events())
    assert played[: len(recorded)] == recorded
    assert [type(e) for e in played[len(recorded) :]] == [FeedStatus] * 4
    assert not any(market.live(i.id) for i in market.instruments())
    assert market.advance(2**62) == []


def test_an_event_comes_when_it_is_due_and_not_before(capture: CaptureRecording) -> None:
    market = ReplayMarket(capture)
    assert market.start_time == capture.start_time
    half = capture.start_time + 15 * SECOND
    first = market.advance(half)
    assert first[-1].ts <= half < (market.next_time() or 0)
    assert market.live(FTM)
    assert len(market.advance(2**62)) + len(first) == len(list(capture.events())) + 4


def test_in_the_venues_time_events_are_stamped_when_they_are_due(capture: CaptureRecording) -> None:
    begin = 1_900_000_000 * SECOND + 5
    market = ReplayMarket(capture, begin=begin, speed=10.0)
    events = drain(market)
    recorded = list(capture.events())
    assert market.start_time == events[0].ts == begin
    assert events[-1].ts - begin == pytest.approx((recorded[-1].ts - recorded[0].ts) / 10, abs=2)
    shifted = ReplayMarket(capture, begin=begin)
    offset = begin - capture.start_time
    assert [e.ts - offset for e in drain(shifted)[: len(recorded)]] == [e.ts for e in recorded]


def test_a_snapshot_is_followed_by_the_updates_after_it(capture: CaptureRecording) -> None:
    market = ReplayMarket(capture)
    market.advance(capture.start_time + 10 * SECOND)
    book, whole = OrderBook(FTM), OrderBook(FTM)
    assert book.apply(market.snapshot(FTM))
    for event in market.advance(2**62):
        if isinstance(event, BookUpdate) and event.instrument == FTM:
            assert book.apply(event)
    for event in capture.events():
        if isinstance(event, BookUpdate) and event.instrument == FTM:
            whole.apply(event)
    assert (book.bids, book.asks) == (whole.bids, whole.asks)


def test_a_saved_replay_goes_on_where_it_stood(capture: CaptureRecording) -> None:
    market = ReplayMarket(capture, begin=1_900_000_000 * SECOND, speed=2.0)
    market.advance(market.start_time + 7 * SECOND)
    data = market.save()
    copy = ReplayMarket(capture, begin=1_900_000_999 * SECOND, speed=2.0)
    copy.restore(data)
    assert copy.now == market.now
    assert copy.snapshot(FTM) == market.snapshot(FTM)
    assert copy.advance(2**62) == market.advance(2**62)


def test_a_replay_can_go_on_at_another_speed(capture: CaptureRecording) -> None:
    begin = 1_900_000_000 * SECOND
    market = ReplayMarket(capture, begin=begin)
    market.advance(begin + 10 * SECOND)
    faster = ReplayMarket(capture, begin=begin + 10**15, speed=10.0)
    faster.restore(market.save())
    rest = [e for e in faster.advance(2**62) if not isinstance(e, FeedStatus)]
    assert len(rest) == len([e for e in market.advance(2**62) if not isinstance(e, FeedStatus)])
    assert begin + 10 * SECOND < rest[0].ts < rest[-1].ts <= begin + 13 * SECOND


def test_candles_go_on_with_the_next_bar_after_a_restart(candles: CandleRecording) -> None:
    begin = 1_900_000_000 * SECOND + 123
    market = ReplayMarket(candles, begin=begin)
    market.advance(begin + 10 * 3600 * SECOND)
    copy = ReplayMarket(candles, begin=market.now + 5 * SECOND)
    copy.restore(market.save())
    assert copy.next_time() == market.next_time()
    later = market.now + 4 * 3600 * SECOND
    assert copy.advance(later) == market.advance(later)
    name = market.instruments()[0].id
    assert copy.history(name, "4h", 2**62, 3) == market.history(name, "4h", 2**62, 3)


def test_speed_0_is_as_fast_as_the_venue_takes_it(capture: CaptureRecording) -> None:
    begin = 1_900_000_000 * SECOND
    market = ReplayMarket(capture, begin=begin, speed=0)
    events = market.advance(begin + SECOND // 1000)
    assert len(events) == len(list(capture.events())) + 4
    assert events[-1].ts < begin + 1000


def test_a_skip_plays_silently_and_gives_the_books(capture: CaptureRecording) -> None:
    market, plain = ReplayMarket(capture), ReplayMarket(capture)
    to = capture.start_time + 20 * SECOND
    plain.advance(to)
    snapshots = market.skip(to)
    assert {e.instrument for e in snapshots} == {i.id for i in market.instruments()}
    assert all(isinstance(e, BookUpdate) and e == plain.snapshot(e.instrument) for e in snapshots)
    assert market.skip(to) == []
    assert market.advance(2**62) == plain.advance(2**62)


def test_the_trader_leaves_no_trace_in_a_recording(capture: CaptureRecording) -> None:
    market = ReplayMarket(capture)
    market.advance(capture.start_time + 10 * SECOND)
    before = market.snapshot(FTM)
    market.impact(FTM, market.now, OrderSide.BUY, 10**9, before.asks[0][0])
    assert market.snapshot(FTM) == before
    assert not market.depletes


def test_candles_play_as_candles_and_their_history_is_the_files(candles: CandleRecording) -> None:
    market = ReplayMarket(candles)
    to = candles.start_time + 30 * 86_400 * SECOND
    events = market.advance(to)
    name = market.instruments()[0].id
    played = [e for e in events if isinstance(e, Candle)]
    assert market.history(name, "1h", 2**62, 48) == played[-48:]
    days = market.history(name, "1d", 2**62, 5)
    assert [d.ts % timeframe_ns("1d") for d in days] == [0] * 5
    assert days[-1].volume == pytest.approx(
        sum(c.volume for c in played if days[-1].ts <= c.ts < days[-1].ts + 24 * 3600 * SECOND)
    )
    assert market.history(name, "1h", played[10].ts, 3) == played[7:10]


def test_bars_of_the_past_are_history_before_anything_is_played(shared_data: Path) -> None:
    path = shared_data / "candles/binance_BTCUSDT_1h.parquet"
    whole = CandleRecording(path, "binance", "BTC/USDT", "1h")
    recording = CandleRecording(path, "binance", "BTC/USDT", "1h", past=300)
    market = ReplayMarket(recording, begin=1_900_000_000 * SECOND)
    name = market.instruments()[0].id
    market.advance(market.start_time - 1)
    past = market.history(name, "1h", 2**62, 1000)
    assert len(past) == 300
    market.advance(market.start_time)
    assert len(market.history(name, "1h", 2**62, 1000)) == 301
    first = next(e for e in recording.events() if isinstance(e, Candle))
    assert first == whole.candles(name, 0, 2**62)[300]


def test_candles_in_the_venues_time_stay_on_their_grid(candles: CandleRecording) -> None:
    begin = 1_900_000_000 * SECOND + 123
    market = ReplayMarket(candles, begin=begin)
    events = market.advance(begin + 3 * 3600 * SECOND)
    played = [e for e in events if isinstance(e, Candle)]
    assert len(played) >= 3
    assert all(c.ts % timeframe_ns("1h") == 0 for c in played)
    assert market.history(played[0].instrument, "1h", 2**62, 3) == played[-3:]
    with pytest.raises(ConfigurationError, match="run a backtest"):
        ReplayMarket(candles, begin=begin, speed=5.0)


def test_history_of_a_replay_of_trades_is_made_of_the_trades(trades: TradeRecording, shared_data: Path) -> None:
    import pyarrow.parquet as pq

    market = ReplayMarket(trades)
    market.advance(trades.start_time + 3 * 3600 * SECOND)
    name = market.instruments()[0].id
    recorded = pq.read_table(shared_data / "candles/binance_XRPETH_1m.parquet").to_pylist()
    lived = [c for c in market.history(name, "1m", 2**62, 500) if c.volume]
    assert [(c.ts // 1_000_000, c.close, c.volume) for c in lived] == [
        (r["timestamp"], r["close"], r["volume"]) for r in recorded[: len(lived)]
    ]
    assert len(lived) > 100
    assert market.history(name, "1h", 2**62, 2)[-1].closed


async def test_a_clock_shows_recorded_time_at_a_speed() -> None:
    real = SimulatedClock(1_900_000_000 * SECOND)
    clock = ReplayClock(real, 1_500_000_000 * SECOND, 60.0)
    assert clock.now() == 1_500_000_000 * SECOND
    async with asyncio.TaskGroup() as group:
        waiter = group.create_task(clock.sleep(120))
        await asyncio.sleep(0)
        await real.advance(1.9)
        assert not waiter.done()
        await real.advance(0.2)
        assert waiter.done()
    assert clock.now() == clock.monotonic() == 1_500_000_000 * SECOND + 126 * SECOND


def test_strange_requests_are_refused_with_a_sentence(capture: CaptureRecording, trades: TradeRecording) -> None:
    market = ReplayMarket(capture)
    with pytest.raises(NotFoundError, match="FTM/USDT"):
        market.snapshot(InstrumentId("BINANCE:DOGE/USDT"))
    with pytest.raises(StateCorruptionError, match="cannot be read"):
        market.restore(b"\xc1")
    with pytest.raises(StateCorruptionError, match="XRPETH"):
        market.restore(ReplayMarket(trades).save())
    for speed in (0.0, -1.0, float("inf"), float("nan")):
        with pytest.raises(ConfigurationError, match="speed"):
            ReplayClock(SimulatedClock(), 0, speed)
    with pytest.raises(ConfigurationError, match="ReplayClock"):
        ReplayMarket(capture, speed=2.0)


def test_prints_and_books_of_a_capture_are_what_is_played(capture: CaptureRecording) -> None:
    kinds = {type(e) for e in ReplayMarket(capture).advance(2**62)}
    assert kinds == {FeedStatus, BookUpdate, MarketTrade}
