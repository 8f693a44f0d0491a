"""What bots use is measured, warned about at 80 % of a limit, throttled at 100 % and paused when that does not help."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from engine.bots.allowance import Allowance
from engine.bots.resources import PATIENCE_NS, BotUsage, Measure, ResourceWatch
from engine.model.entries import BotState
from engine.model.faults import Severity
from tests.bots.yard import Yard

if TYPE_CHECKING:
    from pathlib import Path

    from engine.bots.bot import Bot
    from engine.model.entries import BotEntry

SECOND = 1_000_000_000
MB = 1 << 20


class Watched:
    """A bot in the engine's process of which only the processor time of its bars is known."""

    def __init__(self, yard: Yard, entry: BotEntry, cpu_share: float = 0.5) -> None:
        self.yard, self.entry = yard, entry
        self.bot: Bot = yard.manager.running[entry.id]
        self.bot.allowance = Allowance(cpu_share=cpu_share, storage_mb=1)
        self.watch = ResourceWatch(yard.manager)
        self.told: list[tuple[Severity, str]] = []
        yard.manager.errors.on_notice(lambda notice: self.told.append((notice.severity, notice.text)))
        self.now = yard.clock.now()
        self.watch.look(self.now)

    def use(self, share: float, seconds: int) -> Any:
        """Compute that much of a core for so long, looked at every five seconds."""
        for _ in range(seconds // 5):
            self.bot.busy_ns += int(share * 5 * SECOND)
            self.now += 5 * SECOND
            self.watch.look(self.now)
        return self.watch.usage(self.entry.id)


@pytest.fixture
async def watched() -> Watched:
    yard = Yard()
    return Watched(yard, await yard.started())


async def test_the_share_of_a_core_is_that_of_the_last_minute(watched: Watched) -> None:
    assert watched.use(0.3, 10).cpu_share is None, "too short to say"
    assert watched.use(0.3, 60).cpu_share == pytest.approx(0.3)
    assert watched.use(0.1, 60).cpu_share == pytest.approx(0.1)


@pytest.mark.parametrize(("share", "told"), [(0.399, []), (0.4, [Severity.MEDIUM])])
async def test_a_warning_comes_at_four_fifths_and_once(watched: Watched, share: float, told: list[Severity]) -> None:
    watched.use(share, 120)
    assert [severity for severity, _ in watched.told] == told
    if told:
        assert watched.told[0][1] == "The bot a uses 80% of its processor limit."
        watched.use(0.1, 120)
        watched.use(share, 120)
        assert len(watched.told) == 2, "it was calm in between"


async def test_at_the_limit_it_is_throttled_and_a_minute_later_paused_while_exits_go_on(watched: Watched) -> None:
    entry, bot = watched.entry, watched.bot
    watched.use(0.5, 10)
    assert watched.told == []
    usage = watched.use(0.5, 10)
    assert not usage.throttled, "what runs in the engine's own process cannot be"
    assert watched.told == [
        (Severity.HIGH, "The bot a uses 100% of its processor limit; it is paused if that goes on for a minute.")
    ]
    watched.use(0.5, PATIENCE_NS // SECOND - 10)
    assert entry.state is BotState.RUNNING
    watched.use(0.5, 10)
    assert BotState(entry.state) is BotState.PAUSED
    assert entry.reason == "it uses 100% of its processor limit"
    assert not bot.entries_allowed
    assert watched.told[-1][1].endswith("Exits go on.")


async def test_one_that_calms_down_in_time_goes_on(watched: Watched) -> None:
    watched.use(0.6, 30)
    watched.use(0.0, 120)
    assert watched.entry.state is BotState.RUNNING


async def test_what_a_bot_remembers_counts_as_storage(watched: Watched) -> None:
    entry = watched.entry
    watched.use(0.0, 5)
    entry.memory = bytes(MB)
    assert watched.use(0.0, 5).worst == ("storage", 1.0)
    assert "100% of its storage limit" in watched.told[-1][1]


async def test_one_that_is_not_up_has_no_usage(watched: Watched) -> None:
    watched.use(0.1, 20)
    watched.yard.manager.stop(watched.entry)
    watched.watch.look(watched.now)
    assert watched.watch.usage(watched.entry.id) is None


def test_the_kernels_figures_are_read_whatever_a_process_is_called(tmp_path: Path) -> None:
    folder = tmp_path / "7"
    folder.mkdir()
    (folder / "statm").write_text("1000 256 1 1 0 1 0\n")
    (folder / "stat").write_text("7 (a) b (c) S " + " ".join(str(n) for n in range(4, 40)) + "\n")
    measure = Measure(tmp_path)
    page = measure._page
    assert measure.memory(7) == 256 * page
    # Fields 14 and 15 of proc(5): time in user and in kernel mode, in clock ticks.
    assert measure.busy_ns(7) == (14 + 15) * measure._tick_ns
    assert (measure.memory(8), measure.busy_ns(8)) == (None, None)
    (folder / "stat").write_text("nonsense")
    assert measure.busy_ns(7) is None


def test_files_below_a_folder_are_summed_and_too_many_are_full(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "a").write_bytes(bytes(100))
    (tmp_path / "deep" / "b").write_bytes(bytes(50))
    assert Measure.stored(str(tmp_path)) == 150
    assert Measure.stored(str(tmp_path / "none")) == 0
    for number in range(1_000):
        (tmp_path / "deep" / str(number)).touch()
    assert Measure.stored(str(tmp_path)) > 1 << 50


def test_a_usage_names_what_is_used_most() -> None:
    usage = BotUsage(
        memory_mb=None, memory_limit_mb=10, cpu_share=None, cpu_limit=1.0, storage_mb=1.0, storage_limit_mb=10
    )
    assert usage.worst == ("storage", 0.1)
    assert msgspec.structs.replace(usage, memory_mb=9.0, cpu_share=0.8).worst == ("memory", 0.9)
