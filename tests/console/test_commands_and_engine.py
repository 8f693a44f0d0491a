"""Commands against an engine that really runs, over its socket."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import socket
from typing import TYPE_CHECKING, NamedTuple

from console import cli, panic_command
from engine.control.lock import EngineLock
from engine.control.places import control_socket, prepare_run_folder
from tests.control.house import BTC, Deck, deck

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


class Said(NamedTuple):
    """How a command ended."""

    status: int
    out: str
    err: str


async def quarterdeck(home: Path, *arguments: str) -> Said:
    """Type a command in a thread, whose event loop is its own as that of another process would be."""

    def run() -> Said:
        out, err, status = io.StringIO(), io.StringIO(), 0
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                cli.main(["--home", str(home), *arguments])
            except SystemExit as ended:
                status = ended.code if isinstance(ended.code, int) else 0
        return Said(status, out.getvalue(), err.getvalue())

    return await asyncio.to_thread(run)


async def placed(on: Deck, *more: str) -> str:
    """Buy by command; the id of the order."""
    said = await quarterdeck(on.host.home, "orders", "place", "buy", "0.001", BTC, "--yes", "--json", *more)
    assert said.status == 0, said.err
    return str(json.loads(said.out)["client_id"])


async def test_an_order_is_placed_once_however_often_it_is_asked_for(tmp_path: Path) -> None:
    async with deck(tmp_path) as on:
        first = await placed(on, "--request-id", "mine-1")
        assert await placed(on, "--request-id", "mine-1") == first
        assert await placed(on) != first
        other = await quarterdeck(tmp_path, "orders", "place", "sell", "0.001", BTC, "--yes", "--request-id", "mine-1")
        assert (other.status, "used for another request" in other.err) == (1, True)
        listed = json.loads((await quarterdeck(tmp_path, "orders", "list", "--no-open", "--json")).out)
        assert [row["client_id"] for row in listed].count(first) == 1
        assert (await quarterdeck(tmp_path, "orders", "cancel", "Qnothing")).status == 1
        book = await quarterdeck(tmp_path, "market", "book", BTC, "--depth", "3")
        assert book.out.count("ask") == 3
    gone = await quarterdeck(tmp_path, "orders", "list")
    assert (gone.status, gone.out) == (3, "")


async def test_facts_are_watched_from_where_somebody_left_off(tmp_path: Path) -> None:
    async with deck(tmp_path) as on:
        await on.market("buy", "0.001")
        lately = await quarterdeck(tmp_path, "watch", "facts.activity", "--count", "1")
        (snapshot,) = map(json.loads, lately.out.splitlines())
        assert snapshot["snapshot"]
        left_off = snapshot["seq"]
        await on.call("risk.halt", reason="lunch")
        on_from = await quarterdeck(tmp_path, "watch", "facts.activity", "--since", str(left_off), "--count", "2")
        told = [json.loads(line) for line in on_from.out.splitlines()]
        assert all(left_off < message["seq"] and not message["snapshot"] for message in told)
        assert "lunch" in told[-1]["data"]["text"]
        loud = ("--filter", "severity=critical", "--since", "0", "--count", "1")
        (only,) = map(json.loads, (await quarterdeck(tmp_path, "watch", "facts.activity", *loud)).out.splitlines())
        assert only["data"]["kind"] == "TradingStateChanged"
        wrong = await quarterdeck(tmp_path, "watch", "market.book", "--filter", "instrument=SIM:NO/ONE")
        assert (wrong.status, "There is no market SIM:NO/ONE" in wrong.err) == (1, True)
        assert (await quarterdeck(tmp_path, "watch", "weather")).status == 1


async def test_panic_lets_an_engine_that_answers_cancel_and_close(tmp_path: Path) -> None:
    async with deck(tmp_path) as on:
        await on.market("buy", "0.002")
        await on.limit()
        refused = await quarterdeck(tmp_path, "panic")
        assert (refused.status, len(on.engine.state.orders)) == (1, 1), "nobody agreed"

        said = await quarterdeck(tmp_path, "panic", "--yes", "--json", "--reason", "smoke")

        assert (said.status, json.loads(said.out)) == (0, {"by": "engine", "killed": [], "left": []}), said.err
        assert on.engine.state.orders == {}
        assert await on.call("portfolio.positions") == []
        assert (await on.call("risk.overview")).reason == "smoke"


async def test_panic_kills_nobody_unasked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nobody = await quarterdeck(tmp_path, "panic", "--yes")
    assert (nobody.status, "panic --direct" in nobody.err) == (3, True)

    monkeypatch.setattr(panic_command, "ANSWER_S", 0.05)
    prepare_run_folder(tmp_path)
    with socket.socket(socket.AF_UNIX) as deaf, EngineLock.acquire(tmp_path, release="2.0.0"):
        deaf.bind(str(control_socket(tmp_path)))
        deaf.listen()
        hung = await quarterdeck(tmp_path, "panic", "--yes")
    assert hung.status == 3
    assert "did not answer" in hung.err
    assert (await quarterdeck(tmp_path / "nowhere", "panic", "--yes", "--direct")).status == 3
