"""Run the benchmarks, each in its own process, and print one table: `python -m tests.bench [--peers] [name ...]`."""

from __future__ import annotations

import importlib
import inspect
import json
import os
import pkgutil
import subprocess
import sys
import tempfile
from pathlib import Path

import tests.bench
from tests.bench.table import Row

TIMEOUT_S = 3600
_ONE = "--one"
PEERS_OPTION = "--peers"
"""Build the environments of other libraries that are compared with, where they are missing."""


def names() -> list[str]:
    """Every module beside this one that has a `run`."""
    found = []
    for module in pkgutil.iter_modules(tests.bench.__path__):
        if module.ispkg or module.name.startswith(("_", "test_")):
            continue
        source = Path(tests.bench.__path__[0], f"{module.name}.py").read_text(encoding="utf-8")
        if "\ndef run() -> list[Row]:" in source:
            found.append(module.name)
    return found


def measure(name: str) -> list[Row]:
    """The rows of one benchmark, measured in a fresh process."""
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "rows.json"
        command = [sys.executable, "-m", "tests.bench", _ONE, name, str(result)]
        try:
            code = subprocess.run(command, timeout=TIMEOUT_S, check=False).returncode
        except subprocess.TimeoutExpired:
            return [Row(name, f"not ready after {TIMEOUT_S} s", "", False)]
        if code:
            return [Row(name, f"failed with exit code {code}, see above", "", False)]
        return [Row(*row) for row in json.loads(result.read_text(encoding="utf-8"))]


def measure_here(name: str, result: Path) -> None:
    """The process of one benchmark."""
    rows = importlib.import_module(f"tests.bench.{name}").run()
    assert not inspect.iscoroutine(rows)
    result.write_text(json.dumps(rows), encoding="utf-8")


def show(rows: list[Row]) -> None:
    """Print the table."""
    signs = {True: "yes", False: "NO", None: ""}
    lines = [("what", "measured", "bar", "ok"), *((r.what, r.measured, r.bar, signs[r.ok]) for r in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(4)]
    for number, line in enumerate(lines):
        print(" | ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip())
        if number == 0:
            print("-+-".join("-" * width for width in widths))


def main(arguments: list[str]) -> int:
    """Run what was named, or everything; the exit code tells whether a benchmark broke, not whether a bar was met."""
    if arguments[:1] == [_ONE]:
        measure_here(arguments[1], Path(arguments[2]))
        return 0
    if PEERS_OPTION in arguments:
        arguments = [word for word in arguments if word != PEERS_OPTION]
        os.environ["QUARTERDECK_BENCH_PEERS"] = "1"
    known = names()
    unknown = sorted(set(arguments) - set(known))
    if unknown:
        print(f"There is no benchmark {', '.join(unknown)}; there are: {', '.join(known)}.", file=sys.stderr)
        return 2
    rows: list[Row] = []
    for name in arguments or known:
        print(f"measuring {name} …", file=sys.stderr, flush=True)
        rows += measure(name)
    load = os.getloadavg()[0]
    print(f"{os.cpu_count()} cores, load {load:.1f}, Python {sys.version.split()[0]}\n")
    show(rows)
    return int(any("exit code" in row.measured for row in rows))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
