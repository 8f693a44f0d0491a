"""The benchmarks of orders and of memory measure what they say, over a simulated exchange in its own process."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.bench import orders, venue_memory
from tests.bench.streams import exchange

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


async def test_the_bytes_of_every_order_and_cancel_are_seen_on_the_socket(tmp_path: Path) -> None:
    with orders.simulator("okx") as said:
        written, replied = await orders.measure(tmp_path, "okx", said, 2, warm=0)
    assert len(written) == len(replied) == 4
    assert 0 < min(written) < max(written) < 5_000


async def test_two_connections_are_weighed_with_the_whole_list(
    shared_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(venue_memory, "SECONDS", 0.2)
    with exchange() as port:
        first, second, count = await venue_memory.connections(port)
    assert count == 3_000
    assert max(first, second) < 200
