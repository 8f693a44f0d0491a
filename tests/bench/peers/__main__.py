"""`python -m tests.bench.peers install|run|trades|report`: other backtesters beside ours."""

from __future__ import annotations

import argparse
import json
import sys
import time
from typing import TYPE_CHECKING, Any

from tests.bench.peers import cold, data, report
from tests.bench.peers.cases import Checker, absent, cases_of
from tests.bench.peers.catalog import WORKLOADS
from tests.bench.peers.install import install
from tests.bench.peers.places import root
from tests.bench.peers.runner import ROOT, measure_in_turn
from tests.bench.peers.trades import MATCHES, side_by_side

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

DOCUMENT = ROOT / "docs" / "performance.md"
WORDS = {
    "W1": "SMA 20/50, 95 % of the equity, next open",
    "W2": "z-score of 20 bars with stop and target",
    "W3": "100 parameter pairs of W1",
    "W4": "a quoter that replaces two limit orders every 100 quotes",
}


def results_file() -> Path:
    """Where a run leaves its figures."""
    return root() / "results.json"


def _told(words: str) -> None:
    print(words, file=sys.stderr, flush=True)


def run(workloads: Sequence[str], *, rounds: int, quick: bool, only: Sequence[str]) -> list[dict[str, Any]]:
    """Measure workloads, one after the other; each is a section of the results."""
    sections = []
    for workload in workloads:
        before = report.machine()
        cases = cases_of(workload, quick=quick, only=only)
        measured = measure_in_turn(cases, rounds, _told)
        checker = Checker()
        rows = [report.row_of(one, checker.check(one)) for one in measured]
        name = "quotes" if workload == "W4" else "1y"
        share = "; slow programs on a share of the data (--quick)" if quick else ""
        words = (
            f"{WORDS[workload]}; data {name} {data.digest(data.ensure(name))}, seed {data.SEED}, {rounds} rounds{share}"
        )
        sections.append(
            {
                "workload": workload,
                "words": words,
                "when": time.strftime("%Y-%m-%d"),
                "machine": before,
                "rounds": rounds,
                "quick": quick,
                "rows": rows,
                "absent": [peer.name for peer in absent(workload, only)],
                "bars": report.bars_of(workload, rows),
            }
        )
    return sections


def kept(sections: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The sections of the results file with these in place of theirs, written back."""
    path = results_file()
    known = {one["workload"]: one for one in json.loads(path.read_text(encoding="utf-8"))} if path.is_file() else {}
    known |= {one["workload"]: one for one in sections}
    ordered = [known[name] for name in (*WORKLOADS, "cold") if name in known]
    path.write_text(json.dumps(ordered, indent=1), encoding="utf-8")
    return ordered


def block(sections: Sequence[dict[str, Any]]) -> str:
    """What stands between the marks of the document."""
    text = []
    for one in sections:
        if "table" in one:
            text.append(
                f"**Cold process**, {one['when']}, load {one['machine']['load']} at the start\n\n{one['table']}"
            )
            continue
        here = one["machine"]
        where = f"{here['processor']}, {here['cores']} cores, load {here['load']} at the start, Python {here['python']}"
        hashes = sorted(
            {f"{row['program']} {row['variant']}".rstrip() + f" {row['hash']}" for row in one["rows"] if row["hash"]}
        )
        text.append(report.table(one))
        text.append(f"{one['when']}: {where}." + (f" Run hashes: {', '.join(hashes)}." if hashes else ""))
    return "\n\n".join(text)


def trades(bars: int) -> int:
    """Print both comparisons; 1 when something is not explained."""
    unexplained = 0
    for name in MATCHES:
        for workload in ("W1", "W2"):
            lines, explained = side_by_side(name, workload, bars)
            unexplained += not explained
            print("\n".join(lines), flush=True)
    return int(unexplained > 0)


def main(arguments: Sequence[str]) -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.peers", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    installing = commands.add_parser("install", help="make the environments of the peers, or of those named")
    installing.add_argument("names", nargs="*")
    running = commands.add_parser("run", help="measure workloads, peers and ours in turn")
    running.add_argument("workloads", nargs="*", choices=[*WORKLOADS, []])
    running.add_argument("--rounds", type=int, default=3)
    running.add_argument("--quick", action="store_true", help="slow programs on a share of the data, and say so")
    running.add_argument("--only", default="", help="names of programs, with commas")
    running.add_argument("--docs", action="store_true", help="write the tables into docs/performance.md")
    trading = commands.add_parser("trades", help="our trades beside those of backtesting.py and vectorbt")
    trading.add_argument("--bars", type=int, default=100_000)
    cold_command = commands.add_parser("cold", help="the first result of a cold process, and what others import")
    cold_command.add_argument("--rounds", type=int, default=3)
    reporting = commands.add_parser("report", help="print the tables of the last run")
    reporting.add_argument("--docs", action="store_true", help="write them into docs/performance.md")
    asked = parser.parse_args(arguments)
    if asked.command == "install":
        return int(install(asked.names) > 0)
    if asked.command == "cold":
        section = {"workload": "cold", "when": time.strftime("%Y-%m-%d"), "machine": report.machine()}
        section["table"] = cold.table(cold.measure(asked.rounds))
        kept([section])
        print(section["table"])
        return 0
    if asked.command == "trades":
        return trades(asked.bars)
    if asked.command == "run":
        only = [name for name in asked.only.split(",") if name]
        sections = run(asked.workloads or WORKLOADS, rounds=asked.rounds, quick=asked.quick, only=only)
        everything = kept(sections)
    else:
        everything = sections = json.loads(results_file().read_text(encoding="utf-8"))
    print(block(sections))
    if asked.docs:
        DOCUMENT.write_text(report.rewritten(DOCUMENT.read_text(encoding="utf-8"), block(everything)), encoding="utf-8")
    return int(any(row["trouble"] for one in sections for row in one.get("rows", [])))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
