"""Views of parent orders, and the plan that a request for one comes to."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import numpy as np

from engine.control.present.orders import owner_name, plain
from engine.control.views_algos import ParentRow
from engine.errors import ConflictError, ValidationError
from engine.execution.algos.planner import SCHEDULES, Wish
from engine.execution.selection import Algorithm
from engine.model.algos import (
    BracketPlan,
    IcebergPlan,
    LimitMode,
    LimitPlan,
    MarketPlan,
    ParticipationPlan,
    Plan,
    SchedulePlan,
    Trail,
    TrailingPlan,
    plan_name,
)
from engine.model.decimals import ONE, ZERO
from engine.model.ids import MANUAL, InstrumentId
from engine.model.order import Decision, OrderRequest, OrderType
from engine.model.schedule import horizon_of, share_due
from engine.model.valuation import VIEW

if TYPE_CHECKING:
    from engine.control.requests_algos import StartAlgo
    from engine.engine import Engine
    from engine.model.algos import Parent
    from engine.model.instrument import Instrument

__all__ = ["PLANNED", "needs_range", "parent_row", "parent_request", "plan_of", "planned", "true_range"]

NS_PER_S = 1_000_000_000
DISPLAYED = Decimal("0.1")
PARTICIPATION = Decimal("0.1")
AUTO = "auto"
PLANNED = (AUTO, *map(str, SCHEDULES))
"""Algorithms whose plan follows from the market: volume and volatility are looked at first."""
ATR_BARS, ATR_TIMEFRAME = 14, "1h"


# --- what is asked for -----------------------------------------------------------------------------------------------


def parent_request(engine: Engine, asked: StartAlgo) -> OrderRequest:
    """The whole quantity as a manual order."""
    instrument = InstrumentId(asked.instrument)
    return OrderRequest(
        account=engine.account_for(instrument, asked.account),
        instrument=instrument,
        owner=MANUAL,
        side=asked.side,
        type=OrderType.MARKET,
        quantity=asked.quantity,
        reduce_only=asked.reduce_only,
        decision=Decision(reason=asked.reason),
    )


def needs_range(asked: StartAlgo) -> bool:
    """Whether the average true range has to be known."""
    return asked.trail_atr is not None and asked.algorithm in ("trailing", "bracket")


async def true_range(engine: Engine, instrument: InstrumentId) -> Decimal:
    """Mean true range of the last hours, in quote currency (Wilder 1978, with a simple mean).

    Raises:
        ConflictError: There are not enough bars.
        ExchangeError: The venue does not give them.
    """
    candles = await engine.unit(instrument).guard.candles(instrument, ATR_TIMEFRAME, limit=ATR_BARS + 2)
    closed = [candle for candle in candles if candle.closed][-(ATR_BARS + 1) :]
    if len(closed) <= ATR_BARS:
        raise ConflictError(
            f"{instrument} has {len(closed)} closed bars of {ATR_TIMEFRAME}, and {ATR_BARS + 1} are needed for the "
            "average true range; give the distance as a fraction or an amount."
        )
    high, low = (np.array([getattr(c, name) for c in closed[1:]]) for name in ("high", "low"))
    before = np.array([c.close for c in closed[:-1]])
    return Decimal(repr(float(np.mean(np.maximum(high, before) - np.minimum(low, before)))))


def planned(engine: Engine, asked: StartAlgo, request: OrderRequest) -> Plan:
    """The plan of a request for a schedule, or for what fits it best.

    Raises:
        ConflictError: Too little is known of the market for it.
        ValidationError: Its window is not possible.
    """
    if asked.algorithm == AUTO:
        return engine.planner.automatic(request, asked.urgency, asked.price).plan
    algorithm = Algorithm(asked.algorithm)
    cap = PARTICIPATION if algorithm is Algorithm.VWAP else None
    wish = Wish(
        algorithm=algorithm,
        duration_ns=int(asked.duration_s * NS_PER_S),
        slices=asked.slices,
        urgency=asked.urgency,
        jitter=asked.jitter,
        participation=asked.participation or cap,
        passive=asked.passive,
        price=asked.price,
    )
    return engine.planner.schedule(wish, request)


def plan_of(asked: StartAlgo, instrument: Instrument, true_range: Decimal | None = None) -> Plan:
    """The plan of a request.

    Raises:
        ValidationError: Something that its algorithm needs is missing.
    """
    every_ns = int((asked.every_s or 5.0) * NS_PER_S)
    match asked.algorithm:
        case "market":
            return MarketPlan()
        case "chase" | "peg":
            return LimitPlan(
                mode=LimitMode(asked.algorithm),
                price=asked.price,
                post_only=asked.post_only,
                every_ns=every_ns,
                steps=asked.steps,
            )
        case "pov":
            return ParticipationPlan(rate=asked.participation or PARTICIPATION, every_ns=every_ns, price=asked.price)
        case "iceberg":
            if asked.price is None:
                raise ValidationError("An iceberg needs a price; nothing was sent.")
            display = asked.display or max(
                instrument.floor_quantity(asked.quantity * DISPLAYED), instrument.current_rules.lot
            )
            return IcebergPlan(price=asked.price, display=display, jitter=asked.jitter, post_only=asked.post_only)
        case "trailing":
            return TrailingPlan(trail=_need_trail(asked, instrument, true_range))
        case "bracket":
            return BracketPlan(
                price=asked.price,
                stop=asked.stop_price,
                target=asked.target_price,
                trail=_trail(asked, instrument, true_range),
            )
        case _:
            raise ValidationError(f"{asked.algorithm} is planned with its market.")


def _need_trail(asked: StartAlgo, instrument: Instrument, true_range: Decimal | None) -> Trail:
    trail = _trail(asked, instrument, true_range)
    if trail is None:
        raise ValidationError("A trailing stop needs a distance: trail, trail_amount or trail_atr; nothing was sent.")
    return trail


def _trail(asked: StartAlgo, instrument: Instrument, true_range: Decimal | None) -> Trail | None:
    given = [value for value in (asked.trail, asked.trail_amount, asked.trail_atr) if value is not None]
    if not given:
        return None
    if len(given) > 1:
        raise ValidationError("Give one distance: trail, trail_amount or trail_atr; nothing was sent.")
    amount = asked.trail_amount
    if asked.trail_atr is not None and true_range is not None:
        amount = max(instrument.round_price(asked.trail_atr * true_range), instrument.current_rules.price_tick)
    every_ns = int((asked.every_s or 1.0) * NS_PER_S)
    return Trail(fraction=asked.trail, amount=amount, activation=asked.activation, every_ns=every_ns)


# --- what is shown ---------------------------------------------------------------------------------------------------


def parent_row(engine: Engine, parent: Parent) -> ParentRow:
    """A parent order as a row."""
    instrument = engine.state.instruments[parent.instrument]
    children = engine.state.children(parent.id)
    average = slippage = None
    if parent.executed:
        average = VIEW.divide(parent.cost, parent.executed * instrument.multiplier)
        if parent.arrival:
            slippage = float(average / parent.arrival - ONE) * parent.side.sign
    return ParentRow(
        id=parent.id,
        algorithm=plan_name(parent.plan),
        account=parent.account,
        instrument=parent.instrument,
        owner=parent.owner,
        owner_name=owner_name(engine, parent.owner),
        side=parent.side,
        quantity=parent.quantity,
        executed=parent.executed,
        working=sum((order.working for order in children if order.side is parent.side), ZERO),
        exited=parent.exited,
        average_price=average,
        arrival=parent.arrival,
        slippage_pct=slippage,
        progress=float(min(VIEW.divide(parent.executed, parent.quantity), ONE)),
        due=_due(parent, engine.clock.now()),
        status=parent.status,
        pace=parent.pace,
        level=parent.level,
        orders=parent.placed,
        opened=parent.opened,
        updated=parent.updated,
        reason=parent.reason or (engine.algos.words(parent.id) if parent.is_open else ""),
        about=_about(parent.plan, instrument),
    )


def _due(parent: Parent, now: int) -> float | None:
    if not isinstance(parent.plan, SchedulePlan):
        return None
    return float(share_due(parent.plan.slices, parent.elapsed_ns(now)))


def _about(plan: Plan, instrument: Instrument) -> str:
    price = getattr(plan, "price", None)
    bound = "" if price is None else f"at {plain(price)} {instrument.quote} or better"
    parts: list[str] = []
    match plan:
        case LimitPlan():
            parts = [f"every {plan.every_ns / NS_PER_S:g} s", bound, "post-only" if plan.post_only else ""]
        case SchedulePlan():
            cap = "" if plan.participation is None else f"at most {plan.participation:.0%} of the volume"
            minutes = horizon_of(plan.slices) / NS_PER_S / 60
            parts = [f"{len(plan.slices)} slices, last at {minutes:.1f} min", cap, bound]
        case ParticipationPlan():
            parts = [f"{plan.rate:.0%} of the volume", bound]
        case IcebergPlan():
            parts = [f"shows {plain(plan.display)}", bound]
        case TrailingPlan():
            parts = [_trail_words(plan.trail, instrument)]
        case BracketPlan():
            stop = "" if plan.stop is None else f"stop {plain(plan.stop)}"
            target = "" if plan.target is None else f"target {plain(plan.target)}"
            parts = [stop, target, "" if plan.trail is None else _trail_words(plan.trail, instrument)]
        case MarketPlan():
            parts = []
    return ", ".join(part for part in parts if part)


def _trail_words(trail: Trail, instrument: Instrument) -> str:
    away = (
        f"{trail.fraction:.2%}" if trail.fraction is not None else f"{plain(trail.amount or ZERO)} {instrument.quote}"
    )
    return f"{away} behind the market"
