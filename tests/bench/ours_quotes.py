"""Our two roads over W4: `python -m tests.bench.ours_quotes [--quotes N]` prints one JSON object.

`event` is the event path with full order life, `compiled` the road of quoting sweeps. Of each: quotes a second of wall
and of processor time (median of the runs), and the fills as (quote, side, price).
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from engine.backtest.markets.run import MarketsRun
from engine.events import OrderFilled
from strategies.market_making.rule_quoter import RuleQuoter
from tests.bench.peers import data
from tests.kit.quoting import Quoter, quote_spec, quote_tape

if TYPE_CHECKING:
    from engine.backtest.markets.tapes import QuoteTape

__all__ = ["compiled_run", "event_run", "load", "measure"]

RUNS = 3
RULE = {
    **RuleQuoter.Params().model_dump(),
    "spread": 0.0,
    "size": 0.01,
    "max_position": 1e6,
    "skew": 0.0,
    "every": 100,
    "replace_all": True,
    "short": True,
}
"""The quoter of W4 as figures of the declared rule: at the touch, everything replaced every 100 quotes."""

Fills = list[list[float]]


def load(count: int = data.QUOTES) -> QuoteTape:
    """The quotes of the benchmark."""
    return quote_tape(data.read(data.ensure("quotes"), count))


def event_run(tape: QuoteTape) -> tuple[float, float, Fills]:
    """Wall and processor seconds of the event path, and its fills."""
    run = MarketsRun(quote_spec(capital=Decimal(10_000_000)), Quoter.build({}), [tape])
    fills: list[tuple[int, int, float]] = []

    def hear(record: Any) -> None:
        if type(record.event) is OrderFilled:
            fill = record.event.fill
            fills.append((fill.ts, fill.side.sign, float(fill.price)))

    run.ledger.subscribe(hear)
    wall, cpu = time.perf_counter(), time.process_time()
    run.run()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return wall, cpu, [[int(tape.ts.searchsorted(ts)), side, price] for ts, side, price in fills]


def compiled_run(tape: QuoteTape) -> tuple[float, float, Fills]:
    """As `event_run`, of the compiled road."""
    from engine.backtest.markets.kernel import run_rule

    wall, cpu = time.perf_counter(), time.process_time()
    found = run_rule(tape, RULE, 10_000_000.0)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    scale = 10**tape.instrument.price_scale
    rows = zip(found.row.tolist(), found.side.tolist(), found.price.tolist(), strict=True)
    return wall, cpu, [[row, side, price / scale] for row, side, price in rows]


def measure(count: int, runs: int = RUNS) -> dict[str, Any]:
    """Both roads over so many quotes."""
    tape, found = load(count), {}
    compiled_run(quote_tape(data.read(data.ensure("quotes"), 1000)))
    for name, road in (("event", event_run), ("compiled", compiled_run)):
        walls, cpus, fills = zip(*(road(tape) for _ in range(runs)), strict=True)
        found[name] = {
            "quotes": len(tape),
            "per_second": len(tape) / statistics.median(walls),
            "per_cpu_second": len(tape) / statistics.median(cpus),
            "fills": fills[-1],
        }
    return found


def main(arguments: list[str]) -> int:
    """Print what was measured."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.ours_quotes")
    parser.add_argument("--quotes", type=int, default=data.QUOTES, help="How many of them.")
    asked = parser.parse_args(arguments)
    print(json.dumps(measure(asked.quotes)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
