"""Binance USD-M's adapter over a scripted market: conditional orders, listen keys, hedge mode, forced closings."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from engine.clock import SimulatedClock
from engine.errors import ConfigurationError, ExchangeConnectionError, NotVisibleYetError, ValidationError
from engine.events import OrderAccepted, OrderCanceled, OrderFilled, OrderTriggered, VenueEvent
from engine.model.ids import ClientOrderId, InstrumentId
from engine.model.margin import MarginMode
from engine.model.order import OrderSide, OrderStatus, OrderType
from engine.model.venue import OrderCommand, VenueStatus
from engine.venues.binance import usdm as module
from engine.venues.binance import usdm_stream
from engine.venues.binance.directory import Directory
from engine.venues.binance.usdm import BinanceUsdmVenue
from tests.wire.binance import usdm
from tests.wire.harness import MAIN, START, WireHarness, adapter_harness
from tests.wire.markets import ScriptedMarket

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

BTC = InstrumentId("BINANCEUSDM:BTC/USDT:USDT")
STOP = ClientOrderId("stop1")


class Deck:
    """A harness with its market and server."""

    def __init__(self, h: WireHarness, market: ScriptedMarket, server: usdm.BinanceUsdm) -> None:
        self.h, self.market, self.server = h, market, server

    @property
    def venue(self) -> BinanceUsdmVenue:
        assert isinstance(self.h.venue, BinanceUsdmVenue)
        return self.h.venue

    def heard(self, client_id: str) -> list[VenueEvent]:
        return [
            e
            for _, e in self.h.events
            if (e.fill.client_id if isinstance(e, OrderFilled) else e.client_id) == client_id
        ]

    async def order(self, client_id: str, side: OrderSide, kind: OrderType, **fields: object) -> None:
        command = OrderCommand(
            client_id=ClientOrderId(client_id),
            account=MAIN,
            instrument=BTC,
            side=side,
            type=kind,
            **{"quantity": Decimal("0.1"), **fields},  # type: ignore[arg-type]
        )
        await self.h.call(self.h.venue.place(command))
        await self.h.until(lambda: self.heard(client_id))


@pytest.fixture
async def deck() -> AsyncIterator[Deck]:
    clock = SimulatedClock(START)
    market = ScriptedMarket([i for i, _ in usdm.INSTRUMENTS[:2]], clock.now())
    market.book(BTC, {"60000.0": "2", "59999.0": "300"}, {"60001.0": "0.5", "60002.0": "400"})
    server = usdm.make(clock, market=market)
    h = await adapter_harness("binanceusdm", "BTC/USDT:USDT", Decimal("0.01"), simulator=server, clock=clock)
    yield Deck(h, market, server)
    await h.close()


async def stopped(deck: Deck) -> None:
    """A long position and a stop below the market."""
    await deck.order("buy1", OrderSide.BUY, OrderType.MARKET)
    await deck.h.until(lambda: any(isinstance(e, OrderFilled) for e in deck.heard("buy1")))
    await deck.order(STOP, OrderSide.SELL, OrderType.STOP_LOSS, stop_price=Decimal(59_000), reduce_only=True)


async def test_a_conditional_order_is_listed_found_and_canceled_by_our_id(deck: Deck) -> None:
    await stopped(deck)
    assert deck.server.counts["POST /fapi/v1/algoOrder"] == 1
    (listed,) = await deck.h.call(deck.venue.open_orders(MAIN))
    assert [listed.client_id, listed.type, listed.stop_price] == [STOP, OrderType.STOP_LOSS, Decimal(59_000)]
    assert await deck.h.call(deck.venue.order(MAIN, STOP)) == listed
    await deck.h.call(deck.venue.cancel(MAIN, STOP))
    await deck.h.until(lambda: any(isinstance(e, OrderCanceled) for e in deck.heard(STOP)))
    assert [type(e).__name__ for e in deck.heard(STOP)] == ["OrderAccepted", "OrderCanceled"]
    assert await deck.h.call(deck.venue.open_orders(MAIN)) == []


async def test_what_a_triggered_order_becomes_is_attributed_to_it(deck: Deck) -> None:
    await stopped(deck)
    deck.market.trade(BTC, OrderSide.SELL, "58999.0", "0.5")
    await deck.h.until(lambda: any(isinstance(e, OrderFilled) for e in deck.heard(STOP)))
    kinds = [type(e) for e in deck.heard(STOP)]
    assert kinds[:2] == [OrderAccepted, OrderTriggered]
    assert set(kinds[2:]) == {OrderFilled}
    found = await deck.h.call(deck.venue.order(MAIN, STOP))
    assert found is not None
    assert [found.client_id, found.status, found.type] == [STOP, OrderStatus.FILLED, OrderType.STOP_LOSS]
    fills, _ = await deck.h.call(deck.venue.fills_since(MAIN, ""))
    told = [e.fill for e in deck.heard(STOP) if isinstance(e, OrderFilled)]
    assert [f for f in fills if f.client_id == STOP] == told
    assert await deck.h.call(deck.venue.positions(MAIN)) == []


async def test_after_a_restart_conditional_orders_are_found_and_canceled_as_well(deck: Deck) -> None:
    await stopped(deck)
    await deck.h.restart()
    await deck.h.call(deck.venue.cancel(MAIN, STOP))
    await deck.h.until(lambda: any(isinstance(e, OrderCanceled) for e in deck.heard(STOP)))
    assert await deck.h.call(deck.venue.open_orders(MAIN)) == []


async def test_a_conditional_order_cannot_be_changed(deck: Deck) -> None:
    await stopped(deck)
    await deck.h.call(deck.venue.amend(MAIN, STOP, stop_price=Decimal(58_000)))
    await deck.h.until(lambda: len(deck.heard(STOP)) == 2)
    assert getattr(deck.heard(STOP)[1], "reason", "").endswith("replace it.")


async def test_the_switch_spares_conditional_orders(deck: Deck) -> None:
    await stopped(deck)
    await deck.order("rest1", OrderSide.BUY, OrderType.LIMIT, price=Decimal(59_500))
    await deck.h.call(deck.venue.countdown(MAIN, 1))
    await deck.h.until(lambda: any(isinstance(e, OrderCanceled) for e in deck.heard("rest1")))
    assert [o.client_id for o in await deck.h.call(deck.venue.open_orders(MAIN))] == [STOP]


async def test_an_expired_listen_key_brings_a_new_stream_and_a_comparison(deck: Deck) -> None:
    missed: list[VenueStatus] = []
    deck.venue.missed = lambda: missed.append(deck.venue.status)
    deck.server.expire_listen_key()
    await deck.h.until(lambda: missed)
    await deck.h.until(lambda: deck.venue.status is VenueStatus.ONLINE)
    assert missed == [VenueStatus.OFFLINE]
    await deck.order("buy2", OrderSide.BUY, OrderType.MARKET)
    await deck.h.until(lambda: any(isinstance(e, OrderFilled) for e in deck.heard("buy2")))


@pytest.fixture
def short_lives(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usdm_stream, "RENEW_S", 20.0)


async def test_a_listen_key_is_renewed_again_and_again(short_lives: None, deck: Deck) -> None:
    await deck.h.rest(50.0)
    assert deck.server.counts["PUT /fapi/v1/listenKey"] == 2
    assert deck.venue.status is VenueStatus.ONLINE


async def test_an_account_in_hedge_mode_is_refused_with_where_to_switch() -> None:
    clock = SimulatedClock(START)
    server = usdm.make(clock)
    server.hedged.add(MAIN)
    with pytest.raises(ConfigurationError, match="Position Mode"):
        await adapter_harness("binanceusdm", "BTC/USDT:USDT", Decimal("0.01"), simulator=server, clock=clock)


async def test_leverage_is_a_whole_number(deck: Deck) -> None:
    with pytest.raises(ValidationError, match="whole"):
        await deck.h.call(deck.venue.set_margin(MAIN, BTC, Decimal("1.5"), MarginMode.CROSS))


async def test_margin_tiers_and_fees_are_part_of_the_rules(deck: Deck) -> None:
    rules = deck.h.instrument.current_rules
    assert rules.margin
    assert [t.from_notional for t in rules.margin] == sorted(t.from_notional for t in rules.margin)
    assert rules.taker_fee > 0


async def test_closed_it_says_so(deck: Deck) -> None:
    await deck.h.call(deck.venue.close())
    with pytest.raises(ExchangeConnectionError):
        await deck.venue.server_time()


async def test_the_switch_is_fed_where_orders_are_and_turned_off_once_where_none_are_left(deck: Deck) -> None:
    await deck.order("rest1", OrderSide.BUY, OrderType.LIMIT, price=Decimal(59_500))
    fed = "POST /fapi/v1/countdownCancelAll"
    await deck.h.call(deck.venue.countdown(MAIN, 60))
    assert deck.server.counts[fed] == 1
    await deck.h.call(deck.venue.cancel(MAIN, ClientOrderId("rest1")))
    await deck.h.until(lambda: any(isinstance(e, OrderCanceled) for e in deck.heard("rest1")))
    counts = []
    for _ in range(3):
        await deck.h.call(deck.venue.countdown(MAIN, 60))
        counts.append(deck.server.counts[fed])
    assert counts == [2, 2, 2]


async def test_a_switch_that_an_engine_before_may_have_fed_is_turned_off_once(deck: Deck) -> None:
    fed = "POST /fapi/v1/countdownCancelAll"
    await deck.h.call(deck.venue.watch([deck.h.instrument.id]))
    for _ in range(2):
        await deck.h.call(deck.venue.countdown(MAIN, 60))
    assert deck.server.counts[fed] == 1


def test_open_orders_are_counted_by_symbol_and_kind() -> None:
    directory = Directory()
    directory.note("a", "BTCUSDT")
    directory.note("b", "BTCUSDT")
    directory.note("s", "ETHUSDT", conditional=True)
    assert directory.open_symbols == {"BTCUSDT"}
    assert [directory.has_open_conditional(s) for s in ("BTCUSDT", "ETHUSDT")] == [False, True]
    directory.note("a", "BTCUSDT", is_open=False)
    directory.note("s", "ETHUSDT", is_open=False)
    assert directory.open_symbols == {"BTCUSDT"}
    directory.note("b", "BTCUSDT", is_open=False)
    directory.note("b", "BTCUSDT", is_open=False)
    assert directory.open_symbols == set()
    assert not directory.has_open_conditional("ETHUSDT")


async def test_an_execution_of_an_order_that_is_not_listed_yet_is_asked_for_again(
    deck: Deck, monkeypatch: pytest.MonkeyPatch
) -> None:
    await deck.order("buy1", OrderSide.BUY, OrderType.MARKET)
    await deck.h.until(lambda: any(isinstance(e, OrderFilled) for e in deck.heard("buy1")))
    await deck.h.restart()
    with monkeypatch.context() as late:
        late.setattr(module, "_numbers", lambda body: [])
        with pytest.raises(NotVisibleYetError, match="does not show yet"):
            await deck.h.call(deck.venue.fills_since(MAIN, ""))
    fills, _ = await deck.h.call(deck.venue.fills_since(MAIN, ""))
    assert {f.client_id for f in fills} == {"buy1"}
    assert deck.venue.capabilities.visibility_delay_s == deck.venue.options.timeout_s + 30
