"""What the commands of analyses print for a person."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from console.offline_call import table
from console.plain import say

if TYPE_CHECKING:
    from engine.control.views_analyses import AnalysisView

__all__ = ["number", "say_monte_carlo", "share"]

_SHARES = ("return", "drawdown", "volatility", "risk", "shortfall", "rate", "exposure")


def share(value: float | None) -> str:
    """A fraction in per cent; a dash for what is not known."""
    if value is None:
        return "—"
    return f"{value:.2%}" if abs(value) < 100 else f"{value:.1e}"


def number(value: float | None) -> str:
    """A number with two decimals; a dash for what is not known."""
    return "—" if value is None else f"{value:,.2f}"


def _figure(name: str, value: float | None) -> str:
    return share(value) if any(part in name for part in _SHARES) else number(value)


def say_monte_carlo(view: AnalysisView) -> None:
    """Print the spread of every figure by scenario."""
    result = view.result
    say(f"Monte Carlo of {view.row.title}: {result['iterations']:,} paths a scenario, seed {result['seed']}")
    for text in result["assumptions"].values():
        say(f"  {text}")
    for name, scenario in result["scenarios"].items():
        say(f"\n{name.capitalize()}")
        _say_spread(scenario["metrics"], result["levels"])
        _say_risk(scenario)


def _say_spread(metrics: dict[str, Any], levels: list[float]) -> None:
    names = [f"{level * 100:g}" for level in levels]
    head = ["figure", " the run", " mean", " median"]
    for name in names:
        head += [f" {name} % from", " to"]
    head += [" lowest", " highest"]
    rows = []
    for figure, spread in metrics.items():
        if not spread["known"]:
            continue
        cells = [figure.replace("_", " "), *(_figure(figure, spread[part]) for part in ("actual", "mean", "median"))]
        for name in names:
            cells += [_figure(figure, bound) for bound in spread["intervals"][name]]
        rows.append([*cells, _figure(figure, spread["lowest"]), _figure(figure, spread["highest"])])
    table(head, rows)


def _say_risk(scenario: dict[str, Any]) -> None:
    chances, worst = scenario["probabilities"], scenario["worst"]
    say(
        f"  Loses {chances['loss']:.1%} of the time, half or more {chances['half_lost']:.1%}; exceeds the drawdown "
        f"limit {chances['drawdown_limit']:.1%}. Worst path: {share(worst['total_return'])} with a drawdown of "
        f"{share(worst['max_drawdown'])}."
    )
    for level, tail in scenario["tail"].items():
        say(
            f"  One in {100 / (100 - float(level)):.0f} loses more than {share(tail['value_at_risk'])}, "
            f"{share(tail['expected_shortfall'])} in the mean."
        )
    falls = ", ".join(f"{fall:.0%} {chance:.1%}" for fall, chance in scenario["drawdown"]["exceeds"])
    say(f"  Chance of a drawdown beyond: {falls}.")
