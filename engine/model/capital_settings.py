"""How capital is allocated, distributed, protected and moved: one declaration of every figure with its default."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

__all__ = [
    "AllocationMethod",
    "CapitalManagementSettings",
    "CompoundingSettings",
    "CurrencySettings",
    "DepositSettings",
    "DistributionMode",
    "DistributionSettings",
    "MinimumSettings",
    "ProfitLockSettings",
    "Purpose",
    "WithdrawalSettings",
]

AllocationMethod = Literal["equal_weight", "performance_weighted", "volatility_weighted", "risk_parity", "dynamic"]
"""How shares are found; see `engine.capital.methods`."""
DistributionMode = Literal["dynamic", "fixed", "proportional"]
Purpose = Literal["testing", "production_starter", "production_optimal"]
Share = Annotated[Decimal, Field(ge=0, le=1)]
Amount = Annotated[Decimal, Field(ge=0)]


class _Group(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False)


class MinimumSettings(_Group):
    """Least capital; in the base currency."""

    testing: Amount = Field(Decimal(1000), description="In all, for trying things out on paper.")
    production_starter: Amount = Field(Decimal(10_000), description="In all, to begin with real money.")
    production_optimal: Amount = Field(Decimal(50_000), description="In all, for every kind of strategy together.")
    mean_reversion: Amount = Field(Decimal(5000), description="For a mean reversion strategy.")
    trend_following: Amount = Field(Decimal(10_000), description="For a trend following strategy.")
    ml_strategy: Amount = Field(Decimal(15_000), description="For a strategy that asks a model.")
    arbitrage: Amount = Field(Decimal(20_000), description="For an arbitrage strategy.")
    market_making: Amount = Field(Decimal(25_000), description="For a market making strategy.")


class DistributionSettings(_Group):
    """How money is spread over venues. It is planned only: the engine sends none."""

    mode: DistributionMode = Field(
        "dynamic", description="dynamic by scores, fixed shares, or proportional to what the venues hold."
    )
    fixed: dict[str, Share] = Field(
        default_factory=lambda: {"BINANCE": Decimal("0.5"), "OKX": Decimal("0.3"), "COINBASE": Decimal("0.2")},
        description="Venue -> its share, for the fixed mode.",
    )
    liquidity_weight: float = Field(1.0, ge=0, le=100, description="Weight of the liquidity score.")
    fee_weight: float = Field(1.0, ge=0, le=100, description="Weight of the fee score.")
    slippage_weight: float = Field(1.0, ge=0, le=100, description="Weight of the slippage score.")
    reliability_weight: float = Field(1.0, ge=0, le=100, description="Weight of the reliability score.")
    deviation_pct: Share = Field(
        Decimal("0.05"), description="Distance from a venue's share, of all capital, from which transfers are planned."
    )
    step_pct: Share = Field(
        Decimal("0.2"), gt=0, description="Most of all capital that is planned to move at once (gradual)."
    )

    @model_validator(mode="after")
    def _weighed(self) -> Self:
        weights = (self.liquidity_weight, self.fee_weight, self.slippage_weight, self.reliability_weight)
        if not any(weights):
            raise ValueError("at least one of the scores' weights must be above zero")
        return self


class CurrencySettings(_Group):
    """Currencies that are held and hedged."""

    supported: tuple[str, ...] = Field(
        ("USDT", "BUSD", "USDC", "BTC", "ETH"), description="Currencies in which capital may be held."
    )
    max_exposure: dict[str, Share] = Field(
        default_factory=dict, description="Currency -> most of all capital that may be exposed to it."
    )
    hedging: bool = Field(default=True, description="Plan hedges.")
    automatic: bool = Field(default=False, description="Send planned hedges without being asked.")
    hedging_threshold: Share = Field(
        Decimal("0.1"), description="Exposure to a currency that is not the base one, from which it is hedged."
    )
    hedge_ratio: Share = Field(Decimal("0.8"), description="Part of such an exposure that is hedged.")
    positions_of_bots: bool = Field(
        default=False, description="Hedge what bots hold too, and so what they mean to earn by it."
    )


class DepositSettings(_Group):
    """Money that comes in."""

    minimum: Amount = Field(Decimal(1000), description="Least of one deposit.")
    spread: bool = Field(default=True, description="Spread it over the pools in proportion to what they have.")


class WithdrawalSettings(_Group):
    """Money that leaves; every rule can be switched off."""

    minimum: Amount = Field(Decimal(100), description="Least of one withdrawal.")
    max_pct: Share = Field(Decimal("0.2"), description="Most of all capital in one withdrawal.")
    interval_hours: float = Field(24.0, ge=0, le=8760, description="Least time between two withdrawals.")
    profit_only: bool = Field(default=True, description="Only realised profit that is not locked may leave.")
    maintain_minimum: bool = Field(default=True, description="No strategy may fall below its minimum.")
    performance_based: bool = Field(default=False, description="Only when profit exceeds the threshold.")
    performance_threshold: Share = Field(
        Decimal("0.05"), description="Realised profit as a part of what was paid in, for performance_based."
    )


class CompoundingSettings(_Group):
    """Putting profit to work."""

    automatic: bool = Field(default=True, description="Put profit to work by itself.")
    every_days: int = Field(7, ge=1, le=366, description="Days between two settlements.")
    minimum: Amount = Field(Decimal(100), description="Least profit that is settled.")


class ProfitLockSettings(_Group):
    """Keeping a part of profit out of everything."""

    share: Share = Field(Decimal("0.5"), description="Part of settled profit that is locked.")
    unlock: Literal["quarterly", "monthly", "yearly"] = Field(
        "quarterly", description="Locks open at the end of the UTC month, quarter or year in which they were made."
    )
    notice_hours: float = Field(48.0, ge=0, le=8760, description="Notice of an emergency unlock.")


class CapitalManagementSettings(_Group):
    """Allocation of capital to strategies, and its protection."""

    purpose: Purpose | None = Field(
        None,
        description="What the money is for, which says how much is needed; none for testing on paper and "
        "production_starter with real money.",
    )
    total_capital: Amount = Field(
        Decimal(0), description="Most that is managed; what is there beyond it is left alone. 0 for all of it."
    )
    emergency_reserve_pct: Share = Field(Decimal("0.1"), lt=1, description="Part that is never allocated.")
    allocation_strategy: AllocationMethod = Field("risk_parity", description="How shares are found.")
    min_allocation_pct: Share = Field(Decimal("0.01"), description="Least share of one strategy.")
    max_allocation_pct: Share = Field(Decimal("0.25"), gt=0, description="Most of all capital for one strategy.")
    sharpe_adjusted: bool = Field(default=True, description="Give a better Sharpe ratio a larger share.")
    kelly: bool = Field(default=False, description="Bound shares by the Kelly criterion.")
    kelly_cap: Share = Field(Decimal("0.25"), description="Most that the Kelly criterion may say.")
    automatic: bool = Field(default=True, description="Rebalance by itself.")
    rebalance_frequency_hours: float = Field(24.0, ge=1, le=8760, description="Hours between two rebalancings.")
    max_daily_reallocation_pct: Share = Field(
        Decimal("0.2"), description="Most of all capital that rebalancing moves in a UTC day."
    )
    fund_flow_cooldown_minutes: float = Field(60.0, ge=0, le=10_080, description="Least time between two rebalancings.")
    max_exchange_allocation_pct: Share = Field(Decimal("0.6"), gt=0, description="Most of all capital on one venue.")
    min_exchange_balance: Amount = Field(Decimal(100), description="Least on a venue that is used.")
    preserve_on_breakers: tuple[str, ...] = Field(
        ("max_drawdown",), description="Breakers that preserve capital when they trip."
    )
    minimums: MinimumSettings = Field(default_factory=MinimumSettings, description="Least capital.")
    distribution: DistributionSettings = Field(default_factory=DistributionSettings, description="Money over venues.")
    currencies: CurrencySettings = Field(default_factory=CurrencySettings, description="Currencies and their hedging.")
    deposits: DepositSettings = Field(default_factory=DepositSettings, description="Rules of deposits.")
    withdrawals: WithdrawalSettings = Field(default_factory=WithdrawalSettings, description="Money that leaves.")
    compounding: CompoundingSettings = Field(
        default_factory=CompoundingSettings, description="When profit is put to work."
    )
    profit_lock: ProfitLockSettings = Field(default_factory=ProfitLockSettings, description="Keeping profit.")

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        if self.min_allocation_pct > self.max_allocation_pct:
            raise ValueError(
                f"min_allocation_pct ({self.min_allocation_pct}) must not be above "
                f"max_allocation_pct ({self.max_allocation_pct})"
            )
        return self
