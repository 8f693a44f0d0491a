"""A strategy's process does not outlive its engine, however that ends."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from typing import TYPE_CHECKING

import pytest

from tests.bots.isolation.files import until, written

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the Linux kernel's doing")

ENGINE = """
import asyncio, sys
from pathlib import Path
from tests.bots.isolation.files import Cell

async def main():
    cell = await Cell(Path(sys.argv[1])).begun()
    print(cell.runner.pid, flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


def _is_up(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


async def test_killing_the_engine_kills_the_strategy_with_it(tmp_path: Path) -> None:
    path = written(tmp_path, "while True:\n    pass")
    engine = await asyncio.create_subprocess_exec(
        sys.executable, "-c", ENGINE, str(path), stdout=asyncio.subprocess.PIPE, cwd=os.getcwd()
    )
    assert engine.stdout is not None
    pid = int(await engine.stdout.readline())
    assert _is_up(pid)
    engine.send_signal(signal.SIGKILL)
    await engine.wait()
    await until(lambda: not _is_up(pid))
