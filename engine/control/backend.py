"""What a door serves: operations with the caller's role and name, topics, and who the engine is."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from engine.errors import EngineNotRunningError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from engine.control.facts import Fact, FactLog
    from engine.control.link import DeltaHandler, Subscription
    from engine.control.registry import Role
    from engine.control.service import Service
    from engine.control.topics import Topics

__all__ = ["Backend", "EngineBackend", "Identity"]


class Identity(NamedTuple):
    """Who the engine is, as the welcome says it."""

    release: str
    pid: int
    started: int
    mode: str
    account: str
    instance: str
    epoch: int
    home: str


class Backend(Protocol):
    """An engine as the socket serves it."""

    def identity(self) -> Identity:
        """Who the engine is."""

    async def call(
        self,
        name: str,
        params: Mapping[str, Any],
        *,
        request_id: str | None,
        role: Role,
        actor: str,
        connection: str = "",
    ) -> Any:
        """Do an operation for somebody; see `Service.call`."""

    def subscribe(self, topic: str, handler: DeltaHandler, filters: dict[str, Any]) -> Subscription:
        """Watch a topic of state; see `Topics.subscribe`."""

    def log_of(self, topic: str) -> FactLog | None:
        """The newest facts of a topic of facts; None when it is none."""

    def on_facts(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Have a function called whenever facts were told; what is returned ends that."""

    async def page(self, topic: str, cursor: int) -> tuple[list[Fact], int]:
        """Facts after a cursor from the journal, and the cursor behind them."""

    def left(self, connection: str) -> None:
        """A connection has ended: what it was allowed ends with it."""


class EngineBackend:
    """The engine of this process.

    Args:
        service: Runs its operations.
        topics: Serves its topics.
    """

    def __init__(self, service: Service, topics: Topics) -> None:
        self._service = service
        self._topics = topics

    def identity(self) -> Identity:
        """Who the engine is."""
        context = self._service.context
        engine = context.need_engine()
        account = engine.default.accounts.get(engine.account)
        return Identity(
            release=engine.release,
            pid=os.getpid(),
            started=engine.started,
            mode=str(account.mode) if account is not None else "",
            account=engine.account,
            instance=engine.journal.meta.instance,
            epoch=engine.journal.epoch,
            home=str(context.home),
        )

    async def call(
        self,
        name: str,
        params: Mapping[str, Any],
        *,
        request_id: str | None,
        role: Role,
        actor: str,
        connection: str = "",
    ) -> Any:
        """Do an operation; see `Service.call`."""
        if self._service.context.need_engine().stopped:
            raise EngineNotRunningError("The engine has stopped; start it again with `quarterdeck`.")
        return await self._service.call(
            name, params, request_id=request_id, role=role, actor=actor, connection=connection
        )

    def left(self, connection: str) -> None:
        """A connection has ended: what it was allowed ends with it."""
        self._service.context.arming.disarm(connection)

    def subscribe(self, topic: str, handler: DeltaHandler, filters: dict[str, Any]) -> Subscription:
        """Watch a topic of state; see `Topics.subscribe`."""
        return self._topics.subscribe(topic, handler, filters)

    def log_of(self, topic: str) -> FactLog | None:
        """The newest facts of a topic of facts."""
        return self._topics.logs.get(topic)

    def on_facts(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Have a function called whenever facts were told."""
        return self._topics.on_facts(listener)

    async def page(self, topic: str, cursor: int) -> tuple[list[Fact], int]:
        """Facts after a cursor from the journal."""
        return await self._topics.page(topic, cursor)
