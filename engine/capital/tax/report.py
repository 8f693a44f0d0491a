"""A year's tax report: the disposals and income of the year, their sums, and what a person has to look at."""

from __future__ import annotations

import csv
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from engine.capital.tax.book import Disposal, TaxBook
from engine.capital.tax.lots import METHODS, LotMethod
from engine.errors import ValidationError
from engine.model.decimals import ZERO, exact
from engine.state import EngineState

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import TextIO

    from engine import events as ev
    from engine.capital.tax.prices import DayRates
    from engine.model.ids import Currency

__all__ = ["COLUMNS", "KindSum", "TaxReport", "tax_report", "write_csv", "zone_of"]

COLUMNS = (
    "kind",
    "asset",
    "quantity",
    "acquired",
    "disposed",
    "held_days",
    "proceeds",
    "cost",
    "gain",
    "currency",
    "account",
    "origin",
    "reference",
)
FIRST_YEAR, LAST_YEAR = 1971, 2200
"""Between them every year's bounds in every time zone are moments of the clock."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class KindSum(msgspec.Struct, frozen=True, kw_only=True):
    """What rows of one kind come to; rows without a value are counted apart."""

    kind: str
    rows: int
    proceeds: Decimal
    cost: Decimal
    unvalued: int

    @property
    def gain(self) -> Decimal:
        """Proceeds less cost of the rows that have a value."""
        with exact():
            return self.proceeds - self.cost


class TaxReport(msgspec.Struct, frozen=True, kw_only=True):
    """A year's disposals and income, oldest first."""

    year: int
    currency: str
    method: LotMethod
    timezone: str
    rows: tuple[Disposal, ...]
    sums: tuple[KindSum, ...]
    notes: tuple[str, ...]
    """What happened in the year that a person has to look at."""
    differences: tuple[str, ...]
    """Assets whose lots are not what is booked; empty when every unit is accounted for."""

    @property
    def gain(self) -> Decimal:
        """Sum of all gains and losses with a value."""
        with exact():
            return sum((one.gain for one in self.sums), ZERO)


def zone_of(name: str) -> ZoneInfo:
    """The time zone of a name such as Europe/Berlin.

    Raises:
        ValidationError: There is none of that name.
    """
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValidationError(f"There is no time zone {name!r}; use a name such as UTC or Europe/Berlin.") from None


def _bounds(year: int, zone: ZoneInfo) -> tuple[int, int]:
    if not FIRST_YEAR <= year <= LAST_YEAR:
        raise ValidationError(f"The year must be from {FIRST_YEAR} to {LAST_YEAR}, not {year}.")
    ends = (datetime(y, 1, 1, tzinfo=zone).astimezone(UTC) for y in (year, year + 1))
    begin, end = ((moment - _EPOCH) // timedelta(microseconds=1) * 1000 for moment in ends)
    return begin, end


def tax_report(
    records: Iterable[ev.Record],
    *,
    year: int,
    method: LotMethod,
    currency: Currency,
    timezone: str = "UTC",
    cash: frozenset[Currency] = frozenset(),
    rates: DayRates | None = None,
    by_account: bool = False,
) -> TaxReport:
    """Read the whole journal and report one calendar year of a time zone.

    Args:
        records: All facts from the first on.
        year: Calendar year.
        method: Which lots go first.
        currency: Of the report.
        timezone: Whose calendar.
        cash: Currencies that count as the report's own.
        rates: Rates of days.
        by_account: Lots are kept apart by account.

    Raises:
        ValidationError: Year, method or time zone cannot be used, or nothing values anything in the currency.
        StateConsistencyError: The facts contradict one another.
    """
    if method not in METHODS:
        raise ValidationError(f"There is no method {method!r}; there is {', '.join(METHODS)}.")
    begin, end = _bounds(year, zone_of(timezone))
    book = TaxBook(currency, method, cash=cash, rates=rates, by_account=by_account)
    state = EngineState()
    for record in records:
        # To the end of the journal, not of the year: what happened in it may have been heard later.
        state.apply(record)
        book.hear(record)
    _require_value(state, currency, {*cash, *(rates or {})})
    rows = tuple(row for row in sorted(book.disposals, key=lambda row: row.ts) if begin <= row.ts < end)
    return TaxReport(
        year=year,
        currency=currency,
        method=method,
        timezone=timezone,
        rows=rows,
        sums=tuple(_sums(rows)),
        notes=tuple(text for ts, text in book.notes if begin <= ts < end),
        differences=tuple(_differences(book, state)),
    )


def _require_value(state: EngineState, currency: str, others: set[str]) -> None:
    """Refuse a currency in which nothing has a value, such as a misspelt one."""
    known = {str(code) for one in state.instruments.values() for code in (one.base, one.quote, one.settle)}
    known |= {str(account.base_currency) for account in state.accounts.values()}
    known |= {str(code) for balances in state.balances.values() for code in balances}
    if known and currency not in known and not others:
        raise ValidationError(
            f"Nothing in the journal is in {currency or 'a currency without a name'}: name one of "
            f"{', '.join(sorted(known))}, or give rates, or say what counts as {currency} (cash)."
        )


def _sums(rows: Iterable[Disposal]) -> Iterator[KindSum]:
    found: dict[str, list[Disposal]] = {}
    for row in rows:
        found.setdefault(row.kind, []).append(row)
    with exact():
        for kind, some in sorted(found.items()):
            valued = [(row.proceeds, row.cost) for row in some if row.proceeds is not None and row.cost is not None]
            yield KindSum(
                kind=kind,
                rows=len(some),
                proceeds=sum((proceeds for proceeds, _ in valued), ZERO),
                cost=sum((cost for _, cost in valued), ZERO),
                unvalued=len(some) - len(valued),
            )


def _differences(book: TaxBook, state: EngineState) -> Iterator[str]:
    """Hold the lots against the balances that the facts lead to: a unit that is in neither, or in one, is named."""
    booked: dict[tuple[str, Currency], Decimal] = {}
    with exact():
        for account, balances in state.balances.items():
            for balance in balances.values():
                key = (account if book.by_account else "", balance.currency)
                booked[key] = booked.get(key, ZERO) + balance.total
        held = {key: lots.quantity for key, lots in book.lots.items()}
        for pool, asset in sorted({*booked, *held}):
            lots, balance_is = held.get((pool, asset), ZERO), booked.get((pool, asset), ZERO)
            if lots != balance_is and not book.prices.is_cash(asset):
                where = f" in {pool}" if pool else ""
                yield f"{asset}{where}: the lots hold {_short(lots)}, booked are {_short(balance_is)}."


def _short(value: Decimal) -> str:
    with exact():
        return f"{value.normalize():f}"


def write_csv(report: TaxReport, file: TextIO) -> None:
    """Write a report's rows with full precision; what is not known is left empty."""
    zone = zone_of(report.timezone)
    out = csv.writer(file, lineterminator="\n")
    out.writerow(COLUMNS)
    for row in report.rows:
        held = "" if row.acquired is None else (row.ts - row.acquired) // 86_400_000_000_000
        out.writerow(
            (
                row.kind,
                row.asset,
                _short(row.quantity),
                _time(row.acquired, zone),
                _time(row.ts, zone),
                held,
                _plain(row.proceeds),
                _plain(row.cost),
                _plain(row.gain),
                report.currency,
                row.account,
                row.origin,
                row.reference,
            )
        )


def _time(ts: int | None, zone: ZoneInfo) -> str:
    if ts is None:
        return ""
    return (_EPOCH + timedelta(microseconds=ts // 1000)).astimezone(zone).isoformat(timespec="seconds")


def _plain(value: Decimal | None) -> str:
    return "" if value is None else _short(value)
