"""Double entry: nothing is ever created or lost, and pools, positions and balances agree with one another."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from hypothesis import HealthCheck, Phase, given, settings

from engine.capital.books import CLEARING, Books
from engine.model.capital import LOCKED, RESERVE, CapitalEntry
from engine.model.decimals import ZERO, exact
from engine.model.instrument import CASH_KINDS
from engine.state.capital import settled_of
from tests.kit.histories import histories, session

if TYPE_CHECKING:
    from decimal import Decimal as D

    from engine.capital.books import Entry
    from engine.events import Record
    from engine.model.ids import AccountId
    from engine.state import EngineState

PROPERTY = settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
)


def booked(records: list[Record]) -> tuple[Books, list[Entry]]:
    """The books of a history."""
    books = Books()
    return books, [entry for record in records if (entry := books.take(record)) is not None]


def sums(entry: Entry) -> dict[str, D]:
    """What an entry's postings come to, by currency."""
    found: dict[str, D] = defaultdict(lambda: ZERO)
    for posting in entry.postings:
        found[posting.currency] += posting.amount
    return found


def check_places(books: Books) -> None:
    """Pools against balances, owners' coins against their positions."""
    state = books.state
    with exact():
        whole: dict[str, D] = defaultdict(lambda: ZERO)
        for (_, currency), amount in books.totals.items():
            whole[currency] += amount
        assert not any(whole.values())
        for account, balances in state.balances.items():
            held = books.held(account)
            for currency, balance in balances.items():
                assert held.pop(currency, ZERO) == balance.total
            assert not any(held.values())
            check_owners(state, books, account)
            entry = state.capital.get(account) or CapitalEntry()
            locked = sum((lock.amount for lock in entry.locks.values()), ZERO)
            assert sum(books.pool(account, LOCKED).values(), ZERO) == locked
            assert sum(books.pool(account, RESERVE).values(), ZERO) == entry.reserve


def check_owners(state: EngineState, books: Books, account: AccountId) -> None:
    """A bot's pool is its capital, what it made since, and its coins in place of what they cost."""
    for bot in state.bots.values():
        if books.home(bot.id) != account:
            continue
        expected: dict[str, D] = defaultdict(lambda: ZERO)
        expected[bot.currency] += bot.capital - settled_of(state, bot.id)
        for (owner, currency), earned in state.owner_sums.items():
            if owner == bot.id:
                expected[currency] += earned.realised - earned.fees - earned.funding
        for (owner, where, what), part in state.owned.items():
            instrument = state.instruments[what]
            if (owner, where) == (bot.id, account) and instrument.kind in CASH_KINDS:
                expected[instrument.settle] -= part.cost(instrument.multiplier)
                expected[instrument.base] += part.quantity
        assert {key: value for key, value in expected.items() if value} == books.pool(account, bot.id)


@PROPERTY
@given(histories(40, 200))
def test_every_entry_is_balanced_and_the_books_are_what_the_venue_holds(records: list[Record]) -> None:
    books, entries = booked(records)
    with exact():
        for entry in entries:
            assert not any(sums(entry).values()), entry
    check_places(books)


def test_a_long_session_of_ten_bots_reconciles_at_every_hundredth_fact() -> None:
    books = Books()
    for record in session(4_000, seed=3):
        books.take(record)
        if record.seq % 100 == 0:
            check_places(books)


def test_what_is_left_in_clearing_is_gone_once_a_shared_position_is_closed() -> None:
    books, _ = booked(session(3_000, seed=5))
    state = books.state
    for (account, instrument_id), position in state.positions.items():
        instrument = state.instruments[instrument_id]
        if instrument.kind in CASH_KINDS:
            continue
        with exact():
            parts = [
                (part, part.cost(instrument.multiplier))
                for (_, where, what), part in state.owned.items()
                if (where, what) == (account, instrument_id)
            ]
            clearing = books.pool(account, CLEARING).get(instrument.settle, ZERO)
            # What the venue has not paid yet is the difference between the costs of all parts and of the whole.
            assert clearing == sum(cost for _, cost in parts) * -1 + position.cost(instrument.multiplier)
