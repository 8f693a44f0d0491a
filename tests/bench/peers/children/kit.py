"""What every child does: read the columns, run what it is asked for, measure it, and write one JSON file.

Only the standard library: each child runs in the interpreter of its peer.
"""

from __future__ import annotations

import array
import json
import os
import resource
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

WARM_BARS = 3000
FEE = 0.001
CAPITAL = 1e9
"""The fees of some thousand trades leave a billionth of it: with less, lots would end the trading early."""
SHARE = 0.95
MINUTE_MS = 60_000


class Columns:
    """Columns of a data set as `array.array`s; `numpy()` where the peer has numpy."""

    def __init__(self, values: dict[str, array.array[Any]]) -> None:
        self.values = values

    def __getitem__(self, name: str) -> array.array[Any]:
        return self.values[name]

    def __len__(self) -> int:
        return len(next(iter(self.values.values())))

    def numpy(self, name: str) -> Any:
        """The column as a numpy array of its own."""
        import numpy as np

        column = self.values[name]
        return np.frombuffer(column, dtype=np.int64 if column.typecode == "q" else np.float64).copy()

    def first(self, count: int) -> Columns:
        """Only so many rows."""
        return Columns({name: column[:count] for name, column in self.values.items()})


def read(folder: str, most: int = 0) -> Columns:
    """Every column file of a folder: `<name>.q` (64-bit integers) and `<name>.d` (doubles)."""
    values = {}
    for path in sorted(Path(folder).iterdir()):
        if path.suffix in (".q", ".d"):
            column: array.array[Any] = array.array(path.suffix[1])
            rows = path.stat().st_size // column.itemsize
            with path.open("rb") as file:
                column.fromfile(file, min(rows, most) if most else rows)
            values[path.stem] = column
    return Columns(values)


def cpu_seconds() -> float:
    """Processor time of this process and of its ended children."""
    own, others = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + others.ru_utime + others.ru_stime


def peak_mb() -> float:
    """Most memory that the process, or one of its ended children, has held."""
    kib = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return kib / 1024


def now_mb() -> float:
    """Memory now; 0 where the system does not tell."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except (OSError, ValueError):
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def measure(prepare: Callable[[Columns, dict[str, Any]], Callable[[], Any]], request: dict[str, Any]) -> dict[str, Any]:
    """Warm up on a few bars, then measure whole runs.

    Args:
        prepare: Makes everything that is not measured and gives back the run.
        request: `data` folder, `bars` (0 for all), `runs` and `budget_s`: how many runs at most, and after how many
            measured seconds no other is begun.

    Returns:
        Seconds of each run, memory, and what the last run gave.
    """
    data = read(request["data"], request["bars"])
    if request.get("warm", True):
        prepare(data.first(WARM_BARS), {**request, "pairs": request["pairs"][:2]})()
    before = now_mb()
    walls: list[float] = []
    cpus: list[float] = []
    given = None
    while not walls or (len(walls) < request["runs"] and sum(walls) < request["budget_s"]):
        given = None
        run = prepare(data, request)
        cpu, wall = cpu_seconds(), time.perf_counter()
        given = run()
        walls.append(time.perf_counter() - wall)
        cpus.append(cpu_seconds() - cpu)
        del run
    return {
        "bars": len(data),
        "walls": walls,
        "cpus": cpus,
        "peak_mb": peak_mb(),
        "before_mb": before,
        "given": given,
    }


def main(
    version: str,
    workloads: dict[str, Callable[[Columns, dict[str, Any]], Callable[[], Any]]],
    read_result: Callable[[Any, dict[str, Any]], dict[str, Any]],
) -> None:
    """The child: `<program> REQUEST.json RESULT.json`.

    Args:
        version: Of the peer.
        workloads: What prepares which workload.
        read_result: Turns what a run gave into `trades` ([entry bar, exit bar, entry price, exit price, quantity])
            and `equity` (at the end), or `equities` and `counts` of W3, or `fills` of W4. Not measured.
    """
    request = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    found = measure(workloads[request["workload"]], request)
    found |= read_result(found.pop("given"), request)
    found["version"] = version
    found["python"] = sys.version.split()[0]
    Path(sys.argv[2]).write_text(json.dumps(found), encoding="utf-8")
