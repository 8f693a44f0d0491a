"""The benchmarks of books and streams measure what they say: nothing is lost, and rounds go on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from engine.venues.native.books.loading import load
from tests.bench import books, streams
from tests.bench.recordings import Recording, binance, coinbase, okx

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.mark.parametrize(
    "make",
    [okx, coinbase, lambda: binance("binance/spot_btcusdt_20240808", "BTC/USDT")],
    ids=["okx", "coinbase", "spot"],
)
def test_books_go_on_over_the_end_of_a_round(shared_data: Path, make: Callable[[], Recording]) -> None:
    recording = make()
    load()
    rates = books.ours(recording, compiled=True, most=len(recording.updates) + 2)
    assert min(rates) > 1_000


async def test_every_message_of_the_exchange_reaches_the_hub(shared_data: Path, tmp_path: Path) -> None:
    with streams.exchange() as port:
        first, second = await streams.measure(port, tmp_path, [(400, 0.5), (2_000, 0.2)])
    assert (first.lost, second.lost) == (0, 0)
    assert (len(first.latency), len(second.latency)) == (180, 360)
    assert min(first.latency) > 0
    assert first.lag.late
