"""A link that can be turned to another engine while everybody goes on holding it: the present, or a replay."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from engine.errors import QuarterdeckError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import BaseModel

    from engine.control.link import DeltaHandler, EngineLink, LinkState, Subscription

__all__ = ["SwitchLink"]


class _Watch:
    """One watched topic, on whichever link is in use. Implements `Subscription`."""

    def __init__(self, owner: SwitchLink, topic: str, handler: DeltaHandler, filters: dict[str, Any]) -> None:
        self._owner = owner
        self._topic = topic
        self._handler = handler
        self._filters = filters
        self._inner: Subscription | None = owner.link.subscribe(topic, handler, **filters)

    def close(self) -> None:
        """Hear no more."""
        self._leave()
        self._owner.forget(self)

    def move(self, link: EngineLink) -> None:
        """Watch the same topic there; a link that does not have it leaves the watcher without news."""
        self._leave()
        with suppress(QuarterdeckError):
            self._inner = link.subscribe(self._topic, self._handler, **self._filters)

    def _leave(self) -> None:
        inner, self._inner = self._inner, None
        if inner is not None:
            inner.close()


class SwitchLink:
    """An `EngineLink` that passes everything on to the one in use.

    Args:
        link: The one in use at first; `home` keeps it.
    """

    def __init__(self, link: EngineLink) -> None:
        self.home = link
        self.link = link
        self._watches: list[_Watch] = []

    @property
    def state(self) -> LinkState:
        """Of the link in use."""
        return self.link.state

    async def call(
        self, operation: str, params: Mapping[str, Any] | BaseModel | None = None, *, request_id: str | None = None
    ) -> Any:
        """See `EngineLink.call`."""
        return await self.link.call(operation, params, request_id=request_id)

    def subscribe(self, topic: str, handler: DeltaHandler, **filters: Any) -> Subscription:
        """See `EngineLink.subscribe`; the subscription outlives a switch."""
        watch = _Watch(self, topic, handler, filters)
        self._watches.append(watch)
        return watch

    def use(self, link: EngineLink) -> None:
        """Turn to another engine: every topic that is watched is watched there from now on."""
        if link is not self.link:
            self.link = link
            for watch in tuple(self._watches):
                watch.move(link)

    def renew(self) -> None:
        """Watch every topic anew: what was told so far is of another time."""
        for watch in tuple(self._watches):
            watch.move(self.link)

    def forget(self, watch: _Watch) -> None:
        """Drop a watcher that hears no more."""
        if watch in self._watches:
            self._watches.remove(watch)
