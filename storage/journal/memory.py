"""The journal of a backtest: the same interface, durable at once, nothing kept unless asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.errors import StateConsistencyError

if TYPE_CHECKING:
    from engine.events import Record
    from storage.journal.contract import DurableCallback, FailureCallback

__all__ = ["MemoryJournal"]


class MemoryJournal:
    """Every fact is durable when `append` returns; listeners are called inside `append`.

    Args:
        keep: Keep the records in `records`.
        seq: Number of the last fact before the first append.
    """

    def __init__(self, *, keep: bool = False, seq: int = 0) -> None:
        self.records: list[Record] = []
        self._keep = keep
        self._seq = seq
        self._on_durable: list[DurableCallback] = []

    @property
    def durable_seq(self) -> int:
        """Number of the last appended fact."""
        return self._seq

    @property
    def failure(self) -> None:
        """Memory does not fail."""
        return None

    def append(self, record: Record) -> None:
        """Take the next fact. Raises StateConsistencyError when its number is not the next one."""
        if record.seq != self._seq + 1:
            raise StateConsistencyError(f"Fact {record.seq} cannot follow fact {self._seq}.")
        self._seq = record.seq
        if self._keep:
            self.records.append(record)
        for callback in self._on_durable:
            callback(record.seq)

    async def wait_durable(self, seq: int) -> None:
        """Return at once. Raises StateConsistencyError for a fact that was never appended."""
        if seq > self._seq:
            raise StateConsistencyError(f"Fact {seq} was never appended; the last one is {self._seq}.")

    def on_durable(self, callback: DurableCallback) -> None:
        """Call a function inside every `append`."""
        self._on_durable.append(callback)

    def on_failure(self, callback: FailureCallback) -> None:
        """Memory does not fail: the function is never called."""
