"""Round trips: what the fills of one owner add up to, from flat to flat."""

from __future__ import annotations

import decimal
from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec

from engine.model.decimals import ZERO, exact
from engine.model.order import OrderSide

if TYPE_CHECKING:
    from engine.model.fill import Fill
    from engine.model.instrument import Instrument

__all__ = ["ClosedTrade", "TradeBook"]

_CONTEXT = decimal.Context(prec=12)
"""Of means, which are for display, and of the parts of a fee, which add up to it all the same."""


class ClosedTrade(msgspec.Struct, frozen=True, kw_only=True):
    """One round trip; prices are quantity-weighted means of its fills."""

    entry_time: int
    exit_time: int
    side: OrderSide
    """BUY for a long, SELL for a short."""
    entry_price: Decimal
    exit_price: Decimal
    quantity: Decimal
    """Base units bought (long) or sold (short) over the whole trade."""
    fees: Decimal
    """In the settle currency."""
    pnl: Decimal
    """After fees, in the settle currency."""
    reason: str
    """Why it was closed."""
    entry_reason: str
    slippage: Decimal = ZERO
    """What worse prices than those of the decisions have cost, in the settle currency; part of the result. Negative
    where the market came towards the orders."""
    excursion_for: float = 0.0
    """Farthest move in its favour while it was open, as a fraction of the entry price."""
    excursion_against: float = 0.0
    instrument: str = ""
    """What was traded."""


class TradeBook:
    """Pairs fills into round trips. A fill that turns the position closes one trade and opens the next.

    Such a fill's fee is shared by the quantities that it closes and opens.
    """

    def __init__(self, instrument: Instrument) -> None:
        self.closed: list[ClosedTrade] = []
        self._instrument = instrument
        self._position = ZERO
        self._clear()

    def _clear(self) -> None:
        self._entered = self._exited = ZERO
        self._entry_value = self._exit_value = self._fees = self._slippage = ZERO
        self._entry_time = 0
        self._entry_reason = ""

    @property
    def open_since(self) -> int:
        """When the open trade began; 0 when flat."""
        return self._entry_time

    def add(self, fill: Fill, reason: str, reference: Decimal | None = None) -> ClosedTrade | None:
        """Take a fill in; gives the trade that it closed.

        Args:
            fill: The execution.
            reason: Why it was ordered.
            reference: The price at which it was wanted: a trigger, or the market at the decision; None where that is
                not known, which counts as no slippage.
        """
        with exact():
            worse = ZERO if reference is None else fill.side.sign * (fill.price - reference)
            worse *= self._instrument.multiplier
            signed = fill.side.sign * fill.quantity
            fee = fill.fee
            if fill.fee_currency == self._instrument.base:
                fee = fill.fee * fill.price
                signed -= fill.fee
            if not self._position:
                self._open(fill, reason)
            if (self._position >= 0) == (signed > 0) or not self._position:
                self._enter(abs(signed), fill.price, fee, worse)
                self._position += signed
                return None
            closing = min(abs(signed), abs(self._position))
            rest = abs(signed) - closing
            part = fee if not rest else _CONTEXT.divide(fee * closing, abs(signed))
            self._exited += closing
            self._exit_value += closing * fill.price
            self._fees += part
            self._slippage += worse * closing
            long = self._position > 0
            self._position += signed
            if self._position and not rest:
                return None
            trade = self._close(fill, reason, long=long)
            if rest:
                self._open(fill, reason)
                self._enter(rest, fill.price, fee - part, worse)
            return trade

    def _open(self, fill: Fill, reason: str) -> None:
        self._clear()
        self._entry_time = fill.ts
        self._entry_reason = reason

    def _enter(self, quantity: Decimal, price: Decimal, fee: Decimal, worse: Decimal) -> None:
        self._entered += quantity
        self._entry_value += quantity * price
        self._fees += fee
        self._slippage += worse * quantity

    def _close(self, fill: Fill, reason: str, *, long: bool) -> ClosedTrade:
        gross = (self._exit_value - self._entry_value) * self._instrument.multiplier
        pnl = (gross if long else -gross) - self._fees
        trade = ClosedTrade(
            entry_time=self._entry_time,
            exit_time=fill.ts,
            side=OrderSide.BUY if long else OrderSide.SELL,
            entry_price=_mean(self._entry_value, self._entered),
            exit_price=_mean(self._exit_value, self._exited),
            quantity=self._entered,
            fees=self._fees,
            pnl=pnl,
            reason=reason,
            entry_reason=self._entry_reason,
            slippage=self._slippage,
            instrument=str(self._instrument.id),
        )
        self.closed.append(trade)
        self._clear()
        return trade


def _mean(value: Decimal, quantity: Decimal) -> Decimal:
    """A mean for display, rounded to 12 significant digits."""
    return _CONTEXT.divide(value, quantity) if quantity else ZERO
