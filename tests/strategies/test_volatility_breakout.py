"""Volatility breakout keeps the contract and its own rules."""

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
from strategies.dynamic.volatility_breakout import VolatilityBreakout
from tests.kit.candles import START, walk_bars
from tests.kit.strategy_conformance import StrategyConformance

if TYPE_CHECKING:
    from engine.model.candle import FloatArray

HOUR = 3_600_000_000_000
SMALL: dict[str, object] = {
    "regime_bars": 5, "regime_history": 20, "surge_bars": 5, "atr_period": 3, "half_life": 8.0, "regimes": "any",
    "watch": "",
}  # fmt: skip


class TestConformance(StrategyConformance):
    strategy = "volatility_breakout"
    recorded = "binance_BTCUSDT_1h"
    start = 9000
    count = 700
    made_up = 500
    values: ClassVar[dict[str, object]] = {
        "regimes": "any", "half_life": 10.0, "regime_history": 60, "surge": 3.0, "max_bars": 40, "k": 2.0,
    }  # fmt: skip
    exits: ClassVar[dict[str, dict[str, object]]] = {
        "stop": {},
        "target": {"target_atr": 0.5},
        "opposite breakout": {"stop_atr": 20.0, "target_atr": 20.0},
        "time limit": {"max_bars": 2, "stop_atr": 20.0, "target_atr": 20.0},
    }


def market(*closes: float) -> Bars:
    """Forty hours with a true range of 1 around 100, then these closes with ranges of 1."""
    close = np.array([*[100.0, 100.1] * 20, *closes])
    opened = np.concatenate(([100.0], close[:-1]))
    high, low = np.maximum(opened, close), np.minimum(opened, close)
    middle = (high + low) / 2
    high, low = np.maximum(high, middle + 0.5), np.minimum(low, middle - 0.5)
    ts = START + np.arange(len(close), dtype=np.int64) * HOUR
    return Bars("1h", ts, opened, high, low, close, np.full(len(close), 10.0))


def columns(bars: Bars, **values: object) -> dict[str, FloatArray]:
    return VolatilityBreakout.build({**SMALL, **values}).columns(bars, Toolkit())


def test_a_move_of_more_than_k_atr_is_entered_in_its_direction() -> None:
    wide: dict[str, object] = {"half_life": 10_000.0, "regimes": "any"}
    assert columns(market(101.4), **wide)["entry"][-1] == 0.0
    assert columns(market(102.6), **wide)["entry"][-1] == 1.0
    assert columns(market(97.4), **wide)["entry"][-1] == -1.0
    assert columns(market(97.4), **wide, allow_short=False)["entry"][-1] == 0.0


def test_threshold_and_confidence_decay_until_the_set_up_is_dropped() -> None:
    # With a half-life of four bars the threshold of 1.5 is 1.06 after two and 0.75 after four.
    rest = [100.0] * 2
    found = columns(market(*rest, 103.0, 103.0, 103.0, 103.0, 102.1), half_life=4.0, k=1.5, expiry=20.0)
    assert found["entry"][-5] == 1.0
    assert found["confidence"][-1] == pytest.approx(0.5)
    assert found["entry"][-1] == -1.0
    # Dropped after half a half-life, the reference is the close of two bars before at most.
    moved = columns(market(100.4, 100.8, 101.2, 101.6, 102.0, 102.4), half_life=4.0, expiry=0.5)
    assert (moved["entry"][-6:] == 0.0).all()


def test_only_the_allowed_regimes_are_entered() -> None:
    bars = walk_bars(5, 600, "1h")
    everything = columns(bars)
    for regimes, allowed in (("low", {0.0}), ("low and medium", {0.0, 1.0}), ("medium and high", {1.0, 2.0})):
        found = columns(bars, regimes=regimes)
        entered = found["entry"] != 0
        assert set(found["regime"][entered]) == allowed
        inside = np.isin(everything["regime"], list(allowed))
        np.testing.assert_array_equal(found["entry"][inside], everything["entry"][inside])


def test_size_is_inverse_to_volatility_within_its_bounds() -> None:
    bars = walk_bars(5, 600, "1h")
    found, atr = columns(bars, target_volatility=0.004, least_size=0.5), Toolkit().atr(bars, 3)
    expected = np.clip(0.004 * bars.close[10:] / atr[10:], 0.5, 1.0)
    np.testing.assert_allclose(found["size"][10:], expected)
    assert {0.5, 1.0} < set(found["size"][10:])


def test_a_surge_of_the_whole_market_suppresses_entries() -> None:
    bars = market(102.6)
    calm = bars.rows(np.arange(len(bars)))
    calm.open[:], calm.close[:], calm.high[:], calm.low[:] = 50.0, 50.0, 50.5, 49.5
    wild = calm.rows(np.arange(len(bars)))
    wild.high[-4:-1], wild.low[-4:-1] = 60.0, 40.0
    values: dict[str, object] = {"watch": "ETH/USDT", "half_life": 10_000.0, "surge": 1.5}
    quiet, surged = (columns(beside(bars, {"ETH/USDT": other}), **values) for other in (calm, wild))
    assert (quiet["entry"][-1], surged["entry"][-1]) == (1.0, 0.0)
    assert surged["market_ratio"][-1] > 1.5 > quiet["market_ratio"][-1]


def test_other_markets_are_seen_alike_in_bulk_and_bar_by_bar() -> None:
    bars, other = walk_bars(5, 500, "1h", gaps=0.02), walk_bars(6, 500, "1h", gaps=0.05)
    strategy = VolatilityBreakout.build({**SMALL, "watch": "ETH/USDT, NOT/THERE"})
    whole = strategy.columns(beside(bars, {"ETH/USDT": other}), Toolkit())
    carry: dict[str, FloatArray] = {}
    parts = []
    for start, stop in pairwise([*range(0, len(bars), 7), len(bars)]):
        ta = Toolkit(carry)
        known = other.rows(other.ts < bars.ts[stop - 1])
        parts.append(strategy.columns(beside(bars.slice(start, stop), {"ETH/USDT": known}), ta))
        carry = ta.carry
    assert same_bits(whole, {name: np.concatenate([part[name] for part in parts]) for name in whole}, len(bars)) == ""


def test_percentiles_in_the_wrong_order_are_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"low_percentile \(70\) must be below high_percentile \(67\)"):
        VolatilityBreakout.build({"low_percentile": 70})
