"""Operations on leverage and margin mode of derivatives."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.control.live.admission import require_armed
from engine.control.present.derivatives import margin_view
from engine.control.registry import Role, Tier, operation
from engine.control.requests_margin import MarginQuery, SetMargin
from engine.errors import ValidationError
from engine.model.ids import InstrumentId

if TYPE_CHECKING:
    from engine.control.context import Context
    from engine.control.views_margin import MarginView
    from engine.engine import Engine
    from engine.model.ids import AccountId


async def _meant(engine: Engine, request: MarginQuery) -> tuple[AccountId, InstrumentId]:
    """Account and instrument that are asked for; the instrument is known afterwards."""
    instrument = InstrumentId(request.instrument)
    account = engine.account_for(instrument, request.account)
    if instrument not in engine.state.instruments:
        await engine.unit(instrument).watch([instrument])
    return account, instrument


@operation("margin.show", MarginQuery)
async def show(context: Context, request: MarginQuery) -> MarginView:
    """Leverage and margin mode of an account in a perpetual, and what is possible."""
    engine = context.need_engine()
    return margin_view(engine, *await _meant(engine, request))


@operation("margin.set", SetMargin, Role.TRADER, mutates=True, tier=Tier.CONFIRM)
async def set_margin(context: Context, request: SetMargin) -> MarginView:
    """Set leverage and margin mode of an account in a perpetual, at its venue."""
    engine = context.need_engine()
    account, instrument = await _meant(engine, request)
    before, limit = engine.state.margin(account, instrument), engine.risk.limits().max_leverage
    if request.leverage > limit and request.leverage > before.leverage:
        raise ValidationError(
            f"The limits allow a leverage of {limit.normalize():f}, not {request.leverage.normalize():f}; raise "
            "max_leverage on Risk first.",
            details={"limit": str(limit)},
        )
    if request.leverage > before.leverage:
        require_armed(context, account, request.live)
    await engine.dispatcher.margins.set(
        engine.unit(instrument).guard, account, instrument, request.leverage, request.mode
    )
    return margin_view(engine, account, instrument)
