"""Parent orders in a running engine: over its operations, over a kill and a hand-over, and under an emergency stop."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from decimal import Decimal as D
from typing import TYPE_CHECKING, Any

import pytest

from engine.errors import ConflictError, NotFoundError, OrderRejectionError, ValidationError
from engine.model.algos import ParentStatus
from engine.model.ids import AccountId, Currency
from tests.conftest import ROOT
from tests.control.handover.house import running, succeeding
from tests.control.house import BTC, Deck, deck
from tests.kit.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


SCHEDULED = ("twap", "vwap", "implementation_shortfall")


@pytest.fixture
async def on(tmp_path: Path) -> AsyncIterator[Deck]:
    async with deck(tmp_path) as found:
        yield found


async def start(on: Deck, algorithm: str, **more: Any) -> Any:
    given = {"instrument": BTC, "side": "buy", "quantity": "0.004", **more}
    return await on.call("algos.start", algorithm=algorithm, **given)


async def ended(on: Deck, name: str) -> Any:
    """The row of a parent once it has ended."""
    await eventually(lambda: name in on.engine.state.ended_parents)
    return next(row for row in await on.call("algos.list", ended=True) if row.id == name)


async def test_a_schedule_runs_over_the_operations_and_tells_its_progress(on: Deck) -> None:
    heard, _ = on.watch("algos.state")
    row = await start(on, "twap", duration_s=2, slices=2, jitter=0, max_slippage="0.05")
    assert row.about == "2 slices, last at 0.0 min"
    done = await ended(on, row.id)
    assert (done.status, done.progress, done.orders) == (ParentStatus.DONE, 1.0, 2)
    assert done.average_price is not None
    assert done.slippage_pct is not None
    assert on.engine.state.balance(on.engine.account, "BTC").total == D("0.004")  # type: ignore[arg-type]
    await eventually(lambda: bool(heard) and heard[-1].data == ())


async def test_a_parent_can_be_paused_resumed_accelerated_and_cancelled(on: Deck) -> None:
    book = await on.book()
    price = str((D(book.bids[0][0]) * D("0.97")).quantize(D(book.tick)).scaleb(-book.price_scale))
    row = await start(on, "peg", price=price)
    await eventually(lambda: any(o.parent == row.id for o in on.engine.state.orders.values()))
    paused = await on.call("algos.pause", id=row.id, reason="lunch")
    assert (paused.status, paused.reason) == (ParentStatus.PAUSED, "lunch")
    await eventually(lambda: not on.engine.state.orders)
    assert (await on.call("algos.resume", id=row.id)).status is ParentStatus.RUNNING
    assert (await on.call("algos.accelerate", id=row.id, factor="2.5")).pace == 250
    await eventually(lambda: bool(on.engine.state.orders))
    await on.call("algos.cancel", id=row.id, reason="enough")
    done = await ended(on, row.id)
    assert (done.status, done.reason, done.executed) == (ParentStatus.CANCELLED, "enough", 0)
    with pytest.raises(ConflictError):
        await on.call("algos.cancel", id=row.id)
    with pytest.raises(NotFoundError):
        await on.call("algos.pause", id="twap-1")


@pytest.mark.parametrize("algorithm", SCHEDULED)
async def test_every_schedule_can_be_paused_resumed_accelerated_and_cancelled(on: Deck, algorithm: str) -> None:
    row = await start(on, algorithm, duration_s=600, slices=10, jitter=0, participation=1)
    assert (row.algorithm, row.status) == (algorithm, ParentStatus.RUNNING)
    assert (await on.call("algos.pause", id=row.id)).status is ParentStatus.PAUSED
    before = on.engine.state.parents[row.id].elapsed_ns(on.engine.clock.now())
    assert on.engine.state.parents[row.id].elapsed_ns(on.engine.clock.now() + 10**9) == before
    assert (await on.call("algos.resume", id=row.id)).status is ParentStatus.RUNNING
    assert (await on.call("algos.accelerate", id=row.id, factor="2")).pace == 200
    await on.call("algos.cancel", id=row.id)
    assert (await ended(on, row.id)).status is ParentStatus.CANCELLED


async def test_what_fits_a_small_order_is_one_limit_order_and_of_a_large_one_a_schedule(on: Deck) -> None:
    small = await start(on, "auto")
    assert small.algorithm == "chase"
    large = await on.call("orders.estimate", instrument=BTC, side="buy", quantity="2000", algorithm="twap", slices=30)
    assert (large.algorithm, large.slices) == ("twap", 30)
    assert 0 < large.expected < large.estimate.cost
    assert [leg.account for leg in large.route] == ["paper"]
    assert large.route[0].share < 1


async def test_the_distance_of_a_trailing_stop_may_be_the_average_true_range(on: Deck) -> None:
    await on.market(quantity="0.004")
    row = await start(on, "trailing", side="sell", trail_atr="2")
    (order,) = on.engine.state.orders.values()
    assert order.stop_price == row.level
    assert order.reduce_only
    mark = on.engine.mark(order.instrument)
    assert mark is not None
    assert row.level < mark
    with pytest.raises(ValidationError, match="Give one distance"):
        await start(on, "trailing", side="sell", trail_atr="2", trail="0.02")
    with pytest.raises(ValidationError, match="needs a distance"):
        await start(on, "trailing", side="sell")
    with pytest.raises(ValidationError, match="needs a price"):
        await start(on, "iceberg")


async def test_cancelling_all_and_closing_end_the_parents_too(on: Deck) -> None:
    first = await start(on, "twap", duration_s=600)
    await eventually(lambda: on.engine.state.parents[first.id].executed > 0)
    await on.call("orders.cancel_all", owner="manual")
    assert (await ended(on, first.id)).reason.startswith("all cancelled by")
    second = await start(on, "twap", duration_s=600)
    await on.call("portfolio.close", instrument=BTC)
    assert (await ended(on, second.id)).reason == "the position is being closed"


async def test_cancelling_one_order_of_a_bracket_ends_the_bracket(on: Deck) -> None:
    mark = on.engine.mark(BTC)  # type: ignore[arg-type]
    assert mark is not None
    stop, target = str((mark * D("0.95")).quantize(D(1))), str((mark * D("1.05")).quantize(D(1)))
    row = await start(on, "bracket", stop_price=stop, target_price=target)
    await eventually(lambda: len(on.engine.state.orders) == 2)
    child = next(iter(on.engine.state.orders))
    await on.call("orders.cancel", client_id=child)
    await ended(on, row.id)
    assert not on.engine.state.orders


async def test_cancelling_the_entry_of_a_bracket_that_holds_nothing_ends_it(on: Deck) -> None:
    mark = on.engine.mark(BTC)  # type: ignore[arg-type]
    assert mark is not None
    price, stop = str((mark * D("0.97")).quantize(D(1))), str((mark * D("0.95")).quantize(D(1)))
    row = await start(on, "bracket", price=price, stop_price=stop)
    await on.call("orders.cancel", client_id=next(iter(on.engine.state.orders)))
    done = await ended(on, row.id)
    assert (done.status, done.executed) == (ParentStatus.CANCELLED, 0)
    assert done.reason.startswith("an order of it was cancelled: cancelled by")


async def test_an_emergency_stop_ends_every_parent_and_none_can_be_started(on: Deck) -> None:
    row = await start(on, "twap", duration_s=600)
    await eventually(lambda: on.engine.state.parents[row.id].executed > 0)
    await on.call("risk.emergency_stop", reason="test")
    assert (await ended(on, row.id)).reason == "emergency stop: test"
    with pytest.raises(OrderRejectionError):
        await start(on, "twap")


async def test_a_halt_holds_a_parent_back_and_it_goes_on_after_the_release(on: Deck) -> None:
    row = await start(on, "twap", duration_s=1, slices=2, jitter=0)
    parent = on.engine.state.parents[row.id]
    await eventually(lambda: parent.executed == D("0.002"))
    await on.call("risk.halt", reason="look first")
    await eventually(lambda: parent.elapsed_ns(on.engine.clock.now()) > 900_000_000)
    assert parent.executed == D("0.002")
    assert "look first" in on.engine.algos.words(row.id)
    await on.call("risk.resume", reason="looked")
    assert (await ended(on, row.id)).status is ParentStatus.DONE


async def test_a_restart_in_the_middle_goes_on_where_it_was(tmp_path: Path) -> None:
    async with deck(tmp_path) as on:
        row = await start(on, "twap", duration_s=3, slices=3, jitter=0)
        await eventually(lambda: on.engine.state.parents[row.id].executed > 0)
    async with deck(tmp_path) as on:
        done = await ended(on, row.id)
        assert (done.status, done.executed) == (ParentStatus.DONE, D("0.004"))
        assert on.engine.state.balance(on.engine.account, "BTC").total == D("0.004")  # type: ignore[arg-type]


@pytest.mark.parametrize("algorithm", SCHEDULED)
async def test_an_engine_that_is_killed_in_the_middle_doubles_nothing_and_finishes(
    tmp_path: Path, algorithm: str
) -> None:
    for _ in range(3 if algorithm == "twap" else 1):
        child = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tests.engine.parent_child",
            str(tmp_path),
            algorithm,
            cwd=ROOT,
            stdout=subprocess.PIPE,
        )
        assert child.stdout is not None
        for _ in range(2):
            assert (await asyncio.wait_for(child.stdout.readline(), 30)).startswith(b"placed")
        child.send_signal(signal.SIGKILL)
        await child.wait()
    async with deck(tmp_path) as on:
        state = on.engine.state
        (name,) = {*state.parents, *state.ended_parents}
        await on.call("algos.accelerate", id=name, factor=100)
        done = await ended(on, name)
        assert (done.status, done.executed) == (ParentStatus.DONE, D("0.015"))
        assert state.balance(AccountId("paper"), Currency("BTC")).total == D("0.015")
        children = [order for order in state.recent.values() if order.parent == name]
        assert sum(order.filled for order in children) == D("0.015")
        assert len(children) == done.orders
        # As the exchange has it, too.
        assert on.host.context is not None
        balances = await on.engine.venue.balances(AccountId("paper"))
        assert {b.currency: b.total for b in balances}["BTC"] == D("0.015")  # type: ignore[index]


@pytest.mark.parametrize("algorithm", SCHEDULED)
async def test_a_hand_over_in_the_middle_goes_on_in_the_successor(tmp_path: Path, algorithm: str) -> None:
    async with running(tmp_path) as old:
        window = {"duration_s": 3, "slices": 6, "jitter": 0, "participation": 1}
        row = await start(old, algorithm, quantity="0.012", **window)
        stop = await start(old, "peg", price="60000", quantity="0.001")
        await eventually(lambda: old.engine.state.parents[row.id].executed >= D("0.004"))
        before = old.engine.state.parents[row.id].placed
        async with succeeding(tmp_path) as new:
            assert new.engine.state.parents[row.id].placed >= before
            done = await ended(new, row.id)
            assert (done.status, done.executed) == (ParentStatus.DONE, D("0.012"))
            assert done.algorithm == algorithm
            assert done.orders >= 3
            await new.call("algos.cancel", id=stop.id)
            await ended(new, stop.id)
