"""Dust for screens."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from engine.control.views_emergency import DustRow
from engine.model.ids import AccountId, Currency, InstrumentId, VenueId

__all__ = ["dust"]


def dust() -> list[DustRow]:
    """Two rests that are too small."""
    row = DustRow(
        account=AccountId("paper"),
        venue=VenueId("SIM"),
        currency=Currency("ETH"),
        quantity=Decimal("0.0008"),
        instrument=InstrumentId("SIM:ETH/USDT"),
        owner_name="revert-eth",
        value=Decimal("2.81"),
        reason="worth less than the smallest order of 5 USDT",
    )
    rest = msgspec.structs.replace(
        row,
        currency=Currency("BTC"),
        quantity=Decimal("0.000004"),
        instrument=InstrumentId("SIM:BTC/USDT"),
        owner_name="",
        value=None,
        reason="below the smallest order of 0.00001",
    )
    return [row, rest]
