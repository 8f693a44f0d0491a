"""What the console costs: the command's help, the first screen, bytes and processor time, and the loop's lag in use."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import time
from pathlib import Path

from tests.bench.lag_child import START_S, UPDATES_PER_SECOND
from tests.bench.person import ROUND, Person
from tests.bench.table import Row, percentile, workplace
from tests.conftest import ROOT
from tests.kit.terminal import Terminal

PYTHON = sys.executable
COMMAND = str(Path(PYTHON).with_name("quarterdeck"))
LAG_SECONDS = float(os.environ.get("QUARTERDECK_TEST_LAG_SECONDS", "600"))
"""How long the lag is measured; the bar is stated for ten minutes."""
DRAWN_LEAST = 500
"""Bytes a second below which the console cannot have been drawing what it was asked for."""


def help_rows() -> list[Row]:
    """Time of `quarterdeck --help`, and what it loads."""
    times = []
    for _ in range(7):
        began = time.perf_counter()
        subprocess.run([COMMAND, "--help"], check=True, capture_output=True)
        times.append(time.perf_counter() - began)
    code = "import sys, console.cli as c\ntry: c.main(['--help'])\nexcept SystemExit: print('textual' in sys.modules)"
    loaded = subprocess.run([PYTHON, "-c", code], check=True, capture_output=True, text=True).stdout.split()[-1]
    middle = percentile(times, 50)
    return [
        Row("quarterdeck --help", f"{middle:.2f} s (median of 7)", "≤ 0.25 s", middle <= 0.25),
        Row("quarterdeck --help loads textual", loaded, "False", loaded == "False"),
    ]


def first_screen(home: Path) -> Row:
    """Time from the command to a screen with the account's equity on it, warm disk."""
    times = []
    for turn in range(4):
        began = time.perf_counter()
        terminal = Terminal([COMMAND, "--home", str(home / f"first-{turn % 2}")])
        while "10,000" not in terminal.text() and time.perf_counter() - began < 30:
            terminal.read(0.02)
        times.append(time.perf_counter() - began)
        terminal.process.terminate()
        while terminal.process.poll() is None:
            terminal.read(0.05)
    middle = percentile(times[1:], 50)
    return Row("first usable screen, warm disk", f"{middle:.2f} s (median of 3)", "≤ 2 s", middle <= 2)


def cost_rows(home: Path) -> list[Row]:
    """Bytes and processor time as the shared check counts them."""
    check = ROOT.parent / "shared" / "checks" / "terminal_cost.py"
    if not check.exists():
        return [Row("terminal traffic", "not measured: the shared check is not here")]
    found = []
    for what, arguments, bar in (
        ("market-5hz 80x24", ["--scene", "market-5hz"], 10.0),
        ("idle dashboard 80x24", [], 0.5),
    ):
        command = [PYTHON, str(check), "--size", "80x24", "--warmup", "8", "--seconds", "20", "--"]
        said = subprocess.run(
            [*command, COMMAND, "--home", str(home / what[:4]), *arguments], check=True, capture_output=True, text=True
        ).stdout
        match = re.search(r"([\d.]+) KiB/s.*CPU ([\d.]+) %", said)
        if match is None:
            raise RuntimeError(f"the check said {said!r}")
        traffic, cpu = float(match[1]), float(match[2])
        found.append(Row(f"traffic, {what}", f"{traffic} KiB/s", f"≤ {bar:g} KiB/s", traffic <= bar))
        if arguments:
            found.append(Row(f"processor, {what}, whole process", f"{cpu} %", "≤ 35 %", cpu <= 35))
    return found


def lag_rows(home: Path, seconds: float) -> list[Row]:
    """Lag of the loop while the market runs and a person uses the console."""
    result = home / "lag.json"
    ours, theirs = socket.socketpair()
    home_folder = home / "lag"
    home_folder.mkdir()
    program = f"{PYTHON} -m tests.bench.lag_child {home_folder} 9 {result}"
    terminal = _with_descriptor(program, theirs)
    person = Person(terminal)
    drawn = 0
    end = time.monotonic() + seconds + START_S
    while time.monotonic() < end and terminal.process.poll() is None:
        drawn += len(terminal.drain(0.05))
        person.act()
    terminal.process.terminate()
    while terminal.process.poll() is None:
        terminal.drain(0.05)
    ours.close()
    theirs.close()
    late = json.loads(result.read_text(encoding="utf-8"))
    scene = (
        f"{len(late)} beats in {seconds:g} s; 5 markets of {UPDATES_PER_SECOND:g} book updates/s, 5 bots; "
        f"{person.acted} actions, one every 1 to 2 s in rounds of {len(ROUND)}: every screen and back to the market, "
        f"help, palette, command line, tickets, instruments, timeframes, questions, windows of 80x24, 120x40, 200x50"
    )
    p99, p999, worst = percentile(late, 99), percentile(late, 99.9), max(late)
    rate = drawn / (seconds + START_S)
    return [
        Row("loop lag", scene),
        Row("loop lag: drawn meanwhile", f"{rate / 1024:.1f} KiB/s", f"> {DRAWN_LEAST} B/s", rate > DRAWN_LEAST),
        Row("loop lag p99", f"{p99:.1f} ms", "≤ 10 ms", p99 <= 10),
        Row("loop lag p99.9", f"{p999:.1f} ms", "≤ 50 ms", p999 <= 50),
        Row("loop lag max", f"{worst:.1f} ms", "≤ 150 ms", worst <= 150),
    ]


def _with_descriptor(program: str, kept: socket.socket) -> Terminal:
    """Run a program on a terminal that inherits one more descriptor, 9."""
    # The shell passes every inheritable descriptor on, which Popen would close.
    os.dup2(kept.fileno(), 9, inheritable=True)
    try:
        return Terminal(["bash", "-c", f"exec {program}"], pass_fds=(9,))
    finally:
        os.close(9)


def run() -> list[Row]:
    """All rows."""
    # A person's interpreter keeps what it has compiled.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    with workplace("console") as home:
        return [*help_rows(), first_screen(home), *cost_rows(home), *lag_rows(home, LAG_SECONDS)]
