"""A hash of a living state, made without holding the event loop for long.

Two engines that folded the same facts by the same rules get the same digest at the same number. What is large and
hardly changes, the recent orders, is encoded ahead and kept; a fact about one of them drops its encoding.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from engine.events import Record
    from engine.model.ids import ClientOrderId
    from engine.state.core import EngineState

__all__ = ["StateProof"]

_encode = msgspec.msgpack.Encoder(decimal_format="string", order="deterministic").encode


class StateProof:
    """Makes digests of one state.

    Args:
        state: Read only. Every fact that it folds must be told to `hear`.
    """

    def __init__(self, state: EngineState) -> None:
        self._state = state
        self._encoded: dict[ClientOrderId, bytes] = {}

    def hear(self, record: Record) -> None:
        """Take note of a fact that was folded."""
        event = record.event
        client_id = getattr(event, "client_id", None)
        if client_id is None:
            fill = getattr(event, "fill", None)
            client_id = None if fill is None else fill.client_id
        if client_id is not None:
            self._encoded.pop(client_id, None)

    def prepare(self, most: int) -> bool:
        """Encode at most so many recent orders ahead; False once nothing is left to prepare."""
        left = most
        for client_id, order in self._state.recent.items():
            if client_id not in self._encoded:
                self._encoded[client_id] = _encode(order)
                left -= 1
                if not left:
                    return True
        return False

    def digest(self) -> str:
        """Hex digest over everything the state knows, at its present number."""
        state, encoded = self._state, self._encoded
        digest = hashlib.blake2b(digest_size=16)
        # What is kept of orders that are not recent any more would only grow.
        recent = {key: encoded.get(key) or _encode(order) for key, order in state.recent.items()}
        self._encoded = recent
        digest.update(_encode(list(recent)))
        digest.update(b"".join(recent.values()))
        for name, body in state.sections(without=("recent",)):
            digest.update(name.encode())
            digest.update(body)
        return digest.hexdigest()
