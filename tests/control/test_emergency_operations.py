"""What is told to every bot of a part of trading: one that cannot be understood keeps no other from it."""

from __future__ import annotations

from decimal import Decimal as D
from typing import TYPE_CHECKING

import pytest

from engine import events as ev
from engine.model.entries import BotState
from tests.control.house import BTC, Deck, deck

if TYPE_CHECKING:
    from pathlib import Path

UNREADABLE = "a"
"""It comes first, before all others."""


async def crowd(on: Deck) -> None:
    """Three bots: one whose configuration is of another release, and two that run."""
    wanted = {"strategy": "trend_following", "instrument": BTC, "timeframe": "1m", "capital": "500"}
    for name in (UNREADABLE, "b", "c"):
        await on.call("bots.create", **wanted, name=name)
        await on.call("bots.start", bot=name)
    entry = on.engine.bots.find(UNREADABLE)
    on.engine.ledger.record(ev.BotConfigured(bot=entry.id, config=b"{}", capital=D(500)))


def states(on: Deck) -> dict[str, BotState]:
    return {entry.name: entry.state for entry in on.engine.state.bots.values()}


@pytest.mark.parametrize("scope", ["venue:SIM", "account:paper", f"symbol:{BTC}"])
async def test_one_of_which_nobody_knows_where_it_trades_keeps_no_other_from_it(tmp_path: Path, scope: str) -> None:
    async with deck(tmp_path) as on:
        await crowd(on)
        rows = await on.call("bots.pause_all", scope=scope)
        assert [row.name for row in rows] == ["b", "c"]
        rows = await on.call("bots.stop_all", scope=scope, reason="smoke")
        assert [(row.name, row.state) for row in rows] == [("b", BotState.STOPPED), ("c", BotState.STOPPED)]


async def test_it_is_stopped_with_all_others_where_it_does_not_matter_where_it_trades(tmp_path: Path) -> None:
    async with deck(tmp_path) as on:
        await crowd(on)
        await on.call("bots.pause_all", scope=f"bot:{UNREADABLE}")
        assert states(on) == {UNREADABLE: BotState.PAUSED, "b": BotState.RUNNING, "c": BotState.RUNNING}
        await on.call("bots.stop_all", reason="smoke")
        assert set(states(on).values()) == {BotState.STOPPED}
