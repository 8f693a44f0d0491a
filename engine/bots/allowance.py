"""What bots may use, and whether the machine has room for one more."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import msgspec

from engine.errors import ConflictError
from engine.strategy.contract import StrategyType

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from engine.bots.config import BotConfig

__all__ = ["MEMORY_MB", "Admission", "Allowance", "Machine", "check_admission", "strategy_cores"]

_MB = 1 << 20
_SHARE = 0.75
"""Of the machine's memory: the rest is the engine's and everybody else's."""

MEMORY_MB: dict[StrategyType, int] = {
    StrategyType.STATIC: 1024,
    StrategyType.DYNAMIC: 1024,
    StrategyType.ARBITRAGE: 2048,
    StrategyType.MARKET_MAKING: 2048,
    StrategyType.HYBRID: 4096,
    StrategyType.AI_ML: 4096,
    StrategyType.EVOLUTIONARY: 8192,
}
"""Memory of a bot by the class of its strategy, in MB."""


class Allowance(msgspec.Struct, frozen=True, kw_only=True):
    """What one bot may use. Sizes in MB (2^20 bytes), processor as a share of one core."""

    memory_mb: int = 1024
    cpu_share: float = 1.0
    storage_mb: int = 1024
    own_process: bool = False
    """Whether its strategy has a process of its own, where memory is really taken and limited."""
    core: int = -1
    """Number of the processor core on which that process runs; -1 for any."""

    @classmethod
    def of(cls, config: BotConfig, kind: StrategyType) -> Allowance:
        """By its configuration, and by the class of its strategy where that says nothing."""
        return cls(
            memory_mb=config.memory_mb if config.memory_mb is not None else MEMORY_MB.get(kind, 1024),
            cpu_share=config.cpu_share,
            storage_mb=config.storage_mb,
            own_process=config.isolation == "process",
        )


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """What all strategies in processes of their own may use together."""

    memory_mb: int
    cores: float

    @classmethod
    def here(cls, memory_mb: int = 0, cores: float = 0.0) -> Machine:
        """The budget of the settings; where they say nothing, three quarters of the memory and every core."""
        whole = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // _MB
        return cls(memory_mb=memory_mb or int(whole * _SHARE), cores=cores or float(os.cpu_count() or 1))


class Admission:
    """Lets bots in as far as the machine has room, those counted that are just being started.

    Args:
        machine: The budget.
        running: Gives what those may use that are up, by name.
    """

    def __init__(self, machine: Machine, running: Callable[[], dict[str, Allowance]]) -> None:
        self._machine = machine
        self._running = running
        self._starting: dict[str, Allowance] = {}

    def admit(self, name: str, wanted: Allowance) -> None:
        """Count a bot in; it is counted until `leave`. Raises as `check_admission`."""
        others = {**self._starting, **self._running()}
        others.pop(name, None)
        check_admission(name, wanted, others, self._machine)
        self._starting[name] = wanted

    def place(self, name: str, wanted: Allowance) -> Allowance:
        """The same on the core that is promised to others the least, the first of equals."""
        cores = strategy_cores()
        if not wanted.own_process or not cores:
            return wanted
        taken = dict.fromkeys(cores, 0.0)
        for other, allowance in {**self._starting, **self._running()}.items():
            if other != name and allowance.own_process and allowance.core in taken:
                taken[allowance.core] += allowance.cpu_share
        return msgspec.structs.replace(wanted, core=min(cores, key=lambda core: taken[core]))

    def leave(self, name: str) -> None:
        """The bot is up, or will not be."""
        self._starting.pop(name, None)


def strategy_cores() -> list[int]:
    """Cores for strategies in processes of their own: all that we may use but the first, which is the engine's."""
    if sys.platform != "linux":
        return []
    return sorted(os.sched_getaffinity(0))[1:]


def check_admission(name: str, wanted: Allowance, running: Mapping[str, Allowance], machine: Machine) -> None:
    """Refuse a bot for whose process the machine has no room beside those that run.

    Args:
        name: The bot.
        wanted: What it may use.
        running: What those may use that are up, by name.
        machine: The budget.

    Raises:
        ConflictError: There is no room; the message says of what, and how much is left.
    """
    if not wanted.own_process:
        return
    others = [allowance for allowance in running.values() if allowance.own_process]
    memory = sum(allowance.memory_mb for allowance in others)
    cores = sum(allowance.cpu_share for allowance in others)
    if memory + wanted.memory_mb > machine.memory_mb:
        raise ConflictError(
            f"The bot {name} may use {wanted.memory_mb} MB of memory; of the {machine.memory_mb} MB for strategies "
            f"{max(machine.memory_mb - memory, 0)} MB are left. Stop another one, lower its memory_mb, or raise "
            "strategies.memory_budget_mb."
        )
    if cores + wanted.cpu_share > machine.cores:
        raise ConflictError(
            f"The bot {name} may use {wanted.cpu_share:g} of a processor core; of the {machine.cores:g} for strategies "
            f"{max(machine.cores - cores, 0.0):g} are left. Stop another one, lower its cpu_share, or raise "
            "strategies.cpu_budget_cores."
        )
