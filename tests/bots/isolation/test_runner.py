"""A strategy in a process of its own decides as in the engine's, and whatever it does there is cut off in words."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from engine.bots.isolation import runner as runner_module
from engine.errors import StrategyError
from engine.model.regime import MarketRegime, TrendRegime, VolatilityRegime
from engine.model.signal import PeerSignal
from engine.strategy.contract import Holding
from engine.strategy.loader import read_strategy_file
from engine.strategy.runner import StrategyRunner
from tests.bots.house import MARKET
from tests.bots.isolation.files import Cell, bars, until, written

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="limits are the Linux kernel's")

FLAT = Holding()
BUY_AT_THE_SECOND = "return Wish.enter(1, 0.9, 'second', stop=90.0) if memory.asked == 2 else None"
LEAK = "self.held = getattr(self, 'held', []); self.held.append(b'x' * (64 << 20)); return None"
SPIN = "while memory.asked:\n    pass"
SLEEP = "time.sleep(1000)"


def _spoil(file: Path) -> None:
    file.write_text(file.read_text(encoding="utf-8").replace("memory.asked += 1", "boom("), encoding="utf-8")


def _exists(path: str) -> bool:
    return Path(path).exists()


@pytest.fixture
async def cell(tmp_path: Path) -> AsyncIterator[Callable[..., Cell]]:
    made: list[Cell] = []

    def make(decide: str, **limits: float) -> Cell:
        made.append(Cell(written(tmp_path, decide), **limits))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for one in made:
        one.runner.end()
        await one.runner.ended()


async def test_it_decides_as_in_the_engines_own_process_and_hands_its_memory_back(
    cell: Callable[..., Cell], tmp_path: Path
) -> None:
    apart = await cell(BUY_AT_THE_SECOND).begun(1, 2, 3)
    beside = StrategyRunner(read_strategy_file(tmp_path / "own.py").build({}), MARKET, timeframe="1m")
    beside.warm_up(bars(1, 2, 3))
    assert apart.runner.save() == beside.save(), "what came with the first answer"
    for number in (4, 5, 6):
        assert apart.runner.on_bars(bars(number), FLAT) == []
        assert await apart.answers.get() == beside.on_bars(bars(number), FLAT)
        assert apart.runner.save() == beside.save()
        assert (apart.runner.last_ts, apart.runner.seen) == (beside.last_ts, beside.seen)
    apart.runner.warm_up(bars(7))
    beside.warm_up(bars(7))
    assert await apart.answers.get() == []
    assert apart.runner.save() == beside.save()
    fresh = cell("return None if memory.asked != 4 else Wish.exit('fourth')")
    fresh.runner.restore(apart.runner.save(), memory_only=True)
    await fresh.begun(5, 6, 7)
    fresh.runner.on_bars(bars(8), FLAT)
    await fresh.answers.get()
    assert fresh.runner.last_ts == bars(8).ts[-1]


async def test_it_is_told_the_markets_regimes_and_what_other_bots_wished_for(cell: Callable[..., Cell]) -> None:
    told = await cell("return Wish.enter(1, 0.9, f'{self.regime.trend} {self.peers[0].bot}')").begun()
    told.runner.strategy.peers = (
        PeerSignal(bot="other", instrument=MARKET, action="enter", direction="buy", confidence=1.0, ts=1),
    )
    told.runner.strategy.regime = MarketRegime(
        instrument=MARKET,
        volatility=VolatilityRegime.LOW,
        trend=TrendRegime.RANGING,
        momentum=0,
        percentile=10.0,
        strength=12.0,
        ts=1,
    )
    told.runner.on_bars(bars(4), FLAT)
    assert [signal.reason for signal in await told.answers.get()] == ["ranging other"]


@pytest.mark.parametrize(
    ("decide", "limits", "why"),
    [
        (LEAK, {"memory_mb": 128}, "more memory than it may have"),
        (SPIN, {"bar_seconds": 0.5}, "longer than 0.5 s for one bar"),
        (SLEEP, {"bar_seconds": 0.3}, "longer than 0.3 s for one bar"),
        ("os._exit(3)", {}, "ended by itself .status 3."),
        ("os.kill(os.getpid(), signal.SIGSEGV)", {}, "ended by SIGSEGV"),
        ("os.kill(os.getpid(), signal.SIGKILL)", {}, "was killed"),
        ("raise SystemExit('enough')", {}, "own"),
        ("memory.notes += 'x' * (1 << 19); return None", {}, "remembers 1.0 MB, and may"),
        ("return Wish.enter(1, 0.9, 'x' * (3 << 20))", {}, "answered more than 2 MB"),
        ("print('not a message', flush=True)\nreturn 1 / 0", {}, "division by zero"),
    ],
)
async def test_what_leaks_spins_hangs_or_dies_is_ended_with_a_sentence(
    cell: Callable[..., Cell], decide: str, limits: dict[str, float], why: str
) -> None:
    one = await cell(decide, **limits).begun()
    pid = one.runner.pid
    number = 4
    while not one.failure.done():
        one.runner.on_bars(bars(number), FLAT)
        number += 1
        await until(lambda: one.failure.done() or not one.answers.empty())
        if not one.answers.empty():
            one.answers.get_nowait()
    with pytest.raises(StrategyError, match=why):
        raise await one.failure
    assert one.runner.pid == 0
    await one.runner.ended()
    assert not _exists(f"/proc/{pid}")
    with pytest.raises(StrategyError, match="is not there any more"):
        one.runner.on_bars(bars(99), FLAT)


async def test_the_kernel_ends_what_uses_more_processor_time_than_it_may(cell: Callable[..., Cell]) -> None:
    # The engine would wait ten times longer than the process may compute: the kernel is first.
    one = await cell(SPIN, bar_seconds=0.2).begun()
    one.runner.limits = runner_module.WorkerLimits(memory_mb=128, storage_mb=4, bar_seconds=20.0)
    one.runner.on_bars(bars(4), FLAT)
    with pytest.raises(StrategyError, match="more processor time"):
        raise await one.failure


async def test_a_strategy_that_cannot_begin_says_why_and_leaves_nothing(cell: Callable[..., Cell]) -> None:
    one = cell("return None")
    _spoil(Path(one.runner._shadow._file))
    with pytest.raises(StrategyError, match=r"own\.py"):
        await one.begun()
    assert (one.runner.pid, one.runner.folder) == (0, "")
    assert not one.failure.done(), "it was raised"


async def test_it_writes_no_more_than_it_may_and_its_folder_goes_with_it(cell: Callable[..., Cell]) -> None:
    one = await cell("open('big', 'wb').write(b'x' * (8 << 20)); return None", storage_mb=4).begun()
    folder = one.runner.folder
    assert _exists(folder)
    one.runner.on_bars(bars(4), FLAT)
    with pytest.raises(StrategyError, match=r"SIGXFSZ|File too large"):
        raise await one.failure
    await one.runner.ended()
    assert not _exists(folder)


async def test_it_has_none_of_the_engines_environment(
    cell: Callable[..., Cell], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QUARTERDECK_SECRET", "hush")
    one = await cell("return Wish.enter(1, 0.9, ' '.join(sorted(os.environ)) + ' ' + os.getcwd())").begun()
    one.runner.on_bars(bars(4), FLAT)
    (signal,) = await one.answers.get()
    assert "SECRET" not in signal.reason
    assert signal.reason.endswith(one.runner.folder)


async def test_a_loop_that_was_held_up_itself_does_not_blame_the_strategy(
    cell: Callable[..., Cell], monkeypatch: pytest.MonkeyPatch
) -> None:
    one = await cell("return None", bar_seconds=5.0).begun()
    loop = asyncio.get_running_loop()
    one.runner.on_bars(bars(4), FLAT)
    real = loop.time
    # The clock jumps past the deadline before anything could be read, as after a stopped process.
    monkeypatch.setattr(loop, "time", lambda: real() + 60)
    assert await one.answers.get() == []
    assert not one.failure.done()
