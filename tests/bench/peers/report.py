"""The table of a run, the bars it is held to, and the block of docs/performance.md."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.bench.peers.agree import Agreement
    from tests.bench.peers.runner import Measured

__all__ = ["BEGIN", "END", "bars_of", "machine", "rewritten", "row_of", "table"]

BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"
Row = dict[str, Any]
HEAD = ("program", "version", "a second", "a CPU second", "peak MB", "of ours, by CPU", "agreement", "note")


def machine() -> dict[str, Any]:
    """Where it runs."""
    model = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), model)
    except OSError:
        pass
    return {
        "processor": model,
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 1),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
    }


def row_of(measured: Measured, agreement: Agreement) -> Row:
    """One case as plain values."""
    case = measured.case
    return {
        "program": case.peer.name,
        "variant": case.road.variant,
        "kind": case.road.kind,
        "ours": not case.peer.requirements,
        "version": measured.version,
        "work": case.work,
        "share": case.request["bars"] or (len(case.request["pairs"]) if case.road.workload == "W3" else 0),
        "runs": len(measured.walls),
        "walls": measured.walls,
        "cpus": measured.cpus,
        "per_wall": measured.per_wall,
        "per_cpu": measured.per_cpu,
        "peak_mb": measured.peak_mb,
        "before_mb": measured.before_mb,
        "agrees": agreement.same,
        "agreement": agreement.words,
        "hash": measured.answer.get("hash", ""),
        "note": case.road.note,
        "trouble": measured.trouble,
        "quick": bool(case.road.quick and case.work < _whole(case.road.workload)),
    }


def _whole(workload: str) -> int:
    return {"W3": 52_560_000, "W4": 1_000_000}.get(workload, 525_600)


def _ours(rows: Sequence[Row], kind: str) -> Row | None:
    found = [row for row in rows if row["ours"] and row["kind"] == kind and not row["trouble"]]
    return next((row for row in found if not row["variant"]), found[0] if found else None)


def bars_of(workload: str, rows: Sequence[Row]) -> list[dict[str, Any]]:
    """What the run is held to: words, figures, and whether it is met (None when something is missing)."""
    peers = [row for row in rows if not row["ours"] and not row["trouble"]]
    if workload == "W4":
        event, compiled = _ours(rows, "event"), _ours(rows, "columns")
        return [
            _against("event path ≥ 1.5× NautilusTrader, quotes per CPU second", event, peers, "event", "per_cpu", 1.5),
            _against("compiled ≥ 0.3× hftbacktest, quotes per second", compiled, peers, "columns", "per_wall", 0.3),
        ]
    kernel = _ours(rows, "columns")
    bars = [_against("kernel ≥ 5× the fastest peer, bars per second", kernel, peers, "", "per_wall", 5.0)]
    if workload == "W3":
        met = None if kernel is None else kernel["peak_mb"] <= 1024
        figure = "not measured" if kernel is None else f"{kernel['peak_mb']:,.0f} MB"
        return [*bars, {"bar": "kernel, memory ≤ 1 GB", "figures": figure, "met": met}]
    words = "event path faster than every event-driven peer, bars per CPU second"
    bars.append(_against(words, _ours(rows, "event"), peers, "event", "per_cpu", 1.0))
    slow = next((row for row in rows if row["ours"] and row["variant"] == "no-skip" and not row["trouble"]), None)
    met = None if slow is None else slow["per_cpu"] >= 30_000
    figure = "not measured" if slow is None else f"{slow['per_cpu']:,.0f}"
    bars.append({"bar": "--no-skip ≥ 30,000 bars per CPU second", "figures": figure, "met": met})
    named = [row for row in peers if row["program"] in ("backtrader", "freqtrade")]
    bars.append(_against("--no-skip faster than backtrader and freqtrade", slow, named, "event", "per_cpu", 1.0))
    return bars


def _against(
    words: str, ours: Row | None, peers: Sequence[Row], kind: str, figure: str, factor: float
) -> dict[str, Any]:
    rivals = [row for row in peers if not kind or row["kind"] == kind]
    if ours is None or not rivals:
        return {"bar": words, "figures": "not measured" if ours is None else "no peer measured", "met": None}
    best = max(rivals, key=lambda row: float(row[figure]))
    ratio = ours[figure] / best[figure]
    figures = f"{ours[figure]:,.0f} for {best[figure]:,.0f} ({best['program']}): {ratio:.2f}×"
    return {"bar": words, "figures": figures, "met": ratio >= factor}


def _line(row: Row, rows: Sequence[Row]) -> tuple[str, ...]:
    name = f"{row['program']} {row['variant']}".rstrip()
    name += f" ({row['kind']})" if not row["ours"] else ""
    if row["trouble"]:
        return (name, row["version"], "", "", "", "", row["trouble"], "")
    ours = _ours(rows, row["kind"])
    ratio = f"{row['per_cpu'] / ours['per_cpu']:.3g}" if ours and not row["ours"] else ""
    if row["quick"]:
        share = f"on {row['share']:,} " + (
            "pairs of 100" if row["work"] > 1_000_000 and row["share"] <= 100 else "rows"
        )
    else:
        share = ""
    note = "; ".join(part for part in (share, row["note"]) if part)
    speeds = (f"{row['per_wall']:,.0f}", f"{row['per_cpu']:,.0f}", f"{row['peak_mb']:,.0f}")
    agreement = ("" if row["agrees"] else "DIFFERS: ") + row["agreement"]
    return (name, row["version"], *speeds, ratio, agreement, note)


def table(section: dict[str, Any]) -> str:
    """One workload as Markdown."""
    rows = section["rows"]
    unit = "quotes" if section["workload"] == "W4" else "bars"
    head = tuple(f"{unit} {word}" if word.startswith("a ") else word for word in HEAD)
    lines = [head, tuple("---" for _ in head), *(_line(row, rows) for row in rows)]
    text = [f"**{section['workload']}**, {section['words']}", ""]
    text += ["| " + " | ".join(line) + " |" for line in lines]
    text += [f"| {name} | not installed | | | | | | |" for name in section["absent"]]
    text += ["", "| bar | measured | met |", "|---|---|---|"]
    signs = {True: "yes", False: "no", None: "–"}
    text += [f"| {bar['bar']} | {bar['figures']} | {signs[bar['met']]} |" for bar in section["bars"]]
    return "\n".join(text)


def rewritten(text: str, block: str) -> str:
    """A document with the marked block replaced.

    Raises:
        ValueError: It has no such block.
    """
    before, found, rest = text.partition(BEGIN)
    _, ended, after = rest.partition(END)
    if not found or not ended:
        raise ValueError(f"The document has no block between {BEGIN} and {END}.")
    return f"{before}{BEGIN}\n\n{block}\n\n{END}{after}"
