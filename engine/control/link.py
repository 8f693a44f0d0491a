"""What a console holds of an engine: operations to call and topics to watch, wherever the engine runs.

    link: EngineLink
    row = await link.call("orders.place", {...}, request_id=new_request_id())
    watching = link.subscribe("market.book", on_book, instrument="SIM:BTC/USDT", depth=25)
    watching.close()

Every door gives this same thing: the same frozen views, the same errors, the same classes of topics.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pydantic import BaseModel

__all__ = ["Delta", "DeltaHandler", "EngineLink", "LinkState", "Subscription"]

LinkState: TypeAlias = Literal["embedded", "attached", "lost", "replay"]
"""In the same process, through a door to another one, without an engine at present, or to a replay of the past."""


class Delta(msgspec.Struct, frozen=True, gc=False):
    """One message of a topic."""

    topic: str
    seq: int
    """Counts the topic's messages for this subscriber; for topics of facts it is the journal's number."""
    snapshot: bool
    """True when `data` is the whole and nothing before it counts."""
    data: Any
    """A view or a tuple of views of `engine.control.views`."""


DeltaHandler: TypeAlias = "Callable[[Delta], None]"


class Subscription(Protocol):
    """One watched topic."""

    def close(self) -> None:
        """Hear no more, from this moment on; a second call does nothing."""


class EngineLink(Protocol):
    """The one way to an engine."""

    @property
    def state(self) -> LinkState:
        """How the engine is reached at present."""

    async def call(
        self, operation: str, params: Mapping[str, Any] | BaseModel | None = None, *, request_id: str | None = None
    ) -> Any:
        """Do an operation and return its typed reply.

        Args:
            operation: Name of the operations table, `noun.verb`.
            params: Fields of its request; None for none.
            request_id: Chosen by the caller for a call that changes something; a repeat with the same one gets the
                first answer and does nothing more.

        Raises:
            ValidationError: The request does not fit the operation.
            NotFoundError: There is no such operation or object.
            EngineNotRunningError: The link is lost; whether a mutating call was done is not known then, and asking
                again with the same request id tells.
            QuarterdeckError: What the operation itself refuses with.
        """

    def subscribe(self, topic: str, handler: DeltaHandler, **filters: Any) -> Subscription:
        """Watch a topic: a snapshot first, then what changes.

        The handler is called on a later turn of the event loop, never from inside this call and never after `close`.

        Raises:
            NotFoundError: There is no such topic.
            ValidationError: The filters do not fit it.
        """
