"""Linear perpetuals at the paper exchange: margin, funding, liquidation and deleveraging, beside what orders do.

Rules of the house: one position an account and instrument, at its average entry price. Isolated margin is the value at
the entry over the leverage; in cross mode everything in the account stands for all such positions. Funding and fees are
taken from the balance, not from the margin of a position. A position whose margin ratio reaches 1 is closed as a whole:
its orders are canceled first, then it is filled at the mark with the liquidation fee, never worse than at the price at
which nothing of its margin is left; what the market costs beyond that is the venue's.
"""

from __future__ import annotations

import decimal
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import TYPE_CHECKING

from engine.errors import ValidationError
from engine.events import OrderFilled
from engine.model.decimals import ONE, ZERO, exact
from engine.model.fill import Fill, FillCause
from engine.model.ids import ClientOrderId, VenueOrderId
from engine.model.instrument import CASH_KINDS
from engine.model.margin import UNLEVERED, MarginMode, MarginSetting, initial_margin, most_leverage
from engine.model.order import Liquidity, OrderSide, OrderStatus
from engine.model.position import Position
from engine.model.standing import Exposure, Standing, standings, used_margin
from engine.model.valuation import VIEW
from engine.model.venue import FundingPayment, VenuePosition
from engine.venues.paper.accounts import BOUND
from engine.venues.paper.listing import Listing

if TYPE_CHECKING:
    from engine.model.ids import Currency, InstrumentId
    from engine.model.market import MarkPrice
    from engine.venues.paper.accounts import PaperAccount
    from engine.venues.paper.core import Core
    from engine.venues.paper.orders import PaperOrder

__all__ = ["PerpetualListing", "exposures_of", "refresh", "set_margin", "venue_positions"]

_CENT = Decimal("1e-8")
"""Smallest amount that funding and liquidation fees are taken in."""
HOUR_NS = 3_600_000_000_000


class PerpetualListing(Listing):
    """A perpetual at the exchange."""

    mark: Decimal | None = None
    """The last mark that the market told."""
    rate: Decimal | None = None
    """Funding rate of the running period."""
    next_funding: int | None = None
    """UTC nanoseconds."""

    # --- reading -----------------------------------------------------------------------------------------------------

    def setting(self, account: PaperAccount) -> MarginSetting:
        """Leverage and margin mode of an account here."""
        return account.margins.get(self.instrument.id, UNLEVERED)

    def held(self, account: PaperAccount) -> Decimal:
        """Signed contracts of an account."""
        position = account.positions.get(self.instrument.id)
        return ZERO if position is None else position.quantity

    def valued_at(self) -> Decimal | None:
        """The mark; until the market tells one, the middle of the book or the last price."""
        if self.mark is not None:
            return self.mark
        prices = [p for p in (self.model.reference(buy=True), self.model.reference(buy=False)) if p is not None]
        if not prices:
            return None
        return VIEW.divide(sum((self.instrument.price_from_int(p) for p in prices), ZERO), len(prices))

    # --- what an order needs -----------------------------------------------------------------------------------------

    def need(self, order: PaperOrder) -> tuple[Currency, Decimal]:
        """Initial margin and the worst fee of what would open or enlarge a position; run it in the exact context."""
        instrument = self.instrument
        if order.command.reduce_only:
            return instrument.settle, ZERO
        opening = instrument.quantity_from_int(max(order.remaining - self._closing(order), 0))
        value = instrument.notional(self._unit_price(order), opening)
        margin = initial_margin(value, self.setting(self.account_of(order)).leverage)
        return instrument.settle, margin + value * self._terms.worst_fee

    def reducible(self, order: PaperOrder) -> int:
        """Scaled quantity by which an order could reduce the account's position."""
        held = self.held(self.account_of(order))
        return self._whole_lots(-held if order.buy else held, self._terms.lot)

    def _closing(self, order: PaperOrder) -> int:
        held = self.held(self.account_of(order))
        return max(self.instrument.quantity_to_int(-held if order.buy else held), 0)

    def _payable(self, order: PaperOrder, price: int, quantity: int) -> int:
        if order.command.reduce_only:
            return min(quantity, self.reducible(order))
        instrument, account = self.instrument, self.account_of(order)
        closing = min(quantity, self._closing(order))
        at, opening = instrument.price_from_int(price), instrument.quantity_from_int(quantity - closing)
        if not opening:
            return quantity
        value = instrument.notional(at, ONE)
        unit = initial_margin(value, self.setting(account).leverage) + value * self._terms.worst_fee
        funds = account.available(order, instrument.settle)
        if closing:
            funds += self._freed(account, at)
        if unit * opening <= funds:
            return quantity
        return closing + self._whole_lots(BOUND.divide(max(funds, ZERO), unit), self._terms.lot)

    def _freed(self, account: PaperAccount, price: Decimal) -> Decimal:
        """What the end of a position frees: its margin and its profit."""
        position = account.positions[self.instrument.id]
        one = self._exposure(account, position)
        return one.margin + position.unrealised(price, self.instrument.multiplier)

    # --- booking -----------------------------------------------------------------------------------------------------

    def _move(self, account: PaperAccount, order: PaperOrder, price: Decimal, amount: Decimal) -> None:
        self._hold_position(account, amount if order.buy else -amount, price, order.updated)

    def _hold_position(self, account: PaperAccount, quantity: Decimal, price: Decimal, ts: int) -> None:
        key = self.instrument.id
        position = account.positions.get(key)
        if position is None:
            position = account.positions[key] = Position(account=account.id, instrument=key)
        account.move(self.instrument.settle, position.book_average(quantity, price, self.instrument.multiplier, ts))
        if not position.lots:
            del account.positions[key]
        refresh(self.core, account, self.instrument.settle)

    def _fee(
        self, order: PaperOrder, price: Decimal, amount: Decimal, liquidity: Liquidity
    ) -> tuple[Decimal, Currency]:
        rate = self._terms.maker_fee if liquidity is Liquidity.MAKER else self._terms.taker_fee
        return self.instrument.notional(price, amount) * rate, self.instrument.settle

    def _touches(self, other: Listing) -> bool:
        return other is self

    # --- the market --------------------------------------------------------------------------------------------------

    def on_mark(self, event: MarkPrice) -> None:
        """Take a mark: pay funding that is due, and close what it leaves without margin."""
        due = self.next_funding
        if due is not None and event.ts >= due:
            self._pay_funding(due, event.mark)
        self.mark = event.mark
        if event.funding_rate is not None:
            self.rate = event.funding_rate
        period = int(self.core.settings.funding_hours * HOUR_NS)
        self.next_funding = event.next_funding or (event.ts // period + 1) * period
        self.check(event.ts)

    def check(self, ts: int) -> None:
        """Revalue all positions here and close those whose margin is used up."""
        for account in list(self.core.accounts.values()):
            if self.instrument.id not in account.positions:
                continue
            refresh(self.core, account, self.instrument.settle)
            if (listing := self._used_up(account)) is not None:
                listing.liquidate(account, ts)

    def _used_up(self, account: PaperAccount) -> PerpetualListing | None:
        """What is to be closed: this position, or in cross mode the one that loses most; None while all is well."""
        key, settle = self.instrument.id, self.instrument.settle
        positions = exposures_of(self.core, account, settle)
        ratio = standings(positions, account.total(settle))[key].ratio
        if ratio is None or ratio < ONE:
            return None
        if self.setting(account).mode is MarginMode.ISOLATED:
            return self
        cross = [one for one in positions if one.setting.mode is MarginMode.CROSS]
        worst = min(cross, key=lambda one: (one.unrealised or ZERO, one.instrument.id))
        listing = self.core.listings[worst.instrument.id]
        return listing if isinstance(listing, PerpetualListing) else None

    def _pay_funding(self, due: int, mark: Decimal) -> None:
        rate = self.rate
        if rate is None:
            return
        for account in self.core.accounts.values():
            position = account.positions.get(self.instrument.id)
            if position is None:
                continue
            amount = VIEW.multiply(self.instrument.notional(mark, position.quantity), rate)
            amount = amount.quantize(_CENT, context=VIEW).normalize(VIEW)
            with exact():
                account.move(self.instrument.settle, -amount)
            self.core.touch_account(account)
            self.core.keep_payment(
                FundingPayment(
                    id=f"F{self.instrument.id}-{due}",
                    account=account.id,
                    instrument=self.instrument.id,
                    currency=self.instrument.settle,
                    amount=amount,
                    ts=due,
                    rate=rate,
                )
            )

    # --- closing by force --------------------------------------------------------------------------------------------

    def liquidate(self, account: PaperAccount, ts: int) -> None:
        """Close a position whose margin is used up."""
        mode, key = self.setting(account).mode, self.instrument.id
        for order in list(self.core.open.values()):
            listing = self.core.listings[order.command.instrument]
            theirs = order.command.account == account.id and isinstance(listing, PerpetualListing)
            if theirs and order.is_open and (listing is self or mode is MarginMode.CROSS):
                listing.end(order, OrderStatus.CANCELED, "the position is liquidated", ts)
        position, mark = account.positions.get(key), self.valued_at()
        if position is None or mark is None:
            return
        positions = exposures_of(self.core, account, self.instrument.settle)
        one = next(one for one in positions if one.instrument.id == key)
        with decimal.localcontext(VIEW):
            left = _left(positions, one, account.total(self.instrument.settle))
            size = position.quantity * self.instrument.multiplier
            nothing_left = mark - left / size
            long = position.quantity > ZERO
            price = max(mark, nothing_left) if long else min(mark, nothing_left)
            price = self._on_tick(price, up=long)
            left += (price - mark) * size
            fee = min(abs(price * size) * self.core.settings.liquidation_fee, max(left, ZERO))
            fee = fee.quantize(_CENT, rounding=ROUND_FLOOR)
        self.close_by_force(account, -position.quantity, price, fee, FillCause.LIQUIDATION, ts)

    def _on_tick(self, price: Decimal, *, up: bool) -> Decimal:
        tick = self.instrument.price_from_int(self._terms.tick)
        return max((price / tick).to_integral_value(ROUND_CEILING if up else ROUND_FLOOR) * tick, tick)

    def close_by_force(
        self, account: PaperAccount, quantity: Decimal, price: Decimal, fee: Decimal, cause: FillCause, ts: int
    ) -> None:
        """Book an execution that no order asked for.

        Args:
            account: Whose position.
            quantity: Signed contracts; negative sells.
            price: On the tick grid.
            fee: In the settle currency.
            cause: Why.
            ts: UTC nanoseconds.
        """
        trade_id = self.core.new_trade_id()
        with exact():
            self._hold_position(account, quantity, price, ts)
            account.move(self.instrument.settle, -fee)
        refresh(self.core, account, self.instrument.settle)
        self.core.touch_account(account)
        fill = Fill(
            venue=self.core.venue,
            account=account.id,
            instrument=self.instrument.id,
            trade_id=trade_id,
            venue_order_id=VenueOrderId(f"L{trade_id}"),
            client_id=ClientOrderId(f"autoclose-{trade_id}"),
            side=OrderSide.BUY if quantity > ZERO else OrderSide.SELL,
            price=price,
            quantity=abs(quantity),
            fee=fee,
            fee_currency=self.instrument.settle,
            liquidity=Liquidity.TAKER,
            ts=ts,
            cause=cause,
        )
        self.core.keep_fill(fill)
        self.core.emit(account.id, OrderFilled(fill=fill))
        self._shrink_reducing(account, ts)

    def deleverage(self, account: PaperAccount, quantity: Decimal, ts: int) -> None:
        """Close a part of a position at the mark against somebody's liquidation.

        Args:
            account: Whose position.
            quantity: Contracts to close, > 0; cut to what is held.
            ts: UTC nanoseconds.

        Raises:
            ValidationError: There is no position, or no mark.
        """
        held, mark = self.held(account), self.valued_at()
        if not held or mark is None:
            raise ValidationError(f"There is no position in {self.instrument.id} that could be deleveraged.")
        part = min(quantity, abs(held))
        signed = -part if held > ZERO else part
        with decimal.localcontext(VIEW):
            price = self._on_tick(mark, up=False)
        self.close_by_force(account, signed, price, ZERO, FillCause.DELEVERAGING, ts)

    def _exposure(self, account: PaperAccount, position: Position) -> Exposure:
        with exact():
            cost = position.cost(self.instrument.multiplier)
        return Exposure(
            instrument=self.instrument,
            quantity=position.quantity,
            cost=cost,
            mark=self.valued_at(),
            setting=self.setting(account),
        )


def _left(positions: list[Exposure], one: Exposure, wallet: Decimal) -> Decimal:
    """What is left of what stands for a position; run it in the `VIEW` context."""
    if one.setting.mode is MarginMode.ISOLATED:
        return one.margin + (one.unrealised or ZERO)
    set_aside = sum((p.margin for p in positions if p.setting.mode is MarginMode.ISOLATED), ZERO)
    open_profit = sum((p.unrealised or ZERO for p in positions if p.setting.mode is MarginMode.CROSS), ZERO)
    return wallet - set_aside + open_profit


# --- accounts --------------------------------------------------------------------------------------------------------


def exposures_of(core: Core, account: PaperAccount, settle: Currency) -> list[Exposure]:
    """An account's positions that are settled in a currency."""
    found = []
    for key, position in account.positions.items():
        listing = core.listings[key]
        if isinstance(listing, PerpetualListing) and listing.instrument.settle == settle:
            found.append(listing._exposure(account, position))
    return found


def refresh(core: Core, account: PaperAccount, settle: Currency) -> None:
    """Work out anew what the account's positions use of a currency."""
    account.used[settle] = used_margin(exposures_of(core, account, settle))


def standing_of(core: Core, account: PaperAccount, settle: Currency) -> dict[InstrumentId, Standing]:
    """How the account's positions stand, by instrument."""
    return standings(exposures_of(core, account, settle), account.total(settle))


def venue_positions(core: Core, account: PaperAccount, now: int) -> list[VenuePosition]:
    """All open positions of an account as a query shows them."""
    found = []
    for key, position in account.positions.items():
        listing = core.listings[key]
        if not isinstance(listing, PerpetualListing):
            continue
        standing = standing_of(core, account, listing.instrument.settle)[key]
        entry = position.average_price() or ZERO
        mark = listing.valued_at() or entry
        with exact():
            unrealised = position.unrealised(mark, listing.instrument.multiplier)
        found.append(
            VenuePosition(
                account=account.id,
                instrument=key,
                quantity=position.quantity,
                entry_price=entry,
                mark_price=mark,
                unrealised=unrealised,
                leverage=standing.setting.leverage,
                margin_mode=standing.setting.mode,
                margin=standing.margin,
                maintenance=standing.maintenance,
                updated=now,
                liquidation_price=standing.liquidation,
            )
        )
    return found


def set_margin(core: Core, account: PaperAccount, listing: Listing, leverage: Decimal, mode: MarginMode) -> None:
    """Set leverage and margin mode of an account in a perpetual.

    Raises:
        ValidationError: It is none, the leverage is out of bounds, the mode would change under a position or orders,
            or the funds are not enough for the margin.
    """
    instrument = listing.instrument
    if not isinstance(listing, PerpetualListing) or instrument.kind in CASH_KINDS:
        raise ValidationError(f"{instrument.id} is traded without leverage; there is no margin to set.")
    before, wanted = listing.setting(account), MarginSetting(leverage, mode)
    position = account.positions.get(instrument.id)
    if wanted == before:
        return
    size = listing._exposure(account, position).notional if position is not None else ZERO
    most = most_leverage(instrument.current_rules.margin, size, listing.held(account))
    if not ONE <= leverage <= most:
        raise ValidationError(f"The leverage of {instrument.id} must be 1 to {most.normalize():f}, not {leverage:f}.")
    orders = [
        order
        for order in core.open.values()
        if order.command.account == account.id and order.command.instrument == instrument.id
    ]
    if mode is not before.mode and (position is not None or orders):
        raise ValidationError(f"Close the position and the orders in {instrument.id} before its margin mode changes.")
    account.margins[instrument.id] = wanted
    refresh(core, account, instrument.settle)
    with exact():
        needed = sum((listing.need(order)[1] - order.held for order in orders), ZERO)
        enough = account.free(instrument.settle) - needed >= ZERO or leverage > before.leverage
        standing = standing_of(core, account, instrument.settle).get(instrument.id)
        safe = standing is None or standing.ratio is None or standing.ratio < ONE
        if not enough or not safe:
            account.margins[instrument.id] = before
            refresh(core, account, instrument.settle)
            why = "The free funds are not enough for" if not enough else "The position would be liquidated at"
            raise ValidationError(f"{why} {leverage.normalize():f}x {mode} margin in {instrument.id}.")
        for order in orders:
            listing.rehold(order)
    core.touch_account(account)
