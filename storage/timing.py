"""Every query is timed; a slow one is logged with its shape, never with its values."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import event

from engine.logs import get_logger

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy.engine import Connection, Engine

__all__ = ["QueryStatistics", "QueryTimer", "statement_shape"]

log = get_logger(__name__)
_STARTED = "quarterdeck_query_started"
_LITERAL = re.compile(r"'(?:[^']|'')*'|\b\d+(?:\.\d+)?\b")
_SPACE = re.compile(r"\s+")
_SHAPE_LENGTH = 500


@dataclass(frozen=True, slots=True)
class QueryStatistics:
    """What was measured since the database was opened."""

    count: int = 0
    slow: int = 0
    """Queries over the threshold."""
    total_ms: float = 0.0
    slowest_ms: float = 0.0

    @property
    def mean_ms(self) -> float:
        """Mean duration in milliseconds; 0 before the first query."""
        return self.total_ms / self.count if self.count else 0.0


def statement_shape(statement: str) -> str:
    """Reduce a statement to its shape: literals become `?`, white space one blank, at most 500 characters."""
    return _SPACE.sub(" ", _LITERAL.sub("?", statement)).strip()[:_SHAPE_LENGTH]


class QueryTimer:
    """Listens to an engine and keeps the figures.

    Args:
        monotonic: Gives nanoseconds that never go back.
        slow_ms: Milliseconds from which a query is logged as slow.
    """

    def __init__(self, monotonic: Callable[[], int], slow_ms: float) -> None:
        self._monotonic = monotonic
        self._slow_ms = slow_ms
        self.statistics = QueryStatistics()

    def attach(self, engine: Engine) -> None:
        """Start timing everything that goes through an engine, failed statements included."""
        event.listen(engine, "before_cursor_execute", self._before)
        event.listen(engine, "after_cursor_execute", self._after)
        event.listen(engine, "handle_error", self._failed)

    def _before(self, connection: Connection, *_: Any) -> None:
        connection.info[_STARTED] = self._monotonic()

    def _after(self, connection: Connection, _cursor: Any, statement: str, *_: Any) -> None:
        self._record(connection, statement)

    def _failed(self, context: Any) -> None:
        if context.connection is not None and not context.connection.invalidated and context.statement:
            self._record(context.connection, context.statement)

    def _record(self, connection: Connection, statement: str) -> None:
        started = connection.info.pop(_STARTED, None)
        if started is None:
            return
        elapsed_ms = (self._monotonic() - started) / 1e6
        slow = elapsed_ms > self._slow_ms
        seen = self.statistics
        self.statistics = QueryStatistics(
            count=seen.count + 1,
            slow=seen.slow + slow,
            total_ms=seen.total_ms + elapsed_ms,
            slowest_ms=max(seen.slowest_ms, elapsed_ms),
        )
        if slow:
            shape = statement_shape(statement)
            log.warning("A query was slow", duration_ms=round(elapsed_ms, 1), statement=shape)
