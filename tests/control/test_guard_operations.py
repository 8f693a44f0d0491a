"""Breakers and locks by hand, and the recovery procedure, through the operations of a running engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from engine import events as ev
from engine.errors import ConflictError, NotFoundError, ValidationError
from engine.model.ids import InstrumentId
from storage.journal import Query
from tests.control.house import BTC, Deck, deck
from tests.kit.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture
async def on(tmp_path: Path) -> AsyncIterator[Deck]:
    async with deck(tmp_path) as found:
        # Breakers have been judged once.
        await eventually(lambda: found.engine.risk.manager.wants_past(InstrumentId(BTC)) > 0)
        yield found


async def audited(on: Deck) -> list[ev.OperatorActed]:
    """What operators did, as the journal holds it."""
    await on.engine.journal.wait_durable(on.engine.ledger.seq)
    assert on.host.context is not None
    reader = on.host.context.reader
    assert reader is not None
    found = [record.event for record in await reader.latest(50, Query(kinds=("OperatorActed",)))]
    return [event for event in found if isinstance(event, ev.OperatorActed)]


async def test_a_breaker_is_opened_shown_and_reset_by_hand(on: Deck) -> None:
    view = await on.call("risk.trip_breaker", breaker="price_shock", scope=BTC, reason="rumours")
    row = next(row for row in view.breakers if row.name == "price_shock" and row.state == "held")
    assert row.open
    assert (row.scope, row.label) == (f"instrument:{BTC}", f"Price shock ({BTC})")
    with pytest.raises(ConflictError, match="held open"):
        await on.call("risk.trip_breaker", breaker="price_shock", scope=BTC, reason="again")
    with pytest.raises(NotFoundError, match="no breaker nonsense"):
        await on.call("risk.trip_breaker", breaker="nonsense", reason="why not")
    preview = await on.call("orders.preview", instrument=BTC, side="buy", quantity="0.002")
    assert "The breaker price shock is open" in str(preview)
    view = await on.call("risk.reset_breaker", breaker="price_shock", scope=row.scope, reason="nothing in it")
    assert not any(row.open for row in view.breakers)
    acts = await audited(on)
    assert {act.operation for act in acts} >= {"risk.trip_breaker", "risk.reset_breaker"}
    assert any("nothing in it" in act.summary for act in acts)


async def test_every_breaker_is_listed_with_value_threshold_and_end(on: Deck) -> None:
    view = await on.call("risk.overview")
    rows = {row.name: row for row in view.breakers}
    assert {
        "daily_loss", "weekly_loss", "monthly_loss", "drawdown", "max_drawdown", "volatility_spike", "price_shock",
        "stale_feed", "frozen_price", "error_rate", "model_confidence", "SIM api",
    } <= set(rows)  # fmt: skip
    assert all(row.state == "closed" for row in rows.values())
    assert rows["model_confidence"].value == "no model"
    assert rows["volatility_spike"].value == "warming up"
    assert rows["error_rate"].threshold == "10"
    now = on.engine.clock.now()
    assert now < rows["daily_loss"].ends <= rows["weekly_loss"].ends
    assert now < rows["monthly_loss"].ends


async def test_locks_are_placed_listed_and_lifted(on: Deck) -> None:
    assert await on.call("risk.locks") == []
    (lock,) = await on.call("risk.lock", scope=f"instrument:{BTC}", seconds=600, reason="news at noon")
    assert (lock.lock, lock.kind, lock.scope) == (f"manual:instrument:{BTC}", "manual", BTC)
    assert (await on.call("risk.overview")).locks == (lock,)
    for scope, words in (("venue:MOON", "no venue MOON"), ("instrument:SIM:X/Y", "not known"), ("nobody", "nobody")):
        with pytest.raises(NotFoundError, match=words):
            await on.call("risk.lock", scope=scope, reason="why not")
    with pytest.raises(NotFoundError, match="no lock x"):
        await on.call("risk.unlock", lock="x", reason="why not")
    with pytest.raises(ValidationError):
        await on.call("risk.unlock", lock=lock.lock, reason="")
    assert await on.call("risk.unlock", lock=lock.lock, reason="over") == []


async def test_the_recovery_procedure_is_shown_step_by_step(on: Deck) -> None:
    steps = await on.call("risk.recovery")
    assert [(step.step, step.passed) for step in steps] == [
        ("connectivity", True), ("positions", True), ("balances", True), ("limits", True), ("breakers", True),
    ]  # fmt: skip
    await on.call("risk.trip_breaker", breaker="drawdown", reason="drill")
    steps = await on.call("risk.recovery")
    assert [step.step for step in steps if not step.passed] == ["breakers"]
    with pytest.raises(ConflictError, match="drawdown is open"):
        await on.call("risk.resume", reason="go on")
