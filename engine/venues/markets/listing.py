"""How markets write down their instruments: steps, decimal places, spot rules."""

from __future__ import annotations

from decimal import Decimal

from engine.errors import DataValidationError
from engine.model.ids import Currency, VenueId, instrument_id
from engine.model.instrument import Instrument, InstrumentKind, InstrumentRules

__all__ = ["decimal_places", "plain", "split_pair", "spot_instrument"]

_QUOTES = ("FDUSD", "USDT", "USDC", "BUSD", "TUSD", "USD", "EUR", "GBP", "TRY", "BTC", "ETH", "BNB")
"""Usual quote currencies; the longer ones first, so that USDT is not taken for a T."""


def plain(text: str) -> Decimal:
    """The decimal of an exchange's text without trailing zeros and without an exponent: 10, not 1E+1."""
    value = Decimal(text).normalize()
    return value.quantize(Decimal(1)) if value == value.to_integral_value() else value


def decimal_places(value: Decimal) -> int:
    """Decimal places that a value needs."""
    exponent = value.normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def spot_instrument(
    venue: str,
    symbol: str,
    *,
    price_places: int,
    quantity_places: int,
    tick: Decimal | None = None,
    lot: Decimal | None = None,
    min_notional: Decimal = Decimal(0),
    fee: Decimal = Decimal("0.001"),
) -> Instrument:
    """A spot instrument whose rules are known or, where None, as fine as its scales."""
    base, _, quote = symbol.upper().partition("/")
    lot = lot if lot is not None else Decimal(1).scaleb(-quantity_places)
    rules = InstrumentRules(
        valid_from=0,
        price_tick=tick if tick is not None else Decimal(1).scaleb(-price_places),
        lot=lot,
        min_quantity=lot,
        min_notional=min_notional,
        maker_fee=fee,
        taker_fee=fee,
    )
    return Instrument(
        id=instrument_id(venue, symbol),
        venue=VenueId(venue.upper()),
        symbol=symbol.upper(),
        kind=InstrumentKind.SPOT,
        base=Currency(base),
        quote=Currency(quote),
        settle=Currency(quote),
        rules=(rules,),
        price_scale=price_places,
        quantity_scale=quantity_places,
    )


def split_pair(symbol: str) -> tuple[str, str]:
    """Base and quote of a symbol written without a separator, by the usual quote currencies.

    Raises:
        DataValidationError: No usual quote currency ends it.
    """
    for quote in _QUOTES:
        if symbol.endswith(quote) and len(symbol) > len(quote):
            return symbol[: -len(quote)], quote
    raise DataValidationError(
        f"The symbol {symbol!r} cannot be split into base and quote; record its exchangeInfo too."
    )
