"""A paper venue that is killed has lost nothing that it ever acknowledged."""

from __future__ import annotations

import asyncio
import sys
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from engine.errors import UnknownOutcomeError
from engine.events import OrderAccepted, OrderFilled, decode_event
from engine.model.decimals import exact
from engine.model.ids import ClientOrderId, Currency
from engine.model.order import OrderSide, OrderStatus, OrderType
from engine.model.venue import OrderCommand
from engine.venues.markets.sim_profile import SimulatedSettings
from engine.venues.markets.simulated import SimulatedMarket
from tests.conftest import ROOT
from tests.venues.paper.crash_child import BTC, KILLED
from tests.venues.paper.harness import PaperHarness

if TYPE_CHECKING:
    from pathlib import Path

    from engine.events import VenueEvent

Told = list[tuple[str, bytes]]


async def run_child(path: Path, point: str, nth: int) -> Told:
    """What a killed process had said to the outside."""
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.venues.paper.crash_child",
        str(path),
        point,
        str(nth),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(child.communicate(), 60)
    assert child.returncode == KILLED, err.decode()[-2000:]
    return [
        (kind, bytes.fromhex(body)) for kind, _, body in (line.partition(" ") for line in out.decode().splitlines())
    ]


@pytest.mark.parametrize(
    ("point", "nth"), [("before", 4), ("inside", 5), ("after", 6), ("delivered", 1), ("delivered", 9), ("inside", 2)]
)
async def test_everything_acknowledged_is_there_after_a_kill(tmp_path: Path, point: str, nth: int) -> None:
    path = tmp_path / "paper.db"
    told = await run_child(path, point, nth)
    sent = [ClientOrderId(body.decode()) for kind, body in told if kind == "sent"]
    replied = {body.decode() for kind, body in told if kind == "replied"}
    events: list[VenueEvent] = [decode_event(body) for kind, body in told if kind == "event"]  # type: ignore[misc]
    h = PaperHarness(
        lambda now: SimulatedMarket(SimulatedSettings(seed=3), now),
        path,
        BTC,
        Decimal("0.001"),
        start=max((e.ts for e in events if not isinstance(e, OrderFilled)), default=1_900_000_000 * 10**9),
    )
    await h.start()
    try:
        kept = {name: await h.call(h.venue.order(h.account, name)) for name in sent}
        fills = list((await h.call(h.venue.fills_since(h.account, "")))[0])
        balances = {b.currency: b.total for b in await h.call(h.venue.balances(h.account))}
        assert sent, "the child was killed before it had traded"
        assert all(kept[ClientOrderId(name)] is not None for name in replied)
        for event in events:
            if isinstance(event, OrderFilled):
                assert event.fill in fills
            elif isinstance(event, OrderAccepted):
                found = kept[event.client_id]
                assert found is not None
                assert found.venue_order_id == event.venue_order_id
        # what is kept is one consistent cut: money is what the executions made of it
        with exact():
            spent = sum((f.price * f.quantity + f.fee for f in fills), Decimal(0))
            assert balances[Currency("USDT")] == 10_000 - spent
            assert balances.get(Currency("BTC"), Decimal(0)) == sum((f.quantity for f in fills), Decimal(0))
        for name, order in kept.items():
            if order is not None:
                assert order.filled == sum((f.quantity for f in fills if f.client_id == name), Decimal(0))
        # and it goes on: kept ids are refused, working orders work
        working = [o for o in kept.values() if o is not None and o.status is OrderStatus.ACCEPTED]
        for order in working:
            await h.call(h.venue.cancel(h.account, order.client_id))
        assert await h.call(h.venue.open_orders(h.account)) == []
        if working:
            with pytest.raises(UnknownOutcomeError):
                await h.call(h.venue.place(_again(working[0].client_id, h)))
    finally:
        await h.venue.close()


def _again(client_id: ClientOrderId, h: PaperHarness) -> OrderCommand:
    return OrderCommand(
        client_id=client_id,
        account=h.account,
        instrument=BTC,
        side=OrderSide.BUY,
        type=OrderType.MARKET,
        quantity=h.size,
    )
