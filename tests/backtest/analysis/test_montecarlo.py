"""Monte Carlo: sums by hand, all five ways, scenarios in order, the same from the same seed, refusals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from pydantic import ValidationError

from engine.backtest.analysis import montecarlo
from engine.backtest.analysis.montecarlo import MonteCarloSettings, run_monte_carlo
from engine.backtest.analysis.rerun import padded
from engine.backtest.run import run_backtest
from engine.errors import DataError
from tests.backtest.analysis.biased import Clean
from tests.backtest.analysis.test_bias import walk
from tests.backtest.helpers import make_instrument, make_spec

if TYPE_CHECKING:
    from engine.backtest.analysis.paths import PricePaths
    from engine.backtest.outcome import BacktestResult
    from engine.model.candle import Bars, FloatArray


class Event:
    """The strategy on the event path, without a stored run."""

    threads = 1

    def __call__(self, paths: PricePaths) -> tuple[FloatArray, FloatArray]:
        results = [run_on(paths.bars(path)) for path in range(len(paths))]
        profits = [[float(trade.pnl) for trade in result.trades] for result in results]
        return np.stack([result.equity for result in results]), padded(profits)


def run_on(bars: Bars) -> BacktestResult:
    params = {"position_size_pct": 0.1}
    spec = make_spec(strategy="clean", params=params)
    return run_backtest(spec, Clean.build(params), make_instrument(), bars)


BARS = walk(400)
RESULT = run_on(BARS)


def found_by(**settings: Any) -> dict[str, Any]:
    given = MonteCarloSettings.model_validate(
        {"iterations": 120, "method": "returns", "scenarios": ("normal",)} | settings
    )
    return run_monte_carlo(given, RESULT, BARS, risk_free_rate=0.02, drawdown_limit=0.05, traded=Event())


def test_defaults_are_those_that_were_fixed() -> None:
    settings = MonteCarloSettings()
    assert (settings.iterations, settings.seed, settings.levels) == (1000, 42, (0.95, 0.99))
    assert settings.scenarios == ("normal", "stress", "extreme")
    with pytest.raises(ValidationError, match="confidence levels lie"):
        MonteCarloSettings(levels=(1.5,))


@pytest.mark.parametrize("method", ["returns", "trades"])
def test_the_same_seed_gives_the_same_and_another_does_not(method: str) -> None:
    one, two, other = (found_by(method=method, seed=seed) for seed in (1, 1, 2))
    assert one == two
    first, second = (found["scenarios"]["normal"]["metrics"]["max_drawdown"] for found in (one, other))
    assert first != second


def test_blocks_of_returns_are_spread_around_the_run() -> None:
    found = found_by(iterations=600)["scenarios"]["normal"]
    total = found["metrics"]["total_return"]
    assert total["actual"] == RESULT.metrics["total_return"]
    # Half of the paths do better and half do worse, but for the chance of 600 of them.
    assert found["probabilities"]["below_actual"] == pytest.approx(0.5, abs=0.1)
    assert total["intervals"]["99"][0] < total["intervals"]["95"][0] < total["median"]
    assert total["median"] < total["intervals"]["95"][1] < total["intervals"]["99"][1]
    assert total["lowest"] == found["worst"]["total_return"]
    chances = [chance for _, chance in found["drawdown"]["exceeds"]]
    assert chances == sorted(chances, reverse=True)
    tail = found["tail"]
    assert tail["99"]["value_at_risk"] >= tail["95"]["value_at_risk"]
    assert tail["95"]["expected_shortfall"] >= tail["95"]["value_at_risk"]
    fan = found["fan"]
    assert len(fan["ts"]) == len(fan["equity"][0]) == 60
    assert (np.diff(np.array(fan["equity"]), axis=0) >= 0).all()
    assert fan["equity"][3][0] == 10_000


def test_the_order_of_trades_moves_the_drawdown_and_not_the_end() -> None:
    found = found_by(method="trades")["scenarios"]["normal"]["metrics"]
    total = found["total_return"]
    assert total["lowest"] == pytest.approx(total["highest"]) == pytest.approx(RESULT.metrics["total_return"], abs=1e-9)
    assert found["max_drawdown"]["lowest"] < found["max_drawdown"]["highest"]
    assert found["win_rate"]["median"] == pytest.approx(RESULT.metrics["win_rate"])
    assert found["trades"]["median"] == len(RESULT.trades)


@pytest.mark.parametrize("method", ["returns", "trades"])
def test_a_worse_scenario_falls_deeper(method: str) -> None:
    found = found_by(method=method, scenarios=("normal", "stress", "extreme"))["scenarios"]
    falls = [found[name]["metrics"]["max_drawdown"]["mean"] for name in ("normal", "stress", "extreme")]
    assert falls == sorted(falls)
    assert falls[2] > 2 * falls[0]


@pytest.mark.parametrize("method", ["prices", "parametric", "noise"])
def test_drawn_prices_are_traded_again(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(montecarlo, "CHUNK", 5)
    found = found_by(method=method, iterations=10)
    metrics = found["scenarios"]["normal"]["metrics"]
    assert metrics["trades"]["known"] == 10
    assert metrics["trades"]["lowest"] != metrics["trades"]["highest"]
    assert metrics["total_return"]["deviation"] > 0
    assert found["assumptions"]["strategy"] == "The strategy trades every path anew under the rules of the run."
    if method == "noise":
        assert found_by(method=method, iterations=10) == found


def test_progress_comes_to_its_end() -> None:
    heard: list[tuple[float, str]] = []
    settings = MonteCarloSettings(method="returns", iterations=100, scenarios=("normal", "stress"))
    run_monte_carlo(
        settings, RESULT, BARS, risk_free_rate=0.0, drawdown_limit=0.1, progress=lambda *told: heard.append(told)
    )
    assert heard == [(0.25, "normal"), (0.5, "normal"), (0.75, "stress"), (1.0, "stress")]


def test_what_cannot_be_drawn_is_refused() -> None:
    flat = run_on(walk(400).slice(0, 10))
    with pytest.raises(DataError, match="never moves"):
        run_monte_carlo(MonteCarloSettings(method="returns"), flat, BARS, risk_free_rate=0.0, drawdown_limit=0.1)
    with pytest.raises(DataError, match="needs 5 or more"):
        run_monte_carlo(MonteCarloSettings(method="trades"), flat, BARS, risk_free_rate=0.0, drawdown_limit=0.1)
    with pytest.raises(DataError, match="need the strategy"):
        run_monte_carlo(MonteCarloSettings(), RESULT, BARS, risk_free_rate=0.0, drawdown_limit=0.1)
