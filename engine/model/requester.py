"""For whom a request leaves: what waits in line at a venue is served in turns, not by who asks most."""

from __future__ import annotations

from contextvars import ContextVar
from typing import NamedTuple

__all__ = ["REQUESTER", "Requester"]


class Requester(NamedTuple):
    """An owner of orders and its weight."""

    owner: str
    weight: int
    """From 1 on; twice the weight is twice as many turns where not everybody can be served."""


REQUESTER: ContextVar[Requester | None] = ContextVar("requester", default=None)
"""Set by who sends an order, for the task that sends it; None for what belongs to nobody."""
