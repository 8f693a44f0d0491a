"""Stress tests: what each scenario loses, and which limits it breaks at and around their thresholds."""

from __future__ import annotations

from decimal import Decimal as D
from typing import TYPE_CHECKING

import empyrical
import msgspec
import numpy as np
import pytest

from engine.model.ids import AccountId, InstrumentId, VenueId
from engine.model.limits import RiskLimits
from engine.model.risk_settings import MetricsSettings, StressSettings
from engine.risk.holdings import Held, Holdings
from engine.risk.returns import DailyReturns
from engine.risk.stress import Losses, stress
from tests.risk.test_portfolio import held, past
from tests.risk.test_returns import TODAY, A, B

if TYPE_CHECKING:
    from engine.model.risk_metrics import StressResult

LIMITS = RiskLimits()


def run(
    holdings: Holdings, returns: DailyReturns | None = None, losses: Losses | None = None, limits: RiskLimits = LIMITS
) -> dict[str, StressResult]:
    found = stress(
        holdings, returns or past(A=400, B=400), limits, losses or Losses(), StressSettings(), MetricsSettings()
    )
    return {result.name: result for result in found}


def test_all_scenarios_are_there() -> None:
    assert list(run(at_venues(held((A, 1000.0))))) == [
        "prices_down_10", "prices_down_20", "prices_down_40", "volatility", "correlation_one", "outage_sim",
        "liquidity",
    ]  # fmt: skip


def at_venues(holdings: Holdings, **equity: float) -> Holdings:
    return msgspec.structs.replace(
        holdings, equity_by_venue={VenueId(name): value for name, value in (equity or {"SIM": 10_000.0}).items()}
    )


def test_prices_that_fall_lose_their_part_of_longs_and_pay_shorts() -> None:
    found = run(held((A, 5000.0), (B, -2000.0)))
    assert [found[f"prices_down_{part}"].loss for part in (10, 20, 40)] == [300, 600, 1200]
    assert found["prices_down_40"].share == pytest.approx(0.12)
    assert run(held((A, -2000.0)))["prices_down_10"].loss == -200


@pytest.mark.parametrize(
    ("value", "breached"),
    [
        (4_999.0, ()),
        (5_000.0, ("max_daily_loss_pct",)),
        (10_000.0, ("max_daily_loss_pct", "breaker_drawdown_pct", "max_portfolio_exposure")),
    ],
)
def test_a_limit_is_broken_from_its_threshold_on(value: float, breached: tuple[str, ...]) -> None:
    assert run(held((A, value)))["prices_down_10"].breached == breached


def test_losses_of_before_come_on_top() -> None:
    holdings = held((A, 2000.0))
    assert run(holdings)["prices_down_10"].breached == ()
    assert run(holdings, losses=Losses(day=0.04))["prices_down_10"].breached == ("max_daily_loss_pct",)
    deep = run(holdings, losses=Losses(drawdown=0.14))["prices_down_10"]
    assert deep.breached == ("breaker_drawdown_pct", "max_drawdown_pct")


def test_volatility_times_three_is_three_bad_days_of_the_past() -> None:
    returns = past(A=400)
    daily = returns.matrix((A,), TODAY, 365)[:, 0] * 4000.0
    worst = -empyrical.conditional_value_at_risk(daily)
    assert float(run(held((A, 4000.0)), returns)["volatility"].loss or 0) == pytest.approx(3 * worst, abs=1e-6)


def test_correlation_at_one_adds_the_risks_of_all_positions_shorts_included() -> None:
    returns = past(A=400, B=400)
    matrix = returns.matrix((A, B), TODAY, 365) * np.array([4000.0, -3000.0])
    alone = sum(-empyrical.value_at_risk(matrix[:, column]) for column in (0, 1))
    found = run(held((A, 4000.0), (B, -3000.0)), returns)["correlation_one"]
    assert float(found.loss or 0) == pytest.approx(alone, abs=1e-6)


def test_an_outage_locks_a_venues_equity_and_moves_its_prices_against_what_is_held_there() -> None:
    def at(venue: str, key: InstrumentId, value: float) -> Held:
        return Held(instrument=key, account=AccountId(venue), venue=VenueId(venue), value=value, derivative=True)

    base = at_venues(held(), ONE=9000.0, TWO=1000.0)
    both = msgspec.structs.replace(base, held=(at("ONE", A, -3000.0), at("TWO", B, 2000.0)))
    found = run(both)
    assert found["outage_one"].loss == 600
    # What is held at TWO is more than the 1,000 that are left to use.
    assert "max_portfolio_exposure" in found["outage_one"].breached
    assert found["outage_two"].loss == 400
    assert found["outage_two"].breached == ()
    assert "9,000.00 USDT there cannot be used" in found["outage_one"].note


def test_without_liquidity_closing_costs_its_part() -> None:
    assert run(held((A, 4000.0), (B, -2000.0)))["liquidity"].loss == 300


def test_what_cannot_be_told_is_said() -> None:
    found = run(held((A, 1000.0), unpriced=("XYZ in paper",)), DailyReturns(365))
    for name in ("volatility", "correlation_one"):
        assert found[name].loss is None
        assert "cannot be told" in found[name].note
    assert "XYZ in paper" in found["prices_down_10"].note
    worthless = run(held((A, 1000.0), equity=None))["prices_down_40"]
    assert (worthless.loss, worthless.share, worthless.breached) == (D(400), None, ())
    assert "no limit can be judged" in worthless.note


def test_nothing_held_loses_nothing() -> None:
    for result in run(at_venues(held())).values():
        assert result.loss == D(0)
        assert result.breached == ()
