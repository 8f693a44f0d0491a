"""Parent orders as the doors would show them: one of each state that can be told apart."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from engine.control.views_algos import ParentRow
from engine.control.views_execution import EstimateView, RouteShare
from engine.model.algos import ParentStatus
from engine.model.ids import MANUAL, AccountId, Currency, InstrumentId, Owner, ParentId
from engine.model.impact import ImpactEstimate
from engine.model.order import OrderSide
from tests.kit.fake_market import MINUTE, NOW

__all__ = ["estimate", "parent_row", "parent_rows"]

D = Decimal


def parent_row(name: str = "twap-1042", **more: Any) -> ParentRow:
    """A TWAP in its middle, with what is said otherwise."""
    values: dict[str, Any] = {
        "id": ParentId(name), "algorithm": name.partition("-")[0], "account": AccountId("paper"),
        "instrument": InstrumentId("SIM:BTC/USDT"), "owner": MANUAL, "owner_name": "manual", "side": OrderSide.BUY,
        "quantity": D("1.5"), "executed": D("0.6"), "working": D(0), "exited": D(0), "average_price": D("67440.2"),
        "arrival": D("67431.05"), "slippage_pct": 0.000136, "progress": 0.4, "due": 0.4,
        "status": ParentStatus.RUNNING, "pace": 100, "level": None, "orders": 4, "opened": NOW - 12 * MINUTE,
        "updated": NOW, "reason": "", "about": "10 slices, last at 27.0 min",
    }  # fmt: skip
    return ParentRow(**{**values, **more})


def parent_rows() -> tuple[ParentRow, ...]:
    """Those at work one afternoon."""
    return (
        parent_row(),
        parent_row(
            "vwap-988", side=OrderSide.SELL, quantity=D(40), instrument=InstrumentId("SIM:ETH/USDT"), progress=0.15,
            due=0.2, slippage_pct=-0.00021, owner=Owner("bot-trend"), owner_name="trend-1",
            reason="its slice waits: the spread of 0.094% is wide",
        ),
        parent_row(
            "implementation-shortfall-901", algorithm="implementation_shortfall", progress=0.72, due=0.7, pace=200,
            about="14 slices, last at 26.0 min",
        ),
        parent_row("pov-870", status=ParentStatus.PAUSED, reason="lunch", due=None, progress=0.02, orders=1),
    )  # fmt: skip


def estimate() -> EstimateView:
    """What the engine would say of the cost of an order."""
    return EstimateView(
        instrument=InstrumentId("SIM:BTC/USDT"), side=OrderSide.BUY, quantity=D("1.5"),
        estimate=ImpactEstimate(cost=0.00123, half_spread=0.00001, walk=0.00123, model=0.0011, scale=0.001),
        cost=124.41, currency=Currency("USDT"), permanent=0.7, temporary=1.0, seen=0, parts=2,
        algorithm="implementation_shortfall", reason="Its estimated impact of 0.122% is over 0.100%.",
        duration_s=1800, slices=30, expected=0.00041, deviation=0.0021,
        route=(RouteShare(account=AccountId("paper"), share=1.0),),
    )  # fmt: skip
