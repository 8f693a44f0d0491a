"""The days: what is read, which bots trade it, and where the outage is."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np

from engine.model.candle import Bars, timeframe_ns
from strategies.static.mean_reversion import MeanReversion
from strategies.static.trend_following import TrendFollowing
from tests.crash_days.world import SECOND, Market, Plan, World, instrument

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from engine.model.ids import InstrumentId
    from engine.strategy.contract import Strategy
    from tests.crash_days.world import Guards

__all__ = ["BITFINEX", "OKX_FLAT", "OKX_SILENT", "Day", "at"]

WARM_UP = 600
"""Bars before the day that strategies begin with."""


def at(text: str) -> int:
    """UTC nanoseconds of `2017-03-10 20:00`."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * SECOND


def _read(data: Path, name: str, timeframe: str, begin: int, end: int) -> tuple[Bars, Bars]:
    """Bars before and within a span of time; a file of minutes is put together to the timeframe."""
    import pyarrow.parquet as pq

    table = pq.read_table(data / "candles" / f"{name}.parquet")
    ts = table["timestamp"].to_numpy().astype(np.int64) * 1_000_000
    length = timeframe_ns(timeframe)
    rows = (ts >= begin - 2 * WARM_UP * length) & (ts < end)
    columns = [table[field].to_numpy().astype(np.float64)[rows] for field in ("open", "high", "low", "close", "volume")]
    ts = ts[rows]
    groups = ts // length * length
    starts = np.flatnonzero(np.r_[True, groups[1:] != groups[:-1]])
    opened, high, low, close, volume = columns
    ends = np.r_[starts[1:], len(ts)] - 1
    bars = Bars(
        timeframe, groups[starts], opened[starts], np.maximum.reduceat(high, starts), np.minimum.reduceat(low, starts),
        close[ends], np.add.reduceat(volume, starts),
    )  # fmt: skip
    inside = bars.ts >= begin
    first = int(np.argmax(inside))
    return _cut(bars, max(0, first - WARM_UP), first), _cut(bars, first, len(bars))


def _cut(bars: Bars, first: int, last: int) -> Bars:
    fields = (getattr(bars, name)[first:last] for name in ("ts", "open", "high", "low", "close", "volume"))
    return Bars(bars.timeframe, *fields)


def _dips(lookback: int, threshold: float) -> Callable[[], Strategy]:
    """Buys what has fallen, with a stop so far away that it does not help in a crash."""
    params = {
        "lookback_period": lookback, "entry_threshold": threshold, "stop_atr": 20.0, "target_atr": 6.0,
        "volume_factor": 0.0, "atr_min": 0.0, "atr_max": 1.0, "confirm": False, "allow_short": False,
    }  # fmt: skip
    return lambda: MeanReversion.build(params)


def _trend(fast: int, slow: int) -> Callable[[], Strategy]:
    """Follows what rises."""
    params = {
        "fast_ma": fast, "slow_ma": slow, "rsi_long": 52.0, "volume_factor": 0.0, "trail_atr": 6.0, "max_levels": 1,
        "allow_short": False,
    }  # fmt: skip
    return lambda: TrendFollowing.build(params)


def _bots(first: InstrumentId, second: InstrumentId) -> tuple[Plan, ...]:
    """Five bots: three on the first market, two on the second."""
    return (
        Plan(name="trend-1", strategy=_trend(10, 30), instrument=first),
        Plan(name="dip-fast", strategy=_dips(20, 1.8), instrument=first),
        Plan(name="dip-slow", strategy=_dips(60, 2.2), instrument=first),
        Plan(name="trend-2", strategy=_trend(10, 30), instrument=second),
        Plan(name="dip-2", strategy=_dips(30, 2.0), instrument=second),
    )


class Day:
    """One replay that can be made with breakers and without.

    Args:
        title: Its heading.
        text: What happened and how it is replayed.
        files: (file, venue, symbol, tick, lot) of the two markets.
        timeframe: Of the bars that strategies see.
        fee: Taker fee as a fraction.
        begin: When the replay begins.
        end: When it ends.
        silent: From when to when the venue sends and answers nothing; None for never.
    """

    def __init__(
        self,
        title: str,
        text: str,
        files: tuple[tuple[str, str, str, str, str], ...],
        timeframe: str,
        fee: str,
        begin: str,
        end: str,
        silent: tuple[str, str] | None = None,
    ) -> None:
        self.title = title
        self.text = text
        self.begin, self.end = at(begin), at(end)
        self.silent = None if silent is None else (at(silent[0]), at(silent[1]))
        self._files = files
        self._timeframe = timeframe
        self._fee = fee

    def world(self, data: Path, *, guards: Guards, begin: int | None = None, end: int | None = None) -> World:
        """A world of this day, or of a part of it.

        Args:
            data: The folder of recorded data.
            guards: Which breakers act.
            begin: UTC nanoseconds, in place of the day's own.
            end: Likewise.
        """
        markets = []
        for name, venue, symbol, tick, lot in self._files:
            past, bars = _read(data, name, self._timeframe, begin or self.begin, end or self.end)
            market = instrument(venue, symbol, tick, lot, self._fee)
            markets.append(Market(instrument=market, past=past, bars=bars))
        first, second = (market.instrument.id for market in markets)
        silent = self.silent
        return World(
            markets,
            _bots(first, second),
            guards=guards,
            deaf=lambda now: silent is not None and silent[0] <= now < silent[1],
        )


BITFINEX = Day(
    "2017-03-10: Bitcoin falls by a quarter within the hour",
    "The exchange-traded fund that many had waited for was refused shortly after 21:00 UTC. Bitcoin on Bitfinex went "
    "from 1,293 to 958 US dollars within the hour, after a first plunge and recovery at 13:20. One-minute bars of "
    "BTC/USD and ETH/USD, put together to five minutes.",
    (
        ("bitfinex_BTCUSD_1m_2016-2018", "BITFINEX", "BTC/USD", "0.1", "0.0001"),
        ("bitfinex_ETHUSD_1m_2017", "BITFINEX", "ETH/USD", "0.001", "0.001"),
    ),
    "5m",
    "0.002",
    "2017-03-10 06:00",
    "2017-03-12 00:00",
)
_OKX = (
    ("okx_BTC-USDT-SWAP_5m", "OKX", "BTC/USDT", "0.1", "0.0001"),
    ("okx_ETH-USDT-SWAP_5m", "OKX", "ETH/USDT", "0.01", "0.001"),
)
_OUTAGE = (
    "OKX did not trade from 08:40 to 18:50 UTC. Five-minute bars of the BTC and ETH perpetuals, whose prices are "
    "traded here as spot, long only. "
)
OKX_FLAT = Day(
    "2022-12-18 (a): OKX delivers flat bars without volume",
    _OUTAGE + "For those ten hours the venue delivers unchanged quotes and flat bars without volume, as the recorded "
    "data hold them. Orders are taken and never fill.",
    _OKX,
    "5m",
    "0.0005",
    "2022-12-18 00:00",
    "2022-12-19 00:00",
)
OKX_SILENT = Day(
    "2022-12-18 (b): OKX says nothing, and order calls fail",
    _OUTAGE + "For those ten hours every message is withheld and every call fails.",
    _OKX,
    "5m",
    "0.0005",
    "2022-12-18 00:00",
    "2022-12-19 00:00",
    ("2022-12-18 08:40", "2022-12-18 18:50"),
)
