"""The time machine: the past on the same operations and topics, step by step, and nothing of it can be changed."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from decimal import Decimal as D
from typing import TYPE_CHECKING, Any

import pytest

from engine.control.registry import OPERATIONS
from engine.control.replay.host import ReplayHost, build_replay
from engine.control.replay.past import RECORDED_NS
from engine.errors import ConflictError, NotFoundError, QuarterdeckError, ValidationError
from engine.events import MarkRecorded, OrderFilled
from storage.journal import replay
from tests.control.house import BTC, deck
from tests.kit.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from engine.control.link import Delta
    from engine.control.local import LocalLink
    from engine.ledger import Ledger


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home folder with two sessions: in the first things are bought, a bot made and an order left open."""
    folder = tmp_path_factory.mktemp("past")

    async def live() -> None:
        async with deck(folder) as on:
            await on.market(quantity="0.003")
            await on.call("bots.create", name="one", strategy="trend_following", instrument=BTC, capital="500")
            await on.limit(quantity="0.001")
            await on.market(side="sell", quantity="0.001")
            with pytest.raises(QuarterdeckError):
                await on.call("orders.place", instrument=BTC, side="buy", quantity="5")
        async with deck(folder) as on:
            await on.market(quantity="0.001")

    asyncio.run(live())
    return folder


class Machine:
    """A replay, and what a console does with it."""

    def __init__(self, host: ReplayHost) -> None:
        self.host = host
        self.link: LocalLink = host.link(wire=True)

    async def call(self, operation: str, **params: Any) -> Any:
        return await self.link.call(operation, params)

    @property
    def seq(self) -> int:
        return self.host.player.view().seq


@asynccontextmanager
async def machine(home: Path, **where: int) -> AsyncIterator[Machine]:
    host = build_replay(home)
    await host.start(**where)
    try:
        yield Machine(host)
    finally:
        await host.stop()


def fills(home: Path) -> list[int]:
    from storage.journal import Query, Reader

    reader = Reader(home / "journal.db")
    found = [record.seq for record in reader.records(query=Query(kinds=("OrderFilled",)))]
    reader.close()
    return found


async def test_it_opens_at_the_end_and_shows_what_was_last_known(home: Path) -> None:
    async with machine(home) as on:
        view = await on.call("replay.state")
        assert view.seq == view.last_seq == replay(home / "journal.db").seq
        assert view.ts == view.last_ts
        status = await on.call("engine.status")
        assert (status.now, status.seq, status.account) == (view.ts, view.seq, "paper")
        assert [row.name for row in await on.call("bots.list")] == ["one"]
        assert len(await on.call("orders.list")) == 1
        assert [row.quantity for row in await on.call("portfolio.positions")] == [D("0.003")]
        assert on.link.state == "replay"


async def test_every_moment_is_the_one_that_the_journal_tells(home: Path) -> None:
    path = home / "journal.db"
    async with machine(home) as on:
        last = on.seq
        for seq in (*range(last, last - 5, -1), fills(home)[0], last // 2):
            await on.call("replay.seek", seq=seq)
            assert on.host.player.past.engine.state.state_hash() == replay(path, until=seq).state_hash()


async def test_steps_forward_let_the_same_things_happen_as_a_jump(home: Path) -> None:
    path = home / "journal.db"
    async with machine(home, session=1) as on:
        while on.seq < on.host.player.view().last_seq:
            await on.call("replay.step", count=1)
            assert on.host.player.past.engine.state.state_hash() == replay(path, until=on.seq).state_hash()
        with pytest.raises(NotFoundError, match="no later fact"):
            await on.call("replay.step", count=1)


async def test_steps_go_to_facts_of_a_kind_and_back(home: Path) -> None:
    there = fills(home)
    async with machine(home, session=1) as on:
        for seq in there:
            assert (await on.call("replay.step", kind="fills")).seq == seq
        with pytest.raises(NotFoundError, match="no later fact about fills"):
            await on.call("replay.step", kind="fills")
        for seq in there[-2::-1]:
            assert (await on.call("replay.step", count=-1, kind="fills")).seq == seq
        with pytest.raises(ValidationError):
            await on.call("replay.step", count=0)


async def test_what_lies_ahead_has_not_happened(home: Path) -> None:
    first = fills(home)[0]
    async with machine(home, seq=first) as on:
        assert len(await on.call("orders.fills")) == 1
        assert max(row.seq for row in await on.call("facts.since", limit=500)) <= first
        assert await on.call("facts.since", cursor=first, limit=500) == []
        assert await on.call("bots.list") == []
        assert (await on.call("risk.overview")).refusals_last_hour == 0
        assert await on.host.context.reader.count() == first  # type: ignore[union-attr]
        await on.call("replay.seek", seq=on.host.player.view().last_seq)
        assert (await on.call("risk.overview")).refusals_last_hour == 1


async def test_nothing_of_the_past_can_be_changed(home: Path) -> None:
    before = replay(home / "journal.db").state_hash()
    async with machine(home) as on:
        for name, entry in OPERATIONS.items():
            if entry.mutates:
                with pytest.raises(ConflictError, match="nothing can be changed"):
                    await on.link.call(name, {})
        ledger: Ledger = on.host.player.past.engine.ledger
        with pytest.raises(QuarterdeckError, match="replay of the past"):
            ledger.record(MarkRecorded(instrument=BTC, price=D(1), ts=1))  # type: ignore[arg-type]
        assert on.host.player.past.engine.state.state_hash() == before
    assert replay(home / "journal.db").state_hash() == before


async def test_a_price_is_known_only_near_where_it_was_recorded(home: Path) -> None:
    async with machine(home) as on:
        clock, engine = on.host.clock, on.host.player.past.engine
        assert engine.mark(BTC) is not None  # type: ignore[arg-type]
        assert (await on.call("portfolio.overview")).equity is not None
        clock.position += RECORDED_NS + 1
        view = await on.call("portfolio.overview")
        assert view.equity is None
        assert view.unvalued == ("BTC",)
        assert all(row.mark is None for row in await on.call("portfolio.positions"))


async def test_markets_that_were_not_recorded_are_empty(home: Path) -> None:
    async with machine(home) as on:
        book = await on.call("market.book", instrument=BTC)
        assert (book.bids, book.asks, book.live) == ((), (), False)
        assert await on.call("market.candles", instrument=BTC, timeframe="1m") == []
        assert (await on.call("market.trades", instrument=BTC)).trades == ()
        rows = await on.call("health.components")
        assert [(row.component, row.state) for row in rows] == [("engine", "off")]


async def test_sessions_are_told_and_reached(home: Path) -> None:
    async with machine(home) as on:
        second, first = await on.call("replay.sessions")
        assert (first.number, first.orderly, second.number, second.orderly) == (1, True, 2, True)
        assert (await on.call("replay.seek", session=2)).seq == second.first
        assert (await on.call("engine.status")).started == second.begin
        view = await on.call("replay.seek", session=1)
        assert view.ts == view.first_ts
        with pytest.raises(NotFoundError, match="tells of 2"):
            await on.call("replay.seek", session=3)


async def test_times_are_reached_and_what_is_before_the_first_fact_is_refused(home: Path) -> None:
    async with machine(home) as on:
        view = on.host.player.view()
        middle = (view.first_ts + view.last_ts) // 2
        assert (await on.call("replay.seek", ts=middle)).ts == middle
        with pytest.raises(NotFoundError, match="Nothing had been booked"):
            await on.call("replay.seek", ts=1)
        with pytest.raises(NotFoundError, match="its last one"):
            await on.call("replay.seek", seq=view.last_seq + 1)
        with pytest.raises(ValidationError):
            await on.call("replay.seek")
        assert on.host.player.view().ts == middle


async def test_topics_begin_anew_after_a_jump_and_go_on_while_it_plays(home: Path) -> None:
    first = fills(home)[0]
    async with machine(home) as on:
        heard: list[Delta] = []
        told: list[Delta] = []
        on.link.subscribe("orders.fills", heard.append)
        on.link.subscribe("bots.state", told.append)
        await eventually(lambda: bool(heard) and bool(told))
        await on.call("replay.seek", seq=first - 1)
        await eventually(lambda: heard[-1].snapshot and heard[-1].data == () and told[-1].data == ())
        await on.call("replay.play", speed=50_000)
        await eventually(lambda: not on.host.player.view().playing)
        view = on.host.player.view()
        assert view.seq == view.last_seq
        assert "end of what was recorded" in view.note
        await eventually(lambda: heard[-1].seq == fills(home)[-1])
        assert [delta.seq for delta in heard if not delta.snapshot] == fills(home)
        await eventually(lambda: [row.name for row in told[-1].data] == ["one"])


async def test_it_stands_still_when_told_to(home: Path) -> None:
    async with machine(home, session=1) as on:
        await on.call("replay.play", speed=0.001)
        assert on.host.player.view().playing
        view = await on.call("replay.pause")
        assert not view.playing
        assert view.seq < view.last_seq


async def test_a_live_engine_offers_no_replay_and_an_empty_home_neither(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="nothing was recorded"):
        await build_replay(tmp_path).start()
    async with deck(tmp_path) as on:
        with pytest.raises(ConflictError, match="quarterdeck replay"):
            await on.call("replay.state")


async def test_an_engine_may_go_on_writing_beside_it(tmp_path: Path) -> None:
    async with deck(tmp_path) as on:
        row = await on.market(quantity="0.002")
        async with machine(tmp_path) as past:
            assert past.seq <= on.engine.journal.durable_seq
            await on.market(quantity="0.001")
            view = await past.call("replay.step", kind="fills")
            order = past.host.player.past.engine.state.order(row.client_id)
            assert order is not None
            assert view.seq > 0
            record = next(r for r in await past.host.context.reader.latest(5) if isinstance(r.event, OrderFilled))  # type: ignore[union-attr]
            assert record.seq == view.seq
