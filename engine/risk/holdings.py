"""What is held across all venues, valued in one currency: positions in derivatives, and coins however they came."""

from __future__ import annotations

import decimal
from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec

from engine.model.ids import AccountId, Currency, InstrumentId, VenueId
from engine.model.instrument import CASH_KINDS, InstrumentKind
from engine.model.valuation import VIEW, Valuation, together

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from engine.model.account import Account
    from engine.model.instrument import Instrument
    from engine.risk.picture import Picture

__all__ = ["Held", "Holdings", "holdings"]


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """Something held whose price moves."""

    instrument: InstrumentId
    """The market whose price it follows."""
    account: AccountId
    venue: VenueId
    value: float
    """Signed value at the mark, in the currency of the holdings; negative for a short position."""
    derivative: bool
    """Whether it is a position in a derivative; else coins in the account."""


class Holdings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that is held, in one currency."""

    ts: int
    currency: Currency
    equity: Decimal | None
    """Value of all accounts together; None while something has no price."""
    held: tuple[Held, ...]
    unpriced: tuple[str, ...]
    """What is held but has no price, or no market of its own at its venue."""
    equity_by_venue: dict[VenueId, float]
    """Of the accounts whose value is known."""

    @property
    def exposure(self) -> float:
        """Sum of the absolute values."""
        return sum(abs(one.value) for one in self.held)

    def by_instrument(self) -> dict[InstrumentId, float]:
        """Signed value by market, over all accounts."""
        values: dict[InstrumentId, float] = {}
        for one in self.held:
            values[one.instrument] = values.get(one.instrument, 0.0) + one.value
        return {instrument: value for instrument, value in values.items() if value}


def holdings(picture: Picture, currency: Currency, now: int) -> Holdings:
    """Value everything that the engine's accounts hold.

    Coins count by their whole balance, whether a position or a deposit put them there; the currency itself, and the
    base currency of their own account, do not move and are no holdings.

    Args:
        picture: Present prices and the state.
        currency: Of the values.
        now: UTC nanoseconds.
    """
    with decimal.localcontext(VIEW):
        picture.look()
        held: list[Held] = []
        unpriced: list[str] = []
        worth: list[tuple[Valuation, Currency]] = []
        venues: dict[VenueId, float] = {}
        for account in picture.state.accounts.values():
            if account.id in picture.absent:
                continue
            value = picture.equity(account.id)
            worth.append((value, account.base_currency))
            rate = picture.rates.rate(account.base_currency, currency)
            if value.known and rate is not None:
                venues[account.venue] = venues.get(account.venue, 0.0) + float(value.value * rate)
            for found in (*_coins(picture, account, currency), *_contracts(picture, account, currency)):
                if isinstance(found, Held):
                    held.append(found)
                else:
                    unpriced.append(found)
        total = together(worth, picture.rates, currency)
    return Holdings(
        ts=now,
        currency=currency,
        equity=total.value if total.known and worth else None,
        held=tuple(held),
        unpriced=tuple(dict.fromkeys(unpriced)),
        equity_by_venue=venues,
    )


def _coins(picture: Picture, account: Account, currency: Currency) -> Iterator[Held | str]:
    state = picture.state
    for coin, balance in state.balances[account.id].items():
        if not balance.total or coin in (currency, account.base_currency):
            continue
        market = _market_of(state.instruments.values(), account, coin)
        rate = picture.rates.rate(coin, currency, account.venue) or picture.rates.rate(coin, currency)
        if rate is None or market is None:
            yield f"{coin} in {account.id}"
            continue
        yield Held(
            instrument=market.id,
            account=account.id,
            venue=account.venue,
            value=float(balance.total * rate),
            derivative=False,
        )


def _contracts(picture: Picture, account: Account, currency: Currency) -> Iterator[Held | str]:
    state = picture.state
    for (holder, instrument_id), position in state.positions.items():
        instrument = state.instruments[instrument_id]
        if holder != account.id or not position.lots or instrument.kind in CASH_KINDS:
            continue
        unit = picture.unit_value(instrument, currency)
        if unit is None:
            yield instrument_id
            continue
        yield Held(
            instrument=instrument_id,
            account=account.id,
            venue=account.venue,
            value=float(position.quantity * unit),
            derivative=True,
        )


def _market_of(instruments: Iterable[Instrument], account: Account, coin: Currency) -> Instrument | None:
    """The market whose price a coin follows: at its venue, against its account's currency and on spot if it can be."""
    here = [one for one in instruments if one.base == coin and one.venue == account.venue]
    return min(
        here, key=lambda one: (one.quote != account.base_currency, one.kind is not InstrumentKind.SPOT, one.id),
        default=None,
    )  # fmt: skip
