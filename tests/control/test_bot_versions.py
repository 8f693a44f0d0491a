"""A bot's strategy is swapped while it holds a position, every version comes back, and changed files are taken over."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from engine import events as ev
from engine.bots.config import BotConfig
from engine.control.host import build_engine
from engine.control.hot_reload import ACTOR, HotReload
from engine.control.live.bot_changes import widened
from engine.control.presets import FOLDER
from engine.errors import ConfigurationError, NotFoundError, StrategyLoadError
from engine.model.candle import Bars, Candle
from engine.model.entries import BotState
from engine.model.ids import InstrumentId
from engine.model.order import OrderStatus, OrderType
from engine.model.signal import Signal, SignalAction, SignalDirection
from tests.control.house import BTC, Deck, deck
from tests.kit.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from engine.bots.bot import Bot

MINUTE = 60_000_000_000
NEW: dict[str, Any] = {
    "name": "trend", "strategy": "trend_following", "instrument": BTC, "timeframe": "1m", "capital": "2000",
}  # fmt: skip
SOURCE = '''"""One strategy."""
from __future__ import annotations
from typing import Any
from pydantic import Field
from engine.strategy.contract import Holding, Strategy, StrategyMemory, StrategyParams, Wish

class Params(StrategyParams):
    period: int = Field(5, ge=1, le=50, description="Bars.")

class Memory(StrategyMemory):
    seen: int = 0

class Mine(Strategy):
    """Waits."""
    name = "mine"
    version = "VERSION"
    Params = Params
    Memory = Memory

    def warmup(self, timeframe: str) -> int:
        return self.params.period

    def columns(self, bars: Any, ta: Any) -> dict[str, Any]:
        return {"mean": ta.sma(bars.close, self.params.period)}

    def decide(self, row: Any, memory: Memory, holding: Holding) -> Wish | None:
        memory.seen += 1
        return None
'''


@pytest.fixture
async def on(tmp_path: Path) -> AsyncIterator[Deck]:
    async with deck(tmp_path / "home") as found:
        yield found


def write(file: Path, version: str) -> Path:
    """A strategy file of that version."""
    file.write_text(SOURCE.replace("VERSION", version))
    return file


def reload_of(on: Deck) -> HotReload:
    assert on.host.context is not None
    return HotReload(on.host.context)


def version_of(on: Deck, bot: str) -> str:
    """The version of the strategy that a bot runs."""
    return on.engine.bots.running[on.engine.bots.find(bot).id].runner.strategy.version


async def holding(on: Deck) -> tuple[Bot, Any]:
    """The running bot `trend` with a position and the order of its stop."""
    row = await on.call("bots.create", **NEW)
    await on.call("bots.start", bot="trend")
    bot = on.engine.bots.running[row.id]
    price = on.engine.mark(bot.instrument.id)
    assert price is not None
    bot.act(
        Signal(
            instrument=bot.instrument.id,
            strategy="trend_following",
            action=SignalAction.ENTER,
            direction=SignalDirection.BUY,
            confidence=1.0,
            ts=on.engine.clock.now(),
            reason="test",
            stop=float(price) * 0.9,
        )
    )

    def resting() -> list[Any]:
        return [o for o in bot.orders() if o.type is OrderType.STOP_LOSS and o.status is OrderStatus.ACCEPTED]

    await eventually(lambda: bool(resting()))
    return bot, resting()[0]


# --- swapped ---------------------------------------------------------------------------------------------------------


async def test_another_strategy_takes_over_position_stop_capital_and_bars(on: Deck) -> None:
    old, stop = await holding(on)
    held, level = old.quantity, old.memory.stop
    row = await on.call(
        "bots.swap", bot="trend", strategy="mean_reversion", timeframe="5m", params={"lookback_period": 9}
    )
    assert (row.state, row.strategy, row.timeframe, row.params) == (
        BotState.RUNNING, "mean_reversion", "5m", {"lookback_period": 9},
    )  # fmt: skip
    fresh = on.engine.bots.running[row.id]
    assert fresh is not old
    assert (fresh.quantity, fresh.memory.stop, row.capital) == (held, level, on.engine.state.bots[row.id].capital)
    assert [order.client_id for order in fresh.orders()] == [stop.client_id]
    market = on.engine.hub.market(fresh.instrument.id)
    assert [len(market.series[name].listeners) for name in ("1m", "5m")] == [0, 1]


async def test_a_kill_after_the_swap_brings_the_new_strategy_back_with_the_stop(tmp_path: Path) -> None:
    async with deck(tmp_path) as on:
        old, stop = await holding(on)
        held, level = old.quantity, old.memory.stop
        await on.call("bots.swap", bot="trend", strategy="mean_reversion")
        # What a kill leaves is what is booked at this moment: nothing more is saved on the way down.
        on.engine.bots.suspend = lambda: None  # type: ignore[method-assign]
    async with deck(tmp_path) as on:
        bot = on.engine.bots.running[old.owner]
        assert bot.runner.strategy.name == "mean_reversion"
        assert (bot.quantity, bot.memory.stop) == (held, level)
        assert [order.client_id for order in bot.orders()] == [stop.client_id]


@pytest.mark.parametrize("wrong", ["source", "parameter", "history"])
async def test_what_cannot_start_leaves_the_old_one_at_work(
    on: Deck, tmp_path: Path, wrong: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, _ = await holding(on)
    before = on.engine.state.bots[old.owner].config
    asked: dict[str, Any] = {"strategy": "mean_reversion"}
    if wrong == "source":
        bad = tmp_path / "bad.py"
        bad.write_text("raise RuntimeError('no')\n")
        asked = {"strategy_file": str(bad)}
    elif wrong == "parameter":
        asked["params"] = {"lookback_period": 1}
    else:

        async def none(*_: Any) -> Any:
            raise StrategyLoadError("The history cannot be had.")

        monkeypatch.setattr(on.engine.bots._builder, "_history", none)
    with pytest.raises((StrategyLoadError, ConfigurationError)):
        await on.call("bots.swap", bot="trend", **asked)
    assert on.engine.bots.running[old.owner] is old
    assert on.engine.state.bots[old.owner].config == before
    assert len(on.engine.hub.series(old.instrument.id, "1m").listeners) == 1


async def test_a_new_version_of_the_same_file_keeps_what_the_strategy_remembers(on: Deck, tmp_path: Path) -> None:
    file = write(tmp_path / "mine.py", "1.0.0")
    row = await on.call("bots.create", **{**NEW, "strategy": "mine", "strategy_file": str(file)})
    await on.call("bots.start", bot="trend")
    on.engine.bots.running[row.id].runner.memory.seen = 77  # type: ignore[attr-defined]
    write(file, "1.1.0")
    swapped = await on.call("bots.swap", bot="trend", params={"period": 7})
    assert (swapped.strategy_version, swapped.params) == ("1.1.0", {"period": 7})
    assert on.engine.bots.running[row.id].runner.memory.seen == 77  # type: ignore[attr-defined]


# --- versions --------------------------------------------------------------------------------------------------------


async def test_every_version_is_listed_and_comes_back_with_its_source_though_the_file_has_changed(
    on: Deck, tmp_path: Path
) -> None:
    file = write(tmp_path / "mine.py", "1.0.0")
    await on.call("bots.create", **{**NEW, "strategy": "mine", "strategy_file": str(file)})
    await on.call("bots.start", bot="trend")
    write(file, "1.1.0")
    await on.call("bots.swap", bot="trend")
    await on.call("bots.swap", bot="trend", params={"period": 9})
    await on.call(
        "bots.configure", bot="trend", **{**NEW, "strategy": "mine", "strategy_file": str(file), "priority": 3}
    )
    listed = await on.call("bots.versions", bot="trend")
    assert [(row.version, row.in_force, row.kept) for row in listed] == [
        (4, True, True), (3, False, True), (2, False, True), (1, False, True),
    ]  # fmt: skip
    assert [row.changed.partition(" ->")[0] for row in listed] == [
        "priority: 5",
        "params.period: none",
        f"source: {listed[3].source}",
        "",
    ]
    assert "params.period: 9 -> none" in listed[0].changed
    back = await on.call("bots.rollback", bot="trend", version=1)
    assert (back.strategy_version, back.setup.priority, version_of(on, "trend")) == ("1.0.0", 5, "1.0.0")
    assert back.strategy_file.endswith(f"versions/{listed[3].source}.py")
    # It is there to stay: neither a look at the file nor a start by hand brings the newer source.
    await reload_of(on).look()
    await on.call("bots.stop", bot="trend")
    await on.call("bots.start", bot="trend")
    assert version_of(on, "trend") == "1.0.0"
    forward = await on.call("bots.rollback", bot="trend", version=3)
    assert (forward.strategy_version, forward.params, forward.strategy_file) == ("1.1.0", {"period": 9}, str(file))
    with pytest.raises(NotFoundError, match="has had 6 versions"):
        await on.call("bots.rollback", bot="trend", version=7)


async def test_a_restart_goes_on_with_the_version_that_ran_though_the_file_is_broken(tmp_path: Path) -> None:
    file = write(tmp_path / "mine.py", "1.0.0")
    async with deck(tmp_path / "home") as on:
        await on.call(
            "bots.create",
            **{**NEW, "strategy": "mine", "strategy_file": str(file), "isolation": "process", "memory_mb": 1024},
        )
        await on.call("bots.start", bot="trend")
    file.write_text("this is no Python\n")
    async with deck(tmp_path / "home") as on:
        assert (await on.call("bots.get", bot="trend")).state is BotState.RUNNING
        assert version_of(on, "trend") == "1.0.0"
        await on.call("bots.stop", bot="trend")
        with pytest.raises(StrategyLoadError, match=r"mine\.py, line 1"):
            await on.call("bots.start", bot="trend")
        assert (await on.call("bots.get", bot="trend")).state is BotState.STOPPED


async def test_a_kept_source_that_was_changed_by_hand_is_refused(on: Deck, tmp_path: Path) -> None:
    file = write(tmp_path / "mine.py", "1.0.0")
    await on.call("bots.create", **{**NEW, "strategy": "mine", "strategy_file": str(file)})
    (first,) = await on.call("bots.versions", bot="trend")
    write(file, "2.0.0")
    await on.call("bots.swap", bot="trend")
    write(on.host.home / "versions" / f"{first.source}.py", "9.9.9")
    with pytest.raises(StrategyLoadError, match="changed by hand"):
        await on.call("bots.rollback", bot="trend", version=1)


# --- hot reload ------------------------------------------------------------------------------------------------------


async def test_a_changed_strategy_file_is_taken_over_and_a_broken_one_told_once(on: Deck, tmp_path: Path) -> None:
    file = write(on.host.home / "strategies" / "mine.py", "1.0.0")
    told: list[str] = []
    on.engine.errors.on_notice(lambda notice: told.append(notice.text))
    assert on.host.context is not None
    on.host.context.strategies.scan()
    await on.call("bots.create", **{**NEW, "strategy": "mine"})
    await on.call("bots.start", bot="trend")
    look = reload_of(on).look
    await look()
    assert version_of(on, "trend") == "1.0.0"
    write(file, "1.2.0")
    await look()
    assert version_of(on, "trend") == "1.2.0"
    file.write_text(SOURCE.replace("def decide", "def decode"))
    for _ in range(2):
        await look()
    assert version_of(on, "trend") == "1.2.0"
    assert len([text for text in told if "has changed and is not taken over" in text and "lacks decide" in text]) == 1
    file.unlink()
    await look()
    assert any("is gone; the bot goes on" in text for text in told)
    write(file, "1.3.0")
    await look()
    assert version_of(on, "trend") == "1.3.0"
    await on.engine.journal.wait_durable(on.engine.ledger.seq)
    assert on.host.context.reader is not None
    acted = [r.event for r in await on.host.context.reader.latest(100) if isinstance(r.event, ev.OperatorActed)]
    assert [event.actor for event in acted if "has changed" in event.summary] == [ACTOR, ACTOR]


async def test_a_changed_file_of_a_bot_changes_the_bot_as_a_whole_or_not_at_all(on: Deck) -> None:
    folder = on.host.home / FOLDER
    folder.mkdir()
    file = folder / "trend.json"
    row = await on.call("bots.create", **NEW)
    await on.call("bots.start", bot="trend")
    await on.call("bots.export", bot="trend", file=str(file))
    told: list[str] = []
    on.engine.errors.on_notice(lambda notice: told.append(notice.text))
    hot = reload_of(on)
    await hot.look()

    def edit(**changes: Any) -> None:
        body = msgspec.json.decode(file.read_bytes())
        body["config"] |= changes
        file.write_bytes(msgspec.json.encode(body))

    edit(params={"fast_ma": 7}, capital="1500")
    await hot.look()
    config = on.engine.bots.config(on.engine.state.bots[row.id])
    assert (config.params, int(config.capital)) == ({"fast_ma": 7}, 1500)
    assert on.engine.bots.running[row.id].runner.strategy.params.fast_ma == 7
    edit(params={"fast_ma": 5, "slow_ma": 3}, priority=9)
    await hot.look()
    assert on.engine.bots.config(on.engine.state.bots[row.id]) == config
    assert any("trend.json has changed and is not taken over" in text and "slow_ma" in text for text in told)
    (folder / "second.json").write_bytes(file.read_bytes())
    file = folder / "second.json"
    edit(name="second", params={}, capital="100", priority=5)
    await hot.look()
    assert on.engine.bots.find("second").state is BotState.STOPPED


async def test_real_money_gets_no_new_source_that_nobody_was_asked_about() -> None:
    before = BotConfig(name="a", strategy="mine", instrument=BTC, source="a" * 16)
    assert widened(before, before.model_copy(update={"source": "b" * 16}), at_work=True) == ["source"]


# --- defaults --------------------------------------------------------------------------------------------------------


async def test_defaults_of_the_settings_hold_unless_strategy_or_bot_say_another(tmp_path: Path) -> None:
    given = {
        "strategies__defaults__min_confidence": 0.7,
        "strategies__parameters": {"trend_following": {"fast_ma": 11, "slow_ma": 44}},
    }
    async with deck(tmp_path, **given) as on:
        row = await on.call("bots.create", **NEW, params={"slow_ma": 33})
        await on.call("bots.start", bot="trend")
        params = on.engine.bots.running[row.id].runner.strategy.params
        assert (params.min_confidence, params.fast_ma, params.slow_ma) == (0.7, 11, 33)
        shown = {
            param.name: param.default for param in (await on.call("strategies.config", name="trend_following")).params
        }
        assert (shown["min_confidence"], shown["fast_ma"]) == ("0.7", "11")


def test_defaults_out_of_bounds_are_refused_with_the_settings(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="position_size_pct"):
        build_engine(tmp_path, {"strategies.defaults.position_size_pct": 0.5})


# --- other markets ---------------------------------------------------------------------------------------------------

WATCHER = '''"""Looks at another market."""
from __future__ import annotations
from typing import Any
from engine.strategy.contract import Holding, Strategy, StrategyMemory, Wish

class Memory(StrategyMemory):
    seen: list[tuple[int, float]] = []

class Watcher(Strategy):
    """Notes what it sees of the other market."""
    name = "watcher"
    Memory = Memory

    def watches(self) -> tuple[str, ...]:
        return ("ETH/USDT", "BTC/USDT", "NOT/THERE")

    def warmup(self, timeframe: str) -> int:
        return 3

    def columns(self, bars: Any, ta: Any) -> dict[str, Any]:
        return {"eth": bars.other("ETH/USDT").close, "mean": ta.sma(bars.other("ETH/USDT").close, 3),
                "own": bars.other("BTC/USDT").close}

    def decide(self, row: Any, memory: Any, holding: Holding) -> Wish | None:
        if row.mean == row.mean and row.own != row.own:
            memory.seen.append((row.ts, row.eth))
        return None
'''


@pytest.mark.parametrize("isolation", ["task", "process"])
async def test_a_bot_sees_the_bar_before_of_the_markets_it_watches(on: Deck, tmp_path: Path, isolation: str) -> None:
    file = tmp_path / "watcher.py"
    file.write_text(WATCHER)
    asked = {**NEW, "strategy": "watcher", "strategy_file": str(file), "isolation": isolation, "memory_mb": 1024}
    row = await on.call("bots.create", **asked)
    config = on.engine.bots.config(on.engine.state.bots[row.id])
    assert config.watches == ("ETH/USDT", "BTC/USDT", "NOT/THERE")
    await on.call("bots.start", bot="trend")
    bot = on.engine.bots.running[row.id]
    other = on.engine.hub.series(InstrumentId("SIM:ETH/USDT"), "1m")
    assert len(other.closed) >= bot.runner.history
    last = other.closed[-1]
    opened = max(last.ts, bot.last_bar_ts) + MINUTE
    for place in range(3):
        # The other market's bar of the same minute is heard first, and is not seen yet all the same.
        at = opened + place * MINUTE
        other.closed.append(Candle(last.instrument, "1m", at, 5.0 + place, 9.0, 1.0, 5.0 + place, 1.0))
        bot.on_bars(Bars.from_candles("1m", [Candle(bot.instrument.id, "1m", at, 10.0, 11.0, 9.0, 10.0, 1.0)]))
    expected = [(opened, last.close), (opened + MINUTE, 5.0), (opened + 2 * MINUTE, 6.0)]

    def seen() -> list[tuple[int, float]]:
        saved = msgspec.msgpack.decode(bot.runner.save())
        memory = msgspec.msgpack.decode(saved["memory"] if isinstance(saved, dict) else saved[8])
        found = memory["seen"] if isinstance(memory, dict) else memory[0]
        return [(ts, close) for ts, close in found]

    await eventually(lambda: seen()[-3:] == expected)
