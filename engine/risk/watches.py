"""What opens breakers beside equity: markets that are wild, silent or frozen, many errors, a model in doubt."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Protocol

from engine.state import ENGINE_SCOPE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from engine.model.breaker_inputs import Confidences, ErrorSource
    from engine.model.ids import InstrumentId
    from engine.model.protections import ProtectionSettings
    from engine.risk.market_memory import MarketMemory, Memory

__all__ = ["ConfidenceWatch", "ErrorWatch", "MarketWatch", "Watch", "instrument_scope", "market_watches"]

NS = 1_000_000_000
MINUTE_NS = 60 * NS
_PREFIX = "instrument:"


def instrument_scope(instrument: str) -> str:
    """The scope of an instrument as breakers and trading states write it."""
    return f"{_PREFIX}{instrument}"


class Watch(Protocol):
    """One kind of breaker that is not about equity."""

    name: str
    label: str

    @property
    def absent(self) -> str:
        """What is shown where nothing can be told."""

    @property
    def threshold(self) -> float:
        """Beyond it the breaker opens."""

    def scopes(self) -> Iterable[str]:
        """What it is judged for."""

    def value(self, scope: str, now: int) -> float | None:
        """What is measured; None while nobody can tell."""

    def trips(self, value: float) -> bool:
        """Whether the value opens the breaker."""

    def share(self, value: float) -> float:
        """Used part of the threshold as a fraction."""

    def words(self, value: float) -> str:
        """A value or the threshold with its unit."""

    def reason(self, scope: str, value: float) -> str:
        """Why the breaker opens, as a sentence."""

    def forget(self, scope: str, now: int) -> None:
        """Begin the measuring anew, where that is possible."""


class MarketWatch:
    """A breaker of each market.

    Args:
        name: As facts and operations write it.
        label: For a person.
        memory: What is remembered of markets.
        measure: Measures one market; gets the time.
        threshold: Beyond it the breaker opens.
        words: A value with its unit.
        reason: What has happened, after the instrument, from value and threshold.
        forget: Begins the measuring anew; None where that is not possible.
    """

    absent = "warming up"

    def __init__(
        self,
        name: str,
        label: str,
        memory: Memory,
        measure: Callable[[MarketMemory, int], float | None],
        threshold: float,
        words: Callable[[float], str],
        reason: Callable[[str, str], str],
        forget: Callable[[MarketMemory, int], None] | None = None,
    ) -> None:
        self.name = name
        self.label = label
        self.threshold = threshold
        self.words = words
        self._memory = memory
        self._measure = measure
        self._reason = reason
        self._forget = forget

    def scopes(self) -> Iterable[str]:
        """Every market that was heard."""
        return [instrument_scope(instrument) for instrument in self._memory.known]

    def _of(self, scope: str) -> MarketMemory | None:
        return self._memory.known.get(_instrument(scope))

    def value(self, scope: str, now: int) -> float | None:
        """What is measured; None while nobody can tell."""
        memory = self._of(scope)
        return None if memory is None else self._measure(memory, now)

    def trips(self, value: float) -> bool:
        """Whether the value is above the threshold, by more than binary fractions are wrong."""
        return value > self.threshold and not math.isclose(value, self.threshold, rel_tol=1e-9)

    def share(self, value: float) -> float:
        """Used part of the threshold as a fraction."""
        return value / self.threshold

    def reason(self, scope: str, value: float) -> str:
        """Why the breaker opens, as a sentence."""
        return f"{_instrument(scope)}: {self._reason(self.words(value), self.words(self.threshold))}"

    def forget(self, scope: str, now: int) -> None:
        """Begin the measuring anew, where that is possible."""
        memory = self._of(scope)
        if memory is not None and self._forget is not None:
            self._forget(memory, now)


class ErrorWatch:
    """The breaker of the whole engine by its error rate."""

    name = "error_rate"
    label = "Errors a minute"
    absent = "unknown"

    def __init__(self, errors: ErrorSource, most: int) -> None:
        self.threshold = float(most)
        self._errors = errors

    def scopes(self) -> Iterable[str]:
        """The engine."""
        return (ENGINE_SCOPE,)

    def value(self, scope: str, now: int) -> float:
        """Errors of medium severity or above within a minute."""
        return float(self._errors.within(now, MINUTE_NS))

    def trips(self, value: float) -> bool:
        """Whether there are more than are borne."""
        return value > self.threshold

    def share(self, value: float) -> float:
        """Used part of the threshold as a fraction."""
        return value / self.threshold

    def words(self, value: float) -> str:
        """A number of errors."""
        return f"{value:.0f}"

    def reason(self, scope: str, value: float) -> str:
        """Why the breaker opens, as a sentence."""
        return (
            f"{value:.0f} errors of medium severity or above within a minute, more than {self.threshold:.0f}; look at "
            "the errors for their cause."
        )

    def forget(self, scope: str, now: int) -> None:
        """A minute passes soon; errors are not forgotten before."""


class ConfidenceWatch:
    """The breaker of the whole engine by the mean confidence of its model; without a model it says so."""

    name = "model_confidence"
    label = "Model confidence"

    def __init__(self, model: Confidences | None, least: float, count: int) -> None:
        self.threshold = least
        self._model = model
        self._count = count

    @property
    def absent(self) -> str:
        """No model, or too few predictions."""
        return f"fewer than {self._count}" if self._model is not None and self._model.name else "no model"

    def scopes(self) -> Iterable[str]:
        """The engine."""
        return (ENGINE_SCOPE,)

    def value(self, scope: str, now: int) -> float | None:
        """Mean confidence of the last predictions; None while there are too few, or no model."""
        if self._model is None:
            return None
        latest = self._model.latest(self._count)
        if len(latest) < self._count:
            return None
        return math.fsum(latest) / self._count

    def trips(self, value: float) -> bool:
        """Whether the mean is below the least, or no number at all."""
        return not value >= self.threshold

    def share(self, value: float) -> float:
        """The least as a fraction of the mean."""
        return self.threshold / value if value > 0 else 1.0

    def words(self, value: float) -> str:
        """A confidence."""
        return f"{value:.2f}"

    def reason(self, scope: str, value: float) -> str:
        """Why the breaker opens, as a sentence."""
        name = self._model.name if self._model is not None else "the model"
        return (
            f"{name} was sure of its last {self._count} predictions by {value:.2f} on average, below "
            f"{self.threshold:.2f}."
        )

    def forget(self, scope: str, now: int) -> None:
        """Predictions are the model's; they are not forgotten here."""


def market_watches(memory: Memory, settings: ProtectionSettings) -> tuple[MarketWatch, ...]:
    """The breakers of markets."""
    window = settings.price_shock_window_s
    return (
        MarketWatch(
            "volatility_spike",
            "Volatility spike",
            memory,
            lambda market, _: market.spike(),
            float(settings.volatility_spike),
            lambda value: f"{value:.2f}x",
            lambda now, most: f"volatility is {now} its average, more than {most}.",
            lambda market, _: market.forget_volatility(),
        ),
        MarketWatch(
            "price_shock",
            "Price shock",
            memory,
            lambda market, _: market.shock(),
            float(settings.price_shock_pct),
            lambda value: f"{value * 100:.2f} %",
            lambda now, most: f"the price moved {now} within {window:g} s, more than {most}.",
            lambda market, now: market.forget_window(now),
        ),
        MarketWatch(
            "stale_feed",
            "Stale feed",
            memory,
            lambda market, now: (now - market.heard) / NS,
            settings.stale_feed_s,
            lambda value: f"{value:.0f} s",
            lambda now, most: f"nothing was heard for {now}, longer than {most}.",
        ),
        MarketWatch(
            "frozen_price",
            "Frozen price",
            memory,
            lambda market, _: max(market.heard - market.moved, 0) / NS,
            settings.frozen_price_s,
            lambda value: f"{value:.0f} s",
            lambda now, most: (
                f"quotes have not changed and nothing traded for {now}, longer than {most}, though the feed delivers."
            ),
            _begin_standstill,
        ),
    )


def _begin_standstill(market: MarketMemory, now: int) -> None:
    market.moved = now


def _instrument(scope: str) -> InstrumentId:
    return scope.removeprefix(_PREFIX)  # type: ignore[return-value]
