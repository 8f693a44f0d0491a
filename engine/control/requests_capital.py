"""What may be asked about capital."""

from __future__ import annotations

from typing import Any

from pydantic import Field, field_validator

from engine.control.requests import LIVE_WORDS, Amount, Reason, Request, exact_amount

__all__ = [
    "AccountOnly",
    "ConvertQuery",
    "EndTransfer",
    "FlowQuery",
    "HedgeRequest",
    "LedgerQuery",
    "MoneyRequest",
    "PreserveCapital",
    "Rebalance",
    "ReleaseCapital",
    "TransferRequest",
    "UnlockProfit",
]


class AccountOnly(Request):
    """One account."""

    account: str = Field("", max_length=64, description="Account; none for the one that is meant where none is named.")


class Rebalance(Reason):
    """Carry the plan out."""

    live: str = Field("", max_length=64, description=LIVE_WORDS)


class UnlockProfit(Reason):
    """Open locked profit before its time."""

    lock: str = Field(max_length=64, description="Its id.")
    account: str = Field("", max_length=64, description="Account; none for the one that is meant where none is named.")


class PreserveCapital(Reason):
    """Stop flows and new allocations."""

    account: str = Field("", max_length=64, description="Account; none for all.")


class ReleaseCapital(PreserveCapital):
    """Let capital flow again."""

    live: str = Field("", max_length=64, description=LIVE_WORDS)


class FlowQuery(Request):
    """Which flows."""

    account: str = Field("", max_length=64, description="Only this account's; none for all.")
    before: int = Field(0, ge=0, description="Only facts before this number; 0 for the newest.")
    limit: int = Field(100, ge=1, le=1000, description="Most facts.")


class LedgerQuery(Request):
    """Which entries of the ledger."""

    account: str = Field("", max_length=64, description="Only this account's; none for all.")
    pool: str = Field("", max_length=64, description="Only entries of this pool: a bot's name or id, free, reserve ….")
    kind: str = Field("", max_length=64, description="Only of this fact, such as OrderFilled or FundingPaid.")
    currency: str = Field("", max_length=32, description="Only entries that move this currency.")
    since: int = Field(0, ge=0, description="Only from this time on, UTC nanoseconds.")
    until: int = Field(0, ge=0, description="Only before this time, UTC nanoseconds; 0 for now.")
    page: int = Field(1, ge=1, description="Page, from 1.")
    size: int = Field(100, ge=1, le=1000, description="Entries a page.")


class _Money(Request):
    @field_validator("amount", mode="before", check_fields=False)
    @classmethod
    def _exact(cls, value: Any) -> Any:
        return exact_amount(value)


class MoneyRequest(_Money):
    """Money that comes in or leaves."""

    amount: Amount = Field(gt=0, description="How much of the currency.")
    currency: str = Field("", max_length=32, description="Currency; none for the account's base currency.")
    account: str = Field("", max_length=64, description="Account; none for the one that is meant where none is named.")
    reason: str = Field("asked by the operator", max_length=200, description="Why, for the record.")
    check: bool = Field(default=False, description="Only say what the rules say, and do nothing.")


class TransferRequest(_Money):
    """Money that is to go from one account to another; somebody has to send it."""

    source: str = Field(max_length=64, description="Account it leaves.")
    target: str = Field(max_length=64, description="Account it goes to.")
    amount: Amount = Field(gt=0, description="How much of the currency.")
    currency: str = Field("", max_length=32, description="Currency; none for the source's base currency.")
    reason: str = Field("asked by the operator", max_length=200, description="Why, for the record.")


class EndTransfer(Request):
    """A planned transfer."""

    transfer: str = Field(max_length=64, description="Its id.")
    reason: str = Field("", max_length=200, description="Why, for the record.")


class ConvertQuery(_Money):
    """From one currency into another."""

    source: str = Field(max_length=32, description="Currency that is given.")
    target: str = Field(max_length=32, description="Currency that is wanted.")
    amount: Amount = Field(gt=0, description="How much of the source.")
    account: str = Field("", max_length=64, description="Account; none for the one that is meant where none is named.")


class HedgeRequest(Request):
    """Send planned hedges."""

    currency: str = Field("", max_length=32, description="Only of this currency; none for all.")
    live: str = Field(
        "", max_length=64, description="VENUE/account, typed to send real money without an armed console."
    )
