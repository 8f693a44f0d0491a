"""Exposure to currencies, and the orders that would hedge it.

A currency's exposure is what is held of it and what derivatives on it come to, so a hedge counts. What bots hold is
theirs to decide, and is hedged only where the settings say so.
"""

from __future__ import annotations

import decimal
from collections import defaultdict
from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec

from engine.model.decimals import ONE, ZERO
from engine.model.ids import MANUAL, AccountId, Currency, InstrumentId
from engine.model.instrument import CASH_KINDS, InstrumentKind
from engine.model.order import Decision, OrderRequest, OrderSide, OrderType
from engine.model.valuation import VIEW

if TYPE_CHECKING:
    from collections.abc import Iterable

    from engine.model.capital_settings import CurrencySettings
    from engine.model.instrument import Instrument
    from engine.model.valuation import MarkOf, Rates
    from engine.state import EngineState

__all__ = ["CurrencyExposure", "Hedge", "exposures", "hedges"]


class CurrencyExposure(msgspec.Struct, frozen=True, kw_only=True):
    """What would be gained if a currency rose; amounts in its own units, values in the base currency."""

    account: AccountId
    currency: Currency
    held: Decimal
    """Balance."""
    derivatives: Decimal
    """Base units of derivatives, short ones negative."""
    bots: Decimal
    """What of both is bots'."""
    value: Decimal | None
    """Of held and derivatives together; None while there is no rate."""
    share: float | None
    """Of all capital."""
    limit: float | None
    """Largest share; None for no limit."""
    supported: bool
    """Whether capital may be held in it; where not, it is shown as a warning."""

    @property
    def units(self) -> Decimal:
        """Held and derivatives together."""
        return self.held + self.derivatives


class Hedge(msgspec.Struct, frozen=True, kw_only=True):
    """An order that would hedge an exposure."""

    account: AccountId
    currency: Currency
    instrument: InstrumentId
    side: OrderSide
    quantity: Decimal
    """Lots of the instrument: base units, contracts of a derivative."""
    covers: Decimal
    """Units of the currency."""
    value: Decimal
    """In the base currency."""
    exposure: float
    """Before, as a share of all capital."""
    after: float
    reason: str

    def order(self) -> OrderRequest:
        """The market order that brings it about; it is the operator's."""
        return OrderRequest(
            account=self.account,
            instrument=self.instrument,
            owner=MANUAL,
            side=self.side,
            type=OrderType.MARKET,
            quantity=self.quantity,
            decision=Decision(reason=f"hedge: {self.reason}"),
        )


def exposures(
    state: EngineState,
    rates: Rates,
    accounts: Iterable[AccountId],
    base: Currency,
    total: Decimal,
    settings: CurrencySettings,
) -> list[CurrencyExposure]:
    """Exposure of every account to every currency, the largest first.

    Args:
        state: The truth.
        rates: Conversions.
        accounts: Which accounts.
        base: Currency of the values.
        total: All capital in it.
        settings: Supported currencies and limits.
    """
    found = []
    with decimal.localcontext(VIEW):
        for account in accounts:
            held = {c: b.total for c, b in state.balances.get(account, {}).items() if b.total}
            deltas, bots = _deltas(state, account)
            for currency in {**held, **deltas}:
                amount = held.get(currency, ZERO) + deltas.get(currency, ZERO)
                venue = state.accounts[account].venue
                rate = ONE if currency == base else rates.rate(currency, base, venue)
                value = None if rate is None else amount * rate
                limit = settings.max_exposure.get(currency)
                found.append(
                    CurrencyExposure(
                        account=account,
                        currency=currency,
                        held=held.get(currency, ZERO),
                        derivatives=deltas.get(currency, ZERO),
                        bots=bots.get(currency, ZERO),
                        value=value,
                        share=None if value is None or total <= ZERO else float(value / total),
                        limit=None if limit is None else float(limit),
                        supported=currency in settings.supported or currency == base,
                    )
                )
    return sorted(found, key=lambda one: -abs(one.value or ZERO))


def _deltas(state: EngineState, account: AccountId) -> tuple[dict[Currency, Decimal], dict[Currency, Decimal]]:
    """Base units in derivatives, and what of everything is bots'."""
    deltas: dict[Currency, Decimal] = defaultdict(lambda: ZERO)
    bots: dict[Currency, Decimal] = defaultdict(lambda: ZERO)
    for (owner, where, what), part in state.owned.items():
        if where != account or not part.lots:
            continue
        instrument = state.instruments[what]
        cash = instrument.kind in CASH_KINDS
        units = part.quantity if cash else part.quantity * instrument.multiplier
        if not cash:
            deltas[instrument.base] += units
        if owner in state.bots:
            bots[instrument.base] += units
    return dict(deltas), dict(bots)


def hedges(
    state: EngineState,
    found: Iterable[CurrencyExposure],
    mark_of: MarkOf,
    base: Currency,
    settings: CurrencySettings,
) -> list[Hedge]:
    """Orders that bring every exposure above the threshold down to what the hedge ratio leaves.

    A linear perpetual on the currency is sold where the account's venue has one, else the currency itself. What a hedge
    holds already counts, so a second round plans nothing.

    Args:
        state: The truth.
        found: Exposures of `exposures`.
        mark_of: Present marks.
        base: Currency that needs no hedge.
        settings: Threshold and ratio.
    """
    if not settings.hedging:
        return []
    plans = []
    with decimal.localcontext(VIEW):
        for one in found:
            plan = None if one.currency == base else _hedge(state, one, mark_of, settings)
            if plan is not None:
                plans.append(plan)
    return plans


def _hedge(state: EngineState, one: CurrencyExposure, mark_of: MarkOf, settings: CurrencySettings) -> Hedge | None:
    own = one.units if settings.positions_of_bots else one.units - one.bots
    if one.value is None or one.share is None or not one.units:
        return None
    share = one.share * float(own / one.units)
    threshold = float(settings.hedging_threshold)
    bare = one.held if settings.positions_of_bots else max(ZERO, one.held - max(one.bots, ZERO))
    wanted = own - bare * (ONE - settings.hedge_ratio)
    if share <= threshold or wanted <= ZERO:
        return None
    instrument = _market(state, one)
    if instrument is None:
        return None
    mark = mark_of(instrument.id)
    cash = instrument.kind in CASH_KINDS
    quantity = instrument.floor_quantity(wanted if cash else wanted / instrument.multiplier)
    if mark is None or quantity < max(instrument.current_rules.min_quantity, instrument.current_rules.lot):
        return None
    covers = quantity * (ONE if cash else instrument.multiplier)
    value = one.value / one.units * covers
    return Hedge(
        account=one.account,
        currency=one.currency,
        instrument=instrument.id,
        side=OrderSide.SELL,
        quantity=quantity,
        covers=covers,
        value=value,
        exposure=share,
        after=share * float(ONE - covers / own),
        reason=f"{share:.1%} of capital is exposed to {one.currency}, more than {threshold:.0%}",
    )


def _market(state: EngineState, one: CurrencyExposure) -> Instrument | None:
    """A perpetual on the currency that settles in the account's base currency, else its spot market."""
    home = state.accounts[one.account]
    fits = [
        known
        for known in state.instruments.values()
        if known.venue == home.venue and known.base == one.currency and known.settle == home.base_currency
    ]
    for kind in (InstrumentKind.LINEAR_PERPETUAL, InstrumentKind.SPOT):
        for known in fits:
            if known.kind is kind:
                return known
    return None
