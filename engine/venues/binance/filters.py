"""The filters of Binance's symbols, spot and USD-M, as the rules of instruments."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec

from engine.model.instrument import Instrument, InstrumentRules
from engine.venues.binance.numbers import ZERO

if TYPE_CHECKING:
    from collections.abc import Iterable

    from engine.model.margin import MarginTier

__all__ = ["PRICE_SCALE", "Filter", "Listed", "has_rules", "quantity_scale", "rules_of"]

Listed = list[tuple[str, Instrument]]
"""Instruments with the venue's symbols."""
PRICE_SCALE = 8
"""Decimal places of every price and quantity there, but of lots of whole units, whose books hold large numbers."""


class Filter(msgspec.Struct):
    """One filter of a symbol; which fields it has depends on its type."""

    filterType: str
    tickSize: Decimal = ZERO
    stepSize: Decimal = ZERO
    minQty: Decimal = ZERO
    maxQty: Decimal = ZERO
    minNotional: Decimal = ZERO
    notional: Decimal = ZERO


def has_rules(filters: Iterable[Filter]) -> bool:
    """Whether the filters say what an order's price and quantity have to be."""
    return {"PRICE_FILTER", "LOT_SIZE"} <= {f.filterType for f in filters}


def rules_of(
    filters: Iterable[Filter], fee: tuple[Decimal, Decimal], margin: tuple[MarginTier, ...] = ()
) -> InstrumentRules:
    """The rules that the filters are, for all times.

    Args:
        filters: Those of one symbol; `has_rules` holds.
        fee: Maker's and taker's, as fractions.
        margin: Tiers of a perpetual, the smallest first.
    """
    named = {f.filterType: f for f in filters}
    lot = named["LOT_SIZE"]
    notional = named.get("NOTIONAL") or named.get("MIN_NOTIONAL")
    return InstrumentRules(
        valid_from=0,
        price_tick=named["PRICE_FILTER"].tickSize.normalize(),
        lot=lot.stepSize.normalize(),
        min_quantity=lot.minQty.normalize(),
        max_quantity=lot.maxQty.normalize(),
        min_notional=ZERO if notional is None else (notional.minNotional or notional.notional).normalize(),
        maker_fee=fee[0],
        taker_fee=fee[1],
        margin=margin,
    )


def quantity_scale(rules: InstrumentRules) -> int:
    """Decimal places of an instrument's quantities."""
    return PRICE_SCALE if rules.lot < 1 else 2
