"""Algorithms on the simulated market, in small; the full measurement is `python -m tests.bench execution`."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from engine.execution.impact import PRIOR, PartSeen, calibrate, table_of
from engine.execution.schedules.almgren_chriss import RISK_AVERSION
from engine.model.order import OrderSide
from tests.kit.arena import (
    CAP,
    MINUTE,
    Outcome,
    Task,
    at_once,
    by_participation,
    by_shortfall,
    by_time,
    by_volume,
    learn,
    practise,
)

TASK = Task("SOL/USDT", 0.2, 5 * MINUTE, 10)
SEEDS = (1, 2)
AVERSION = 20 * RISK_AVERSION
"""In five minutes there is little risk: what it is worth shows at a high aversion."""
KNOWN = table_of(
    [
        PartSeen(size=0.001, scale=0.001, before=n / 10, share=0.1, cost=0.001 * (0.4 * n / 10 + 0.12), variance=1e-12)
        for n in range(10)
    ]
)
"""Executions as in a market of permanent 0.4 and temporary 1.2."""


@cache
def costs() -> dict[str, np.ndarray[tuple[int, ...], np.dtype[np.float64]]]:
    found: dict[str, list[float]] = {"market": [], "twap": [], "shortfall": []}
    for seed in SEEDS:
        for side in OrderSide:
            found["market"].append(at_once(seed, side, TASK).cost)
            found["twap"].append(by_time(seed, side, TASK).cost)
            found["shortfall"].append(by_shortfall(seed, side, TASK, KNOWN, AVERSION)[0].cost)
    return {name: np.array(values) for name, values in found.items()}


def test_a_schedule_is_cheaper_than_the_whole_order_at_once() -> None:
    assert costs()["shortfall"].mean() < costs()["market"].mean()
    assert costs()["twap"].mean() < costs()["market"].mean()


def test_the_shortfall_schedule_takes_less_risk_than_a_twap_and_is_better_for_it() -> None:
    shortfall, twap = costs()["shortfall"], costs()["twap"]
    assert shortfall.var() < twap.var()
    assert shortfall.mean() + AVERSION * shortfall.var() < twap.mean() + AVERSION * twap.var()


@pytest.mark.parametrize("share", [0.05, 0.2])
def test_schedules_are_kept_and_caps_are_never_exceeded(share: float) -> None:
    task = Task("SOL/USDT", share, 5 * MINUTE, 10)

    def off(one: Outcome) -> float:
        return max(one.behind, one.ahead)

    even, volume, part = (play(1, OrderSide.SELL, task) for play in (by_time, by_volume, by_participation))
    assert max(off(even), off(volume), off(part)) <= 1
    assert even.unfilled == 0
    assert 0 < volume.peak <= float(CAP) + 1e-12
    assert 0 < part.peak <= float(task.rate) + 1e-12
    if share > float(CAP):
        assert volume.unfilled > 0


def test_practice_narrows_what_is_not_known() -> None:
    known = calibrate(
        learn([practise(seed, Task("SOL/USDT", 0.2, 2 * MINUTE, 5), table_of([])) for seed in (11, 12, 13)])
    )
    assert known.seen >= 15
    assert known.deviations[0] < PRIOR.deviations[0]
    assert known.permanent > 0
    assert known.temporary > 0
