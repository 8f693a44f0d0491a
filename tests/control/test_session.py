"""A connection to the control socket, frame by frame: hello first, versions that differ, limits, unknown members."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from decimal import Decimal
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from engine.control import client as client_module
from engine.control import dial, session, skew
from engine.control.client import SocketLink, open_link
from engine.control.protocol import Close
from engine.control.registry import Role
from engine.errors import (
    EngineNotRunningError,
    OrderRejectionError,
    QuarterdeckError,
    RateLimitError,
    VersionSkewError,
)
from tests.control.door import HELLO, Stub, serving, wire
from tests.kit.waiting import eventually

if TYPE_CHECKING:
    from pathlib import Path


STATUS = SimpleNamespace(
    release="2.0.0", pid=4711, mode="paper", trading="active", trading_reason="", running_bots=2, open_orders=3,
    equity=Decimal("10000.50"), failure="",
)  # fmt: skip


@pytest.fixture
def stub() -> Stub:
    found = Stub()
    found.answers = {
        "engine.status": STATUS,
        "orders.cancel_all": ["a", "b"],
        "risk.halt": SimpleNamespace(trading="halted"),
        "risk.emergency_stop": SimpleNamespace(trading="halted"),
        "engine.stop": "The engine is stopping.",
    }
    return found


# --- hello -----------------------------------------------------------------------------------------------------------


async def test_the_welcome_says_who_the_engine_is_and_who_the_client_is_to_it(tmp_path: Path, stub: Stub) -> None:
    async with serving(tmp_path, stub), wire(tmp_path) as first, wire(tmp_path) as second:
        said = (await first.hello())["result"]
        assert {key: said[key] for key in ("proto", "release", "pid", "mode", "account", "instance", "epoch")} == {
            "proto": 1, "release": "2.0.0", "pid": 4711, "mode": "paper", "account": "paper", "instance": "inst0001",
            "epoch": 3,
        }  # fmt: skip
        assert (said["actor"], said["role"], said["skew"]) == ("console 2", "admin", "")
        assert said["build"] == "b5"
        other = (await second.hello(read_only=True, client="Rogue <b>/42", pid=99))["result"]
        assert (other["actor"], other["role"]) == ("program rogue b42 99", "viewer")


@pytest.mark.parametrize(
    ("method", "params", "said"),
    [
        ("orders.cancel_all", {}, "Say hello first; orders.cancel_all was not done"),
        ("hello", {}, "the number of its protocol"),
        ("hello", {**HELLO, "proto": "1"}, "the number of its protocol"),
        ("hello", {**HELLO, "colour": "red"}, "unknown field `colour`"),
        ("hello", {**HELLO, "max_hz": 0}, "max_hz"),
        ("hello", {"proto": 1}, "missing required field"),
    ],
)
async def test_nothing_is_accepted_before_a_proper_hello(
    tmp_path: Path, stub: Stub, method: str, params: dict[str, Any], said: str
) -> None:
    async with serving(tmp_path, stub), wire(tmp_path) as client:
        refused = await client.ask(method, params)
        assert refused["error"]["data"]["kind"] == "protocol"
        assert said in refused["error"]["message"]
        assert (await client.ended())[0] == Close.NO_HELLO
    assert stub.calls == []


async def test_who_says_nothing_is_sent_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "HELLO_S", 0.01)
    async with serving(tmp_path), wire(tmp_path) as client:
        assert await client.ended() == (Close.NO_HELLO, "no hello within 0.01 s")


async def test_an_engine_that_says_nothing_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dial, "HELLO_S", 0.05)
    async with serving(tmp_path) as server:
        listening = server._server
        assert listening is not None
        # As one that was stopped by a signal: the kernel takes connections, nobody reads from them.
        asyncio.get_running_loop().remove_reader(listening.sockets[0].fileno())
        with pytest.raises(EngineNotRunningError, match=r"has not answered within 0.05 s: it hangs") as caught:
            await SocketLink(tmp_path).open()
        assert caught.value.error_code == "not_answering"


# --- versions that differ --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("proto", "newer"), [(0, "engine"), (2, "client")])
async def test_what_stops_trading_works_across_versions_and_nothing_else(
    tmp_path: Path, stub: Stub, proto: int, newer: str
) -> None:
    async with serving(tmp_path, stub), wire(tmp_path) as client:
        welcome = (await client.hello(proto=proto, of_tomorrow=1))["result"]
        assert welcome["proto"] == 1
        assert ("is older (release 2.0.0, protocol 0)" in welcome["skew"]) == (newer == "engine")
        status = (await client.ask("engine.status", {"of_tomorrow": 1}))["result"]
        assert status["sentence"] == (
            "The engine runs as process 4711 (release 2.0.0), trading is active, 3 orders are open, 2 bots run."
        )
        assert status["values"]["equity"] == "10000.50"
        assert (await client.ask("orders.cancel_all"))["result"] == {
            "done": True, "sentence": "2 orders are being cancelled.", "values": {"orders": 2},
        }  # fmt: skip
        halted = await client.ask("risk.halt", {"reason": "skew", "reducing": True}, request_id="r1")
        assert halted["result"]["values"] == {"trading": "halted"}
        assert (await client.ask("risk.emergency_stop"))["result"]["sentence"] == "Trading is halted."
        assert (await client.ask("engine.stop", {"positions": "close"}))["result"]["done"] is True
        assert [(name, params) for name, params, *_ in stub.calls] == [
            ("engine.status", {}),
            ("orders.cancel_all", {}),
            ("risk.halt", {"reason": "skew"}),
            ("risk.emergency_stop", {}),
            ("engine.stop", {"positions": "close"}),
        ]
        for method in ("orders.place", "stream.subscribe", "orders.list"):
            refused = (await client.ask(method))["error"]
            assert refused["data"]["kind"] == "version_skew"
            assert "older" in refused["message"]


@pytest.mark.parametrize(
    ("ours", "said"),
    [
        (0, r"This command line is older \(release 2.0.0, protocol 0\) than the engine .*quarterdeck attach"),
        (2, r"The engine is older \(release 2.0.0, protocol 1, process 4711\) than this command line"),
    ],
)
async def test_the_newer_side_words_what_a_person_reads(
    tmp_path: Path, stub: Stub, monkeypatch: pytest.MonkeyPatch, ours: int, said: str
) -> None:
    monkeypatch.setattr(client_module, "PROTOCOL", ours)
    monkeypatch.setattr(skew, "PROTOCOL", 1 if ours == 0 else ours)
    async with serving(tmp_path, stub), open_link(tmp_path) as link:
        with pytest.raises(VersionSkewError, match=said):
            await link.call("orders.list")
        with pytest.raises(VersionSkewError, match=said):
            link.subscribe("orders.open", print)
        reply = await link.call("orders.cancel_all")
        assert reply == skew.Minimal(done=True, sentence="2 orders are being cancelled.", values={"orders": 2})


# --- calls -----------------------------------------------------------------------------------------------------------


async def test_a_call_brings_role_name_and_request_id_and_unknown_members_are_refused(
    tmp_path: Path, stub: Stub
) -> None:
    async with serving(tmp_path, stub), wire(tmp_path) as client:
        await client.hello()
        stub.answers["orders.list"] = []
        assert (await client.ask("orders.list", {"open": False}, request_id="r7"))["result"] == []
        assert stub.calls == [("orders.list", {"open": False}, "r7", Role.ADMIN, "console 2")]
        await client.send("orders.list", colour="red")
        refused = await client.hear()
        assert (refused["id"], refused["error"]["code"]) == (None, -32600)
        await client.connection.send("no json")
        assert (await client.hear())["error"]["data"]["kind"] == "protocol"
        await client.connection.send(b"\xff\xfe")
        assert (await client.hear())["error"]["data"]["kind"] == "protocol"
        assert (await client.ask("orders.list"))["result"] == [], "and the connection goes on"


async def test_an_error_arrives_as_the_one_that_was_raised_and_tells_nothing_internal(
    tmp_path: Path, stub: Stub
) -> None:
    error = OrderRejectionError("Too much.", error_code="min_notional", details={"reasons": ["min_notional"], "n": 1})
    error.correlation = "orders.place-5"
    stub.answers = {"orders.place": error, "orders.list": {"not a set": {1, object}}}
    async with serving(tmp_path, stub), open_link(tmp_path) as link:
        with pytest.raises(OrderRejectionError, match="Too much") as caught:
            await link.call("orders.place")
        found = caught.value
        assert (found.error_code, found.details, found.correlation, found.retryable) == (
            "min_notional", {"reasons": ["min_notional"], "n": 1}, "orders.place-5", False,
        )  # fmt: skip
        with pytest.raises(QuarterdeckError, match=r"orders.list failed unexpectedly \(TypeError\)") as strange:
            await link.call("orders.list")
        assert "object" not in strange.value.message


async def test_a_reply_that_is_too_large_is_a_refusal(
    tmp_path: Path, stub: Stub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "MAX_BYTES", 1000)
    stub.answers["bots.delete"] = "x" * 2000
    async with serving(tmp_path, stub), open_link(tmp_path) as link:
        with pytest.raises(QuarterdeckError, match="too large for one message"):
            await link.call("bots.delete", {"bot": "x"})


# --- lost and found --------------------------------------------------------------------------------------------------


async def test_a_changing_call_whose_answer_was_lost_is_asked_again_under_its_id(
    tmp_path: Path, stub: Stub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "PAUSES_S", (0.0,))
    done: dict[str | None, str] = {}

    def place(params: dict[str, Any]) -> str:
        request_id = stub.calls[-1][2]
        if request_id not in done:
            done[request_id] = f"done {len(done)}"
            link._connection.transport.abort()  # type: ignore[union-attr]
        return done[request_id]

    stub.answers["bots.delete"] = place
    async with serving(tmp_path, stub), open_link(tmp_path) as link:
        assert await link.call("bots.delete", {"bot": "x"}, request_id="r1") == "done 0"
        assert [call[2] for call in stub.calls] == ["r1", "r1"]
        with pytest.raises(EngineNotRunningError, match="not known") as caught:
            await link.call("bots.delete", {"bot": "x"})
        assert caught.value.error_code == "outcome_unknown"
        assert [call[2] for call in stub.calls][2:] == [None], "without an id nothing is asked twice"


@pytest.mark.parametrize("comes_back", [True, False])
async def test_a_call_that_another_process_would_have_to_answer_is_reported_with_its_id(
    tmp_path: Path, stub: Stub, monkeypatch: pytest.MonkeyPatch, comes_back: bool
) -> None:
    monkeypatch.setattr(client_module, "PAUSES_S", (0.0, 0.001))
    monkeypatch.setattr(client_module, "WAIT_S", 0.02)
    monkeypatch.setattr("engine.control.server.CLOSE_S", 0.01)
    stub.answers["bots.delete"] = lambda params: asyncio.sleep(3600)
    async with serving(tmp_path, stub) as server, open_link(tmp_path) as link:
        call = asyncio.ensure_future(link.call("bots.delete", {"bot": "x"}, request_id="r9"))
        await eventually(lambda: stub.calls)
        await server.close()
        stub.pid += 1
        async with contextlib.AsyncExitStack() as stack:
            if comes_back:
                await stack.enter_async_context(serving(tmp_path, stub))
            with pytest.raises(EngineNotRunningError, match="request id r9 tells, and does it at most once") as caught:
                await call
            assert (caught.value.error_code, caught.value.details) == ("outcome_unknown", {"request_id": "r9"})
            assert len(stub.calls) == 1
            if comes_back:
                await eventually(lambda: link.state == "attached")
                assert link.welcome is not None
                assert link.welcome.pid == stub.pid


def test_a_single_call_for_a_command_needs_no_loop(tmp_path: Path, stub: Stub) -> None:
    begun, ended = threading.Event(), threading.Event()

    async def serve() -> None:
        async with serving(tmp_path, stub):
            begun.set()
            await asyncio.to_thread(ended.wait, 10)

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    assert begun.wait(10)
    try:
        assert client_module.call(tmp_path, "engine.stop", {"positions": "leave"}, "r1") == "The engine is stopping."
    finally:
        ended.set()
        thread.join()
    assert stub.calls == [("engine.stop", {"positions": "leave"}, "r1", Role.ADMIN, "command line")]
    with pytest.raises(EngineNotRunningError):
        client_module.call(tmp_path, "engine.status")


# --- limits ----------------------------------------------------------------------------------------------------------


async def test_a_client_that_runs_away_is_held_off_but_never_from_stopping(
    tmp_path: Path, stub: Stub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "MOST_CALLS", 3)
    monkeypatch.setattr(session, "MOST_REFUSED", 5)
    stub.answers["bots.delete"] = "gone"
    async with serving(tmp_path, stub) as server, open_link(tmp_path) as link:
        for _ in range(3):
            assert await link.call("bots.delete") == "gone"
        with pytest.raises(RateLimitError, match="has asked 3 times within 60 s") as caught:
            await link.call("bots.delete")
        assert 0 < int(str(caught.value.details["retry_after_ms"])) <= 60_001
        assert caught.value.retryable
        for _ in range(50):
            assert await link.call("engine.stop") == "The engine is stopping."
        for _ in range(4):
            with pytest.raises(RateLimitError):
                await link.call("bots.delete")
        assert server.counters["refused"] == 5
        async with wire(tmp_path) as client:
            await client.hello()
            for _ in range(3 + 6):
                await client.send("bots.delete")
            assert (await client.ended())[0] == Close.TOO_MANY


async def test_a_client_watches_only_so_many_topics(
    tmp_path: Path, stub: Stub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "MOST_TOPICS", 2)
    async with serving(tmp_path, stub), wire(tmp_path) as client:
        await client.hello()
        for sub, topic in ((1, "orders.open"), (2, "facts.activity")):
            assert (await client.ask("stream.subscribe", {"sub": sub, "topic": topic}))["result"] == {"sub": sub}
        for sub, said in ((2, "open already"), (3, "may watch 2 topics")):
            refused = (await client.ask("stream.subscribe", {"sub": sub, "topic": "risk.state"}))["error"]
            assert said in refused["message"]
        for sub in (1, 2, 9):
            assert (await client.ask("stream.unsubscribe", {"sub": sub}))["result"] == {"sub": sub}
        refused = (await client.ask("stream.subscribe", {"sub": 1, "topic": "risk.state", "since": 3}))["error"]
        assert "no topic of facts" in refused["message"]
        assert (await client.ask("stream.subscribe", {"sub": 1, "topic": "risk.state"}))["result"] == {"sub": 1}
        listed = (await client.ask("stream.list"))["result"]
        assert "market.book" in listed["state"]
        assert set(listed["facts"]) == {"facts.activity", "orders.fills"}
    assert not stub.watchers, "who has gone watches nothing"


async def test_names_of_consoles_are_given_anew_when_they_are_free(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        async with wire(tmp_path) as first:
            await first.hello()
            async with wire(tmp_path) as second:
                assert (await second.hello())["result"]["actor"] == "console 3"
                assert [row.actor for row in server.clients()] == ["console 2", "console 3"]
        await eventually(lambda: not server.clients())
        async with wire(tmp_path) as third:
            assert (await third.hello())["result"]["actor"] == "console 2"
