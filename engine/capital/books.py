"""The money-flow ledger in double entry: every fact that moves money as postings that add up to nothing.

Money is always somewhere: in a pool of an account (`paper/bot-1`), or outside (`external`, `market`, `fees`, `funding`,
`interest`, `adjustment`). An entry takes it from one place to others, so that its postings are zero together in every
currency, and so are all postings ever made. What the pools of an account hold together is what the venue says.

A view over facts: it is made anew from the journal at any time and changes nothing. It folds the same facts as the
engine, because whose a repeated or a forced execution is follows from the state before it.
"""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from engine import events as ev
from engine.model.capital import FREE, LOCKED
from engine.model.decimals import ZERO, exact
from engine.model.ids import AccountId, Currency, Owner, venue_of
from engine.model.instrument import CASH_KINDS
from engine.state import EngineState
from engine.state.money import Share, external_shares

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from typing import Any

    from engine.model.capital import FundFlow
    from engine.model.fill import Fill
    from engine.model.ids import InstrumentId

__all__ = [
    "ADJUSTMENT",
    "CLEARING",
    "FEES",
    "FUNDING",
    "INTEREST",
    "MARKET",
    "MONEY_FACTS",
    "OUTSIDE",
    "Books",
    "Entry",
    "Posting",
    "account_of_bot",
    "place",
]

OUTSIDE, MARKET, FEES = "external", "market", "fees"
FUNDING, INTEREST, ADJUSTMENT = "funding", "interest", "adjustment"
"""Places outside: the world, whoever was traded with, what venues took, counterparties of funding, lenders, and
differences that nobody could explain."""
CLEARING = "clearing"
"""Pool of what the owners of one position in a derivative have realised and the venue has not, which pays by the
average price of all of them together; nothing is left in it once they have closed, but for rounding."""


def place(account: AccountId, pool: str) -> str:
    """Name of a pool's place in the ledger."""
    return f"{account}/{pool}"


class Posting(msgspec.Struct, frozen=True, array_like=True):
    """An amount that came to a place; negative where it left."""

    place: str
    currency: Currency
    amount: Decimal


class Entry(msgspec.Struct, frozen=True, array_like=True):
    """What one fact moved; its postings add up to nothing in every currency."""

    seq: int
    ts: int
    """UTC nanoseconds at which it was booked."""
    kind: str
    """Name of the fact."""
    account: AccountId
    words: str
    postings: tuple[Posting, ...]
    executed: int = 0
    """UTC nanoseconds at which it happened at the venue, where the fact says so."""


class _Move(NamedTuple):
    source: str
    target: str
    currency: Currency
    amount: Decimal


def account_of_bot(state: EngineState, config: bytes, currency: Currency) -> AccountId | None:
    """The account in which a bot's capital is given: the named one, else the first one of its instrument's venue."""
    try:
        said = msgspec.json.decode(config, type=_Where)
    except msgspec.MsgspecError:
        said = _Where()
    if said.account in state.accounts:
        return AccountId(said.account)
    venue = venue_of(said.instrument) if said.instrument else None  # type: ignore[arg-type]
    at_venue = [known.id for known in state.accounts.values() if known.venue == venue]
    in_currency = [known.id for known in state.accounts.values() if known.base_currency == currency]
    return next(iter((*at_venue, *in_currency, *state.accounts)), None)


class _Where(msgspec.Struct):
    account: str = ""
    instrument: str = ""


class Books:
    """Makes the entries of a history, fact by fact from its first one, and keeps what every place holds."""

    def __init__(self) -> None:
        self.state = EngineState()
        """What the facts so far have come to; the same as the engine's own."""
        self.totals: dict[tuple[str, Currency], Decimal] = defaultdict(lambda: ZERO)
        """What each place holds of each currency."""
        self._homes: dict[Owner, AccountId] = {}

    def take(self, record: ev.Record) -> Entry | None:
        """Fold a fact; returns its entry, None where it moved no money.

        Raises:
            StateConsistencyError: The fact does not follow on those before.
        """
        maker = _MAKERS.get(type(record.event))
        with exact():
            moves = [] if maker is None else list(maker(self, record.event))
            before = self._realised(record.event)
            self.state.apply(record)
            moves += self._profits(record.event, before)
            moves = [move for move in moves if move.amount]
            if not moves:
                return None
            postings: dict[tuple[str, Currency], Decimal] = defaultdict(lambda: ZERO)
            for move in moves:
                postings[move.source, move.currency] -= move.amount
                postings[move.target, move.currency] += move.amount
            kept = tuple(Posting(*key, amount) for key, amount in postings.items() if amount)
            for posting in kept:
                self.totals[posting.place, posting.currency] += posting.amount
        event = record.event
        account = _account(event) or AccountId(moves[0].source.partition("/")[0])
        return Entry(record.seq, record.ts, ev.event_name(event), account, _words(event), kept, _executed(event))

    def held(self, account: AccountId) -> dict[Currency, Decimal]:
        """What all pools of an account hold together; what the venue must say."""
        found: dict[Currency, Decimal] = defaultdict(lambda: ZERO)
        with exact():
            for (where, currency), amount in self.totals.items():
                if where.startswith(f"{account}/"):
                    found[currency] += amount
        return dict(found)

    def pool(self, account: AccountId, owner: str) -> dict[Currency, Decimal]:
        """What one pool holds."""
        wanted = place(account, owner)
        return {currency: amount for (where, currency), amount in self.totals.items() if where == wanted and amount}

    def home(self, owner: Owner) -> AccountId | None:
        """The account in which a bot's capital is."""
        return self._homes.get(owner)

    # --- executions --------------------------------------------------------------------------------------------------

    def executed(self, fill: Fill, shares: Iterable[Share]) -> Iterator[_Move]:
        """What an execution moves, owner by owner; the profit of derivatives comes on top."""
        instrument = self.state.instruments[fill.instrument]
        for share in shares:
            pool = place(fill.account, share.owner)
            if instrument.kind in CASH_KINDS:
                yield _Move(MARKET, pool, instrument.base, share.quantity)
                yield _Move(pool, MARKET, instrument.settle, share.quantity * fill.price * instrument.multiplier)
            yield _Move(pool, FEES, fill.fee_currency, share.fee)

    def _realised(self, event: ev.Event) -> dict[str, Decimal]:
        """What the whole position (under an empty name) and every owner's part has realised in a derivative so far."""
        key = _derivative(self.state, event)
        if key is None:
            return {}
        whole = self.state.positions.get(key)
        found: dict[str, Decimal] = {"": ZERO if whole is None else whole.realised}
        for (owner, *where), part in self.state.owned.items():
            if tuple(where) == key:
                found[owner] = part.realised
        return found

    def _profits(self, event: ev.Event, before: Mapping[str, Decimal]) -> Iterator[_Move]:
        """What a change of a position in a derivative has paid out."""
        key = _derivative(self.state, event)
        if key is None:
            return
        account, settle = key[0], self.state.instruments[key[1]].settle
        after = self._realised(event)
        paid = after.pop("") - before[""]
        for owner, realised in after.items():
            profit = realised - before.get(owner, ZERO)
            paid -= profit
            yield _Move(MARKET, place(account, owner), settle, profit)
        # The venue pays by the average price of all owners together, each of them earns by their own.
        yield _Move(MARKET, place(account, CLEARING), settle, paid)

    def own(self, bot: Owner, config: bytes, currency: Currency) -> tuple[AccountId | None, AccountId | None]:
        """Where a bot's capital was and where it is from now on."""
        before, now = self._homes.get(bot), account_of_bot(self.state, config, currency)
        if now is not None:
            self._homes[bot] = now
        return before, now


# --- what each kind of fact moves ------------------------------------------------------------------------------------


def _deposited(_books: Books, event: ev.Deposited) -> list[_Move]:
    return [_Move(OUTSIDE, place(event.account, FREE), event.currency, event.amount)]


def _withdrawn(_books: Books, event: ev.Withdrawn) -> list[_Move]:
    return [_Move(place(event.account, FREE), OUTSIDE, event.currency, event.amount)]


def _transferred(_books: Books, event: ev.Transferred) -> list[_Move]:
    return [_Move(place(event.source, FREE), place(event.target, FREE), event.currency, event.amount)]


def _adjusted(_books: Books, event: ev.BalanceAdjusted) -> list[_Move]:
    return [_Move(ADJUSTMENT, place(event.account, FREE), event.currency, event.amount)]


def _interest(_books: Books, event: ev.InterestCharged) -> list[_Move]:
    return [_Move(place(event.account, FREE), INTEREST, event.currency, event.amount)]


def _funding(books: Books, event: ev.FundingPaid) -> Iterator[_Move]:
    if event.payment and f"{event.account}|{event.payment}" in books.state.payments:
        return
    rest = event.amount
    for part in event.parts:
        yield _Move(place(event.account, part.owner), FUNDING, event.currency, part.amount)
        rest -= part.amount
    yield _Move(place(event.account, event.owner), FUNDING, event.currency, rest)


def _filled(books: Books, event: ev.OrderFilled) -> list[_Move]:
    fill = event.fill
    order = books.state.order(fill.client_id)
    if order is None or fill.key in order.fill_keys:
        return []
    share = Share(order.owner, fill.side.sign * fill.quantity, fill.fee)
    return list(books.executed(fill, [share]))


def _external_fill(books: Books, event: ev.ExternalFillSeen) -> list[_Move]:
    if event.fill.key in books.state.external_fills:
        return []
    return list(books.executed(event.fill, external_shares(books.state, event.fill)))


def _bot_created(books: Books, event: ev.BotCreated) -> list[_Move]:
    _, home = books.own(event.bot, event.config, event.currency)
    if home is None:
        return []
    return [_Move(place(home, FREE), place(home, event.bot), event.currency, event.capital)]


def _bot_configured(books: Books, event: ev.BotConfigured) -> list[_Move]:
    bot = books.state.bots.get(event.bot)
    if bot is None:
        return []
    before, home = books.own(event.bot, event.config, bot.currency)
    if home is None or before is None:
        return []
    if home == before:
        more = event.capital - bot.capital
        return [_Move(place(home, FREE), place(home, event.bot), bot.currency, more)]
    # Capital of another account is other money; what was made and what is held stays where it was made.
    return [
        _Move(place(before, event.bot), place(before, FREE), bot.currency, bot.capital),
        _Move(place(home, FREE), place(home, event.bot), bot.currency, event.capital),
    ]


def _bot_deleted(books: Books, event: ev.BotDeleted) -> list[_Move]:
    """Everything that can be spent goes back; what is left of positions stays under the bot's name."""
    bot = books.state.bots.get(event.bot)
    if bot is None:
        return []
    return [
        _Move(where, place(AccountId(account), FREE), currency, amount)
        for (where, currency), amount in books.totals.items()
        for account, _, pool in [where.rpartition("/")]
        if pool == event.bot and currency == bot.currency
    ]


def _flows(account: AccountId, currency: Currency, flows: Iterable[FundFlow]) -> Iterator[_Move]:
    for flow in flows:
        yield _Move(place(account, flow.source), place(account, flow.target), currency, flow.amount)


def _funds_moved(_books: Books, event: ev.FundsMoved | ev.ProfitSettled | ev.CapitalPreserved) -> list[_Move]:
    return list(_flows(event.account, event.currency, event.flows))


def _unlocked(books: Books, event: ev.ProfitUnlocked) -> list[_Move]:
    entry = books.state.capital.get(event.account)
    lock = entry.locks.get(event.lock) if entry is not None else None
    if lock is None:
        return []
    currency = books.state.accounts[event.account].base_currency
    return [_Move(place(event.account, LOCKED), place(event.account, FREE), currency, lock.amount)]


_MAKERS: dict[type[Any], Callable[[Books, Any], Iterable[_Move]]] = {
    ev.Deposited: _deposited,
    ev.Withdrawn: _withdrawn,
    ev.Transferred: _transferred,
    ev.BalanceAdjusted: _adjusted,
    ev.InterestCharged: _interest,
    ev.FundingPaid: _funding,
    ev.OrderFilled: _filled,
    ev.ExternalFillSeen: _external_fill,
    ev.BotCreated: _bot_created,
    ev.BotConfigured: _bot_configured,
    ev.BotDeleted: _bot_deleted,
    ev.FundsMoved: _funds_moved,
    ev.ProfitSettled: _funds_moved,
    ev.CapitalPreserved: _funds_moved,
    ev.ProfitUnlocked: _unlocked,
}
MONEY_FACTS = tuple(sorted({*(kind.__name__ for kind in _MAKERS), "PositionAdopted"}))
"""Names of the facts that can move money."""


def _derivative(state: EngineState, event: ev.Event) -> tuple[AccountId, InstrumentId] | None:
    """The position in a derivative that a fact may change."""
    match event:
        case ev.OrderFilled(fill=fill) | ev.ExternalFillSeen(fill=fill):
            key = fill.account, fill.instrument
        case ev.PositionAdopted():
            key = event.account, event.instrument
        case _:
            return None
    instrument = state.instruments.get(key[1])
    return None if instrument is None or instrument.kind in CASH_KINDS else key


def _account(event: ev.Event) -> AccountId | None:
    fill: Fill | None = getattr(event, "fill", None)
    if fill is not None:
        return fill.account
    found: AccountId | None = getattr(event, "account", None) or getattr(event, "source", None)
    return found


def _executed(event: ev.Event) -> int:
    fill: Fill | None = getattr(event, "fill", None)
    ts: int = fill.ts if fill is not None else getattr(event, "ts", 0)
    return ts


def _words(event: ev.Event) -> str:
    """What moved the money, in a few words."""
    match event:
        case ev.OrderFilled(fill=fill) | ev.ExternalFillSeen(fill=fill):
            return f"{fill.side} {fill.quantity:f} {fill.instrument} at {fill.price:f} (trade {fill.trade_id})"
        case ev.FundingPaid() | ev.PositionAdopted():
            return str(event.instrument)
        case ev.Deposited() | ev.Withdrawn() | ev.Transferred():
            return event.reference
        case ev.BotCreated():
            return f"capital of {event.name}"
        case ev.ProfitSettled():
            return f"profit of {event.profit:f} settled, {event.locked:f} of it locked"
        case _:
            return str(getattr(event, "reason", ""))
