"""Reading what a run over several markets names: files of quotes, recordings, stored candles, funding rates."""

from __future__ import annotations

import hashlib
import math
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from engine.backtest.instruments import decimals_of, instrument_for, minimum_notional
from engine.backtest.markets.synthetic import SyntheticBook
from engine.backtest.markets.tapes import EventTape, QuoteTape
from engine.backtest.spec import data_hash
from engine.errors import DataError
from engine.model.candle import Bars, Candle, timeframe_ns
from engine.model.ids import Currency
from engine.model.instrument import Instrument, InstrumentKind, InstrumentRules
from engine.venues.markets.recording import open_recording
from storage.candle_sets import CandleSet

if TYPE_CHECKING:
    from engine.backtest.markets.spec import MarketSource, MarketsSpec
    from engine.backtest.markets.tapes import Tape
    from engine.model.candle import FloatArray, IntArray
    from storage.candles import CandleStore

__all__ = ["read_funding", "read_quotes", "read_tape"]

_COLUMNS = ("bid", "ask", "bid_size", "ask_size")
_TIMES = {"ts": 1, "ts_ns": 1, "timestamp": 1_000_000}
"""Name of the column of times, and its nanoseconds."""


def read_tape(source: MarketSource, spec: MarketsSpec, store: CandleStore) -> Tape:
    """What one market of a run did.

    Raises:
        DataError: It cannot be read, or there is nothing of it in the range.
        NotFoundError: There are no such candles.
    """
    if source.quotes:
        return read_quotes(source, spec)
    if source.recording:
        return _recorded(source, spec)
    key = CandleSet.of(source.venue, source.symbol, source.timeframe or spec.timeframe)
    bars = store.read(key, spec.start, spec.end)
    if not len(bars):
        raise DataError(f"There are no candles of {key.words} in that range; `quarterdeck data list` shows what is.")
    instrument = _traded(instrument_for(spec, key, bars), spec)
    book = SyntheticBook(instrument, bars, spec.synthetic_spread_bps)
    words = (
        f"{len(bars):,} bars of {key.timeframe} of {key.instrument}, as books of five levels made out of volume and "
        "volatility at four moments of each bar"
    )
    return EventTape(instrument=instrument, ts=book.ts, events=book, words=words, digest=data_hash(bars))


def read_quotes(source: MarketSource, spec: MarketsSpec) -> QuoteTape:
    """A file of quotes: `ts` (ns) or `timestamp` (ms), `bid`, `ask`, `bid_size`, `ask_size`.

    Raises:
        DataError: It cannot be read, a column is missing, times go back, or a book is crossed.
    """
    path = Path(source.quotes or "")
    ts, columns = _table(path)
    keep = slice(
        0 if spec.start is None else int(ts.searchsorted(spec.start)),
        len(ts) if spec.end is None else int(ts.searchsorted(spec.end)),
    )
    ts, columns = ts[keep], {name: column[keep] for name, column in columns.items()}
    if not len(ts):
        raise DataError(f"The file {path} has no quotes in that range.")
    if (np.diff(ts) < 0).any():
        raise DataError(f"The quotes of {path} are not in order of time; sort them first.")
    both = (columns["bid_size"] > 0) & (columns["ask_size"] > 0)
    wrong = both & ~(columns["bid"] < columns["ask"])
    if wrong.any():
        row = int(wrong.argmax())
        raise DataError(f"Row {row} of {path} has its bid at or above its ask.", details={"row": row})
    instrument = _instrument(source, spec, columns)
    bars = _bars(instrument, ts, columns, source.timeframe or spec.timeframe)
    return QuoteTape(
        instrument=instrument,
        ts=ts,
        bid=columns["bid"],
        ask=columns["ask"],
        bid_size=columns["bid_size"],
        ask_size=columns["ask_size"],
        bars=bars,
        words=f"{len(ts):,} quotes of {instrument.id} ({path.name})",
    )


def read_funding(path: Path) -> tuple[IntArray, FloatArray]:
    """Funding rates: `timestamp` (ms) or `ts` (ns) of each payment, and `funding_rate` as a fraction, ascending.

    Raises:
        DataError: It cannot be read, a column is missing, or a rate is no number.
    """
    table = _read(path)
    name = next((name for name in _TIMES if name in table), None)
    if name is None or "funding_rate" not in table:
        raise DataError(f"The file {path} needs the columns timestamp (ms) and funding_rate.")
    ts = np.asarray(table[name]).astype(np.int64) * _TIMES[name]
    rates = np.asarray(table["funding_rate"], dtype=np.float64)
    if not np.isfinite(rates).all():
        raise DataError(f"The column funding_rate of {path} holds values that are none.")
    order = np.argsort(ts, kind="stable")
    return ts[order], rates[order]


def _recorded(source: MarketSource, spec: MarketsSpec) -> EventTape:
    recording = open_recording(Path(source.recording or ""), venue=source.venue.upper(), symbol=source.symbol or None)
    wanted = f"{source.venue.upper()}:{source.symbol.upper()}"
    found = {str(instrument.id): instrument for instrument in recording.instruments()}
    instrument = found.get(wanted)
    if instrument is None:
        raise DataError(f"The recording {recording.name} has no {wanted}; it has {', '.join(sorted(found)) or 'none'}.")
    events = [event for event in recording.events() if event.instrument == instrument.id]
    ts = np.maximum.accumulate(np.array([_time(event) for event in events], dtype=np.int64))
    keep = slice(
        0 if spec.start is None else int(ts.searchsorted(spec.start)),
        len(ts) if spec.end is None else int(ts.searchsorted(spec.end)),
    )
    return EventTape(
        instrument=_traded(_with_fees(instrument, spec), spec),
        ts=ts[keep],
        events=events[keep],
        digest=hashlib.blake2b(msgspec.msgpack.encode(events[keep]), digest_size=16).hexdigest(),
        words=f"{len(events[keep]):,} recorded events of {wanted} ({recording.name})",
    )


def _time(event: object) -> int:
    if isinstance(event, Candle):
        return event.ts + timeframe_ns(event.timeframe)
    return int(event.ts)  # type: ignore[attr-defined]


def _with_fees(instrument: Instrument, spec: MarketsSpec) -> Instrument:
    rules = msgspec.structs.replace(
        instrument.current_rules, valid_from=0, maker_fee=spec.maker_fee, taker_fee=spec.taker_fee
    )
    return msgspec.structs.replace(instrument, rules=(rules,))


def _traded(instrument: Instrument, spec: MarketsSpec) -> Instrument:
    """The instrument with the kind that its symbol tells, and margin where shorts are allowed."""
    kind = InstrumentKind.MARGIN if spec.allow_short else InstrumentKind.SPOT
    settle = instrument.symbol.partition(":")[2]
    if settle:
        kind = InstrumentKind.LINEAR_PERPETUAL
    if instrument.kind in (InstrumentKind.SPOT, InstrumentKind.MARGIN):
        return msgspec.structs.replace(instrument, kind=kind, settle=Currency(settle) if settle else instrument.settle)
    return instrument


def _read(path: Path) -> dict[str, np.ndarray]:
    import pyarrow as pa

    if not path.is_file():
        raise DataError(f"There is no file {path}; check the path.")
    try:
        if path.suffix == ".parquet":
            import pyarrow.parquet as pq

            table = pq.read_table(path)
        else:
            import pyarrow.csv as pc

            with pa.input_stream(str(path)) as stream:
                table = pc.read_csv(stream)
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"The file {path} cannot be read: {error}") from error
    return {name: table.column(name).to_numpy() for name in table.column_names if _numeric(table.column(name).type)}


def _numeric(kind: object) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))


def _table(path: Path) -> tuple[IntArray, dict[str, FloatArray]]:
    table = _read(path)
    name = next((name for name in _TIMES if name in table), None)
    missing = [column for column in _COLUMNS if column not in table]
    if name is None or missing:
        needed = ", ".join(("ts (ns) or timestamp (ms)", *_COLUMNS))
        raise DataError(f"The file {path} of quotes needs the columns {needed}.")
    ts = np.asarray(table[name]).astype(np.int64) * _TIMES[name]
    columns = {column: np.ascontiguousarray(table[column], dtype=np.float64) for column in _COLUMNS}
    for column, values in columns.items():
        if not np.isfinite(values).all() or (values < 0).any():
            raise DataError(f"The column {column} of {path} holds values that are none.")
    return ts, columns


def _instrument(source: MarketSource, spec: MarketsSpec, columns: dict[str, FloatArray]) -> Instrument:
    base, _, rest = source.symbol.upper().partition("/")
    quote, _, settle = rest.partition(":")
    prices = [decimals_of(columns[name][:50_000]) for name in ("bid", "ask")]
    sizes = [decimals_of(columns[name][:50_000]) for name in ("bid_size", "ask_size")]
    middle = float(np.median(columns["bid"][:50_000]))
    tick = spec.price_tick or Decimal(1).scaleb(-max((p if p is not None else 8) for p in prices))
    steps = max((s if s is not None else 8) for s in sizes)
    lot = spec.lot or Decimal(1).scaleb(min(-steps, math.floor(-math.log10(max(middle, 1e-8)))))
    least = minimum_notional(source.venue, quote) if spec.min_notional is None else spec.min_notional
    rules = InstrumentRules(
        valid_from=0,
        price_tick=tick,
        lot=lot,
        min_notional=least,
        maker_fee=spec.maker_fee,
        taker_fee=spec.taker_fee,
    )
    key = CandleSet.of(source.venue, source.symbol, source.timeframe or spec.timeframe)
    made = Instrument(
        id=key.instrument,
        venue=key.venue,
        symbol=key.symbol,
        kind=InstrumentKind.SPOT,
        base=Currency(base),
        quote=Currency(quote),
        settle=Currency(settle or quote),
        rules=(rules,),
    )
    return _traded(made, spec)


def _bars(instrument: Instrument, ts: IntArray, columns: dict[str, FloatArray], timeframe: str) -> list[Candle]:
    """Closed bars of the middle of the quotes; they have no volume."""
    length = timeframe_ns(timeframe)
    known = (columns["bid_size"] > 0) & (columns["ask_size"] > 0)
    middle, times = ((columns["bid"] + columns["ask"]) / 2)[known], ts[known]
    if not len(times):
        return []
    slot = times // length
    first = np.concatenate(([0], np.nonzero(np.diff(slot))[0] + 1))
    last = np.append(first[1:], len(times)) - 1
    high, low = np.maximum.reduceat(middle, first), np.minimum.reduceat(middle, first)
    bars = Bars(timeframe, slot[first] * length, middle[first], high, low, middle[last], np.zeros(len(first)))
    ended = bars.ts + length <= ts[-1]
    rows = zip(
        *(column[ended].tolist() for column in (bars.ts, bars.open, bars.high, bars.low, bars.close, bars.volume)),
        strict=True,
    )
    return [Candle(instrument.id, timeframe, *row) for row in rows]
