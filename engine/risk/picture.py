"""The portfolio as the limits see it: marks, equity, and the most that positions and open orders can come to."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from engine.model.decimals import ONE, ZERO
from engine.model.dust import too_small
from engine.model.ids import MANUAL
from engine.model.instrument import InstrumentKind
from engine.model.order import OrderSide
from engine.model.standing import free_funds
from engine.model.valuation import Rates, Valuation, account_equity, together
from engine.risk.lines import HeldLine, HeldLines
from engine.state import EXTERNAL

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from decimal import Decimal

    from engine.model.commitments import Commitments, Line, Overlay
    from engine.model.ids import AccountId, ClientOrderId, Currency, InstrumentId, Owner, VenueId
    from engine.model.instrument import Instrument
    from engine.model.order import OrderRequest
    from engine.model.risk import Quote, Quotes
    from engine.model.valuation import MarkOf, RateOf
    from engine.state import EngineState

__all__ = ["Picture"]


_UNASKED = object()


class _RatesOfAMoment(Rates):
    """Rates that are found once."""

    def __init__(self, instruments: Mapping[InstrumentId, Instrument], mark_of: MarkOf) -> None:
        super().__init__(instruments, mark_of)
        self._direct: dict[tuple[Currency, Currency, VenueId | None], InstrumentId] = {}
        self.found: dict[tuple[Currency, Currency, VenueId | None], Decimal | None] = {}

    def rate(self, source: Currency, target: Currency, venue: VenueId | None = None) -> Decimal | None:
        """As in `Rates`."""
        if source == target:
            return ONE
        key = (source, target, venue)
        known = self.found.get(key, _UNASKED)
        if known is not _UNASKED:
            return known  # type: ignore[return-value]
        direct = self._direct.get(key)
        if direct is not None and self._known == len(self._instruments):
            mark = self._mark_of(direct)
            if mark is not None and mark > ZERO:
                self.found[key] = mark
                return mark
        if key not in self.found:
            self.found[key] = super().rate(source, target, venue)
            self._note_direct(key)
        return self.found[key]

    def into(self, target: Currency, venue: VenueId | None = None) -> RateOf:
        """As in `Rates`, without a detour for what is one market's price."""
        found, direct, mark_of = self.found, self._direct, self._mark_of

        def rate_of(source: Currency) -> Decimal | None:
            key = (source, target, venue)
            known = found.get(key, _UNASKED)
            if known is not _UNASKED:
                return known  # type: ignore[return-value]
            market = direct.get(key)
            if market is not None and self._known == len(self._instruments):
                mark = mark_of(market)
                if mark is not None and mark > ZERO:
                    found[key] = mark
                    return mark
            return self.rate(source, target, venue)

        return rate_of

    def _note_direct(self, key: tuple[Currency, Currency, VenueId | None]) -> None:
        """Of most currencies the first route is one market's price as it is."""
        first = next(iter(self._routes.get(key, ())), ())
        if len(first) == 1 and not first[0][1]:
            self._direct[key] = first[0][0]
        else:
            self._direct.pop(key, None)


class Picture:
    """Values of one moment. Quotes are looked up once until the next `look`; use it in the `VIEW` context."""

    def __init__(self, state: EngineState, quotes: Quotes, commitments: Commitments) -> None:
        self.state = state
        self.commitments = commitments
        self.rates = _RatesOfAMoment(state.instruments, self.mark)
        self.holdings = HeldLines(state, commitments, self.mark, self.rates)
        self.doubtful: set[AccountId] = set()
        """Accounts of which nobody knows whether what is booked is what their venue says."""
        self.absent: set[AccountId] = set()
        """Accounts whose venue is not in this engine; they count for nothing."""
        self._quotes = quotes
        self._seen: dict[InstrumentId, Quote | None] = {}
        self._marks: dict[InstrumentId, Decimal | None] = {}
        self._equities: dict[AccountId, Valuation] = {}
        self._priced: dict[InstrumentId, tuple[Quote, Decimal | None]] = {}
        self._small: dict[tuple[AccountId, InstrumentId], tuple[Line, int, Decimal | None, bool]] = {}

    def look(self) -> None:
        """Begin a new moment: forget quotes, bring the sums up to the state."""
        for known in (self._seen, self._marks, self._equities, self.rates.found):
            known.clear()
        self.commitments.fresh()

    def quote(self, instrument: InstrumentId) -> Quote | None:
        """The present market."""
        quote = self._seen.get(instrument, _UNASKED)
        if quote is _UNASKED:
            quote = self._seen[instrument] = self._quotes.quote(instrument)
        return quote  # type: ignore[return-value]

    def mark(self, instrument: InstrumentId) -> Decimal | None:
        """The present mark price; None while nothing is known."""
        mark = self._marks.get(instrument, _UNASKED)
        if mark is not _UNASKED:
            return mark  # type: ignore[return-value]
        quote, found = self.quote(instrument), None
        if quote is not None:
            priced = self._priced.get(instrument)
            if priced is None or priced[0] is not quote:
                priced = self._priced[instrument] = (quote, quote.mark)
            found = priced[1]
        self._marks[instrument] = found
        return found

    def equity(self, account: AccountId) -> Valuation:
        """The account's value in its base currency; not known while nobody knows what is in it."""
        if account in self.doubtful:
            return Valuation(value=ZERO, missing=(f"the account {account}",))
        known = self._equities.get(account)
        if known is None:
            known = self._equities[account] = account_equity(self.state, account, self.rates, self.mark)
        return known

    def free_funds(self, account: AccountId, currency: Currency) -> Decimal:
        """What of a currency neither orders hold nor positions in derivatives use."""
        return free_funds(self.state, account, currency, self.mark)

    def unit_value(self, instrument: Instrument, base: Currency) -> Decimal | None:
        """Value of one unit at the mark, in another currency; None while a price is missing."""
        mark, rate = self.mark(instrument.id), self.rates.rate(instrument.quote, base, instrument.venue)
        return None if mark is None or rate is None else mark * instrument.multiplier * rate

    def most(
        self,
        account: AccountId,
        instrument: Instrument,
        owner: Owner | None = None,
        buys: Decimal = ZERO,
        sells: Decimal = ZERO,
    ) -> Decimal:
        """Largest position, in base units, that any order of fills can lead to.

        On spot that is what the account holds and buys; below zero it is a sale of deposited coins and counts as flat.
        Elsewhere owners may stand against each other, and each may leave at any time: the longs, or the shorts, alone.

        Args:
            account: Whose position.
            instrument: In what.
            owner: Owner of an order that is not booked yet.
            buys: Open buy quantity which that order adds.
            sells: Open sell quantity which it adds.
        """
        if self.is_spot(instrument):
            line = self.commitments.line(account, instrument.id)
            return max(line.quantity + line.buys + buys, ZERO)
        longs = shorts = ZERO
        parts = self.commitments.parts(account, instrument.id)
        for who, line in parts.items():
            more, less = (buys, sells) if who == owner else (ZERO, ZERO)
            longs += max(line.quantity + line.buys + more, ZERO)
            shorts += max(line.sells + less - line.quantity, ZERO)
        if owner is not None and owner not in parts:
            longs, shorts = longs + buys, shorts + sells
        return max(longs, shorts)

    def exposure(self, account: AccountId, *, at_last: bool = False) -> Valuation:
        """Sum of what all positions of an account can come to with its open orders, in its base currency.

        Args:
            account: Whose.
            at_last: Where no present price is known, take the last that is; also where the account is in doubt.
        """
        held, missing = self.held(account, at_last=at_last)
        return Valuation(value=sum((one.value for one in held), ZERO), missing=tuple(missing))

    def held(
        self,
        account: AccountId,
        base: Currency | None = None,
        *,
        at_last: bool = False,
    ) -> tuple[list[HeldLine], list[str]]:
        """What an account can come to hold, line by line, and the instruments that have no price.

        Args:
            account: Whose.
            base: In what it is valued; None for the account's own currency.
            at_last: As in `exposure`.
        """
        last = partial(self._last_price, account) if at_last or account in self.doubtful else None
        currency = base or self.state.accounts[account].base_currency
        return self.holdings.lines(account, currency, last=last)

    def _last_price(self, account: AccountId, instrument: Instrument) -> Decimal | None:
        """The mark that was journalled last: of a venue that is away nothing newer is known.

        Marks are journalled of what is held for some time; before, its orders and its cost tell the highest price.
        """
        entry = self.state.marks.get(instrument.id)
        return entry.price if entry is not None else max(self._told(account, instrument), default=None)

    def _told(self, account: AccountId, instrument: Instrument) -> Iterator[Decimal]:
        """Prices at which something was bought or is ordered."""
        line = self.commitments.line(account, instrument.id)
        if line.quantity:
            yield abs(line.cost / (line.quantity * instrument.multiplier))
        for order in self.state.orders.values():
            if (order.account, order.instrument) == (account, instrument.id):
                known = (order.decision.mark, order.price, order.stop_price)
                yield from (price for price in known if price is not None)

    def held_with(self, account: AccountId, instrument: Instrument, overlay: Overlay) -> HeldLine | None:
        """What an account can come to hold in an instrument with one more order, in its base currency.

        None while a price is missing.
        """
        base = self.state.accounts[account].base_currency
        mark, rate = self.mark(instrument.id), self.rates.rate(instrument.quote, base, instrument.venue)
        if mark is None or rate is None:
            return None
        return HeldLine.of(account, instrument, self.holdings.sides(account, instrument, mark, overlay)).times(rate)

    def whole(self, account: AccountId) -> tuple[Valuation, list[HeldLine], list[str]]:
        """Equity of all accounts together, and everything they can come to hold, in the base currency of one of them.

        An account that cannot be valued adds no equity, so that limits are the tighter for it; what its positions can
        come to counts all the same, at the last price that is known of them.

        Args:
            account: Whose currency; its own equity must be known for the first value to be.
        """
        equity = self.equity(account)
        held, missing = self.held(account)
        others = [
            other for other in self.state.accounts.values() if other.id != account and other.id not in self.absent
        ]
        if not others:
            return equity, held, missing
        base = self.state.accounts[account].base_currency
        equities = [(equity, base)]
        for other in others:
            value, rate = self.equity(other.id), self.rates.rate(other.base_currency, base)
            if value.known and rate is not None:
                equities.append((value, other.base_currency))
            theirs, unknown = self.held(other.id, at_last=True)
            missing += unknown
            if theirs and rate is None:
                missing.append(other.base_currency)
            elif rate is not None:
                held += [one.times(rate) for one in theirs]
        return together(equities, self.rates, base), held, missing

    def own_values(self, owner: Owner, account: AccountId) -> dict[tuple[AccountId, InstrumentId], Decimal]:
        """What one owner's positions can come to, by line, in the base currency of an account.

        What has no price at all is left out: where that matters, the whole portfolio has none either.
        """
        found = {}
        for (who, holder, key), line in self.commitments.owned.items():
            if who == owner and holder not in self.absent and (line.quantity or line.buys or line.sells):
                value = self._own_value(owner, account, holder, self.state.instruments[key])
                if value is not None:
                    found[holder, key] = value
        return found

    def own_values_with(
        self,
        known: Mapping[tuple[AccountId, InstrumentId], Decimal],
        owner: Owner,
        account: AccountId,
        instrument: Instrument,
        overlay: Overlay,
    ) -> dict[tuple[AccountId, InstrumentId], Decimal]:
        """The same with one more order of the owner's in that account.

        Args:
            known: What `own_values` gives.
            owner: Whose.
            account: Where the order is.
            instrument: In what.
            overlay: What it changes of its line.
        """
        value = self._own_value(owner, account, account, instrument, overlay)
        return {**known} if value is None else {**known, (account, instrument.id): value}

    def _own_value(
        self,
        owner: Owner,
        account: AccountId,
        holder: AccountId,
        instrument: Instrument,
        overlay: Overlay | None = None,
    ) -> Decimal | None:
        base = self.state.accounts[account].base_currency
        mark, rate = self.mark(instrument.id), self.rates.rate(instrument.quote, base, instrument.venue)
        if mark is None:
            mark = self._last_price(holder, instrument)
        if mark is None or rate is None:
            return None
        return self.holdings.own(owner, holder, instrument, mark, overlay).value * rate

    @staticmethod
    def is_spot(instrument: Instrument) -> bool:
        """True where only what is in the account can be sold."""
        return instrument.kind is InstrumentKind.SPOT

    def positions(self) -> set[tuple[AccountId, InstrumentId]]:
        """Where something is held or being opened; what is too small to be closed is dust and counts as nothing."""
        found, absent, small, mark_of = set(), self.absent, self._small, self.mark
        for key, line in self.commitments.lines.items():
            if key[0] in absent:
                continue
            mark, known = mark_of(key[1]), small.get(key)
            if known is None or known[0] is not line or known[1] != line.version or known[2] != mark:
                instrument = self.state.instruments[key[1]]
                most = self.most(key[0], instrument)
                counts = bool(most) and not too_small(instrument, most, mark)
                known = small[key] = line, line.version, mark, counts
            if known[3]:
                found.add(key)
        return found

    def positions_of(self, owner: Owner) -> set[tuple[AccountId, InstrumentId]]:
        """Where one owner itself holds or opens something; less than a lot counts as nothing."""
        found = set()
        for (who, account, key), line in self.commitments.owned.items():
            if who != owner or account in self.absent:
                continue
            most = max(line.quantity + line.buys, line.sells - line.quantity)
            if self.is_spot(self.state.instruments[key]):
                most = line.quantity + line.buys
            if most >= self.state.instruments[key].current_rules.lot:
                found.add((account, key))
        return found

    def scope_line(self, owner: Owner, account: AccountId, instrument: InstrumentId) -> Line:
        """The position an order is measured against: the owner's own, for manual orders the whole account's."""
        if owner == MANUAL:
            return self.commitments.line(account, instrument)
        return self.commitments.own(owner, account, instrument)

    def has_entry(self, owner: Owner, account: AccountId, instrument: InstrumentId) -> bool:
        """True when an owner itself holds or is opening something there."""
        line = self.commitments.own(owner, account, instrument)
        return bool(line.quantity or line.buys or line.sells)

    def hold_change(
        self, request: OrderRequest, currency: Currency, unit: Decimal, replaces: ClientOrderId | None = None
    ) -> Decimal:
        """Funds that booking a request would additionally hold in a currency; an OCO group holds its largest member."""
        orders, group = self.state.orders, request.oco_group
        peers = tuple(self.state.oco.get(group, ())) if group is not None else ()
        before = after = ZERO
        for client_id in peers:
            peer = orders.get(client_id)
            if peer is not None and peer.reserve_currency == currency:
                before = max(before, peer.reserved)
                after = max(after, ZERO if client_id == replaces else peer.reserved)
        if replaces is not None and replaces not in peers:
            old = orders.get(replaces)
            if old is not None and old.reserve_currency == currency:
                before += old.reserved
        return max(after, unit * request.quantity) - before

    def bots_free(self, account: AccountId, base: Currency) -> dict[Owner, Decimal]:
        """Units of a currency that bots hold on spot and have not offered for sale, by bot."""
        held: dict[Owner, Decimal] = {}
        for (owner, holder, instrument_id), line in self.commitments.owned.items():
            if holder != account or owner in (MANUAL, EXTERNAL) or line.quantity <= line.sells:
                continue
            instrument = self.state.instruments[instrument_id]
            if instrument.base == base and self.is_spot(instrument):
                held[owner] = held.get(owner, ZERO) + line.quantity - line.sells
        return held

    def coins_of(self, owner: Owner, account: AccountId, base: Currency) -> Decimal:
        """Units of a currency that an owner has over all spot instruments of an account, without what it offers."""
        coins = ZERO
        for (who, holder, instrument_id), line in self.commitments.owned.items():
            if who == owner and holder == account and (line.quantity or line.sells):
                instrument = self.state.instruments[instrument_id]
                if instrument.base == base and self.is_spot(instrument):
                    coins += line.quantity - line.sells
        return coins

    def free_units(self, owner: Owner, account: AccountId, base: Currency, *, everything: bool = False) -> Decimal:
        """Units of a currency that an owner may offer: what is free, for manual orders without the bots' coins.

        Args:
            owner: Who sells.
            account: Where.
            base: What.
            everything: True for an emergency stop, which sells whatever there is.
        """
        free = self.state.balance(account, base).free
        if owner != MANUAL or everything:
            return free
        return free - sum(self.bots_free(account, base).values(), ZERO)

    def reducible(
        self,
        owner: Owner,
        account: AccountId,
        instrument: Instrument,
        side: OrderSide,
        *,
        everything: bool = False,
    ) -> Decimal:
        """Largest quantity of one more order of `side` that can only shrink the position, whatever fills first.

        0 when the side does not reduce. On spot it is also limited to the units that the owner may offer.
        """
        line = self.scope_line(owner, account, instrument.id)
        if instrument.kind is InstrumentKind.SPOT:
            if side is OrderSide.BUY:
                return ZERO
            free = self.free_units(owner, account, instrument.base, everything=everything)
            if not everything:
                line = self.commitments.own(owner, account, instrument.id)
            return max(free if owner == MANUAL and everything else min(free, line.quantity - line.sells), ZERO)
        if line.quantity * side.sign >= ZERO:
            return ZERO
        return max(abs(line.quantity) - line.working(side), ZERO)

    def reduces(
        self,
        request: OrderRequest,
        instrument: Instrument,
        replaces: ClientOrderId | None = None,
        *,
        everything: bool = False,
    ) -> bool:
        """True when an order can only shrink the position, counting every other open order of its side against it.

        On spot a manual order may sell deposited coins as well, unless it is `reduce_only`: that binds it to what the
        operator has bought and not offered yet, so that a stop cannot sell again what was closed beside it. What a
        parent order entered is known to that parent: sales of deposited coins before do not take its exits away.
        """
        line = self.scope_line(request.owner, request.account, instrument.id)
        side = request.side
        if instrument.kind is InstrumentKind.SPOT:
            if side is OrderSide.BUY:
                return False
            free = self.free_units(request.owner, request.account, instrument.base, everything=everything)
            if self.hold_change(request, instrument.base, ONE, replaces) > free:
                return False
            if request.owner == MANUAL:
                if everything or not request.reduce_only or self._leaves_parent(request):
                    return True
                line = self.commitments.own(MANUAL, request.account, instrument.id)
        elif line.quantity * side.sign >= ZERO:
            return False
        added, held = self.commitments.added(request, replaces), -side.sign * line.quantity
        if added <= ZERO and request.quantity <= held and request.reduce_only and replaces is not None:
            old = self.state.orders.get(replaces)
            if old is not None and old.reduce_only:
                # What one of a group has filled its other members lose a moment later; until then they count too much.
                return True
        return line.working(side) + added <= held

    def _leaves_parent(self, request: OrderRequest) -> bool:
        """Whether an order is an exit of what its parent order entered."""
        parent = self.state.parents.get(request.parent) if request.parent is not None else None
        return parent is not None and parent.side is not request.side
