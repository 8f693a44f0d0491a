"""A quoter on a million quotes (W4): the event path with full order life, and the compiled road of quoting sweeps."""

from __future__ import annotations

from tests.bench.ours_quotes import measure
from tests.bench.peers import data
from tests.bench.table import Row

__all__ = ["run"]

EVENT, COMPILED = 50_000, 1_000_000
"""Quotes a second: one and a half of NautilusTrader's 33,000, and a third of hftbacktest's 3 M."""


def run() -> list[Row]:
    """Measure both roads in one process."""
    found = measure(data.QUOTES)
    event, compiled = found["event"], found["compiled"]
    same = event["fills"] == compiled["fills"]
    count = len(event["fills"])
    return [
        Row(
            "quotes, event path, quotes per CPU second",
            f"{event['per_cpu_second']:,.0f}",
            f"≥ {EVENT:,}",
            event["per_cpu_second"] >= EVENT,
        ),
        Row(
            "quotes, compiled road, quotes per CPU second",
            f"{compiled['per_cpu_second']:,.0f}",
            f"≥ {COMPILED:,}",
            compiled["per_cpu_second"] >= COMPILED,
        ),
        Row("quotes, fills of both roads", f"{count:,}, {'equal' if same else 'DIFFERENT'}", "equal", same),
    ]
