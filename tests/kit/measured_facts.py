"""Facts about measured risk in a history: metrics, regimes, adapted values, stress tests."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from engine import events as ev
from engine.model.ids import Currency
from engine.model.regime import PORTFOLIO
from engine.model.risk_metrics import MethodFigures, RiskMetrics, StressResult, VarMethod

if TYPE_CHECKING:
    from tests.kit.histories import HistoryMaker

__all__ = ["measured"]

USDT = Currency("USDT")
DAY = 86_400_000_000_000


def measured(maker: HistoryMaker) -> None:
    """Risk is measured, a regime changes, something adapts to it, or a stress test is run."""
    rng, choice = maker.rng, maker.rng.randrange(4)
    ts = maker.records[-1].ts + rng.randrange(0, 3) * DAY
    equity = Decimal(rng.randrange(900_000, 1_100_000))
    instrument = maker.pick_instrument().id
    if choice == 0:
        metrics = RiskMetrics(
            ts=ts,
            currency=USDT,
            equity=equity if rng.random() < 0.9 else None,
            exposure=Decimal(rng.randrange(0, 900_000)),
            method=VarMethod.HISTORICAL,
            confidence=0.95,
            methods=(MethodFigures(method=VarMethod.HISTORICAL, var_1d=rng.random() / 10),),
            days=365,
            covered=rng.random(),
            level=rng.choice(("low", "medium", "high", "critical")),
        )
        moved = None if rng.random() < 0.1 else Decimal(rng.randrange(-500, 500))
        maker.book(ev.RiskMeasured(metrics=metrics, deposits=((USDT, Decimal(rng.randrange(10**6))),), moved=moved))
    elif choice == 1:
        kind, scope, words = rng.choice(
            (
                ("volatility", instrument, ("low", "medium", "high")),
                ("trend", instrument, ("trending", "ranging")),
                ("correlation", PORTFOLIO, ("normal", "elevated")),
            )
        )
        before = maker.state.regimes.get((kind, scope))
        maker.book(
            ev.RegimeChanged(
                scope=scope,
                kind=kind,
                before="" if before is None else before.value,
                after=rng.choice(words),
                cause="a reading",
                ts=ts,
            )
        )
    elif choice == 2:
        base = Decimal("0.02")
        value = rng.choice((base, Decimal("0.012"), Decimal("0.024")))
        maker.book(ev.RiskAdapted(name="size", scope=instrument, base=base, value=value, cause="high", ts=ts))
    else:
        drop = StressResult(name="prices_down_10", label="All prices 10 % lower", loss=Decimal(100), share=0.01)
        maker.book(ev.StressTested(results=(drop,), currency=USDT, equity=equity, cause="daily", ts=ts))
