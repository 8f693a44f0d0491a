"""How the derivatives of an account stand: margin, maintenance, ratio and liquidation price of each, and what is used.

One definition for everybody who asks: the gate, the screens and the paper venue. Amounts are in the settle currency,
and belong to views and bounds; run nothing of it in the exact context.
"""

from __future__ import annotations

import decimal
from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec

from engine.model.decimals import ZERO
from engine.model.ids import AccountId, Currency, InstrumentId
from engine.model.instrument import CASH_KINDS, Instrument, InstrumentKind
from engine.model.margin import (
    MarginMode,
    MarginSetting,
    initial_margin,
    liquidation_price,
    maintenance_margin,
    margin_ratio,
)
from engine.model.valuation import VIEW

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from engine.model.valuation import MarkOf
    from engine.state import EngineState

__all__ = ["Exposure", "Standing", "exposures", "free_funds", "standings", "used_margin"]


class Exposure(msgspec.Struct, frozen=True, kw_only=True):
    """One open position in a derivative."""

    instrument: Instrument
    quantity: Decimal
    """Signed contracts, not 0."""
    cost: Decimal
    """Signed value at the entry price."""
    mark: Decimal | None
    """None while no price is known."""
    setting: MarginSetting

    @property
    def notional(self) -> Decimal:
        """Value at the mark, or at the entry while none is known; never negative."""
        value = self.cost if self.mark is None else self.instrument.notional(self.mark, self.quantity)
        return abs(value)

    @property
    def unrealised(self) -> Decimal | None:
        """Open profit at the mark; None while none is known."""
        return None if self.mark is None else self.instrument.notional(self.mark, self.quantity) - self.cost

    @property
    def margin(self) -> Decimal:
        """What is set aside for it: by the entry price when isolated, by the mark in cross mode."""
        isolated = self.setting.mode is MarginMode.ISOLATED
        return initial_margin(self.cost if isolated else self.notional, self.setting.leverage)

    @property
    def maintenance(self) -> Decimal:
        """Below what it is liquidated."""
        return maintenance_margin(self.instrument.current_rules.margin, self.notional, self.quantity)


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """How safe a position is."""

    instrument: InstrumentId
    setting: MarginSetting
    notional: Decimal
    margin: Decimal
    maintenance: Decimal
    ratio: Decimal | None
    """Maintenance margin over what stands for it: liquidated at 1; None while a mark is missing."""
    liquidation: Decimal | None
    """The mark at which that is reached if nothing else moves; None where none is, or while a mark is missing."""


def standings(positions: Sequence[Exposure], wallet: Decimal) -> dict[InstrumentId, Standing]:
    """How the positions of one account that are settled in one currency stand.

    Args:
        positions: All of them.
        wallet: The balance in that currency, what is set aside included.
    """
    with decimal.localcontext(VIEW):
        cross = [one for one in positions if one.setting.mode is MarginMode.CROSS]
        isolated = sum((one.margin for one in positions if one.setting.mode is MarginMode.ISOLATED), ZERO)
        known = all(one.mark is not None for one in cross)
        equity = wallet - isolated + sum((one.unrealised or ZERO for one in cross), ZERO)
        needed = sum((one.maintenance for one in cross), ZERO)
        found = {}
        for one in positions:
            profit, alone = one.unrealised, one.setting.mode is MarginMode.ISOLATED
            balance = one.margin + (profit or ZERO) if alone else equity
            # What stands for one of several in cross mode is what the others leave of the account.
            stands = one.margin if alone else equity - (profit or ZERO) - (needed - one.maintenance)
            sure = profit is not None if alone else known
            found[one.instrument.id] = Standing(
                instrument=one.instrument.id,
                setting=one.setting,
                notional=one.notional,
                margin=one.margin,
                maintenance=one.maintenance,
                ratio=margin_ratio(one.maintenance if alone else needed, balance) if sure else None,
                liquidation=liquidation_price(
                    quantity=one.quantity,
                    cost=one.cost,
                    multiplier=one.instrument.multiplier,
                    margin=stands,
                    tiers=one.instrument.current_rules.margin,
                )
                if alone or known
                else None,
            )
    return found


def used_margin(positions: Iterable[Exposure]) -> Decimal:
    """What of a currency's balance stands for its positions: their margins, and the open loss in cross mode."""
    with decimal.localcontext(VIEW):
        margins = loss = ZERO
        for one in positions:
            margins += one.margin
            if one.setting.mode is MarginMode.CROSS:
                loss -= one.unrealised or ZERO
        return margins + max(loss, ZERO)


def exposures(state: EngineState, account: AccountId, currency: Currency, mark_of: MarkOf) -> list[Exposure]:
    """An account's open positions in derivatives that are settled in a currency, as they are booked."""
    found = []
    for (holder, key), position in state.positions.items():
        if holder != account or not position.lots:
            continue
        instrument = state.instruments[key]
        # Spot first: most positions are, and a set of kinds is asked slowly.
        if instrument.kind is InstrumentKind.SPOT or instrument.kind in CASH_KINDS:
            continue
        if instrument.settle == currency:
            found.append(
                Exposure(
                    instrument=instrument,
                    quantity=position.quantity,
                    cost=position.cost(instrument.multiplier),
                    mark=mark_of(key),
                    setting=state.margin(account, key),
                )
            )
    return found


def free_funds(state: EngineState, account: AccountId, currency: Currency, mark_of: MarkOf) -> Decimal:
    """What of a currency neither orders hold nor positions use; negative when losses have eaten into it."""
    free = state.balance(account, currency).free
    used = exposures(state, account, currency, mark_of)
    return VIEW.subtract(free, used_margin(used)) if used else free
