"""Valid histories by the thousand: a seeded maker of facts, for property tests and for the recorded mix of a session.

One maker serves both: property tests hand it a source of randomness that hypothesis controls and shrinks, benchmarks a
seeded one. Each fact is folded as it is made, so a history never contradicts itself.
"""

from __future__ import annotations

import random
from collections import Counter
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec
from hypothesis import strategies as st

from engine import events as ev
from engine.model.account import Account, TradingMode
from engine.model.fill import Fill, FillCause
from engine.model.ids import AccountId, ClientOrderId, Currency, InstrumentId, Owner, TradeId, VenueId, VenueOrderId
from engine.model.impact import ImpactEstimate
from engine.model.instrument import Instrument, InstrumentKind, InstrumentRules
from engine.model.order import Decision, Liquidity, Order, OrderSide, OrderStatus, OrderType, TimeInForce
from engine.state import EngineState
from tests.kit.rare_facts import RARE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["PROPERTY_MIX", "SESSION_MIX", "HistoryMaker", "histories", "kinds", "session"]

VENUE = VenueId("SIM")
PAPER, SPARE = AccountId("paper"), AccountId("spare")
USDT, BNB = Currency("USDT"), Currency("BNB")
START = 1_700_000_000_000_000_000
MS = 1_000_000

SESSION_MIX: Mapping[str, int] = {
    "order": 32, "progress": 100, "cancel": 3, "mark": 8, "equity": 4, "signal": 3, "memory": 4,
    "bot": 1, "refused": 1, "risk": 1, "deposit": 1,
}  # fmt: skip
"""What a session of ten bots on spot and a perpetual books: mostly orders and what becomes of them."""

PROPERTY_MIX: Mapping[str, int] = {
    "order": 22, "progress": 40, "cancel": 6, "amend": 3, "late": 5, "repeat": 4, "oco": 3, "mark": 8, "equity": 5,
    "signal": 2, "memory": 2, "bot": 3, "refused": 2, "risk": 3, "deposit": 3, "withdraw": 2, "transfer": 2,
    "adjust": 2, "funding": 3, "interest": 2, "external": 4, "engine": 2,
    "hand_over": 1, "adopt": 2, "check": 2, "scenario": 2, "perpetual": 6, "guard": 4, "measured": 2, "capital": 5,
    "parent": 5, "quality": 5, "limit": 2, "restart": 2,
}  # fmt: skip
"""Everything that can happen, the rare things often."""


def _instrument(base: str, quote: str, kind: InstrumentKind, tick: str, lot: str, multiplier: str = "1") -> Instrument:
    suffix = "-PERP" if kind is InstrumentKind.LINEAR_PERPETUAL else ""
    return Instrument(
        id=InstrumentId(f"{VENUE}:{base}/{quote}{suffix}"),
        venue=VENUE,
        symbol=f"{base}/{quote}{suffix}",
        kind=kind,
        base=Currency(base),
        quote=Currency(quote),
        settle=Currency(quote),
        rules=(InstrumentRules(valid_from=0, price_tick=Decimal(tick), lot=Decimal(lot), taker_fee=Decimal("0.001")),),
        multiplier=Decimal(multiplier),
    )


INSTRUMENTS = (
    (_instrument("BTC", "USDT", InstrumentKind.SPOT, "0.01", "0.00001"), 4_300_000),
    (_instrument("ETH", "USDT", InstrumentKind.SPOT, "0.01", "0.0001"), 230_000),
    (_instrument("ETH", "BTC", InstrumentKind.SPOT, "0.00001", "0.0001"), 5_300),
    (_instrument("SOL", "USDT", InstrumentKind.SPOT, "0.01", "0.001"), 9_700),
    (_instrument("BTC", "USDT", InstrumentKind.LINEAR_PERPETUAL, "0.1", "1", "0.001"), 430_100),
)
"""Instruments and their first price in ticks."""


_IMPACT = ImpactEstimate(cost=0.0007, half_spread=0.0001, walk=0.0007, scale=0.001, volume_share=0.01)


class HistoryMaker:
    """Makes one history, fact by fact.

    Args:
        rng: The only source of chance.
        bots: How many bots it begins with.
        mix: Weight of each action.
        wanted_open: Orders that shall be open at a time; beyond it no new ones are intended.
    """

    def __init__(
        self, rng: random.Random, *, bots: int = 10, mix: Mapping[str, int] = SESSION_MIX, wanted_open: int = 30
    ) -> None:
        self.rng = rng
        self.state = EngineState()
        self.records: list[ev.Record] = []
        self._actions: list[Callable[[], None]] = [
            partial(RARE[name], self) if name in RARE else getattr(self, f"_{name}") for name in mix
        ]
        self._weights = list(mix.values())
        self._wanted_open = wanted_open
        self._ts = START
        self._epoch = 1
        self.orders, self._trades, self._groups, self._correlation = 0, 0, 0, ""
        self._prices = {instrument.id: ticks for instrument, ticks in INSTRUMENTS}
        self._fills: list[Fill] = []
        self._owners: list[Owner] = [Owner("manual")]
        self._begin(bots)

    def grow(self, facts: int) -> list[ev.Record]:
        """Add actions until the history has at least so many facts; returns the whole history."""
        while len(self.records) < facts:
            self.rng.choices(self._actions, self._weights)[0]()
        return self.records

    def book(self, event: ev.Event) -> None:
        """Number a fact, fold it and keep it."""
        self._ts += self.rng.randrange(1, 40) * MS
        record = ev.Record(self.state.seq + 1, self._ts, self._epoch, event, self._correlation)
        self.state.apply(record)
        self.records.append(record)

    def _begin(self, bots: int) -> None:
        self.book(ev.EpochOpened(epoch=1, instance="q1w2e3r4"))
        self.book(ev.EngineStarted(instance="q1w2e3r4", release="2.0.0", pid=4242))
        for account in (PAPER, SPARE):
            opened = Account(id=account, venue=VENUE, mode=TradingMode.PAPER, base_currency=USDT)
            self.book(ev.AccountOpened(account=opened))
        for instrument, _ in INSTRUMENTS:
            self.book(ev.InstrumentDefined(instrument=instrument))
        for currency, amount in (("USDT", "1000000"), ("BTC", "20"), ("ETH", "300"), ("SOL", "5000"), ("BNB", "50")):
            self.book(ev.Deposited(account=PAPER, currency=Currency(currency), amount=Decimal(amount)))
        for _ in range(bots):
            self._new_bot()

    def pick_instrument(self) -> Instrument:
        """One of the instruments."""
        instrument, _ = self.rng.choice(INSTRUMENTS)
        return instrument

    def price(self, instrument: Instrument, spread: int = 20) -> Decimal:
        """Its next price, not far from the last."""
        ticks = max(self._prices[instrument.id] + self.rng.randrange(-spread, spread + 1), spread)
        self._prices[instrument.id] = ticks
        return ticks * instrument.current_rules.price_tick

    def quantity(self, instrument: Instrument) -> Decimal:
        """Some lots of it."""
        return self.rng.randrange(1, 500) * instrument.current_rules.lot

    def _amount(self) -> Decimal:
        return Decimal(self.rng.randrange(1, 500_000)) / 100

    def _some_order(self) -> Order | None:
        orders = self.state.orders
        if not orders:
            return None
        # Among the oldest, so that orders end in the order of their age, more or less.
        ids = list(orders) if len(orders) < 8 else [key for key, _ in zip(orders, range(8), strict=False)]
        return orders[self.rng.choice(ids)]

    def _bot_ids(self) -> list[Owner]:
        return list(self.state.bots)

    # --- orders ------------------------------------------------------------------------------------------------------

    def _order(self) -> None:
        if len(self.state.orders) < self._wanted_open:
            self._intend(None)
        else:
            self._progress()

    def _oco(self) -> None:
        self._groups += 1
        instrument, side = self.pick_instrument(), self.rng.choice(list(OrderSide))
        for _ in range(self.rng.randrange(2, 4)):
            self._intend(f"g{self._groups}", instrument, side)

    def _intend(self, group: str | None, instrument: Instrument | None = None, side: OrderSide | None = None) -> None:
        rng = self.rng
        instrument = instrument or self.pick_instrument()
        owner = rng.choice(self._owners)
        side = side or self._useful_side(owner, instrument)
        kind = rng.choices(list(OrderType), (4, 5, 1, 1))[0]
        price = self.price(instrument)
        cash = instrument.kind is InstrumentKind.SPOT
        reserves_base = cash and side is OrderSide.SELL
        parents = [parent.id for parent in self.state.parents.values() if parent.instrument == instrument.id]
        self.orders += 1
        self._correlation = f"sig-{self.orders}"
        self.book(
            ev.OrderIntended(
                parent=rng.choice(parents) if parents else None,
                client_id=ClientOrderId(f"q1w2e3r4{self._epoch:02d}{self.orders:08d}"),
                account=PAPER,
                instrument=instrument.id,
                owner=owner,
                side=side,
                type=kind,
                quantity=self.quantity(instrument),
                reserve_currency=instrument.base if reserves_base else instrument.settle,
                reserve_unit=Decimal(1) if reserves_base else price * instrument.multiplier,
                decision=Decision(
                    reason="fast average crossed above slow average",
                    best_bid=price - instrument.current_rules.price_tick,
                    best_ask=price,
                    mark=price,
                    strategy=None if owner == "manual" else "trend_following@1",
                    params_hash=None if owner == "manual" else "5f2c9a81",
                    impact=_IMPACT if self.orders % 3 else None,
                ),
                price=price if kind is OrderType.LIMIT else None,
                stop_price=price if kind in (OrderType.STOP_LOSS, OrderType.TAKE_PROFIT) else None,
                tif=rng.choice(list(TimeInForce)) if kind is OrderType.LIMIT else TimeInForce.GTC,
                oco_group=group,
            )
        )
        self._correlation = ""

    def _useful_side(self, owner: Owner, instrument: Instrument) -> OrderSide:
        """Mostly against the owner's position, as bots close what they open; so lots stay few."""
        position = self.state.owned.get((owner, PAPER, instrument.id))
        if position is None or not position.lots or self.rng.random() < 0.2:
            return self.rng.choice(list(OrderSide))
        return OrderSide.SELL if position.lots[0].quantity > 0 else OrderSide.BUY

    def _progress(self) -> None:
        order = self._some_order()
        if order is None:
            self._intend(None)
            return
        chance = self.rng.random()
        if order.status is OrderStatus.PENDING and chance < 0.97:
            self.book(ev.OrderSubmitted(client_id=order.client_id))
        elif order.status in (OrderStatus.PENDING, OrderStatus.SUBMITTED) and chance < 0.02:
            self.book(ev.OrderOutcomeUnknown(client_id=order.client_id, reason="no answer within 5 s"))
        elif order.status in (OrderStatus.PENDING, OrderStatus.SUBMITTED, OrderStatus.UNKNOWN):
            self._answer(order, chance)
        elif order.stop_price is not None and not order.triggered:
            self.book(ev.OrderTriggered(client_id=order.client_id, ts=self._ts))
        elif chance < 0.04:
            self.book(ev.OrderExpired(client_id=order.client_id, reason="end of its time", ts=self._ts))
        else:
            self._fill(order, order.remaining)

    def _answer(self, order: Order, chance: float) -> None:
        if chance < 0.05 and not order.filled:
            self.book(
                ev.OrderRejected(client_id=order.client_id, code="INSUFFICIENT", reason="not enough", ts=self._ts)
            )
            return
        self.book(
            ev.OrderAccepted(
                client_id=order.client_id, venue_order_id=VenueOrderId(f"v{order.client_id[-8:]}"), ts=self._ts
            )
        )

    def _cancel(self) -> None:
        order = self._some_order()
        if order is None or order.status is OrderStatus.PENDING:
            return
        self.book(ev.OrderCancelRequested(client_id=order.client_id, reason="replaced"))
        if self.rng.random() < 0.15:
            self.book(
                ev.OrderCancelRejected(client_id=order.client_id, code="LATE", reason="already gone", ts=self._ts)
            )
        else:
            self.book(ev.OrderCanceled(client_id=order.client_id, reason="replaced", ts=self._ts))

    def _amend(self) -> None:
        order = self._some_order()
        if order is None or order.status not in (OrderStatus.ACCEPTED, OrderStatus.PARTIALLY_FILLED):
            return
        instrument = self.state.instruments[order.instrument]
        key, quantity = order.client_id, order.filled + self.quantity(instrument)
        price = self.price(instrument) if order.price is not None else None
        chance = self.rng.random()
        if chance < 0.8:
            unit = order.reserve_unit * 2 if order.reserve_unit != 1 else None
            self.book(ev.OrderAmendRequested(client_id=key, quantity=quantity, price=price, reserve_unit=unit))
        if chance < 0.1:
            self.book(ev.OrderCancelRejected(client_id=key, code="LATE", reason="cannot change", ts=self._ts))
        elif chance > 0.3:
            self.book(ev.OrderAmended(client_id=key, ts=self._ts, quantity=quantity, price=price))

    def _late(self) -> None:
        """A fill that was under way when its order ended: of what was left, of more than that, or of nothing left."""
        ended = list(self.state.recent.values())
        if ended:
            order = self.rng.choice(ended)
            instrument = self.state.instruments[order.instrument]
            self._fill(order, max(order.remaining, instrument.current_rules.lot) * self.rng.randrange(1, 3))

    def _repeat(self) -> None:
        """The same fill once more, as a stream and a query may both report it."""
        if self._fills:
            fill = self.rng.choice(self._fills[-20:])
            if self.state.order(fill.client_id) is not None:
                self.book(ev.OrderFilled(fill=fill))

    def _fill(self, order: Order, most: Decimal) -> None:
        instrument = self.state.instruments[order.instrument]
        lot = instrument.current_rules.lot
        quantity = most
        if most > lot and self.rng.random() < 0.3:
            quantity = self.rng.randrange(1, int(most / lot)) * lot
        fill = self._execution(order.client_id, instrument, order.side, quantity)
        self._fills.append(fill)
        self.book(ev.OrderFilled(fill=fill))

    def _execution(self, client_id: ClientOrderId, instrument: Instrument, side: OrderSide, quantity: Decimal) -> Fill:
        price = self.price(instrument)
        fee, currency = self._fee(instrument, side, price, quantity)
        self._trades += 1
        return Fill(
            venue=VENUE,
            account=PAPER,
            instrument=instrument.id,
            trade_id=TradeId(str(10_000_000 + self._trades)),
            venue_order_id=VenueOrderId(f"v{client_id[-8:]}"),
            client_id=client_id,
            side=side,
            price=price,
            quantity=quantity,
            fee=fee,
            fee_currency=currency,
            liquidity=self.rng.choice(list(Liquidity)),
            ts=self._ts,
        )

    def close_by_force(self, instrument: Instrument) -> None:
        """The venue closes a part of a position, all of it, or more than is known of."""
        position = self.state.position(PAPER, instrument.id)
        if position is None or not position.quantity:
            return
        lots = int(abs(position.quantity) / instrument.current_rules.lot)
        quantity = min(self.rng.randrange(1, lots + 1), lots) * instrument.current_rules.lot
        if self.rng.random() < 0.3:
            quantity += self.rng.randrange(3) * instrument.current_rules.lot + abs(position.quantity) - quantity
        side = OrderSide.SELL if position.quantity > 0 else OrderSide.BUY
        cause = self.rng.choice((FillCause.LIQUIDATION, FillCause.DELEVERAGING))
        fill = self._execution(ClientOrderId(""), instrument, side, quantity)
        self.book(ev.ExternalFillSeen(fill=msgspec.structs.replace(fill, cause=cause)))

    def _fee(
        self, instrument: Instrument, side: OrderSide, price: Decimal, quantity: Decimal
    ) -> tuple[Decimal, Currency]:
        chance = self.rng.random()
        cash = instrument.kind is InstrumentKind.SPOT
        if cash and side is OrderSide.BUY and chance < 0.15:
            return quantity * Decimal("0.001"), instrument.base
        if chance > 0.95:
            return Decimal("0.0001"), BNB
        rate = Decimal("-0.0001") if chance > 0.9 else Decimal("0.001")
        return price * quantity * instrument.multiplier * rate, instrument.settle

    def _refused(self) -> None:
        instrument = self.pick_instrument()
        self.book(
            ev.OrderRefused(
                account=PAPER,
                instrument=instrument.id,
                owner=self.rng.choice(self._owners),
                side=OrderSide.BUY,
                type=OrderType.MARKET,
                quantity=self.quantity(instrument),
                codes=("POSITION_LIMIT",),
                message="The position would be larger than allowed.",
            )
        )

    # --- money and market --------------------------------------------------------------------------------------------

    def _deposit(self) -> None:
        self.book(ev.Deposited(account=PAPER, currency=self.rng.choice((USDT, BNB)), amount=self._amount()))

    def _withdraw(self) -> None:
        self.book(ev.Withdrawn(account=PAPER, currency=self.rng.choice((USDT, BNB)), amount=self._amount()))

    def _transfer(self) -> None:
        source, target = self.rng.choice(((PAPER, SPARE), (SPARE, PAPER)))
        self.book(ev.Transferred(source=source, target=target, currency=USDT, amount=self._amount()))

    def _adjust(self) -> None:
        amount = self._amount() * self.rng.choice((-1, 1))
        self.book(ev.BalanceAdjusted(account=PAPER, currency=USDT, amount=amount, reason="as the venue reports"))

    def _funding(self) -> None:
        self.book(
            ev.FundingPaid(
                account=PAPER,
                instrument=INSTRUMENTS[-1][0].id,
                owner=self.rng.choice(self._owners),
                currency=USDT,
                amount=self._amount() * self.rng.choice((-1, 1)),
                rate=Decimal("0.0001"),
                ts=self._ts,
            )
        )

    def _interest(self) -> None:
        self.book(ev.InterestCharged(account=PAPER, currency=USDT, amount=self._amount(), ts=self._ts))

    def _external(self) -> None:
        instrument = self.pick_instrument()
        side = self.rng.choice(list(OrderSide))
        quantity = self.quantity(instrument)
        if self.rng.random() < 0.5:
            fill = self._execution(ClientOrderId(""), instrument, side, quantity)
            self.book(ev.ExternalFillSeen(fill=fill))
            self.book(ev.FillsCaughtUp(account=PAPER, cursor=str(self._trades)))
            return
        self.book(
            ev.ExternalOrderSeen(
                account=PAPER,
                instrument=instrument.id,
                venue_order_id=VenueOrderId(f"x{self.rng.randrange(5)}"),
                client_id="web-123",
                side=side,
                type=OrderType.LIMIT,
                quantity=quantity,
                open=self.rng.random() < 0.6,
                price=self.price(instrument),
            )
        )

    def _mark(self) -> None:
        instrument = self.pick_instrument()
        self.book(ev.MarkRecorded(instrument=instrument.id, price=self.price(instrument), ts=self._ts))

    def _equity(self) -> None:
        equity = Decimal(100_000_000 + self.rng.randrange(-200_000, 200_000)) / 100
        self.book(ev.EquityRecorded(account=PAPER, equity=equity, ts=self._ts))

    # --- bots, risk, the engine --------------------------------------------------------------------------------------

    def _new_bot(self) -> None:
        bot = Owner(f"trend-{len(self._owners)}")
        self._owners.append(bot)
        config = b'{"strategy":"trend_following","instrument":"SIM:BTC/USDT","params":{"fast_ma":20,"slow_ma":50}}'
        self.book(ev.BotCreated(bot=bot, name=str(bot), config=config, capital=Decimal(1000), currency=USDT))
        self.book(ev.BotStateChanged(bot=bot, state="running"))

    def _bot(self) -> None:
        bots = self._bot_ids()
        chance = self.rng.random()
        if not bots or (chance < 0.1 and len(bots) < 20):
            self._new_bot()
        elif chance < 0.2:
            self.book(ev.BotConfigured(bot=self.rng.choice(bots), config=b"{}", capital=self._amount()))
        elif chance < 0.25:
            self.book(ev.BotDeleted(bot=self.rng.choice(bots)))
        else:
            state = self.rng.choice(("running", "paused", "stopped", "error"))
            self.book(ev.BotStateChanged(bot=self.rng.choice(bots), state=state, reason="asked for"))

    def _signal(self) -> None:
        instrument = self.pick_instrument()
        self.book(
            ev.SignalRaised(
                bot=self.rng.choice(self._owners),
                instrument=instrument.id,
                action="enter",
                direction="long",
                confidence=self.rng.randrange(100) / 100,
                reason="fast average crossed above slow average",
                ts=self._ts,
            )
        )

    def _memory(self) -> None:
        bots = self._bot_ids()
        if bots:
            memory = b"\x82\xa4fast\xcb@\xe5\x18\x00\x00\x00\x00\x00\xa4slow\xcb@\xe4\xfe\x00\x00\x00\x00\x00" * 4
            self.book(
                ev.BotMemorySaved(
                    bot=self.rng.choice(bots), strategy="trend_following", schema=1, memory=memory, bar_ts=self._ts
                )
            )

    def start(self, pid: int) -> None:
        """Another process of the engine begins to write."""
        self._epoch += 1
        self.book(ev.EpochOpened(epoch=self._epoch, instance="q1w2e3r4"))
        self.book(ev.EngineStarted(instance="q1w2e3r4", release="2.0.0", pid=pid))
        self.book(
            ev.RecoveryVerified(
                account=PAPER, snapshot=0, replayed=self.state.seq, asked=len(self.state.orders), adopted=0, canceled=0,
                ended=0, fills=0, strangers=0, duration_ms=12.5, verdict="verified",
            )
        )  # fmt: skip


def session(facts: int, *, seed: int = 1, bots: int = 10) -> list[ev.Record]:
    """The recorded mix of a session: the same list for the same arguments, at least so many facts."""
    return HistoryMaker(random.Random(seed), bots=bots).grow(facts)


def kinds(records: list[ev.Record]) -> Counter[str]:
    """How often each type of event occurs."""
    return Counter(type(record.event).__name__ for record in records)


def histories(min_facts: int = 25, max_facts: int = 120) -> st.SearchStrategy[list[ev.Record]]:
    """Any valid history, with everything that can happen in it, numbered from 1."""

    def build(rng: Any, facts: int) -> list[ev.Record]:
        return HistoryMaker(rng, bots=2, mix=PROPERTY_MIX, wanted_open=8).grow(facts)

    return st.builds(build, st.randoms(use_true_random=False), st.integers(min_facts, max_facts))
