"""The in-process door: the same frozen objects, errors and rules as over a socket, without any serialisation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engine.errors import EngineNotRunningError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import BaseModel

    from engine.control.link import Delta, DeltaHandler, LinkState
    from engine.control.service import Service
    from engine.control.topics import Topics, Watcher

__all__ = ["LocalLink"]


class LocalLink:
    """An `EngineLink` to the engine of this very process and event loop.

    Args:
        service: Runs operations.
        topics: Serves topics.
        wire: Encodes and decodes every message and compares, as a test of what a socket would deliver.
    """

    def __init__(self, service: Service, topics: Topics, *, wire: bool = False) -> None:
        self._service = service
        self._topics = topics
        self._wire = wire

    @property
    def state(self) -> LinkState:
        """`embedded` while the engine runs, then `lost`; `replay` for the past."""
        if self._service.context.replay is not None:
            return "replay"
        engine = self._service.context.engine
        return "lost" if engine is None or engine.stopped else "embedded"

    async def call(
        self, operation: str, params: Mapping[str, Any] | BaseModel | None = None, *, request_id: str | None = None
    ) -> Any:
        """Run an operation; see `EngineLink.call`."""
        if self.state == "lost":
            raise EngineNotRunningError("The engine has stopped; start it again with `quarterdeck`.")
        reply = await self._service.call(operation, params, request_id=request_id)
        if self._wire:
            from engine.control.wire import check

            check(reply)
        return reply

    def subscribe(self, topic: str, handler: DeltaHandler, **filters: Any) -> Watcher:
        """Watch a topic; see `EngineLink.subscribe`."""
        if not self._wire:
            return self._topics.subscribe(topic, handler, filters)

        def checked(delta: Delta) -> None:
            from engine.control.wire import check

            check(delta.data)
            handler(delta)

        return self._topics.subscribe(topic, checked, filters)
