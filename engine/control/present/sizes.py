"""The size that the configured method gives an entry by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.control.views_orders import SizeSuggestion
from engine.errors import NotFoundError
from engine.model.ids import MANUAL, InstrumentId
from engine.model.order import OrderSide
from engine.model.signal import Signal, SignalAction, SignalDirection
from engine.risk.words import percent

if TYPE_CHECKING:
    from engine.control.requests import SuggestSize
    from engine.engine import Engine

__all__ = ["suggestion"]


def suggestion(engine: Engine, asked: SuggestSize) -> SizeSuggestion:
    """How large an entry by hand is meant to be now, by the sizer that bots use, capped by every limit.

    Raises:
        NotFoundError: No such instrument, or nothing is known about its market yet.
    """
    key = InstrumentId(asked.instrument)
    instrument = engine.hub.market(key).instrument
    account = engine.account_for(key, asked.account)
    quote = engine.hub.quote(key)
    price = quote.mark if quote is not None else None
    if price is None:
        raise NotFoundError(f"Nothing is known about the market of {key} yet; wait for its first prices.")
    now = engine.clock.now()
    signal = Signal(
        instrument=key,
        strategy=MANUAL,
        action=SignalAction.ENTER,
        direction=SignalDirection.BUY if asked.side is OrderSide.BUY else SignalDirection.SELL,
        confidence=1.0,
        ts=now,
        reason="a size is suggested",
    )
    quantity, reason = engine.risk.sizer_of(account).size(signal, instrument, MANUAL, price, now)
    limits = engine.risk.limits()
    return SizeSuggestion(
        instrument=key,
        account=account,
        side=asked.side,
        quantity=quantity,
        method=limits.position_size_method,
        words=f"{limits.position_size_method.replace('_', ' ')}, base {percent(limits.position_size_pct)} of equity",
        reason=reason,
    )
