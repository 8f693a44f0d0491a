"""One part of a recorded market on disk: a folder with a Parquet file for each kind of event, written whole.

Prices and quantities are exact scaled integers; their scales are in each file's metadata (`quarterdeck.recording`).
`number` counts the session's events across all markets and kinds and gives back their order.
"""

from __future__ import annotations

import os
import shutil
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec

from engine.errors import DataError
from engine.model.candle import Candle
from engine.model.ids import TradeId
from engine.model.market import BookUpdate, FeedStatus, MarketDatum, MarketTrade, MarkPrice
from engine.model.order import OrderSide
from storage.recordings.chunk import ANCHOR, CHANGE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pyarrow as pa

    from engine.model.ids import InstrumentId
    from engine.model.instrument import Instrument
    from storage.recordings.chunk import Books, Chunk, Trades

__all__ = ["Row", "read_part", "write_part"]

_KEY = b"quarterdeck.recording"
_DELTA = "DELTA_BINARY_PACKED"

Row = tuple[int, int, MarketDatum, int]
"""Number, UTC nanoseconds of receipt, the event, and for books the kind of row."""


def write_part(path: Path, chunk: Chunk, instrument: Instrument) -> int:
    """Write a chunk, sync it to disk, and give it its name.

    Args:
        path: Folder it is to become.
        chunk: What to write.
        instrument: The market, for its scales.

    Returns:
        Bytes on disk.

    Raises:
        OSError: It cannot be written; nothing is left.
    """
    unfinished = path.with_name(path.name + ".part")
    unfinished.mkdir(parents=True, exist_ok=True, mode=0o700)
    words = {"instrument": instrument.id, "price_scale": instrument.price_scale, "version": 1}
    words["quantity_scale"] = instrument.quantity_scale
    metadata = {_KEY: msgspec.json.encode(words)}
    try:
        size = 0
        for name, table in _tables(chunk):
            size += _write(unfinished / f"{name}.parquet", table.replace_schema_metadata(metadata))
        _sync_folder(unfinished)
        unfinished.replace(path)
        _sync_folder(path.parent)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise
    return size


def _write(path: Path, table: pa.Table) -> int:
    import pyarrow as pa
    import pyarrow.parquet as pq

    leaves = [f"{f.name}.list.element" if pa.types.is_list(f.type) else f.name for f in table.schema]
    kinds = [f.type.value_type if pa.types.is_list(f.type) else f.type for f in table.schema]
    whole = [leaf for leaf, kind in zip(leaves, kinds, strict=True) if kind == pa.int64()]
    with path.open("wb") as sink:
        pq.write_table(
            table,
            sink,
            compression="zstd",
            compression_level=3,
            use_dictionary=[leaf for leaf in leaves if leaf not in whole],
            column_encoding=dict.fromkeys(whole, _DELTA),
            write_statistics=[leaf for leaf in whole if ".list" not in leaf],
        )
        sink.flush()
        os.fsync(sink.fileno())
    return path.stat().st_size


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _tables(chunk: Chunk) -> Iterator[tuple[str, pa.Table]]:
    if chunk.books.number:
        yield "books", _book_table(chunk.books)
    if chunk.trades.number:
        yield "trades", _trade_table(chunk.trades)
    if chunk.candles:
        yield "candles", _row_table(chunk.candles, ("timeframe", "open", "high", "low", "close", "volume", "closed"))
    if chunk.marks:
        yield "marks", _row_table(chunk.marks, ("mark", "index", "funding_rate", "next_funding"))
    if chunk.news:
        yield "feed", _row_table(chunk.news, ("live", "reason"))


def _book_table(books: Books) -> pa.Table:
    import numpy as np
    import pyarrow as pa

    columns: dict[str, Any] = {
        name: np.frombuffer(getattr(books, name), dtype=kind)
        for name, kind in (("number", "i8"), ("ts", "i8"), ("received", "i8"), ("seq", "i8"), ("kind", "i1"))
    }
    for side, counts, levels in (("bid", books.bid_counts, books.bids), ("ask", books.ask_counts, books.asks)):
        ends = np.cumsum(np.frombuffer(counts, dtype="i4"), dtype=np.int32)
        offsets = np.concatenate((np.zeros(1, np.int32), ends))
        flat = np.frombuffer(levels, dtype="i8") if len(levels) else np.zeros(0, np.int64)
        for place, name in enumerate(("prices", "quantities")):
            columns[f"{side}_{name}"] = pa.ListArray.from_arrays(offsets, np.ascontiguousarray(flat[place::2]))
    return pa.table(columns)


def _trade_table(trades: Trades) -> pa.Table:
    import numpy as np
    import pyarrow as pa

    names = ("number", "ts", "received", "price", "quantity")
    columns: dict[str, Any] = {name: np.frombuffer(getattr(trades, name), dtype="i8") for name in names}
    sides = pa.array(["buy" if bought else "sell" for bought in trades.buys])
    return pa.table({**columns, "side": sides, "trade_id": pa.array(trades.ids, pa.string())})


def _row_table(rows: list[tuple[int, int, Any]], fields: tuple[str, ...]) -> pa.Table:
    import pyarrow as pa

    found = {
        "number": pa.array([row[0] for row in rows], pa.int64()),
        "ts": pa.array([row[2].ts for row in rows], pa.int64()),
        "received": pa.array([row[1] for row in rows], pa.int64()),
    }
    for field in fields:
        values = [getattr(row[2], field) for row in rows]
        # Exact decimals are written as text: their places differ from one to the next.
        exact = field in ("mark", "index", "funding_rate")
        kind = pa.string() if exact else pa.int64() if field == "next_funding" else None
        found[field] = pa.array([None if v is None else str(v) for v in values] if exact else values, kind)
    return pa.table(found)


# --- reading ---------------------------------------------------------------------------------------------------------


def read_part(path: Path, instrument: InstrumentId) -> list[Row]:
    """Everything of a part in the order in which it was heard.

    Raises:
        DataError: A file cannot be read; the message names it.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows: list[Row] = []
    for file in sorted(path.glob("*.parquet")):
        make = _READERS.get(file.stem)
        if make is None:
            continue
        try:
            table = pq.read_table(file, partitioning=None)
            rows += make(instrument, table)
        except (OSError, pa.ArrowException, KeyError, ValueError) as error:
            raise DataError(
                f"The recorded file {file} cannot be read ({type(error).__name__}: {error}). Move the folder "
                f"{path.name} away; what remains of the session can be used.",
                details={"path": str(file)},
            ) from error
    rows.sort(key=lambda row: row[0])
    return rows


def _books(instrument: InstrumentId, table: pa.Table) -> Iterator[Row]:
    sides = []
    for side in ("bid", "ask"):
        prices, quantities = (table[f"{side}_{name}"].combine_chunks() for name in ("prices", "quantities"))
        levels = list(zip(prices.flatten().to_pylist(), quantities.flatten().to_pylist(), strict=True))
        sides.append((levels, prices.value_lengths().to_pylist()))
    (bids, bid_counts), (asks, ask_counts) = sides
    names = ("number", "received", "ts", "seq", "kind")
    first_bid = first_ask = 0
    for (number, received, ts, seq, kind), more_bids, more_asks in zip(
        zip(*(table[name].to_pylist() for name in names), strict=True), bid_counts, ask_counts, strict=True
    ):
        own_bids = tuple(bids[first_bid : first_bid + more_bids])
        own_asks = tuple(asks[first_ask : first_ask + more_asks])
        first_bid, first_ask = first_bid + more_bids, first_ask + more_asks
        update = BookUpdate(instrument, ts, seq, snapshot=kind != CHANGE, bids=own_bids, asks=own_asks)
        yield number, received, update, kind


def _trades(instrument: InstrumentId, table: pa.Table) -> Iterator[Row]:
    for row in table.to_pylist():
        side = OrderSide.BUY if row["side"] == "buy" else OrderSide.SELL
        trade = MarketTrade(instrument, row["ts"], TradeId(row["trade_id"]), row["price"], row["quantity"], side)
        yield row["number"], row["received"], trade, 0


def _candles(instrument: InstrumentId, table: pa.Table) -> Iterator[Row]:
    for row in table.to_pylist():
        number, received = row.pop("number"), row.pop("received")
        yield number, received, Candle(instrument=instrument, **row), 0


def _marks(instrument: InstrumentId, table: pa.Table) -> Iterator[Row]:
    for row in table.to_pylist():
        index, rate = (None if row[name] is None else Decimal(row[name]) for name in ("index", "funding_rate"))
        mark = MarkPrice(instrument, row["ts"], Decimal(row["mark"]), index, rate, row["next_funding"])
        yield row["number"], row["received"], mark, 0


def _feed(instrument: InstrumentId, table: pa.Table) -> Iterator[Row]:
    for row in table.to_pylist():
        yield row["number"], row["received"], FeedStatus(instrument, row["ts"], row["live"], row["reason"]), 0


_READERS = {"books": _books, "trades": _trades, "candles": _candles, "marks": _marks, "feed": _feed}


def is_anchor(row: Row) -> bool:
    """Whether a row repeats a whole book for those who begin there."""
    return row[3] == ANCHOR
