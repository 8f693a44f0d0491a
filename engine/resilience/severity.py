"""How bad an error is by what it is, and whether the same call may succeed later."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine import errors
from engine.model.faults import Severity

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["DEFAULTS", "is_transient", "severity_of"]

DEFAULTS: Mapping[type[BaseException], Severity] = {
    # The system fails, data is damaged, security is at stake; so is a fault that nobody expected.
    BaseException: Severity.CRITICAL,
    errors.QuarterdeckError: Severity.CRITICAL,
    errors.StateCorruptionError: Severity.CRITICAL,
    errors.SecurityError: Severity.CRITICAL,
    errors.JournalError: Severity.CRITICAL,
    errors.StaleEpochError: Severity.CRITICAL,
    # Trading has stopped somewhere, or a limit is breached.
    errors.RiskManagementError: Severity.HIGH,
    errors.DrawdownLimitError: Severity.HIGH,
    errors.ModelError: Severity.HIGH,
    errors.StrategyError: Severity.HIGH,
    errors.EngineError: Severity.HIGH,
    errors.StateConsistencyError: Severity.HIGH,
    # Slower, or with doubtful data.
    errors.DataError: Severity.MEDIUM,
    errors.ExchangeError: Severity.MEDIUM,
    errors.ExecutionError: Severity.MEDIUM,
    errors.CapitalManagementError: Severity.MEDIUM,
    OSError: Severity.MEDIUM,
    # A correction is asked for, and nothing was harmed.
    errors.ValidationError: Severity.LOW,
    errors.NotFoundError: Severity.LOW,
    errors.ConflictError: Severity.LOW,
    # That a breaker opened is told as such, with high severity; each call it holds back is no news.
    errors.CircuitOpenError: Severity.LOW,
}
"""Class of an error -> its severity; the nearest one in the error's own line counts."""


def severity_of(error: BaseException, chosen: Mapping[str, Severity] | None = None) -> Severity:
    """The severity of an error.

    Args:
        error: What happened.
        chosen: Kind -> severity in place of the built-in one; a kind counts for those beneath it too.
    """
    for cls in type(error).__mro__:
        if chosen and issubclass(cls, errors.QuarterdeckError) and cls.kind in chosen:
            return chosen[cls.kind]
        if cls in DEFAULTS:
            return DEFAULTS[cls]
    return Severity.CRITICAL


def is_transient(error: BaseException) -> bool:
    """Whether the same call may succeed later without a change."""
    if isinstance(error, errors.QuarterdeckError):
        return error.retryable
    return isinstance(error, TimeoutError | ConnectionError)
