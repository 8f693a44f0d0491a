"""Sizes of entries for everybody: a method says how large one is meant to be, every limit says how large it may be."""

from __future__ import annotations

from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, get_args

import msgspec

from engine.errors import QuarterdeckError
from engine.model.decimals import ONE, ZERO, parse_decimal, within
from engine.model.limits import SizeMethod
from engine.model.order import OrderRequest, OrderSide, OrderType
from engine.model.owner_limits import limits_of_owner
from engine.model.reserve import expected_price, reservation
from engine.model.signal import SignalDirection
from engine.model.valuation import VIEW
from engine.resilience.caution import Caution
from engine.risk.case import Case
from engine.risk.picture import Picture
from engine.risk.rules_exposure import room_left
from engine.risk.sizing_methods import heat_factor, kelly_fraction, parity_factor, wanted_value
from engine.risk.throttle import Throttle
from engine.risk.timing import StepTimes
from engine.risk.words import amount, plain

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.model.budget import BotBudgets
    from engine.model.commitments import Commitments
    from engine.model.entries import ExitEntry
    from engine.model.ids import AccountId, InstrumentId, Owner
    from engine.model.instrument import Instrument
    from engine.model.limits import RiskLimits
    from engine.model.regime import MarketRegime
    from engine.model.risk import Quotes, Volatilities
    from engine.model.signal import Signal
    from engine.risk.adaptation import Adaptation
    from engine.risk.exposure import Grouping
    from engine.state import EngineState

__all__ = ["PositionSizer", "Room", "fit"]

_NO_ORDERS = Throttle()


class Room(msgspec.Struct, frozen=True, kw_only=True):
    """How much an entry may be worth at most; money in the instrument's quote currency."""

    price: Decimal
    """Likely price of one unit, by which a wanted value becomes a quantity."""
    worst: Decimal
    """What one unit counts for in the gate: the dearer of mark and worst price, fee included."""
    left: Decimal
    """Left of the tightest limit of values."""
    why: str
    """Which one that is, in words."""
    funds: Decimal
    """Free funds and free capital of the owner, whichever is less."""
    funds_per_unit: Decimal
    """What one unit holds while its order works, worst price and fee included."""


def fit(value: Decimal, room: Room, instrument: Instrument) -> tuple[Decimal, str]:
    """Cap a wanted value by what is possible and make whole lots of it; run it in the `VIEW` context.

    Args:
        value: Wanted value in quote currency.
        room: What is possible.
        instrument: Gives lot, smallest and largest order.

    Returns:
        Quantity and, when it is 0, why.
    """
    caps = [(value / (room.price * instrument.multiplier), "the wanted size"), (room.left / room.worst, room.why)]
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
    notional = quantity * room.price * instrument.multiplier
    if notional < rules.min_notional:
        return ZERO, (
            f"{why} ({amount(notional, instrument.quote)}) is below the smallest order value of "
            f"{amount(rules.min_notional, instrument.quote)}"
        )
    return quantity, ""


_METHODS = frozenset(get_args(SizeMethod))


class PositionSizer:
    """Sizes entries of one account from the state, so that they pass the gate. Implements the bots' `Sizer`.

    Args:
        account: In which is traded.
        state: What the engine knows.
        quotes: Present markets.
        limits: Gives the limits in force.
        commitments: The running sums.
        budgets: Owners' capital.
        caution: What is impaired; None where nothing ever is.
        grouping: Classes and clusters, as in the gate.
        volatilities: How much instruments move; None where nobody knows.
        times: Where it is noted how long sizes take; None to measure nothing.
    """

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
        *,
        grouping: Grouping,
        volatilities: Volatilities | None = None,
        times: StepTimes | None = None,
    ) -> None:
        self._caution = caution or Caution()
        self._adaptation = adaptation
        self._account = account
        self._state = state
        self._limits = limits
        self._budgets = budgets
        self._grouping = grouping
        self._volatilities = volatilities
        self._times = times or StepTimes(lambda: 0)
        self._picture = Picture(state, quotes, commitments)

    def size(
        self, signal: Signal, instrument: Instrument, owner: Owner, price: Decimal, now: int | None = None
    ) -> tuple[Decimal, str]:
        """Quantity of one market entry in whole lots and, when it is 0, the reason in words.

        The signal's metadata may carry `size_method`, `position_size_pct` (fraction of equity) and `atr` (price units);
        without them the limits' own method and size are used, and the volatility of daily returns for the range.

        Args:
            signal: The wish to enter.
            instrument: What is bought or sold.
            owner: Whose capital is used.
            price: Present price in quote currency.
            now: UTC nanoseconds; None for the signal's own time.
        """
        with self._times.step("size"), within(VIEW):
            self._picture.look()
            base = self._state.accounts[self._account].base_currency
            equity = self._picture.equity(self._account)
            rate = self._picture.rates.rate(instrument.quote, base, instrument.venue)
            if not equity.known or not rate:
                missing = ", ".join(equity.missing) or instrument.quote
                return ZERO, f"the account cannot be valued: no price is known for {missing}"
            case = self._case(signal, instrument, owner, signal.ts if now is None else now)
            room, reason = self._room(case, rate)
            if room is None:
                return ZERO, reason
            value = self._wanted(signal, case, equity.value / rate, price) * self._heat(case)
            caution = self._caution
            adapted = self._adaptation.size_factor(instrument.id) if self._adaptation is not None else ONE
            value *= caution.factor_of(instrument.id, self._account, owner) * adapted
            return fit(value, room, instrument)

    def stop_distance(self, instrument: InstrumentId, side: OrderSide, base: float) -> float:
        """Distance of a new position's stop as a fraction of its price, adapted to momentum where that is wanted."""
        return base if self._adaptation is None else self._adaptation.stop_distance(instrument, side, base)

    def regime(self, instrument: InstrumentId) -> MarketRegime | None:
        """The market's regimes; None while they are not known."""
        return None if self._adaptation is None else self._adaptation.regime(instrument)

    def _case(self, signal: Signal, instrument: Instrument, owner: Owner, now: int) -> Case:
        """The smallest such entry, as the gate would judge it."""
        limits = self._limits()
        request = OrderRequest(
            account=self._account,
            instrument=instrument.id,
            owner=owner,
            side=OrderSide.BUY if signal.direction is SignalDirection.BUY else OrderSide.SELL,
            type=OrderType.MARKET,
            quantity=instrument.current_rules.lot,
        )
        return Case(
            request=request,
            replaces=None,
            instrument=instrument,
            now=now,
            limits=limits,
            own=limits_of_owner(self._state, owner, limits),
            state=self._state,
            picture=self._picture,
            throttle=_NO_ORDERS,
            budgets=self._budgets,
            caution=self._caution,
            grouping=self._grouping,
        )

    def _wanted(self, signal: Signal, case: Case, equity: Decimal, price: Decimal) -> Decimal:
        method = signal.metadata.get("size_method", case.own.position_size_method)
        chosen: SizeMethod = method if method in _METHODS else case.own.position_size_method  # type: ignore[assignment]
        value = wanted_value(
            chosen,
            equity,
            min(_number(signal, "position_size_pct") or case.own.position_size_pct, ONE),
            confidence=Decimal(repr(float(signal.confidence))),
            atr=_number(signal, "atr") or self._range(case.instrument, price),
            price=price,
            kelly=kelly_fraction(self._trades(case), case.now) if chosen == "kelly" else None,
            parity=self._parity(case) if chosen == "risk_parity" else None,
        )
        return value if signal.size == 1.0 else value * Decimal(repr(float(signal.size)))

    def _trades(self, case: Case) -> list[ExitEntry]:
        return [one for one in self._state.exits.values() if one.owner == case.request.owner]

    def _volatility(self, instrument: Instrument) -> float | None:
        return None if self._volatilities is None else self._volatilities.volatility(instrument.id)

    def _range(self, instrument: Instrument, price: Decimal) -> Decimal | None:
        """What a day moves, by its returns, where no average true range is told."""
        volatility = self._volatility(instrument)
        return None if not volatility else price * Decimal(repr(volatility))

    def _parity(self, case: Case) -> Decimal | None:
        new = self._volatility(case.instrument)
        held = {one.instrument.id: one.instrument for one in case.exposure.held if one.value}
        held.pop(case.instrument.id, None)
        known = [volatility for one in held.values() if (volatility := self._volatility(one)) is not None]
        return None if new is None else parity_factor(new, known)

    def _heat(self, case: Case) -> Decimal:
        """By how much an entry is reduced because of what is known to move with it."""
        correlated = self._grouping.clusters.known_with(
            case.exposure.held,
            case.instrument,
            short=case.request.side is OrderSide.SELL,
            threshold=case.limits.correlation_threshold,
        )
        return heat_factor(correlated, case.limits.max_correlated_exposure * case.exposure.whole.value)

    def _room(self, case: Case, rate: Decimal) -> tuple[Room | None, str]:
        """What is possible, as the gate will see it; None with the reason where it cannot be told."""
        instrument, picture, owner = case.instrument, self._picture, case.request.owner
        mark, missing = case.mark, case.exposure.missing
        if missing or mark is None or case.after is None:
            names = ", ".join(missing) or instrument.id
            return None, f"the portfolio cannot be valued: no price is known for {names}"
        currency, per_unit = reservation(case.request, instrument, case.quote)
        # Sizes are not stretched by leverage: one unit takes its whole value of what is free.
        funds = picture.free_funds(self._account, currency)
        budget = self._budgets.budget(owner)
        if budget is not None:
            into = picture.rates.rate(budget.currency, currency, instrument.venue)
            if budget.missing or into is None:
                return None, f"the capital of {owner} cannot be valued: no price is known"
            funds = min(funds, budget.free * into)
        left, why = room_left(case)
        room = Room(
            price=max(mark, expected_price(case.request, case.quote) or mark),
            worst=max(case.worst, mark * instrument.multiplier),
            left=left / rate,
            why=why,
            funds=funds,
            funds_per_unit=per_unit,
        )
        return room, ""


def _number(signal: Signal, name: str) -> Decimal | None:
    """A positive number of the signal's metadata; None where it is missing or not usable."""
    raw = signal.metadata.get(name)
    return None if raw is None else _positive(raw, name)


@lru_cache(maxsize=256)
def _positive(raw: float | str, name: str) -> Decimal | None:
    try:
        value = parse_decimal(repr(raw) if isinstance(raw, float) else raw, name)
    except QuarterdeckError:
        return None
    return value if value > ZERO else None
