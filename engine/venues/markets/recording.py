"""Recordings: what a replay reads, and those that are tables of candles or trades.

A table of candles has no book and a table of trades has none either. Both give a book of one level a side around the
last price, at a declared half-spread and a declared depth: enough to show a price and to fill an order at an honest
cost, and no more than that. Fills inside a bar are the business of the paper venue's bar model.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import TYPE_CHECKING, Protocol

from engine.errors import DataSourceError, DataValidationError
from engine.model.candle import Candle, timeframe_ns, timeframe_text
from engine.model.candle_builder import bar_open
from engine.model.ids import TradeId
from engine.model.market import BookUpdate, MarketDatum, MarketTrade
from engine.model.order import OrderSide
from engine.venues.markets.listing import decimal_places, split_pair, spot_instrument

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    import pyarrow as pa

    from engine.model.candle import FloatArray, IntArray
    from engine.model.ids import InstrumentId
    from engine.model.instrument import Instrument

__all__ = ["CandleRecording", "Recording", "TradeRecording", "aggregate", "open_recording"]

_MS = 1_000_000
_MAX_PLACES = 10
"""Decimal places believed of a float column; what is beyond is noise of the format."""
_BLOCK = 4_096
"""Rows turned into candles at once: a year of minutes as Python floats would fill the memory."""
_PAST = 1_000
_SAMPLE = 5_000
"""Rows looked at to find the decimal places of a column."""


class Recording(Protocol):
    """Recorded market data that can be read from the beginning again and again."""

    @property
    def name(self) -> str:
        """What it is called in messages; also tells one recording from another in a saved state."""

    @property
    def start_time(self) -> int:
        """UTC nanoseconds of the first event."""

    @property
    def timeframe(self) -> str | None:
        """Timeframe of recorded candles; None where there are none."""

    def instruments(self) -> tuple[Instrument, ...]:
        """What was recorded."""

    def events(self) -> Iterator[MarketDatum]:
        """All events in order of time, from the beginning."""

    def candles(self, instrument: InstrumentId, start: int, end: int) -> list[Candle]:
        """Recorded candles with opens in [start, end) (UTC nanoseconds), oldest first; empty where there are none."""


def open_recording(
    path: Path, *, venue: str = "SIM", symbol: str | None = None, timeframe: str | None = None
) -> Recording:
    """Open a recorded session (its folder), a raw capture (`.jsonl`, `.jsonl.gz`), or a table of trades or candles.

    Args:
        path: The file, or the session's folder.
        venue: Venue part of the instruments' ids.
        symbol: `BASE/QUOTE` of a table; None takes it from a file name such as `binance_BTCUSDT_1h.parquet`.
        timeframe: Of a table of candles; None measures it.

    Raises:
        DataSourceError: The file cannot be read.
        DataValidationError: It is no recording, or its symbol cannot be told.
    """
    if path.is_dir():
        from engine.venues.markets.session import SessionRecording

        return SessionRecording(path, venue)
    if ".jsonl" in path.suffixes:
        from engine.venues.markets.capture import CaptureRecording

        return CaptureRecording(path, venue)
    table = read_table(path, ("timestamp",))
    symbol = symbol if symbol is not None else _symbol_in(path.name)
    if "side" in table.column_names:
        return TradeRecording(path, venue, symbol)
    # Charts and strategies want something to begin with, so a part of the bars is past already.
    timeframe = timeframe if timeframe is not None else _timeframe_in(path)
    return CandleRecording(path, venue, symbol, timeframe, past=min(table.num_rows // 2, _PAST))


def _timeframe_in(path: Path) -> str:
    """The most frequent distance of bars."""
    ms = read_table(path, ("timestamp",)).column("timestamp").to_numpy()[:_SAMPLE]
    steps = (ms[1:] - ms[:-1]).tolist()
    if not steps:
        raise DataValidationError(f"{path.name} has too few bars to tell their timeframe; name it.")
    return timeframe_text(max(set(steps), key=steps.count) * _MS)


def _symbol_in(name: str) -> str:
    """`BASE/QUOTE` out of a file name, such as `okx_ETH-BTC_1h.parquet`."""
    for word in re.split(r"[_\s.]+", name):
        pair = re.fullmatch(r"([A-Z0-9]{2,})-([A-Z]{3,})(?:-[A-Z0-9]+)*", word)
        if pair is not None:
            return f"{pair[1]}/{pair[2]}"
        if re.fullmatch(r"[A-Z0-9]{5,}", word):
            try:
                return "/".join(split_pair(word))
            except DataValidationError:
                continue
    raise DataValidationError(f"The file name {name} tells no symbol; name it like binance_BTCUSDT_1h.parquet.")


def aggregate(candles: Iterable[Candle], timeframe: str) -> list[Candle]:
    """Candles of a longer timeframe out of shorter ones, oldest first; gaps stay gaps.

    The last bar counts as closed only if the shorter candles reach its end.
    """
    result: list[Candle] = []
    length = timeframe_ns(timeframe)
    group: list[Candle] = []

    def close() -> None:
        if group:
            ts = bar_open(group[0].ts, timeframe)
            last = group[-1]
            done = last.ts + timeframe_ns(last.timeframe) >= ts + length and last.closed
            high, low = max(c.high for c in group), min(c.low for c in group)
            volume = sum(c.volume for c in group)
            result.append(
                Candle(last.instrument, timeframe, ts, group[0].open, high, low, last.close, volume, closed=done)
            )

    for candle in candles:
        if group and candle.ts >= bar_open(group[0].ts, timeframe) + length:
            close()
            group = []
        group.append(candle)
    close()
    return result


class CandleRecording:
    """Candles of one instrument out of a Parquet or CSV file.

    Columns: `timestamp` (UTC milliseconds of the bar's open), `open`, `high`, `low`, `close`, `volume`. At each bar's
    end it gives a one-level book around the close and then the closed candle. Holes in the file stay holes.

    Args:
        path: The file.
        venue: Venue part of the instrument's id.
        symbol: `BASE/QUOTE`.
        timeframe: Of the bars.
        half_spread_bps: Declared distance of bid and ask from the close, in basis points.
        depth_share: Declared quantity of each side as a share of the bar's volume.
        past: Bars at the file's beginning that are history from the start and are not played.

    Raises:
        DataSourceError: The file cannot be read.
        DataValidationError: A column is missing or a bar is broken; names row and value.
    """

    def __init__(
        self,
        path: Path,
        venue: str,
        symbol: str,
        timeframe: str,
        *,
        half_spread_bps: float = 1.0,
        depth_share: float = 0.1,
        past: int = 0,
    ) -> None:
        self._timeframe = timeframe
        self._length = timeframe_ns(timeframe)
        self._half_spread = half_spread_bps * 1e-4
        self._depth_share = depth_share
        table = read_table(path, ("timestamp", "open", "high", "low", "close", "volume"))
        self._ts: IntArray = table.column("timestamp").to_numpy().astype("int64") * _MS
        self._columns: list[FloatArray] = [
            table.column(name).to_numpy().astype("float64") for name in ("open", "high", "low", "close", "volume")
        ]
        _check_bars(path.name, self._ts, self._columns)
        self._past = min(max(past, 0), len(self._ts) - 1)
        self.name = f"{path.name} {timeframe}"
        self._instrument = spot_instrument(
            venue,
            symbol,
            price_places=_places(self._columns[3]),
            quantity_places=_places(self._columns[4]),
        )

    @property
    def start_time(self) -> int:
        """UTC nanoseconds at which the first bar that is played closes."""
        return int(self._ts[self._past]) + self._length

    @property
    def timeframe(self) -> str | None:
        """Of the bars."""
        return self._timeframe

    def instruments(self) -> tuple[Instrument, ...]:
        """The one instrument."""
        return (self._instrument,)

    def events(self) -> Iterator[MarketDatum]:
        """Book and candle at each bar's end."""
        instrument = self._instrument
        unit = 10**instrument.quantity_scale
        seq = 0
        for begin in range(self._past, len(self._ts), _BLOCK):
            for candle in self._block(begin, begin + _BLOCK):
                seq += 1
                quantity = max(round(candle.volume * self._depth_share * unit), 1)
                end = candle.ts + self._length
                yield one_level_book(instrument, end, seq, candle.close, self._half_spread, quantity)
                yield candle

    def candles(self, instrument: InstrumentId, start: int, end: int) -> list[Candle]:
        """Bars that open in [start, end)."""
        if instrument != self._instrument.id:
            return []
        first, last = self._ts.searchsorted([start, end]).tolist()
        return self._block(first, last)

    def _block(self, first: int, last: int) -> list[Candle]:
        name, timeframe = self._instrument.id, self._timeframe
        rows = zip(self._ts[first:last].tolist(), *(c[first:last].tolist() for c in self._columns), strict=True)
        return [Candle(name, timeframe, *row) for row in rows]


class TradeRecording:
    """Trades of one instrument out of a Parquet or CSV file.

    Columns: `timestamp` (UTC milliseconds), `id`, `side` (the aggressor's, buy or sell), `price`, `amount` (base
    units). Each trade is followed by a one-level book around its price where the price has changed.

    Args:
        path: The file.
        venue: Venue part of the instrument's id.
        symbol: `BASE/QUOTE`.
        half_spread_bps: Declared distance of bid and ask from the last price, in basis points.
        depth: Declared quantity of each side in base units; None for ten median trades.

    Raises:
        DataSourceError: The file cannot be read.
        DataValidationError: A column is missing, or trades are out of order.
    """

    def __init__(
        self,
        path: Path,
        venue: str,
        symbol: str,
        *,
        half_spread_bps: float = 1.0,
        depth: float | None = None,
    ) -> None:
        self._half_spread = half_spread_bps * 1e-4
        table = read_table(path, ("timestamp", "id", "side", "price", "amount"))
        self._ts: IntArray = table.column("timestamp").to_numpy().astype("int64") * _MS
        _check_order(path.name, self._ts, 0)
        self._ids = [str(i) for i in table.column("id").to_pylist()]
        self._buys = [side == "buy" for side in table.column("side").to_pylist()]
        self._prices: FloatArray = table.column("price").to_numpy().astype("float64")
        self._amounts: FloatArray = table.column("amount").to_numpy().astype("float64")
        self.name = path.name
        self._instrument = spot_instrument(
            venue, symbol, price_places=_places(self._prices), quantity_places=_places(self._amounts)
        )
        unit = 10**self._instrument.quantity_scale
        if depth is None:
            depth = 10 * float(sorted(self._amounts)[len(self._amounts) // 2])
        self._depth = max(round(depth * unit), 1)

    @property
    def start_time(self) -> int:
        """UTC nanoseconds of the first trade."""
        return int(self._ts[0])

    @property
    def timeframe(self) -> str | None:
        """None: it has no candles of its own."""
        return None

    def instruments(self) -> tuple[Instrument, ...]:
        """The one instrument."""
        return (self._instrument,)

    def events(self) -> Iterator[MarketDatum]:
        """Trades, each with the book around a new price."""
        instrument = self._instrument
        price_unit, quantity_unit = 10**instrument.price_scale, 10**instrument.quantity_scale
        seq, last = 0, -1.0
        for ts, trade_id, buy, price, amount in zip(
            self._ts.tolist(), self._ids, self._buys, self._prices.tolist(), self._amounts.tolist(), strict=True
        ):
            side = OrderSide.BUY if buy else OrderSide.SELL
            yield MarketTrade(
                instrument.id, ts, TradeId(trade_id), round(price * price_unit), round(amount * quantity_unit), side
            )
            if price != last:
                seq, last = seq + 1, price
                yield one_level_book(instrument, ts, seq, price, self._half_spread, self._depth)

    def candles(self, instrument: InstrumentId, start: int, end: int) -> list[Candle]:
        """None."""
        return []


def one_level_book(
    instrument: Instrument, ts: int, seq: int, price: float, half_spread: float, quantity: int
) -> BookUpdate:
    """A book of one level a side around a price, at least one tick wide."""
    middle = price * 10**instrument.price_scale
    tick = instrument.price_to_int(instrument.current_rules.price_tick)
    bid = int(middle * (1 - half_spread) / tick) * tick
    ask = max(-int(-middle * (1 + half_spread) // tick) * tick, bid + tick)
    return BookUpdate(instrument.id, ts, seq, snapshot=True, bids=((bid, quantity),), asks=((ask, quantity),))


def read_table(path: Path, columns: Sequence[str]) -> pa.Table:
    """Read a Parquet or CSV file that must have some columns.

    Raises:
        DataSourceError: It cannot be read.
        DataValidationError: It has no rows or lacks a column.
    """
    import pyarrow as pa
    import pyarrow.csv
    import pyarrow.parquet

    try:
        table = pa.parquet.read_table(path) if path.suffix == ".parquet" else pa.csv.read_csv(path)
    except (OSError, pa.ArrowInvalid) as error:
        raise DataSourceError(f"{path} cannot be read: {error}") from error
    missing = [name for name in columns if name not in table.column_names]
    if missing:
        raise DataValidationError(f"{path.name} has no column {', '.join(missing)}; it has {table.column_names}.")
    if not table.num_rows:
        raise DataValidationError(f"{path.name} has no rows.")
    return table


def _places(values: FloatArray) -> int:
    """Decimal places of the values, judged by a sample spread over all of them."""
    places = 0
    for value in values[:: max(len(values) // _SAMPLE, 1)].tolist():
        places = max(places, decimal_places(Decimal(repr(value))))
    return min(places, _MAX_PLACES)


def _check_bars(name: str, ts: IntArray, columns: list[FloatArray]) -> None:
    import numpy as np

    open_, high, low, close, volume = columns
    # Written so that a NaN anywhere makes it false.
    sound = (low > 0) & (low <= np.minimum(open_, close)) & (np.maximum(open_, close) <= high)
    sound &= np.isfinite(high) & (volume >= 0)
    if not sound.all():
        row = int(np.argmin(sound))
        values = ", ".join(str(c[row]) for c in columns)
        raise DataValidationError(f"{name}: bar {row + 1} is broken (open, high, low, close, volume = {values}).")
    _check_order(name, ts, 1)


def _check_order(name: str, ts: IntArray, step: int) -> None:
    """Refuse rows whose time is not at least `step` ns after the row before."""
    late = ts[1:] - ts[:-1] < step
    if late.any():
        raise DataValidationError(
            f"{name}: row {int(late.argmax()) + 2} is not after the one before it; sort the file."
        )
