"""Queues are bounded and do what their policy says."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.bus import Disconnected, Policy, Queue


def test_drop_oldest_keeps_the_newest() -> None:
    queue: Queue[int] = Queue(2, Policy.DROP_OLDEST, "trades")
    assert [queue.put(n) for n in (1, 2, 3)] == [True, True, False]
    assert queue.drain() == [2, 3]
    assert queue.dropped == 1


def test_latest_wins_keeps_one_item_a_key_in_the_place_of_the_first() -> None:
    queue: Queue[str] = Queue(2, Policy.LATEST_WINS, "books")
    assert queue.put("a1", key="a")
    assert queue.put("b1", key="b")
    assert not queue.put("a2", key="a")
    assert queue.drain() == ["a2", "b1"]


def test_latest_wins_forgets_the_oldest_key_when_there_are_too_many() -> None:
    queue: Queue[str] = Queue(2, Policy.LATEST_WINS, "books")
    for key in ("a", "b", "c"):
        queue.put(key, key=key)
    assert queue.drain() == ["b", "c"]
    assert queue.dropped == 1


async def test_disconnect_closes_a_full_queue_and_its_reader_hears_it() -> None:
    queue: Queue[int] = Queue(2, Policy.DISCONNECT, "facts")
    assert queue.put(1)
    assert queue.put(2)
    assert not queue.put(3)
    assert queue.closed
    assert queue.dropped == 3
    with pytest.raises(Disconnected, match="facts"):
        await queue.wait()
    assert not queue.put(4)


async def test_a_reader_waits_for_the_first_item_and_takes_all() -> None:
    queue: Queue[int] = Queue(10, Policy.DROP_OLDEST, "x")
    reader = asyncio.ensure_future(queue.wait())
    await asyncio.sleep(0)
    assert not reader.done()
    queue.put(1)
    queue.put(2)
    assert await reader == [1, 2]
    assert len(queue) == 0


async def test_a_cancelled_reader_takes_nothing() -> None:
    queue: Queue[int] = Queue(10, Policy.DROP_OLDEST, "x")
    reader = asyncio.ensure_future(queue.wait())
    await asyncio.sleep(0)
    queue.put(1)
    reader.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reader
    assert await queue.wait() == [1]


async def test_what_is_inside_a_closed_queue_can_still_be_read() -> None:
    queue: Queue[int] = Queue(10, Policy.DROP_OLDEST, "x")
    queue.put(1)
    queue.close()
    assert await queue.wait() == [1]
    with pytest.raises(Disconnected):
        await queue.wait()


def test_a_queue_without_room_is_refused() -> None:
    with pytest.raises(ValueError, match="room"):
        Queue(0, Policy.LATEST_WINS, "x")


@given(st.lists(st.tuples(st.integers(0, 3), st.booleans()), max_size=60), st.sampled_from(list(Policy)))
def test_no_queue_ever_holds_more_than_its_limit_and_counts_what_it_lost(
    steps: list[tuple[int, bool]], policy: Policy
) -> None:
    queue: Queue[int] = Queue(3, policy, "x")
    put = taken = 0
    for number, (key, drain) in enumerate(steps):
        if not queue.closed:
            queue.put(number, key=key)
            put += 1
        assert len(queue) <= 3
        if drain:
            items = queue.drain()
            taken += len(items)
    taken += len(queue.drain())
    assert taken + queue.dropped == put
