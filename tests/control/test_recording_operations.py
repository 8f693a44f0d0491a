"""Recording in a running engine: what bots trade is recorded, listed, turned into candles, and deleted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from engine.control.recording import recordings_folder
from engine.errors import ConflictError, NotFoundError, ValidationError
from engine.model.ids import InstrumentId
from engine.venues.markets.recording import open_recording
from engine.venues.markets.session import SessionRecording
from storage.recordings.manifest import read_manifest
from tests.control.house import BTC, deck
from tests.kit.waiting import eventually

if TYPE_CHECKING:
    from pathlib import Path

FAST = {"paper__updates_per_second": 50.0, "recorder__chunk_seconds": 1.0}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path


async def test_what_a_running_bot_subscribes_to_is_recorded(home: Path) -> None:
    async with deck(home, recorder__simulated=True, **FAST) as d:
        assert await d.call("recordings.list") == []
        keeper = d.host.context.recording if d.host.context is not None else None
        assert keeper is not None
        params = {"stop_loss_pct": 0.03}
        await d.call("bots.create", name="one", strategy="trend_following", instrument=BTC, params=params)
        keeper.look()
        assert keeper.recorder.instruments == []
        await d.call("bots.start", bot="one")
        await eventually(lambda: keeper.recorder.instruments == [BTC])
        await eventually(lambda: keeper.recorder.written_events > 20)
        (row,) = await d.call("recordings.list")
        assert row.state == "running"
        assert [market.instrument for market in row.markets] == [BTC]
        health = {each.component: each for each in await d.call("health.components")}["recorder"]
        assert health.state == "ok"
        assert health.figures["rows"] > 20
        assert health.figures["dropped"] == 0
        with pytest.raises(ConflictError, match="being recorded right now"):
            await d.call("recordings.delete", id=row.id)
        await d.call("bots.stop", bot="one")
        await eventually(lambda: keeper.recorder.instruments == [])
        await d.call("bots.start", bot="one")
        await eventually(lambda: keeper.recorder.instruments == [BTC])
    manifest = read_manifest(recordings_folder(home) / row.id)
    assert manifest.end is not None
    (bot,) = manifest.bots
    assert (bot.name, bot.strategy, bot.params["stop_loss_pct"]) == ("one", "trend_following", 0.03)
    assert len(bot.source_hash) == 16
    assert bot.account == "paper"
    rules = manifest.instruments[InstrumentId(BTC)].instrument.current_rules
    assert rules.taker_fee > 0
    assert [gap.reason for gap in manifest.gaps] == ["it was not recorded"]
    recording = open_recording(recordings_folder(home) / row.id)
    assert isinstance(recording, SessionRecording)
    assert len(list(recording.events())) > 20


async def test_the_simulated_market_is_not_recorded_unless_it_is_asked_for(home: Path) -> None:
    async with deck(home, **FAST) as d:
        await d.call("bots.create", name="one", strategy="trend_following", instrument=BTC)
        await d.call("bots.start", bot="one")
        keeper = d.host.context.recording if d.host.context is not None else None
        assert keeper is not None
        keeper.look()
        assert keeper.recorder.instruments == []
        rows = {each.component: each for each in await d.call("health.components")}
        assert rows["recorder"].state == "off"
    assert not recordings_folder(home).exists()


async def test_all_that_is_watched_can_be_recorded_and_what_cannot_be_asked_is_said(home: Path) -> None:
    async with deck(home, recorder__simulated=True, recorder__what="watched", **FAST) as d:
        keeper = d.host.context.recording if d.host.context is not None else None
        assert keeper is not None
        await eventually(lambda: keeper.recorder.written_events > 100)
        (row,) = await d.call("recordings.list")
        assert len(row.markets) == len(d.engine.hub.markets)
        with pytest.raises(NotFoundError, match="There is no recording"):
            await d.call("recordings.candles", id="none", instrument=BTC)
        with pytest.raises(ValidationError, match="no history to download"):
            await d.call("data.download", venue="sim", symbol="BTC/USDT", timeframe="1m", start="2024-01-01")
        with pytest.raises(ValidationError, match="Did you mean binance"):
            await d.call("data.download", venue="binanse", symbol="BTC/USDT", timeframe="1m", start="2024-01-01")
        with pytest.raises(ValidationError, match="say from when on"):
            await d.call("data.download", venue="binance", symbol="BTC/USDT", timeframe="1m")


async def test_what_was_recorded_elsewhere_is_traded_on_paper(tmp_path: Path) -> None:
    """A session of an exchange, played as the paper venue's market."""
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    async with deck(first, recorder__simulated=True, recorder__what="watched", **FAST) as d:
        keeper = d.host.context.recording if d.host.context is not None else None
        assert keeper is not None
        await eventually(lambda: keeper.recorder.written_events > 600)
    (row,) = _sessions(first)
    _rename(row, "SIM", "BINANCE")
    assert {key.partition(":")[0] for key in read_manifest(row).instruments} == {"BINANCE"}
    async with deck(second, paper__market="replay", paper__replay_file=str(row), paper__replay_speed=0.5) as d:
        assert BTC in d.engine.hub.markets
        await d.market()
        (held,) = await d.call("portfolio.positions")
        assert held.instrument == BTC


def _rename(session: Path, venue: str, other: str) -> None:
    file = session / "session.json"
    text = file.read_text()
    for before, after in ((f'"{venue}:', f'"{other}:'), (f'"{venue}"', f'"{other}"')):
        text = text.replace(before, after)
    file.write_text(text)


def _sessions(home: Path) -> list[Path]:
    return [path.parent for path in recordings_folder(home).glob("*/session.json")]
