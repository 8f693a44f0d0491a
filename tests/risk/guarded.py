"""The small house with everything that breakers and locks listen to: markets, errors, a scripted model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from engine import events as ev
from engine.model.protections import ProtectionSettings
from engine.risk.breaker_manager import RiskInputs
from engine.risk.department import RiskDepartment
from engine.state import EngineState
from tests.kit.limits import loose
from tests.risk.house import PAPER, House

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from engine.model.ids import InstrumentId
    from engine.model.limits import RiskLimits

__all__ = ["Errors", "Guarded", "Model", "shown"]


class Errors:
    """Errors at chosen times."""

    def __init__(self) -> None:
        self.times: list[int] = []

    def within(self, now: int, span: int) -> int:
        """Those of the last `span` nanoseconds."""
        return sum(ts > now - span for ts in self.times)


class Model:
    """A model whose confidences are written down."""

    name = "oracle"

    def __init__(self, *confidences: float) -> None:
        self.said = list(confidences)

    def latest(self, count: int) -> Sequence[float]:
        """The newest ones."""
        return self.said[-count:]


class Guarded(House):
    """A house whose breakers and locks hear everything.

    Args:
        model: The model; None for none.
        limits: Risk limits.
        protections: Figures other than the defaults.
    """

    def __init__(self, model: Model | None = None, limits: RiskLimits | None = None, **protections: Any) -> None:
        self.traded_at: dict[InstrumentId, int] = {}
        self.errors = Errors()
        self.chosen = limits or loose()
        super().__init__(self.chosen)
        self.settings = ProtectionSettings(**protections)
        self.inputs = RiskInputs(settings=self.settings, markets=self, errors=self.errors, model=model)
        self.begin_anew()

    def begin_anew(self, *, from_journal: bool = False) -> None:
        """A new process: risk knows the state alone.

        Args:
            from_journal: Whether the state is also read anew, as from a snapshot.
        """
        if from_journal:
            before = self.state.state_hash()
            again = EngineState.from_sections(self.state.sections())
            assert again.state_hash() == before
            self.ledger.state = self.state = again
        for known in tuple(self.ledger._subscribers):
            self.ledger.unsubscribe(known)
        self.risk = RiskDepartment(self.ledger, self, self.chosen, PAPER, inputs=self.inputs)
        self.gate = self.risk.gate
        self.desk._gate = self.gate
        self.desk._ledger = self.ledger
        self.risk.attach(self.desk)

    def watched(self) -> Iterable[InstrumentId]:
        """Every market."""
        return self.markets.keys()

    def traded(self, instrument: InstrumentId) -> int:
        """When something traded there."""
        return self.traded_at.get(instrument, 0)

    def step(self, seconds: float = 1.0, *, heard: bool = True) -> None:
        """Let time pass, hear all markets again unless they are silent, and judge."""
        self.later(seconds)
        if heard:
            self.refresh()
        self.risk.tick(self.now)

    def run(self, seconds: float, every: float = 10.0, *, heard: bool = True) -> None:
        """Many steps."""
        for _ in range(round(seconds / every)):
            self.step(every, heard=heard)

    def quiet(self, instrument: InstrumentId, seconds: float, every: float = 10.0) -> None:
        """Time passes; one market is silent, the others are heard."""
        for _ in range(round(seconds / every)):
            self.later(every)
            for key, quote in self.markets.items():
                if key != instrument:
                    self.markets[key] = msgspec.structs.replace(quote, ts=self.now)
            self.risk.tick(self.now)

    def told(self) -> list[tuple[str, str]]:
        """What became of breakers, in order: (what, breaker)."""
        kinds = (ev.BreakerTripped, ev.BreakerHalfOpened, ev.BreakerHeld, ev.BreakerReset)
        return [(type(fact).__name__.removeprefix("Breaker"), fact.breaker) for fact in self.facts(*kinds)]


def shown(house: House, name: str) -> Any:
    """How a breaker stands."""
    return next(row for row in house.risk.standings() if row.name == name)
