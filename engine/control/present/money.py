"""Views of money over venues and currencies."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from engine.control.views_capital import (
    DistributionView,
    ExposureRow,
    ExposureView,
    FlowRow,
    HedgeRow,
    LegRow,
    RouteView,
    VenueShareRow,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from engine.capital.currencies import CurrencyExposure, Hedge
    from engine.capital.distribution import Distribution
    from engine.capital.routes import Route
    from engine.engine import Engine
    from engine.model.ids import AccountId

__all__ = ["distribution_view", "exposure_view", "route_view"]


def distribution_view(engine: Engine, found: Distribution) -> DistributionView:
    """How money is spread over venues."""
    now = engine.clock.now()
    return DistributionView(
        mode=found.mode,
        currency=engine.base_currency,
        venues=tuple(
            VenueShareRow(
                venue=one.venue,
                account=one.account,
                value=one.value,
                share=one.share,
                target_share=one.target,
                deviation=one.deviation,
                score=one.score,
                liquidity=one.liquidity,
                fees=one.fees,
                slippage=one.slippage,
                reliability=one.reliability,
                notes=one.notes,
            )
            for one in found.shares
        ),
        transfers=tuple(
            FlowRow(
                ts=now,
                account=one.source,
                kind="transfer",
                source=one.source,
                target=one.target,
                amount=one.amount,
                currency=one.currency,
                reason="towards the venues' shares",
                actor="",
            )
            for one in found.transfers
        ),
        notes=found.notes,
    )


def exposure_view(engine: Engine, found: Iterable[CurrencyExposure], planned: Iterable[Hedge]) -> ExposureView:
    """Exposure to currencies, and what would hedge it."""
    return ExposureView(
        currency=engine.base_currency,
        rows=tuple(
            ExposureRow(
                account=one.account,
                currency=one.currency,
                held=one.held,
                derivatives=one.derivatives,
                bots=one.bots,
                value=one.value,
                share=one.share,
                limit=one.limit,
                over=one.limit is not None and one.share is not None and abs(one.share) > one.limit,
                supported=one.supported,
            )
            for one in found
        ),
        hedges=tuple(HedgeRow(**msgspec.structs.asdict(one)) for one in planned),
    )


def route_view(account: AccountId, route: Route) -> RouteView:
    """A way from one currency into another."""
    return RouteView(
        account=account,
        source=route.source,
        target=route.target,
        pays=route.pays,
        gets=route.gets,
        cost_pct=route.cost,
        legs=tuple(
            LegRow(
                instrument=leg.instrument,
                side=leg.side,
                quantity=leg.quantity,
                pays=leg.pays,
                gets=leg.gets,
                cost_pct=leg.cost,
            )
            for leg in route.legs
        ),
    )
