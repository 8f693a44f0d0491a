"""The store keeps the newest of every topic, shares subscriptions, and hears nothing after a close."""

from __future__ import annotations

import asyncio

from console.store import Store
from tests.kit.deck import FakeTime
from tests.kit.fake_link import FakeLink


async def turn() -> None:
    for _ in range(3):
        await asyncio.sleep(0)


async def test_followers_of_the_same_topic_share_one_subscription() -> None:
    link = FakeLink()
    store = Store(link, FakeTime())
    one = store.follow("market.book", instrument="SIM:BTC/USDT", depth=5)
    two = store.follow("market.book", depth=5, instrument="SIM:BTC/USDT")
    other = store.follow("market.book", instrument="SIM:ETH/USDT", depth=5)
    assert link.topics() == ["market.book", "market.book"]
    one.close()
    one.close()
    assert len(link.subscriptions) == 2
    two.close()
    assert [subscription.filters["instrument"] for subscription in link.subscriptions] == ["SIM:ETH/USDT"]
    other.close()
    assert link.topics() == []


async def test_each_follower_takes_what_is_new_to_it_once() -> None:
    link = FakeLink()
    store = Store(link, FakeTime())
    one, two = store.follow("risk.state"), store.follow("risk.state")
    assert one.take() is None
    assert one.data is None
    await turn()
    assert one.take() is not None
    assert one.take() is None
    assert two.fresh
    link.publish("risk.state", "first")
    link.publish("risk.state", "second")
    await turn()
    assert one.take() == "second"
    one.touch()
    assert one.take() == "second"
    assert two.take() == "second"


async def test_nothing_is_heard_after_a_close() -> None:
    link = FakeLink()
    store = Store(link, FakeTime())
    slice_ = store.follow("risk.state")
    slice_.close()
    link.publish("risk.state", "late")
    await turn()
    assert slice_.data is None


async def test_the_time_of_reception_is_kept() -> None:
    link, time = FakeLink(), FakeTime()
    store = Store(link, time)
    slice_ = store.follow("engine.status")
    assert slice_.received is None
    time.seconds = 7.0
    await turn()
    assert slice_.received == 7.0


async def test_a_prepared_slice_follows_from_its_opening_on() -> None:
    link = FakeLink()
    store = Store(link, FakeTime())
    slice_ = store.prepare("engine.status")
    assert link.topics() == []
    slice_.open()
    slice_.open()
    assert link.topics() == ["engine.status"]
    store.close()
    assert link.topics() == []
