"""The report on execution quality of a home folder: its journal read from the first fact to the last."""

from __future__ import annotations

import csv
import io
from contextlib import closing
from decimal import Decimal
from typing import TYPE_CHECKING

from engine.config import load_settings
from engine.control.journal_tools import journal_file
from engine.errors import NotFoundError
from engine.quality.summary import BY, summarise
from engine.quality.tracker import KINDS, Tracker
from storage.journal import Query, Reader

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from engine.control.journal_tools import Progress
    from engine.model.quality import GroupQuality, OrderQuality

__all__ = ["BY", "as_csv", "report_quality"]

EVERY = 5_000
_FIELDS = (
    "name", "currency", "orders", "executed", "measured", "poor", "value", "shortfall", "delay", "trading",
    "shortfall_bps", "delay_bps", "trading_bps", "ended", "fill_rate", "limits", "limits_whole", "limit_fill_rate",
    "maker", "score", "signal_ms", "durable_ms", "ack_ms", "fill_ms", "signal", "timing", "execution", "fees", "profit",
)  # fmt: skip


def report_quality(
    home: Path,
    *,
    by: str,
    since: int = 0,
    progress: Progress = lambda _done, _of: None,
) -> list[GroupQuality]:
    """Put the orders of a journal together, archived facts included; an engine may run meanwhile.

    Args:
        home: The home folder.
        by: One of `BY`.
        since: Only orders intended from then on, in UTC nanoseconds.
        progress: Called with how far it is.

    Raises:
        NotFoundError: There is no journal, or nothing is told by that.
        StateCorruptionError: It is damaged.
        ConfigurationError: The settings, which say what is poor, cannot be read.
    """
    if by not in BY:
        raise NotFoundError(f"Orders cannot be put together by {by!r}; choose one of {', '.join(BY)}.")
    poor = load_settings(home).quality.poor_slippage
    tracker, orders = Tracker(), dict[tuple[str, str], "OrderQuality"]()
    with closing(Reader(journal_file(home))) as reader:
        last = reader.last_seq()
        for number, record in enumerate(reader.records(0, last, Query(kinds=KINDS)), start=1):
            tracker.hear(record)
            if number % EVERY == 0:
                progress(record.seq, last)
                _keep(orders, tracker, since)
    _keep(orders, tracker, since)
    return summarise(orders.values(), by, poor)


def _keep(orders: dict[tuple[str, str], OrderQuality], tracker: Tracker, since: int) -> None:
    for order in tracker.take()[0]:
        if order.chain.intended >= since:
            orders[order.account, order.client_id] = order


def as_csv(groups: Sequence[GroupQuality]) -> str:
    """Rows of groups as CSV; a figure that is not known is empty, mark-outs are columns of their own."""
    horizons = sorted({mark.seconds for group in groups for mark in group.marks})
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*_FIELDS, *(f"mark_out_{seconds}s_bps" for seconds in horizons)])
    for group in groups:
        marks = {mark.seconds: mark.bps for mark in group.marks}
        cells = [getattr(group, field) for field in _FIELDS] + [marks.get(seconds) for seconds in horizons]
        writer.writerow(_cell(cell) for cell in cells)
    return text.getvalue()


def _cell(value: str | float | Decimal | None) -> str:
    if value is None:
        return ""
    return format(value, "f") if isinstance(value, Decimal) else str(value)
