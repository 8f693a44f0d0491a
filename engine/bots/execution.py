"""How a bot's entries are executed: one market order, or a parent order by an algorithm with its parameters.

Exits are never spread over time: what has to be left is left at once.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field

from engine.execution.algos.planner import Wish
from engine.execution.algos.plans import MOST_JITTER
from engine.execution.selection import Algorithm
from engine.model.algos import LimitMode, LimitPlan, MarketPlan, ParticipationPlan, Plan

if TYPE_CHECKING:
    from engine.execution.algos.planner import Planner
    from engine.model.order import OrderRequest

__all__ = ["ENTRY_ALGORITHMS", "Execution"]

NS_PER_S = 1_000_000_000
ENTRY_ALGORITHMS = ("market", "chase", "peg", "twap", "vwap", "implementation_shortfall", "pov", "auto")


class Execution(BaseModel):
    """The algorithm of entries; parameters that it does not know are not used."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    algorithm: Literal["market", "chase", "peg", "twap", "vwap", "implementation_shortfall", "pov", "auto"] = Field(
        "market",
        description="market sends one order at once; the others trade an entry in parts; auto takes what fits it.",
    )
    urgency: float = Field(0.5, ge=0, le=1, description="0 is patient, 1 is now (implementation_shortfall, auto).")
    every_s: float = Field(5.0, ge=0.1, le=86_400, description="Seconds between two prices or orders.")
    steps: int = Field(5, ge=1, le=100, description="Steps of a chase from the own side's best price to the other's.")
    post_only: bool = Field(default=False, description="Never take liquidity (chase, peg).")
    duration_s: float = Field(1800.0, gt=0, le=604_800, description="Seconds over which a schedule trades.")
    slices: int = Field(10, ge=1, le=1000, description="Slices of a schedule.")
    jitter: Decimal = Field(Decimal("0.1"), ge=0, le=MOST_JITTER, description="Variation of sizes and times.")
    participation: Decimal = Field(
        Decimal("0.1"), gt=0, le=1, description="Share of the market's volume: of pov; of a schedule the most."
    )
    passive: bool = Field(default=False, description="Let each slice rest until the next one is due.")
    max_slippage: Decimal | None = Field(
        None, gt=0, lt=1, description="Fraction worse than at the signal at which an entry stops; none for no limit."
    )

    @property
    def at_once(self) -> bool:
        """Whether an entry is one market order, as without any algorithm."""
        return self.algorithm == "market" and self.max_slippage is None

    def plan(self, request: OrderRequest, planner: Planner) -> Plan:
        """How an entry is traded. While too little is known of the market, a schedule has equal slices."""
        every_ns = int(self.every_s * NS_PER_S)
        match self.algorithm:
            case "market":
                return MarketPlan()
            case "chase" | "peg":
                mode = LimitMode(self.algorithm)
                return LimitPlan(mode=mode, post_only=self.post_only, every_ns=every_ns, steps=self.steps)
            case "pov":
                return ParticipationPlan(rate=self.participation, every_ns=every_ns)
            case "auto":
                return planner.automatic(request, self.urgency).plan
            case "twap" | "vwap" | "implementation_shortfall":
                return planner.fallback(self._wish(Algorithm(self.algorithm)), request)

    def _wish(self, algorithm: Algorithm) -> Wish:
        return Wish(
            algorithm=algorithm,
            duration_ns=int(self.duration_s * NS_PER_S),
            slices=self.slices,
            urgency=self.urgency,
            jitter=self.jitter,
            participation=self.participation,
            passive=self.passive,
        )
