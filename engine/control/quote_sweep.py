"""A sweep of the declared quoting rule over recorded quotes: from a request to a table, and its best row checked.

Used by the operation (which checks) and by the worker process (which runs).
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

from engine.backtest.markets.spec import MarketsSpec
from engine.errors import ConfigurationError, DataError, ValidationError
from engine.model.limit_profiles import RESEARCH

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from engine.backtest.markets.tapes import QuoteTape
    from engine.strategy.loader import LoadedStrategy, StrategyRegistry

__all__ = ["MOST_SETS", "RULE", "grid_of", "sweep"]

RULE = "rule_quoter"
"""The strategy that has a compiled twin."""
MOST_SETS = 100_000
CHECKED = 20_000
"""Quotes over which the best row is run on the event path as well."""


def grid_of(found: LoadedStrategy, grid: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    """Every set of parameters of a grid, in the order of the names.

    Raises:
        ConfigurationError: A parameter is unknown or a value out of bounds.
        ValidationError: There are too many.
    """
    names = list(grid)
    count = 1
    for name in names:
        count *= len(grid[name])
    if not count or count > MOST_SETS:
        raise ValidationError(f"The grid has {count:,} sets of parameters; 1 to {MOST_SETS:,} can be tried at once.")
    chosen = (dict(zip(names, values, strict=True)) for values in itertools.product(*(grid[n] for n in names)))
    return [found.build_event(values).params.model_dump() for values in chosen]


def sweep(
    task: Mapping[str, Any], registry: StrategyRegistry, progress: Callable[[float, str], None]
) -> dict[str, Any]:
    """Try a grid over a file of quotes.

    Args:
        task: `grid`, `source`, `capital`, `maker_fee`, `sort` and `top`, as the operation sends them.
        registry: Where the rule is found.
        progress: Hears the share done.

    Raises:
        DataError: The quotes cannot be read, or the compiled road cannot follow a set; the message says why.
    """
    from engine.backtest.markets.kernel import COLUMNS, quote_faults, sweep_rule
    from engine.backtest.markets.reading import read_quotes

    progress(0.0, "reading the quotes")
    spec = _spec(task, {})
    tape = read_quotes(spec.markets[0], spec)
    sets = grid_of(registry.get(RULE), task["grid"])
    capital = float(spec.capital)
    faults = quote_faults(tape, sets, capital)
    if faults:
        raise DataError(" ".join(faults[:3]))
    rows: list[dict[str, Any]] = []
    size = max(1, len(sets) // 50)
    for start in range(0, len(sets), size):
        part = sets[start : start + size]
        progress(start / len(sets), f"{start:,} of {len(sets):,} sets")
        table = sweep_rule(tape, part, capital)
        for params, values in zip(part, table.tolist(), strict=True):
            varied = {name: params[name] for name in task["grid"]}
            rows.append({"params": varied, **dict(zip(COLUMNS, values, strict=True))})
    falling = task["sort"] not in ("max_drawdown", "largest_position", "fees")
    order = sorted(range(len(rows)), key=lambda i: rows[i][task["sort"]], reverse=falling)
    best = sets[order[0]]
    progress(0.99, "checking the best on the event path")
    return {
        "quotes": len(tape),
        "sets": len(sets),
        "market": str(tape.id),
        "rows": [rows[i] for i in order[: task["top"]]],
        "checked": _check(task, best, tape, registry),
    }


def _spec(task: Mapping[str, Any], params: dict[str, Any]) -> MarketsSpec:
    return MarketsSpec.model_validate(
        {
            "strategy": RULE,
            "params": params,
            "markets": [task["source"]],
            "capital": task["capital"],
            "maker_fee": task["maker_fee"],
            "allow_short": True,
            "limits": RESEARCH,
            "profile": "research",
        }
    )


def _check(task: Mapping[str, Any], params: dict[str, Any], tape: QuoteTape, registry: StrategyRegistry) -> str:
    """The best set on both roads over the first quotes, in a sentence."""
    from engine.backtest.markets.kernel import run_rule
    from engine.backtest.markets.run import MarketsRun
    from engine.backtest.markets.tapes import QuoteTape
    from engine.events import OrderFilled, Record

    count = min(len(tape), CHECKED)
    cut = QuoteTape(
        instrument=tape.instrument,
        ts=tape.ts[:count],
        bid=tape.bid[:count],
        ask=tape.ask[:count],
        bid_size=tape.bid_size[:count],
        ask_size=tape.ask_size[:count],
    )
    try:
        run = MarketsRun(_spec(task, params), registry.get(RULE).build_event(params), [cut])
    except ConfigurationError as error:
        return f"not checked: {error.message}"
    fills: list[tuple[int, int, int]] = []

    def hear(record: Record) -> None:
        if isinstance(record.event, OrderFilled):
            fill, made = record.event.fill, tape.instrument
            fills.append((fill.side.sign, made.price_to_int(fill.price), made.quantity_to_int(fill.quantity)))

    run.ledger.subscribe(hear)
    run.run()
    found = run_rule(cut, params, float(run.spec.capital))
    other = list(zip(found.side.tolist(), found.price.tolist(), found.quantity.tolist(), strict=True))
    words = f"{len(fills):,} fills over the first {count:,} quotes"
    return f"equal on the event path: {words}" if fills == other else f"DIFFERENT on the event path: {words}"
