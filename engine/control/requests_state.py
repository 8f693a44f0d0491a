"""What may be asked about the state's soundness."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from engine.control.requests import Request

__all__ = ["RecoveryQuery", "StateAuditQuery"]

Check = Literal["portfolio_balance_sync", "position_quantity_sync", "order_status_sync", "risk_limit_compliance"]


class RecoveryQuery(Request):
    """How many reports of starts."""

    limit: int = Field(1, ge=1, le=100, description="Most reports, the newest first.")


class StateAuditQuery(Request):
    """One page of the trail of checks."""

    check: Check | None = Field(None, description="Only this check.")
    findings: bool = Field(default=False, description="Only what was found, not the checks that passed.")
    page: int = Field(1, ge=1, description="Page, from 1.")
    size: int = Field(100, ge=1, le=1000, description="Rows a page.")
