"""Adaptive momentum keeps the contract and its own rules."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import pytest

from engine.errors import ConfigurationError
from engine.model.candle import Bars
from engine.model.watched import beside
from engine.strategy.conformance import same_bits
from engine.strategy.toolkit import Toolkit
from strategies.dynamic.adaptive_momentum import AdaptiveMomentum
from tests.kit.candles import START, recorded_bars, walk_bars
from tests.kit.strategy_conformance import StrategyConformance

if TYPE_CHECKING:
    from pathlib import Path

    from engine.model.candle import FloatArray

SMALL: dict[str, object] = {
    "fast": 4, "middle": 6, "slow": 8, "regime_bars": 5, "regime_history": 30, "correlation_bars": 10, "atr_period": 3,
    "watch": "A/USDT, B/USDT, C/USDT, D/USDT",
}  # fmt: skip
OTHERS = ("A/USDT", "B/USDT", "C/USDT", "D/USDT")


class TestConformance(StrategyConformance):
    strategy = "adaptive_momentum"
    recorded = "binance_BTCUSDT_1h"
    start = 6000
    count = 420
    made_up = 400
    values: ClassVar[dict[str, object]] = {**SMALL, "threshold": 0.8, "max_bars": 30, "watch": "ETH/USDT"}
    exits: ClassVar[dict[str, dict[str, object]]] = {
        "momentum has turned": {},
        "stop": {**SMALL, "stop_max": 1.0, "threshold": 1.0},
        "time limit": {"max_bars": 3},
    }


def drift(rate: float, count: int = 120, seed: int = 1, noise: float = 0.0001) -> Bars:
    """Hours of a market that gains `rate` a bar, with some noise."""
    steps = rate + np.random.default_rng(seed).normal(0.0, noise, count)
    close = 100.0 * np.exp(np.cumsum(steps))
    opened = np.concatenate(([100.0], close[:-1]))
    ts = START + np.arange(count, dtype=np.int64) * 3_600_000_000_000
    high, low = np.maximum(opened, close) * 1.0005, np.minimum(opened, close) * 0.9995
    return Bars("1h", ts, opened, high, low, close, np.full(count, 5.0))


def columns(bars: Bars, others: dict[str, Bars] | None = None, **values: object) -> dict[str, FloatArray]:
    strategy = AdaptiveMomentum.build({**SMALL, **values})
    return strategy.columns(beside(bars, others) if others is not None else bars, Toolkit())


def test_only_the_strongest_is_bought_and_only_the_weakest_sold() -> None:
    rates = (0.002, 0.0, -0.001, -0.002)
    others = {
        symbol: drift(rate, seed=place + 2) for place, (symbol, rate) in enumerate(zip(OTHERS, rates, strict=True))
    }
    best, middle, worst = (columns(drift(rate), others, threshold=0.0) for rate in (0.008, 0.0006, -0.008))
    late = slice(60, None)
    assert best["known"][-1] == 5.0
    assert (best["place"][late] == 1.0).all()
    assert (best["entry"][late] == 1.0).all()
    assert (worst["place"][late] == 5.0).all()
    assert (worst["entry"][late] == -1.0).all()
    assert (middle["place"][late] == 2.0).all()
    assert not middle["entry"][late].any()
    assert not columns(drift(-0.004), others, threshold=0.0, allow_short=False)["entry"].any()


def test_a_market_that_falls_back_among_the_others_is_left() -> None:
    weak = {symbol: drift(0.003, seed=place + 2) for place, symbol in enumerate(OTHERS)}
    found = columns(drift(0.001), weak)
    late = slice(60, None)
    assert (found["exit_long"][late] == 1.0).all()
    rising = found["score"][late] > 0
    assert rising.any()
    assert (found["exit_tag"][late][rising] == 1.0).all()


def test_alone_the_score_decides() -> None:
    found = columns(drift(0.003))
    assert (found["known"] == 1.0).all()
    assert (found["entry"][60:] == 1.0).all()
    assert (columns(drift(0.003, noise=0.01), threshold=9.0)["entry"] == 0.0).all()


def test_lookbacks_and_threshold_follow_the_regime_of_volatility() -> None:
    bars = walk_bars(5, 900, "1h")
    adapted = columns(bars, low_factor=0.5, high_factor=2.0, watch="")
    regime = adapted["entry_tag"]
    assert {0.0, 1.0, 2.0, 3.0} == set(regime)
    for row, factor in ((0.0, 0.5), (1.0, 1.0), (2.0, 2.0), (3.0, 1.0)):
        fixed = columns(bars, watch="", low_factor=factor, medium_factor=factor, high_factor=factor)
        inside = (regime == row) & (np.arange(900) > 60)
        if row == 3.0:
            inside = (regime == row) & ~np.isnan(fixed["score"])
        np.testing.assert_array_equal(adapted["score"][inside], fixed["score"][inside])
        np.testing.assert_array_equal(adapted["entry"][inside], fixed["entry"][inside])


def test_the_medium_row_holds_and_is_named_while_the_regime_cannot_be_told() -> None:
    bars = drift(0.003)
    found = columns(bars, watch="", high_factor=5.0, low_factor=5.0)
    unknown = np.arange(len(bars)) < 34
    assert (found["entry_tag"][unknown] == 3.0).all()
    assert AdaptiveMomentum.entry_tags[3] == "momentum, unknown volatility"
    assert (found["entry"][20:34] == 1.0).all()


def test_size_shrinks_with_correlation_to_its_floor() -> None:
    bars = drift(0.001, noise=0.004)
    alike, other = (
        columns(bars, {"A/USDT": _one_later(bars)}, watch="A/USDT"),
        columns(bars, {"A/USDT": drift(0.001, seed=9, noise=0.004)}),
    )
    assert (alike["size"][60:] == 0.2).all()
    assert other["size"][60:].mean() > 0.6
    assert (columns(bars)["size"] == 1.0).all()


def _one_later(bars: Bars) -> Bars:
    """The same market: what is seen of it at a row is the bar before, which the correlation takes into account."""
    return bars.rows(np.arange(len(bars)))


def test_the_stop_widens_with_stress_between_its_bounds() -> None:
    bars = walk_bars(5, 600, "1h")
    found, atr = columns(bars, watch=""), Toolkit().atr(bars, 3)
    width = found["stop_distance"][60:] / atr[60:]
    np.testing.assert_allclose(width, 1.0 + 3.0 * found["stress"][60:])
    assert width.min() < 1.3
    assert width.max() > 3.7


def test_five_recorded_markets_are_ranked_alike_in_bulk_and_bar_by_bar(shared_data: Path) -> None:
    names = {"ETH/USDT": "ETHUSDT", "XRP/USDT": "XRPUSDT", "BNB/USDT": "BNBUSDT", "ADA/USDT": "ADAUSDT"}
    bars = recorded_bars(shared_data, "binance_BTCUSDT_1h", 4000, 400)
    others = {symbol: recorded_bars(shared_data, f"binance_{name}_1h", 3999, 401) for symbol, name in names.items()}
    strategy = AdaptiveMomentum.build({**SMALL, "watch": ", ".join(names), "threshold": 0.2})
    whole = strategy.columns(beside(bars, others), Toolkit())
    assert (whole["known"][100:] == 5.0).all()
    assert set(whole["place"][100:]) == {1.0, 2.0, 3.0, 4.0, 5.0}
    carry: dict[str, FloatArray] = {}
    parts = []
    for start, stop in pairwise([0, *range(300, len(bars) + 1)]):
        ta = Toolkit(carry)
        # Live no more is known than what had closed when the newest bar opened.
        known = {symbol: other.rows(other.ts < bars.ts[stop - 1]) for symbol, other in others.items()}
        parts.append(strategy.columns(beside(bars.slice(start, stop), known), ta))
        carry = ta.carry
    assert same_bits(whole, {name: np.concatenate([part[name] for part in parts]) for name in whole}, len(bars)) == ""


def test_bounds_in_the_wrong_order_are_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"fast \(50\) must be below middle \(50\)"):
        AdaptiveMomentum.build({"fast": 50})
    with pytest.raises(ConfigurationError, match="stop_min"):
        AdaptiveMomentum.build({"stop_min": 5.0})
