"""What bots may use by class, whether the machine has room for one more, and on which core it runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from engine.bots import allowance as module
from engine.bots.allowance import MEMORY_MB, Admission, Allowance, Machine, check_admission
from engine.bots.config import BotConfig
from engine.errors import ConflictError
from engine.strategy.contract import StrategyType

if TYPE_CHECKING:
    from collections.abc import Sequence

MACHINE = Machine(memory_mb=4096, cores=2.0)


def own(memory_mb: int = 1024, cpu_share: float = 0.5, core: int = -1) -> Allowance:
    return Allowance(memory_mb=memory_mb, cpu_share=cpu_share, own_process=True, core=core)


def test_every_class_of_strategy_has_its_memory_and_the_configuration_goes_first() -> None:
    assert set(MEMORY_MB) == set(StrategyType)
    bot = BotConfig(name="a", strategy="x", instrument="SIM:BTC/USDT", isolation="process")
    assert Allowance.of(bot, StrategyType.HYBRID).memory_mb == 4096
    assert Allowance.of(bot.model_copy(update={"memory_mb": 300}), StrategyType.HYBRID).memory_mb == 300
    assert Allowance.of(bot, StrategyType.STATIC).own_process


def test_the_last_megabyte_and_the_last_part_of_a_core_are_given_and_no_more() -> None:
    running = {"a": own(3072, 1.0)}
    check_admission("b", own(1024, 1.0), running, MACHINE)
    with pytest.raises(ConflictError, match="of the 4096 MB for strategies 1024 MB are left"):
        check_admission("b", own(1025, 1.0), running, MACHINE)
    with pytest.raises(ConflictError, match="of the 2 for strategies 1 are left"):
        check_admission("b", own(1024, 1.01), running, MACHINE)
    check_admission("b", Allowance(memory_mb=100_000), running, MACHINE)


def test_those_that_are_being_started_count_until_they_leave_and_nobody_counts_twice() -> None:
    up: dict[str, Allowance] = {}
    admission = Admission(MACHINE, lambda: up)
    admission.admit("a", own(3000))
    with pytest.raises(ConflictError):
        admission.admit("b", own(2000))
    up["a"] = own(3000)
    admission.leave("a")
    admission.admit("a", own(4000))
    admission.leave("a")
    admission.admit("b", own(1096))


def test_the_machine_has_three_quarters_of_its_memory_and_all_cores_unless_told() -> None:
    here = Machine.here()
    assert here.memory_mb > 0
    assert here.cores >= 1
    assert Machine.here(512, 1.5) == Machine(memory_mb=512, cores=1.5)


@pytest.mark.parametrize(("cores", "placed"), [([1, 2, 3], [1, 2, 3, 1]), ([1], [1, 1, 1, 1]), ([], [-1, -1, -1, -1])])
def test_processes_go_where_the_least_is_promised(
    monkeypatch: pytest.MonkeyPatch, cores: Sequence[int], placed: list[int]
) -> None:
    monkeypatch.setattr(module, "strategy_cores", lambda: list(cores))
    up: dict[str, Allowance] = {}
    admission = Admission(MACHINE, lambda: up)
    for name in "abcd":
        up[name] = admission.place(name, own())
    assert [allowance.core for allowance in up.values()] == placed
    assert admission.place("e", Allowance()).core == -1
