"""What is wanted on a connection, what was asked for, and what the venue has confirmed. Plain, without any waiting."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from engine.errors import QuarterdeckError

__all__ = ["Subscriptions"]


class _Waiting:
    """Somebody who wants to know when these channels are confirmed."""

    __slots__ = ("future", "left")

    def __init__(self, left: set[str], future: asyncio.Future[None]) -> None:
        self.left = left
        self.future = future

    def end(self, error: QuarterdeckError | None = None) -> None:
        if self.future.done():
            return
        if error is None:
            self.future.set_result(None)
        else:
            self.future.set_exception(error)


class Subscriptions:
    """Channels of one connection on their way from wanted over asked to confirmed.

    Args:
        standing: Channels that are always wanted.
    """

    def __init__(self, standing: Iterable[str]) -> None:
        self.wanted: dict[str, None] = dict.fromkeys(standing)
        """In the order of asking."""
        self._asked: set[str] = set()
        self._confirmed: set[str] = set()
        self._leave: list[str] = []
        self._pending: dict[int, tuple[set[str], int]] = {}
        self._waiting: list[_Waiting] = []
        self._number = 0

    def reset(self) -> None:
        """The connection has ended: nothing is asked or confirmed any more."""
        self._asked.clear()
        self._confirmed.clear()
        self._leave.clear()
        self._pending.clear()

    @property
    def complete(self) -> bool:
        """Whether everything wanted is confirmed."""
        return not self._pending and self.wanted.keys() <= self._asked

    def late(self, now: int) -> bool:
        """Whether a batch was to be confirmed before this time (monotonic nanoseconds)."""
        return any(deadline <= now for _, deadline in self._pending.values())

    def want(self, channels: Iterable[str]) -> None:
        """Subscribe these too."""
        self.wanted.update(dict.fromkeys(channels))

    def forget(self, channels: Iterable[str]) -> None:
        """Subscribe these no more."""
        for channel in channels:
            self.wanted.pop(channel, None)
            self._unask(channel)

    def again(self, channels: Iterable[str]) -> None:
        """Unsubscribe and subscribe anew."""
        for channel in channels:
            if channel in self.wanted:
                self._unask(channel)

    def _unask(self, channel: str) -> None:
        if channel not in self._asked:
            return
        self._leave.append(channel)
        self._asked.discard(channel)
        self._confirmed.discard(channel)
        for left, _ in self._pending.values():
            left.discard(channel)
        self._settle(set())

    def to_leave(self) -> list[str]:
        """Channels to unsubscribe; they count as left from now on."""
        leave, self._leave = self._leave, []
        return leave

    def to_ask(self) -> list[str]:
        """Channels to subscribe."""
        return [channel for channel in self.wanted if channel not in self._asked]

    def next_number(self) -> int:
        """A number for the next batch."""
        self._number += 1
        return self._number

    def ask(self, number: int, batch: Iterable[str], deadline: int | None) -> None:
        """A batch is about to be asked for.

        Args:
            number: The batch's.
            batch: Its channels.
            deadline: Monotonic nanoseconds until which it must be confirmed; None where nobody confirms.
        """
        channels = set(batch)
        self._asked |= channels
        if deadline is not None:
            self._pending[number] = (channels, deadline)

    def acknowledge(self, channels: Iterable[str] = (), number: int | None = None) -> None:
        """These channels are confirmed, or those of the batch with this number; others are ignored."""
        done = set(channels)
        if number is not None and number in self._pending:
            done |= self._pending.pop(number)[0]
        self._confirmed |= done & self._asked
        self._settle(done)

    def reject(self, error: QuarterdeckError, channels: Iterable[str] = (), number: int | None = None) -> set[str]:
        """These are refused, and wanted no more; gives them all."""
        gone = set(channels)
        if number is not None and number in self._pending:
            gone |= self._pending.pop(number)[0]
        for channel in gone:
            self.wanted.pop(channel, None)
        self._asked -= gone
        self._confirmed -= gone
        for waiting in self._waiting:
            if waiting.left & gone:
                waiting.end(error)
        self._settle(gone)
        return gone

    def _settle(self, done: set[str]) -> None:
        for number, (left, _) in list(self._pending.items()):
            left -= done
            if not left:
                del self._pending[number]
        for waiting in self._waiting:
            waiting.left -= done
            if not waiting.left:
                waiting.end()

    async def confirmed(self, channels: Iterable[str]) -> None:
        """Wait until these are confirmed; raises what one was refused with."""
        left = {channel for channel in channels if channel not in self._confirmed}
        if not left:
            return
        waiting = _Waiting(left, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        try:
            await waiting.future
        finally:
            self._waiting.remove(waiting)
