"""Questions to Coinbase that take several pages, and the names of orders behind executions."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from engine.errors import ExchangeError, NotFoundError
from engine.model.ids import ClientOrderId, VenueOrderId
from engine.venues.coinbase import table
from engine.venues.coinbase.values import iso_ns, iso_text
from engine.venues.coinbase.wire import AccountPage, FillPage, OneOrder, OrderPage, ProductList, decoded
from engine.venues.native.search import LISTING_CUT, Named

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from engine.venues.coinbase.wire import Account, FillRow, OrderRow, Product
    from engine.venues.native.request import Endpoint
    from engine.venues.native.search import Search

    Ask = Callable[[Endpoint, dict[str, Any]], Awaitable[bytes]]

__all__ = ["fill_rows", "name_orders", "named", "order_row", "order_rows", "product_rows", "wallets"]

PAGES = 10_000
"""More pages than any account has: a cursor that leads in a circle ends here."""
FEW = 10
"""So many orders are asked for one by one; for more, all orders are listed."""


def _endless(what: str) -> ExchangeError:
    return ExchangeError(f"Coinbase's list of {what} does not end; what it lacks is not known.", error_code="endless")


async def product_rows(ask: Ask) -> list[Product]:
    """All spot products."""
    found: list[Product] = []
    params: dict[str, Any] = {"product_type": "SPOT"}
    for _ in range(PAGES):
        page = decoded(ProductList, await ask(table.PRODUCTS, params))
        found += page.products
        more = page.pagination
        if more is None or not more.has_next or not more.next_cursor:
            return found
        params = {**params, "cursor": more.next_cursor}
    raise _endless("products")


async def wallets(ask: Ask) -> list[Account]:
    """All wallets of an account."""
    found: list[Account] = []
    params: dict[str, Any] = {"limit": "250"}
    for _ in range(PAGES):
        page = decoded(AccountPage, await ask(table.ACCOUNTS, params))
        found += page.accounts
        if not page.has_next:
            return found
        params = _on(params, page.cursor, "wallets")
    raise _endless("wallets")


async def order_rows(
    ask: Ask, endpoint: Endpoint, statuses: tuple[str, ...] = (), start: int | None = None
) -> list[OrderRow]:
    """All orders, every page of them.

    Args:
        ask: Sends a request.
        endpoint: Which row of the table stands for it.
        statuses: Only these; none for all. Coinbase takes `OPEN` only alone.
        start: Only those created from then on, UTC nanoseconds; None for all.

    Raises:
        ExchangeError: The list breaks off: what it lacks is not known.
    """
    found: dict[str, OrderRow] = {}
    params: dict[str, Any] = {"limit": str(table.ORDERS_A_PAGE)}
    if statuses:
        params["order_status"] = list(statuses)
    if start is not None:
        params["start_date"] = iso_text(max(0, start))
    for _ in range(PAGES):
        page = decoded(OrderPage, await ask(endpoint, params))
        for row in page.orders:
            found[row.order_id] = row
        if not page.has_next:
            return list(found.values())
        params = _on(params, page.cursor, "orders")
    raise _endless("orders")


def _on(params: dict[str, Any], cursor: str, what: str) -> dict[str, Any]:
    """The parameters of the next page."""
    if not cursor or cursor == params.get("cursor"):
        raise ExchangeError(
            f"Coinbase's list of {what} breaks off: it says that there is more and not where.", error_code=LISTING_CUT
        )
    return {**params, "cursor": cursor}


async def order_row(ask: Ask, number: VenueOrderId) -> OrderRow | None:
    """One order by Coinbase's id; None where it is not shown."""
    try:
        return decoded(OneOrder, await ask(table.ORDER, {"order_id": number})).order
    except NotFoundError:
        return None


async def fill_rows(ask: Ask, *, start: int | None = None, orders: Iterable[VenueOrderId] = ()) -> list[FillRow]:
    """All executions, every page of them.

    Args:
        ask: Sends a request.
        start: Only those from then on in Coinbase's sequence, UTC nanoseconds; None for all.
        orders: Only of these; none for all.
    """
    found: list[FillRow] = []
    params: dict[str, Any] = {"limit": str(table.ORDERS_A_PAGE)}
    if numbers := list(orders):
        params["order_ids"] = numbers
    if start is not None:
        params["start_sequence_timestamp"] = iso_text(start)
    for _ in range(PAGES):
        page = decoded(FillPage, await ask(table.FILLS, params))
        found += page.fills
        # A full page has a cursor behind it even where it is the last one; the next is empty then.
        if not page.fills or not page.cursor or page.cursor == params.get("cursor"):
            return found
        params = {**params, "cursor": page.cursor}
    raise _endless("executions")


def named(row: OrderRow) -> Named:
    """What a row says about the order's names."""
    return Named(ClientOrderId(row.client_order_id), VenueOrderId(row.order_id), iso_ns(row.created_time))


async def name_orders(
    ask: Ask, search: Search[OrderRow], numbers: Iterable[VenueOrderId]
) -> dict[VenueOrderId, ClientOrderId]:
    """The client's ids of orders. Raises ExchangeError while one of them cannot be named."""
    wanted = set(numbers)
    missing = [number for number in wanted if search.client_id(number) is None]
    strange: dict[VenueOrderId, ClientOrderId] = {}
    if len(missing) > FEW:
        for row in await order_rows(ask, table.HISTORY):
            _learn(search, row, strange)
        missing = [number for number in missing if search.client_id(number) is None and number not in strange]
    for found in await asyncio.gather(*(order_row(ask, number) for number in missing)):
        if found is None:
            raise ExchangeError("Coinbase lists an execution of an order that it does not show yet; ask again.")
        _learn(search, found, strange)
    return {number: search.client_id(number) or strange[number] for number in wanted}


def _learn(search: Search[OrderRow], row: OrderRow, strange: dict[VenueOrderId, ClientOrderId]) -> None:
    names = named(row)
    search.learn(*names)
    # One that was made elsewhere may have no client id.
    strange[names.number] = names.client_id
