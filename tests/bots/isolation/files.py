"""Strategy files that behave as a test says, and what runs them."""

from __future__ import annotations

import asyncio
from textwrap import dedent, indent
from typing import TYPE_CHECKING

from engine.bots.isolation.runner import IsolatedRunner, WorkerLimits
from engine.model.candle import Bars, Candle
from engine.strategy.loader import read_strategy_file
from tests.bots.house import MARKET, MINUTE

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from engine.errors import StrategyError
    from engine.model.signal import Signal

HEAD = '''
import os, signal, sys, time
from engine.strategy.contract import Strategy, StrategyMemory, StrategyParams, Wish

class Mine(StrategyMemory):
    asked: int = 0
    notes: str = ""

class Own(Strategy):
    """Does what a test says."""
    name = "own"
    timeframe = "1m"
    Memory = Mine

    def warmup(self, timeframe):
        return 1

    def columns(self, bars, ta):
        return {"mean": ta.ema(bars.close, 3)}

    def decide(self, row, memory, holding):
        memory.asked += 1
'''


def written(folder: Path, decide: str, name: str = "own") -> Path:
    """A strategy's file whose `decide` ends with these lines."""
    path = folder / f"{name}.py"
    body = HEAD.replace('"own"', repr(name)) + indent(dedent(decide).strip() + "\n", " " * 8)
    path.write_text(body, encoding="utf-8")
    return path


def bar(number: int, price: float = 100.0) -> Candle:
    """The bar of a minute."""
    return Candle(MARKET, "1m", number * MINUTE, price, price, price, price, 1.0)


def bars(*numbers: int) -> Bars:
    """Bars of these minutes."""
    return Bars.from_candles("1m", [bar(number) for number in numbers])


class Cell:
    """A strategy in its process, and what is heard of it."""

    def __init__(self, path: Path, *, memory_mb: int = 128, bar_seconds: float = 20.0, storage_mb: int = 4) -> None:
        strategy = read_strategy_file(path).build({})
        limits = WorkerLimits(memory_mb=memory_mb, storage_mb=storage_mb, bar_seconds=bar_seconds)
        self.runner = IsolatedRunner(strategy, MARKET, timeframe="1m", limits=limits)
        self.answers: asyncio.Queue[list[Signal]] = asyncio.Queue()
        self.failure: asyncio.Future[StrategyError] = asyncio.get_running_loop().create_future()
        self.runner.on_answer = self.answers.put_nowait
        self.runner.on_failure = self.failure.set_result

    async def begun(self, *numbers: int) -> Cell:
        """The same with its process started and these bars taken in."""
        self.runner.warm_up(bars(*(numbers or (1, 2, 3))))
        await self.runner.begin()
        return self


async def until(true: Callable[[], bool]) -> int:
    """Let the loop turn until something is so; returns how often it has turned."""
    turns = 0
    while not true():
        await asyncio.sleep(0.001)
        turns += 1
    return turns
