"""How large one entry is: three methods, one set of caps, whole lots."""

from __future__ import annotations

import decimal
from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec

from engine.errors import QuarterdeckError
from engine.model.decimals import ONE, ZERO, parse_decimal
from engine.model.order import OrderRequest, OrderSide, OrderType
from engine.model.owner_limits import terms_of_owner
from engine.model.reserve import expected_price, reservation
from engine.model.signal import SignalDirection
from engine.model.valuation import VIEW
from engine.resilience.caution import Caution
from engine.risk.picture import Picture
from engine.risk.words import amount, plain

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.model.budget import BotBudgets
    from engine.model.commitments import Commitments
    from engine.model.ids import AccountId, InstrumentId, Owner
    from engine.model.instrument import Instrument
    from engine.model.limits import RiskLimits, SizeMethod
    from engine.model.regime import MarketRegime
    from engine.model.risk import Quotes
    from engine.model.signal import Signal
    from engine.risk.adaptation import Adaptation
    from engine.state import EngineState

__all__ = ["DAILY_VOLATILITY_TARGET", "PositionSizer", "Room", "fit", "wanted_value"]

DAILY_VOLATILITY_TARGET = Decimal("0.02")
"""Fraction of the price that a position is meant to move in a period."""


class Room(msgspec.Struct, frozen=True, kw_only=True):
    """How much an entry may be worth at most; money in the instrument's quote currency."""

    price: Decimal
    """What one base unit counts for: the dearer of mark and likely price, as in the gate."""
    position: Decimal
    """Left of the largest position."""
    exposure: Decimal
    """Left of the exposure of the whole portfolio."""
    funds: Decimal
    """Free funds and free capital of the owner, whichever is less."""
    funds_per_unit: Decimal
    """What one unit holds while its order works, worst price and fee included."""


def wanted_value(
    method: SizeMethod,
    equity: Decimal,
    pct: Decimal,
    *,
    confidence: Decimal = ONE,
    atr: Decimal | None = None,
    price: Decimal = ONE,
) -> Decimal:
    """Value of one entry before caps, in the currency of `equity`; run it in the `VIEW` context.

    Args:
        method: fixed_percentage: equity x pct. confidence_weighted: that x confidence. volatility_adjusted: that x
            DAILY_VOLATILITY_TARGET / (ATR / price), so that calm markets get more and wild ones less.
        equity: The account's value.
        pct: Base size as a fraction of equity.
        confidence: The signal's, 0 to 1.
        atr: Average true range over 20 periods in price units; without it the fixed percentage is used.
        price: Present price, in the same units as `atr`.
    """
    base = equity * pct
    if method == "confidence_weighted":
        return base * min(max(confidence, ZERO), ONE)
    if method == "volatility_adjusted" and atr is not None and atr > ZERO:
        return base * DAILY_VOLATILITY_TARGET * price / atr
    return base


def fit(value: Decimal, room: Room, instrument: Instrument) -> tuple[Decimal, str]:
    """Cap a wanted value by what is possible and make whole lots of it; run it in the `VIEW` context.

    Args:
        value: Wanted value in quote currency.
        room: What is possible.
        instrument: Gives lot, smallest and largest order.

    Returns:
        Quantity and, when it is 0, why.
    """
    unit = room.price * instrument.multiplier
    caps = [
        (value / unit, "the wanted size"),
        (room.position / unit, "what is left of the largest position"),
        (room.exposure / unit, "what is left of the allowed exposure"),
    ]
    if room.funds_per_unit > ZERO:
        caps.append((room.funds / room.funds_per_unit, "the free capital"))
    most, why = min(caps, key=lambda cap: cap[0])
    rules = instrument.current_rules
    if rules.max_quantity:
        most = min(most, rules.max_quantity)
    quantity = instrument.floor_quantity(max(most, ZERO))
    least = max(rules.min_quantity, rules.lot)
    if quantity < least:
        return ZERO, f"{why} ({plain(max(most, ZERO))} {instrument.base}) is below the smallest order of {plain(least)}"
    if quantity * unit < rules.min_notional:
        return ZERO, (
            f"{why} ({amount(quantity * unit, instrument.quote)}) is below the smallest order value of "
            f"{amount(rules.min_notional, instrument.quote)}"
        )
    return quantity, ""


class PositionSizer:
    """Sizes entries of one account from the state, so that they pass the gate. Implements the bots' `Sizer`."""

    def __init__(
        self,
        account: AccountId,
        state: EngineState,
        quotes: Quotes,
        limits: Callable[[], RiskLimits],
        commitments: Commitments,
        budgets: BotBudgets,
        caution: Caution | None = None,
        adaptation: Adaptation | None = None,
    ) -> None:
        self._caution = caution or Caution()
        self._adaptation = adaptation
        self._account = account
        self._state = state
        self._limits = limits
        self._budgets = budgets
        self._picture = Picture(state, quotes, commitments)

    def size(self, signal: Signal, instrument: Instrument, owner: Owner, price: Decimal) -> tuple[Decimal, str]:
        """Quantity of one market entry in whole lots and, when it is 0, the reason in words.

        The signal's metadata may carry `position_size_pct` (fraction of equity) and `atr` (price units); without them
        the limits' own size and the fixed percentage are used.

        Args:
            signal: The wish to enter.
            instrument: What is bought or sold.
            owner: Whose capital is used.
            price: Present price in quote currency.
        """
        with decimal.localcontext(VIEW):
            self._picture.look()
            base = self._state.accounts[self._account].base_currency
            equity = self._picture.equity(self._account)
            rate = self._picture.rates.rate(instrument.quote, base, instrument.venue)
            if not equity.known or not rate:
                missing = ", ".join(equity.missing) or instrument.quote
                return ZERO, f"the account cannot be valued: no price is known for {missing}"
            limits = self._limits()
            side = OrderSide.BUY if signal.direction is SignalDirection.BUY else OrderSide.SELL
            room, reason = self._room(instrument, owner, side, equity.value, rate)
            if room is None:
                return ZERO, reason
            value = wanted_value(
                limits.position_size_method,
                equity.value / rate,
                _number(signal, "position_size_pct", limits.position_size_pct) or limits.position_size_pct,
                confidence=Decimal(repr(float(signal.confidence))),
                atr=_number(signal, "atr", None),
                price=price,
            )
            care = self._caution.factor_of(instrument.id, self._account, owner)
            adapted = self._adaptation.size_factor(instrument.id) if self._adaptation is not None else ONE
            return fit(value * care * adapted, room, instrument)

    def stop_distance(self, instrument: InstrumentId, side: OrderSide, base: float) -> float:
        """Distance of a new position's stop as a fraction of its price, adapted to momentum where that is wanted."""
        return base if self._adaptation is None else self._adaptation.stop_distance(instrument, side, base)

    def regime(self, instrument: InstrumentId) -> MarketRegime | None:
        """The market's regimes; None while they are not known."""
        return None if self._adaptation is None else self._adaptation.regime(instrument)

    def _room(
        self, instrument: Instrument, owner: Owner, side: OrderSide, equity: Decimal, rate: Decimal
    ) -> tuple[Room | None, str]:
        """What is possible, as the gate will see it; None with the reason where it cannot be told."""
        limits, picture = self._limits(), self._picture
        everything, others = picture.portfolio(self._account, without=instrument.id)
        mark = picture.mark(instrument.id)
        if not others.known or mark is None:
            missing = ", ".join(others.missing) or instrument.id
            return None, f"the portfolio cannot be valued: no price is known for {missing}"
        held = picture.most(self._account, instrument) * mark * instrument.multiplier
        request = OrderRequest(
            account=self._account,
            instrument=instrument.id,
            owner=owner,
            side=side,
            type=OrderType.MARKET,
            quantity=ONE,
        )
        quote = picture.quote(instrument.id)
        currency, per_unit = reservation(request, instrument, quote)
        # Sizes are not stretched by leverage: one unit takes its whole value of what is free.
        funds = picture.free_funds(self._account, currency)
        budget = self._budgets.budget(owner)
        if budget is not None:
            into = picture.rates.rate(budget.currency, currency, instrument.venue)
            if budget.missing or into is None:
                return None, f"the capital of {owner} cannot be valued: no price is known"
            funds = min(funds, budget.free * into)
        whole = limits.max_portfolio_exposure * limits.max_leverage * everything.value
        care = self._caution.factor_of(instrument.id, self._account, owner)
        position = limits.max_position_size_pct * care * equity / rate - held
        exposure = (whole - others.value) / rate - held
        own = terms_of_owner(self._state, owner).risk
        if own.max_position_size_pct is not None or own.max_portfolio_exposure is not None:
            own_held, own_others = self._own(owner, instrument, mark, rate)
            if own.max_position_size_pct is not None:
                position = min(position, own.max_position_size_pct * equity / rate - own_held)
            if own.max_portfolio_exposure is not None:
                exposure = min(exposure, own.max_portfolio_exposure * equity / rate - own_held - own_others)
        room = Room(
            price=max(mark, expected_price(request, quote) or mark),
            position=position,
            exposure=exposure,
            funds=funds,
            funds_per_unit=per_unit,
        )
        return room, ""

    def _own(self, owner: Owner, instrument: Instrument, mark: Decimal, rate: Decimal) -> tuple[Decimal, Decimal]:
        """What an owner's position in an instrument can come to, and all its others: value in the quote currency."""
        held = others = ZERO
        base = self._state.accounts[self._account].base_currency
        for (who, account, key), line in self._picture.commitments.owned.items():
            if who != owner or account != self._account:
                continue
            units = max(line.quantity + line.buys, line.sells - line.quantity)
            if key == instrument.id:
                held = units * mark * instrument.multiplier
            else:
                others += units * (self._picture.unit_value(self._state.instruments[key], base) or ZERO) / rate
        return held, others


def _number(signal: Signal, name: str, default: Decimal | None) -> Decimal | None:
    """A positive number of the signal's metadata; the default where it is missing or not usable."""
    raw = signal.metadata.get(name)
    if raw is None:
        return default
    try:
        value = parse_decimal(repr(raw) if isinstance(raw, float) else raw, name)
    except QuarterdeckError:
        return default
    return value if value > ZERO else default
