"""A hand-over between two real engines: same bots, same orders, one journal, and nothing that is done twice."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.model.order import OrderStatus
from tests.control.handover.house import running, succeeding

if TYPE_CHECKING:
    from pathlib import Path


async def test_the_successor_has_the_same_orders_and_the_journal_goes_on(tmp_path: Path) -> None:
    async with running(tmp_path) as old:
        rests = await old.limit()
        await old.reaches(rests, OrderStatus.ACCEPTED)
        await old.market()
        async with succeeding(tmp_path) as new:
            assert old.host.successor
            assert new.engine.journal.epoch == 2
            assert new.engine.state.orders[rests.client_id].status is OrderStatus.ACCEPTED
            await new.market()
