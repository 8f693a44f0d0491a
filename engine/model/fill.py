"""Fills: executions with their natural key and one fee convention."""

from __future__ import annotations

import enum
from decimal import Decimal

import msgspec

from engine.model.ids import AccountId, ClientOrderId, Currency, InstrumentId, TradeId, VenueId, VenueOrderId
from engine.model.order import Liquidity, OrderSide

__all__ = ["Fill", "FillCause"]


class FillCause(enum.StrEnum):
    """Why an execution happened."""

    TRADE = "trade"
    LIQUIDATION = "liquidation"
    """The venue closed a position whose margin was used up."""
    DELEVERAGING = "deleveraging"
    """The venue closed a profitable position against somebody's liquidation."""


class Fill(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One execution of one order."""

    venue: VenueId
    account: AccountId
    instrument: InstrumentId
    trade_id: TradeId
    venue_order_id: VenueOrderId
    client_id: ClientOrderId
    side: OrderSide
    price: Decimal
    quantity: Decimal
    """Base units (contracts), > 0."""
    fee: Decimal
    """Cost positive, rebate negative."""
    fee_currency: Currency
    liquidity: Liquidity
    ts: int
    """UTC nanoseconds at the venue."""
    cause: FillCause = FillCause.TRADE

    @property
    def key(self) -> str:
        """The natural key: venue, account, instrument, trade id, venue order id."""
        return f"{self.venue}|{self.account}|{self.instrument}|{self.trade_id}|{self.venue_order_id}"
