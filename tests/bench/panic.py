"""A panic at each simulated exchange, as `tests.wire.panic_scene` sets it up.

The request budget that data may have is used up, limits are enforced by the exchange and by our coordinator, requests
take 50 ms there and back, a bot asks for orders without a pause, and two positions cannot be closed. The engine, the
exchange and everybody who asks share one process.
"""

from __future__ import annotations

import asyncio
import logging

from tests.bench.table import Row, workplace
from tests.wire.panic_scene import HELD, KINDS, RESTING, panic_at

BAR_S = 3.0
PATIENCE_S = 60.0
"""Longest wait for the budget to be used up: data requests are spaced out on their way there."""


def run() -> list[Row]:
    """Measure everything of this module."""
    logging.disable(logging.WARNING)
    return [row for kind in KINDS for row in asyncio.run(_rows(kind))]


async def _rows(kind: str) -> list[Row]:
    with workplace(f"panic-{kind}") as home:
        async with panic_at(kind, home) as scene:
            share = await scene.exhaust(PATIENCE_S)
            seen = await scene.panic()
    left = () if seen.stop is None else seen.stop.unclosable
    in_time = seen.done_s is not None and seen.done_s <= BAR_S
    clean = not seen.wrong and not seen.violations and not seen.entered and seen.cancelled_s is not None
    return [
        Row(
            f"panic at {kind}: {RESTING} orders, {HELD} positions, {share:.0%} of the budget used by data",
            f"{_s(seen.cancelled_s)} until all are cancelled, {_s(seen.listed_s)} until flat or listed, "
            f"{_s(seen.done_s)} until done; {len(left)} listed",
            f"<= {BAR_S:g} s",
            in_time and clean,
        ),
        Row(
            f"  {seen.entered} orders entered after the halt, {seen.refused} refused to the bot that spins",
            f"{seen.asked} other operations answered, the slowest in {seen.slowest_s * 1e3:.0f} ms; "
            f"{sum(seen.violations.values())} limits of the exchange exceeded, {len(seen.wrong)} books that differ",
            "0 entered",
            clean,
        ),
    ]


def _s(seconds: float | None) -> str:
    return "never" if seconds is None else f"{seconds:.2f} s"
