"""What every venue answers when it is asked about markets, accounts and itself, in the suite of all venues.

A harness with a second account of the venue names it: `second`. It can pay for what the suite orders, like the first.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from engine.errors import ExchangeConnectionError, NotFoundError
from engine.events import OrderCanceled, OrderFilled
from engine.model.candle import timeframe_ns
from engine.model.ids import AccountId, InstrumentId
from engine.model.market import MarketTrade
from engine.model.order import OrderSide, OrderType
from tests.kit.contract_kit import ContractKit

if TYPE_CHECKING:
    from tests.kit.contract_kit import VenueHarness

__all__ = ["QuestionsContract"]

MANY = 1_100
"""Candles that no venue gives in one page."""
NOWHERE = InstrumentId("SIM:NO/SUCH")
NOBODY = AccountId("nobody")


class QuestionsContract(ContractKit):
    """Tests to inherit, by way of `VenueContract`."""

    # --- markets -----------------------------------------------------------------------------------------------------

    async def test_trades_are_the_newest_oldest_first_and_on_the_grid(self, harness: VenueHarness) -> None:
        h = harness
        tick = h.instrument.price_to_int(h.instrument.current_rules.price_tick)
        await h.call(h.venue.watch([h.instrument.id]))
        await h.until(lambda: any(isinstance(event, MarketTrade) for event in h.market))
        trades = await h.call(h.venue.trades(h.instrument.id, 5))
        assert 0 < len(trades) <= 5
        assert [trade.ts for trade in trades] == sorted(trade.ts for trade in trades)
        assert all(trade.instrument == h.instrument.id and trade.quantity > 0 for trade in trades)
        assert all(trade.price > 0 and trade.price % tick == 0 for trade in trades)
        assert len({(trade.trade_id, trade.price, trade.quantity) for trade in trades}) == len(trades)
        with pytest.raises(NotFoundError):
            await h.call(h.venue.trades(NOWHERE, 5))

    async def test_tickers_come_for_what_is_asked_and_for_all(self, harness: VenueHarness) -> None:
        h = harness
        await self.buy(h)
        (ticker,) = await h.call(h.venue.tickers([h.instrument.id]))
        assert ticker.instrument == h.instrument.id
        assert ticker.last is not None
        assert ticker.last > 0
        if ticker.bid is not None and ticker.ask is not None:
            assert 0 < ticker.bid < ticker.ask
        if ticker.high is not None and ticker.low is not None:
            assert 0 < ticker.low <= ticker.last <= ticker.high
        every = {one.instrument for one in await h.call(h.venue.tickers())}
        listed = {instrument.id for instrument in await h.call(h.venue.instruments())}
        assert h.instrument.id in every
        assert every <= listed

    async def test_more_candles_than_a_page_come_without_a_gap_or_a_repeat(self, harness: VenueHarness) -> None:
        h = harness
        self.require(h.venue.capabilities.candles, "candles")
        length = timeframe_ns("1m")
        many = await h.call(h.venue.candles(h.instrument.id, "1m", limit=MANY))
        stamps = [candle.ts for candle in many]
        assert len(many) <= MANY
        assert stamps == sorted(set(stamps))
        if len(many) < 2:
            pytest.skip("the market is too young for pages")
        assert {after - before for before, after in pairwise(stamps)} == {length}
        middle = stamps[len(stamps) // 2]
        older = await h.call(h.venue.candles(h.instrument.id, "1m", end=middle, limit=7))
        assert list(older) == [candle for candle in many if candle.ts < middle][-7:]
        assert await h.call(h.venue.candles(h.instrument.id, "1m", limit=0)) == []

    # --- accounts ----------------------------------------------------------------------------------------------------

    async def test_a_key_may_read_and_says_what_else_it_may(self, harness: VenueHarness) -> None:
        h = harness
        allowed = await h.call(h.venue.permissions(h.account))
        assert allowed.read
        # What is not known is told in words.
        assert allowed.trade or (allowed.trade is None and allowed.note)
        assert allowed.expires is None or allowed.expires > h.clock.now()

    async def test_an_unknown_account_is_said_to_be_unknown(self, harness: VenueHarness) -> None:
        h = harness
        for question in (h.venue.balances, h.venue.open_orders, h.venue.permissions):
            with pytest.raises(NotFoundError):
                await h.call(question(NOBODY))

    async def test_two_accounts_of_one_venue_hear_and_see_only_their_own(self, harness: VenueHarness) -> None:
        h = harness
        second: AccountId | None = getattr(h, "second", None)
        if second is None:
            pytest.skip("the harness has one account")
        mine = await self.rest(h)
        before = await self.money(h)
        bought = self.order(h, OrderSide.BUY, account=second)
        rests = self.order(h, OrderSide.BUY, OrderType.LIMIT, price=mine.price, account=second)
        for command in (bought, rests):
            await self.send(h, command)
        await h.until(lambda: sum(f.quantity for f in self.fills(h, bought.client_id)) == h.size)
        of = {(e.fill.client_id if isinstance(e, OrderFilled) else e.client_id): account for account, e in h.events}
        assert of == {mine.client_id: h.account, bought.client_id: second, rests.client_id: second}
        assert {fill.account for fill in self.fills(h, bought.client_id)} == {second}
        for account, order in ((h.account, mine), (second, rests)):
            listed = await h.call(h.venue.open_orders(account))
            assert [(o.client_id, o.account) for o in listed] == [(order.client_id, account)]
        assert await self.money(h) == before
        assert list((await h.call(h.venue.fills_since(h.account, "")))[0]) == []
        assert {f.account for f in (await h.call(h.venue.fills_since(second, "")))[0]} == {second}
        await h.call(h.venue.cancel(second, rests.client_id))
        await h.until(lambda: isinstance(self.heard(h, rests.client_id)[-1], OrderCanceled))
        assert [o.client_id for o in await h.call(h.venue.open_orders(h.account))] == [mine.client_id]

    # --- itself ------------------------------------------------------------------------------------------------------

    async def test_its_health_says_how_the_way_to_it_is(self, harness: VenueHarness) -> None:
        h = harness
        await h.call(h.venue.balances(h.account))
        health = h.venue.health()
        assert health.streams
        assert all(stream.up and not stream.reason and stream.since <= h.clock.now() for stream in health.streams)
        assert len({stream.name for stream in health.streams}) == len(health.streams)
        assert all(0 <= share <= 1 for share in health.limits.values())
        assert health.paused_until == 0
        assert health.latency_ms is None or health.latency_ms >= 0

    async def test_closing_twice_changes_nothing_and_nothing_is_heard_any_more(self, harness: VenueHarness) -> None:
        h = harness
        await h.call(h.venue.watch([h.instrument.id]))
        await h.until(lambda: h.market)
        await h.call(h.venue.close())
        await h.call(h.venue.close())
        h.market.clear()
        heard, until = len(h.events), h.clock.now() + 10**9
        await h.until(lambda: h.clock.now() > until)
        assert h.market == []
        assert len(h.events) == heard
        assert not any(stream.up for stream in h.venue.health().streams)
        with pytest.raises(ExchangeConnectionError):
            await h.call(h.venue.tickers([h.instrument.id]))
