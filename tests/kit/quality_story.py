"""One trade whose every figure is worked out by hand: a market buy, a limit sale that is not whole, a market sale.

| order | decided at | sent at | executed | fee |
|---|---|---|---|---|
| buy 2, market | 100 | 101 | 2 at 102 | 0.40 |
| sell 2, limit 110 | 111 | 110.5 | 1.5 at 110, the rest cancelled | 0.10 |
| sell 0.5, market | 109 | 109 | 0.5 at 108.8 | 0.05 |
"""

from __future__ import annotations

from decimal import Decimal as D

from engine import events as ev
from engine.model.account import Account, TradingMode
from engine.model.fill import Fill
from engine.model.ids import AccountId, ClientOrderId, Currency, InstrumentId, Owner, TradeId, VenueId, VenueOrderId
from engine.model.instrument import Instrument, InstrumentKind, InstrumentRules
from engine.model.order import Decision, Liquidity, OrderSide, OrderType
from engine.model.quality_facts import MarkOut

__all__ = ["BOT", "BTC", "PAPER", "story"]

PAPER, USDT, VENUE, BOT = AccountId("paper"), Currency("USDT"), VenueId("SIM"), Owner("bot-1")
S, MS = 1_000_000_000, 1_000_000
BTC = Instrument(
    id=InstrumentId("SIM:BTC/USDT"),
    venue=VENUE,
    symbol="BTC/USDT",
    kind=InstrumentKind.SPOT,
    base=Currency("BTC"),
    quote=USDT,
    settle=USDT,
    rules=(InstrumentRules(valid_from=0, price_tick=D("0.01"), lot=D("0.001")),),
)


class _Teller:
    def __init__(self, start: int) -> None:
        self.records: list[ev.Record] = []
        self.start = start

    def at(self, ms: int, event: ev.Event) -> None:
        self.records.append(ev.Record(len(self.records) + 1, self.start + ms * MS, 1, event))

    def order(
        self, ms: int, name: str, side: OrderSide, quantity: str, decided: str, sent: str, price: str | None = None
    ) -> None:
        """Intended, durable 20 ms later, sent 50 ms later, accepted after a second; a spread of 0.2 around a middle."""
        self.at(
            ms,
            ev.OrderIntended(
                client_id=ClientOrderId(name),
                account=PAPER,
                instrument=BTC.id,
                owner=BOT,
                side=side,
                type=OrderType.MARKET if price is None else OrderType.LIMIT,
                quantity=D(quantity),
                reserve_currency=USDT if side is OrderSide.BUY else Currency("BTC"),
                reserve_unit=D(1),
                decision=Decision(
                    reason="averages crossed", best_bid=D(decided) - D("0.1"), best_ask=D(decided) + D("0.1"),
                    strategy="trend_following@1",
                ),
                price=None if price is None else D(price),
            ),
        )  # fmt: skip
        now = self.start + ms * MS
        bid, ask = D(sent) - D("0.1"), D(sent) + D("0.1")
        self.at(
            ms + 50,
            ev.OrderSubmitted(client_id=ClientOrderId(name), durable=now + 20 * MS, best_bid=bid, best_ask=ask),
        )
        self.at(
            ms + 1000,
            ev.OrderAccepted(client_id=ClientOrderId(name), venue_order_id=VenueOrderId(f"v{name}"), ts=now + 900 * MS),
        )

    def fill(self, ms: int, name: str, side: OrderSide, quantity: str, price: str, fee: str, *, maker: bool) -> None:
        self.at(
            ms,
            ev.OrderFilled(
                fill=Fill(
                    venue=VENUE,
                    account=PAPER,
                    instrument=BTC.id,
                    trade_id=TradeId(f"t{name}"),
                    venue_order_id=VenueOrderId(f"v{name}"),
                    client_id=ClientOrderId(name),
                    side=side,
                    price=D(price),
                    quantity=D(quantity),
                    fee=D(fee),
                    fee_currency=USDT,
                    liquidity=Liquidity.MAKER if maker else Liquidity.TAKER,
                    ts=self.start + ms * MS,
                )
            ),
        )


def story(start: int = 1_700_000_000 * S) -> list[ev.Record]:
    """The facts, numbered from 1; the trade begins a second after `start` (UTC nanoseconds)."""
    tell = _Teller(start)
    tell.at(0, ev.EpochOpened(epoch=1, instance="abcdefgh"))
    tell.at(0, ev.AccountOpened(account=Account(id=PAPER, venue=VENUE, mode=TradingMode.PAPER, base_currency=USDT)))
    tell.at(0, ev.InstrumentDefined(instrument=BTC))
    tell.at(0, ev.Deposited(account=PAPER, currency=USDT, amount=D(10_000)))
    tell.at(0, ev.BotCreated(bot=BOT, name="trend-1", config=b"{}", capital=D(1000), currency=USDT))
    tell.at(
        990,
        ev.SignalRaised(
            bot=BOT, instrument=BTC.id, action="enter", direction="buy", confidence=0.7, reason="averages crossed",
            ts=start,
        ),
    )  # fmt: skip
    tell.order(1_000, "Q1", OrderSide.BUY, "2", "100", "101")
    tell.fill(2_100, "Q1", OrderSide.BUY, "2", "102", "0.40", maker=False)
    bought = start + 2_100 * MS
    marks = (MarkOut(60 * S, D(103), bought + 60 * S),)
    tell.at(62_200, ev.MarkOutRecorded(client_id=ClientOrderId("Q1"), fill_ts=bought, marks=marks))
    tell.order(70_000, "Q2", OrderSide.SELL, "2", "111", "110.5", "110")
    tell.fill(72_000, "Q2", OrderSide.SELL, "1.5", "110", "0.10", maker=True)
    marks = (MarkOut(300 * S),)
    tell.at(310_000, ev.MarkOutRecorded(client_id=ClientOrderId("Q1"), fill_ts=bought, marks=marks))
    tell.at(400_000, ev.OrderCancelRequested(client_id=ClientOrderId("Q2"), reason="too slow"))
    tell.at(400_100, ev.OrderCanceled(client_id=ClientOrderId("Q2"), reason="too slow", ts=start + 400_100 * MS))
    tell.order(401_000, "Q3", OrderSide.SELL, "0.5", "109", "109")
    tell.fill(402_500, "Q3", OrderSide.SELL, "0.5", "108.8", "0.05", maker=False)
    marks = (MarkOut(900 * S, D(101), bought + 900 * S),)
    tell.at(903_000, ev.MarkOutRecorded(client_id=ClientOrderId("Q1"), fill_ts=bought, marks=marks, last=True))
    return tell.records
