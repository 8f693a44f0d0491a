"""The judge: holds the journal, the venue's own ledger and what clients were answered against each other."""

from __future__ import annotations

import re
import sqlite3
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from decimal import Decimal as D
from typing import TYPE_CHECKING

import msgspec

from engine import events as ev
from engine.errors import QuarterdeckError
from engine.model.decimals import exact
from engine.model.fill import Fill
from engine.model.ids import AccountId, Currency
from engine.model.order import OrderStatus
from engine.venues.paper.accounts import AccountImage
from engine.venues.paper.orders import PaperOrder
from storage.journal import Journal, Reader, replay
from tests.chaos.records import read_notes

if TYPE_CHECKING:
    from pathlib import Path

    from engine.model.order import Order
    from engine.state import EngineState

__all__ = ["Verdict", "judge"]

PAPER = AccountId("paper")
ENDED_WITHOUT = (OrderStatus.REJECTED, OrderStatus.CANCELED)
"""How an order may have ended that the venue never had."""
_REQUEST = re.compile(r"^orders\.\w+-(\d+\.\d+\.\d+\.\d+)$")


@dataclass
class Verdict:
    """What was found; all lists are empty when every promise was kept."""

    lost: list[str] = field(default_factory=list)
    """Accepted operations, orders and executions that one side does not know."""
    doubled: list[str] = field(default_factory=list)
    """Orders, sendings and executions that exist twice."""
    differs: list[str] = field(default_factory=list)
    """Positions, balances and states that are not the same on both sides."""
    orders: int = 0
    """Intents in the journal."""
    fills: int = 0

    @property
    def problems(self) -> list[str]:
        """Everything that was found, in words."""
        groups = (("lost", self.lost), ("doubled", self.doubled), ("differs", self.differs))
        return [f"{name}: {what}" for name, found in groups for what in found]

    @property
    def clean(self) -> bool:
        """Whether every promise was kept."""
        return not self.problems


@dataclass
class _Venue:
    """The venue's own ledger."""

    orders: dict[str, PaperOrder]
    fills: list[Fill]
    totals: dict[Currency, D]


def _read_venue(path: Path) -> _Venue:
    with closing(sqlite3.connect(path)) as connection:
        orders = [
            msgspec.msgpack.decode(body, type=PaperOrder) for (body,) in connection.execute("SELECT body FROM orders")
        ]
        fills = [
            msgspec.msgpack.decode(body, type=Fill)
            for (body,) in connection.execute("SELECT body FROM fills ORDER BY number")
        ]
        accounts = [
            msgspec.msgpack.decode(body, type=AccountImage)
            for (body,) in connection.execute("SELECT body FROM accounts")
        ]
    return _Venue({o.command.client_id: o for o in orders}, fills, dict(accounts[0].totals) if accounts else {})


def judge(home: Path) -> Verdict:
    """Judge a home folder in which everything has come to rest: no engine, no venue, no open order."""
    try:
        return _judge(home)
    except (QuarterdeckError, sqlite3.Error) as error:
        return Verdict(lost=[f"what is stored cannot be used: {error}"])


def _judge(home: Path) -> Verdict:
    verdict = Verdict()
    reader = Reader(home / "journal.db")
    try:
        reader.verify()
        records = list(reader.records())
    finally:
        reader.close()
    state = replay(home / "journal.db")
    if Journal.open(home / "journal.db").recovered.state.state_hash() != state.state_hash():
        verdict.differs.append("what a start recovers is not what the facts give")
    venue = _read_venue(home / "paper.db")
    _judge_intents(verdict, records, read_notes(home / "asked"))
    _judge_sendings(verdict, records, venue, read_notes(home / "sent"))
    _judge_fills(verdict, records, venue)
    _judge_words(verdict, records)
    with exact():
        _judge_ends(verdict, state, venue)
        _judge_money(verdict, records, state, venue)
    return verdict


def _judge_intents(verdict: Verdict, records: list[ev.Record], asked: list[list[object]]) -> None:
    """Each accepted operation is booked, and each request once at most."""
    booked: dict[type, set[str]] = {
        kind: {r.event.client_id for r in records if type(r.event) is kind}
        for kind in (ev.OrderIntended, ev.OrderCancelRequested, ev.OrderAmendRequested)
    }
    kinds = {
        "orders.place": ev.OrderIntended,
        "orders.cancel": ev.OrderCancelRequested,
        "orders.replace": ev.OrderAmendRequested,
    }
    for line in asked:
        if line[0] == "done" and line[3] not in booked[kinds[str(line[2])]]:
            verdict.lost.append(f"{line[2]} of {line[3]} was answered and is not booked")
    intents = [r for r in records if isinstance(r.event, ev.OrderIntended)]
    verdict.orders = len(intents)
    requests = Counter(match[1] for r in intents if (match := _REQUEST.match(r.correlation)))
    verdict.doubled += [f"request {name} was done {times} times" for name, times in requests.items() if times > 1]


def _judge_sendings(verdict: Verdict, records: list[ev.Record], venue: _Venue, sent: list[list[object]]) -> None:
    """Each order left once at most, after its intent was booked; the venue has none that nobody wanted."""
    intended = {r.event.client_id for r in records if isinstance(r.event, ev.OrderIntended)}
    times = Counter(str(line[0]) for line in sent)
    verdict.doubled += [f"{name} was sent {count} times" for name, count in times.items() if count > 1]
    verdict.lost += [f"{name} was sent and is not booked" for name in times if name not in intended]
    verdict.doubled += [f"the venue has {name}, which nobody wanted" for name in venue.orders if name not in intended]


def _judge_fills(verdict: Verdict, records: list[ev.Record], venue: _Venue) -> None:
    """Each execution at the venue is booked once, as it was, and no other."""
    booked = [r.event.fill for r in records if isinstance(r.event, ev.OrderFilled)]
    verdict.fills = len(booked)
    times = Counter(fill.key for fill in booked)
    verdict.doubled += [f"execution {key} is booked {count} times" for key, count in times.items() if count > 1]
    there, here = {fill.key: fill for fill in venue.fills}, {fill.key: fill for fill in booked}
    verdict.lost += [f"execution {key} is not booked" for key in there if key not in here]
    verdict.doubled += [f"execution {key} never was" for key in here if key not in there]
    verdict.differs += [
        f"execution {key} is booked otherwise" for key in here if there.get(key, here[key]) != here[key]
    ]
    strangers = [r.event.fill.key for r in records if isinstance(r.event, ev.ExternalFillSeen)]
    verdict.lost += [f"execution {key} was taken for a stranger's" for key in strangers]


def _judge_words(verdict: Verdict, records: list[ev.Record]) -> None:
    """What was said to be over did not go on: no news of it, and no execution after the time at which it ended."""
    over: dict[str, int] = {}
    for record in records:
        event = record.event
        if isinstance(event, ev.OrderCanceled | ev.OrderExpired | ev.OrderRejected):
            over[event.client_id] = event.ts
        elif isinstance(event, ev.OrderFilled) and event.fill.ts > over.get(event.fill.client_id, event.fill.ts):
            verdict.differs.append(f"{event.fill.client_id} was said to be over, and was executed afterwards")
        elif isinstance(event, ev.OrderAdopted):
            verdict.lost.append(f"{event.client_id} had to be adopted: it left and was not tracked")
        elif isinstance(event, ev.OrderAccepted | ev.OrderAmended) and event.ts > over.get(event.client_id, event.ts):
            # A notice that comes late, of what was before the end, is another matter.
            verdict.differs.append(f"{event.client_id} was said to be over, and was heard of again")


def _judge_ends(verdict: Verdict, state: EngineState, venue: _Venue) -> None:
    """Each order has ended on both sides in the same way, with the same quantity."""
    verdict.differs += [f"{name} is still {order.status}" for name, order in state.orders.items()]
    for name, order in state.recent.items():
        there = venue.orders.get(name)
        if there is None:
            if order.filled or order.status not in ENDED_WITHOUT:
                verdict.lost.append(f"{name} is {order.status} with {order.filled} filled; the venue never had it")
            continue
        instrument = state.instruments[order.instrument]
        filled = instrument.quantity_from_int(there.filled)
        if (order.filled, _end(order)) != (filled, there.status):
            verdict.differs.append(f"{name}: {order.status} {order.filled}, at the venue {there.status} {filled}")
    known = {*state.recent, *state.orders}
    verdict.lost += [f"{name} is not in the books" for name in venue.orders if name not in known]


def _end(order: Order) -> OrderStatus:
    return order.status


def _judge_money(verdict: Verdict, records: list[ev.Record], state: EngineState, venue: _Venue) -> None:
    """Balances and positions are what the executions make of them, without a correction."""
    corrections = [r.event for r in records if isinstance(r.event, ev.BalanceAdjusted)]
    verdict.differs += [f"a balance was corrected: {fix.currency} by {fix.amount}" for fix in corrections]
    held = state.balances.get(PAPER, {})
    for currency in {*venue.totals, *held}:
        here, there = state.balance(PAPER, currency), venue.totals.get(currency, D(0))
        if here.total != there:
            verdict.differs.append(f"{currency}: {here.total} booked, {there} at the venue")
        if here.reserved:
            verdict.differs.append(f"{currency}: {here.reserved} are held for orders that have ended")
    for (_, instrument), position in state.positions.items():
        signed = sum((f.quantity * f.side.sign for f in venue.fills if f.instrument == instrument), D(0))
        if position.quantity != signed:
            verdict.differs.append(f"{instrument}: position {position.quantity}, executions give {signed}")
