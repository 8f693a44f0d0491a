"""Making the peers' environments from the package index, pinned, one each."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tests.bench.peers.catalog import PEERS, Peer
from tests.bench.peers.places import environment, interpreter, root

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["install", "is_installed", "uv_program"]

DONE = ".installed"
TIMEOUT_S = 1800


def uv_program() -> str:
    """The `uv` beside this interpreter, or one on the path.

    Raises:
        FileNotFoundError: There is none.
    """
    beside = Path(sys.executable).with_name("uv")
    found = str(beside) if beside.exists() else shutil.which("uv")
    if found is None:
        raise FileNotFoundError("uv is not here; `make dev` installs it into .venv")
    return found


def is_installed(peer: Peer) -> bool:
    """Whether its environment was made with just these pins."""
    mark = environment(peer.name) / DONE
    return mark.is_file() and mark.read_text(encoding="utf-8").split() == list(peer.requirements)


def install(names: Sequence[str]) -> int:
    """Make the environments of the named peers, or of all; gives how many failed."""
    wanted = [peer for peer in PEERS if not names or peer.name in names]
    unknown = set(names) - {peer.name for peer in wanted}
    if unknown:
        print(f"There is no peer {', '.join(sorted(unknown))}; there are: {', '.join(p.name for p in PEERS)}.")
        return len(unknown)
    root().mkdir(parents=True, exist_ok=True)
    failed = 0
    for peer in wanted:
        if is_installed(peer):
            print(f"{peer.name}: is there ({' '.join(peer.requirements)})")
            continue
        began = time.monotonic()
        trouble = _make(peer)
        failed += bool(trouble)
        print(f"{peer.name}: {trouble or f'installed in {time.monotonic() - began:.0f} s'}", flush=True)
    return failed


def _make(peer: Peer) -> str:
    uv, folder = uv_program(), environment(peer.name)
    shutil.rmtree(folder, ignore_errors=True)
    steps = (
        [uv, "venv", "--quiet", "--python", sys.executable, str(folder)],
        [
            uv,
            "pip",
            "install",
            "--quiet",
            "--compile-bytecode",
            "--python",
            str(interpreter(peer.name)),
            *peer.requirements,
        ],
    )
    for step in steps:
        try:
            done = subprocess.run(step, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
        except subprocess.TimeoutExpired:
            return f"not installed after {TIMEOUT_S} s"
        if done.returncode:
            return "could not be installed:\n" + done.stderr[-2000:]
    (folder / DONE).write_text("\n".join(peer.requirements) + "\n", encoding="utf-8")
    return ""
