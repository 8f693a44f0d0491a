"""The tax book: facts in, disposals and income out; every unit that moves is in a lot.

What an asset is exchanged for is what it is worth at that moment, so one trade of coins for coins is a disposal and an
acquisition. Fees raise the cost of what is bought and lower the proceeds of what is sold; the asset a fee is taken in
is itself given up at its value. Derivatives, funding and interest have no lots: what they pay or cost is a gain or a
loss of its moment in the currency it is settled in. Moves between own accounts keep cost and date. What is given up
without being held, as in a short sale, counts when it is acquired: then what it brought and what it cost are known.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec

from engine import events as ev
from engine.capital.tax.lots import Lots, TaxLot, share
from engine.capital.tax.prices import Prices
from engine.model.decimals import ZERO, exact
from engine.model.ids import venue_of
from engine.model.instrument import CASH_KINDS
from engine.model.order import OrderSide
from engine.model.position import Position

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.capital.tax.lots import LotMethod, Piece
    from engine.capital.tax.prices import DayRates
    from engine.model.fill import Fill
    from engine.model.ids import AccountId, Currency, InstrumentId, VenueId
    from engine.model.instrument import Instrument

__all__ = ["Disposal", "TaxBook"]


class Disposal(msgspec.Struct, frozen=True, kw_only=True):
    """A gain or loss of one moment: units of a lot that were given up, or income and cost without a lot."""

    kind: str
    """sale, exchange, fee, short, derivative, funding, interest."""
    ts: int
    """UTC nanoseconds at which it happened."""
    account: str
    asset: str
    quantity: Decimal
    proceeds: Decimal | None
    """In the report's currency; None where no price was known."""
    cost: Decimal | None
    acquired: int | None
    """UTC nanoseconds; None where there is no lot."""
    origin: str
    """How the lot was acquired."""
    reference: str

    @property
    def gain(self) -> Decimal | None:
        """Proceeds less cost; None while either is not known."""
        if self.proceeds is None or self.cost is None:
            return None
        with exact():
            return self.proceeds - self.cost


class TaxBook:
    """Follows every unit of every asset through the facts.

    Args:
        currency: Of the report.
        method: Which lots go first.
        cash: Currencies that count as the report's own, one for one.
        rates: Rates a person gave.
        by_account: Keep lots apart by account; else one pool an asset over all of them.
    """

    def __init__(
        self,
        currency: Currency,
        method: LotMethod,
        *,
        cash: frozenset[Currency] = frozenset(),
        rates: DayRates | None = None,
        by_account: bool = False,
    ) -> None:
        self.disposals: list[Disposal] = []
        self.notes: list[tuple[int, str]] = []
        """What a person has to look at: time and sentence."""
        self.lots: dict[tuple[str, Currency], Lots] = {}
        """By pool (an account, or empty for all) and asset; what counts as cash has none."""
        self._method: LotMethod = method
        self.by_account = by_account
        self._instruments: dict[InstrumentId, Instrument] = {}
        self.prices = Prices(currency, cash, self._instruments, rates or {})
        self._positions: dict[tuple[AccountId, InstrumentId], Position] = {}
        self._venues: dict[AccountId, VenueId] = {}
        self._seen: set[tuple[type, str]] = set()
        """Executions and payments that are booked; each kind of fact has its own, as in the ledger."""
        self._away: dict[tuple[str, Currency], Lots] = {}
        """Units that left for outside, by reference; what comes back under it keeps cost and date."""
        self._handlers: dict[type, Callable[[ev.Record], None]] = {
            ev.InstrumentDefined: self._instrument,
            ev.AccountOpened: self._opened,
            ev.OrderIntended: self._intended,
            ev.MarkRecorded: self._marked,
            ev.OrderFilled: self._filled,
            ev.ExternalFillSeen: self._filled,
            ev.FundingPaid: self._funding,
            ev.InterestCharged: self._interest,
            ev.Deposited: self._deposited,
            ev.Withdrawn: self._withdrawn,
            ev.Transferred: self._transferred,
            ev.BalanceAdjusted: self._adjusted,
            ev.PositionAdopted: self._adopted,
        }

    def hear(self, record: ev.Record) -> None:
        """Take in a fact that the ledger has accepted; facts come in the order of their numbers."""
        handler = self._handlers.get(type(record.event))
        if handler is not None:
            with exact():
                handler(record)

    def held(self, pool: str, asset: Currency) -> Lots:
        """The lots of an asset, made when missing."""
        key = (pool if self.by_account else "", asset)
        lots = self.lots.get(key)
        if lots is None:
            lots = self.lots[key] = Lots(self._method)
        return lots

    # --- what prices were --------------------------------------------------------------------------------------------

    def _instrument(self, record: ev.Record) -> None:
        event: ev.InstrumentDefined = record.event  # type: ignore[assignment]
        self._instruments[event.instrument.id] = event.instrument

    def _opened(self, record: ev.Record) -> None:
        event: ev.AccountOpened = record.event  # type: ignore[assignment]
        self._venues[event.account.id] = event.account.venue

    def _intended(self, record: ev.Record) -> None:
        event: ev.OrderIntended = record.event  # type: ignore[assignment]
        if event.decision.mark is not None:
            self.prices.see(event.instrument, event.decision.mark, record.ts)

    def _marked(self, record: ev.Record) -> None:
        event: ev.MarkRecorded = record.event  # type: ignore[assignment]
        self.prices.see(event.instrument, event.price, event.ts)

    # --- executions --------------------------------------------------------------------------------------------------

    def _is_new(self, kind: type, key: str) -> bool:
        if (kind, key) in self._seen:
            return False
        self._seen.add((kind, key))
        return True

    def _filled(self, record: ev.Record) -> None:
        event: ev.OrderFilled | ev.ExternalFillSeen = record.event  # type: ignore[assignment]
        fill = event.fill
        if not self._is_new(type(event), f"{fill.client_id}|{fill.key}"):
            return
        instrument = self._instruments[fill.instrument]
        self.prices.see(fill.instrument, fill.price, fill.ts)
        if instrument.kind in CASH_KINDS:
            self._traded(fill, instrument)
        else:
            self._settled(fill, instrument)

    def _traded(self, fill: Fill, instrument: Instrument) -> None:
        base, quote, venue = instrument.base, instrument.settle, venue_of(instrument.id)
        paid = fill.price * fill.quantity * instrument.multiplier
        worth = self.prices.value(paid, quote, fill.ts, venue)
        fee_in_base, fee_in_quote = (fill.fee if fill.fee_currency == asset else ZERO for asset in (base, quote))
        # A fee in base units is units that were not received, or were given up as well: it has no value beside them.
        fee = ZERO if fee_in_base else self.prices.value(fill.fee, fill.fee_currency, fill.ts, venue)
        if fill.side is OrderSide.BUY:
            self._swap(fill, quote, paid + fee_in_quote, _plus(worth, fee if fee_in_quote else ZERO), "exchange")
            self._swap(fill, base, -(fill.quantity - fee_in_base), _plus(worth, fee), "purchase")
        else:
            self._swap(fill, base, fill.quantity + fee_in_base, _plus(worth, _negative(fee)), "sale")
            value = _plus(worth, _negative(fee if fee_in_quote else ZERO))
            self._swap(fill, quote, -(paid - fee_in_quote), value, "sale")
        if not fee_in_base and not fee_in_quote:
            self._charge(fill, fee)

    def _swap(self, fill: Fill, asset: Currency, given: Decimal, value: Decimal | None, kind: str) -> None:
        """One side of a trade: units that are given up for a value, or received for it when negative."""
        if given < ZERO:
            self._get(fill.account, asset, -given, value, fill.ts, kind)
        else:
            self._dispose(kind, fill.account, asset, given, value, fill.ts, fill.trade_id)

    def _settled(self, fill: Fill, instrument: Instrument) -> None:
        venue = venue_of(instrument.id)
        fee = self.prices.value(fill.fee, fill.fee_currency, fill.ts, venue)
        step = (fill.side.sign * fill.quantity, fill.price, fill.ts)
        self._realise(fill.account, instrument, step, fee, fill.trade_id)
        self._charge(fill, fee)

    def _realise(
        self,
        account: AccountId,
        instrument: Instrument,
        step: tuple[Decimal, Decimal, int],
        fee: Decimal | None,
        reference: str,
    ) -> None:
        """Move a position in a derivative by a signed quantity at a price; what it pays is a gain of that moment."""
        quantity, price, ts = step
        key = (account, instrument.id)
        position = self._positions.setdefault(key, Position(account=account, instrument=instrument.id))
        realised = position.book_average(quantity, price, instrument.multiplier, ts)
        result = self.prices.value(realised, instrument.settle, ts, venue_of(instrument.id))
        if realised or fee != ZERO:
            self.disposals.append(
                Disposal(
                    kind="derivative",
                    ts=ts,
                    account=account,
                    asset=instrument.settle,
                    quantity=abs(realised),
                    proceeds=result,
                    cost=fee,
                    acquired=None,
                    origin=instrument.id,
                    reference=reference,
                )
            )
        self._move(account, instrument.settle, realised, result, ts, "derivative", reference)

    def _charge(self, fill: Fill, value: Decimal | None) -> None:
        """A fee in an asset of its own: it is given up at its value; a rebate is acquired at its value."""
        if fill.fee > ZERO:
            self._dispose("fee", fill.account, fill.fee_currency, fill.fee, value, fill.ts, fill.trade_id)
        elif fill.fee < ZERO:
            self._get(fill.account, fill.fee_currency, -fill.fee, _negative(value), fill.ts, "rebate")

    def _adopted(self, record: ev.Record) -> None:
        event: ev.PositionAdopted = record.event  # type: ignore[assignment]
        step = (event.quantity, event.price, event.ts)
        self._realise(event.account, self._instruments[event.instrument], step, ZERO, "adopted")
        self.note(
            event.ts, f"A position of {event.quantity} {event.instrument} was taken over; its past is not known here."
        )

    # --- what is paid and received without a trade -------------------------------------------------------------------

    def _funding(self, record: ev.Record) -> None:
        event: ev.FundingPaid = record.event  # type: ignore[assignment]
        if not event.payment or self._is_new(type(event), f"{event.account}|{event.payment}"):
            self._income("funding", event.account, event.currency, -event.amount, event.ts, event.instrument)

    def _interest(self, record: ev.Record) -> None:
        event: ev.InterestCharged = record.event  # type: ignore[assignment]
        self._income("interest", event.account, event.currency, -event.amount, event.ts, "")

    def _income(self, kind: str, account: AccountId, currency: Currency, amount: Decimal, ts: int, about: str) -> None:
        if not amount:
            return
        value = self.prices.value(amount, currency, ts, self._venues.get(account))
        if value is None:
            self.note(
                ts, f"What {abs(amount):f} {currency} of {kind} were worth is not known: give a rate for that day."
            )
        self.disposals.append(
            Disposal(
                kind=kind,
                ts=ts,
                account=account,
                asset=currency,
                quantity=abs(amount),
                proceeds=value if amount > ZERO else ZERO,
                cost=ZERO if amount > ZERO else _negative(value),
                acquired=None,
                origin=about,
                reference="",
            )
        )
        self._move(account, currency, amount, value, ts, kind, about)

    def _deposited(self, record: ev.Record) -> None:
        event: ev.Deposited = record.event  # type: ignore[assignment]
        away = self._away.get((event.reference, event.currency)) if event.reference else None
        left = event.amount
        for piece in away.take(left) if away is not None else ():
            self._return(event.account, event.currency, piece, record.ts)
            left -= piece.quantity
        if away is not None and away.quantity:
            self.note(
                record.ts,
                f"{away.quantity:f} {event.currency} of {event.reference} left that did not arrive in {event.account}.",
            )
        if left:
            self._arrive(event.account, event.currency, left, record.ts, "deposit")

    def _withdrawn(self, record: ev.Record) -> None:
        event: ev.Withdrawn = record.event  # type: ignore[assignment]
        pieces = self._remove(event.account, event.currency, event.amount, record.ts, event.reference)
        if event.reference and pieces:
            away = self._away.setdefault((event.reference, event.currency), Lots("fifo"))
            for piece in pieces:
                away.add(_lot(piece))

    def _transferred(self, record: ev.Record) -> None:
        event: ev.Transferred = record.event  # type: ignore[assignment]
        if not self.by_account or self.prices.is_cash(event.currency):
            return
        left = event.amount
        for piece in self._remove(event.source, event.currency, event.amount, record.ts, event.reference):
            self._return(event.target, event.currency, piece, record.ts)
            left -= piece.quantity
        self._get(event.target, event.currency, left, None, record.ts, "unknown")

    def _adjusted(self, record: ev.Record) -> None:
        event: ev.BalanceAdjusted = record.event  # type: ignore[assignment]
        self.note(
            record.ts, f"{event.amount} {event.currency} in {event.account} were corrected to the venue: {event.reason}"
        )
        if event.amount > ZERO:
            self._arrive(event.account, event.currency, event.amount, record.ts, "correction")
        else:
            self._remove(event.account, event.currency, -event.amount, record.ts, "correction")

    def _arrive(self, account: AccountId, currency: Currency, amount: Decimal, ts: int, origin: str) -> None:
        """Units whose past is not known here: they cost what they are worth on arrival, and a person is told."""
        if self.prices.is_cash(currency):
            return
        value = self.prices.value(amount, currency, ts, self._venues.get(account))
        worth = ", nor is their worth then" if value is None else f": taken as {value.normalize():f}, their worth then"
        self.note(ts, f"The cost of {amount.normalize():f} {currency} that came to {account} is not known here{worth}.")
        self._keep(account, currency, TaxLot(quantity=amount, cost=value, acquired=ts, origin=origin), ts)

    # --- lots --------------------------------------------------------------------------------------------------------

    def _return(self, account: AccountId, currency: Currency, piece: Piece, ts: int) -> None:
        self._keep(account, currency, _lot(piece), ts)

    def _keep(self, account: AccountId, asset: Currency, lot: TaxLot, ts: int) -> None:
        """Take in units; those that were given up before count now, at what they brought and at what these cost."""
        for debt, piece in self.held(account, asset).add(lot):
            self.disposals.append(
                Disposal(
                    kind="short",
                    ts=ts,
                    account=account,
                    asset=asset,
                    quantity=piece.quantity,
                    proceeds=debt.cost,
                    cost=piece.cost,
                    acquired=piece.acquired,
                    origin=piece.origin,
                    reference=debt.origin,
                )
            )

    def _move(
        self,
        account: AccountId,
        asset: Currency,
        amount: Decimal,
        value: Decimal | None,
        ts: int,
        origin: str,
        reference: str,
    ) -> None:
        """What was paid in or out of an asset without being bought or sold, at its value."""
        if amount > ZERO:
            self._get(account, asset, amount, value, ts, origin)
        elif amount < ZERO:
            self._dispose("exchange", account, asset, -amount, _negative(value), ts, reference)

    def _get(
        self, account: AccountId, asset: Currency, quantity: Decimal, cost: Decimal | None, ts: int, origin: str
    ) -> None:
        if not quantity or self.prices.is_cash(asset):
            return
        if cost is None:
            self.note(ts, f"What {quantity.normalize():f} {asset} cost is not known: give a rate for that day.")
        self._keep(account, asset, TaxLot(quantity=quantity, cost=cost, acquired=ts, origin=origin), ts)

    def _remove(self, account: AccountId, asset: Currency, quantity: Decimal, ts: int, reference: str) -> list[Piece]:
        """Units that leave without being sold; those that are not held are owed."""
        if self.prices.is_cash(asset):
            return []
        lots = self.held(account, asset)
        pieces = lots.take(quantity)
        left = quantity - sum((piece.quantity for piece in pieces), ZERO)
        if left:
            self.note(
                ts, f"{left.normalize():f} {asset} left {account} that were not held: what they cost is not known."
            )
            lots.owe(left, None, ts, reference)
        return pieces

    def _dispose(
        self,
        kind: str,
        account: AccountId,
        asset: Currency,
        quantity: Decimal,
        proceeds: Decimal | None,
        ts: int,
        reference: str,
    ) -> None:
        if not quantity or self.prices.is_cash(asset):
            return
        if proceeds is None:
            self.note(ts, f"What {quantity.normalize():f} {asset} brought is not known: give a rate for that day.")
        left, units = proceeds, quantity
        lots = self.held(account, asset)
        for piece in lots.take(quantity):
            # Each takes its part of what is left, so that the parts are the whole.
            part = None if left is None else share(left, piece.quantity, units)
            left = _plus(left, _negative(part))
            units -= piece.quantity
            self.disposals.append(
                Disposal(
                    kind=kind,
                    ts=ts,
                    account=account,
                    asset=asset,
                    quantity=piece.quantity,
                    proceeds=part,
                    cost=piece.cost,
                    acquired=piece.acquired,
                    origin=piece.origin,
                    reference=reference,
                )
            )
        if units:
            self.note(
                ts,
                f"{units.normalize():f} {asset} were given up that were not held: they count when they are acquired.",
            )
            lots.owe(units, left, ts, reference)

    def note(self, ts: int, text: str) -> None:
        """Keep something for a person to look at."""
        self.notes.append((ts, text))


def _lot(piece: Piece) -> TaxLot:
    return TaxLot(quantity=piece.quantity, cost=piece.cost, acquired=piece.acquired, origin=piece.origin)


def _plus(one: Decimal | None, other: Decimal | None) -> Decimal | None:
    return None if one is None or other is None else one + other


def _negative(value: Decimal | None) -> Decimal | None:
    return None if value is None else -value
