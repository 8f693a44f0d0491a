"""What may be asked about arbitrage."""

from __future__ import annotations

from pydantic import Field

from engine.control.requests import Request

__all__ = ["ScanArbitrage"]


class ScanArbitrage(Request):
    """Which arbitrage is looked for, and what counts as one."""

    amount: float = Field(1000.0, gt=0, description="Most that is put in, in quote or start currency.")
    min_profit: float = Field(0.001, ge=0, le=0.5, description="Least profit after fees, as a fraction.")
    slippage_limit: float = Field(0.0005, ge=0, le=0.1, description="Most that depth may cost, as a fraction.")
    stale_ms: float = Field(1000.0, gt=0, le=60_000, description="Oldest book that counts, in ms.")
    latency_ms: float = Field(100.0, gt=0, le=60_000, description="Slowest answer of a venue that counts, in ms.")
    start: list[str] = Field(
        default_factory=lambda: ["USDT", "USD", "USDC", "BTC"],
        max_length=20,
        description="Currencies that loops begin with.",
    )
    limit: int = Field(50, ge=1, le=1000, description="Most entries, the best first.")
