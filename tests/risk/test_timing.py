"""How long risk's calculations take is counted, also where they fail."""

from __future__ import annotations

import pytest

from engine.risk.timing import SLOW_NS, StepTimes
from tests.risk.house import BUY, SOL, House


def test_steps_are_counted_with_mean_last_and_longest() -> None:
    moments = iter([0, 5, 10, 40, 50, 51])
    times = StepTimes(lambda: next(moments))
    with times.step("gate"):
        pass
    with pytest.raises(ValueError, match="no"), times.step("gate"):
        raise ValueError("no")
    with times.step("size"):
        pass
    gate = times.steps["gate"]
    assert (gate.count, gate.last_ns, gate.total_ns, gate.longest_ns, gate.mean_ns) == (2, 30, 35, 30, 17.5)
    assert list(times.steps) == ["gate", "size"]
    times.note("gate", SLOW_NS + 1)
    assert gate.longest_ns == SLOW_NS + 1


def test_the_department_counts_gate_sizes_breakers_and_limits() -> None:
    house = House()
    house.trade(BUY, "1", SOL)
    house.risk.tick(house.now)
    house.later(1)
    house.risk.heard(SOL, house.now)
    counts = {name: step.count for name, step in house.risk.times.steps.items()}
    assert counts == {
        "gate": 1,
        "breakers": 1,
        "limits": 2,
    }
