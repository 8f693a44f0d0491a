"""Adaptive risk: what regimes, or a model, make of sizes, limits and stops; never more than the limits themselves.

Sizes are multiplied before all caps of the sizer, limits are only ever tightened, and a stop is never farther than the
declared bound of every strategy's stop. Where a regime, the model or its word is missing or too old, the static value
holds. Plain and synchronous: every answer is for the moment that is asked about.
"""

from __future__ import annotations

import math
from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple

from engine import events as ev
from engine.logs import get_logger
from engine.model.adaptation import AdaptedValue, AdaptiveSettings
from engine.model.decimals import ONE
from engine.model.order import OrderSide
from engine.model.regime import PORTFOLIO, CorrelationRegime, VolatilityRegime
from engine.risk.heard import HeardConfidences

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from engine.model.adaptation import Assessment, RiskModel
    from engine.model.ids import InstrumentId
    from engine.model.limits import RiskLimits
    from engine.model.regime import MarketRegime, Regimes
    from engine.state import EngineState

__all__ = ["FARTHEST_STOP", "NO_MODEL", "TIGHTENED", "Adaptation"]

log = get_logger(__name__)

NO_MODEL = "no model: static"
FARTHEST_STOP = 0.1
"""A stop is never farther from the entry than this fraction, the most that a strategy may declare."""
TIGHTENED = ("max_portfolio_exposure", "max_correlated_exposure")
"""Limits that are tighter while correlations are elevated."""
_STEP = Decimal("0.01")


class _Factor(NamedTuple):
    value: Decimal
    cause: str


class Adaptation:
    """What is adapted right now.

    Args:
        limits: Gives the static limits in force, the mode among them.
        settings: Figures of the adaptation.
        clock: Gives UTC nanoseconds.
        regimes: Who knows the regimes; None where nobody does, which is static.
    """

    def __init__(
        self,
        limits: Callable[[], RiskLimits],
        settings: AdaptiveSettings | None = None,
        clock: Callable[[], int] = lambda: 0,
        regimes: Regimes | None = None,
    ) -> None:
        self._static = limits
        self._settings = settings or AdaptiveSettings()
        self._now = clock
        self.regimes = regimes
        self.model: RiskModel | None = None
        """The model of the AI mode; None where there is none, which is static."""
        self.markets: Callable[[], Iterable[InstrumentId]] = tuple
        """Gives the markets of the portfolio, which a model is asked about for the limits of the whole."""
        self.heard = HeardConfidences(lambda: self.model if self.model is not None and self.mode == "ai" else None)
        """How sure the model was, while sizes and limits follow it."""
        self._tight: tuple[RiskLimits, Decimal, RiskLimits] | None = None
        self._model_failed = ""

    # --- what is asked for -------------------------------------------------------------------------------------------

    @property
    def mode(self) -> str:
        """static, dynamic or ai, as it is set."""
        return self._static().risk_mode

    @property
    def words(self) -> str:
        """The mode as a screen says it."""
        mode = self.mode
        if mode == "ai":
            if self.model is None:
                return NO_MODEL
            return f"ai: {self.model.name}" + (f" ({self._model_failed})" if self._model_failed else "")
        if mode == "dynamic" and self.regimes is None:
            return "dynamic: no regime is known, static"
        return mode

    def size_factor(self, instrument: InstrumentId) -> Decimal:
        """What the size of an entry is multiplied with before all caps; 1 where nothing is adapted."""
        return self._size(instrument).value

    def limits(self) -> RiskLimits:
        """The limits in force with those tightened that follow correlations, or the model; never looser than set."""
        static, factor = self._static(), self._limit_factor().value
        if factor >= ONE:
            return static
        if self._tight is None or self._tight[0] is not static or self._tight[1] != factor:
            changes = {name: getattr(static, name) * factor for name in TIGHTENED if name in type(static).model_fields}
            self._tight = (static, factor, static.model_copy(update=changes))
        return self._tight[2]

    def stop_distance(self, instrument: InstrumentId, side: OrderSide, base: float) -> float:
        """Distance of a stop from the entry as a fraction of its price, adapted to momentum.

        Args:
            instrument: The market.
            side: BUY for a long position.
            base: The distance that is set.
        """
        factor = float(self._stop(instrument, side).value)
        return base if factor == 1.0 else min(base * factor, FARTHEST_STOP)

    def regime(self, instrument: InstrumentId) -> MarketRegime | None:
        """The regimes of a market, whatever the mode; None while they are not known."""
        return None if self.regimes is None else self.regimes.market(instrument, self._now())

    # --- what is shown and booked ------------------------------------------------------------------------------------

    def values(self, instruments: Iterable[InstrumentId]) -> tuple[AdaptedValue, ...]:
        """Everything that can be adapted, beside its base, for these markets and the portfolio."""
        static = self._static()
        rows = []
        for instrument in instruments:
            size = self._size(instrument)
            rows.append(self._row("size", instrument, "Size of an entry", static.position_size_pct, size))
            for side, name in ((OrderSide.BUY, "stop_long"), (OrderSide.SELL, "stop_short")):
                words = "Stop of a long" if side is OrderSide.BUY else "Stop of a short"
                rows.append(self._row(name, instrument, words, ONE, self._stop(instrument, side)))
        tight = self._limit_factor()
        for name in TIGHTENED:
            if name in type(static).model_fields:
                rows.append(self._row(name, PORTFOLIO, name, getattr(static, name), tight))
        return tuple(rows)

    def changes(self, state: EngineState, instruments: Iterable[InstrumentId], now: int) -> list[ev.RiskAdapted]:
        """The facts that tell what is adapted otherwise than was told last; each is logged with its cause."""
        facts = []
        for row in self.values(instruments):
            known = state.adapted.get((row.name, row.scope))
            before = row.base if known is None else known.value
            if row.value == before and (known is None or known.base == row.base):
                continue
            log.info(
                "adapted", what=row.name, scope=row.scope, base=str(row.base), value=str(row.value), cause=row.cause
            )
            facts.append(
                ev.RiskAdapted(name=row.name, scope=row.scope, base=row.base, value=row.value, cause=row.cause, ts=now)
            )
        return facts

    @staticmethod
    def _row(name: str, scope: str, label: str, base: Decimal, factor: _Factor) -> AdaptedValue:
        value = (base * factor.value).quantize(Decimal("0.000001")).normalize()
        return AdaptedValue(
            name=name,
            scope=scope,
            label=label,
            base=base,
            value=base if factor.value == ONE else value,
            cause=factor.cause,
        )

    # --- factors -----------------------------------------------------------------------------------------------------

    def _size(self, instrument: InstrumentId) -> _Factor:
        mode, figures = self.mode, self._settings
        if mode == "static":
            return _Factor(ONE, "static")
        if mode == "ai":
            said = self._said(instrument)
            if said is None:
                return _Factor(ONE, self._why_static)
            # Between the factor of high volatility, at no confidence, and that of low, at full confidence in no risk.
            trust = Decimal(repr(round(said.confidence * (1.0 - said.risk), 4)))
            value = figures.size_high + (figures.size_low - figures.size_high) * trust
            return _Factor(value.quantize(_STEP), f"model: confidence {said.confidence:.2f}, risk {said.risk:.2f}")
        regime = self.regime(instrument)
        if regime is None:
            return _Factor(ONE, "no regime is known: static")
        by_level = {
            VolatilityRegime.LOW: figures.size_low,
            VolatilityRegime.MEDIUM: figures.size_medium,
            VolatilityRegime.HIGH: figures.size_high,
        }
        return _Factor(by_level[regime.volatility], f"{regime.volatility} volatility")

    def _limit_factor(self) -> _Factor:
        mode, figures = self.mode, self._settings
        if mode == "static":
            return _Factor(ONE, "static")
        if mode == "ai":
            said = self._said(None)
            if said is None:
                return _Factor(ONE, self._why_static)
            value = ONE - (ONE - figures.elevated_limits) * Decimal(repr(round(said.risk, 4)))
            return _Factor(min(value.quantize(_STEP), ONE), f"model: risk {said.risk:.2f}")
        now = self._now()
        regime = self.regimes.correlation(now) if self.regimes is not None else None
        if regime is None:
            return _Factor(ONE, "correlations are not known: static")
        if regime is CorrelationRegime.ELEVATED:
            return _Factor(figures.elevated_limits, "elevated correlations")
        return _Factor(ONE, "normal correlations")

    def _stop(self, instrument: InstrumentId, side: OrderSide) -> _Factor:
        # A model says nothing about momentum: in its mode stops follow the regimes as well.
        if self.mode == "static" or (self.mode == "ai" and self.model is None):
            return _Factor(ONE, "static" if self.mode == "static" else NO_MODEL)
        regime = self.regime(instrument)
        if regime is None:
            return _Factor(ONE, "no regime is known: static")
        if not regime.momentum:
            return _Factor(ONE, "no trend")
        along = regime.momentum == side.sign
        factor = self._settings.stop_with if along else self._settings.stop_against
        way = "up" if regime.momentum > 0 else "down"
        return _Factor(Decimal(repr(factor)), f"trend {way}, {'with' if along else 'against'} the trade")

    # --- the model ---------------------------------------------------------------------------------------------------

    @property
    def _why_static(self) -> str:
        return NO_MODEL if self.model is None else f"{self._model_failed or 'the model says nothing'}: static"

    def _said(self, instrument: InstrumentId | None) -> Assessment | None:
        """What the model says of a market, or the most dangerous it says of any; None when it cannot be used."""
        if self.model is None:
            return None
        now = self._now()
        try:
            wanted = [instrument] if instrument is not None else list(self.markets())
            found = [(one, said) for one in wanted if (said := self.model.assess(one, now)) is not None]
        except Exception as error:  # a model that fails must not keep anybody from trading by the static values
            if not self._model_failed:
                log.warning("the risk model failed; static values hold", problem=str(error), exc_info=error)
            self._model_failed = f"the model failed ({type(error).__name__})"
            return None
        fresh = [(one, said) for one, said in found if self._usable(said, now)]
        if not fresh:
            self._model_failed = "its word is too old or cannot be" if found else ""
            return None
        self._model_failed = ""
        for one, said in fresh:
            self.heard.hear(one, said)
        return max((said for _, said in fresh), key=lambda said: said.risk)

    def _usable(self, said: Assessment, now: int) -> bool:
        figures = (said.confidence, said.risk)
        if not all(math.isfinite(figure) and 0.0 <= figure <= 1.0 for figure in figures):
            return False
        return now - said.ts <= self._settings.model_stale_s * 1e9
