"""The markets a paper venue trades in: cost of a book update, of history, of a saved state, of a replayed capture."""

from __future__ import annotations

import time
from pathlib import Path

from engine.model.market import BookUpdate
from engine.venues.markets.sim_profile import SimulatedSettings
from engine.venues.markets.simulated import SimulatedMarket
from tests.bench.table import Row, best_rate

START = 1_754_900_017 * 10**9
SECOND = 10**9
CAPTURE = Path(__file__).resolve().parents[3] / "shared/data/captures/binance/spot_btcusdt_20240808.jsonl.gz"


def run() -> list[Row]:
    """Measure in processor time, for that is what the event loop gives."""
    update, share = _live(rate=10.0, seconds=300)
    fast, _ = _live(rate=100.0, seconds=30)
    history = min(_history() for _ in range(3))
    rows = [
        Row("simulated market: a book update with its trades", f"{update:.0f} µs", "≤ 60 µs", update <= 60),
        Row("simulated market: the same at 100 a second", f"{fast:.0f} µs", "≤ 60 µs", fast <= 60),
        Row("simulated market: 5 instruments at 10 a second", f"{share:.2f} % of a core", "< 3 %", share < 3),
        Row("simulated market: 90 days of 1h, cold", f"{history:.0f} ms", "< 150 ms", history < 150),
        Row("simulated market: saved state", f"{_saved():.0f} µs"),
    ]
    if CAPTURE.exists():
        rows.append(Row("replay: Binance capture as fast as it goes", f"{best_rate(_replay):,.0f} events/s"))
    return rows


def _live(rate: float, seconds: int) -> tuple[float, float]:
    """Microseconds an update, and per cent of a core."""
    market = SimulatedMarket(SimulatedSettings(seed=1, rate=rate), START)
    began = time.process_time()
    count = 0
    for tick in range(1, seconds * 20 + 1):
        events = market.advance(START + tick * SECOND // 20)
        count += sum(type(event) is BookUpdate for event in events)
    took = time.process_time() - began
    return took / count * 1e6, took / seconds * 100


def _history() -> float:
    market = SimulatedMarket(SimulatedSettings(seed=2), START)
    began = time.process_time()
    assert len(market.history(market.instruments()[0].id, "1h", START, 2160)) == 2160
    return (time.process_time() - began) * 1e3


def _saved() -> float:
    market = SimulatedMarket(SimulatedSettings(seed=1, rate=1.0), START)
    market.advance(START + 7200 * SECOND)
    began = time.process_time()
    for _ in range(200):
        market.save()
    return (time.process_time() - began) / 200 * 1e6


def _replay() -> int:
    from engine.venues.markets.capture import CaptureRecording
    from engine.venues.markets.replay import ReplayMarket

    return len(ReplayMarket(CaptureRecording(CAPTURE)).advance(2**62))
