"""Views of derivatives: how a position stands, and what an order would make of it."""

from __future__ import annotations

import decimal
from typing import TYPE_CHECKING

from engine.control.views_margin import MarginView, StandingView
from engine.model.decimals import ZERO
from engine.model.instrument import CASH_KINDS
from engine.model.margin import most_leverage
from engine.model.standing import Exposure, Standing, exposures, standings
from engine.model.valuation import VIEW

if TYPE_CHECKING:
    from decimal import Decimal

    from engine.engine import Engine
    from engine.model.ids import AccountId, InstrumentId
    from engine.model.instrument import Instrument
    from engine.model.position import Position

__all__ = ["margin_view", "standing_after", "standing_view"]


def standing_view(engine: Engine, position: Position, mark: Decimal | None) -> StandingView | None:
    """How an owner's part of a position in a derivative stands; None for anything else.

    Ratio and liquidation price are the whole account's; the venue's own liquidation price is shown where it is known
    and speaks of the same position.
    """
    account, instrument = position.account, engine.state.instruments[position.instrument]
    whole = engine.state.position(account, instrument.id)
    if instrument.kind in CASH_KINDS or whole is None:
        return None
    standing = _standings(engine, account, instrument).get(instrument.id)
    market = engine.hub.markets.get(instrument.id)
    told = market.mark if market is not None else None
    quantity = position.quantity
    setting = engine.state.margin(account, instrument.id)
    liquidation = None
    margin = ratio = None
    if standing is not None:
        there = engine.derivatives.latest.get((account, instrument.id))
        same = there is not None and there.quantity == whole.quantity
        liquidation = there.liquidation_price if same and there is not None else None
        liquidation = _on_grid(instrument, standing.liquidation if liquidation is None else liquidation)
        with decimal.localcontext(VIEW):
            margin = standing.margin * abs(quantity) / abs(whole.quantity)
        ratio = None if standing.ratio is None else float(standing.ratio)
    return StandingView(
        base_size=VIEW.multiply(quantity, instrument.multiplier),
        leverage=setting.leverage,
        mode=setting.mode,
        margin=margin,
        ratio=ratio,
        liquidation_price=liquidation,
        liquidation_pct=float(liquidation / mark - 1) if liquidation is not None and mark else None,
        funding=position.funding,
        funding_rate=None if told is None or told.funding_rate is None else float(told.funding_rate),
        next_funding=None if told is None else told.next_funding,
        index=None if told is None else told.index,
    )


def standing_after(
    engine: Engine, account: AccountId, instrument: Instrument, quantity: Decimal, price: Decimal
) -> tuple[Decimal, Decimal | None]:
    """What an order would need of margin, and the liquidation price once it has filled.

    Args:
        engine: Knows the account.
        account: Whose order.
        instrument: A derivative.
        quantity: Signed contracts.
        price: At which they would fill.

    Returns:
        Margin in the settle currency for what opens or enlarges the position, and the estimated price; None for none.
    """
    with decimal.localcontext(VIEW):
        held = engine.state.position(account, instrument.id)
        before = held.quantity if held is not None else ZERO
        after = before + quantity
        cost = held.cost(instrument.multiplier) if held is not None else ZERO
        if before * quantity >= ZERO:
            cost += instrument.notional(price, quantity)
        elif before * after > ZERO:
            cost = cost * after / before
        else:
            cost = instrument.notional(price, after)
        others = [
            one
            for one in exposures(engine.state, account, instrument.settle, engine.mark)
            if one.instrument.id != instrument.id
        ]
        setting = engine.state.margin(account, instrument.id)
        wallet = engine.state.balance(account, instrument.settle).total
        if not after:
            return ZERO, None
        one = Exposure(instrument=instrument, quantity=after, cost=cost, mark=price, setting=setting)
        opened = quantity if before * quantity >= ZERO else max(abs(quantity) - abs(before), ZERO)
        needed = Exposure(
            instrument=instrument, quantity=opened, cost=instrument.notional(price, opened), mark=price, setting=setting
        ).margin
        standing = standings([*others, one], wallet)[instrument.id]
        return needed, _on_grid(instrument, standing.liquidation)


def margin_view(engine: Engine, account: AccountId, key: InstrumentId) -> MarginView:
    """Leverage and margin mode of an account in an instrument, with what is possible."""
    instrument = engine.state.instruments[key]
    setting, limit = engine.state.margin(account, key), engine.risk.limits().max_leverage
    unit = engine.unit(key)
    derivative = instrument.kind not in CASH_KINDS
    tiers = instrument.current_rules.margin
    most = unit.guard.capabilities.max_leverage if derivative else setting.leverage
    if derivative and tiers:
        most = min(most, most_leverage(tiers))
    return MarginView(
        account=account,
        instrument=key,
        leverage=setting.leverage,
        mode=setting.mode,
        modes=tuple(sorted(unit.guard.capabilities.margin_modes)) if derivative else (),
        most=most,
        limit=limit,
    )


def _standings(engine: Engine, account: AccountId, instrument: Instrument) -> dict[InstrumentId, Standing]:
    positions = exposures(engine.state, account, instrument.settle, engine.mark)
    return standings(positions, engine.state.balance(account, instrument.settle).total)


def _on_grid(instrument: Instrument, price: Decimal | None) -> Decimal | None:
    if price is None:
        return None
    with decimal.localcontext(VIEW):
        rounded = instrument.round_price(price)
    return rounded if rounded > ZERO else None
