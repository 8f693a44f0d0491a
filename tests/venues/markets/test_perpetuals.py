"""Perpetuals over the simulated market: books that follow the spot pair, marks, funding rates, saved and restored."""

from __future__ import annotations

from decimal import Decimal as D

import pytest

from engine.errors import NotFoundError, StateCorruptionError
from engine.model.ids import InstrumentId
from engine.model.instrument import InstrumentKind
from engine.model.market import BookUpdate, MarketDatum, MarketTrade, MarkPrice, OrderBook
from engine.model.order import OrderSide
from engine.venues.markets.perpetuals import STEP_NS, PerpetualMarket
from engine.venues.markets.sim_profile import SimulatedSettings
from engine.venues.markets.simulated import SimulatedMarket

START = 1_700_000_000_000_000_000
S = 1_000_000_000
SPOT, PERP = InstrumentId("SIM:BTC/USDT"), InstrumentId("SIM:BTC/USDT:USDT")


def make(seed: int = 7) -> PerpetualMarket:
    return PerpetualMarket(SimulatedMarket(SimulatedSettings(seed=seed, rate=2.0), START), seed=seed)


def of(events: list[MarketDatum], instrument: InstrumentId) -> list[MarketDatum]:
    return [event for event in events if event.instrument == instrument]


def test_it_adds_linear_perpetuals_with_contracts_and_tiers() -> None:
    market = make()
    made = {i.id: i for i in market.instruments() if i.kind is InstrumentKind.LINEAR_PERPETUAL}
    assert set(made) == {PERP, InstrumentId("SIM:ETH/USDT:USDT")}
    assert (made[PERP].multiplier, made[PERP].settle, made[PERP].current_rules.lot) == (D("0.001"), "USDT", D(1))
    assert made[PERP].current_rules.margin[0].max_leverage == 20
    assert market.live(PERP)
    with pytest.raises(NotFoundError):
        market.snapshot(InstrumentId("SIM:XRP/USDT:USDT"))


def test_the_market_below_is_as_it_would_be_alone() -> None:
    alone = SimulatedMarket(SimulatedSettings(seed=7, rate=2.0), START)
    with_perpetuals = make()
    events = with_perpetuals.advance(START + 20 * S)
    assert [e for e in events if ":USDT" not in e.instrument] == alone.advance(START + 20 * S)


def test_a_book_follows_without_a_gap_and_never_crosses_and_equals_the_snapshot() -> None:
    market, book = make(), OrderBook(PERP)
    book.apply(market.snapshot(PERP))
    renewed = 0
    for event in of(market.advance(START + 130 * S), PERP):
        if isinstance(event, BookUpdate):
            assert event.seq == book.seq + 1
            assert book.apply(event)
            assert not book.crossed
            renewed += event.snapshot
    assert renewed == 5
    there = market.snapshot(PERP)
    assert (dict(there.bids), dict(there.asks), there.seq) == (book.bids, book.asks, book.seq)


def test_how_a_span_is_cut_makes_no_difference() -> None:
    whole, pieces = make(), make()
    expected = whole.advance(START + 65 * S)
    found: list[MarketDatum] = []
    at = START
    while at < START + 65 * S:
        at += 700_000_000
        found += pieces.advance(min(at, START + 65 * S))
    assert found == expected


def test_next_time_never_passes_over_a_mark() -> None:
    market = make()
    for _ in range(50):
        due = market.next_time()
        assert due is not None
        assert market.advance(due - 1) == []
        assert market.advance(due)


def test_marks_come_every_second_between_index_and_premium() -> None:
    market = make()
    marks = [e for e in of(market.advance(START + 10 * S), PERP) if isinstance(e, MarkPrice)]
    assert len(marks) == 10
    for mark in marks:
        assert mark.index is not None
        assert abs(mark.mark / mark.index - 1) < D("0.004")
        assert mark.funding_rate is not None
        assert abs(mark.funding_rate) <= D("0.003")
        assert mark.next_funding is not None
        assert mark.next_funding % (8 * 3600 * S) == 0
        assert 0 < mark.next_funding - mark.ts <= 8 * 3600 * S


def test_funding_rates_are_of_both_signs_and_mostly_small() -> None:
    market = make()
    rates = [market._rate("BTC/USDT:USDT", START + hour * 3600 * S) for hour in range(2_000)]
    mean = sum(rates) / len(rates)
    assert 0 < mean < 3e-4
    assert any(rate < 0 for rate in rates)
    assert sum(abs(rate) < 5e-4 for rate in rates) > 1_500
    assert rates[:-1] != rates[1:]


def test_premiums_move_the_tape_with_the_book() -> None:
    market = make()
    events = market.advance(START + STEP_NS)
    spot = [e for e in of(events, SPOT) if isinstance(e, MarketTrade)]
    perp = [e for e in of(events, PERP) if isinstance(e, MarketTrade)]
    assert len(spot) == len(perp) > 10
    shifts = {p.price - s.price for s, p in zip(spot, perp, strict=True)}
    assert 1 <= len(shifts) <= 2
    assert all(p.quantity >= 1 and p.trade_id != s.trade_id for s, p in zip(spot, perp, strict=True))


def test_own_trades_press_on_the_pair_below() -> None:
    market = make()
    before = market.snapshot(SPOT)
    price, quantity = market.snapshot(PERP).asks[0]
    market.impact(PERP, START, OrderSide.BUY, quantity, price)
    assert market.snapshot(SPOT).asks[0][1] < before.asks[0][1] or market.snapshot(SPOT).asks[0] != before.asks[0]
    market.impact(SPOT, START, OrderSide.BUY, 1, market.snapshot(SPOT).asks[0][0])


def test_history_is_that_of_the_pair_in_contracts() -> None:
    market = make()
    (spot,), (perp,) = (market.history(key, "1h", START, 1) for key in (SPOT, PERP))
    assert (perp.open, perp.close, perp.instrument) == (spot.open, spot.close, PERP)
    assert perp.volume == pytest.approx(spot.volume / 100)


def test_a_saved_market_goes_on_and_one_without_perpetuals_gets_them() -> None:
    market = make()
    market.advance(START + 40 * S)
    again = make()
    again.restore(market.save())
    assert again.advance(START + 80 * S) == market.advance(START + 80 * S)
    alone = SimulatedMarket(SimulatedSettings(seed=7, rate=2.0), START)
    alone.advance(START + 40 * S)
    grown = make()
    grown.restore(alone.save())
    assert grown.now == START + 40 * S
    assert of(grown.advance(START + 50 * S), PERP)
    with pytest.raises(StateCorruptionError, match="perpetuals"):
        make().restore(market.save()[:40])


def test_a_gap_is_skipped_with_one_snapshot_each() -> None:
    market = make()
    events = market.skip(START + 3600 * S)
    (book,) = of(events, PERP)
    assert isinstance(book, BookUpdate)
    assert book.snapshot
    following = of(market.advance(START + 3602 * S), PERP)
    assert next(e.seq for e in following if isinstance(e, BookUpdate)) == book.seq + 1
    assert sum(isinstance(e, MarkPrice) for e in following) == 2
