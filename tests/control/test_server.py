"""The control socket: who may use it, what it answers, and that a link over it behaves as the one in the process."""

from __future__ import annotations

import asyncio
import os
import stat
from typing import TYPE_CHECKING, Any

import pytest

from engine.control import peers, session
from engine.control import server as server_module
from engine.control.client import SocketLink, open_link
from engine.control.lock import EngineLock
from engine.control.places import control_socket, open_socket
from engine.control.views import EngineStatus, OrderRow
from engine.errors import (
    AuthenticationError,
    AuthorizationError,
    EngineNotRunningError,
    NotFoundError,
    ValidationError,
)
from tests.control.house import BTC, deck
from tests.kit.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from engine.control.link import Delta
    from tests.control.house import Deck

MARKET_BUY = {"instrument": BTC, "side": "buy", "quantity": "0.001"}


@pytest.fixture
async def on(tmp_path: Path) -> AsyncIterator[Deck]:
    async with deck(tmp_path) as found:
        yield found


@pytest.fixture
async def link(on: Deck) -> AsyncIterator[SocketLink]:
    async with open_link(on.host.home, client="console") as found:
        yield found


# --- who may use it --------------------------------------------------------------------------------------------------


async def test_folder_and_socket_are_their_owners_alone_and_go_with_the_engine(tmp_path: Path) -> None:
    async with deck(tmp_path):
        path = control_socket(tmp_path)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        assert os.listdir(path.parent) == ["engine.sock"]
    assert os.listdir(path.parent) == []


async def test_another_user_is_refused_before_anything_else(on: Deck, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "peer_of", lambda endpoint: peers.Peer(os.geteuid() + 1, 4711))
    with pytest.raises(AuthenticationError, match="belongs to another user"):
        await SocketLink(on.host.home).open()
    assert on.host.context is not None
    assert on.host.context.control is not None
    assert on.host.context.control.counters["strangers"] == 1


async def test_who_looks_only_is_refused_in_the_engine(on: Deck) -> None:
    async with open_link(on.host.home, read_only=True) as link:
        assert isinstance(await link.call("engine.status"), EngineStatus)
        with pytest.raises(AuthorizationError, match="has the role viewer"):
            await link.call("orders.place", MARKET_BUY)
        with pytest.raises(AuthorizationError):
            await link.call("risk.halt", {})
    assert not on.engine.state.orders


async def test_no_engine_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(EngineNotRunningError, match="No engine is running in"):
        await SocketLink(tmp_path).open()


async def test_an_engine_that_is_only_starting_is_not_called_absent(tmp_path: Path) -> None:
    said = rf"\(process {os.getpid()}\) has no door open"
    with EngineLock.acquire(tmp_path, release="test"), pytest.raises(EngineNotRunningError, match=said) as caught:
        await SocketLink(tmp_path).open()
    assert caught.value.error_code == "not_ready"


async def test_a_socket_left_behind_is_no_engine_and_is_replaced_by_the_next(tmp_path: Path) -> None:
    async with deck(tmp_path) as on:
        await on.host.stop()
        path = control_socket(tmp_path)
        open_socket(path).close()
        assert path.exists()
        with pytest.raises(EngineNotRunningError, match="No engine is running"):
            await SocketLink(tmp_path).open()
    async with deck(tmp_path), open_link(tmp_path) as link:
        assert link.state == "attached"


# --- the same as the door in the process -----------------------------------------------------------------------------


async def test_replies_errors_and_names_are_those_of_every_door(on: Deck, link: SocketLink) -> None:
    assert link.welcome is not None
    assert (link.welcome.actor, link.welcome.pid, link.state) == ("console 2", os.getpid(), "attached")
    row = await link.call("orders.place", MARKET_BUY, request_id="r1")
    assert isinstance(row, OrderRow)
    again = await link.call("orders.place", MARKET_BUY, request_id="r1")
    assert (again.client_id, again.created) == (row.client_id, row.created)
    with pytest.raises(ValidationError, match="used for another request"):
        await link.call("orders.place", {**MARKET_BUY, "side": "sell"}, request_id="r1")
    with pytest.raises(NotFoundError, match="Did you mean orders") as caught:
        await link.call("orders.plaice")
    assert caught.value.correlation.startswith("orders.plaice-")
    with pytest.raises(ValidationError) as faults:
        await link.call("orders.place", {"instrument": BTC})
    assert "side: Field required" in faults.value.message
    assert faults.value.details["faults"]


async def test_several_consoles_see_what_each_other_do_under_their_names(on: Deck, link: SocketLink) -> None:
    heard: list[Delta] = []
    async with open_link(on.host.home, client="console") as other:
        other.subscribe("orders.open", heard.append)
        await eventually(lambda: heard)
        await link.call("risk.halt", {"reason": "lunch"})
        rows = await other.call("clients.list")
        assert [row.actor for row in rows] == ["console 2", "console 3"]
        assert (await other.call("risk.overview")).actor == "console 2"
    halt = on.engine.state.halts["engine"]
    assert halt.actor == "console 2"


async def test_topics_begin_with_a_snapshot_on_a_later_turn_and_end_with_close(on: Deck, link: SocketLink) -> None:
    books: list[Delta] = []
    facts: list[Delta] = []
    watching = link.subscribe("market.book", books.append, instrument=BTC, depth=5)
    link.subscribe("facts.activity", facts.append)
    assert (books, facts) == ([], [])
    await eventually(lambda: len(books) > 1 and facts)
    watching.close()
    count = len(books)
    assert [delta.seq for delta in books] == list(range(1, count + 1))
    assert (facts[0].snapshot, facts[0].topic) == (True, "facts.activity")
    await link.call("orders.place", MARKET_BUY)
    await eventually(lambda: any(delta.data.kind == "OrderFilled" for delta in facts[1:]))
    assert len(books) == count
    with pytest.raises(NotFoundError, match="no topic"):
        link.subscribe("no.topic", print)
    with pytest.raises(ValidationError, match="needs instrument"):
        link.subscribe("market.book", print)
    wrong = link.subscribe("market.book", books.append, instrument="SIM:NO/NO")
    await eventually(lambda: wrong.refusal is not None)
    assert isinstance(wrong.refusal, NotFoundError)


async def test_an_engine_that_ends_is_lost_and_found_again(tmp_path: Path) -> None:
    heard: list[Delta] = []
    async with deck(tmp_path) as on:
        link = SocketLink(tmp_path)
        await link.open()
        link.subscribe("facts.activity", heard.append)
        await eventually(lambda: heard)
        await on.limit()
    assert link.state == "lost"
    with pytest.raises(EngineNotRunningError, match="link to the engine is lost"):
        await link.call("engine.status")
    async with deck(tmp_path) as on:
        await eventually(lambda: link.state == "attached")
        await on.limit()
        last = on.engine.journal.durable_seq
        await eventually(lambda: heard[-1].seq >= last)
        assert on.host.context is not None
        assert on.host.context.reader is not None
        await link.close()
    seqs = [delta.seq for delta in heard[1:]]
    assert seqs == sorted(set(seqs)), "in order, none twice"
    assert "EngineStopped" in {delta.data.kind for delta in heard[1:]}, "told although nobody was connected"


# --- emergencies and limits ------------------------------------------------------------------------------------------


async def test_an_emergency_overtakes_a_client_that_floods(
    on: Deck, link: SocketLink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "AT_ONCE", 1)
    gate = asyncio.Event()
    service = on.host.service
    assert service is not None
    run = service._run

    async def slow(context: Any, entry: Any, request: Any) -> Any:
        if entry.name == "orders.preview":
            await gate.wait()
        return await run(context, entry, request)

    monkeypatch.setattr(service, "_run", slow)
    async with open_link(on.host.home, client="script") as flood:
        calls = [asyncio.ensure_future(flood.call("orders.preview", MARKET_BUY)) for _ in range(200)]
        await asyncio.sleep(0)
        assert (await flood.call("risk.halt", {"reason": "now"})).trading == "halted"
        assert (await link.call("orders.cancel_all")) == []
        assert not any(call.done() for call in calls)
        gate.set()
        assert len(await asyncio.gather(*calls)) == 200
