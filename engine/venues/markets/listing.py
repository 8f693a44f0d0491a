"""How markets write down their instruments: steps, decimal places, spot rules."""

from __future__ import annotations

from decimal import Decimal

from engine.model.ids import Currency, VenueId, instrument_id
from engine.model.instrument import Instrument, InstrumentKind, InstrumentRules

__all__ = ["decimal_places", "plain", "spot_instrument"]


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
