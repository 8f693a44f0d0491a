"""The fault test from the command line.

    python -m tests.chaos                        the long form: every point, both venues, 500 random hang-ups on each,
                                                 the loss of power at some hundreds of moments, and chaos on the
                                                 wires of three exchanges at once (`python -m tests.chaos.wire`)
    python -m tests.chaos --seed N --point X     one session, as a table or the suite names it

Every session is drawn from its seed, so a line of the table can be run again. The exit status is 0 when nothing was
lost, doubled or misstated, else 1.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter, deque
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from engine.clock import SystemClock
from tests.chaos import power, wire
from tests.chaos.defects import DEFECTS
from tests.chaos.plan import ANY, Plan, points_of
from tests.chaos.session import Outcome, run

if TYPE_CHECKING:
    from collections.abc import Iterator

KEPT = Path("chaos-kept")
ATTEMPTS = 4
"""A point that is missed this many times as often as it should be hit is given up, and said to be."""


@dataclass
class Row:
    """A line of the table: one point on one venue."""

    point: str
    process: bool
    wanted: int
    lives: int
    hits: int = 0
    missed: int = 0
    asked: int = 0
    seeds: int = 0
    orders: int = 0
    fills: int = 0
    detail: Counter[str] = field(default_factory=Counter)
    bad: list[Outcome] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)

    def plans(self, first_seed: int) -> Iterator[Plan]:
        """Sessions until the point was hit often enough; the caller has them run and tells `take`."""
        while self.asked < self.wanted * ATTEMPTS and self.hits + self._under_way < self.wanted:
            seed = first_seed + self.seeds
            plan = Plan(seed, self.point, self.process, self.lives, socket=seed % 2 == 1)
            self.seeds += 1
            self.asked += self.lives
            yield plan

    @property
    def _under_way(self) -> int:
        return self.asked - self.hits - self.missed

    def take(self, outcome: Outcome) -> None:
        """Count a session."""
        self.hits += outcome.hits.total()
        self.missed += outcome.missed.total()
        self.detail += outcome.hits
        self.orders += outcome.verdict.orders
        self.fills += outcome.verdict.fills
        if not outcome.verdict.clean:
            self.bad.append(outcome)

    @property
    def good(self) -> bool:
        """Whether it was hit often enough, and nothing was found."""
        return self.hits >= self.wanted and not self.bad and not self.broken

    def __str__(self) -> str:
        verdict = "ok" if self.good else "FOUND" if self.bad else "BROKEN" if self.broken else "TOO FEW"
        venue = "process" if self.process else "engine"
        return (
            f"{self.point:<20} {venue:<8} {self.hits:>5} {self.missed:>5} {self.orders:>7} {self.fills:>7}  {verdict}"
        )


HEAD = f"{'point':<20} {'venue in':<8} {'hits':>5} {'miss':>5} {'orders':>7} {'fills':>7}  verdict"


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.chaos", description=__doc__.split("\n")[0] if __doc__ else ""
    )
    parser.add_argument("--seed", type=int, help="run the session of this seed only")
    parser.add_argument("--point", default="", help=f"a crash point or {ANY}; with --seed several, one for each life")
    parser.add_argument("--process", action="store_true", help="the venue in a process of its own")
    parser.add_argument("--socket", action="store_true", help="the clients in a process of their own (odd seeds, else)")
    parser.add_argument("--lives", type=int, default=5, help="engines in one session (5)")
    parser.add_argument("--defect", default="", choices=["", *DEFECTS], help="plant a defect")
    parser.add_argument("--hits", type=int, default=20, help="hits of every point (20)")
    parser.add_argument("--random", type=int, default=500, help="random kills and hang-ups on each venue (500)")
    parser.add_argument("--power", type=int, default=300, help="moments at which the power fails, by hundreds (300)")
    parser.add_argument("--wire", type=int, default=20_000, help="orders in the storm on the wire, 0 for none (20000)")
    parser.add_argument("--first-seed", type=int, default=1000)
    parser.add_argument("-j", "--jobs", type=int, default=2, help="sessions at once (2)")
    return parser.parse_args(arguments)


def one(options: argparse.Namespace) -> int:
    """Run one session and tell everything that was found."""
    points = tuple(filter(None, options.point.split(",")))
    plan = Plan(options.seed, ANY, options.process, options.lives, options.socket, defect=options.defect, points=points)
    outcome = run(plan, keep=KEPT)
    counts = outcome.counts
    print(f"hits {dict(outcome.hits)}, missed {dict(outcome.missed)}")
    print(f"{outcome.verdict.orders} orders, {outcome.verdict.fills} fills, {_rates(counts)}")
    for problem in outcome.verdict.problems:
        print(problem)
    if outcome.home is not None:
        print(f"The home folder is kept in {outcome.home}.")
    print("ok" if outcome.verdict.clean else "FOUND")
    return 0 if outcome.verdict.clean else 1


def _rates(counts: Counter[str] | dict[str, int]) -> str:
    seconds = max(counts["traded_ns"] / 1e9, 1e-9)
    share = counts["troubled"] / max(counts["replies"], 1)
    return f"{counts['orders'] / seconds:.0f} accepted orders/s, {share:.0%} of replies late or lost"


def long(options: argparse.Namespace) -> int:
    """Run the long form and print its table."""
    clock = SystemClock()
    began = clock.monotonic()
    venues = (False, True)
    points = [options.point] if options.point else points_of()
    rows = [Row(point, process, options.hits, options.lives) for point in points for process in venues if point != ANY]
    if options.random and options.point in ("", ANY):
        rows += [Row(ANY, process, options.random, options.lives) for process in venues]
    counts: Counter[str] = Counter()
    print(HEAD, flush=True)
    with ThreadPoolExecutor(options.jobs) as pool:
        for row in rows:
            _fill(row, pool, options, counts)
            print(row, flush=True)
            for outcome in row.bad:
                _tell(outcome)
            for words in row.broken:
                print(f"    {words}", flush=True)
    for row in rows:
        if row.point == ANY:
            print(f"at random, venue in {'process' if row.process else 'engine'}: {dict(row.detail)}")
    minutes = (clock.monotonic() - began) / 60e9
    print(f"{counts['lives']} lives that traded, {_rates(counts)}, {minutes:.0f} minutes")
    bad = [row for row in rows if not row.good]
    print(f"{len(rows) - len(bad)} of {len(rows)} rows ok")
    # The loss of power has a program of its own, one session of which is enough for many moments.
    seeds = range(0 if options.point else options.power // 100)
    dark = [power.main(["--seed", str(seed), "--moments", "100"]) for seed in seeds]
    drowned = wire.main(["--orders", str(options.wire)]) if options.wire and not options.point else 0
    return 1 if bad or any(dark) or drowned else 0


def _fill(row: Row, pool: ThreadPoolExecutor, options: argparse.Namespace, counts: Counter[str]) -> None:
    waiting: deque[Future[Outcome]] = deque()
    names: dict[Future[Outcome], Plan] = {}
    while True:
        plans = row.plans(options.first_seed)
        while len(waiting) < options.jobs and (plan := next(plans, None)) is not None:
            future = pool.submit(run, plan, keep=KEPT)
            names[future] = plan
            waiting.append(future)
        if not waiting:
            return
        done, _ = wait(waiting, return_when=FIRST_COMPLETED)
        for future in done:
            waiting.remove(future)
            plan = names.pop(future)
            error = future.exception()
            if error is not None:
                row.broken.append(f"seed {plan.seed}: {type(error).__name__}: {error}")
                row.missed += plan.lives
                continue
            outcome = future.result()
            # Lives that were neither a hit nor a miss do not exist; what is counted twice would be.
            row.take(outcome)
            counts.update(outcome.counts)


def _tell(outcome: Outcome) -> None:
    print(f"    again: {outcome.plan.again}")
    for problem in outcome.verdict.problems[:10]:
        print(f"    {problem}", flush=True)


def main(arguments: list[str] | None = None) -> int:
    """Run what was asked for."""
    options = _options(arguments)
    return one(options) if options.seed is not None else long(options)


if __name__ == "__main__":
    sys.exit(main())
