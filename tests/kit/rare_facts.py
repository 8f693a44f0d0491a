"""What happens rarely in a history: new processes, hand-overs, adopted orders, checks, and troubles outside."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from engine import events as ev
from engine.model.algos import (
    BracketPlan,
    IcebergPlan,
    LimitPlan,
    MarketPlan,
    Parent,
    ParentStatus,
    ParticipationPlan,
    Plan,
    SchedulePlan,
    Trail,
    TrailingPlan,
)
from engine.model.ids import AccountId, ClientOrderId, Owner, ParentId, VenueOrderId
from engine.model.instrument import InstrumentKind
from engine.model.margin import MarginMode
from engine.model.order import Decision, OrderSide, OrderStatus, OrderType
from engine.model.scenario import ScenarioKind
from engine.model.schedule import Slice
from engine.model.shares import apportion
from engine.model.verification import BALANCES, CHECKS, Finding, Grade
from tests.kit.capital_facts import capital
from tests.kit.guard_facts import guard
from tests.kit.measured_facts import measured
from tests.kit.quality_facts import quality

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tests.kit.histories import HistoryMaker

__all__ = ["RARE"]

PAPER = AccountId("paper")


def engine(maker: HistoryMaker) -> None:
    """An operator acts, a position is liquidated, or the engine is started anew."""
    rng, choice = maker.rng, maker.rng.randrange(3)
    if choice == 0:
        request_id = f"r{rng.randrange(10**6)}" if rng.random() < 0.5 else ""
        maker.book(ev.OperatorActed(actor="operator", operation="bots.start", summary="trend-1", request_id=request_id))
    elif choice == 1:
        *_, perpetual = maker.state.instruments
        maker.book(
            ev.PositionLiquidated(
                account=PAPER, instrument=perpetual, owner=Owner("manual"), reason="margin", ts=maker.records[-1].ts
            )
        )
    else:
        maker.book(ev.EngineStopped(reason="asked for"))
        maker.start(4343)


def risk(maker: HistoryMaker) -> None:
    """Trading is limited or allowed again, a breaker trips or is reset, or limits are changed."""
    scope, choice = maker.rng.choice(["engine", *maker.state.bots]), maker.rng.randrange(4)
    if choice == 0:
        state = maker.rng.choice(("active", "reducing", "halted"))
        maker.book(ev.TradingStateChanged(scope=scope, state=state, reason="daily loss", actor="risk"))
    elif choice == 1:
        maker.book(
            ev.BreakerTripped(breaker="daily_loss", scope=scope, value="-5.1 %", threshold="-5 %", reason="loss")
        )
    elif choice == 2:
        maker.book(ev.BreakerReset(breaker="daily_loss", scope=scope, actor="operator", reason="looked into it"))
    else:
        maker.book(ev.LimitsChanged(limits=b'{"max_position":"1000"}', actor="operator"))


def _plan(maker: HistoryMaker, price: Decimal) -> Plan:
    return maker.rng.choice(
        (
            MarketPlan(),
            LimitPlan(price=price),
            SchedulePlan(name="twap", slices=(Slice(0, Decimal("0.5")), Slice(60_000_000_000, Decimal(1)))),
            ParticipationPlan(rate=Decimal("0.1")),
            IcebergPlan(price=price, display=Decimal(1)),
            TrailingPlan(trail=Trail(fraction=Decimal("0.02"))),
            BracketPlan(price=price, stop=price / 2),
        )
    )


def parent(maker: HistoryMaker) -> None:
    """A parent order is opened, paused, resumed, accelerated, asked to end, or has ended."""
    rng, open_ = maker.rng, list(maker.state.parents.values())
    if not open_ or (len(open_) < 4 and rng.random() < 0.4):
        instrument = maker.pick_instrument()
        maker.book(
            ev.ParentOpened(
                parent=ParentId(f"twap-{maker.state.seq + 1}"),
                account=PAPER,
                instrument=instrument.id,
                owner=Owner("manual"),
                side=rng.choice(list(OrderSide)),
                quantity=100 * instrument.current_rules.lot,
                plan=_plan(maker, 10 * instrument.current_rules.price_tick),
                decision=Decision(reason="a large order"),
            )
        )
        return
    _change_parent(maker, rng.choice(open_))


def _change_parent(maker: HistoryMaker, parent: Parent) -> None:
    choice = maker.rng.randrange(3)
    if parent.status is ParentStatus.ENDING:
        if not maker.state.families.get(parent.id):
            status = maker.rng.choice((ParentStatus.CANCELLED, ParentStatus.STOPPED))
            maker.book(ev.ParentEnded(parent=parent.id, status=status, reason="asked for"))
    elif choice == 0:
        maker.book(ev.ParentCancelRequested(parent=parent.id, reason="asked for", stopped=maker.rng.random() < 0.3))
    elif choice == 1:
        maker.book(ev.ParentAccelerated(parent=parent.id, pace=maker.rng.choice((50, 200))))
    elif parent.status is ParentStatus.PAUSED:
        maker.book(ev.ParentResumed(parent=parent.id))
    else:
        maker.book(ev.ParentPaused(parent=parent.id, reason="asked for"))


def hand_over(maker: HistoryMaker) -> None:
    """The engine gives its right to write to another process, which takes it or not."""
    unknown = sum(order.status is OrderStatus.UNKNOWN for order in maker.state.orders.values())
    maker.book(ev.HandedOver(pid=4444, release="2.0.0", unknown=unknown))
    if maker.rng.random() < 0.3:
        maker.book(ev.HandoverAbandoned(pid=4444, reason="it ended"))
    else:
        maker.start(4444)


def adopt(maker: HistoryMaker) -> None:
    """An order of this instance works at the venue, but is not known or was thought to be over."""
    rng, ended = maker.rng, list(maker.state.recent.values())
    old = rng.choice(ended) if ended and rng.random() < 0.5 else None
    if old is None:
        maker.orders += 1
        instrument, side, owner = maker.pick_instrument(), rng.choice(list(OrderSide)), Owner("manual")
        client_id = ClientOrderId(f"q1w2e3r4{maker.state.meta.epoch:02d}{maker.orders:08d}")
        before = done = rng.randrange(2) * instrument.current_rules.lot
    else:
        instrument, side, owner = maker.state.instruments[old.instrument], old.side, old.owner
        client_id = old.client_id
        before, done = old.executed_before, old.executed
    price = maker.price(instrument)
    reserves_base = instrument.kind is InstrumentKind.SPOT and side is OrderSide.SELL
    maker.book(
        ev.OrderAdopted(
            client_id=client_id,
            account=PAPER,
            instrument=instrument.id,
            owner=owner,
            venue_order_id=VenueOrderId(f"v{client_id[-8:]}"),
            side=side,
            type=OrderType.LIMIT,
            quantity=done + maker.quantity(instrument),
            price=price,
            reserve_currency=instrument.base if reserves_base else instrument.settle,
            reserve_unit=Decimal(1) if reserves_base else price * instrument.multiplier,
            ts=maker.records[-1].ts,
            executed_before=before,
        )
    )


def check(maker: HistoryMaker) -> None:
    """The state is checked, and now and then something differs."""
    finding = Finding(check=BALANCES, subject="USDT", grade=Grade.LOGGED, text="0.01 USDT differ", standing=True)
    findings = (finding,) * maker.rng.randrange(2)
    maker.book(ev.StateChecked(account=PAPER, checks=CHECKS, duration_ms=3.5, findings=findings))


def scenario(maker: HistoryMaker) -> None:
    """Something goes wrong outside and is over again, or not."""
    kind, succeeded = maker.rng.choice(list(ScenarioKind)), maker.rng.random() < 0.8
    maker.book(ev.ScenarioBegan(scenario=kind, subject="SIM", cause="no answer"))
    maker.book(
        ev.ScenarioEnded(
            scenario=kind,
            subject="SIM",
            outcome="it answers again" if succeeded else "it does not answer",
            succeeded=succeeded,
            steps=("waited",),
            duration_ms=1_500,
        )
    )


def perpetual(maker: HistoryMaker) -> None:
    """What happens to derivatives alone: leverage, funding, forced closings, positions that are taken over."""
    rng = maker.rng
    *_, key = maker.state.instruments
    instrument, ts = maker.state.instruments[key], maker.records[-1].ts
    choice = rng.randrange(4)
    if choice == 0:
        leverage = Decimal(rng.randrange(1, 6))
        maker.book(
            ev.MarginSet(
                account=PAPER,
                instrument=key,
                leverage=leverage,
                mode=rng.choice(list(MarginMode)),
                adopted=rng.random() < 0.5,
            )
        )
    elif choice == 1:
        amount = Decimal(rng.randrange(-500_000, 500_000)) / 100
        held = maker.state.owned_at(PAPER, key, ts)
        parts = apportion(amount, held, Decimal("0.01")) if sum(held.values()) else {}
        first, *others = sorted(parts) or [Owner("external")]
        paid = ev.FundingPaid(
            account=PAPER, instrument=key, owner=first, currency=instrument.settle, amount=amount,
            rate=Decimal("0.0001") if rng.random() < 0.8 else None, ts=ts, payment=f"{key}-{rng.randrange(10**6)}",
            parts=tuple(ev.FundingPart(owner, parts[owner]) for owner in others),
        )  # fmt: skip
        for _ in range(rng.randrange(1, 3)):
            maker.book(paid)
        maker.book(ev.FundingCaughtUp(account=PAPER, cursor=str(ts)))
    elif choice == 2:
        maker.book(
            ev.PositionAdopted(
                account=PAPER, instrument=key, quantity=maker.quantity(instrument) * rng.choice((-1, 1)),
                price=maker.price(instrument), ts=ts, reason="the venue has it",
            )
        )  # fmt: skip
    else:
        maker.close_by_force(instrument)


def limit(maker: HistoryMaker) -> None:
    """A limit is exceeded or kept again."""
    rng = maker.rng
    name, scope = rng.choice((("max_class_exposure", "bitcoin"), ("max_portfolio_exposure", "")))
    used, most = Decimal(rng.randrange(100, 9_000)), Decimal(2_500)
    if rng.randrange(2) == 0:
        maker.book(ev.LimitBreached(limit=name, scope=scope, used=used, most=most, reason="a price has moved"))
    else:
        maker.book(ev.LimitHealed(limit=name, scope=scope, used=used, most=most, reason="it came back"))


def restart(maker: HistoryMaker) -> None:
    """A failed bot shall be brought back, was tried, is given up, or is forgotten."""
    rng, ts, bots = maker.rng, maker.records[-1].ts, list(maker.state.bots)
    if not bots:
        return
    tries = tuple(sorted(ts - rng.randrange(3600) * 10**9 for _ in range(rng.randrange(3))))
    maker.book(
        ev.BotRestartPlanned(
            bot=rng.choice(bots),
            tries=tries,
            due=ts + 60 * 10**9 if rng.random() < 0.5 else 0,
            entries=rng.random() < 0.5,
            gave_up=rng.random() < 0.1,
        )
    )


RARE: Mapping[str, Callable[[HistoryMaker], None]] = {
    "capital": capital,
    "risk": risk,
    "engine": engine,
    "hand_over": hand_over,
    "adopt": adopt,
    "check": check,
    "scenario": scenario,
    "perpetual": perpetual,
    "guard": guard,
    "measured": measured,
    "parent": parent,
    "quality": quality,
    "limit": limit,
    "restart": restart,
}
"""By name of the action."""
