"""A universe's rule: who fulfils it, who enters and leaves, and that a past one sees nothing of its future."""

from __future__ import annotations

from decimal import Decimal as D
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from engine.control.universes import PastUniverse
from engine.errors import ConfigurationError, NotFoundError
from engine.market.universe import facts_from_bars, facts_from_ticker, judge, needs_history, seats_after
from engine.model.candle import Bars, timeframe_ns
from engine.model.ids import InstrumentId
from engine.model.market import Ticker
from engine.model.universe import MarketFacts, Seat, UniverseRule, universe_rule
from engine.strategy.practice import START, walk_bars
from storage.candle_sets import CandleSet
from storage.candles import CandleStore

if TYPE_CHECKING:
    from pathlib import Path

HOUR, DAY = timeframe_ns("1h"), timeframe_ns("1d")


def market(symbol: str, volume: float = 100.0, **more: Any) -> MarketFacts:
    return MarketFacts(symbol=symbol, quote=symbol.partition("/")[2], volume=D(str(volume)), price=D(10), **more)


def ranks(rule: UniverseRule, *facts: MarketFacts) -> dict[str, int]:
    return {verdict.symbol: verdict.rank for verdict in judge(rule, facts)}


def test_markets_are_ranked_by_volume_and_equal_ones_by_name() -> None:
    found = ranks(UniverseRule(), market("C/USDT", 5), market("A/USDT", 7), market("B/USDT", 5), market("A/BTC", 99))
    assert found == {"A/USDT": 1, "B/USDT": 2, "C/USDT": 3, "A/BTC": 0}


@pytest.mark.parametrize(
    ("rule", "facts", "words"),
    [
        ({"min_volume": 200}, {}, "volume 100 is below 200"),
        ({"kind": "perpetual"}, {}, "of the kind spot"),
        ({"min_age_days": 30}, {"age_days": 29.5}, "age in days 29.5 is below 30"),
        ({"max_age_days": 10}, {"age_days": 11.0}, "age in days 11 is above 10"),
        ({"max_spread": "0.01"}, {"bid": D("9.8"), "ask": D(10)}, "spread 0.02 is above 0.01"),
        ({"max_spread": "0.01"}, {}, "its spread is not known"),
        ({"min_volatility": "0.02"}, {"volatility": 0.01}, "volatility 0.01 is below 0.02"),
        ({"max_change": "0.1"}, {"change": D("0.2")}, "change 0.2 is above 0.1"),
        ({"min_price": 11}, {}, "price 10 is below 11"),
        ({"deny": "A*/USDT"}, {}, "deny names it"),
        ({"allow": ["B/*"]}, {}, "no pattern of allow"),
        ({}, {"trading": False}, "does not trade it"),
    ],
)
def test_each_condition_says_why_a_market_is_left_out(rule: dict[str, Any], facts: dict[str, Any], words: str) -> None:
    (verdict,) = judge(universe_rule(rule), [market("A/USDT", **facts)])
    assert verdict.rank == 0
    assert words in verdict.reason


def test_a_rule_is_read_as_a_person_writes_it() -> None:
    rule = universe_rule({"quote": "usdt,top=5,deny=*UP/USDT;*DOWN/USDT,min_age_days=30"})
    assert (rule.quote, rule.top, rule.min_age_days) == ("USDT", 5, 30)
    assert rule.deny == ("*UP/USDT", "*DOWN/USDT")
    with pytest.raises(ConfigurationError, match=r"tops.*It knows quote"):
        universe_rule({"tops": 3})


def test_a_member_leaves_only_after_it_ranked_too_low_several_times() -> None:
    rule = UniverseRule(top=2, leave_factor=D("1.5"), leave_after=2)
    names = ["A/USDT", "B/USDT", "C/USDT", "D/USDT"]
    first = judge(rule, [market(name, 100 - i) for i, name in enumerate(names)])
    seats = seats_after(rule, first, {})
    assert list(seats) == ["A/USDT", "B/USDT"]

    # B falls to rank 3, within 2 * 1.5: it stays, and there is no place for C.
    third = judge(rule, [market("A/USDT", 9), market("C/USDT", 8), market("B/USDT", 7), market("D/USDT", 6)])
    assert list(seats_after(rule, third, seats)) == ["A/USDT", "B/USDT"]

    # To rank 4: it stays once, and makes room at the second time.
    fourth = judge(rule, [market("A/USDT", 9), market("C/USDT", 8), market("D/USDT", 7), market("B/USDT", 6)])
    once = seats_after(rule, fourth, seats)
    assert once["B/USDT"].low == 1
    assert list(seats_after(rule, third, once).values())[1] == Seat(symbol="B/USDT"), "it counts anew"
    assert list(seats_after(rule, fourth, once)) == ["A/USDT", "C/USDT"]


def test_a_market_that_is_delisted_leaves_at_once() -> None:
    rule = UniverseRule(top=2, leave_after=5)
    seats = {"A/USDT": Seat(symbol="A/USDT"), "B/USDT": Seat(symbol="B/USDT")}
    assert list(seats_after(rule, judge(rule, [market("B/USDT")]), seats)) == ["B/USDT"], "it is not listed any more"
    halted = judge(rule, [market("A/USDT", trading=False), market("B/USDT")])
    assert list(seats_after(rule, halted, seats)) == ["B/USDT"]


def test_facts_of_a_ticker() -> None:
    ticker = Ticker(instrument=InstrumentId("X:A/USDT"), ts=1, last=D(12), open=D(10), base_volume=D(5))
    facts = facts_from_ticker("A/USDT", "USDT", "spot", ticker, [1.0, 2.0, 4.0, 8.0], 3)
    assert (facts.volume, facts.change, facts.age_days) == (D(60), D("0.2"), 4.0)
    assert facts.volatility == pytest.approx(0.0, abs=1e-12)
    assert not facts_from_ticker("A/USDT", "USDT", "spot", None, None, 3).trading
    assert needs_history(universe_rule({"min_age_days": 30, "max_volatility": 1})) == 31
    assert needs_history(UniverseRule()) == 0


def test_what_comes_later_changes_nothing_of_a_past_universe() -> None:
    bars = walk_bars(5, 24 * 30, "1h")
    at = START + 12 * DAY + HOUR
    known = int(np.searchsorted(bars.ts, at - HOUR, side="right"))
    other = Bars("1h", bars.ts, *(np.concatenate((c[:known], c[known:] * 9)) for c in
                                 (bars.open, bars.high, bars.low, bars.close, bars.volume)))  # fmt: skip
    facts = facts_from_bars("A/USDT", "spot", bars, HOUR, at, 5)
    assert facts == facts_from_bars("A/USDT", "spot", other, HOUR, at, 5)
    day = slice(known - 24, known)
    assert float(facts.volume or 0) == pytest.approx(float((bars.volume[day] * bars.close[day]).sum()))
    assert float(facts.change or 0) == pytest.approx(bars.close[known - 1] / bars.open[known - 24] - 1)
    assert facts.age_days == pytest.approx(12 + 1 / 24)


def test_a_market_that_was_not_there_yet_or_any_more_is_no_member() -> None:
    bars = walk_bars(5, 240, "1h")
    assert not facts_from_bars("A/USDT", "spot", bars, HOUR, START, 5).trading
    assert facts_from_bars("A/USDT", "spot", bars, HOUR, START + HOUR, 5).trading
    assert not facts_from_bars("A/USDT", "spot", bars, HOUR, START + 12 * DAY, 5).trading


def test_members_through_time_follow_the_volume_as_it_was(tmp_path: Path) -> None:
    store = CandleStore(tmp_path)
    one, two = walk_bars(1, 24 * 20, "1h"), walk_bars(2, 24 * 20, "1h")
    half = np.where(np.arange(24 * 20) < 24 * 10, 1.0, 1000.0)
    store.merge(
        CandleSet.of("x", "A/USDT", "1h"), Bars("1h", one.ts, one.open, one.high, one.low, one.close, half[::-1])
    )
    store.merge(CandleSet.of("x", "B/USDT", "1h"), Bars("1h", two.ts, two.open, two.high, two.low, two.close, half))
    rule = UniverseRule(top=1, leave_factor=D(1), leave_after=2, refresh_s=86_400)
    past = PastUniverse(rule, store, "x")
    found = past.members(past.start, past.end)
    assert [sorted(members) for _, members in found] == [[], ["A/USDT"], ["B/USDT"]]
    turned = (found[2][0] - past.start) // DAY
    assert 11 <= turned <= 13, "a day until the volume shows it, and one refresh more by hysteresis"
    with pytest.raises(NotFoundError, match="data download"):
        PastUniverse(rule, store, "nowhere")
