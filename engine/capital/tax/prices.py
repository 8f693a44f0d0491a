"""What currencies were worth when: rates a person gives, else the prices that the journal itself tells."""

from __future__ import annotations

import bisect
import csv
import decimal
from datetime import date
from typing import TYPE_CHECKING

from engine.capital.tax.lots import CENT
from engine.errors import ValidationError
from engine.model.decimals import ONE, ZERO, parse_decimal
from engine.model.ids import Currency
from engine.model.valuation import VIEW, Rates

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from decimal import Decimal

    from engine.model.ids import InstrumentId, VenueId
    from engine.model.instrument import Instrument

__all__ = ["MAX_AGE_NS", "DayRates", "Prices", "read_rates"]

NS_PER_HOUR = 3_600_000_000_000
NS_PER_DAY = 24 * NS_PER_HOUR
MAX_AGE_NS = NS_PER_DAY
"""A price that the journal told of a moment farther away values nothing."""
MAX_DAYS = 7
"""So many days back a given rate may lie, as over weekends and holidays."""
DayRates = dict[str, "list[tuple[int, Decimal]]"]
"""Currency → (UTC day number, units of the report's currency for one unit), sorted."""


def read_rates(lines: Iterable[str]) -> DayRates:
    """Read rates from CSV with the columns date (YYYY-MM-DD), currency and rate.

    Raises:
        ValidationError: A line cannot be read; it is named.
    """
    rates: DayRates = {}
    known: set[tuple[str, int]] = set()
    reader = csv.DictReader(lines)
    missing = [name for name in ("date", "currency", "rate") if name not in (reader.fieldnames or ())]
    if missing:
        raise ValidationError(f"The first line of the rates must be date,currency,rate; it lacks {', '.join(missing)}.")
    for row in reader:
        try:
            day, currency, rate = _day_rate(row)
            if (currency, day) in known:
                raise ValidationError(f"there is another rate of {currency} for {row['date']}")
        except (ValidationError, ValueError, AttributeError, TypeError) as error:
            raise ValidationError(
                f"Line {reader.line_num} of the rates cannot be used ({error}); each needs date,currency,rate such as "
                "2026-03-31,USDT,0.92."
            ) from error
        known.add((currency, day))
        rates.setdefault(currency, []).append((day, rate))
    for entries in rates.values():
        entries.sort()
    return rates


def _day_rate(row: dict[str, str]) -> tuple[int, str, Decimal]:
    day = date.fromisoformat(row["date"].strip()).toordinal() - date(1970, 1, 1).toordinal()
    currency, rate = row["currency"].strip().upper(), parse_decimal(row["rate"], "the rate")
    if not currency:
        raise ValidationError("the currency is missing")
    if rate <= ZERO:
        raise ValidationError("the rate must be above zero")
    return day, currency, rate


class Prices:
    """Values in the report's currency as time goes on."""

    def __init__(
        self,
        currency: Currency,
        cash: frozenset[Currency],
        instruments: Mapping[InstrumentId, Instrument],
        given: DayRates,
    ) -> None:
        self._currency = currency
        self._cash = cash
        self._given = given
        self._told: dict[InstrumentId, list[tuple[int, Decimal]]] = {}
        """The last price of each hour, oldest first."""
        self._now = 0
        self._rates = Rates(instruments, self._mark)

    def see(self, instrument: InstrumentId, price: Decimal, ts: int) -> None:
        """A price was told, of a moment in UTC nanoseconds; it may be heard after later ones."""
        told = self._told.setdefault(instrument, [])
        place = bisect.bisect_right(told, ts, key=_when)
        if place and told[place - 1][0] // NS_PER_HOUR == ts // NS_PER_HOUR:
            told[place - 1] = (ts, price)
        else:
            told.insert(place, (ts, price))

    def is_cash(self, currency: Currency) -> bool:
        """True for what counts as the report's own currency, one for one."""
        return currency == self._currency or currency in self._cash

    def rate(self, currency: Currency, ts: int, venue: VenueId | None = None) -> Decimal | None:
        """Units of the report's currency for one unit at a time; None where nothing tells it."""
        if self.is_cash(currency):
            return ONE
        given = self._given_rate(currency, ts)
        if given is not None:
            return given
        self._now = ts
        direct = self._rates.rate(currency, self._currency, venue)
        if direct is not None:
            return direct
        # Over something that counts as cash, or whose rate is given.
        for other in sorted({*self._cash, *(Currency(name) for name in self._given)}):
            onwards = ONE if other in self._cash else self._given_rate(other, ts)
            if onwards is None or other == currency:
                continue
            first = self._rates.rate(currency, other, venue)
            if first is not None:
                return VIEW.multiply(first, onwards)
        return None

    def value(self, amount: Decimal, currency: Currency, ts: int, venue: VenueId | None = None) -> Decimal | None:
        """What an amount was worth, to eight decimal places; cash is worth exactly what it is."""
        if not amount:
            return ZERO
        if self.is_cash(currency):
            return amount
        rate = self.rate(currency, ts, venue)
        if rate is None:
            return None
        with decimal.localcontext(VIEW):
            return (amount * rate).quantize(CENT)

    def _mark(self, instrument: InstrumentId) -> Decimal | None:
        told = self._told.get(instrument, [])
        place = bisect.bisect_right(told, self._now, key=_when)
        # What is heard late may have no price before it; the first one after it is as near.
        for ts, price in (*told[max(place - 1, 0) : place], *told[place : place + 1]):
            if abs(self._now - ts) <= MAX_AGE_NS:
                return price
        return None

    def _given_rate(self, currency: str, ts: int) -> Decimal | None:
        known = self._given.get(currency)
        if not known:
            return None
        day = ts // NS_PER_DAY
        place = bisect.bisect_right(known, day, key=lambda entry: entry[0]) - 1
        if place < 0 or day - known[place][0] > MAX_DAYS:
            return None
        return known[place][1]


def _when(told: tuple[int, Decimal]) -> int:
    return told[0]
