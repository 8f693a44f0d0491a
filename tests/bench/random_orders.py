"""100,000 random orders, each judged by an accountant of its own; see `tests.risk.worst_case`."""

from __future__ import annotations

import time
from collections import Counter

from tests.bench.table import Row
from tests.risk.worst_case import SESSION, trade

ORDERS = 100_000
SHOWN = 8


def run() -> list[Row]:
    """The rows of the table; the first session in which a limit was exceeded ends it with what happened."""
    began, bound = time.perf_counter(), Counter[str]()
    asked = passed = told = seed = 0
    problem = ""
    while asked < ORDERS and not problem:
        seed += 1
        try:
            trading = trade(seed, min(SESSION, ORDERS - asked))
        except AssertionError as error:
            problem = f"session {seed}: {error}"
            break
        asked, passed, told = asked + trading.asked, passed + trading.passed, told + trading.told
        bound.update(trading.bound)
    took = time.perf_counter() - began
    reasons = ", ".join(f"{reason} {count:,}" for reason, count in bound.most_common(SHOWN))
    return [
        Row(f"{asked:,} random orders, {passed:,} passed: limits exceeded", problem or "0", "0", not problem),
        Row("  exceeded limits seen after a price and said within it", f"{told:,}"),
        Row("  what kept the others out", reasons),
        Row("  time", f"{took:,.0f} s"),
    ]
