"""The suite that every venue passes: what the engine may rely on, whatever stands behind the contract.

A venue's test module inherits `VenueContract` and gives a `harness` fixture. The suite uses nothing but the contract
(`engine.model.venue.Venue`) and the harness; what a venue's capabilities leave out is skipped.
"""

from __future__ import annotations

import asyncio
from decimal import Decimal

import pytest

from engine.errors import ExchangeConnectionError, NotFoundError, QuarterdeckError, UnknownOutcomeError
from engine.events import (
    OrderAccepted,
    OrderAmended,
    OrderCanceled,
    OrderCancelRejected,
    OrderExpired,
    OrderRejected,
)
from engine.model.candle import timeframe_ns
from engine.model.ids import ClientOrderId, InstrumentId
from engine.model.instrument import CASH_KINDS
from engine.model.market import BookUpdate, MarketTrade, OrderBook
from engine.model.order import Liquidity, OrderSide, OrderStatus, OrderType, TimeInForce
from engine.model.venue import OrderCommand, VenueStatus
from tests.kit.contract_kit import ENDS, VenueHarness
from tests.kit.derivatives_contract import DerivativesContract
from tests.kit.questions_contract import QuestionsContract

__all__ = ["VenueContract", "VenueHarness"]


class VenueContract(QuestionsContract, DerivativesContract):
    """Tests to inherit."""

    # --- what it is --------------------------------------------------------------------------------------------------

    async def test_it_is_online_and_lists_its_instruments_with_rules(self, harness: VenueHarness) -> None:
        h = harness
        assert h.venue.status is VenueStatus.ONLINE
        listed = {i.id: i for i in await h.call(h.venue.instruments())}
        assert listed[h.instrument.id] == h.instrument
        assert all(i.rules and i.current_rules.price_tick > 0 and i.current_rules.lot > 0 for i in listed.values())

    async def test_its_clock_is_near_ours(self, harness: VenueHarness) -> None:
        assert abs(await harness.call(harness.venue.server_time()) - harness.clock.now()) < 5 * 10**9

    async def test_starting_twice_changes_nothing(self, harness: VenueHarness) -> None:
        h = harness
        await h.call(h.venue.start(lambda *_: None, lambda _: None))
        command = await self.rest(h)
        assert len(self.heard(h, command.client_id)) == 1

    async def test_after_closing_nothing_is_reachable(self, harness: VenueHarness) -> None:
        h = harness
        command = self.order(h, OrderSide.BUY)
        await h.call(h.venue.close())
        assert h.venue.status is not VenueStatus.ONLINE
        with pytest.raises(ExchangeConnectionError):
            await h.call(h.venue.place(command))
        with pytest.raises(ExchangeConnectionError):
            await h.call(h.venue.balances(h.account))

    # --- the market --------------------------------------------------------------------------------------------------

    async def test_a_watched_market_begins_with_a_snapshot_and_goes_on_without_a_gap(
        self, harness: VenueHarness
    ) -> None:
        h = harness
        await h.call(h.venue.watch([h.instrument.id]))

        def updates() -> list[BookUpdate]:
            return [e for e in h.market if isinstance(e, BookUpdate) and e.instrument == h.instrument.id]

        await h.until(lambda: len(updates()) > 20)
        first, *rest = updates()
        assert first.snapshot
        book = OrderBook(h.instrument.id)
        assert all(book.apply(update) for update in (first, *rest))
        assert not book.crossed
        assert [e.ts for e in updates()] == sorted(e.ts for e in updates())
        assert {e.instrument for e in h.market} == {h.instrument.id}

    async def test_watched_trades_are_on_the_grid(self, harness: VenueHarness) -> None:
        h = harness
        await h.call(h.venue.watch([h.instrument.id]))
        await h.until(lambda: any(isinstance(e, MarketTrade) for e in h.market))
        tick = h.instrument.price_to_int(h.instrument.current_rules.price_tick)
        for trade in [e for e in h.market if isinstance(e, MarketTrade)]:
            assert trade.quantity > 0
            assert trade.price % tick == 0

    async def test_an_unwatched_market_falls_silent(self, harness: VenueHarness) -> None:
        h = harness
        await h.call(h.venue.watch([h.instrument.id]))
        await h.until(lambda: h.market)
        await h.call(h.venue.unwatch([h.instrument.id]))
        h.market.clear()
        await self.rest(h)
        await h.call(h.venue.server_time())
        assert h.market == []

    async def test_an_unknown_instrument_is_said_to_be_unknown(self, harness: VenueHarness) -> None:
        with pytest.raises(NotFoundError):
            await harness.call(harness.venue.book(InstrumentId("SIM:NO/SUCH"), 5))
        with pytest.raises(NotFoundError):
            await harness.call(harness.venue.watch([InstrumentId("SIM:NO/SUCH")]))

    async def test_a_book_is_sorted_uncrossed_and_as_deep_as_asked(self, harness: VenueHarness) -> None:
        book = await harness.call(harness.venue.book(harness.instrument.id, 5))
        bids, asks = [p for p, _ in book.bids], [p for p, _ in book.asks]
        assert book.snapshot
        assert 0 < len(bids) <= 5
        assert 0 < len(asks) <= 5
        assert bids == sorted(bids, reverse=True)
        assert asks == sorted(asks)
        assert bids[0] < asks[0]
        assert all(q > 0 for _, q in (*book.bids, *book.asks))

    async def test_candles_are_closed_ascending_and_on_the_grid(self, harness: VenueHarness) -> None:
        h = harness
        self.require(h.venue.capabilities.candles, "candles")
        candles = await h.call(h.venue.candles(h.instrument.id, "1m", limit=5))
        length = timeframe_ns("1m")
        stamps = [c.ts for c in candles]
        assert len(candles) <= 5
        assert stamps == sorted(set(stamps))
        assert all(c.closed and c.ts % length == 0 and c.ts + length <= h.clock.now() for c in candles)
        assert all(c.low <= min(c.open, c.close) <= max(c.open, c.close) <= c.high for c in candles)
        if candles:
            earlier = await h.call(h.venue.candles(h.instrument.id, "1m", end=stamps[-1], limit=5))
            assert all(c.ts + length <= stamps[-1] for c in earlier)

    # --- orders ------------------------------------------------------------------------------------------------------

    async def test_a_market_order_is_accepted_filled_and_paid_for(self, harness: VenueHarness) -> None:
        h = harness
        before = await self.money(h)
        command = await self.buy(h)
        reports = self.heard(h, command.client_id)
        assert isinstance(reports[0], OrderAccepted)
        fills = self.fills(h, command.client_id)
        assert {f.liquidity for f in fills} == {Liquidity.TAKER}
        assert {f.venue_order_id for f in fills} == {reports[0].venue_order_id}
        assert len({f.key for f in fills}) == len(fills)
        found = await h.call(h.venue.order(h.account, command.client_id))
        assert found is not None
        assert (found.status, found.filled) == (OrderStatus.FILLED, h.size)
        if h.instrument.kind not in CASH_KINDS:
            return
        after = await self.money(h)
        moved = {c: after.get(c, (Decimal(0),))[0] - before.get(c, (Decimal(0),))[0] for c in {*before, *after}}
        owed = {h.instrument.base: h.size, h.instrument.quote: -sum(f.price * f.quantity for f in fills)}
        for fill in fills:
            owed[fill.fee_currency] = owed.get(fill.fee_currency, Decimal(0)) - fill.fee
        assert moved == owed

    async def test_a_resting_order_is_found_locks_funds_and_is_canceled(self, harness: VenueHarness) -> None:
        h = harness
        command = await self.rest(h)
        found = await h.call(h.venue.order(h.account, command.client_id))
        assert found is not None
        assert (found.status, found.quantity, found.price) == (OrderStatus.ACCEPTED, h.size, command.price)
        assert found in await h.call(h.venue.open_orders(h.account))
        assert (await self.money(h))[h.instrument.quote][1] >= h.size * (command.price or 0)
        await h.call(h.venue.cancel(h.account, command.client_id))
        await h.until(lambda: isinstance(self.heard(h, command.client_id)[-1], OrderCanceled))
        found = await h.call(h.venue.order(h.account, command.client_id))
        assert found is not None
        assert found.status is OrderStatus.CANCELED
        assert await h.call(h.venue.open_orders(h.account)) == []
        assert (await self.money(h))[h.instrument.quote][1] == 0

    async def test_a_resting_order_is_amended_in_place(self, harness: VenueHarness) -> None:
        h = harness
        self.require(h.venue.capabilities.amend, "amendments")
        command = await self.rest(h)
        price = await self.away(h, OrderSide.BUY, "0.07")
        await h.call(h.venue.amend(h.account, command.client_id, price=price, quantity=2 * h.size))
        await h.until(lambda: isinstance(self.heard(h, command.client_id)[-1], OrderAmended))
        (found,) = await h.call(h.venue.open_orders(h.account))
        assert (found.client_id, found.price, found.quantity) == (command.client_id, price, 2 * h.size)

    async def test_a_client_id_never_yields_a_second_order(self, harness: VenueHarness) -> None:
        h = harness
        command = await self.rest(h)
        heard = len(self.heard(h, command.client_id))
        with pytest.raises(UnknownOutcomeError):
            await h.call(h.venue.place(command))
        assert len(await h.call(h.venue.open_orders(h.account))) == 1
        assert len(self.heard(h, command.client_id)) == heard

    async def test_an_order_that_never_was_is_not_found(self, harness: VenueHarness) -> None:
        h = harness
        never = ClientOrderId("never")
        assert await h.call(h.venue.order(h.account, never)) is None
        await h.call(h.venue.cancel(h.account, never))
        await h.until(lambda: self.heard(h, never))
        assert [type(event) for event in self.heard(h, never)] == [OrderCancelRejected]

    async def test_orders_against_the_rules_are_rejected_with_a_code(self, harness: VenueHarness) -> None:
        h = harness
        rules = h.instrument.current_rules
        price = await self.away(h, OrderSide.BUY)
        wrong = [
            self.order(h, OrderSide.BUY, OrderType.LIMIT, price=price + rules.price_tick / 2),
            self.order(h, OrderSide.BUY, OrderType.LIMIT, price=price, quantity=h.size + rules.lot / 2),
            self.order(h, OrderSide.BUY, OrderType.LIMIT, price=price, quantity=h.size * 10_000),
            self.order(h, OrderSide.BUY, OrderType.LIMIT),
        ]
        if h.instrument.kind in CASH_KINDS:
            wrong.append(self.order(h, OrderSide.SELL))
        for command in wrong:
            await self.send(h, command)
            (event,) = self.heard(h, command.client_id)
            assert isinstance(event, OrderRejected)
            assert event.code
            assert event.reason
            # kept as rejected, or not kept at all: never as working
            found = await h.call(h.venue.order(h.account, command.client_id))
            assert found is None or found.status is OrderStatus.REJECTED
        assert await h.call(h.venue.open_orders(h.account)) == []
        assert (await self.money(h))[h.instrument.quote][1] == 0

    @pytest.mark.parametrize("tif", [TimeInForce.IOC, TimeInForce.FOK])
    async def test_an_immediate_order_away_from_the_market_expires(
        self, harness: VenueHarness, tif: TimeInForce
    ) -> None:
        h = harness
        self.require(tif in h.venue.capabilities.times_in_force, tif)
        price = await self.away(h, OrderSide.BUY)
        command = self.order(h, OrderSide.BUY, OrderType.LIMIT, price=price, tif=tif)
        await h.call(h.venue.place(command))
        await h.until(lambda: any(isinstance(e, ENDS) for e in self.heard(h, command.client_id)))
        assert isinstance(self.heard(h, command.client_id)[-1], OrderExpired)
        assert self.fills(h, command.client_id) == []

    async def test_a_post_only_order_never_takes(self, harness: VenueHarness) -> None:
        h = harness
        self.require(h.venue.capabilities.post_only, "post-only orders")
        price = await self.away(h, OrderSide.SELL)
        command = self.order(h, OrderSide.BUY, OrderType.LIMIT, price=price, post_only=True)
        await self.send(h, command)
        await h.until(lambda: isinstance(self.heard(h, command.client_id)[-1], ENDS))
        assert self.fills(h, command.client_id) == []

    async def test_a_marketable_limit_order_takes_at_its_limit_or_better(self, harness: VenueHarness) -> None:
        h = harness
        price = await self.away(h, OrderSide.SELL, "0.01")
        command = self.order(h, OrderSide.BUY, OrderType.LIMIT, price=price)
        await self.send(h, command)
        await h.until(lambda: sum(f.quantity for f in self.fills(h, command.client_id)) == h.size)
        assert all(f.price <= price and f.liquidity is Liquidity.TAKER for f in self.fills(h, command.client_id))

    async def test_a_stop_waits_below_the_market(self, harness: VenueHarness) -> None:
        h = harness
        self.require(OrderType.STOP_LOSS in h.venue.capabilities.order_types, "stop orders")
        await self.buy(h)
        stop = await self.away(h, OrderSide.BUY)
        # The fee may have been taken from what was bought.
        half = h.instrument.floor_quantity(h.size / 2)
        command = self.order(h, OrderSide.SELL, OrderType.STOP_LOSS, stop_price=stop, quantity=half)
        await self.send(h, command)
        (found,) = await h.call(h.venue.open_orders(h.account))
        assert (found.client_id, found.stop_price, found.status) == (command.client_id, stop, OrderStatus.ACCEPTED)

    async def test_of_two_exits_in_a_group_the_end_of_one_ends_the_other(self, harness: VenueHarness) -> None:
        h = harness
        self.require(h.venue.capabilities.oco, "order groups")
        await self.buy(h)
        stop, target = await self.away(h, OrderSide.BUY), await self.away(h, OrderSide.SELL)
        first = self.order(h, OrderSide.SELL, OrderType.STOP_LOSS, stop_price=stop, oco_group="exits")
        second = self.order(h, OrderSide.SELL, OrderType.LIMIT, price=target, oco_group="exits")
        for command in (first, second):
            await self.send(h, command)
            assert isinstance(self.heard(h, command.client_id)[0], OrderAccepted)
        await h.call(h.venue.cancel(h.account, first.client_id))
        for command in (first, second):
            await h.until(lambda c=command: isinstance(self.heard(h, c.client_id)[-1], OrderCanceled))  # type: ignore[misc]

    async def test_a_reduce_only_order_needs_a_position(self, harness: VenueHarness) -> None:
        h = harness
        self.require(h.venue.capabilities.reduce_only, "reduce-only orders")
        refused = self.order(h, OrderSide.SELL, reduce_only=True)
        await self.send(h, refused)
        assert isinstance(self.heard(h, refused.client_id)[-1], OrderRejected)
        await self.buy(h)
        command = self.order(h, OrderSide.SELL, quantity=5 * h.size, reduce_only=True)
        await self.send(h, command)
        await h.until(lambda: sum(f.quantity for f in self.fills(h, command.client_id)) == h.size)
        assert h.instrument.base not in {c for c, (total, _) in (await self.money(h)).items() if total}

    # --- what was lost is found --------------------------------------------------------------------------------------

    async def test_fills_are_read_on_from_a_cursor(self, harness: VenueHarness) -> None:
        h = harness
        _, start = await h.call(h.venue.fills_since(h.account, ""))
        first = await self.buy(h)
        found, cursor = await h.call(h.venue.fills_since(h.account, start))
        assert list(found) == self.fills(h, first.client_id)
        second = await self.buy(h)
        found, cursor = await h.call(h.venue.fills_since(h.account, cursor))
        assert list(found) == self.fills(h, second.client_id)
        assert list((await h.call(h.venue.fills_since(h.account, cursor)))[0]) == []
        everything = (await h.call(h.venue.fills_since(h.account, "")))[0]
        assert list(everything)[-2:] == self.fills(h, first.client_id)[-1:] + self.fills(h, second.client_id)[-1:]

    async def test_a_caller_who_gives_up_finds_out_by_asking(self, harness: VenueHarness) -> None:
        h = harness
        command = self.order(h, OrderSide.BUY, OrderType.LIMIT, price=await self.away(h, OrderSide.BUY))
        task = asyncio.get_running_loop().create_task(self._place(h, command))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        # The request left; sooner or later the venue has it, and says so.
        await h.until(lambda: self.heard(h, command.client_id))
        found = await h.call(h.venue.order(h.account, command.client_id))
        assert found is not None
        assert found.status is OrderStatus.ACCEPTED

    @staticmethod
    async def _place(h: VenueHarness, command: OrderCommand) -> None:
        await h.venue.place(command)

    async def test_a_working_order_outlives_the_connection(self, harness: VenueHarness) -> None:
        h = harness
        command = await self.rest(h)
        bought = await self.buy(h)
        money = await self.money(h)
        await h.restart()
        (found,) = await h.call(h.venue.open_orders(h.account))
        assert found.client_id == command.client_id
        if h.instrument.kind in CASH_KINDS:
            assert await self.money(h) == money
        fills = (await h.call(h.venue.fills_since(h.account, "")))[0]
        assert [f.client_id for f in fills] == [bought.client_id] * len(fills)
        with pytest.raises(QuarterdeckError):
            await h.call(h.venue.place(command))
        await h.call(h.venue.cancel(h.account, command.client_id))
        await h.until(lambda: isinstance(self.heard(h, command.client_id)[-1], OrderCanceled))
