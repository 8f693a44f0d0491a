"""A watchdog of quick decisions over the stub of `headless_stub`: arguments are the home folder and the stub's own.

The first argument after the folder is the descriptor for `--ready`, or `-` to watch the engine that runs.
"""

from __future__ import annotations

import sys
from pathlib import Path

from console.watch_policy import Policy
from console.watchdog import watch

STUB = Path(__file__).with_name("headless_stub.py")


def main() -> int:
    """Watch."""
    home, ready, *rest = sys.argv[1:]
    unit = 0.005
    if rest[:1] == ["--pause"]:
        unit, rest = float(rest[1]), rest[2:]
    command = [sys.executable, str(STUB), "--home", home, *rest]
    policy = Policy(silence=0.6, last_words=0.3, unit=unit)
    return watch(Path(home), command, None if ready == "-" else int(ready), policy=policy, look=0.05)


if __name__ == "__main__":
    sys.exit(main())
