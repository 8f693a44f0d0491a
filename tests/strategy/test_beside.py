"""A strategy's file runs beside the loop, once for each of its versions, and only so long."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from engine.errors import NotFoundError, StrategyLoadError
from engine.strategy.beside import find_beside
from engine.strategy.loader import StrategyRegistry
from tests.kit.waiting import eventually
from tests.strategy.test_loader import SOURCE

if TYPE_CHECKING:
    from pathlib import Path


def slow(folder: Path, seconds: float) -> Path:
    """A good file that sleeps, and adds a line to `runs` each time it is run."""
    path, runs = folder / "slow.py", folder / "runs"
    begin = f"import time\ntime.sleep({seconds})\nwith open({str(runs)!r}, 'a') as _runs:\n    _runs.write('x')\n"
    path.write_text(SOURCE.replace("NAME", "slow").replace("class Params", begin + "class Params", 1))
    return path


async def test_a_file_that_takes_its_time_does_not_hold_the_loop(tmp_path: Path) -> None:
    """It does not end before the loop, which goes round meanwhile, has answered it."""
    registry, path = StrategyRegistry(), slow(tmp_path, 0)
    asked, answered = tmp_path / "asked", tmp_path / "answered"
    talk = (
        f"import pathlib, time\npathlib.Path({str(asked)!r}).touch()\nfor _ in range(5_000):\n"
        f"    if pathlib.Path({str(answered)!r}).exists():\n        break\n    time.sleep(0.001)\n"
        "else:\n    raise TimeoutError('nobody answers')\n"
    )
    path.write_text(path.read_text().replace("import time\n", talk, 1))
    registry.scan()
    task = asyncio.get_running_loop().create_task(find_beside(registry, "", str(path)))
    await eventually(asked.exists)
    assert not task.done()
    answered.touch()
    assert (await task).name == "slow"


async def test_a_file_is_run_again_only_when_it_has_changed(tmp_path: Path) -> None:
    registry, path = StrategyRegistry(), slow(tmp_path, 0)
    first = await find_beside(registry, str(path))
    assert await find_beside(registry, "", str(path)) is first
    assert registry.load_file(path) is first
    assert (tmp_path / "runs").read_text() == "x"
    path.write_text(path.read_text().replace("2.1.0", "2.2.0"))
    assert (await find_beside(registry, "", str(path))).version == "2.2.0"
    assert (tmp_path / "runs").read_text() == "xx"
    path.unlink()
    with pytest.raises(StrategyLoadError, match="cannot be read"):
        await find_beside(registry, "", str(path))


async def test_a_file_that_never_ends_is_named_and_given_up(tmp_path: Path) -> None:
    path = slow(tmp_path, 0.5)
    with pytest.raises(StrategyLoadError, match=r"slow\.py was not loaded: it takes more than 0\.05 s"):
        await find_beside(StrategyRegistry(), "", str(path), deadline_s=0.05)


async def test_what_a_file_raises_is_told_and_other_names_are_looked_up(tmp_path: Path) -> None:
    path = tmp_path / "bad.py"
    path.write_text("raise SystemExit(3)")
    with pytest.raises(StrategyLoadError, match=r"bad\.py"):
        await find_beside(StrategyRegistry(), "", str(path))
    assert (await find_beside(StrategyRegistry(), "trend_following")).origin == "built-in"
    with pytest.raises(NotFoundError):
        await find_beside(StrategyRegistry(), "trend_followin")


async def test_a_file_that_came_after_the_last_look_is_found_by_its_name(tmp_path: Path) -> None:
    registry = StrategyRegistry(tmp_path)
    with pytest.raises(NotFoundError):
        await find_beside(registry, "newcomer")
    source = (
        "from engine.strategy.contract import Strategy\n\n\n"
        "class Newcomer(Strategy):\n"
        '    """New."""\n\n'
        '    name = "newcomer"\n\n'
        "    def warmup(self, timeframe):\n        return 1\n\n"
        "    def columns(self, bars, ta):\n        return {}\n\n"
        "    def decide(self, row, memory, holding):\n        return None\n"
    )
    (tmp_path / "newcomer.py").write_text(source, encoding="utf-8")
    (tmp_path / "broken.py").write_text("import nothing_of_that_name\n", encoding="utf-8")
    assert (await find_beside(registry, "newcomer")).name == "newcomer"
