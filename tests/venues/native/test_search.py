"""When an order that no listing holds counts as not found, and when it does not."""

from __future__ import annotations

import asyncio
from typing import NamedTuple

import pytest

from engine.clock import SimulatedClock
from engine.errors import ExchangeConnectionError, NotVisibleYetError
from engine.model.ids import ClientOrderId, VenueId, VenueOrderId
from engine.venues.native.search import Listed, Named, Search

START = 1_790_000_000_000_000_000
WANTED = ClientOrderId("Qwanted")
TIMEOUT_S = 5.0


class Row(NamedTuple):
    """One order of a listing."""

    order_id: str
    client_id: str
    created: int


def named(row: Row) -> Named:
    return Named(ClientOrderId(row.client_id), VenueOrderId(row.order_id), row.created)


class Listings:
    """What the venue lists, question by question."""

    def __init__(self, clock: SimulatedClock) -> None:
        self.clock = clock
        self.rows: list[Row] = []
        self.cut = ""
        self.starts: list[int | None] = []
        self.broken = False
        self.slow = False

    async def __call__(self, start: int | None) -> Listed[Row]:
        self.starts.append(start)
        await asyncio.sleep(0.001 if self.slow else 0)
        if self.broken:
            raise ExchangeConnectionError("it broke off")
        return Listed(list(self.rows), self.cut)

    def add(self, client_id: str, number: str, created: int | None = None) -> None:
        now = self.clock.now() if created is None else created
        self.rows.append(Row(number, client_id, now))


@pytest.fixture
def clock() -> SimulatedClock:
    return SimulatedClock(START)


@pytest.fixture
def listings(clock: SimulatedClock) -> Listings:
    return Listings(clock)


@pytest.fixture
def search(listings: Listings, clock: SimulatedClock) -> Search[Row]:
    return Search(VenueId("COINBASE"), listings, named, clock)


async def test_an_order_in_a_listing_is_found_and_its_number_kept(search: Search[Row], listings: Listings) -> None:
    search.leaves(WANTED, TIMEOUT_S)
    listings.add(WANTED, "7")
    row = await search.find(WANTED)
    assert row is not None
    assert (row.order_id, search.number(WANTED), search.client_id(VenueOrderId("7"))) == ("7", "7", WANTED)


async def test_only_orders_since_the_intent_are_listed(search: Search[Row], listings: Listings) -> None:
    search.leaves(WANTED, TIMEOUT_S)
    with pytest.raises(NotVisibleYetError):
        await search.find(WANTED)
    (start,) = listings.starts
    assert start is not None
    assert START - 120 * 10**9 < start < START


async def test_silence_counts_after_two_listings_the_later_one_30_s_after_the_deadline(
    search: Search[Row], listings: Listings, clock: SimulatedClock
) -> None:
    search.leaves(WANTED, TIMEOUT_S)
    for at in (0.0, 6.0, 20.0, 34.9):
        await clock.advance(at - (clock.now() - START) / 1e9)
        with pytest.raises(NotVisibleYetError) as caught:
            await search.find(WANTED)
        assert caught.value.error_code == "not_visible_yet"
    await clock.advance(0.2)
    assert await search.find(WANTED) is None
    assert len(listings.starts) == 5


async def test_one_late_listing_alone_is_not_enough(search: Search[Row], clock: SimulatedClock) -> None:
    search.leaves(WANTED, TIMEOUT_S)
    await clock.advance(60)
    with pytest.raises(NotVisibleYetError):
        await search.find(WANTED)
    assert await search.find(WANTED) is None


async def test_an_order_that_becomes_visible_late_is_found(
    search: Search[Row], listings: Listings, clock: SimulatedClock
) -> None:
    search.leaves(WANTED, TIMEOUT_S)
    await clock.advance(30)
    with pytest.raises(NotVisibleYetError):
        await search.find(WANTED)
    listings.add(WANTED, "7", START)
    await clock.advance(30)
    row = await search.find(WANTED)
    assert row is not None


async def test_a_listing_that_breaks_off_is_no_evidence(
    search: Search[Row], listings: Listings, clock: SimulatedClock
) -> None:
    search.leaves(WANTED, TIMEOUT_S)
    await clock.advance(60)
    listings.broken = True
    for _ in range(3):
        with pytest.raises(ExchangeConnectionError):
            await search.find(WANTED)
    listings.broken = False
    with pytest.raises(NotVisibleYetError):
        await search.find(WANTED)


async def test_a_listing_without_an_order_that_exists_is_no_evidence(
    search: Search[Row], listings: Listings, clock: SimulatedClock
) -> None:
    search.leaves(WANTED, TIMEOUT_S)
    search.leaves(ClientOrderId("Qother"), TIMEOUT_S)
    await clock.advance(1)
    search.learn(ClientOrderId("Qother"), VenueOrderId("8"))
    await clock.advance(60)
    for _ in range(3):
        with pytest.raises(NotVisibleYetError) as caught:
            await search.find(WANTED)
        assert caught.value.error_code == "listing_cut"
    listings.add("Qother", "8")
    with pytest.raises(NotVisibleYetError) as caught:
        await search.find(WANTED)
    assert caught.value.error_code == "not_visible_yet"
    assert await search.find(WANTED) is None


async def test_a_listing_that_says_that_it_is_cut_finds_and_never_denies(
    search: Search[Row], listings: Listings, clock: SimulatedClock
) -> None:
    listings.cut = "it keeps orders for a day"
    search.leaves(WANTED, TIMEOUT_S)
    await clock.advance(60)
    for _ in range(5):
        with pytest.raises(NotVisibleYetError, match="proves nothing: it keeps orders for a day") as caught:
            await search.find(WANTED)
        assert caught.value.error_code == "listing_cut"
    listings.add(WANTED, "7", START)
    assert await search.find(WANTED) is not None


async def test_older_orders_need_not_be_in_a_listing_since_the_intent(
    search: Search[Row], listings: Listings, clock: SimulatedClock
) -> None:
    search.learn(ClientOrderId("Qold"), VenueOrderId("1"), START - 10 * 60 * 10**9)
    search.leaves(WANTED, TIMEOUT_S)
    await clock.advance(60)
    with pytest.raises(NotVisibleYetError) as caught:
        await search.find(WANTED)
    assert caught.value.error_code == "not_visible_yet"


async def test_an_id_of_an_earlier_process_takes_two_whole_listings(search: Search[Row], listings: Listings) -> None:
    assert await search.find(WANTED) is None
    assert listings.starts == [None, None]


async def test_a_refused_order_need_not_be_waited_for(search: Search[Row], listings: Listings) -> None:
    search.leaves(WANTED, TIMEOUT_S)
    assert search.is_known(WANTED)
    search.never_was(WANTED)
    assert not search.is_known(WANTED)
    assert await search.find(WANTED) is None


async def test_an_order_sent_again_after_a_refusal_starts_anew(
    search: Search[Row], listings: Listings, clock: SimulatedClock
) -> None:
    assert await search.find(WANTED) is None
    search.leaves(WANTED, TIMEOUT_S)
    await clock.advance(60)
    with pytest.raises(NotVisibleYetError):
        await search.find(WANTED)


async def test_questions_that_wait_together_share_a_listing(search: Search[Row], listings: Listings) -> None:
    listings.slow = True
    ids = [ClientOrderId(f"Q{n}") for n in range(10)]
    for number, client_id in enumerate(ids):
        search.leaves(client_id, TIMEOUT_S)
        listings.add(client_id, str(number))
    found = await asyncio.gather(*(search.find(client_id) for client_id in ids))
    assert [row.order_id for row in found if row] == [str(n) for n in range(10)]
    assert len(listings.starts) <= 2


async def test_whoever_gives_up_does_not_take_the_listing_from_others(search: Search[Row], listings: Listings) -> None:
    listings.slow = True
    ids = [ClientOrderId("Qa"), ClientOrderId("Qb")]
    for number, client_id in enumerate(ids):
        search.leaves(client_id, TIMEOUT_S)
        listings.add(client_id, str(number))
    first, second = (asyncio.ensure_future(search.find(client_id)) for client_id in ids)
    await asyncio.sleep(0)
    first.cancel()
    row = await second
    assert row is not None
    assert row.order_id == "1"
