"""A running engine on a paper market in a folder of its own, reached through the in-process door."""

from __future__ import annotations

from contextlib import asynccontextmanager
from decimal import Decimal as D
from typing import TYPE_CHECKING, Any

from engine.control.host import EngineHost, build_engine
from engine.errors import JournalError
from engine.model.order import OrderStatus
from storage.journal import Journal
from tests.kit.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from engine.control.link import Delta
    from engine.control.local import LocalLink
    from engine.control.topics import Watcher
    from engine.control.views import BookView, OrderRow
    from engine.engine import Engine
    from storage.journal.engine_journal import EngineJournal

BTC = "SIM:BTC/USDT"


def fail(journal: EngineJournal) -> None:
    """Let the disk be full."""
    assert isinstance(journal, Journal)
    journal._fail(JournalError("The disk is full."))


class Deck:
    """An engine that runs, and what a console does with it.

    Args:
        host: Started.
    """

    def __init__(self, host: EngineHost) -> None:
        assert host.engine is not None
        self.host = host
        self.engine: Engine = host.engine
        self.link: LocalLink = host.link(wire=True)

    async def call(self, operation: str, request_id: str | None = None, /, **params: Any) -> Any:
        """Run an operation; every reply has been encoded, decoded and compared."""
        return await self.link.call(operation, params, request_id=request_id)

    def watch(self, topic: str, **filters: Any) -> tuple[list[Delta], Watcher]:
        """Everything a topic says from now on."""
        heard: list[Delta] = []
        return heard, self.link.subscribe(topic, heard.append, **filters)

    async def book(self, instrument: str = BTC) -> BookView:
        """The book, once both sides are there."""
        found: BookView = await self.call("market.book", instrument=instrument, depth=5)
        return found

    async def limit(self, side: str = "buy", quantity: str = "0.002", away: float = 0.05, **more: Any) -> OrderRow:
        """An order that rests so far from the best price."""
        book = await self.book()
        best = book.bids[0][0] if side == "buy" else book.asks[0][0]
        ticks = int(best * (1 - away if side == "buy" else 1 + away)) // book.tick * book.tick
        price = str(D(ticks).scaleb(-book.price_scale))
        row: OrderRow = await self.call(
            "orders.place", instrument=BTC, side=side, type="limit", quantity=quantity, price=price, **more
        )
        return row

    async def market(self, side: str = "buy", quantity: str = "0.002", **more: Any) -> OrderRow:
        """A market order that has been filled."""
        row: OrderRow = await self.call("orders.place", instrument=BTC, side=side, quantity=quantity, **more)
        await self.reaches(row, OrderStatus.FILLED)
        return row

    async def reaches(self, row: OrderRow, *statuses: OrderStatus) -> None:
        """Wait for an order to get into one of these states."""

        def there() -> bool:
            order = self.engine.state.order(row.client_id)
            return order is not None and order.status in statuses

        await eventually(there)
        await self.engine.journal.wait_durable(self.engine.ledger.seq)


@asynccontextmanager
async def deck(home: Path, **settings: Any) -> AsyncIterator[Deck]:
    """Start an engine, and stop it in the end. Settings are written with `__` for the dot."""
    given = {name.replace("__", "."): value for name, value in settings.items()}
    overrides = {"paper.latency_ms": 0, "paper.latency_jitter_ms": 0, "paper.seed": 7, **given}
    host = build_engine(home, overrides)
    try:
        await host.start()
        found = Deck(host)
        await eventually(lambda: all(m.quote() is not None for m in found.engine.hub.markets.values()))
        yield found
    finally:
        await host.stop()
