"""Short names for building instruments, commands and exchanges, and for reading reports."""

from __future__ import annotations

from decimal import Decimal
from itertools import count
from typing import TYPE_CHECKING

from engine.events import OrderFilled
from engine.model.ids import AccountId, ClientOrderId, Currency, InstrumentId, TradeId, VenueId
from engine.model.instrument import Instrument, InstrumentKind, InstrumentRules
from engine.model.market import BookUpdate, MarketTrade
from engine.model.order import OrderSide, OrderType, TimeInForce
from engine.model.venue import OrderCommand
from engine.venues.paper.exchange import PaperExchange
from engine.venues.paper.settings import BarFillSettings, PaperSettings, SlippageModel

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from engine.model.fill import Fill
    from engine.venues.paper.fill_model import FillKind
    from engine.venues.paper.orders import Report

D = Decimal
SIM = VenueId("SIM")
PAPER = AccountId("paper")
BTC = InstrumentId("SIM:BTC/USDT")
MINUTE = 60_000_000_000
START = 1_700_000_000_000_000_000

PLAIN_BARS = BarFillSettings(half_spread_bps=0, slippage=SlippageModel.NONE, participation=None)
"""The house's path and gap rules without costs and caps, so that golden prices are round."""

_ids = count(1)


def make_instrument(
    *,
    tick: str = "0.01",
    lot: str = "0.001",
    min_notional: str = "0",
    min_quantity: str = "0",
    max_quantity: str = "0",
    maker: str = "0",
    taker: str = "0",
) -> Instrument:
    """BTC/USDT with these rules."""
    rules = InstrumentRules(
        valid_from=0,
        price_tick=D(tick),
        lot=D(lot),
        min_notional=D(min_notional),
        min_quantity=D(min_quantity),
        max_quantity=D(max_quantity),
        maker_fee=D(maker),
        taker_fee=D(taker),
    )
    return Instrument(
        id=BTC,
        venue=SIM,
        symbol="BTC/USDT",
        kind=InstrumentKind.SPOT,
        base=Currency("BTC"),
        quote=Currency("USDT"),
        settle=Currency("USDT"),
        rules=(rules,),
    )


def make_exchange(
    kind: FillKind,
    *,
    settings: PaperSettings | None = None,
    instrument: Instrument | None = None,
    balances: Mapping[str, str] | None = None,
    track: bool = False,
) -> PaperExchange:
    """An exchange with one instrument and one account."""
    exchange = PaperExchange(
        SIM,
        [instrument or make_instrument()],
        settings or PaperSettings(bars=PLAIN_BARS),
        kind=kind,
        track=track,
    )
    held = balances or {"USDT": "1000000", "BTC": "1000"}
    exchange.open_account(PAPER, {Currency(c): D(a) for c, a in held.items()})
    return exchange


def order(
    side: str,
    kind: str = "market",
    quantity: str = "1",
    *,
    price: str | None = None,
    stop: str | None = None,
    tif: str = "GTC",
    client_id: str | None = None,
    post_only: bool = False,
    reduce_only: bool = False,
    oco: str | None = None,
) -> OrderCommand:
    """A command; `kind` is market, limit, stop or target."""
    types = {
        "market": OrderType.MARKET,
        "limit": OrderType.LIMIT,
        "stop": OrderType.STOP_LOSS,
        "target": OrderType.TAKE_PROFIT,
    }
    return OrderCommand(
        client_id=ClientOrderId(client_id or f"c{next(_ids)}"),
        account=PAPER,
        instrument=BTC,
        side=OrderSide(side),
        type=types[kind],
        quantity=D(quantity),
        price=None if price is None else D(price),
        stop_price=None if stop is None else D(stop),
        tif=TimeInForce(tif),
        post_only=post_only,
        reduce_only=reduce_only,
        oco_group=oco,
    )


def names(reports: Sequence[Report]) -> list[str]:
    """The facts' names without `Order`."""
    return [type(event).__name__.removeprefix("Order") for _, event in reports]


def fills(reports: Sequence[Report]) -> list[Fill]:
    """The executions among reports."""
    return [event.fill for _, event in reports if isinstance(event, OrderFilled)]


def executions(reports: Sequence[Report]) -> list[str]:
    """Executions as `side quantity@price role`."""
    return [f"{f.side} {f.quantity.normalize():f}@{f.price.normalize():f} {f.liquidity}" for f in fills(reports)]


def levels(*pairs: tuple[str, str]) -> tuple[tuple[int, int], ...]:
    """Book levels from (price, quantity) texts."""
    return tuple((int(D(p) * 10**8), int(D(q) * 10**8)) for p, q in pairs)


def snapshot(
    bids: Sequence[tuple[str, str]], asks: Sequence[tuple[str, str]], *, seq: int = 1, ts: int = START
) -> BookUpdate:
    """A whole book."""
    return BookUpdate(BTC, ts, seq, snapshot=True, bids=levels(*bids), asks=levels(*asks))


def update(
    seq: int, *, bids: Sequence[tuple[str, str]] = (), asks: Sequence[tuple[str, str]] = (), ts: int = START
) -> BookUpdate:
    """Changed levels."""
    return BookUpdate(BTC, ts, seq, snapshot=False, bids=levels(*bids), asks=levels(*asks))


def trade(price: str, quantity: str, aggressor: str, ts: int = START) -> MarketTrade:
    """A public trade."""
    return MarketTrade(
        BTC, ts, TradeId(f"m{next(_ids)}"), int(D(price) * 10**8), int(D(quantity) * 10**8), OrderSide(aggressor)
    )
