"""What the console knows of the engine: the newest of every watched topic, shared by whoever looks at it.

    book = store.follow("market.book", instrument="SIM:BTC/USDT", depth=25)
    fresh = book.take()        # the newest data if it changed since the last take, else None
    book.close()               # the topic is left when nobody follows it any more

Deltas arrive between drawings and only replace a reference here; screens pull at their own pace.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.control.link import Delta, EngineLink, Subscription

__all__ = ["Slice", "Store"]

Key = tuple[str, tuple[tuple[str, Any], ...]]


class _Feed:
    """One subscription and the newest data it brought."""

    def __init__(self, store: Store, key: Key) -> None:
        self.store = store
        self.key = key
        self.data: Any = None
        self.version = 0
        self.received: float | None = None
        self.followers = 0
        self.subscription: Subscription | None = None

    def open(self) -> None:
        if self.subscription is None:
            topic, filters = self.key
            self.subscription = self.store.link.subscribe(topic, self.hear, **dict(filters))

    def hear(self, delta: Delta) -> None:
        self.data = delta.data
        self.version += 1
        self.received = self.store.steady()


class Slice:
    """One follower's view of a state topic."""

    def __init__(self, feed: _Feed) -> None:
        self._feed = feed
        self._taken = 0
        self._open = True
        feed.followers += 1

    @property
    def data(self) -> Any:
        """The newest data; None before the first message."""
        return self._feed.data

    @property
    def received(self) -> float | None:
        """When the newest data came, in the store's steady seconds; None before."""
        return self._feed.received

    @property
    def fresh(self) -> bool:
        """Whether there is data that was not taken yet."""
        return self._feed.version != self._taken

    def touch(self) -> None:
        """Let the next take return the data again, though it has not changed."""
        self._taken = 0 if self._feed.version else self._taken

    def take(self) -> Any:
        """Return the newest data if it changed since the last take, else None."""
        if not self.fresh:
            return None
        self._taken = self._feed.version
        return self._feed.data

    def open(self) -> None:
        """Begin to follow, after `Store.prepare`."""
        self._feed.open()

    def close(self) -> None:
        """Follow no more; a second call does nothing."""
        if self._open:
            self._open = False
            self._feed.followers -= 1
            self._feed.store.leave(self._feed)


class Store:
    """The newest of every followed topic.

    Args:
        link: The way to the engine.
        steady: Seconds on a scale that never goes back.
    """

    def __init__(self, link: EngineLink, steady: Callable[[], float]) -> None:
        self.link = link
        self.steady = steady
        self._feeds: dict[Key, _Feed] = {}

    def follow(self, topic: str, **filters: Any) -> Slice:
        """Follow a state topic; followers of the same topic and filters share one subscription."""
        slice_ = self.prepare(topic, **filters)
        slice_.open()
        return slice_

    def prepare(self, topic: str, **filters: Any) -> Slice:
        """Return a slice that follows its topic from its `open` on, for before there is an event loop."""
        key: Key = (topic, tuple(sorted(filters.items())))
        feed = self._feeds.get(key)
        if feed is None:
            feed = self._feeds[key] = _Feed(self, key)
        return Slice(feed)

    def listen(self, topic: str, handler: Callable[[Delta], None], **filters: Any) -> Subscription:
        """Hear every message of a topic of facts, in order."""
        return self.link.subscribe(topic, handler, **filters)

    def leave(self, feed: _Feed) -> None:
        """Close a feed that nobody follows any more."""
        if feed.followers == 0 and self._feeds.get(feed.key) is feed:
            del self._feeds[feed.key]
            if feed.subscription is not None:
                feed.subscription.close()

    def forget(self) -> None:
        """Forget all data: it is another engine's, or of another time; what follows brings its own."""
        for feed in self._feeds.values():
            feed.data = feed.received = None
            feed.version = 0

    def close(self) -> None:
        """Leave every topic."""
        for feed in list(self._feeds.values()):
            feed.followers = 0
            self.leave(feed)
