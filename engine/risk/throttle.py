"""The order-rate throttle: how many orders an owner has sent within a second and a minute."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from engine.model.risk import Refusal, RefusalCode

if TYPE_CHECKING:
    from engine.model.ids import Owner
    from engine.model.limits import RiskLimits

__all__ = ["Throttle"]

_SECOND = 1_000_000_000
_MINUTE = 60 * _SECOND
_KEPT = 60_000


class Throttle:
    """Sliding windows of order times by owner, so that one runaway bot does not use up the others' orders."""

    def __init__(self) -> None:
        self._sent: dict[Owner, deque[int]] = {}

    def count(self, owner: Owner, now: int) -> None:
        """Note that an order was booked; what is older than a minute is forgotten."""
        sent = self._sent.get(owner)
        if sent is None:
            sent = self._sent[owner] = deque(maxlen=_KEPT)
        while sent and sent[0] <= now - _MINUTE:
            sent.popleft()
        sent.append(now)

    def used(self, owner: Owner, now: int) -> tuple[int, int]:
        """Orders within the last second and within the last minute."""
        sent = self._sent.get(owner)
        if not sent or sent[-1] <= now - _MINUTE:
            return 0, 0
        second = minute = 0
        for ts in reversed(sent):
            if ts <= now - _MINUTE:
                break
            minute += 1
            second += ts > now - _SECOND
        return second, minute

    def save(self, now: int) -> dict[Owner, list[int]]:
        """The windows as plain values, for `restore`."""
        return {owner: fresh for owner, sent in self._sent.items() if (fresh := [t for t in sent if t > now - _MINUTE])}

    def restore(self, saved: dict[Owner, list[int]]) -> None:
        """Go on from saved windows."""
        self._sent = {owner: deque(sent, maxlen=_KEPT) for owner, sent in saved.items()}

    def busiest(self, now: int) -> tuple[int, int]:
        """The largest counts of any owner."""
        counts = [self.used(owner, now) for owner in self._sent]
        return max((c[0] for c in counts), default=0), max((c[1] for c in counts), default=0)

    def refusal(self, owner: Owner, now: int, limits: RiskLimits) -> Refusal | None:
        """The reason against one more order now; None when there is none."""
        sent = self._sent.get(owner)
        if not sent:
            return None
        for window, most, word in (
            (_SECOND, limits.max_orders_per_second, "second"),
            (_MINUTE, limits.max_orders_per_minute, "minute"),
        ):
            # The last `most` orders tell all: the window is full when the first of them is still inside it.
            if len(sent) >= most and sent[-most] > now - window:
                free_in = (sent[-most] + window - now) / _SECOND
                return Refusal(
                    code=RefusalCode.ORDER_RATE,
                    message=f"{owner} has sent {most} orders within a {word}, which is the limit; "
                    f"the next may go in {free_in:.1f} s.",
                    limit=f"{most} per {word}",
                    value=str(most),
                    name=f"max_orders_per_{word}",
                )
        return None
