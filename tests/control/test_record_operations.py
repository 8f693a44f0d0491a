"""Records, settings, logs and lists of a running engine, asked for as every door asks."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from engine.control import host as hosts
from engine.control.offline import offline
from engine.errors import ConfigurationError, ConflictError, NotFoundError, ValidationError
from storage.journal import Query
from tests.control.house import BTC, Deck, deck
from tests.kit.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

CREATE = {"strategy": "trend_following", "instrument": BTC}


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hosts, "PROJECTION_AFTER_S", 0.0)


@pytest.fixture
async def on(tmp_path: Path) -> AsyncIterator[Deck]:
    async with deck(tmp_path) as found:
        yield found


async def projected(on: Deck) -> None:
    """Wait until the reports hold everything that is durable."""
    assert on.host.context is not None
    projector = on.host.context.projector
    assert projector is not None
    await eventually(lambda: projector.behind == 0 and projector.cursor, 30)


async def audits(on: Deck, operation: str) -> list[Any]:
    """Facts of who did what with one operation, oldest first."""
    assert on.host.context is not None
    assert on.host.context.reader is not None
    await on.engine.journal.wait_durable(on.engine.ledger.seq)
    records = await on.host.context.reader.latest(50, Query(kinds=("OperatorActed",)))
    return [r.event for r in sorted(records, key=lambda r: r.seq) if getattr(r.event, "operation", "") == operation]


# --- round trips -----------------------------------------------------------------------------------------------------


async def test_round_trips_and_a_strategys_figures_add_up_to_the_profit_that_was_booked(on: Deck) -> None:
    bot = await on.call("bots.create", name="trend-1", **CREATE)
    for side in ("buy", "sell"):
        await on.market(side, "0.002")
    await on.market("buy", "0.001")
    await projected(on)

    trades = await on.call("trades.list")

    assert (trades.total, trades.pages, trades.complete) == (1, 1, True), "an open position is no round trip"
    row = trades.rows[0]
    assert (str(row.owner), str(row.side), str(row.quantity), row.currency) == ("manual", "buy", "0.002", "USDT")
    assert row.entry_time <= row.exit_time
    assert row.pnl == (row.exit_price - row.entry_price) * row.quantity - row.fees
    assert (await on.call("trades.list", owner=bot.name)).total == 0
    assert (await on.call("trades.list", page=2)).rows == ()

    done = await on.call("strategies.performance", name="trend_following", days=7)
    assert done.bots == ("trend-1",)
    assert [(f.currency, f.total_trades, f.win_rate, f.sharpe_ratio) for f in done.figures] == [("USDT", 0, None, None)]
    with pytest.raises(NotFoundError, match="trend_following"):
        await on.call("strategies.performance", name="trend_folowing")


# --- alerts ----------------------------------------------------------------------------------------------------------


async def test_without_a_channel_there_are_none_to_list_and_a_test_is_refused(on: Deck) -> None:
    assert await on.call("alerts.channels") == []
    with pytest.raises(ConflictError, match="No channel for alerts is set"):
        await on.call("alerts.test")


async def test_alerts_are_listed_filtered_and_acknowledged_once(on: Deck) -> None:
    await on.call("risk.halt", reason="lunch")
    await on.call("risk.resume", reason="back")
    await on.call("risk.halt", reason="tea", reducing=True)
    await projected(on)

    page = await on.call("alerts.list", unread=True)
    assert [row.kind for row in page.rows] == ["halt", "halt"]
    assert "tea" in page.rows[0].message, "the newest first"
    assert (await on.call("risk.alerts", text="LUNCH")).total == 1
    assert (await on.call("alerts.list", severity="critical")).total == 0
    assert (await on.call("alerts.list", severity="low", sort="ts", limit=1)).rows[0].id == page.rows[1].id

    assert await on.call("alerts.acknowledge", ids=[page.rows[0].id]) == "1 alert acknowledged."
    assert [row.id for row in (await on.call("risk.alerts", unread=True)).rows] == [page.rows[1].id]
    assert await on.call("alerts.acknowledge", all=True) == "1 alert acknowledged."
    assert await on.call("alerts.acknowledge", all=True) == "0 alerts acknowledged."
    for wrong, told in (({}, "which alerts"), ({"ids": [page.rows[0].id], "all": True}, "which alerts")):
        with pytest.raises(ValidationError, match=told):
            await on.call("alerts.acknowledge", **wrong)
    with pytest.raises(NotFoundError, match="no alert 'nothing'"):
        await on.call("alerts.acknowledge", ids=["nothing"])
    with pytest.raises(ValidationError, match="cannot be sorted by 'colour'"):
        await on.call("alerts.list", sort="colour")


# --- settings --------------------------------------------------------------------------------------------------------

FILE = """# my settings
[paper]
seed = 7  # the lucky one
balances = { USDT = "10000" }
"""


async def test_settings_are_told_with_their_source_and_written_with_their_comments(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "config.toml"
    file.write_text(FILE)
    async with deck(tmp_path) as on:
        (seed,) = await on.call("config.get", key="paper.seed")
        assert (seed.value, seed.default, seed.source) == (7, 42, str(file))
        changes = {"paper.seed": "8", "risk.max_total_positions": "5", "console.theme": "other", "debug": True}
        done = await on.call("config.set", values=changes)

        assert [(c.key, c.before, c.after) for c in done.changes] == [
            ("paper.seed", 7, 8),
            ("risk.max_total_positions", 10, 5),
            ("console.theme", "quarterdeck-dark", "other"),
            ("debug", False, True),
        ]
        assert "next start" in done.changes[0].effect
        assert "console is opened" in done.changes[2].effect
        assert done.changes[1].effect.startswith("at once")
        assert on.engine.risk.limits().max_total_positions == 5
        text = file.read_text()
        assert "# my settings\n" in text
        assert "seed = 8  # the lucky one\n" in text
        assert "max_total_positions = 5\n" in text
        assert file.stat().st_mode & 0o777 == 0o600
        asked, booked = await audits(on, "config.set")
        assert json.loads(booked.before)["paper.seed"] == 7
        assert json.loads(booked.after) == {
            "paper.seed": 8, "risk.max_total_positions": 5, "console.theme": "other", "debug": True,
        }  # fmt: skip
        assert "paper.seed: 7 -> 8" in booked.summary
        assert asked.before == ""

        monkeypatch.setenv("QUARTERDECK_PAPER_SEED", "99")
        outranked = await on.call("config.set", values={"paper.seed": 9})
        assert (outranked.changes[0].after, "outranks the file" in outranked.changes[0].effect) == (99, True)
        await on.call("config.set", values={"console.theme": None})
        assert "theme" not in file.read_text()


async def test_settings_that_could_not_be_used_change_nothing_and_secrets_stay_hidden(on: Deck, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"(?s)nothing was written.*paper\.seed"):
        await on.call("config.set", values={"paper.seed": "-3"})
    with pytest.raises(ValidationError, match=r"Did you mean paper\.seed\?"):
        await on.call("config.set", values={"paper.sed": 3})
    with pytest.raises(NotFoundError, match="Did you mean paper"):
        await on.call("config.get", key="papr")
    assert not (tmp_path / "config.toml").exists()

    done = await on.call("config.set", values={"database.postgresql_password": "open sesame"})
    (shown,) = await on.call("config.get", key="database.postgresql_password")
    assert "sesame" not in f"{done}{shown}{await audits(on, 'config.set')}"
    assert 'postgresql_password = "open sesame"' in (tmp_path / "config.toml").read_text()

    (tmp_path / "config.toml").rename(tmp_path / "config.yaml")
    with pytest.raises(ConflictError, match=r"config\.yaml, which only a person changes"):
        await on.call("config.set", values={"paper.seed": 3})


async def test_changed_limits_and_bots_are_audited_with_old_and_new_values(on: Deck) -> None:
    await on.call("bots.create", name="trend-1", **CREATE)
    await on.call("risk.set_limits", limits={"max_total_positions": 4})
    await on.call("bots.configure", bot="trend-1", name="trend-1", **CREATE, params={"fast_ma": 9})
    await projected(on)

    _, limits = await audits(on, "risk.set_limits")
    assert (json.loads(limits.before), json.loads(limits.after)) == (
        {"max_total_positions": 10}, {"max_total_positions": 4},
    )  # fmt: skip
    _, bot = await audits(on, "bots.configure")
    assert json.loads(bot.after)["params"] == {"fast_ma": 9}
    assert bot.summary.startswith("trend-1 params: {} -> ")

    async def rows(database: Any) -> list[Any]:
        from storage.repositories.repository import Repository
        from storage.tables import AuditLogRow

        async with database.reading() as session:
            table = Repository(session, AuditLogRow)
            return await table.find(table.query().equal(action="risk.set_limits"))

    assert on.host.context is not None
    kept = await on.host.context.need_reports().run(rows)
    changed = next(row for row in kept if row.old_value is not None)
    assert changed.old_value == {"max_total_positions": 10}
    assert changed.new_value["values"] == {"max_total_positions": 4}


# --- logs and health -------------------------------------------------------------------------------------------------


async def test_the_log_is_told_from_its_end_by_level_and_text(tmp_path: Path) -> None:
    folder = tmp_path / "logs"
    folder.mkdir()
    lines = [
        json.dumps({"timestamp": f"t{n}", "level": "error" if n % 5 == 0 else "info", "event": f"number {n}", "n": n})
        for n in range(3_000)
    ]
    (folder / "engine.log").write_text("\n".join([*lines[:-1], "Traceback of a crash", lines[-1]]) + "\n")
    async with offline(tmp_path) as host:
        newest = await host.call("logs.tail", {"limit": 3})
        assert [line.event for line in newest] == ["number 2998", "Traceback of a crash", "number 2999"]
        assert newest[0].fields == {"n": 2998}
        errors = await host.call("logs.tail", {"level": "ERROR", "limit": 1000})
        assert (len(errors), errors[0].event, errors[-2].event) == (601, "number 0", "number 2995")
        assert [line.ts for line in await host.call("logs.tail", {"text": "NUMBER 1234"})] == ["t1234"]
        assert await host.call("logs.tail", {"log": "worker"}) == []


async def test_an_engine_says_whether_it_lives_and_is_ready(on: Deck) -> None:
    assert (await on.call("health.live")).ready
    assert await on.call("health.ready") == (await on.call("health.ready"))
    assert (await on.call("health.ready")).reasons == ()
    await on.call("risk.halt", reason="lunch")
    found = await on.call("health.ready")
    assert (found.ready, found.reasons) == (False, ("risk: trading is halted.",))
    assert (await on.call("health.live")).ready
    assert [row.name for row in await on.call("risk.limits")]


# --- lists -----------------------------------------------------------------------------------------------------------


async def test_lists_are_paged_sorted_and_filtered(on: Deck) -> None:
    for name, capital in (("b", "300"), ("a", "100"), ("c", "200")):
        await on.call("bots.create", name=name, capital=capital, **CREATE)

    async def names(**asked: Any) -> list[str]:
        return [bot.name for bot in await on.call("bots.list", **asked)]

    assert await names() == ["c", "a", "b"]
    assert await names(sort="name") == ["a", "b", "c"]
    assert await names(sort="-capital") == ["b", "c", "a"]
    assert await names(sort="name", limit=2, page=2) == ["c"]
    assert await names(strategy="grid") == []
    assert await names(state="stopped", instrument=BTC) == ["c", "a", "b"]
    with pytest.raises(ValidationError, match="no field 'colour'"):
        await names(sort="colour")
    with pytest.raises(ValidationError, match="limit"):
        await names(limit=1001)

    first, second = await on.limit(), await on.limit(quantity="0.003")
    assert [row.client_id for row in await on.call("orders.list")] == [second.client_id, first.client_id]
    assert [row.client_id for row in await on.call("orders.list", sort="quantity", limit=1)] == [first.client_id]
    assert [row.client_id for row in await on.call("orders.list", limit=1, page=2)] == [first.client_id]
    assert await on.call("orders.list", side="sell") == []
    assert await on.call("orders.list", owner="a") == []
    assert len(await on.call("orders.list", owner="manual", instrument=BTC)) == 2
