"""One entry under judgement, with what several rules look at, computed once and only when somebody asks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.model.decimals import ZERO
from engine.model.lazy import lazy
from engine.model.order import OrderSide
from engine.model.reserve import expected_price, reservation, worst_unit
from engine.risk.exposure import Exposure
from engine.risk.words import plain

if TYPE_CHECKING:
    from decimal import Decimal

    from engine.model.budget import BotBudgets
    from engine.model.commitments import Overlay
    from engine.model.ids import ClientOrderId, Currency
    from engine.model.instrument import Instrument
    from engine.model.limits import RiskLimits
    from engine.model.margin import MarginSetting
    from engine.model.order import OrderRequest
    from engine.model.risk import Quote
    from engine.model.valuation import Valuation
    from engine.resilience.caution import Caution
    from engine.risk.exposure import Grouping
    from engine.risk.picture import Picture
    from engine.risk.throttle import Throttle
    from engine.state import EngineState

__all__ = ["Case"]


class Case:
    """One entry under judgement.

    Args:
        request: The order.
        replaces: An order that it takes the place of.
        instrument: What it trades.
        now: UTC nanoseconds.
        limits: Those in force for everybody.
        own: Those in force for the order's owner, each as strict or stricter.
        state: What the engine knows.
        picture: Values of the moment.
        throttle: Order rates.
        budgets: Owners' capital; None where they have none.
        caution: What is impaired.
        grouping: Classes and clusters.
    """

    def __init__(
        self,
        *,
        request: OrderRequest,
        replaces: ClientOrderId | None,
        instrument: Instrument,
        now: int,
        limits: RiskLimits,
        own: RiskLimits,
        state: EngineState,
        picture: Picture,
        throttle: Throttle,
        budgets: BotBudgets | None,
        caution: Caution,
        grouping: Grouping,
    ) -> None:
        self.request = request
        self.replaces = replaces
        self.instrument = instrument
        self.now = now
        self.limits = limits
        self.own = own
        self.state = state
        self.picture = picture
        self.throttle = throttle
        self.budgets = budgets
        self.caution = caution
        self.grouping = grouping
        self.base = state.accounts[request.account].base_currency
        self.rules = instrument.rules_at(now)

    @property
    def who(self) -> str:
        """The order's owner as a person knows it, as the beginning or middle of a sentence."""
        bot = self.state.bots.get(self.request.owner)
        return str(self.request.owner) if bot is None else f"bot {bot.name}"

    @lazy
    def quote(self) -> Quote | None:
        """The instrument's market."""
        return self.picture.quote(self.instrument.id)

    @lazy
    def mark(self) -> Decimal | None:
        """The instrument's mark."""
        return self.picture.mark(self.instrument.id)

    @lazy
    def expected(self) -> Decimal | None:
        """The price at which the order is likely to execute."""
        return expected_price(self.request, self.quote)

    @property
    def equity(self) -> Valuation:
        """The account's value."""
        return self.exposure.equity

    @lazy
    def care(self) -> Decimal:
        """What the largest position is multiplied with there: 1 unless something is impaired or on trial."""
        return self.caution.factor_of(self.instrument.id, self.request.account, self.request.owner)

    @lazy
    def hold(self) -> tuple[Currency, Decimal]:
        """Currency and amount that booking the order would additionally hold."""
        leverage = self.setting.leverage
        currency, unit = reservation(self.request, self.instrument, self.quote, leverage)
        return currency, self.picture.hold_change(self.request, currency, unit, self.replaces)

    @lazy
    def setting(self) -> MarginSetting:
        """Leverage and margin mode of the account in the instrument."""
        return self.state.margin(self.request.account, self.instrument.id)

    @lazy
    def added(self) -> Decimal:
        """Open quantity that the order adds on its side."""
        return self.picture.commitments.added(self.request, self.replaces)

    @lazy
    def units(self) -> tuple[Decimal, Decimal]:
        """Largest position in this instrument that fills can lead to: without and with the order."""
        account, owner = self.request.account, self.request.owner
        buys = self.added if self.request.side is OrderSide.BUY else ZERO
        most = self.picture.most
        return most(account, self.instrument), most(account, self.instrument, owner, buys, self.added - buys)

    @lazy
    def own_units(self) -> tuple[Decimal, Decimal]:
        """The same of the owner's own part: it may grow where the account's does not, against somebody else's."""
        line = self.picture.commitments.own(self.request.owner, self.request.account, self.instrument.id)
        buys = self.added if self.request.side is OrderSide.BUY else ZERO
        sells, spot = self.added - buys, self.picture.is_spot(self.instrument)

        def most(more: Decimal, less: Decimal) -> Decimal:
            long = max(line.quantity + line.buys + more, ZERO)
            return long if spot else max(long, line.sells + less - line.quantity)

        return most(ZERO, ZERO), most(buys, sells)

    @lazy
    def worst(self) -> Decimal:
        """What one unit of the order can come to at most, in quote currency."""
        return worst_unit(self.request, self.instrument, self.quote)

    @lazy
    def overlay(self) -> Overlay:
        """What the order changes of its line."""
        return self.picture.commitments.overlay(self.request, self.worst, self.replaces)

    @lazy
    def exposure(self) -> Exposure:
        """What can be held without the order."""
        return Exposure(self.picture, self.request.account, self.grouping)

    @lazy
    def after(self) -> Exposure | None:
        """What can be held with it; None while it has no price."""
        line = self.picture.held_with(self.request.account, self.instrument, self.overlay)
        return None if line is None else self.exposure.with_line(line)

    @lazy
    def per_unit(self) -> Decimal:
        """What one unit more counts for, in base currency; 0 while it has no price."""
        rate = self.picture.rates.rate(self.instrument.quote, self.base, self.instrument.venue)
        if rate is None or self.mark is None:
            return ZERO
        return max(self.worst, self.mark * self.instrument.multiplier) * rate

    def more(self, room: Decimal, per_unit: Decimal | None = None) -> str:
        """How much of the order would still be possible, as the end of a sentence."""
        unit = self.per_unit if per_unit is None else per_unit
        most = self.instrument.floor_quantity(max(room, ZERO) / unit) if unit else ZERO
        if most < max(self.rules.lot, self.rules.min_quantity):
            return "nothing can be added"
        return f"at most {plain(most)} {self.instrument.base} can be added"
