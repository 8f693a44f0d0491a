"""The wire chaos test: one engine live at three exchanges at once, while their wires do everything wires can do.

    python -m tests.chaos.wire                      the long form: 20,000 orders, 100 faults of each kind a venue
    python -m tests.chaos.wire --seed N --each 3 --seconds 30      a short one

The exit status is 0 when no order was lost or doubled, every execution is booked once and right, balances and
positions are those of the exchanges, no limit was exceeded, and everything struck as often as it should; else 1.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import shutil
import sys
import tempfile
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from engine.clock import SystemClock
from tests.chaos.wire_hands import Hand
from tests.chaos.wire_oracle import WireVerdict, judge
from tests.chaos.wire_storm import KINDS, Storm
from tests.chaos.wire_world import Hurry, World

if TYPE_CHECKING:
    from tests.wire.faults import Fault

__all__ = ["VENUES", "Voyage", "Wanted", "main", "sail"]

VENUES = ("binance", "okx", "coinbase")
KEPT = Path("chaos-kept")
TURN_S = 0.5
"""How often is looked whether it is enough."""


@dataclass(frozen=True)
class Wanted:
    """What a run has to reach."""

    seed: int = 1
    orders: int = 20_000
    """Over all venues."""
    each: int = 100
    """Faults of each kind at each venue."""
    seconds: float = 2250.0
    """Over which the faults are spread."""
    longest_s: float = 3000.0
    """After which the storm is broken off, on a machine that has nothing else to do."""
    hands: int = 4
    """At each venue."""
    pause_s: float = 0.25
    """Mean seconds between two wishes of a hand."""
    venues: tuple[str, ...] = VENUES
    kinds: tuple[Fault, ...] = KINDS
    patience_s: float = 60.0
    """For everything to come to rest after the storm."""
    hurry: Hurry = field(default_factory=Hurry)


@dataclass
class Voyage:
    """What became of a run."""

    wanted: Wanted
    verdict: WireVerdict
    struck: dict[str, Counter[Fault]]
    """By venue."""
    stormed_s: float
    refused: Counter[str]
    done: Counter[str]
    losses: dict[str, int]
    """How often the engine lost each venue."""

    @property
    def orders(self) -> int:
        """Orders at all exchanges."""
        return self.verdict.orders.total()

    @property
    def missing(self) -> list[str]:
        """What was not reached."""
        found = [
            f"{venue}: {kind} struck {struck[kind]} times instead of {self.wanted.each}"
            for venue, struck in self.struck.items()
            for kind in self.wanted.kinds
            if struck[kind] < self.wanted.each
        ]
        few = self.orders < self.wanted.orders
        return [*found, *([f"{self.orders} orders instead of {self.wanted.orders}"] if few else [])]

    def table(self) -> str:
        """The report."""
        venues = list(self.struck)
        lines = [f"{'seed ' + str(self.wanted.seed):<22}" + "".join(f"{venue:>14}" for venue in venues)]
        for kind in self.wanted.kinds:
            lines.append(f"{kind.value:<22}" + "".join(f"{self.struck[venue][kind]:>14}" for venue in venues))
        rows = {
            "faults": {venue: struck.total() for venue, struck in self.struck.items()},
            "orders": self.verdict.orders,
            "executions": self.verdict.fills,
            "losses of the venue": self.losses,
        }
        for name, figures in rows.items():
            lines.append(f"{name:<22}" + "".join(f"{figures[venue]:>14}" for venue in venues))
        found = self.verdict
        lines.append(
            f"{self.orders} orders, {sum(s.total() for s in self.struck.values())} faults, {self.stormed_s:.0f} s: "
            f"{len(found.lost)} lost, {len(found.doubled)} doubled, {len(found.differs)} differ, "
            f"{len(found.limits)} limits exceeded; {found.corrections} corrections of balances taken back"
        )
        return "\n".join(lines)


async def _storm(world: World, wanted: Wanted) -> tuple[Counter[str], Counter[str]]:
    """Trade in the storm until both are enough."""
    chance = random.Random(f"wire {wanted.seed}")
    hands, storms = [], []
    for harbour in world.harbours:
        for number in range(wanted.hands):
            hand = Hand(world, harbour, random.Random(f"{wanted.seed} {harbour.kind} {number}"), wanted.pause_s)
            await hand.arm()
            hands.append(hand)
        storms.append(Storm(harbour, random.Random(chance.random()), wanted.each, wanted.seconds, wanted.kinds))
    work = [asyncio.ensure_future(hand.trade()) for hand in hands]
    work += [asyncio.ensure_future(storm.blow()) for storm in storms]

    def enough() -> bool:
        count = sum(sum(1 for _ in h.exchange.ledger.orders(h.account)) for h in world.harbours)
        return count >= wanted.orders and all(storm.over for storm in storms)

    # Turns of the loop are counted and not seconds, for a busy machine may stand still.
    for _ in range(int(wanted.longest_s / TURN_S)):
        if enough():
            break
        await asyncio.sleep(TURN_S)
        for task in work[: len(hands)]:
            if task.done():
                task.result()
    for task in work:
        task.cancel()
    await asyncio.gather(*work, return_exceptions=True)
    refused: Counter[str] = Counter()
    done: Counter[str] = Counter()
    for hand in hands:
        refused.update(hand.refused)
        done.update(hand.done)
    return refused, done


async def sail(wanted: Wanted, home: Path) -> Voyage:
    """Run it.

    Args:
        wanted: What is to be reached.
        home: An empty folder for the engine; it is left as it is.
    """
    world = World(home, wanted.venues, wanted.seed, wanted.hurry)
    began = world.clock.monotonic()
    async with world.running():
        refused, done = await _storm(world, wanted)
        stormed = (world.clock.monotonic() - began) / 1e9
        unrest = await world.settle(wanted.patience_s)
        losses: dict[str, int] = {h.venue: world.unit(h).connection.losses for h in world.harbours}
    verdict = await asyncio.to_thread(judge, home, world.harbours)
    if unrest:
        verdict.differs.insert(0, f"not at rest after {wanted.patience_s:g} s: {unrest}")
    struck: dict[str, Counter[Fault]] = {h.venue: h.simulator.faults.struck for h in world.harbours}
    return Voyage(wanted, verdict, struck, stormed, refused, done, losses)


def run(wanted: Wanted, *, keep: Path | None = None, always: bool = False) -> Voyage:
    """Run it in a folder that is removed, or kept elsewhere when something was found."""
    home = Path(tempfile.mkdtemp(prefix="chaos-wire-"))
    try:
        voyage = asyncio.run(sail(wanted, home))
        if keep is not None and (voyage.verdict.problems or always):
            place = keep / f"wire-{wanted.seed}"
            shutil.rmtree(place, ignore_errors=True)
            shutil.copytree(home, place, ignore=shutil.ignore_patterns("*.sock"))
        return voyage
    finally:
        with suppress(OSError):
            shutil.rmtree(home)


def main(arguments: list[str] | None = None) -> int:
    """Run what was asked for, and print the report."""
    plain = Wanted()
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.wire", description="Chaos on the wire.")
    parser.add_argument("--seed", type=int, default=plain.seed)
    parser.add_argument("--orders", type=int, default=plain.orders, help="over all venues (20000)")
    parser.add_argument("--each", type=int, default=plain.each, help="faults of each kind at each venue (100)")
    parser.add_argument("--minutes", type=float, default=50.0, help="longest time of the storm (50)")
    parser.add_argument("--pause", type=float, default=plain.pause_s, help="seconds between two wishes of a hand")
    parser.add_argument("--hands", type=int, default=plain.hands, help="consoles at each venue (4)")
    parser.add_argument("--patience", type=float, default=plain.patience_s, help="seconds for coming to rest (60)")
    parser.add_argument("--venues", default=",".join(VENUES), help="kinds of simulated exchanges")
    parser.add_argument("--keep", action="store_true", help="keep the home folder even when nothing was found")
    options = parser.parse_args(arguments)
    wanted = Wanted(
        seed=options.seed,
        orders=options.orders,
        each=options.each,
        seconds=options.minutes * 45,
        longest_s=options.minutes * 60,
        hands=options.hands,
        pause_s=options.pause,
        patience_s=options.patience,
        venues=tuple(options.venues.split(",")),
    )
    clock = SystemClock()
    began = clock.monotonic()
    voyage = run(wanted, keep=KEPT, always=options.keep)
    print(voyage.table())
    print(f"asked for {dict(voyage.done)}, refused {dict(voyage.refused)}")
    for words in (*voyage.verdict.problems[:40], *voyage.missing):
        print(f"    {words}")
    good = not voyage.verdict.problems and not voyage.missing
    word = "ok" if good else "FOUND" if voyage.verdict.problems else "TOO FEW"
    print(f"{word}, {(clock.monotonic() - began) / 60e9:.1f} minutes", flush=True)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
