"""An engine that nobody has taken over goes on, and sends whatever it has to send."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from engine.control.handover.giving import Giver
from engine.model.order import OrderStatus
from storage.journal import Journal
from tests.control.handover.house import running

if TYPE_CHECKING:
    from pathlib import Path


async def test_it_sends_orders_whatever_becomes_of_what_bots_have_missed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(tmp_path) as old:
        engine, service = old.engine, old.host.service
        journal = engine.journal
        assert service is not None
        assert old.host.lock is not None
        assert isinstance(journal, Journal)
        giver = Giver(engine, journal, service, old.host.lock, lambda pid: None)
        service.pause.hold()
        engine.standstill.freeze(os.getpid())
        await engine.standstill.drain(5, 5)
        monkeypatch.setattr(engine.bots.backlog, "go_on", lambda: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            await giver.thaw("Nobody takes over.")
        rests = await old.limit()
        await old.reaches(rests, OrderStatus.ACCEPTED)
        giver.close()
