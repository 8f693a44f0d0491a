"""The shelf of recordings: what counts as a session, what a removal leaves, and what is never touched."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import msgspec
import pytest

from engine.clock import SimulatedClock
from engine.errors import ConflictError, DataError, NotFoundError
from engine.market.recording_writer import RecordingWriter
from engine.model.ids import InstrumentId, TradeId
from engine.model.market import MarketTrade
from engine.model.order import OrderSide
from engine.venues.markets.listing import spot_instrument
from storage.recordings.chunk import Chunk
from storage.recordings.manifest import Manifest, read_manifest, write_manifest
from storage.recordings.parts import read_part, write_part
from storage.recordings.settings import RecorderSettings
from storage.recordings.shelf import Shelf, hold

if TYPE_CHECKING:
    from pathlib import Path

DAY = 86_400_000_000_000
START = 1_790_000_000_000_000_000
INSTRUMENT = spot_instrument("X", "BTC/USDT", price_places=2, quantity_places=6)


def _chunk(begun: int, trades: int = 100) -> Chunk:
    chunk = Chunk(begun)
    for number in range(trades):
        trade = MarketTrade(INSTRUMENT.id, begun + number, TradeId(f"t{number}"), 5 + number, 7, OrderSide.SELL)
        chunk.add_trade(number, begun + number + 1, trade)
    return chunk


def _session(folder: Path, name: str, start: int) -> None:
    (folder / name).mkdir(parents=True)
    manifest = Manifest(id=name, release="1", start=start)
    write_manifest(folder / name, msgspec.json.encode(manifest))
    write_part(folder / name / "X_BTC-USDT" / f"000001-{start}", _chunk(start), INSTRUMENT)


def test_a_part_is_read_as_it_was_written_and_names_its_scales(tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    path = tmp_path / "m" / f"000001-{START}"
    size = write_part(path, _chunk(START), INSTRUMENT)
    (file,) = path.iterdir()
    assert size == file.stat().st_size
    rows = read_part(path, INSTRUMENT.id)
    assert [row[0] for row in rows] == list(range(100))
    assert rows[3][1] == START + 4
    assert rows[3][2] == MarketTrade(INSTRUMENT.id, START + 3, TradeId("t3"), 8, 7, OrderSide.SELL)
    words = msgspec.json.decode(pq.read_metadata(file).metadata[b"quarterdeck.recording"])
    assert words == {"instrument": "X:BTC/USDT", "price_scale": 2, "quantity_scale": 6, "version": 1}
    file.write_bytes(b"PAR1 nothing PAR1")
    with pytest.raises(DataError, match=r"trades\.parquet cannot be read"):
        read_part(path, InstrumentId("X:BTC/USDT"))


def test_a_running_session_is_not_removed(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    _session(tmp_path, "a", START)
    held = hold(tmp_path / "a")
    assert shelf.recorded_now("a")
    with pytest.raises(ConflictError, match="is being recorded right now"):
        shelf.remove("a")
    os.close(held)
    assert shelf.remove("a") > 0
    assert not (tmp_path / "a").exists()
    with pytest.raises(NotFoundError, match="there are none yet"):
        shelf.remove("a")


def test_leftovers_are_cleared_and_half_written_parts_never_read(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    _session(tmp_path, "a", START)
    half = tmp_path / "a" / "X_BTC-USDT" / f"000002-{START + 1}.part"
    half.mkdir()
    (half / "trades.parquet").write_bytes(b"half")
    (tmp_path / "removed" / "X_BTC-USDT").mkdir(parents=True)
    assert shelf.ids() == ["a"]
    assert len(shelf.measured("a").pieces) == 1
    shelf.clear("b")
    assert not half.exists()
    assert not (tmp_path / "removed").exists()
    assert shelf.ids() == ["a"]


def test_a_manifest_that_is_not_one_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"is no recorded session: it has no session\.json"):
        read_manifest(tmp_path)
    (tmp_path / "session.json").write_text('{"id": 5}')
    with pytest.raises(DataError, match="cannot be read"):
        read_manifest(tmp_path)
    later = Manifest(id="a", release="9", start=1, version=99)
    write_manifest(tmp_path, msgspec.json.encode(later))
    with pytest.raises(DataError, match="made by a later release"):
        read_manifest(tmp_path)


def test_the_writer_keeps_quota_and_age(tmp_path: Path) -> None:
    """Old sessions go when it opens; then the oldest, and its own oldest parts, as it writes."""
    clock = SimulatedClock(START + 40 * DAY)
    _session(tmp_path, "aged", START)
    _session(tmp_path, "older", START + 30 * DAY)
    _session(tmp_path, "newer", START + 31 * DAY)
    shelf = Shelf(tmp_path)
    size = shelf.measured("newer").bytes
    # Room for three parts and a half.
    settings = RecorderSettings(quota_gib=3.5 * size / (1 << 30), max_days=20)
    writer = RecordingWriter(shelf, "now", settings, clock, free=lambda: 1 << 40)
    writer.start()
    seen = []
    for number in range(1, 8):
        begun = clock.now() + number * 1000
        assert writer.offer("X_BTC-USDT", number, _chunk(begun), INSTRUMENT)
        writer._queue.put(lambda: seen.append((shelf.ids(), writer.held_bytes)))
        writer.tell(msgspec.json.encode(Manifest(id="now", release="1", start=clock.now())))
    writer.close(lambda: msgspec.json.encode(Manifest(id="now", release="1", start=clock.now(), end=clock.now())))
    assert seen[0][0] == ["newer", "older"]
    assert seen[-1][0] == ["now"]
    assert all(held <= settings.quota_bytes for _, held in seen)
    assert writer.held_bytes == shelf.measured("now").bytes
    names = [piece.path for piece in shelf.measured("now").pieces]
    assert [name.split("/")[1][:6] for name in names] == ["000005", "000006", "000007"]
    assert not writer.lost
    assert not shelf.recorded_now("now")
