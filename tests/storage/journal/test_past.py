"""The journal as a tape: any moment's state is the one that folding up to it gives, however it is reached."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from engine.errors import NotFoundError, StateCorruptionError
from engine.events import EngineStarted, EngineStopped, Record
from storage.journal import chain, replay
from storage.journal import past as past_module
from storage.journal.past import Tape
from storage.journal.recovery import snapshot_folder
from storage.journal.schema import connect
from storage.journal.snapshots import SnapshotStore
from tests.kit.histories import session
from tests.storage.journal.helpers import store

if TYPE_CHECKING:
    from pathlib import Path

SIZE = 600


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tape") / "journal.db"
    store(path, session(SIZE, seed=11))
    return path


def test_every_place_is_what_a_fold_up_to_it_gives(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(past_module, "CHECKPOINT_EVERY", 150)
    monkeypatch.setattr(past_module, "BACK", 20)
    tape = Tape(kept)
    last = tape.last_seq()
    rng = random.Random(5)
    places = [last, 1, *(rng.randrange(1, last + 1) for _ in range(12)), last - 1, last]
    reached: list[int] = []
    for seq in places:
        state = tape.state_at(seq, reached.append)
        assert state.seq == seq
        assert state.state_hash() == replay(kept, until=seq).state_hash()
    assert reached
    tape.close()


def test_what_was_folded_once_is_not_folded_again(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(past_module, "CHECKPOINT_EVERY", 100)
    monkeypatch.setattr(past_module, "CHECKPOINTS", 6)
    tape = Tape(kept)
    last = tape.last_seq()
    tape.state_at(last)
    folded: list[int] = []
    real = chain.fold

    def counting(connection: object, state: object, head: bytes, until: int) -> bytes:
        folded.append(until - state.seq)  # type: ignore[attr-defined]
        return real(connection, state, head, until)  # type: ignore[arg-type]

    monkeypatch.setattr(past_module, "fold", counting)
    assert tape.state_at(last).state_hash() == replay(kept).state_hash()
    assert sum(folded) <= 500
    assert len(tape._checkpoints) <= 6
    tape.close()


def test_a_snapshot_before_the_place_is_used_and_a_strange_one_is_not(kept: Path, tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    store(path, session(SIZE, seed=11))
    there = replay(path, until=300)
    folder = SnapshotStore(snapshot_folder(path))
    folder.write(there, "another journal", b"0" * 16)
    tape = Tape(path)
    assert tape.state_at(310).state_hash() == replay(path, until=310).state_hash()
    tape.close()


def test_damage_on_the_way_is_said(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    store(path, session(80, seed=3))
    connection = connect(path)
    connection.execute("UPDATE events SET body = CAST(body || x'00' AS BLOB) WHERE seq = 40")
    connection.close()
    tape = Tape(path)
    assert tape.state_at(39).seq == 39
    with pytest.raises(StateCorruptionError, match="Fact 40"):
        tape.state_at(41)
    tape.close()


def test_times_and_facts_find_each_other(kept: Path) -> None:
    tape = Tape(kept)
    last = tape.last_seq()
    for seq in (1, 2, last // 2, last):
        ts = tape.ts_of(seq)
        at = tape.seq_at(ts)
        assert tape.ts_of(at) == ts
        assert at >= seq
        assert tape.seq_at(ts - 1) < seq
    assert tape.seq_at(0) == 0
    assert tape.seq_at(2**62) == last
    with pytest.raises(NotFoundError, match=f"its last one is {last}"):
        tape.ts_of(last + 1)
    tape.close()


def _life(first: int, ts: int, epoch: int, *, orderly: bool) -> list[Record]:
    facts: list[Record] = [Record(first, ts, epoch, EngineStarted(instance="abc", release=f"r{epoch}", pid=epoch))]
    if orderly:
        facts.append(Record(first + 1, ts + 5, epoch, EngineStopped(reason="asked to stop")))
    return facts


def test_sessions_say_when_they_began_and_how_they_ended(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    store(path, [*_life(1, 100, 1, orderly=True), *_life(3, 200, 2, orderly=False), *_life(4, 300, 3, orderly=False)])
    tape = Tape(path)
    found = [(s.first, s.last, s.begin, s.end, s.release, s.pid, s.orderly) for s in tape.sessions()]
    assert found == [
        (1, 2, 100, 105, "r1", 1, True),
        (3, 3, 200, 200, "r2", 2, False),
        (4, 4, 300, 300, "r3", 3, False),
    ]
    tape.close()


def test_without_a_journal_or_a_fact_there_is_nothing_to_replay(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="nothing was recorded"):
        Tape(tmp_path / "journal.db")
    store(tmp_path / "journal.db", [])
    from storage.journal.recovery import establish

    establish(tmp_path / "empty.db")
    with pytest.raises(NotFoundError, match="holds no fact"):
        Tape(tmp_path / "empty.db")
