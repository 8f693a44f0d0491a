"""The in-process door keeps the promises of every door."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from engine.control.link import Delta
from engine.control.local import LocalLink
from engine.errors import EngineNotRunningError, QuarterdeckError
from tests.control.house import BTC, deck
from tests.kit.waiting import eventually

if TYPE_CHECKING:
    from pathlib import Path


class Odd:
    """Cannot be sent."""


def fake(reply: Any, stopped: bool = False) -> LocalLink:
    """A link over a service that always answers the same."""

    async def call(*_: Any, **__: Any) -> Any:
        return reply

    engine = SimpleNamespace(stopped=stopped)
    service: Any = SimpleNamespace(context=SimpleNamespace(engine=engine, replay=None), call=call)
    topics: Any = SimpleNamespace(subscribe=lambda topic, handler, filters: [handler])
    return LocalLink(service, topics, wire=True)


async def test_with_the_wire_switched_on_what_cannot_be_sent_is_noticed() -> None:
    with pytest.raises((QuarterdeckError, TypeError)):
        await fake(Odd()).call("x")
    heard: list[Delta] = []
    handlers: Any = fake("x").subscribe("x", heard.append)
    with pytest.raises((QuarterdeckError, TypeError)):
        handlers[0](Delta("x", 1, True, Odd()))
    handlers[0](Delta("x", 1, True, "fine"))
    assert [delta.data for delta in heard] == ["fine"]


async def test_a_link_is_lost_when_its_engine_has_stopped() -> None:
    assert fake("x").state == "embedded"
    lost = fake("x", stopped=True)
    assert lost.state == "lost"
    with pytest.raises(EngineNotRunningError, match="start it again"):
        await lost.call("engine.status")


async def test_the_same_objects_come_without_the_wire(tmp_path: Path) -> None:
    async with deck(tmp_path) as on:
        link = on.host.link()
        assert link.state == "embedded"
        heard: list[Delta] = []
        watcher = link.subscribe("market.book", heard.append, instrument=BTC)
        assert heard == [], "never from inside the call"
        await eventually(lambda: heard)
        watcher.close()
        count = len(heard)
        await on.limit(away=0.01)
        assert len(heard) == count
        assert (await link.call("engine.status")).mode == "paper"


async def test_an_engine_that_was_not_started_has_no_door(tmp_path: Path) -> None:
    from engine.control.host import build_engine

    with pytest.raises(QuarterdeckError, match="not been started"):
        build_engine(tmp_path).link()
