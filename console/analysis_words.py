"""What the commands of analyses print for a person."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from console.offline_call import table, utc
from console.plain import say

if TYPE_CHECKING:
    from engine.control.views_analyses import AnalysisView

__all__ = [
    "number",
    "say_comparison",
    "say_look_ahead",
    "say_monte_carlo",
    "say_overfitting",
    "say_recursive",
    "say_significance",
    "share",
]

_SHARES = ("return", "drawdown", "volatility", "risk", "shortfall", "rate", "exposure")


def share(value: float | None) -> str:
    """A fraction in per cent; a dash for what is not known."""
    if value is None:
        return "—"
    if abs(value) >= 100:
        return f"{value * 100:.1e}%"
    # A loss too small to be written is no minus.
    return f"{value:.2%}".replace("-0.00%", "0.00%")


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
    if "sensitivity" in result:
        _say_sensitivity(result["sensitivity"])


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


def _say_sensitivity(found: dict[str, Any]) -> None:
    say("\nEach parameter up to a fifth smaller and larger: the widest change of the run's figures")
    names = ("total_return", "sharpe", "max_drawdown", "trades")
    head = ("parameter", *(f" {name.replace('_', ' ')}" for name in names))
    table(
        head,
        ((row["parameter"], *(_change(name, row[name]) for name in names)) for row in found["parameters"]),
    )
    if found["fragile"]:
        say(f"  ! The result hangs on {', '.join(found['fragile'])}.")


def _change(name: str, value: float | None) -> str:
    if value is None:
        return "—"
    return f"{value:+.2%}" if name in ("total_return", "max_drawdown") else f"{value:+,.2f}"


# --- chance ----------------------------------------------------------------------------------------------------------


def say_significance(view: AnalysisView) -> None:
    """Print how far a run can be told from chance."""
    result = view.result
    ratio, entries = result["sharpe"], result["random_entries"]
    say(f"Significance of {view.row.title}\n")
    if ratio["ratio"] is None:
        say(f"  Sharpe ratio: cannot be computed from {ratio['days']} days of returns.")
    else:
        say(
            f"  Sharpe ratio {number(ratio['ratio'])} a year from {ratio['days']:,} days, skewness "
            f"{number(ratio['skewness'])}, kurtosis {number(ratio['kurtosis'])}"
        )
        say(f"  above 0 with a probability of {share(ratio['probabilistic'])}, taken alone")
        say(
            f"  deflated: {share(ratio['deflated'])} after {ratio['trials']:,} trials, of which the best of chance "
            f"would reach {number(ratio['expected_best'])}"
        )
        needed = ratio["minimum_record_days"]
        say(
            "  no record is long enough to show it above 0"
            if needed is None
            else f"  a record of {needed:,.0f} days is needed to be {result['confidence']:.0%} sure that it is above 0"
        )
    if "refusal" in entries:
        say(f"  Random entries: {entries['refusal']}")
    else:
        say(
            f"  Random entries: a trade gives {share(entries['actual'])} in the mean, {entries['iterations']:,} random "
            f"traders {share(entries['mean'])} ± {share(entries['deviation'])}; p = {entries['p_value']:.4f}"
        )
    say(f"\n  {result['verdict']}")


def say_overfitting(view: AnalysisView) -> None:
    """Print the cross-validation of a choice."""
    result = view.result
    say(f"Choice among {view.row.title}: {result['splits']:,} splits of {result['blocks']} blocks\n")
    say(f"  probability of overfitting  {share(result['probability'])}")
    say(f"  probability of a loss       {share(result['loss_probability'])}")
    say(f"  median Sharpe ratio         {number(result['inside'])} where chosen, {number(result['outside'])} elsewhere")
    say(f"  slope                       {number(result['slope'])}\n")
    rows = sorted(result["chosen"], key=lambda row: -row["times"])
    table(("run", " chosen"), ((row["name"], f"{row['times'] / result['splits']:.1%}") for row in rows))
    say(f"\n  {result['verdict']}")


def say_comparison(view: AnalysisView) -> None:
    """Print runs side by side, what they have in common, and which to choose."""
    result = view.result
    runs, period = result["runs"], result["period"]
    say(
        f"{len(runs)} runs, each with {result['capital']:,.0f}, {utc(period['start'])[:10]} to "
        f"{utc(period['end'])[:10]} ({period['days']:,} days that all have)\n"
    )
    head = (
        "run",
        "market",
        " return",
        " a year",
        " volatility",
        " Sharpe",
        " Sortino",
        " Calmar",
        " drawdown",
        " trades",
    )
    table(
        head,
        (
            (
                row["name"],
                row["market"],
                share(row["total_return"]),
                share(row["annual_return"]),
                share(row["annual_volatility"]),
                number(row["sharpe"]),
                number(row["sortino"]),
                number(row["calmar"]),
                share(row["max_drawdown"]),
                f"{row['trades']:,}",
            )
            for row in runs
        ),
    )
    say("\nCorrelation of daily returns")
    names = [row["name"] for row in runs]
    table(
        ("", *(f" {row['id'][:8]}" for row in runs)),
        ((name, *(number(value) for value in line)) for name, line in zip(names, result["correlation"], strict=True)),
    )
    _say_attribution(result["attribution"], runs)
    _say_portfolios(result["portfolios"], names)
    advice = result["recommendation"]
    say(f"\n{advice['choice']}")
    for text in advice["reasons"]:
        say(f"  {text}")
    for text in advice["warnings"]:
        say(f"  ! {text}")


def _say_attribution(found: dict[str, Any], runs: list[dict[str, Any]]) -> None:
    say("\nWhere the profit came from")
    for name, key in (("market", "by_market"), ("strategy", "by_strategy"), ("regime", "by_regime")):
        if found[key]:
            parts = ", ".join(f"{part} {value:+,.2f}" for part, value in sorted(found[key].items()))
            say(f"  by {name}: {parts}")
    months = found["by_month"][-12:]
    say(f"\nMonths (the last {len(months)})")
    table(
        ("month", *(f" {row['id'][:8]}" for row in runs)),
        ((month["month"], *(share(value) for value in month["returns"])) for month in months),
    )


def _say_portfolios(found: dict[str, Any], names: list[str]) -> None:
    say("\nPortfolios")
    for method, row in found.items():
        label = method.replace("_", " ")
        if "refusal" in row:
            say(f"  {label}: {row['refusal']}")
            continue
        parts = ", ".join(f"{name} {weight:.1%}" for name, weight in zip(names, row["weights"], strict=True) if weight)
        say(
            f"  {label}: Sharpe {number(row['sharpe'])}, return {share(row['total_return'])}, volatility "
            f"{share(row['annual_volatility'])}, drawdown {share(row['max_drawdown'])}: {parts}"
        )


# --- bias ------------------------------------------------------------------------------------------------------------


def say_look_ahead(view: AnalysisView) -> None:
    """Print whether a strategy sees the future."""
    result = view.result
    say(
        f"Look-ahead of {view.row.title}: cut at {result['cuts']} of {result['bars']:,} bars, {len(result['columns'])} "
        f"columns, {result['signals']:,} signals\n"
    )
    if not result["biased"]:
        say("  No bias found: nothing before a cut changed, and bars one at a time gave the same.")
    for found in result["findings"]:
        say(f"  {found['column']} ({found['times']} of {result['cuts']} cuts)")
        say(f"    {found['sentence']}")


def say_recursive(view: AnalysisView) -> None:
    """Print how columns depend on the amount of history."""
    result = view.result
    say(f"Warm-up of {view.row.title}: {result['warmup']:,} bars declared, {result['history']:,} loaded at a start\n")
    amounts = sorted({row["history"] for row in result["columns"]})
    names = sorted({row["column"] for row in result["columns"]})
    known = {(row["column"], row["history"]): row["difference"] for row in result["columns"]}
    say(f"Largest difference from the value with all history, at {result['places']} bars, by bars of history")
    table(
        ("column", *(f" {amount:,}" for amount in amounts)),
        ((name, *(_difference(known[name, amount]) for amount in amounts)) for name in names),
    )
    say("")
    if result["sufficient"]:
        say(f"  The warm-up suffices: no column differs by more than {result['tolerance']:.0%}.")
    for found in result["findings"]:
        say(f"  {found['sentence']}")


def _difference(value: float | None) -> str:
    if value is None:
        return "not known"
    return "0" if value == 0 else f"{value:.4%}"
