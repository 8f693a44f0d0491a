"""`make soak`: two hours of simulated market with ten bots while consoles come and go; 1 when a bar is missed.

python -m tests.soak [--hours 2] [--speed 8] [--warm-minutes 15] [--bots 10]
"""

from __future__ import annotations

import argparse
import sys
from functools import partial

from tests.bench.table import workplace
from tests.soak.life import MIB, Soak, growth

BAR_MIB_AN_HOUR = 5.0


def main() -> int:
    """Run, print what was found, and judge it."""
    parser = argparse.ArgumentParser(prog="soak", description=__doc__)
    parser.add_argument("--hours", type=float, default=2.0, help="market time to live through")
    parser.add_argument("--speed", type=float, default=8.0, help="how many times as fast as real time")
    parser.add_argument("--warm-minutes", type=float, default=15.0, help="market time that does not count")
    parser.add_argument("--bots", type=int, default=10)
    options = parser.parse_args()
    with workplace("soak") as home:
        soak = Soak(home, hours=options.hours, speed=options.speed, bots=options.bots, told=partial(print, flush=True))
        outcome = soak.run()
    slope = growth(outcome.samples, options.warm_minutes / 60)
    first, last = outcome.samples[0], outcome.samples[-1]
    print(
        f"{last.hours:.2f} h of market at {options.speed:g} times its speed: {outcome.facts:,} facts, "
        f"{outcome.orders:,} orders by hand, {outcome.fills:,} executions, {outcome.consoles} consoles, "
        f"{outcome.programs} programs ({outcome.silent} more got no welcome in time)"
    )
    print(
        f"memory {first.rss / MIB:.1f} → {last.rss / MIB:.1f} MiB; after {options.warm_minutes:g} min it grows by "
        f"{slope:+.2f} MiB/h (bar {BAR_MIB_AN_HOUR:g})"
    )
    problems = [*outcome.problems]
    if not slope <= BAR_MIB_AN_HOUR:
        problems.append("memory grows faster than the bar")
    if outcome.status != 0:
        problems.append(f"the engine ended with status {outcome.status}")
    if not outcome.consoles:
        problems.append("no console was ever drawn")
    for problem in problems:
        print(f"MISSED: {problem}")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
