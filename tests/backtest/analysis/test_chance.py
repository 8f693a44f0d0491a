"""Random entries by hand and by count, and the verdicts about one run and about a choice."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import numpy as np
import pytest

from engine.backtest.analysis.chance import choice_among
from engine.backtest.analysis.compare import Contender
from engine.backtest.analysis.random_entries import random_entries, random_places
from engine.backtest.trades import ClosedTrade
from engine.errors import DataError
from engine.model.order import OrderSide
from tests.backtest.analysis.test_bias import walk
from tests.backtest.helpers import HOUR, START, make_bars

if TYPE_CHECKING:
    from engine.model.candle import FloatArray

DAY = 24 * HOUR


def trade(first: int, last: int, entry: float, exit: float, *, side: OrderSide = OrderSide.BUY) -> ClosedTrade:
    """A trade of one unit at 1 % of costs."""
    fees = Decimal(str(entry)) / 100
    gain = (Decimal(str(exit)) - Decimal(str(entry))) * side.sign
    return ClosedTrade(
        entry_time=START + first * HOUR, exit_time=START + last * HOUR, side=side, entry_price=Decimal(str(entry)),
        exit_price=Decimal(str(exit)), quantity=Decimal(1), fees=fees, pnl=gain - fees, reason="out", entry_reason="in",
    )  # fmt: skip


def test_places_never_overlap_and_keep_every_length() -> None:
    holds = np.array([3, 1, 7, 2])
    begin, end, which = random_places(np.random.default_rng(1), holds, 20, 500)
    assert ((end - begin) == holds[which]).all()
    assert (begin >= 0).all()
    assert (end <= 20).all()
    assert (begin[:, 1:] >= end[:, :-1]).all()
    assert (np.sort(which, axis=1) == np.arange(4)).all()
    # Without room to spare there is one way to stand, but for the order.
    begin, end, _ = random_places(np.random.default_rng(1), holds, 13, 50)
    assert (begin[:, 0] == 0).all()
    assert (end[:, -1] == 13).all()


def test_a_market_that_rises_by_the_same_share_makes_all_entries_equal() -> None:
    price = 100.0 * 1.01 ** np.arange(61)
    bars = make_bars([(p, p, p, p) for p in price])
    trades = [trade(k, k + 2, float(price[k]), float(price[k + 2])) for k in range(0, 50, 10)]
    found = random_entries(trades, bars, iterations=300)
    # Two bars of 1 % less costs of 1 %: whoever enters, whenever.
    assert found["actual"] == pytest.approx(1.01**2 - 1 - 0.01)
    assert found["mean"] == pytest.approx(found["actual"])
    assert found["deviation"] == pytest.approx(0.0, abs=1e-12)


def test_a_trader_who_knows_beats_chance_and_one_who_knows_nothing_does_not() -> None:
    bars = walk(600)
    moves = bars.open[2:] / bars.open[:-2] - 1
    best = [first for first in np.argsort(-moves) if first % 4 == 0][:20]
    knowing = [trade(k, k + 2, float(bars.open[k]), float(bars.open[k + 2])) for k in sorted(best)]
    found = random_entries(knowing, bars, iterations=500)
    assert found["p_value"] == pytest.approx(1 / 501)
    shorts = [trade(k, k + 2, float(bars.open[k]), float(bars.open[k + 2]), side=OrderSide.SELL) for k in sorted(best)]
    assert random_entries(shorts, bars, iterations=500)["p_value"] == 1.0
    blind = [trade(k, k + 2, float(bars.open[k]), float(bars.open[k + 2])) for k in range(0, 600 - 30, 30)]
    assert 0.05 < random_entries(blind, bars, iterations=500)["p_value"] < 0.95


def test_what_cannot_be_compared_is_refused() -> None:
    bars = walk(60)
    with pytest.raises(DataError, match="needs 5 or more"):
        random_entries([], bars)
    always = [trade(k, k + 12, 100.0, 101.0) for k in range(0, 60, 12)]
    with pytest.raises(DataError, match="in the market all the time"):
        random_entries(always, bars)


def contender(name: str, daily: FloatArray, *, first: int = 0, trades: int = 50) -> Contender:
    ts = START + (first + np.arange(len(daily) + 1)) * DAY
    equity = np.asarray(1000.0 * np.cumprod(np.concatenate(([1.0], 1.0 + daily))), dtype=np.float64)
    return Contender(
        id=name, name=name, strategy="one", market=f"SIM:{name}", ts=ts, equity=equity, trades=trades, fees=1.0,
        required_sharpe=1.0, drawdown_limit=0.15, costs="fees 0.001",
    )  # fmt: skip


def test_the_choice_among_runs_is_judged_on_their_common_days() -> None:
    rng = np.random.default_rng(4)
    noise = rng.normal(0.0, 0.01, (6, 200))
    noise[0] += 0.01
    runs = [contender(f"run{k}", noise[k], first=k) for k in range(6)]
    found = choice_among(runs, 8)
    assert found["probability"] == 0.0
    assert found["chosen"][0] == {"id": "run0", "name": "run0", "times": 70}
    assert "robust in this test" in found["verdict"]
    assert sum(found["logits"]["counts"]) == found["splits"] == 70
    without = choice_among([contender(f"run{k}", noise[k] - noise[k].mean()) for k in range(1, 6)], 8)
    assert "likely overfitted" in without["verdict"]
