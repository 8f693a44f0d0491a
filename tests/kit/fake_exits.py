"""What a fake engine thinks of exits."""

from __future__ import annotations

from decimal import Decimal as D
from typing import Any

from engine.control.views_orders import ExitsPreview
from engine.model.ids import AccountId, InstrumentId
from engine.model.order import OrderSide
from engine.model.risk import Refusal, RefusalCode

__all__ = ["preview_exits"]


def preview_exits(asked: dict[str, Any]) -> ExitsPreview:
    """Exits of which the target waits in the engine; a stop above 67,000 is refused."""
    stop, target, quantity = (asked.get(name) for name in ("stop_price", "target_price", "quantity"))
    if stop is target is None:
        stop, target = D("66082.40"), D("70128.20")
    message = "The stop is too close to the market. Set it lower."
    refusals = (Refusal(code=RefusalCode.PRICE_BAND, message=message),) if stop and D(str(stop)) > D(67_000) else ()
    prices = [f"{name} at {price}" for name, price in (("stop", stop), ("target", target)) if price]
    return ExitsPreview(
        instrument=InstrumentId(asked["instrument"]),
        account=AccountId(asked.get("account", "paper")),
        side=OrderSide(asked["side"]),
        quantity=D(str(quantity or "0.06")),
        stop_price=D(str(stop)) if stop else None,
        target_price=D(str(target)) if target else None,
        stop_held=False,
        target_held=bool(stop),
        refusals=refusals,
        sentence=f"{str(asked['side']).upper()} {quantity} BTC of BTC/USDT: {', '.join(prices)}",
    )
