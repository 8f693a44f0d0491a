"""The same afternoon with a second venue that has two accounts: every kind of row is there for each place."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec

from engine.control import views
from engine.model.account import TradingMode
from engine.model.ids import AccountId, ClientOrderId, InstrumentId, VenueId
from tests.kit.fake_data import PAPER
from tests.kit.fake_market import SIM

if TYPE_CHECKING:
    from tests.kit.fake_link import FakeLink

__all__ = ["OKX", "OKX_BTC", "places", "spread"]

OKX = VenueId("OKX")
OKX_BTC = InstrumentId("OKX:BTC/USDT")
MAIN, HEDGE = AccountId("main"), AccountId("hedge")
replace = msgspec.structs.replace


def places() -> tuple[views.Place, ...]:
    """A paper account, and two accounts with real money at an exchange."""
    return (
        views.Place(venue=SIM, account=PAPER, mode=TradingMode.PAPER),
        views.Place(venue=OKX, account=MAIN, mode=TradingMode.LIVE),
        views.Place(venue=OKX, account=HEDGE, mode=TradingMode.LIVE),
    )


def spread(link: FakeLink) -> FakeLink:
    """Give a link's data a second venue."""
    data: dict[str, Any] = link.data
    data["engine.status"] = replace(data["engine.status"], mode=TradingMode.LIVE, places=places())
    for name in ("instruments.list", "market.tickers"):
        rows = data[name]
        key = "id" if name == "instruments.list" else "instrument"
        data[name] = type(rows)([*rows, _there(rows[0], **{key: OKX_BTC})])
    if data["instruments.list"]:
        data["instruments.list"][-1] = replace(data["instruments.list"][-1], venue=OKX)
    for name, ids in (("orders.open", "client_id"), ("orders.fills", "client_id")):
        rows = data[name]
        more = [
            _there(rows[0], instrument=OKX_BTC, account=account, **{ids: ClientOrderId(f"z{number}")})
            for number, account in enumerate((MAIN, HEDGE))
        ]
        if name == "orders.fills":
            more = [replace(row, seq=9_121 + number) for number, row in enumerate(more)]
            rows = [replace(row, account=PAPER) for row in rows]
        data[name] = type(data[name])([*rows, *more])
    held = data["portfolio.positions"]
    data["portfolio.positions"] = (
        *held,
        _there(held[0], instrument=OKX_BTC, account=MAIN),
        _there(held[0], instrument=OKX_BTC, account=HEDGE, quantity=Decimal("-0.02")),
    )
    balances = data["portfolio.balances"]
    data["portfolio.balances"] = type(balances)([
        *(replace(row, account=PAPER) for row in balances),
        replace(balances[0], account=MAIN, total=Decimal("2500"), free=Decimal("2500"), value=Decimal("2500")),
        replace(balances[0], account=HEDGE, total=Decimal("750"), free=Decimal("750"), value=None, share=None),
    ])  # fmt: skip
    bots = data["bots.list"]
    data["bots.list"] = [*(replace(row, account=PAPER) for row in bots[1:]), _there(bots[0], instrument=OKX_BTC)]
    data["bots.list"][-1] = replace(data["bots.list"][-1], account=HEDGE)
    return link


def _there(row: Any, **changes: Any) -> Any:
    return replace(row, **changes)
