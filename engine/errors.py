"""The one tree of exceptions: every error the product raises says what happened, to what, and what to do now.

    QuarterdeckError
    ├── ValidationError ── ConfigurationError
    ├── ExchangeError ── ExchangeConnectionError ── ExchangeClockError,
    │                    ExchangeRateLimitError ── ExchangeBannedError,
    │                    ExchangeInsufficientFundsError, UnknownOutcomeError ── NotVisibleYetError
    ├── RiskManagementError ── RegimeError, RiskRefusalError
    ├── DataError ── DataValidationError, DataSourceError, StorageError
    ├── ModelError ── ModelLoadError, ModelInferenceError, ModelDriftError
    ├── ExecutionError ── OrderRejectionError ── RiskRefusalError ── PositionLimitError, DrawdownLimitError,
    │                     SlippageError
    ├── StateConsistencyError ── StateCorruptionError, IllegalTransitionError, StaleEpochError
    ├── SecurityError ── AuthenticationError, AuthorizationError
    ├── CapitalManagementError ── InsufficientCapitalError
    ├── StrategyError ── StrategyLoadError
    ├── NotFoundError, ConflictError
    ├── CircuitOpenError ── VenueCircuitOpenError, StorageCircuitOpenError
    ├── RateLimitError
    └── EngineError ── EngineAlreadyRunningError, EngineNotRunningError, HandoverError, JournalError, ProtocolError,
                       VersionSkewError

`kind` is the stable word a program compares, `title` the heading of a dialog, `retryable` whether the same
call may succeed later without a change. Doors and screens use these fields; nobody parses the message.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import ClassVar

__all__ = [
    "AuthenticationError",
    "AuthorizationError",
    "CapitalManagementError",
    "CircuitOpenError",
    "ConfigurationError",
    "ConflictError",
    "DataError",
    "DataSourceError",
    "DataValidationError",
    "DrawdownLimitError",
    "EngineAlreadyRunningError",
    "EngineError",
    "EngineNotRunningError",
    "ExchangeBannedError",
    "ExchangeClockError",
    "ExchangeConnectionError",
    "ExchangeError",
    "ExchangeInsufficientFundsError",
    "ExchangeRateLimitError",
    "ExecutionError",
    "HandoverError",
    "IllegalTransitionError",
    "InsufficientCapitalError",
    "JournalError",
    "ModelDriftError",
    "ModelError",
    "ModelInferenceError",
    "ModelLoadError",
    "NotFoundError",
    "NotVisibleYetError",
    "OrderRejectionError",
    "PositionLimitError",
    "ProtocolError",
    "QuarterdeckError",
    "RateLimitError",
    "RegimeError",
    "RiskManagementError",
    "RiskRefusalError",
    "SecurityError",
    "SlippageError",
    "StaleEpochError",
    "StateConsistencyError",
    "StateCorruptionError",
    "StorageCircuitOpenError",
    "StorageError",
    "StrategyError",
    "StrategyLoadError",
    "UnknownOutcomeError",
    "ValidationError",
    "VenueCircuitOpenError",
    "VersionSkewError",
]


class QuarterdeckError(Exception):
    """Root of everything the product raises.

    Args:
        message: One or two sentences for a person: what happened, to what, what to do now.
        error_code: A narrower stable word than `kind`, such as a venue's own code; None when there is none.
        details: Facts a program may use; plain values only, never a secret.
    """

    kind: ClassVar[str] = "internal"
    title: ClassVar[str] = "Something went wrong"
    retryable: ClassVar[bool] = False

    def __init__(
        self, message: str, *, error_code: str | None = None, details: dict[str, object] | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.error_code = error_code
        self.details: dict[str, object] = dict(details or {})
        self.correlation = ""
        """Id under which the log tells more of the call that failed; empty outside of one."""
        # The wall clock is right here: an error is stamped where it is born, outside any simulated time.
        self.timestamp = datetime.now(UTC)


class ValidationError(QuarterdeckError):
    """Input from outside that cannot be accepted; nothing was changed."""

    kind = "validation"
    title = "That cannot be accepted"


class ConfigurationError(ValidationError):
    """A setting that is unknown, out of range or inconsistent; names file, key and the nearest known key."""

    kind = "configuration"
    title = "Settings need a correction"


class ExchangeError(QuarterdeckError):
    """A venue refused, failed or cannot be understood."""

    kind = "exchange"
    title = "The venue reported a problem"


class ExchangeConnectionError(ExchangeError):
    """The venue cannot be reached; says nothing about what became of an order."""

    kind = "exchange_connection"
    retryable = True


class ExchangeClockError(ExchangeConnectionError):
    """The venue refuses a request because of its time; it did nothing and may be repeated once the clock is set."""

    kind = "exchange_clock"


class ExchangeRateLimitError(ExchangeError):
    """The venue's request budget is used up; `details["retry_after_ms"]` where known (milliseconds)."""

    kind = "exchange_rate_limit"
    retryable = True


class ExchangeBannedError(ExchangeRateLimitError):
    """The venue has shut this machine's address out; details carry `until` (UTC) and `retry_after_ms`."""

    kind = "exchange_banned"
    title = "The venue has shut us out for a time"


class ExchangeInsufficientFundsError(ExchangeError):
    """The account lacks the funds; details carry required and available amounts."""

    kind = "exchange_insufficient_funds"


class UnknownOutcomeError(ExchangeError):
    """A request may or may not have taken effect; it must be asked for by client order id, never sent again."""

    kind = "unknown_outcome"


class NotVisibleYetError(UnknownOutcomeError):
    """The venue answered, and does not show an order that may exist all the same; ask again later."""

    kind = "not_visible_yet"


class RiskManagementError(QuarterdeckError):
    """A risk rule refused an action or could not be evaluated."""

    kind = "risk_refused"
    title = "Risk refused this"


class RegimeError(RiskManagementError):
    """A market regime cannot be told; static parameters hold meanwhile."""

    kind = "regime"
    title = "The market regime is not known"


class DataError(QuarterdeckError):
    """Market or stored data is missing, broken or cannot be read."""

    kind = "data"
    title = "The data cannot be used"


class DataValidationError(DataError):
    """A row, bar or message breaks its rules; names the place and the value."""

    kind = "data_validation"


class DataSourceError(DataError):
    """A source cannot deliver."""

    kind = "data_source"
    retryable = True


class StorageError(DataError):
    """The database refused or failed an operation; nothing of it was kept."""

    kind = "storage"
    title = "The database reported a problem"


class ModelError(QuarterdeckError):
    """A machine-learning model failed."""

    kind = "model"


class ModelLoadError(ModelError):
    """A stored model cannot be loaded."""

    kind = "model_load"


class ModelInferenceError(ModelError):
    """A model cannot give a prediction."""

    kind = "model_inference"


class ModelDriftError(ModelError):
    """A model no longer fits the data it sees."""

    kind = "model_drift"


class ExecutionError(QuarterdeckError):
    """An order could not be carried out as asked."""

    kind = "execution"
    title = "The order could not be carried out"


class OrderRejectionError(ExecutionError):
    """The gate or the venue rejected an order; details carry the reason codes."""

    kind = "order_rejected"


class RiskRefusalError(OrderRejectionError, RiskManagementError):
    """Risk refused an order; `details["refusals"]` tells each reason's limit, its value and what was attempted."""

    kind = "risk_refused_order"
    title = "Risk refused this order"


class PositionLimitError(RiskRefusalError):
    """An order would exceed a limit of positions or exposure."""

    kind = "position_limit"


class DrawdownLimitError(RiskRefusalError):
    """An order would open something while a limit of losses or drawdown holds."""

    kind = "drawdown_limit"


class SlippageError(ExecutionError):
    """The price moved beyond the order's limit."""

    kind = "slippage"


class StateConsistencyError(QuarterdeckError):
    """The engine's knowledge contradicts itself or a venue."""

    kind = "state_consistency"
    title = "The engine's state is inconsistent"


class StateCorruptionError(StateConsistencyError):
    """Stored state is damaged."""

    kind = "state_corruption"


class IllegalTransitionError(StateConsistencyError):
    """An order was asked to make a move its life does not allow."""

    kind = "illegal_transition"


class StaleEpochError(StateConsistencyError):
    """A writer of an older epoch tried to write; it must exit."""

    kind = "stale_epoch"


class SecurityError(QuarterdeckError):
    """An action is not permitted."""

    kind = "security"
    title = "Not permitted"


class AuthenticationError(SecurityError):
    """Credentials are missing or wrong."""

    kind = "authentication"


class AuthorizationError(SecurityError):
    """The caller's role does not allow this operation."""

    kind = "authorization"


class CapitalManagementError(QuarterdeckError):
    """Capital could not be allocated or moved."""

    kind = "capital"
    title = "Capital is not available"


class InsufficientCapitalError(CapitalManagementError):
    """More capital was asked for than is free."""

    kind = "insufficient_capital"


class StrategyError(QuarterdeckError):
    """A strategy failed; only its own bot is affected."""

    kind = "strategy"
    title = "The strategy failed"


class StrategyLoadError(StrategyError):
    """A strategy file cannot be loaded; names file and cause."""

    kind = "strategy_load"


class NotFoundError(QuarterdeckError):
    """The named thing does not exist; the message names near matches where there are any."""

    kind = "not_found"
    title = "Not found"


class ConflictError(QuarterdeckError):
    """The action does not fit the present state of its object."""

    kind = "conflict"
    title = "Not possible right now"


class CircuitOpenError(QuarterdeckError):
    """A dependency failed so often that it is not asked for a while; nothing was sent."""

    kind = "circuit_open"
    title = "Not asked for now"


class VenueCircuitOpenError(CircuitOpenError, ExchangeConnectionError):
    """A venue failed so often that questions to it wait; says nothing about what became of an order."""

    kind = "venue_circuit_open"
    retryable = False


class StorageCircuitOpenError(CircuitOpenError, StorageError):
    """The database failed so often that it is not asked for a while."""

    kind = "storage_circuit_open"


class RateLimitError(QuarterdeckError):
    """One client asked too much in too short a time; `details["retry_after_ms"]` says when to ask again."""

    kind = "rate_limited"
    title = "Too many requests"
    retryable = True


class EngineError(QuarterdeckError):
    """The engine as a whole cannot do what was asked."""

    kind = "engine"
    title = "The engine cannot do that"


class EngineAlreadyRunningError(EngineError):
    """Another engine holds this home folder; `details["pid"]` names it."""

    kind = "engine_running"


class EngineNotRunningError(EngineError):
    """No engine holds this home folder."""

    kind = "engine_not_running"


class HandoverError(EngineError):
    """Nothing can be changed while another process takes the engine over; ask again with the same request id."""

    kind = "handover"
    title = "The engine is being handed over"
    retryable = True


class JournalError(EngineError):
    """The journal cannot be written or read; the engine halts and releases nothing."""

    kind = "journal"
    title = "The journal failed"


class ProtocolError(EngineError):
    """What came over a connection is no message of the protocol."""

    kind = "protocol"
    title = "The other side cannot be understood"


class VersionSkewError(EngineError):
    """Engine and client speak different protocols; the message names which side is older."""

    kind = "version_skew"
    title = "Engine and console differ in version"
