"""Topics over the socket: the newest wins, facts lose nothing whatever the client does, a slow one costs nothing."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.clock import SimulatedClock
from engine.control import client as client_module
from engine.control import outbox, streams
from engine.control import wire as wire_module
from engine.control.client import SocketLink
from engine.control.facts import Fact, FactLog
from engine.control.protocol import Close, FactsFrame
from tests.control.door import Stub, serving, wire
from tests.kit.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from engine.control.link import Delta
    from engine.control.views import Activity


@contextlib.asynccontextmanager
async def linked(home: Path, **options: Any) -> AsyncIterator[SocketLink]:
    """A link whose pauses are short."""
    link = SocketLink(home, max_hz=1e6, **options)
    await link.open()
    try:
        yield link
    finally:
        await link.close()


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "PAUSES_S", (0.0, 0.001))


# --- the log ---------------------------------------------------------------------------------------------------------


def test_a_log_knows_what_it_holds_and_how_far_behind_a_cursor_is() -> None:
    log = FactLog(10, kept=3)
    assert (log.newest, log.behind(0), log.after(10, 5), log.holds(10), log.holds(9)) == (10, 0, [], True, False)
    for seq in (12, 15, 16, 19):
        log.add(Fact(seq, seq))
    assert (log.floor, log.newest) == (12, 19)
    assert [fact.seq for fact in log.after(12, 9)] == [15, 16, 19]
    assert [fact.seq for fact in log.after(15, 1)] == [16]
    assert [fact.seq for fact in log.last(2)] == [16, 19]
    assert (log.behind(12), log.behind(17), log.behind(19)) == (3, 1, 0)
    log.reach(25)
    assert (log.newest, log.after(19, 5)) == (25, [])
    log.begin_anew(3)
    assert (log.floor, log.newest, log.last(5)) == (3, 3, [])


# --- state -----------------------------------------------------------------------------------------------------------


async def test_what_a_client_has_not_taken_is_replaced_by_what_is_newer(tmp_path: Path) -> None:
    stub = Stub()
    async with serving(tmp_path, stub) as server, wire(tmp_path) as client:
        await client.hello(max_hz=1e6)
        await client.ask("stream.subscribe", {"sub": 5, "topic": "orders.open"})
        for number in range(100):
            stub.publish("orders.open", [number])
        said = await client.hear()
        assert said["params"]["topics"] == [{"sub": 5, "seq": 1, "snapshot": True, "data": [99]}]
        (row,) = server.clients()
        assert (row.topics, row.replaced, row.waiting) == (1, 99, 0)


async def test_one_frame_holds_everything_that_changed_no_faster_than_the_client_asked_for(tmp_path: Path) -> None:
    stub, clock = Stub(), SimulatedClock()
    async with serving(tmp_path, stub, clock) as server, wire(tmp_path) as client:
        await client.hello(max_hz=1)
        for sub, topic in ((1, "orders.open"), (2, "bots.state"), (3, "orders.open")):
            await client.ask("stream.subscribe", {"sub": sub, "topic": topic})
        (session,) = server._sessions.values()
        frames = []
        for number in (1, 2):
            for step in range(3):
                stub.publish("orders.open", [number, step])
                stub.publish("bots.state", [number])
                for _ in range(5):
                    await asyncio.sleep(0)
            if number == 2:
                assert session._outbox._dirty, "the second is not over yet"
                await clock.advance(1)
                stub.publish("bots.state", [number])
            frames.append((await client.hear())["params"]["topics"])
        first = {item["sub"]: item["data"] for item in frames[0]}
        assert first == {1: [1, 0], 2: [1], 3: [1, 0]}
        second = {item["sub"]: (item["seq"], item["data"]) for item in frames[1]}
        assert second == {1: (2, [2, 2]), 2: (2, [2]), 3: (2, [2, 2])}, "all that came between is gone"


async def test_the_same_data_is_written_once_for_all_clients(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[Any] = []

    def counted(data: Any) -> bytes:
        written.append(data)
        return wire_module.encode(data)

    monkeypatch.setattr(streams, "encode", counted)
    stub = Stub()
    async with serving(tmp_path, stub) as server, wire(tmp_path) as first, wire(tmp_path) as second:
        for client in (first, second):
            await client.hello(max_hz=1e6)
            await client.ask("stream.subscribe", {"sub": 1, "topic": "orders.open"})
        stub.publish("orders.open", [1])
        heard = [(await client.hear())["params"]["topics"][0]["data"] for client in (first, second)]
        assert heard == [[1], [1]]
        assert written == [[1]]
        for client in (first, second):
            await client.ask("stream.unsubscribe", {"sub": 1})
        assert server.encoded._kept == {}, "what nobody watches is not kept"


async def test_a_missing_number_makes_a_client_begin_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stub = Stub()
    async with serving(tmp_path, stub) as server, linked(tmp_path) as link:
        states: list[Delta] = []
        facts: list[Delta] = []
        link.subscribe("jobs.state", states.append)
        watching = link.subscribe("facts.activity", facts.append)
        await eventually(lambda: facts)
        (session,) = server._sessions.values()
        stream = session._outbox.states[1]
        stub.publish("jobs.state", ())
        await eventually(lambda: states)
        stream.seq = 40
        stub.publish("jobs.state", ())
        await eventually(lambda: stream.seq == 1 and len(states) == 3)
        watching.hear_facts(FactsFrame(sub=2, after=7, cursor=9, snapshot=False, facts=[]))
        assert len(facts) == 1, "facts behind a gap are not taken"
        stub.happen()
        session._outbox.facts[2]._told = 7
        stub.happen(2)
        await eventually(lambda: len(facts) == 4)
        assert [delta.seq for delta in facts[1:]] == [1, 2, 3]


# --- facts -----------------------------------------------------------------------------------------------------------


async def test_facts_from_a_cursor_come_from_the_journal_first(tmp_path: Path) -> None:
    stub = Stub(kept=10, page=7)
    stub.happen(100)
    async with serving(tmp_path, stub), wire(tmp_path) as client:
        await client.hello()
        await client.ask("stream.subscribe", {"sub": 1, "topic": "facts.activity", "since": 5})
        heard: list[int] = []
        cursor = 5
        while cursor < 100:
            said = (await client.hear())["params"]
            assert (said["after"], said["snapshot"]) == (cursor, False)
            heard += [item["seq"] for item in said["facts"]]
            cursor = said["cursor"]
        assert heard == list(range(6, 101))
        assert stub.pages == 13, "up to where the log begins, not further"
        stub.happen()
        assert [item["seq"] for item in (await client.hear())["params"]["facts"]] == [101]


async def test_facts_that_nobody_asked_for_are_passed_over_without_a_gap_or_a_halt(tmp_path: Path) -> None:
    stub = Stub(kept=10, page=7)
    for _ in range(6):
        stub.happen(20)
        stub.happen(1, severity="warning")
    warnings = [fact.seq for fact in stub.journal if fact.severity == "warning"]
    async with serving(tmp_path, stub), wire(tmp_path) as client:
        await client.hello()
        wanted = {"sub": 1, "topic": "facts.activity", "since": 5, "filters": {"severity": "warning", "owner": ""}}
        await client.ask("stream.subscribe", wanted)
        heard: list[int] = []
        cursor = 5
        while len(heard) < len(warnings):
            said = (await client.hear())["params"]
            assert said["after"] == cursor
            heard += [item["seq"] for item in said["facts"]]
            cursor = said["cursor"]
        assert heard == warnings
        stub.happen(5)
        stub.happen(1, severity="critical")
        said = (await client.hear())["params"]
        assert (said["after"], [item["seq"] for item in said["facts"]]) == (cursor, [len(stub.journal)])
        refused = await client.ask("stream.subscribe", {**wanted, "sub": 2, "filters": {"severity": "loud"}})
        assert "is one of info, good, warning, critical" in refused["error"]["message"]
        lately = {"sub": 3, "topic": "facts.activity", "filters": {"severity": "critical"}}
        await client.ask("stream.subscribe", lately)
        assert [item["seq"] for item in (await client.hear())["params"]["facts"]] == [len(stub.journal)]


async def test_a_cursor_of_another_journal_begins_with_what_was_told_lately(tmp_path: Path) -> None:
    stub = Stub()
    stub.happen(3)
    async with serving(tmp_path, stub), wire(tmp_path) as client:
        await client.hello()
        await client.ask("stream.subscribe", {"sub": 1, "topic": "facts.activity", "since": 900})
        said = (await client.hear())["params"]
        assert (said["snapshot"], said["cursor"], len(said["facts"])) == (True, 3, 3)


async def test_facts_that_cannot_be_read_end_the_connection_and_nothing_else(tmp_path: Path) -> None:
    stub = Stub(kept=3)
    stub.happen(20)
    stub.page = breaks  # type: ignore[method-assign]
    async with serving(tmp_path, stub) as server, wire(tmp_path) as client:
        await client.hello()
        await client.ask("stream.subscribe", {"sub": 1, "topic": "facts.activity", "since": 2})
        assert (await client.ended())[0] == Close.TOO_SLOW
        await eventually(lambda: not server.clients())


async def breaks(topic: str, cursor: int) -> Any:
    """A journal that cannot be read."""
    raise OSError("the disk is gone")


async def test_a_log_that_begins_anew_is_told_anew(tmp_path: Path) -> None:
    stub = Stub()
    stub.happen(30)
    async with serving(tmp_path, stub), linked(tmp_path) as link:
        heard: list[Delta] = []
        link.subscribe("facts.activity", heard.append)
        await eventually(lambda: heard)
        del stub.journal[10:]
        stub.logs["facts.activity"].begin_anew(10)
        stub.happen(2)
        await eventually(lambda: len(heard) == 2)
        assert (heard[1].snapshot, [row.seq for row in heard[1].data]) == (True, [11, 12])
        stub.happen()
        await eventually(lambda: len(heard) == 3)
        assert heard[2].seq == 13


async def test_a_client_too_many_facts_behind_is_cut_off_and_told_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "MOST_BEHIND", 40)
    stub = Stub()
    async with serving(tmp_path, stub) as server, wire(tmp_path) as client:
        await client.hello()
        await client.ask("stream.subscribe", {"sub": 1, "topic": "facts.activity"})
        assert (await client.hear())["params"]["snapshot"] is True
        stub.happen(41)
        assert await client.ended() == (Close.TOO_SLOW, "too slow, resync")
        assert server.counters["cut_off"] == 1


async def test_a_client_that_takes_nothing_is_cut_off_and_its_messages_are_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Long enough for the other, which shares this loop, on a machine that does much else.
    monkeypatch.setattr(outbox, "BLOCKED_S", 0.5)
    monkeypatch.setattr("engine.control.server.CLOSE_S", 0.02)
    stub = Stub()
    async with serving(tmp_path, stub) as server, wire(tmp_path) as stopped, wire(tmp_path) as other:
        for client in (stopped, other):
            await client.hello(max_hz=1e6)
            await client.ask("stream.subscribe", {"sub": 1, "topic": "orders.open"})
        stopped.connection.transport.pause_reading()
        payload = "x" * 500_000
        number = 0
        while server.counters["cut_off"] == 0:
            number += 1
            stub.publish("orders.open", [number, payload])
            assert (await other.hear())["params"]["topics"][0]["data"][0] == number, "nobody waits for the other"
        await eventually(lambda: len(server.clients()) == 1)
        assert len(stub.watchers) == 1


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("happen"), st.integers(1, 60)),
        st.tuples(st.just("pause"), st.just(0)),
        st.tuples(st.just("break"), st.just(0)),
        st.tuples(st.just("turns"), st.integers(1, 30)),
        st.tuples(st.just("restart"), st.just(0)),
    ),
    min_size=3,
    max_size=12,
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
async def test_whatever_happens_to_the_connection_every_fact_is_heard_once_and_in_order(
    steps: list[tuple[str, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "MOST_BEHIND", 50)
    monkeypatch.setattr(streams, "BATCH", 7)
    monkeypatch.setattr("engine.control.server.CLOSE_S", 0.02)
    stub = Stub(kept=55, page=9)
    stub.happen(5)
    heard: list[Activity] = []
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        async with contextlib.AsyncExitStack() as stack:
            server = await stack.enter_async_context(serving(home, stub))
            link = await stack.enter_async_context(linked(home))
            link.subscribe("facts.activity", lambda delta: heard.extend(delta.data if delta.snapshot else [delta.data]))
            await eventually(lambda: heard)
            for step, count in steps:
                if step == "happen":
                    stub.happen(count)
                elif step == "pause" and link._connection is not None:
                    link._connection.transport.pause_reading()
                elif step == "break" and link._connection is not None:
                    link._connection.transport.abort()
                elif step == "restart":
                    await server.close()
                    stub.pid += 1
                    server = await stack.enter_async_context(serving(home, stub))
                for _ in range(count if step == "turns" else 1):
                    await asyncio.sleep(0)
            if link._connection is not None:
                link._connection.transport.resume_reading()
            await eventually(lambda: heard[-1].seq >= len(stub.journal))
            assert heard == stub.journal
