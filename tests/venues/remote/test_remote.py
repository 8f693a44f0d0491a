"""A venue in another process: what is certain when the line breaks, what is resumed, and who is served."""

from __future__ import annotations

import asyncio
import os
import socket
import stat
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from engine.errors import ConfigurationError, ConflictError, ExchangeConnectionError, UnknownOutcomeError
from engine.events import OrderAccepted, OrderFilled, VenueEvent
from engine.model.ids import ClientOrderId, InstrumentId
from engine.model.market import BookUpdate, FeedStatus, MarketEvent, OrderBook
from engine.model.order import OrderSide, OrderType
from engine.model.venue import OrderCommand, VenueStatus
from engine.venues.markets.sim_profile import SimulatedSettings
from engine.venues.markets.simulated import SimulatedMarket
from engine.venues.paper.faults import Fault, Operation
from engine.venues.paper.venue import PaperVenue
from engine.venues.remote import frames, line, session
from engine.venues.remote.server import VenueServer
from tests.venues.remote.harness import RemoteHarness

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from engine.model.ids import AccountId
    from engine.venues.remote.client import RemoteVenue

BTC = InstrumentId("SIM:BTC/USDT")
ETH = InstrumentId("SIM:ETH/USDT")


@pytest.fixture
async def h(tmp_path: Path) -> AsyncIterator[RemoteHarness]:
    def make(now: int) -> SimulatedMarket:
        return SimulatedMarket(SimulatedSettings(seed=7), now)

    harness = RemoteHarness(make, tmp_path / "paper.db", BTC, Decimal("0.005"))
    await harness.start()
    yield harness
    await harness.close()


def remote(h: RemoteHarness) -> RemoteVenue:
    return h.venue  # type: ignore[return-value]


def paper(h: RemoteHarness) -> PaperVenue:
    assert isinstance(h.server.venue, PaperVenue)
    return h.server.venue


def order(h: RemoteHarness, name: str) -> OrderCommand:
    return OrderCommand(
        client_id=ClientOrderId(name),
        account=h.account,
        instrument=BTC,
        side=OrderSide.BUY,
        type=OrderType.MARKET,
        quantity=h.size,
    )


def cut(h: RemoteHarness) -> None:
    """The connections break."""
    for client in tuple(h.server.sessions):
        client.cut()


async def broken(h: RemoteHarness) -> None:
    """The line breaks, and stands again."""
    before = remote(h)._line
    cut(h)
    await h.until(lambda: remote(h)._line not in (None, before) and h.venue.status is VenueStatus.ONLINE)


def about(events: list[tuple[AccountId, VenueEvent]], name: str) -> list[type]:
    ids = [(e.fill.client_id if isinstance(e, OrderFilled) else e.client_id, type(e)) for _, e in events]
    return [kind for client_id, kind in ids if client_id == name]


# --- what is certain -------------------------------------------------------------------------------------------------


async def test_a_request_that_was_under_way_when_the_line_broke_is_of_unknown_outcome(h: RemoteHarness) -> None:
    paper(h).faults.delay(Operation.PLACE, 0.5)
    placing = asyncio.ensure_future(h.venue.place(order(h, "late")))
    asking = asyncio.ensure_future(h.venue.balances(h.account))
    await h.until(lambda: h.server._tasks and len(h.server._tasks) > 2)
    cut(h)
    with pytest.raises(UnknownOutcomeError, match="ask for the order"):
        await h.call(placing)
    with pytest.raises(ExchangeConnectionError, match="ask again"):
        await h.call(asking)
    # The venue goes on with what it was asked for, and says so when the line stands again.
    await h.until(lambda: OrderFilled in about(h.events, "late"))
    assert about(h.events, "late").count(OrderAccepted) == 1


async def test_without_a_line_nothing_leaves_and_the_venue_counts_as_offline(h: RemoteHarness) -> None:
    await h.call(h.venue.watch([BTC]))
    await h.call(h.server.close())
    await h.until(lambda: h.venue.status is VenueStatus.OFFLINE)
    with pytest.raises(ExchangeConnectionError, match="did not leave"):
        await h.call(h.venue.place(order(h, "never")))
    assert isinstance(h.market[-1], FeedStatus)
    assert not h.market[-1].live


async def test_an_error_of_the_venue_arrives_as_the_same_error(h: RemoteHarness) -> None:
    paper(h).faults.plan(Operation.PLACE, Fault.REFUSE, Fault.LOSE_REPLY)
    with pytest.raises(ExchangeConnectionError, match="refused"):
        await h.call(h.venue.place(order(h, "refused")))
    with pytest.raises(UnknownOutcomeError):
        await h.call(h.venue.place(order(h, "lost")))


# --- what is resumed -------------------------------------------------------------------------------------------------


async def test_no_report_is_lost_or_told_twice_when_the_line_breaks(h: RemoteHarness) -> None:
    missed: list[str] = []
    remote(h).missed = lambda: missed.append("?")
    for number in range(6):
        await h.call(h.venue.place(order(h, f"cut{number}")))
        await broken(h)
    await h.until(lambda: all(OrderFilled in about(h.events, f"cut{n}") for n in range(6)))
    fills = [e.fill.key for _, e in h.events if isinstance(e, OrderFilled)]
    there = (await h.call(h.venue.fills_since(h.account, "")))[0]
    assert fills == [fill.key for fill in there]
    assert missed == []


async def test_the_market_begins_with_a_whole_book_after_the_line_broke(h: RemoteHarness) -> None:
    await h.call(h.venue.watch([BTC]))
    await h.until(lambda: len(h.market) > 20)
    await broken(h)
    gap = max(i for i, e in enumerate(h.market) if isinstance(e, FeedStatus))
    await h.until(lambda: len(h.market) > gap + 20)
    updates = [e for e in h.market[gap:] if isinstance(e, BookUpdate)]
    book = OrderBook(BTC)
    assert updates[0].snapshot
    assert all(book.apply(update) for update in updates)


async def test_after_another_run_of_the_server_the_books_have_to_be_compared(h: RemoteHarness) -> None:
    missed: list[str] = []
    client = remote(h)
    client.missed = lambda: missed.append("?")
    await h.call(h.venue.place(order(h, "before")))
    await h.call(h.server.close())
    await h.until(lambda: client.status is VenueStatus.OFFLINE)
    h._make()
    await h.call(h.server.start())
    await h.until(lambda: client.status is VenueStatus.ONLINE)
    assert missed == ["?"]
    await h.call(client.place(order(h, "after")))
    await h.until(lambda: OrderFilled in about(h.events, "after"))


async def test_a_server_that_is_away_is_started_by_whoever_needs_it(h: RemoteHarness) -> None:
    await h.call(h.server.close())
    started: list[VenueServer] = []

    async def revive() -> None:
        if not started:
            h._make()
            started.append(h.server)
            await h.server.start()

    venue = h.client(revive=revive)
    await h.call(venue.start(lambda *_: None, lambda _: None))
    assert venue.status is VenueStatus.ONLINE
    await h.call(venue.close())


# --- several clients -------------------------------------------------------------------------------------------------


async def test_two_clients_hear_the_same_and_watch_each_for_itself(h: RemoteHarness) -> None:
    events: list[tuple[AccountId, VenueEvent]] = []
    market: list[MarketEvent] = []
    await h.call(h.venue.watch([BTC]))
    await h.until(lambda: len(h.market) > 30)
    second = h.client()
    await h.call(second.start(lambda a, e: events.append((a, e)), market.append))
    await h.call(second.watch([BTC, ETH]))
    await h.call(h.venue.place(order(h, "both")))
    await h.until(lambda: OrderFilled in about(events, "both") and OrderFilled in about(h.events, "both"))
    assert events == h.events
    assert {e.instrument for e in h.market} == {BTC}
    for instrument in (BTC, ETH):
        book = OrderBook(instrument)
        updates = [e for e in market if isinstance(e, BookUpdate) and e.instrument == instrument]
        assert updates[0].snapshot
        assert all(book.apply(update) for update in updates)
    # One leaves: the other still hears.
    await h.call(h.venue.unwatch([BTC]))
    heard = len(market)
    await h.until(lambda: len(market) > heard + 10)
    await h.call(second.close())


async def test_a_client_that_does_not_read_gets_every_fact_and_of_the_market_the_newest(
    h: RemoteHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "HIGH_WATER", 4096)
    monkeypatch.setattr("engine.venues.remote.client.SILENCE_S", 1e6)
    slow = h.client()
    events: list[tuple[AccountId, VenueEvent]] = []
    market: list[MarketEvent] = []
    await h.call(slow.start(lambda a, e: events.append((a, e)), market.append))
    await h.call(slow.watch([BTC]))
    theirs = next(client for client in h.server.sessions if client.watched)
    theirs._transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)  # type: ignore[union-attr]
    slow._line._transport.pause_reading()  # type: ignore[union-attr]
    await h.until(lambda: theirs._pressed)
    waiting = theirs._transport.get_write_buffer_size()  # type: ignore[union-attr]
    for number in range(3):
        await h.call(h.venue.place(order(h, f"slow{number}")))
        await h.until(lambda n=number: OrderFilled in about(h.events, f"slow{n}"))  # type: ignore[misc]
    assert theirs._transport.get_write_buffer_size() < waiting + 16_384  # type: ignore[union-attr]
    await h.until(lambda: theirs._behind)
    assert about(events, "slow0") == []
    slow._line._transport.resume_reading()  # type: ignore[union-attr]
    await h.until(lambda: OrderFilled in about(events, "slow2"))
    assert events == h.events
    await h.until(lambda: not theirs._pressed and not theirs._behind)
    await h.until(lambda: any(isinstance(e, BookUpdate) and e.snapshot for e in market[1:]))
    # What was left out is said, and then begins with a whole book.
    gap = next(i for i, e in enumerate(market) if isinstance(e, FeedStatus))
    book = OrderBook(BTC)
    assert all(book.apply(e) for e in market[gap:] if isinstance(e, BookUpdate))
    await h.call(slow.close())


# --- who is served ---------------------------------------------------------------------------------------------------


def test_the_socket_and_its_folder_are_for_their_owner_only(tmp_path: Path) -> None:
    from engine.venues.remote.server import _listen

    door = _listen(tmp_path / "run" / "venue.sock")
    assert stat.S_IMODE((tmp_path / "run").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "run" / "venue.sock").stat().st_mode) == 0o600
    door.close()


async def test_another_user_is_not_served_and_not_believed(h: RemoteHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "is_ours", lambda _: False)
    stranger = socket.socket(socket.AF_UNIX)
    stranger.setblocking(False)
    await asyncio.get_running_loop().sock_connect(stranger, str(h.socket))
    assert await asyncio.get_running_loop().sock_recv(stranger, 1) == b""
    stranger.close()
    monkeypatch.undo()
    monkeypatch.setattr(line, "is_ours", lambda _: False)
    with pytest.raises(PermissionError):
        await line.Line(lambda *_: None).dial(h.socket)


async def test_a_program_that_says_something_else_is_cut_off(h: RemoteHarness) -> None:
    before = set(h.server.sessions)
    stranger = socket.socket(socket.AF_UNIX)
    stranger.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(stranger, str(h.socket))
    await loop.sock_sendall(stranger, b"GET / HTTP/1.1\r\n\r\n")
    assert await loop.sock_recv(stranger, 100) == b""
    stranger.close()
    assert h.server.sessions == before


@pytest.mark.parametrize(("theirs", "older"), [(0, "the engine is the older one"), (9, "process is the older one")])
async def test_another_protocol_is_refused_with_a_sentence(
    h: RemoteHarness, monkeypatch: pytest.MonkeyPatch, theirs: int, older: str
) -> None:
    monkeypatch.setattr("engine.venues.remote.client.PROTOCOL", theirs)
    venue = h.client()
    with pytest.raises(ConflictError, match=older):
        await h.call(venue.start(lambda *_: None, lambda _: None))
    await h.call(venue.close())


async def test_a_path_that_is_too_long_is_refused_before_anything_is_started(h: RemoteHarness) -> None:
    server = VenueServer(paper(h), Path("/tmp", "x" * 100), h.clock, release="1")
    with pytest.raises(ConfigurationError, match="--home"):
        await server.start()


def test_frames_are_cut_however_they_arrive() -> None:
    whole = frames.frame(frames.Kind.BEAT) + frames.frame(frames.Kind.REPLY, b"abc") + frames.frame(frames.Kind.BEAT)
    for size in (1, 2, 5, len(whole)):
        cutter = frames.Frames()
        parts = [whole[at : at + size] for at in range(0, len(whole), size)]
        assert [f for part in parts for f in cutter.feed(part)] == [(8, b""), (5, b"abc"), (8, b"")]
    with pytest.raises(ValueError, match="bytes"):
        list(frames.Frames().feed(b"\xff" * 5))


def test_the_kernel_says_who_is_at_the_other_end() -> None:
    from engine.venues.remote.peers import is_ours, peer_of

    here, there = socket.socketpair()
    with here, there:
        assert peer_of(here) in ((os.getpid(), os.getuid()), None)
        assert is_ours(here)
