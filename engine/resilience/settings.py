"""The figures of error handling: the settings group `error_handling`, read from the settings file only."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from engine import errors
from engine.model.faults import Severity

__all__ = [
    "AnalyticsSettings",
    "BreakerSettings",
    "ConsistencySettings",
    "ErrorHandlingSettings",
    "FeedSettings",
    "MaintenanceSettings",
    "NetworkSettings",
    "PartialFillSettings",
    "RejectionSettings",
    "RetrySettings",
    "known_kinds",
]

_Seconds = Annotated[float, Field(gt=0, le=86_400)]
_Days = Annotated[int, Field(ge=1, le=3_650)]


class _Group(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False)


class RetrySettings(_Group):
    """When a failed call is made again; delays in seconds."""

    max_attempts: int = Field(5, ge=1, le=20, description="Calls in all, the first one included.")
    backoff_strategy: Literal["exponential", "linear"] = Field(
        "exponential", description="How pauses grow: base, 2 x base, 4 x base …, or base, 2 x base, 3 x base …"
    )
    base_delay: _Seconds = Field(1.0, description="First pause.")
    max_delay: _Seconds = Field(60.0, description="Longest pause.")
    jitter: bool = Field(default=True, description="Draw each pause between 0 and its full length.")
    respect_retry_after: bool = Field(default=False, description="A pause that the other side asks for comes first.")


class DatabaseRetrySettings(RetrySettings):
    """The same for the report database."""

    max_attempts: int = Field(3, ge=1, le=20, description="Calls in all, the first one included.")
    base_delay: _Seconds = Field(0.5, description="First pause.")
    max_delay: _Seconds = Field(10.0, description="Longest pause.")
    jitter: bool = Field(default=False, description="Draw each pause between 0 and its full length.")


class RateLimitRetrySettings(RetrySettings):
    """The same after a venue said that its request budget is used up."""

    max_attempts: int = Field(3, ge=1, le=20, description="Calls in all, the first one included.")
    backoff_strategy: Literal["exponential", "linear"] = Field("linear", description="How pauses grow.")
    base_delay: _Seconds = Field(5.0, description="First pause.")
    jitter: bool = Field(default=False, description="Draw each pause between 0 and its full length.")
    respect_retry_after: bool = Field(default=True, description="A pause that the other side asks for comes first.")


class BreakerSettings(_Group):
    """When calls to something that fails are no longer made."""

    failure_threshold: int = Field(5, ge=1, le=1_000, description="Failures in a row that open the breaker.")
    recovery_timeout: _Seconds = Field(30.0, description="Seconds that it stays open before calls are tried again.")
    success_threshold: int = Field(3, ge=1, le=1_000, description="Successes in a row that close it then.")


class DatabaseBreakerSettings(BreakerSettings):
    """The same for the report database."""

    failure_threshold: int = Field(3, ge=1, le=1_000, description="Failures in a row that open the breaker.")
    recovery_timeout: _Seconds = Field(15.0, description="Seconds that it stays open before calls are tried again.")
    success_threshold: int = Field(2, ge=1, le=1_000, description="Successes in a row that close it then.")


class NetworkSettings(_Group):
    """A venue's connection is lost."""

    max_offline_duration: _Seconds = Field(300.0, description="Seconds of trying before safe mode.")
    sync_on_reconnect: bool = Field(
        default=True, description="Positions, orders and balances are compared before trading goes on."
    )
    conservative_mode: bool = Field(default=True, description="Trade with care at other venues meanwhile.")


class PartialFillSettings(_Group):
    """A bot's order to enter is filled in part and no further."""

    min_fill_percentage: Decimal = Field(
        Decimal("0.5"), gt=0, le=1, description="Fraction from which a part is accepted as the position."
    )
    cancel_remainder: bool = Field(default=True, description="Cancel what is left of an accepted part.")
    log_details: bool = Field(default=True, description="Write every partial fill to the log.")
    patience: _Seconds = Field(30.0, description="Seconds without a further execution after which it is judged.")


class MaintenanceSettings(_Group):
    """A venue is being maintained."""

    detect_maintenance: bool = Field(default=True, description="Look at what the venue says of itself.")
    pause_new_orders: bool = Field(default=True, description="Open nothing there meanwhile.")
    redistribute_capital: bool = Field(
        default=True, description="Shift its share of the capital to other venues, where there are any."
    )


class FeedSettings(_Group):
    """A market is no longer heard."""

    max_staleness: _Seconds = Field(30.0, description="Seconds of silence after which a feed counts as interrupted.")
    max_frozen: _Seconds = Field(
        60.0,
        description="Seconds for which a book's best prices may stand still while trades go by outside them; then the "
        "book counts as frozen and is fetched anew.",
    )
    fallback_sources: tuple[Literal["backup_feed", "static_data"], ...] = Field(
        ("backup_feed", "static_data"),
        description="What stands in, in this order: books that are asked for one by one, then the last known values.",
    )
    conservative_trading: bool = Field(default=True, description="Trade with care until the feed is live again.")


class RejectionSettings(_Group):
    """A venue rejects a bot's order to enter."""

    analyze_rejection_reason: bool = Field(default=True, description="Find out what was wrong.")
    adjust_parameters: bool = Field(default=True, description="Correct price, quantity or precision and order anew.")
    max_retry_attempts: int = Field(2, ge=0, le=10, description="Orders after the first one.")


class ConsistencySettings(_Group):
    """The comparison of memory, database and venue while the engine runs."""

    validation_frequency: _Seconds = Field(60.0, description="Seconds between two rounds of checks.")
    auto_reconcile: bool = Field(default=True, description="Correct what differs by more than is tolerated.")
    max_discrepancy: Decimal = Field(
        Decimal("0.01"), ge=0, le=1, description="Difference, as a fraction, up to which it is only written down."
    )
    force_sync_threshold: Decimal = Field(
        Decimal("0.05"), ge=0, le=1, description="From this fraction on the venue's word is taken over with an alert."
    )

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.force_sync_threshold <= self.max_discrepancy:
            raise ValueError("force_sync_threshold must be above max_discrepancy")
        return self


class AnalyticsSettings(_Group):
    """What is learned from errors, and how long it is kept."""

    pattern_detection: bool = Field(default=True, description="Look for errors that repeat or rise.")
    correlation_analysis: bool = Field(default=True, description="Look for parts that fail together.")
    predictive_alerts: bool = Field(default=True, description="Warn of errors that will go on to rise.")
    correlation_window: _Seconds = Field(60.0, description="Seconds within which two errors count as together.")
    daily_summary: bool = Field(default=True, description="A report of every day.")
    weekly_analysis: bool = Field(default=True, description="A report of every week.")
    trend_alerts: bool = Field(default=True, description="A report of a trend when it is found.")
    interval: _Seconds = Field(300.0, description="Seconds between two looks at the patterns.")
    error_logs_days: _Days = Field(90, description="Days that errors are kept.")
    pattern_data_days: _Days = Field(30, description="Days that patterns are kept.")
    analytics_reports_days: _Days = Field(365, description="Days that reports are kept.")


def known_kinds() -> frozenset[str]:
    """The `kind` of every error that the product raises."""
    found, more = {errors.QuarterdeckError.kind}, [errors.QuarterdeckError]
    while more:
        for child in more.pop().__subclasses__():
            found.add(child.kind)
            more.append(child)
    return frozenset(found)


class ErrorHandlingSettings(_Group):
    """How errors are weighed, tried again, held off and analysed."""

    severities: dict[str, Severity] = Field(
        default_factory=dict, description="Kind of an error -> its severity, in place of the built-in one."
    )
    escalate_after: int = Field(5, ge=2, le=1_000, description="Identical errors that raise the severity by one step.")
    escalate_within: _Seconds = Field(300.0, description="Seconds within which they count.")
    network_errors: RetrySettings = Field(default_factory=RetrySettings, description="Questions to venues.")
    database_errors: DatabaseRetrySettings = Field(
        default_factory=DatabaseRetrySettings, description="Work on the report database."
    )
    api_rate_limits: RateLimitRetrySettings = Field(
        default_factory=RateLimitRetrySettings, description="Requests that a venue refuses as too many."
    )
    api_calls: BreakerSettings = Field(default_factory=BreakerSettings, description="The breaker before each venue.")
    database_connections: DatabaseBreakerSettings = Field(
        default_factory=DatabaseBreakerSettings, description="The breaker before the report database."
    )
    network_disconnection: NetworkSettings = Field(
        default_factory=NetworkSettings, description="When a venue's connection is lost."
    )
    partial_order_fill: PartialFillSettings = Field(
        default_factory=PartialFillSettings, description="When a bot's order is filled in part."
    )
    exchange_maintenance: MaintenanceSettings = Field(
        default_factory=MaintenanceSettings, description="When a venue is being maintained."
    )
    data_feed_interruption: FeedSettings = Field(
        default_factory=FeedSettings, description="When a market is no longer heard."
    )
    order_rejection: RejectionSettings = Field(
        default_factory=RejectionSettings, description="When a venue rejects a bot's order."
    )
    state_consistency: ConsistencySettings = Field(
        default_factory=ConsistencySettings, description="Whether memory, database and venue tell the same."
    )
    conservative_size: Decimal = Field(
        Decimal("0.5"), gt=0, le=1, description="Size of entries while trading with care, as a fraction of the usual."
    )
    analytics: AnalyticsSettings = Field(default_factory=AnalyticsSettings, description="What is learned from errors.")

    @field_validator("severities")
    @classmethod
    def _kinds(cls, value: dict[str, Severity]) -> dict[str, Severity]:
        unknown = sorted(set(value) - known_kinds())
        if unknown:
            known = ", ".join(sorted(known_kinds()))
            raise ValueError(f"{', '.join(unknown)} is no kind of error; there are {known}")
        return value
