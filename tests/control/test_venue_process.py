"""The paper venue in a process of its own: it outlives engines, and its file has one owner at a time."""

from __future__ import annotations

import asyncio
import os
import signal
from decimal import Decimal as D
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from console.cli import root
from engine.clock import SystemClock
from engine.control.host import build_engine
from engine.control.paper_venue import join_venue
from engine.control.venue_process import ensure_running, find_venue, send_stop, wait_until_gone
from engine.errors import StorageError
from engine.model.ids import AccountId, ClientOrderId, Currency
from engine.model.order import OPEN_STATUSES, OrderStatus
from engine.model.venue import VenueStatus
from tests.control.house import BTC, Deck
from tests.kit.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from engine.control.views import OrderRow
    from engine.model.order import Order

PAPER = AccountId("paper")
SETTINGS = "[paper]\nlatency_ms = 100\nlatency_jitter_ms = 0\nupdates_per_second = 100\n"


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "h"
    folder.mkdir()
    (folder / "config.toml").write_text(SETTINGS)
    yield folder
    send_stop(folder)
    assert wait_until_gone(folder, 20)


async def engine_on(home: Path, *, process: bool) -> Deck:
    host = build_engine(home, {"paper.process": process})
    await host.start()
    return Deck(host)


def order_of(on: Deck, row: OrderRow) -> Order:
    found = on.engine.state.order(ClientOrderId(row.client_id))
    assert found is not None
    return found


def said(home: Path, *words: str) -> tuple[int, str]:
    done = CliRunner().invoke(root, ["--home", str(home), "venue", "sim", *words])
    return done.exit_code, done.output


async def test_an_order_fills_while_no_engine_runs_and_the_next_one_books_it(home: Path) -> None:
    first = await engine_on(home, process=True)
    pid = find_venue(home)
    assert pid is not None
    assert said(home) == (0, f"The paper venue of {home} runs as process {pid.pid}.\n")
    resting = await first.limit(away=0.05)
    await eventually(lambda: order_of(first, resting).status is OrderStatus.ACCEPTED)
    near = await first.call("orders.place", instrument=BTC, side="buy", type="market", quantity="0.002")
    await eventually(lambda: order_of(first, near).status is OrderStatus.SUBMITTED)
    await first.host.stop()

    # Nobody runs an engine now, and the order is still on its way: the venue executes it all the same.
    venue = join_venue(home, SystemClock(), "1", lambda: None)
    await venue.start(lambda *_: None, lambda _: None)
    async with asyncio.timeout(20):
        while (
            there := await venue.order(PAPER, ClientOrderId(near.client_id))
        ) is None or there.status in OPEN_STATUSES:
            pass
    assert there.status is OrderStatus.FILLED
    await venue.close()
    assert find_venue(home) == pid

    second = await engine_on(home, process=True)
    assert order_of(second, near).status is OrderStatus.FILLED
    assert order_of(second, resting).status is OrderStatus.ACCEPTED
    assert second.engine.state.balance(PAPER, Currency("BTC")).total == D("0.002")

    # The venue's process is killed: the engine starts it again, and nothing of it is lost.
    os.kill(pid.pid, signal.SIGKILL)
    await eventually(lambda: second.engine.venue.status is VenueStatus.OFFLINE)
    await eventually(lambda: second.engine.venue.status is VenueStatus.ONLINE)
    again = find_venue(home)
    assert again is not None
    assert again.pid != pid.pid
    await second.call("orders.cancel", client_id=resting.client_id)
    await eventually(lambda: not order_of(second, resting).is_open)
    await second.host.stop()

    # A venue is in one place at a time, and goes from one to the other with all it has.
    with pytest.raises(StorageError, match="venue sim stop"):
        await engine_on(home, process=False)
    assert said(home, "stop")[0] == 0
    third = await engine_on(home, process=False)
    assert third.engine.state.balance(PAPER, Currency("BTC")).total == D("0.002")
    with pytest.raises(StorageError, match="built into a running engine"):
        ensure_running(home)
    assert said(home, "start")[0] == 1
    assert said(home, "status") == (3, said(home)[1])
    await third.host.stop()
