"""Venues as a console is shown them: one that is well, and one that is away."""

from __future__ import annotations

from decimal import Decimal

from engine.control.views_venues import AccountRow, FoundInstrument, StreamRow, VenueRow
from engine.model.account import TradingMode
from engine.model.ids import AccountId, Currency, InstrumentId, VenueId
from engine.model.instrument import InstrumentKind
from tests.kit.fake_market import NOW

__all__ = ["found", "venues"]


def venues() -> list[VenueRow]:
    """The simulated market, and an exchange that cannot be reached."""
    return [_venue("SIM", "online", ""), _venue("OKX", "offline", "OKX cannot be reached: nobody answers.")]


def _venue(name: str, state: str, reason: str) -> VenueRow:
    up = state == "online"
    account = AccountRow(
        id=AccountId("paper" if up else "paper-okx"),
        venue=VenueId(name),
        mode=TradingMode.PAPER,
        currency=Currency("USDT"),
        known=up,
        equity=Decimal(10_000) if up else None,
    )
    stream = StreamRow(
        name="public 1",
        up=up,
        since=NOW,
        heard=NOW,
        messages=4_211,
        reconnects=0,
        reason="" if up else "the connection was refused",
    )
    return VenueRow(
        id=VenueId(name),
        mode=TradingMode.PAPER,
        state=state,
        reason=reason,
        since=NOW,
        attempts=0 if up else 3,
        losses=0,
        breaker="closed",
        accounts=(account,),
        streams=(stream,),
        latency_ms=12.4 if up else None,
        clock_offset_ms=-3.0 if up else None,
        limits={"weight": 0.24} if up else {},
        paused_until=0,
        heard_ms=200.0 if up else None,
        markets=4,
        live_markets=4 if up else 0,
        open_orders=0,
        unknown_orders=0,
        instruments=4,
    )


def found(symbol: str = "SOL/USDT", venue: str = "OKX") -> FoundInstrument:
    """An instrument that is not watched."""
    return FoundInstrument(
        id=InstrumentId(f"{venue}:{symbol}"),
        symbol=symbol,
        venue=VenueId(venue),
        kind=InstrumentKind.SPOT,
        price_tick=Decimal("0.01"),
        lot=Decimal("0.001"),
        min_notional=Decimal(5),
        maker_fee=Decimal("0.001"),
        taker_fee=Decimal("0.001"),
        watched=False,
    )
