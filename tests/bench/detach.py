"""What leaving costs the engine and coming back the person: the way of an order while the console goes, attaching."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from tests.bench.table import Row, percentile, workplace
from tests.kit.terminal import Terminal

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PYTHON = sys.executable
WARM_S = 8.0
AFTER_S = 4.0
SIZE = (120, 40)


def _key(terminal: Terminal) -> None:
    terminal.type("\x07")


def _hang_up(terminal: Terminal) -> None:
    terminal.process.send_signal(signal.SIGHUP)


def _close(terminal: Terminal) -> None:
    terminal.hang_up()


WAYS: dict[str, Callable[[Terminal], None]] = {"one key": _key, "SIGHUP": _hang_up, "terminal lost": _close}


def detach_rows(home: Path) -> list[Row]:
    """The longest way of an order around each way of leaving, beyond what it takes at other times."""
    rows = []
    for name, leave in WAYS.items():
        folder = home / name.replace(" ", "-")
        folder.mkdir()
        said, left = _one(folder, leave)
        usual = [called - at for at, called in said["orders"] if at < left - 0.2]
        around = [called - at for at, called in said["orders"] if left - 0.1 <= at <= left + AFTER_S]
        late = [late for at, late in said["late"] if left - 0.1 <= at <= left + AFTER_S]
        if not around or not usual:
            rows.append(Row(f"detach, {name}", "no order was placed meanwhile", "≤ 20 ms", False))
            continue
        middle, before = percentile(usual, 50), max(usual[len(usual) // 2 :])
        blocked = (max(around) - middle) * 1e3
        rows.append(
            Row(
                f"detach, {name}: order path blocked (10 bots, 5 × 100 book updates/s)",
                f"{blocked:.1f} ms beyond the usual {middle * 1e3:.1f} ms; {len(around)} orders, "
                f"with the console on {(before - middle) * 1e3:.1f} ms; loop late {max(late) * 1e3:.1f} ms",
                "≤ 20 ms",
                blocked <= 20,
            )
        )
    return rows


def _one(home: Path, leave: Callable[[Terminal], None]) -> tuple[dict[str, Any], float]:
    """Run the scene once; returns what was measured, and when the console was left."""
    result = home / "measured.json"
    ours, theirs = socket.socketpair()
    os.dup2(theirs.fileno(), 9, inheritable=True)
    # The shell passes every inheritable descriptor on, which Popen would close.
    program = f"exec {PYTHON} -m tests.bench.detach_child {home} 9 {result}"
    terminal = Terminal(["bash", "-c", program], SIZE, pass_fds=(9,))
    os.close(9)
    theirs.close()
    try:
        _read_until(terminal, WARM_S, lambda: "bot-9" in terminal.text())
        _read_until(terminal, WARM_S, lambda: False)
        left = time.monotonic()
        leave(terminal)
        _read_until(terminal, AFTER_S, lambda: False)
        terminal.process.terminate()
        terminal.process.wait(30)
    finally:
        terminal.close()
        ours.close()
    return json.loads(result.read_text(encoding="utf-8")), left


def _read_until(terminal: Terminal, seconds: float, true: Callable[[], bool]) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end and not true():
        if terminal.far >= 0:
            terminal.read(0.02)
        else:
            time.sleep(0.02)


def attach_row(home: Path) -> Row:
    """Time from the command to the first full screen of a console on a running engine."""
    command = [PYTHON, "-P", "-m", "console", "--home", str(home)]
    subprocess.run([*command, "engine", "start"], check=True, capture_output=True)
    times = []
    try:
        for _ in range(6):
            began = time.perf_counter()
            terminal = Terminal([*command, "attach"], SIZE)
            while not all(word in terminal.text() for word in ("10,000", "BTC/USDT", "attached", "Palette")):
                terminal.read(0.01)
                assert time.perf_counter() - began < 30, terminal.text()
            times.append(time.perf_counter() - began)
            terminal.type("\x07")
            terminal.end()
            terminal.close()
    finally:
        with suppress(subprocess.CalledProcessError):
            subprocess.run([*command, "stop"], check=True, capture_output=True)
    middle = percentile(times[1:], 50)
    return Row("attach until the first full screen", f"{middle:.2f} s (median of 5)", "≤ 1 s", middle <= 1)


def line_row(home: Path) -> Row:
    """Time of the line for a status bar."""
    command = [PYTHON, "-P", "-m", "console", "--home", str(home)]
    subprocess.run([*command, "engine", "start"], check=True, capture_output=True)
    times = []
    try:
        for _ in range(9):
            began = time.perf_counter()
            subprocess.run([*command, "status", "--line"], check=True, capture_output=True)
            times.append(time.perf_counter() - began)
    finally:
        subprocess.run([*command, "stop"], check=True, capture_output=True)
    middle = percentile(times, 50)
    return Row("status --line", f"{middle * 1e3:.0f} ms (median of 9)", "≤ 150 ms", middle <= 0.15)


def run() -> list[Row]:
    """All rows."""
    # A person's interpreter keeps what it has compiled.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    with workplace("detach") as home:
        (home / "attach").mkdir()
        return [*detach_rows(home), attach_row(home / "attach"), line_row(home / "attach")]
