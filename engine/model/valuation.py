"""What money is worth: conversion between currencies by present marks, and an account's value.

A rate that is not known is a state of its own, never zero: whoever asks gets the names of what could not be valued.
"""

from __future__ import annotations

import decimal
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec

from engine.model.decimals import ONE, ZERO, within
from engine.model.ids import SIMULATED, AccountId, Currency, InstrumentId, VenueId
from engine.model.instrument import CASH_KINDS, Instrument, InstrumentKind

if TYPE_CHECKING:
    from engine.model.account import Balance
    from engine.state import EngineState

__all__ = ["VIEW", "MarkOf", "RateOf", "Rates", "Valuation", "account_equity", "account_value", "together"]

VIEW = decimal.Context(
    prec=60, rounding=decimal.ROUND_HALF_EVEN, traps=[decimal.InvalidOperation, decimal.DivisionByZero]
)
"""Context of values and ratios that are compared or shown, not booked: as wide as the exact one, but may round."""

MarkOf = Callable[[InstrumentId], Decimal | None]
"""Present mark price of an instrument in its quote currency; None while nothing is known."""
RateOf = Callable[[Currency], Decimal | None]
"""Units of one fixed currency per unit of the asked one; None while nothing is known."""

_KIND_ORDER = {kind: place for place, kind in enumerate(InstrumentKind)}
_Leg = tuple[InstrumentId, bool]
_Route = tuple[_Leg, ...]


class Valuation(msgspec.Struct, frozen=True, kw_only=True):
    """A value in one currency, and what is missing from it."""

    value: Decimal
    """Sum of what could be valued."""
    missing: tuple[str, ...] = ()
    """Currencies or instruments without a known price; the value is a part only unless this is empty."""

    @property
    def known(self) -> bool:
        """True when nothing is missing."""
        return not self.missing


class Rates:
    """Converts currencies by marks: directly, inverted, or over one currency between.

    Spot markets are preferred to derivatives of the same pair, and a venue's own markets to those of others. The
    simulated market values nothing but what is in it, and nothing in it is valued by real prices. Routes are found once
    for each pair of currencies and again when instruments are added.
    """

    def __init__(self, instruments: Mapping[InstrumentId, Instrument], mark_of: MarkOf) -> None:
        self._instruments = instruments
        self._mark_of = mark_of
        self._routes: dict[tuple[Currency, Currency, VenueId | None], tuple[_Route, ...]] = {}
        self._known = -1

    def rate(self, source: Currency, target: Currency, venue: VenueId | None = None) -> Decimal | None:
        """Units of `target` for one unit of `source`; None while no route has all its marks.

        Args:
            source: What is converted.
            target: Into what.
            venue: Where it is; None for between venues.
        """
        if source == target:
            return ONE
        if len(self._instruments) != self._known:
            self._routes.clear()
            self._known = len(self._instruments)
        routes = self._routes.get((source, target, venue))
        if routes is None:
            routes = self._routes[source, target, venue] = tuple(self._find(source, target, venue))
        for route in routes:
            rate = self._along(route)
            if rate is not None:
                return rate
        return None

    def into(self, target: Currency, venue: VenueId | None = None) -> RateOf:
        """The rates into one currency as a function; see `rate`."""
        return lambda source: self.rate(source, target, venue)

    def _along(self, route: _Route) -> Decimal | None:
        rate = ONE
        for instrument, inverted in route:
            mark = self._mark_of(instrument)
            if mark is None or mark <= ZERO:
                return None
            rate = VIEW.divide(rate, mark) if inverted else VIEW.multiply(rate, mark)
        return rate

    def _markets(self, venue: VenueId | None) -> list[Instrument]:
        """The markets that may value what is at a venue, the best first."""
        known = self._instruments.values()
        real = [one for one in known if one.venue != SIMULATED]
        usable = real if venue is not None and venue != SIMULATED else list(known)
        if venue == SIMULATED:
            usable = [one for one in known if one.venue == SIMULATED]
        elif venue is None and real:
            usable = real
        return sorted(usable, key=lambda one: (one.venue != venue, _KIND_ORDER[one.kind], one.id))

    def _find(self, source: Currency, target: Currency, venue: VenueId | None) -> Iterable[_Route]:
        legs: dict[Currency, list[tuple[Currency, _Leg]]] = {}
        for one in self._markets(venue):
            legs.setdefault(one.base, []).append((one.quote, (one.id, False)))
            legs.setdefault(one.quote, []).append((one.base, (one.id, True)))
        yield from ((leg,) for end, leg in legs.get(source, ()) if end == target)
        for between, first in legs.get(source, ()):
            yield from ((first, leg) for end, leg in legs.get(between, ()) if end == target and between != target)


def account_value(balances: Iterable[Balance], rate_of: RateOf, base: Currency) -> tuple[Decimal, tuple[Currency, ...]]:
    """Value balances in one currency.

    Args:
        balances: Totals are counted, reserved parts included.
        rate_of: Rates into `base`.
        base: Currency of the result.

    Returns:
        The sum of what could be valued, and the currencies with a balance but without a rate.
    """
    value, missing = ZERO, []
    for balance in balances:
        total, currency = balance.total, balance.currency
        if not total:
            continue
        rate = ONE if currency == base else rate_of(currency)
        if rate is None:
            missing.append(currency)
        else:
            value = VIEW.fma(total, rate, value)
    return value, tuple(missing)


def account_equity(state: EngineState, account: AccountId, rates: Rates, mark_of: MarkOf) -> Valuation:
    """Everything an account is worth in its base currency: balances, and the open profit of derivatives.

    Raises:
        KeyError: The account is not known.
    """
    base, venue = state.accounts[account].base_currency, state.accounts[account].venue
    value, currencies = account_value(state.balances[account].values(), rates.into(base, venue), base)
    missing: list[str] = list(currencies)
    for (holder, instrument_id), position in state.positions.items():
        if holder != account or not position.lots:
            continue
        instrument = state.instruments[instrument_id]
        # Spot first: most positions are, and a set of kinds is asked slowly.
        if instrument.kind is InstrumentKind.SPOT or instrument.kind in CASH_KINDS:
            continue
        mark, rate = mark_of(instrument_id), rates.rate(instrument.settle, base, venue)
        if mark is None or rate is None:
            missing.append(instrument_id)
            continue
        with within(VIEW):
            value += position.unrealised(mark, instrument.multiplier) * rate
    return Valuation(value=value, missing=tuple(missing))


def together(parts: Iterable[tuple[Valuation, Currency]], rates: Rates, base: Currency) -> Valuation:
    """Values in several currencies as one; what has no rate is missing, and never guessed.

    Args:
        parts: Values with the currency of each.
        rates: Conversions.
        base: Currency of the result.
    """
    value = ZERO
    missing: list[str] = []
    for part, currency in parts:
        missing += part.missing
        if not part.value:
            continue
        rate = rates.rate(currency, base)
        if rate is None:
            missing.append(currency)
        else:
            value = VIEW.add(value, VIEW.multiply(part.value, rate))
    return Valuation(value=value, missing=tuple(dict.fromkeys(missing)))
