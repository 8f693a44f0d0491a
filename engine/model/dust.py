"""Dust: what is held and is too small for any order that would close it."""

from __future__ import annotations

import decimal
from typing import TYPE_CHECKING

from engine.model.decimals import ZERO, within
from engine.model.instrument import CASH_KINDS
from engine.model.valuation import VIEW

if TYPE_CHECKING:
    from decimal import Decimal

    from engine.model.instrument import Instrument

__all__ = ["closable", "too_small"]


def too_small(instrument: Instrument, quantity: Decimal, mark: Decimal | None) -> str:
    """Why a quantity can be closed by no order, such as `below the smallest order of 0.001`; empty when it can.

    Args:
        instrument: What is held.
        quantity: How much, to the last digit; its sign does not matter.
        mark: Its present price; None leaves the smallest value out. Contracts have none: an order that only reduces
            may be worth as little as it wants.
    """
    rules = instrument.current_rules
    with within(VIEW):
        whole = instrument.floor_quantity(abs(quantity))
        least = max(rules.min_quantity, rules.lot)
        if whole < least:
            return f"below the smallest order of {least.normalize():f}"
        if mark is not None and instrument.kind in CASH_KINDS and instrument.notional(mark, whole) < rules.min_notional:
            return f"worth less than the smallest order of {rules.min_notional.normalize():f} {instrument.quote}"
    return ""


def closable(instrument: Instrument, quantity: Decimal, mark: Decimal | None) -> Decimal:
    """The part of a quantity, in whole lots and without its sign, that orders can close; 0 for dust."""
    rules = instrument.current_rules
    lots = VIEW.divide(quantity.copy_abs(), rules.lot).to_integral_value(decimal.ROUND_FLOOR, VIEW)
    whole = VIEW.multiply(lots, rules.lot)
    if whole < rules.lot or whole < rules.min_quantity:
        return ZERO
    if rules.min_notional and mark is not None and instrument.kind in CASH_KINDS:
        value = VIEW.multiply(VIEW.multiply(mark, whole), instrument.multiplier)
        if value < rules.min_notional:
            return ZERO
    return whole
