"""What one session of the fault test does, all of it drawn from one seed."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from engine.crash_points import POINTS

__all__ = ["ANY", "HANG_UPS", "SPECIAL", "Life", "Plan", "points_of"]

ANY = "random"
"""Instead of a point: killed or hung up at any moment."""

TIMES: dict[str, int] = {
    "amend": 3, "cancel": 12, "fill": 30, "handover": 1, "mark": 20, "order": 50, "recover": 1, "report": 60,
    "snapshot": 2, "venue": 60,
}  # fmt: skip
"""Upper end of the pass at which a point of that group strikes; others strike within the first 80."""
SPECIAL = ("snapshot.written", "snapshot.named")
"""Points in the program that cuts snapshots: it takes the engine with it."""
HANG_UPS = ("kill", "kill", "kill", "freeze", "hand over", "cut the line", "kill the venue", "freeze the venue")
"""What happens at random; the last three mean a venue in its own process, for one within the engine they are kills."""


@dataclass(frozen=True, slots=True)
class Life:
    """One engine process, from its start to its end."""

    number: int
    seed: int
    point: str = ""
    """Where it is killed; empty when it is killed from outside."""
    nth: int = 1
    hang_up: str = "kill"
    after_s: float = 0.0
    """Seconds of trading before it is killed or hung up from outside."""
    pause_s: float = 0.0
    """How long something stays frozen."""

    @property
    def order(self) -> str:
        """What `engine.crash_points.killer` is told."""
        return f"{self.point}:{self.nth}"


@dataclass(frozen=True, slots=True)
class Plan:
    """A session: a home folder, and the engines that live in it one after another."""

    seed: int
    point: str = ANY
    """Where every life ends that `points` does not say, or ANY."""
    process: bool = False
    """Whether the venue runs in a process of its own."""
    lives: int = 5
    socket: bool = False
    """Whether the clients are another process, which goes on over the engine's socket, or within each engine."""
    defect: str = ""
    """Name of a fault that is planted into every engine."""
    trouble: float = 0.36
    """Share of the venue's replies that come late or not at all."""
    points: tuple[str, ...] = field(default=())
    """Instead of one point: one for each life in turn."""

    @property
    def again(self) -> str:
        """The command that runs this session."""
        words = ["python -m tests.chaos", f"--seed {self.seed}", f"--point {','.join(self.points) or self.point}"]
        words += [f"--lives {self.lives}", *(["--process"] if self.process else [])]
        words += ["--socket"] if self.socket else []
        return " ".join([*words, *([f"--defect '{self.defect}'"] if self.defect else [])])

    def life(self, number: int) -> Life:
        """The life of that number, counted from 0."""
        chance = random.Random(f"{self.seed}|{number}")
        point = self.points[number % len(self.points)] if self.points else self.point
        seed = chance.randrange(1 << 30)
        after, pause = chance.uniform(0.1, 1.2), chance.uniform(0.05, 0.4)
        if point == ANY:
            return Life(number, seed, "", 1, chance.choice(HANG_UPS), after, pause)
        most = TIMES.get(point.partition(".")[0], 80)
        # Early passes happen while a start is still under way, so they are drawn as often as all others together.
        nth = chance.randint(1, most) if chance.random() < 0.5 else chance.randint(1, min(most, 5))
        return Life(number, seed, point, nth, "kill", after)


def points_of() -> list[str]:
    """The points at which an engine, its successor or its venue is killed."""
    return list(POINTS)
