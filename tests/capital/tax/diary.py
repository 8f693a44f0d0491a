"""A history of a few facts, written down day by day."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from engine import events as ev
from engine.capital.tax.report import TaxReport, tax_report, write_csv
from engine.model.account import Account, TradingMode
from engine.model.fill import Fill
from engine.model.ids import AccountId, ClientOrderId, Currency, InstrumentId, TradeId, VenueId, VenueOrderId
from engine.model.instrument import Instrument, InstrumentKind, InstrumentRules
from engine.model.order import Liquidity, OrderSide

if TYPE_CHECKING:
    from engine.capital.tax.lots import LotMethod

__all__ = ["OTHER", "OWN", "PERP", "Diary", "moment", "rows_of"]

OWN, OTHER = AccountId("own"), AccountId("other")
PERP = "X:BTC/USDT-PERP"
VENUE = VenueId("X")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def moment(text: str) -> int:
    """UTC nanoseconds of a time as ISO 8601."""
    return (datetime.fromisoformat(text).replace(tzinfo=UTC) - EPOCH) // timedelta(microseconds=1) * 1000


def market(base: str, quote: str, kind: InstrumentKind = InstrumentKind.SPOT) -> Instrument:
    """An instrument of the one venue."""
    suffix = "" if kind is InstrumentKind.SPOT else "-PERP"
    return Instrument(
        id=InstrumentId(f"{VENUE}:{base}/{quote}{suffix}"),
        venue=VENUE,
        symbol=f"{base}/{quote}{suffix}",
        kind=kind,
        base=Currency(base),
        quote=Currency(quote),
        settle=Currency(quote),
        rules=(InstrumentRules(valid_from=0, price_tick=Decimal("0.01"), lot=Decimal("0.001")),),
        multiplier=Decimal(1),
    )


class Diary:
    """Facts of two accounts at one venue, each at the moment that was set last."""

    def __init__(self, moment_of_opening: str = "2025-01-01") -> None:
        self.records: list[ev.Record] = []
        self.now = moment(moment_of_opening)
        self._trades = 0
        for account in (OWN, OTHER):
            opened = Account(id=account, venue=VENUE, mode=TradingMode.PAPER, base_currency=Currency("USDT"))
            self.book(ev.AccountOpened(account=opened))
        for pair in (("BTC", "USDT"), ("ETH", "USDT"), ("ETH", "BTC"), ("BNB", "USDT")):
            self.book(ev.InstrumentDefined(instrument=market(*pair)))
        self.book(ev.InstrumentDefined(instrument=market("BTC", "USDT", InstrumentKind.LINEAR_PERPETUAL)))

    def at(self, text: str) -> Diary:
        """Set the moment of what follows."""
        self.now = moment(text)
        return self

    def book(self, event: ev.Event) -> Diary:
        """Add a fact."""
        self.records.append(ev.Record(len(self.records) + 1, self.now, 1, event))
        return self

    def trade(
        self, side: str, quantity: str, price: str, fee: str = "0 USDT", instrument: str = "X:BTC/USDT", **more: Any
    ) -> Diary:
        """An execution; the fee is an amount and a currency."""
        self._trades += 1
        amount, currency = fee.split()
        fill = Fill(
            venue=VENUE,
            account=more.get("account", OWN),
            instrument=InstrumentId(instrument),
            trade_id=TradeId(more.get("trade", f"t{self._trades}")),
            venue_order_id=VenueOrderId("v1"),
            client_id=ClientOrderId(""),
            side=OrderSide(side),
            price=Decimal(price),
            quantity=Decimal(quantity),
            fee=Decimal(amount),
            fee_currency=Currency(currency),
            liquidity=Liquidity.TAKER,
            ts=more.get("ts", self.now),
        )
        return self.book(ev.ExternalFillSeen(fill=fill))

    def deposit(self, amount: str, currency: str, account: AccountId = OWN, reference: str = "") -> Diary:
        """Units that arrive."""
        return self.book(
            ev.Deposited(account=account, currency=Currency(currency), amount=Decimal(amount), reference=reference)
        )

    def withdraw(self, amount: str, currency: str, account: AccountId = OWN, reference: str = "") -> Diary:
        """Units that leave."""
        return self.book(
            ev.Withdrawn(account=account, currency=Currency(currency), amount=Decimal(amount), reference=reference)
        )

    def transfer(self, amount: str, currency: str) -> Diary:
        """Units that move from the own to the other account."""
        return self.book(ev.Transferred(source=OWN, target=OTHER, currency=Currency(currency), amount=Decimal(amount)))

    def mark(self, instrument: str, price: str) -> Diary:
        """A price that is told."""
        return self.book(ev.MarkRecorded(instrument=InstrumentId(instrument), price=Decimal(price), ts=self.now))

    def report(self, method: LotMethod = "fifo", year: int = 2026, currency: str = "USDT", **more: Any) -> TaxReport:
        """The report of it."""
        return tax_report(self.records, year=year, method=method, currency=Currency(currency), **more)


def rows_of(report: TaxReport) -> list[dict[str, str]]:
    """A report's rows, read back from its CSV."""
    text = io.StringIO()
    write_csv(report, text)
    return list(csv.DictReader(text.getvalue().splitlines()))
