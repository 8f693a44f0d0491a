"""The numbers of one connection's messages: they run over all channels without a gap, from 0."""

from __future__ import annotations

__all__ = ["Sequence"]


class Sequence:
    """Checks `sequence_num`; a new connection begins anew."""

    __slots__ = ("_next", "_opened")

    def __init__(self) -> None:
        self._next = 0
        self._opened = -1

    def takes(self, opened: int, number: int) -> bool:
        """Whether a message is new, in its turn.

        Args:
            opened: Which connection it came over, as `StreamConnection.opened` counts.
            number: Its `sequence_num`.

        Returns:
            False for one that was there before (a duplicate, or one that was given up as missing).

        Raises:
            LookupError: Messages before it are missing.
        """
        if opened != self._opened:
            self._opened, self._next = opened, 0
        if number < self._next:
            return False
        if number > self._next:
            raise LookupError(f"{number - self._next} messages before number {number} are missing")
        self._next = number + 1
        return True
