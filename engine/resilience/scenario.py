"""How a recovery is written down: its start, its steps, its outcome and how long it took; in the log and as facts."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from engine.errors import QuarterdeckError
from engine.logs import get_logger
from engine.model.scenario import ScenarioBegan, ScenarioEnded, ScenarioKind

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.clock import Clock
    from engine.model.faults import Severity
    from engine.resilience.handler import ErrorHandler

__all__ = ["Scenario", "Scenarios"]

log = get_logger(__name__)

KEPT = 100
STEPS = 50
"""Steps of one scenario that are kept; the last one is replaced once there are more."""


class Scenario:
    """One recovery under way; made by `Scenarios.begin`."""

    def __init__(self, owner: Scenarios, kind: ScenarioKind, subject: str, cause: str, began: int) -> None:
        self.kind = kind
        self.subject = subject
        self.cause = cause
        self.began = began
        """UTC nanoseconds."""
        self.steps: list[str] = []
        self.outcome = ""
        """Empty while it is under way."""
        self.succeeded = False
        self.duration_ms = 0
        self._owner = owner

    def step(self, words: str) -> None:
        """Write down something that was done."""
        if len(self.steps) >= STEPS:
            self.steps.pop()
        self.steps.append(words)
        log.info("recovery", scenario=self.kind, subject=self.subject, step=words, after_ms=self._owner.since(self))

    def end(self, outcome: str, *, succeeded: bool, severity: Severity | None = None) -> None:
        """Write down how it ended; a repeat changes nothing.

        Args:
            outcome: In words.
            succeeded: False when a person is needed or something was given up.
            severity: How bad the outcome is; None tells nobody beside the log and the facts.
        """
        if not self.outcome:
            self.outcome, self.succeeded, self.duration_ms = outcome, succeeded, self._owner.since(self)
            self._owner.ended(self, severity)


class Scenarios:
    """All recoveries of an engine.

    Args:
        clock: Measures.
        record: Books a fact.
        errors: Hears of those that end badly.
    """

    def __init__(
        self, clock: Clock, record: Callable[[ScenarioBegan | ScenarioEnded], object], errors: ErrorHandler
    ) -> None:
        self.under_way: list[Scenario] = []
        self.history: deque[Scenario] = deque(maxlen=KEPT)
        """Those that have ended, oldest first."""
        self._clock = clock
        self._record = record
        self._errors = errors

    def begin(self, kind: ScenarioKind, subject: str, cause: str) -> Scenario:
        """Begin to write one down."""
        scenario = Scenario(self, kind, subject, cause, self._clock.now())
        self.under_way.append(scenario)
        log.warning("recovery begins", scenario=kind, subject=subject, cause=cause)
        self._book(ScenarioBegan(scenario=kind, subject=subject, cause=cause))
        return scenario

    def since(self, scenario: Scenario) -> int:
        """Milliseconds since its beginning."""
        return (self._clock.now() - scenario.began) // 1_000_000

    def ended(self, scenario: Scenario, severity: Severity | None) -> None:
        """Called by a scenario that has ended."""
        self.under_way.remove(scenario)
        self.history.append(scenario)
        write = log.info if scenario.succeeded else log.error
        write(
            "recovery ends",
            scenario=scenario.kind,
            subject=scenario.subject,
            outcome=scenario.outcome,
            steps=len(scenario.steps),
            duration_ms=scenario.duration_ms,
        )
        self._book(
            ScenarioEnded(
                scenario=scenario.kind,
                subject=scenario.subject,
                outcome=scenario.outcome,
                succeeded=scenario.succeeded,
                steps=tuple(scenario.steps),
                duration_ms=scenario.duration_ms,
            )
        )
        if severity is not None:
            text = f"{scenario.kind.words_at_end} ({scenario.subject}): {scenario.outcome}"
            self._errors.alert(severity, str(scenario.kind), text)

    def _book(self, fact: ScenarioBegan | ScenarioEnded) -> None:
        try:
            self._record(fact)
        except QuarterdeckError as error:
            # What is being done about a failure goes on though it cannot be booked.
            log.error("a recovery was not booked", scenario=fact.scenario, problem=error.message)
