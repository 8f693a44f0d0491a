"""A panic at simulated exchanges: nothing is entered any more, everything is cancelled, and flat or said not to be.

How long it takes is measured by `tests.bench.panic`; here only what comes of it counts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.wire.panic_scene import DUST, THIN, panic_at

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("kind", ["binance", "okx"])
async def test_a_panic_leaves_nothing_but_what_it_lists(kind: str, tmp_path: Path) -> None:
    async with panic_at(kind, tmp_path) as scene:
        await scene.exhaust(0.5)
        seen = await scene.panic(patience_s=60)
    assert (seen.entered, seen.wrong, seen.violations) == (0, [], {})
    assert seen.refused > 0, "the bot went on asking"
    assert seen.asked > 0, "others were answered meanwhile"
    assert seen.cancelled_s is not None
    assert seen.stop is not None
    assert (seen.stop.done, seen.stop.orders, seen.stop.positions) == (True, 0, 0)
    thin, dust = (scene.instruments[number].id for number in (THIN, DUST))
    listed = {row.instrument: row for row in seen.stop.unclosable}
    assert set(listed) == {thin, dust}
    assert "refuses to close it" in listed[thin].reason
    assert ("below the smallest order" if kind == "okx" else "worth less than") in listed[dust].reason
    assert all(row.quantity > 0 and row.final for row in listed.values())
