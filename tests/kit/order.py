"""In which order tests run beside each other: those that wait long begin first, while others have something to compute.

Left where they are, the longest of them would begin near the end, and all cores would wait with them. Half of the
workers begin with them, so that the other half keeps the machine busy meanwhile.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pytest

__all__ = ["WAITING", "arrange"]

WAITING = (
    "tests/wire/test_live_engine.py",
    "tests/chaos/test_wire_chaos.py",
    "tests/chaos/test_chaos.py",
    "tests/chaos/test_handovers.py",
    "tests/chaos/test_power.py",
    "tests/engine/test_venues.py",
    "tests/engine/test_engine.py",
    "tests/console/test_keys_commands.py",
    "tests/console/test_engine_commands.py",
    "tests/console/test_headless.py",
    "tests/console/test_launcher.py",
    "tests/console/test_walk.py",
    "tests/control/test_venue_operations.py",
    "tests/control/test_venue_process.py",
    "tests/control/test_recording_operations.py",
    "tests/control/test_panic.py",
    "tests/wire/binance/test_spot_ccxt.py",
    "tests/wire/okx/test_okx_ccxt.py",
)
"""Modules whose tests mostly wait, for processes and for real time, the longest first."""


def arrange(items: Sequence[pytest.Item], workers: int) -> list[pytest.Item]:
    """The tests so that every second worker begins with tests that wait.

    Args:
        items: All tests; each worker is given an equal part of them, one after the other.
        workers: How many there are.
    """
    by_module: dict[str, list[pytest.Item]] = {module: [] for module in WAITING}
    computing: list[pytest.Item] = []
    for item in items:
        by_module.get(item.nodeid.partition("::")[0], computing).append(item)
    waiting = [item for module in WAITING for item in by_module[module]]
    beginners = max(1, workers // 2)
    arranged: list[pytest.Item] = []
    taken = 0
    for number in range(workers):
        first = waiting[number // 2 :: beginners] if number % 2 == 0 and number // 2 < beginners else []
        rest = len(items) * (number + 1) // workers - len(arranged) - len(first)
        arranged += [*first, *computing[taken : taken + max(rest, 0)]]
        taken += max(rest, 0)
    return arranged + computing[taken:]
