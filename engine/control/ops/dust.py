"""What is held and is too small to be sold."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.control.present.dust import dust_rows
from engine.control.registry import operation
from engine.control.requests_emergency import ListDust
from engine.model.ids import AccountId

if TYPE_CHECKING:
    from engine.control.context import Context
    from engine.control.views_emergency import DustRow


@operation("portfolio.dust", ListDust)
async def dust(context: Context, request: ListDust) -> list[DustRow]:
    """Rests that no order can sell, with their value and why; they count as no positions and no exit is tried."""
    return dust_rows(context.need_engine(), AccountId(request.account) if request.account else None)
