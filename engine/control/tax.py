"""The tax report of a home folder: its journal read from the first fact to the last, archive included."""

from __future__ import annotations

import io
from contextlib import closing
from typing import TYPE_CHECKING

from engine.capital.tax.prices import read_rates
from engine.capital.tax.report import TaxReport, tax_report, write_csv
from engine.control.journal_tools import journal_file
from engine.model.ids import Currency
from storage.journal import Reader

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from engine.capital.tax.lots import LotMethod
    from engine.control.journal_tools import Progress
    from engine.events import Record

__all__ = ["TaxReport", "as_csv", "report_tax"]

EVERY = 5_000


def report_tax(
    home: Path,
    *,
    year: int,
    method: LotMethod,
    currency: str,
    timezone: str = "UTC",
    cash: Iterable[str] = (),
    rates: Iterable[str] | None = None,
    by_account: bool = False,
    progress: Progress = lambda _done, _of: None,
) -> TaxReport:
    """Report a year; an engine may run meanwhile, and what it adds is not waited for.

    Args:
        home: The home folder.
        year: Calendar year in `timezone`.
        method: Which lots go first.
        currency: Of the report, such as EUR or USDT.
        timezone: Whose calendar.
        cash: Currencies that count one for one as the report's own.
        rates: Lines of CSV (date,currency,rate) for what the journal cannot value.
        by_account: Keep lots apart by account.
        progress: Called with how far it is.

    Raises:
        ValidationError: Year, time zone or rates cannot be used.
        NotFoundError: There is no journal.
        StateCorruptionError: It is damaged.
    """
    given = read_rates(rates) if rates is not None else {}
    with closing(Reader(journal_file(home))) as reader:
        return tax_report(
            _watched(reader, progress),
            year=year,
            method=method,
            currency=Currency(currency.strip().upper()),
            timezone=timezone,
            cash=frozenset(Currency(one.strip().upper()) for one in cash),
            rates=given,
            by_account=by_account,
        )


def _watched(reader: Reader, progress: Progress) -> Iterator[Record]:
    last = reader.last_seq()
    for number, record in enumerate(reader.records(0, last), start=1):
        if number % EVERY == 0:
            progress(number, last)
        yield record


def as_csv(report: TaxReport) -> str:
    """A report's rows as CSV."""
    text = io.StringIO()
    write_csv(report, text)
    return text.getvalue()
