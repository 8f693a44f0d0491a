"""Daily returns: what is known, what is missing, and how markets move together."""

from __future__ import annotations

import numpy as np
import pytest

from engine.model.candle import Candle
from engine.model.ids import InstrumentId
from engine.risk.returns import CORRELATION_DAYS, LEAST_CORRELATED, DailyReturns

DAY = 86_400_000_000_000
TODAY = 20_000
A, B, C = InstrumentId("SIM:A/USDT"), InstrumentId("SIM:B/USDT"), InstrumentId("SIM:C/USDT")


def candles(instrument: InstrumentId, closes: list[float], until: int = TODAY) -> list[Candle]:
    """Daily candles whose last one is of the day before `until`."""
    first = until - len(closes)
    return [
        Candle(instrument, "1d", (first + place) * DAY, close, close, close, close, 1.0)
        for place, close in enumerate(closes)
    ]


def walk(seed: int, days: int) -> list[float]:
    return [float(price) for price in 100.0 * np.exp(np.cumsum(np.random.default_rng(seed).normal(0, 0.03, days)))]


def test_returns_are_those_of_consecutive_closes() -> None:
    returns = DailyReturns(10)
    returns.take(A, candles(A, [100.0, 110.0, 99.0]))
    matrix = returns.matrix((A,), TODAY, 3)
    assert np.isnan(matrix[0, 0])
    assert matrix[1:, 0] == pytest.approx([0.1, -0.1])
    assert (returns.last_day(A), returns.count(A)) == (TODAY - 1, 3)


def test_a_day_that_is_missing_makes_both_returns_beside_it_unknown() -> None:
    returns = DailyReturns(10)
    told = candles(A, [100.0, 110.0, 121.0, 133.1])
    returns.take(A, [told[0], told[1], told[3]])
    assert np.isnan(returns.matrix((A,), TODAY, 3)[1:, 0]).all()
    returns.take(A, [told[2]])
    assert returns.matrix((A,), TODAY, 3)[:, 0] == pytest.approx([0.1, 0.1, 0.1])


def test_a_market_of_which_nothing_is_known_is_a_column_without_numbers() -> None:
    returns = DailyReturns(5)
    returns.take(A, candles(A, walk(1, 6)))
    matrix = returns.matrix((A, B), TODAY)
    assert matrix.shape == (5, 2)
    assert not np.isnan(matrix[:, 0]).any()
    assert np.isnan(matrix[:, 1]).all()
    assert returns.last_day(B) is None


def test_days_that_have_not_closed_other_timeframes_and_impossible_prices_are_left_out() -> None:
    returns = DailyReturns(5)
    growing = Candle(A, "1d", TODAY * DAY, 1, 1, 1, 1.0, 1, closed=False)
    hour = Candle(A, "1h", (TODAY - 1) * DAY, 1, 1, 1, 1.0, 1)
    nothing = Candle(A, "1d", (TODAY - 1) * DAY, 0, 0, 0, 0.0, 0)
    returns.take(A, [growing, hour, nothing])
    assert returns.instruments == ()
    assert returns.version == 0


def test_only_so_many_days_are_kept_and_the_venues_word_replaces_an_earlier_one() -> None:
    returns = DailyReturns(3)
    returns.take(A, candles(A, walk(1, 50)))
    assert returns.count(A) == 4
    version = returns.version
    returns.take(A, candles(A, walk(1, 50))[-2:])
    assert returns.version == version
    returns.take(A, candles(A, [77.0]))
    assert returns.version == version + 1
    assert returns.matrix((A,), TODAY, 1)[0, 0] == pytest.approx(77.0 / walk(1, 50)[-2] - 1)


def test_correlation_is_pearsons_over_the_last_thirty_days() -> None:
    returns = DailyReturns(100)
    one, other = walk(1, 90), walk(2, 90)
    returns.take(A, candles(A, one))
    returns.take(B, candles(B, other))
    both = np.diff(np.log([one[-31:], other[-31:]]), axis=1)
    simple = np.expm1(both)
    assert returns.between(A, B) == pytest.approx(float(np.corrcoef(simple)[0, 1]), abs=1e-12)
    assert returns.between(B, A) == returns.between(A, B)
    assert returns.between(A, A) == 1.0


def test_a_market_that_moves_as_another_does_is_at_one_and_against_it_at_minus_one() -> None:
    returns = DailyReturns(100)
    prices = walk(3, 60)
    returns.take(A, candles(A, prices))
    returns.take(B, candles(B, [price * 7 for price in prices]))
    steps = np.diff(prices) / np.array(prices[:-1])
    returns.take(C, candles(C, [float(p) for p in 50.0 * np.cumprod(np.concatenate(([1.0], 1.0 - steps)))]))
    assert returns.between(A, B) == pytest.approx(1.0)
    assert returns.between(A, C) == pytest.approx(-1.0)
    assert returns.mean_correlation((A, B, C, A)) == pytest.approx(-1 / 3)


@pytest.mark.parametrize(("days", "known"), [(LEAST_CORRELATED, False), (LEAST_CORRELATED + 1, True)])
def test_too_little_history_is_no_correlation(days: int, known: bool) -> None:
    returns = DailyReturns(100)
    returns.take(A, candles(A, walk(1, 90)))
    returns.take(B, candles(B, walk(2, days)))
    assert (returns.between(A, B) is not None) is known
    assert returns.between(A, C) is None
    assert returns.mean_correlation((A, C)) is None
    assert CORRELATION_DAYS == 30


def test_a_market_that_stands_still_has_no_correlation() -> None:
    returns = DailyReturns(100)
    returns.take(A, candles(A, walk(1, 60)))
    returns.take(B, candles(B, [5.0] * 60))
    assert returns.between(A, B) is None


def test_a_correlation_is_computed_anew_when_a_day_is_added() -> None:
    returns = DailyReturns(100)
    returns.take(A, candles(A, walk(1, 60)))
    returns.take(B, candles(B, walk(2, 60)))
    before = returns.between(A, B)
    returns.take(A, candles(A, [500.0], TODAY + 1))
    returns.take(B, candles(B, [500.0], TODAY + 1))
    after = returns.between(A, B)
    assert before is not None
    assert after is not None
    assert before != after
    returns.forget(B)
    assert returns.between(A, B) is None


def test_correlations_that_are_computed_ahead_are_the_same() -> None:
    ahead, asked = DailyReturns(100), DailyReturns(100)
    flat, gap = InstrumentId("SIM:F/USDT"), InstrumentId("SIM:G/USDT")
    markets = {
        A: candles(A, walk(1, 60)),
        B: candles(B, walk(2, 60)),
        C: candles(C, walk(3, 60), TODAY - 2),
        flat: candles(flat, [5.0] * 60),
        gap: [candle for place, candle in enumerate(candles(gap, walk(4, 60))) if place % 11],
    }
    for returns in (ahead, asked):
        returns.warm()
        for key, told in markets.items():
            returns.take(key, told)
    ahead.warm()
    for one in markets:
        for other in markets:
            known, found = ahead.between(one, other), asked.between(one, other)
            assert known == (None if found is None else pytest.approx(found, abs=1e-12))
    ahead.take(A, candles(A, [1.0], TODAY + 1))
    asked.take(A, candles(A, [1.0], TODAY + 1))
    assert ahead.between(A, B) == asked.between(A, B)
