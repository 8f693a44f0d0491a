"""What every venue with perpetuals must do, in the suite of all venues: positions, margin, funding, shorts, the switch.

A harness that has one names it: `perpetual`, an instrument whose account holds settle currency for 20 times
`perpetual_size`. Where it has none, or the venue's capabilities leave it out, these are skipped.
"""

from __future__ import annotations

from decimal import Decimal
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest

from engine.errors import QuarterdeckError
from engine.events import OrderAccepted, OrderCanceled, OrderFilled, OrderRejected
from engine.model.ids import ClientOrderId
from engine.model.instrument import CASH_KINDS, Instrument, InstrumentKind
from engine.model.margin import MarginMode, MarginSetting
from engine.model.market import MarkPrice
from engine.model.order import OrderSide, OrderType
from engine.model.venue import OrderCommand, VenuePosition

if TYPE_CHECKING:
    from engine.model.fill import Fill
    from tests.kit.contract_kit import VenueHarness

__all__ = ["DerivativesContract"]

_ids = count(1)


class DerivativesContract:
    """Tests to inherit, by way of `VenueContract`."""

    @staticmethod
    def perpetual(h: VenueHarness) -> tuple[Instrument, Decimal]:
        """The perpetual that is traded and a usual size in contracts."""
        found: Instrument | None = getattr(h, "perpetual", None)
        if found is None or InstrumentKind.LINEAR_PERPETUAL not in h.venue.capabilities.kinds:
            pytest.skip("the venue has no perpetuals here")
        return found, getattr(h, "perpetual_size", found.current_rules.lot)

    async def trade_perpetual(
        self, h: VenueHarness, side: OrderSide, contracts: Decimal, **fields: Any
    ) -> tuple[ClientOrderId, list[Fill]]:
        """A market order in the perpetual, filled or refused."""
        instrument, _ = self.perpetual(h)
        client_id = ClientOrderId(f"perpetual{next(_ids)}")
        command = OrderCommand(
            client_id=client_id, account=h.account, instrument=instrument.id, side=side,
            **{"type": OrderType.MARKET, "quantity": contracts, **fields},
        )  # fmt: skip
        await h.call(h.venue.place(command))

        def fills() -> list[Fill]:
            return [e.fill for _, e in h.events if isinstance(e, OrderFilled) and e.fill.client_id == client_id]

        def over() -> bool:
            refused = any(isinstance(e, OrderRejected) and e.client_id == client_id for _, e in h.events)
            rests = command.type is not OrderType.MARKET and any(
                isinstance(e, OrderAccepted) and e.client_id == client_id for _, e in h.events
            )
            return refused or rests or sum(f.quantity for f in fills()) == contracts

        await h.until(over)
        return client_id, fills()

    async def held(self, h: VenueHarness) -> VenuePosition | None:
        """The open position in the perpetual."""
        instrument, _ = self.perpetual(h)
        found = [p for p in await h.call(h.venue.positions(h.account)) if p.instrument == instrument.id and p.quantity]
        assert len(found) <= 1
        return found[0] if found else None

    # --- the tests ---------------------------------------------------------------------------------------------------

    async def test_a_venue_without_derivatives_says_so(self, harness: VenueHarness) -> None:
        h = harness
        if h.venue.capabilities.kinds - CASH_KINDS:
            pytest.skip("the venue has derivatives")
        assert list(await h.call(h.venue.positions(h.account))) == []
        payments, cursor = await h.call(h.venue.funding_since(h.account, ""))
        assert (list(payments), cursor) == ([], "")
        with pytest.raises(QuarterdeckError):
            await h.call(h.venue.set_margin(h.account, h.instrument.id, Decimal(2), MarginMode.ISOLATED))
        with pytest.raises(QuarterdeckError):
            await h.call(h.venue.margin(h.account, h.instrument.id, MarginMode.ISOLATED))

    async def test_a_perpetual_says_what_a_contract_is(self, harness: VenueHarness) -> None:
        instrument, _ = self.perpetual(harness)
        listed = {i.id: i for i in await harness.call(harness.venue.instruments())}
        assert listed[instrument.id] == instrument
        assert instrument.multiplier > 0
        assert instrument.settle == instrument.quote
        assert instrument.id.endswith(f":{instrument.settle}")

    async def test_a_short_is_opened_shown_and_closed(self, harness: VenueHarness) -> None:
        h = harness
        instrument, size = self.perpetual(h)
        _, fills = await self.trade_perpetual(h, OrderSide.SELL, size)
        assert {f.side for f in fills} == {OrderSide.SELL}
        position = await self.held(h)
        assert position is not None
        paid = sum(f.price * f.quantity for f in fills) / size
        assert position.quantity == -size
        assert position.entry_price == pytest.approx(paid, rel=Decimal("1e-6"))
        assert position.mark_price > 0
        value = instrument.notional(position.mark_price, size)
        assert position.unrealised == pytest.approx(instrument.notional(paid, size) - value, abs=value / 100)
        assert position.margin > 0
        assert 0 <= position.maintenance < value
        await self.trade_perpetual(h, OrderSide.BUY, size, reduce_only=True)
        assert await self.held(h) is None

    async def test_profit_is_paid_into_the_settle_currency_when_a_position_is_closed(
        self, harness: VenueHarness
    ) -> None:
        h = harness
        instrument, size = self.perpetual(h)

        async def total() -> Decimal:
            balances = {b.currency: b.total for b in await h.call(h.venue.balances(h.account))}
            return balances.get(instrument.settle, Decimal(0))

        before = await total()
        _, bought = await self.trade_perpetual(h, OrderSide.BUY, size)
        _, sold = await self.trade_perpetual(h, OrderSide.SELL, size, reduce_only=True)
        flows = sum((f.side.sign * -f.price * f.quantity * instrument.multiplier for f in (*bought, *sold)), Decimal(0))
        fees = sum((f.fee for f in (*bought, *sold)), Decimal(0))
        payments, _ = await h.call(h.venue.funding_since(h.account, ""))
        funding = sum((p.amount for p in payments), Decimal(0))
        assert await total() == pytest.approx(before + flows - fees - funding, abs=Decimal("1e-6"))
        assert {f.fee_currency for f in (*bought, *sold)} == {instrument.settle}

    async def test_reduce_only_never_opens_or_turns_a_position(self, harness: VenueHarness) -> None:
        h = harness
        _, size = self.perpetual(h)
        if not h.venue.capabilities.reduce_only:
            pytest.skip("the venue has no reduce-only orders")
        client_id, fills = await self.trade_perpetual(h, OrderSide.SELL, size, reduce_only=True)
        assert fills == []
        assert any(isinstance(e, OrderRejected) and e.client_id == client_id for _, e in h.events)
        await self.trade_perpetual(h, OrderSide.BUY, size)
        client_id, _ = await self.trade_perpetual(h, OrderSide.SELL, size, reduce_only=True)
        assert await self.held(h) is None

    async def test_leverage_is_set_and_shows_in_margin(self, harness: VenueHarness) -> None:
        h = harness
        instrument, size = self.perpetual(h)
        modes = h.venue.capabilities.margin_modes
        mode = MarginMode.ISOLATED if MarginMode.ISOLATED in modes else MarginMode.CROSS
        for leverage in (Decimal(2), Decimal(4), Decimal(4)):
            await h.call(h.venue.set_margin(h.account, instrument.id, leverage, mode))
        await self.trade_perpetual(h, OrderSide.BUY, size)
        position = await self.held(h)
        assert position is not None
        assert (position.leverage, position.margin_mode) == (Decimal(4), mode)
        value = instrument.notional(position.entry_price, size)
        assert position.margin == pytest.approx(value / 4, rel=Decimal("0.05"))
        if position.liquidation_price is not None:
            assert 0 < position.liquidation_price < position.entry_price
        await self.trade_perpetual(h, OrderSide.SELL, size, reduce_only=True)

    async def test_what_was_set_is_what_the_venue_says(self, harness: VenueHarness) -> None:
        h = harness
        instrument, size = self.perpetual(h)
        modes = h.venue.capabilities.margin_modes
        for leverage, mode in ((Decimal(2), MarginMode.CROSS), (Decimal(5), MarginMode.ISOLATED)):
            if mode not in modes:
                continue
            await h.call(h.venue.set_margin(h.account, instrument.id, leverage, mode))
            said = await h.call(h.venue.margin(h.account, instrument.id, mode))
            assert said == MarginSetting(leverage, mode)
            _, fills = await self.trade_perpetual(h, OrderSide.BUY, size, margin_mode=mode)
            assert fills
            position = await self.held(h)
            assert position is not None
            assert (position.leverage, position.margin_mode) == (leverage, mode)
            # Under a position its own mode is meant, whatever an order would name.
            for other in modes:
                assert await h.call(h.venue.margin(h.account, instrument.id, other)) == said
            await self.trade_perpetual(h, OrderSide.SELL, size, reduce_only=True)

    async def test_leverage_beyond_all_bounds_is_refused(self, harness: VenueHarness) -> None:
        h = harness
        instrument, _ = self.perpetual(h)
        mode = next(iter(h.venue.capabilities.margin_modes))
        with pytest.raises(QuarterdeckError):
            await h.call(h.venue.set_margin(h.account, instrument.id, Decimal(100_000), mode))

    async def test_more_than_the_margin_allows_is_rejected(self, harness: VenueHarness) -> None:
        h = harness
        _, size = self.perpetual(h)
        client_id, fills = await self.trade_perpetual(h, OrderSide.BUY, size * 10_000)
        assert fills == []
        codes = [e.code for _, e in h.events if isinstance(e, OrderRejected) and e.client_id == client_id]
        assert len(codes) == 1

    async def test_a_perpetual_tells_its_mark_and_when_funding_is_due(self, harness: VenueHarness) -> None:
        h = harness
        instrument, _ = self.perpetual(h)
        await h.call(h.venue.watch([instrument.id]))

        def marks() -> list[MarkPrice]:
            return [e for e in h.market if isinstance(e, MarkPrice) and e.instrument == instrument.id]

        await h.until(marks)
        mark = marks()[0]
        assert mark.mark > 0
        assert mark.next_funding is None or mark.next_funding > mark.ts

    async def test_funding_is_read_on_from_a_cursor(self, harness: VenueHarness) -> None:
        h = harness
        self.perpetual(h)
        cursor = ""
        for _ in range(100):
            payments, after = await h.call(h.venue.funding_since(h.account, cursor))
            assert [p.ts for p in payments] == sorted(p.ts for p in payments)
            if after == cursor:
                break
            cursor = after
        else:
            raise AssertionError("the cursor never comes to an end")
        assert list(payments) == []

    async def test_the_dead_mans_switch_cancels_what_rests_when_it_is_not_fed(self, harness: VenueHarness) -> None:
        h = harness
        instrument, size = self.perpetual(h)
        if not h.venue.capabilities.countdown:
            with pytest.raises(QuarterdeckError):
                await h.call(h.venue.countdown(h.account, 10))
            return
        book = await h.call(h.venue.book(instrument.id, 1))
        price = instrument.round_price(instrument.price_from_int(book.bids[0][0]) * Decimal("0.95"), up=False)
        await h.call(h.venue.countdown(h.account, 60))
        client_id, _ = await self.trade_perpetual(h, OrderSide.BUY, size, type=OrderType.LIMIT, price=price)
        await h.call(h.venue.countdown(h.account, 0))
        order = await h.call(h.venue.order(h.account, client_id))
        assert order is not None
        assert order.status == "accepted"
        await h.call(h.venue.countdown(h.account, 1))
        await h.until(lambda: any(isinstance(e, OrderCanceled) and e.client_id == client_id for _, e in h.events))
