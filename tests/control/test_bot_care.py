"""Bots through the table: changed while they run, reported, compared, and carried in files."""

from __future__ import annotations

from decimal import Decimal as D
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from engine import events as ev
from engine.bots.bot import BotMemory
from engine.control.bot_files import read_bot
from engine.control.memory_copies import facts_after, older_memories
from engine.control.presets import FOLDER, register_presets
from engine.errors import (
    ConfigurationError,
    ConflictError,
    DataError,
    InsufficientCapitalError,
    NotFoundError,
)
from engine.model.capital import NS_PER_DAY, PoolMeasure
from engine.model.entries import BotState
from engine.model.ids import MANUAL, Owner
from engine.model.order import OrderStatus, OrderType
from engine.model.signal import Signal, SignalAction, SignalDirection
from tests.control.house import BTC, Deck, deck
from tests.kit.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

NEW: dict[str, Any] = {
    "name": "trend", "strategy": "trend_following", "instrument": BTC, "timeframe": "1m", "capital": "2000",
}  # fmt: skip


@pytest.fixture
async def on(tmp_path: Path) -> AsyncIterator[Deck]:
    async with deck(tmp_path) as found:
        yield found


# --- how it is run ---------------------------------------------------------------------------------------------------


async def test_a_bot_is_made_with_priority_limits_and_resources_and_shows_them(on: Deck) -> None:
    row = await on.call(
        "bots.create", **NEW, priority=8, risk={"max_position_size_pct": "0.01"}, isolation="process", memory_mb=512
    )
    assert (row.setup.priority, row.setup.isolation, row.setup.memory_mb, row.setup.mode) == (
        8,
        "process",
        512,
        "paper",
    )
    assert row.setup.risk == {"max_position_size_pct": "0.01"}
    with pytest.raises(ConfigurationError, match="looser are max_position_size_pct"):
        await on.call("bots.create", **{**NEW, "name": "b", "capital": "100"}, risk={"max_position_size_pct": "0.9"})


async def test_a_strategy_in_its_own_process_runs_in_a_whole_engine(on: Deck) -> None:
    await on.call("bots.create", **NEW, isolation="process", memory_mb=1024)
    row = await on.call("bots.start", bot="trend")
    assert row.state is BotState.RUNNING
    assert row.health.alive
    on.engine.bots.watch.look(on.engine.clock.now())
    row = await on.call("bots.get", bot="trend")
    assert row.health.memory_mb is not None
    assert row.health.memory_limit_mb == 1024
    assert (await on.call("bots.stop", bot="trend")).health.alive is False


# --- changed while it runs -------------------------------------------------------------------------------------------


async def test_a_running_bot_goes_on_with_another_configuration_and_the_change_is_in_the_audit(on: Deck) -> None:
    row = await on.call("bots.create", **NEW)
    await on.call("bots.start", bot="trend")
    old = on.engine.bots.running[row.id]
    changed = await on.call("bots.configure", bot="trend", **{**NEW, "params": {"fast_ma": 5}, "priority": 9})
    assert (changed.state, changed.params["fast_ma"], changed.setup.priority) == (BotState.RUNNING, 5, 9)
    fresh = on.engine.bots.running[row.id]
    assert fresh is not old
    assert fresh.entries_allowed
    series = on.engine.hub.series(fresh.instrument.id, "1m")
    assert len(series.listeners) == 1
    assert on.host.context is not None
    assert on.host.context.reader is not None
    await on.engine.journal.wait_durable(on.engine.ledger.seq)
    acted = [r.event for r in await on.host.context.reader.latest(50) if isinstance(r.event, ev.OperatorActed)]
    assert any(e.operation == "bots.configure" and "priority: 5 -> 9" in e.summary for e in acted)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"instrument": "SIM:ETH/USDT"}, ConflictError),
        ({"name": "other"}, ConfigurationError),
        ({"params": {"fast_ma": 99, "slow_ma": 9}}, ConfigurationError),
        ({"capital": "100000"}, InsufficientCapitalError),
        ({"risk": {"max_drawdown_pct": "0.99"}}, ConfigurationError),
    ],
)
async def test_a_change_that_is_not_acceptable_changes_nothing(
    on: Deck, change: dict[str, Any], error: type[Exception]
) -> None:
    row = await on.call("bots.create", **NEW)
    await on.call("bots.start", bot="trend")
    old, before = on.engine.bots.running[row.id], on.engine.state.bots[row.id].config
    with pytest.raises(error):
        await on.call("bots.configure", bot="trend", **{**NEW, "priority": 9, **change})
    assert on.engine.bots.running[row.id] is old
    assert on.engine.state.bots[row.id].config == before


async def test_a_paused_bot_stays_paused_over_a_change(on: Deck) -> None:
    row = await on.call("bots.create", **NEW)
    await on.call("bots.start", bot="trend")
    await on.call("bots.pause", bot="trend")
    assert (await on.call("bots.configure", bot="trend", **{**NEW, "priority": 2})).state is BotState.PAUSED
    assert not on.engine.bots.running[row.id].entries_allowed


# --- reported and compared -------------------------------------------------------------------------------------------


async def test_a_report_tells_states_profit_and_health(on: Deck) -> None:
    row = await on.call("bots.create", **NEW)
    await on.call("bots.start", bot="trend")
    today = on.engine.clock.now() // NS_PER_DAY
    for ago, result in ((4, 0), (3, 100), (2, -100), (1, 40)):
        pool = PoolMeasure(owner=row.id, capital=D(2000), result=D(result))
        on.engine.ledger.record(ev.PoolsMeasured(account=row.account, day=today - ago, pools=(pool,)))
    await on.call("bots.pause", bot="trend")
    await on.engine.journal.wait_durable(on.engine.ledger.seq)
    report = await on.call("bots.report", bot="trend")
    assert [moment.state for moment in report.states] == ["paused", "running", "starting"]
    assert report.uptime_s > 0
    assert (report.trades, report.win_rate, report.failures) == (0, None, 0)
    assert (report.profit_total, report.profit_day) == (D(0), D(-40))
    assert report.days == 3
    assert report.drawdown == pytest.approx(0.1)
    assert report.health.alive
    with pytest.raises(NotFoundError):
        await on.call("bots.report", bot="none")


async def test_suggestions_come_only_from_enough_history(on: Deck) -> None:
    assert await on.call("bots.suggest") == []
    rows = [await on.call("bots.create", **{**NEW, "name": name}) for name in ("good", "bad")]
    assert await on.call("bots.suggest") == []
    today = on.engine.clock.now() // NS_PER_DAY
    for day in range(70):
        # One gains, one loses, both not evenly.
        sway = D(day % 3)
        pools = tuple(
            PoolMeasure(owner=row.id, capital=D(2000), result=sign * (D(10) * day + sway))
            for row, sign in zip(rows, (1, -1), strict=True)
        )
        on.engine.ledger.record(ev.PoolsMeasured(account=rows[0].account, day=today - 71 + day, pools=pools))
    found = await on.call("bots.suggest")
    assert [one.kind for one in found] == ["capital", "parameters"]
    assert found[0].bots == ("bad", "good")
    assert found[1].text.startswith("bad has lost")


# --- in files --------------------------------------------------------------------------------------------------------


async def test_a_bot_goes_into_a_file_and_comes_out_as_another_with_what_it_remembered(
    on: Deck, tmp_path: Path
) -> None:
    row = await on.call("bots.create", **NEW, priority=7)
    await on.call("bots.start", bot="trend")
    await on.call("bots.stop", bot="trend")
    entry = on.engine.state.bots[row.id]
    assert entry.memory
    file = tmp_path / "trend.json"
    assert str(file) in await on.call("bots.export", bot="trend", file=str(file))
    with pytest.raises(ConflictError, match="exists"):
        await on.call("bots.export", bot="trend", file=str(file))
    with pytest.raises(ConfigurationError, match="exists already"):
        await on.call("bots.import", file=str(file))
    twin = await on.call("bots.import", file=str(file), name="twin")
    assert (twin.state, twin.setup.priority, twin.capital) == (BotState.STOPPED, 7, D(2000))
    remembered = msgspec.msgpack.decode(on.engine.state.bots[twin.id].memory, type=BotMemory)
    assert remembered.runner == msgspec.msgpack.decode(entry.memory, type=BotMemory).runner
    assert (remembered.stop, remembered.closing) == (None, "")
    assert (await on.call("bots.start", bot="twin")).state is BotState.RUNNING

    await on.call("bots.configure", bot="trend", **{**NEW, "priority": 1})
    back = await on.call("bots.import", file=str(file), into="trend", memory=False)
    assert (back.id, back.setup.priority) == (row.id, 7)
    with pytest.raises(ConflictError, match="stop it"):
        await on.call("bots.import", file=str(file), into="twin")


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"{}", "no exported bot"),
        (b"nonsense", "no exported bot"),
        (b'{"quarterdeck_bot": 99, "config": {}}', "later release"),
    ],
)
def test_a_file_that_is_no_bot_says_so(tmp_path: Path, body: bytes, why: str) -> None:
    file = tmp_path / "x.json"
    with pytest.raises(DataError, match="cannot be read"):
        read_bot(file)
    file.write_bytes(body)
    with pytest.raises(DataError, match=why):
        read_bot(file)


def test_a_file_whose_content_does_not_fit_says_what(tmp_path: Path) -> None:
    file = tmp_path / "x.json"
    file.write_bytes(b'{"quarterdeck_bot": 1, "config": {"name": "a", "colour": 1}, "memory": "Pz8="}')
    found = read_bot(file)
    with pytest.raises(ConfigurationError, match="colour"):
        found.configuration()
    with pytest.raises(DataError, match="memory in the file cannot be read"):
        found.remembered()


async def test_files_of_the_home_folder_are_registered_once_and_a_bad_one_is_left_out(on: Deck, tmp_path: Path) -> None:
    row = await on.call("bots.create", **NEW)
    home = tmp_path / "elsewhere"
    (home / FOLDER).mkdir(parents=True)
    await on.call("bots.export", bot="trend", file=str(home / FOLDER / "a.json"))
    (home / FOLDER / "b.json").write_bytes(b"nonsense")
    body = msgspec.json.decode((home / FOLDER / "a.json").read_bytes())
    body["config"] |= {"autostart": True, "name": "second", "capital": "500"}
    (home / FOLDER / "c.json").write_bytes(msgspec.json.encode(body))
    told: list[str] = []
    on.engine.errors.on_notice(lambda notice: told.append(notice.text))
    for _ in range(2):
        await register_presets(on.engine, home)
        assert [bot.name for bot in on.engine.state.bots.values()] == ["trend", "second"]
    assert on.engine.state.bots[row.id].state is BotState.STOPPED
    assert (await on.call("bots.get", bot="second")).state is BotState.RUNNING
    assert len([text for text in told if "b.json is left out" in text]) >= 1
    await register_presets(on.engine, tmp_path / "nowhere")


async def test_older_memories_come_out_of_the_journal_the_newest_first(on: Deck) -> None:
    row = await on.call("bots.create", **NEW)
    for memory in (b"1", b"2", b"3"):
        on.engine.ledger.record(
            ev.BotMemorySaved(bot=row.id, strategy="trend_following", schema=1, memory=memory, bar_ts=0)
        )
    await on.engine.journal.wait_durable(on.engine.ledger.seq)
    assert on.host.context is not None
    assert list(await older_memories(on.host.context.reader)(row.id)) == [b"3", b"2", b"1"]
    assert list(await older_memories(None)(row.id)) == []


async def test_what_a_strategy_was_not_told_comes_out_of_the_journal(on: Deck) -> None:
    before = on.engine.ledger.seq
    row = await on.market()
    await on.reaches(row, OrderStatus.FILLED)
    await on.engine.journal.wait_durable(on.engine.ledger.seq)
    assert on.host.context is not None
    facts = facts_after(on.host.context.reader)
    found = await facts(MANUAL, before)
    kinds = [type(record.event).__name__ for record in found]
    assert kinds[0] == "OrderIntended"
    assert "OrderFilled" in kinds
    assert all(record.seq > before for record in found)
    assert list(await facts(MANUAL, found[-1].seq)) == []
    assert list(await facts(Owner("another"), before)) == []


# --- over a restart --------------------------------------------------------------------------------------------------


async def test_a_bot_that_does_not_resume_by_itself_keeps_its_stop_and_enters_nothing_after_a_restart(
    tmp_path: Path,
) -> None:
    async with deck(tmp_path) as on:
        row = await on.call("bots.create", **NEW, auto_resume=False, isolation="process", memory_mb=1024)
        await on.call("bots.start", bot="trend")
        bot = on.engine.bots.running[row.id]
        price = on.engine.mark(bot.instrument.id)
        assert price is not None
        wish = Signal(
            instrument=bot.instrument.id,
            strategy="trend_following",
            action=SignalAction.ENTER,
            direction=SignalDirection.BUY,
            confidence=1.0,
            ts=on.engine.clock.now(),
            reason="test",
            stop=float(price) * 0.9,
        )
        bot.act(wish)
        # As after every answer of its strategy.
        on.engine.bots.save_changed()
        await eventually(
            lambda: any(o.type is OrderType.STOP_LOSS and o.status is OrderStatus.ACCEPTED for o in bot.orders())
        )
        held, stop = bot.quantity, bot.memory.stop
    async with deck(tmp_path) as on:
        entry = on.engine.state.bots[row.id]
        assert entry.state is BotState.PAUSED
        assert "exits and protection go on" in entry.reason
        bot = on.engine.bots.running[row.id]
        assert (bot.quantity, bot.memory.stop, bot.entries_allowed) == (held, stop, False)
        (resting,) = bot.orders()
        # Its stop is lost at the venue: it comes back although nothing is entered.
        on.engine.desk.cancel(resting.client_id, "by hand")
        await eventually(lambda: [order.stop_price for order in bot.orders() if not order.cancel_requested] == [stop])
        assert (await on.call("bots.resume", bot="trend")).state is BotState.RUNNING
