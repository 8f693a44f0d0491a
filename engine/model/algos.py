"""Algorithms: how a parent order's quantity is to be traded, and the parent as the state keeps it."""

from __future__ import annotations

import enum
from decimal import Decimal

import msgspec

from engine.model.ids import AccountId, Currency, InstrumentId, Owner, ParentId
from engine.model.order import Decision, OrderSide
from engine.model.schedule import Slice

__all__ = [
    "ENDED",
    "NORMAL_PACE",
    "BracketPlan",
    "IcebergPlan",
    "LimitMode",
    "LimitPlan",
    "MarketPlan",
    "Parent",
    "ParentStatus",
    "ParticipationPlan",
    "Plan",
    "SchedulePlan",
    "Trail",
    "TrailingPlan",
    "plan_name",
]

NORMAL_PACE = 100
"""Pace in percent at which a plan's own clock runs as fast as time."""
NS_PER_S = 1_000_000_000


class _Plan(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="plan"):
    """Base of all plans; the tag is the kind."""


class MarketPlan(_Plan, frozen=True, kw_only=True, tag="market"):
    """Everything at once at the market; more than the venue's largest order goes in several."""


class LimitMode(enum.StrEnum):
    """How a limit order follows the market."""

    CHASE = "chase"
    """Begins at the own side's best price and moves a step towards the other side's each time."""
    PEG = "peg"
    """Stays at the own side's best price."""


class LimitPlan(_Plan, frozen=True, kw_only=True, tag="limit"):
    """One limit order that is priced anew step by step, never beyond `price`."""

    mode: LimitMode = LimitMode.CHASE
    price: Decimal | None = None
    """Worst price; None for no bound."""
    post_only: bool = False
    """Never take liquidity: a step that would is held one tick before the other side's best."""
    every_ns: int = 5 * NS_PER_S
    """Nanoseconds between two prices."""
    steps: int = 5
    """Steps from the own side's best price to the other side's."""


class SchedulePlan(_Plan, frozen=True, kw_only=True, tag="schedule"):
    """As a schedule says; the slices of an opened parent are those it trades, its jitter included."""

    name: str
    """Kind of schedule: `twap`, `vwap` or `implementation_shortfall`."""
    slices: tuple[Slice, ...]
    jitter: Decimal = Decimal(0)
    """Fraction by which sizes and times of the slices were drawn larger or smaller, 0 to 0.4."""
    participation: Decimal | None = None
    """Largest share of the volume traded meanwhile, above 0 and up to 1; None for no cap."""
    passive: bool = False
    """Whether each slice rests at the own side's best price until the next one is due; else it is taken at once."""
    price: Decimal | None = None
    """Worst price; None for no bound."""
    urgency: float = 0.5
    """0 is patient, 1 is now: below 0.5 a restless market lets the next slice wait, above it brings it forward."""


class ParticipationPlan(_Plan, frozen=True, kw_only=True, tag="pov"):
    """A share of the volume that is traded meanwhile."""

    rate: Decimal
    """Share of that volume, above 0 and up to 1."""
    every_ns: int = 5 * NS_PER_S
    """Nanoseconds between two orders."""
    price: Decimal | None = None
    """Worst price; None for no bound."""


class IcebergPlan(_Plan, frozen=True, kw_only=True, tag="iceberg"):
    """One limit order of which only a part is shown; the next part follows when it is executed."""

    price: Decimal
    display: Decimal
    """Quantity shown at a time."""
    jitter: Decimal = Decimal(0)
    """Each part is larger or smaller by up to this fraction, 0 to 1 exclusive."""
    post_only: bool = False


class Trail(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How a stop follows the market; exactly one of `fraction` and `amount` is given."""

    fraction: Decimal | None = None
    """Distance as a fraction of the best price since, above 0 and below 1."""
    amount: Decimal | None = None
    """Distance in quote currency."""
    activation: Decimal | None = None
    """Price that must be reached first; None follows at once."""
    every_ns: int = NS_PER_S
    """Nanoseconds between two moves of the stop."""


class TrailingPlan(_Plan, frozen=True, kw_only=True, tag="trailing"):
    """A protective stop for what is held, which only ever moves in its favour."""

    trail: Trail


class BracketPlan(_Plan, frozen=True, kw_only=True, tag="bracket"):
    """An entry with a stop and a target, as large as what of the entry is executed and not yet left."""

    price: Decimal | None = None
    """Limit of the entry; None enters at the market."""
    stop: Decimal | None = None
    """Trigger of the protective stop."""
    target: Decimal | None = None
    """Trigger of the take-profit order."""
    trail: Trail | None = None
    """Moves the stop; it begins at `stop` where that is given."""


Plan = MarketPlan | LimitPlan | SchedulePlan | ParticipationPlan | IcebergPlan | TrailingPlan | BracketPlan


def plan_name(plan: Plan) -> str:
    """What people call the algorithm of a plan, such as `twap` or `peg`."""
    if isinstance(plan, SchedulePlan):
        return plan.name
    if isinstance(plan, LimitPlan):
        return str(plan.mode)
    return str(plan.__struct_config__.tag)


class ParentStatus(enum.StrEnum):
    """Where a parent order is in its life."""

    RUNNING = "running"
    PAUSED = "paused"
    """It places nothing that enters, and its clock stands; what protects goes on."""
    ENDING = "ending"
    """Its end was asked for; its orders are being cancelled."""
    DONE = "done"
    """Everything that can be traded of it is executed."""
    CANCELLED = "cancelled"
    STOPPED = "stopped"
    """It ended itself: a limit of its own was reached, or nothing came of its orders."""


ENDED = frozenset({ParentStatus.DONE, ParentStatus.CANCELLED, ParentStatus.STOPPED})


class Parent(msgspec.Struct, kw_only=True):
    """A parent order as the engine knows it. Only the fold changes it."""

    id: ParentId
    owner: Owner
    account: AccountId
    instrument: InstrumentId
    side: OrderSide
    quantity: Decimal
    """In base units (contracts for derivatives)."""
    plan: Plan
    decision: Decision
    opened: int
    """UTC nanoseconds."""
    updated: int
    """UTC nanoseconds of the last change, an execution included."""
    since: int
    """UTC nanoseconds up to which its clock is in `run`."""
    arrival: Decimal | None = None
    """Mark at the opening; None when it was not known."""
    max_slippage: Decimal | None = None
    """Fraction by which its price may be worse than `arrival` before it stops itself; None for no limit."""
    reduce_only: bool = False
    status: ParentStatus = ParentStatus.RUNNING
    reason: str = ""
    """Why it is paused, ending or ended, in words."""
    pace: int = NORMAL_PACE
    """Percent of time's own pace at which its clock runs."""
    run: int = 0
    """What its clock shows at `since`, in nanoseconds times 100."""
    executed: Decimal = Decimal(0)
    """Sum of the executions of its orders on its own side."""
    cost: Decimal = Decimal(0)
    """Sum of price x quantity x multiplier of those, in quote currency."""
    exited: Decimal = Decimal(0)
    """Sum of the executions of its orders on the other side: a bracket's stop and target."""
    exit_cost: Decimal = Decimal(0)
    fees: dict[Currency, Decimal] = {}
    """Of all its executions."""
    placed: int = 0
    """Orders it has placed so far."""
    last_placed: int = 0
    """UTC nanoseconds of the last one; 0 before the first."""
    futile: int = 0
    """Its last orders of which nothing was executed, though nobody had asked for their end."""
    trouble: str = ""
    """Why the last of those ended."""
    stopping: bool = False
    """Whether it is ending by itself, and not because somebody asked."""
    level: Decimal | None = None
    """Where its protective stop was asked to be last, so that it never loosens."""

    @property
    def is_open(self) -> bool:
        """True until it has ended."""
        return self.status not in ENDED

    @property
    def remaining(self) -> Decimal:
        """Quantity not executed yet, never negative."""
        left = self.quantity - self.executed
        return left if left > 0 else Decimal(0)

    def elapsed_ns(self, now: int) -> int:
        """What its clock shows: nanoseconds since the opening, without pauses, faster where it was accelerated."""
        run = self.run
        if self.status is ParentStatus.RUNNING:
            run += (now - self.since) * self.pace
        return run // NORMAL_PACE
