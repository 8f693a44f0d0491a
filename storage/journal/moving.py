"""The program that moves facts to the archive, in a process of its own beside the engine.

`python -m storage.journal.moving JOURNAL HOT_DAYS BUDGET_BYTES FACTS` prints the last archived fact before and after.
It ends when its standard input does.
"""

from __future__ import annotations

import sys
from pathlib import Path

from storage.journal.beside import leave, program
from storage.journal.contract import MoveRules
from storage.journal.mover import move
from storage.journal.pacing import Pacer

__all__ = ["main"]

WORK_S, REST_S = 0.005, 0.02
"""How long the program works before it rests, and how long it rests: the engine's commits come first."""


def main(arguments: list[str]) -> int:
    """Run as a program; the exit code is 1 when nothing could be moved, and standard error says why."""
    path, hot_days, budget, facts = arguments
    rules = MoveRules(hot_days=float(hot_days), budget_bytes=int(budget), segment_facts=int(facts))
    rest = Pacer(work_s=WORK_S, rest_s=REST_S)
    return program(lambda: " ".join(map(str, move(Path(path), rules, rest.pause))))


if __name__ == "__main__":
    leave(main(sys.argv[1:]))
