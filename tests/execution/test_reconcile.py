"""The table of reconciliation, and what holds whatever both sides say: nothing lost, doubled or invented."""

from __future__ import annotations

import random
from dataclasses import replace
from decimal import Decimal as D
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import events as ev
from engine.execution.executions import named
from engine.execution.reconcile import (
    Answer,
    Ask,
    Book,
    Books,
    Cancel,
    Decision,
    Halt,
    Keep,
    Policy,
    reconcile,
    untracked_fills,
)
from engine.model.account import Account, TradingMode
from engine.model.fill import Fill
from engine.model.ids import MANUAL, ClientOrderId, TradeId, VenueOrderId
from engine.model.order import Decision as Reason
from engine.model.order import Liquidity, OrderSide, OrderStatus, OrderType
from engine.model.venue import VenueOrder
from engine.state import EngineState
from engine.state.soundness import flaws
from tests.execution.house import BTC, BUY, INSTRUMENT, MARKET, PAPER, SELL, USDT, VENUE

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

S = 1_000_000_000
DELAY = 30 * S
NOW = 1_000 * S
INSTANCE = "abcdefgh"
OURS = ClientOrderId(f"Q{INSTANCE}00010000007")
WORKING = (OrderStatus.ACCEPTED, OrderStatus.PARTIALLY_FILLED)


class Desk:
    """A state and the facts that made it; carries decisions out as the asyncio shell does, without a venue."""

    def __init__(self) -> None:
        self.state = EngineState()
        self.facts: list[ev.Event] = []
        self.now = 0
        self.book(
            ev.AccountOpened(account=Account(id=PAPER, venue=VENUE, mode=TradingMode.PAPER, base_currency=USDT)),
            ev.InstrumentDefined(instrument=INSTRUMENT),
            ev.Deposited(account=PAPER, currency=USDT, amount=D(100_000)),
            ev.Deposited(account=PAPER, currency=BTC, amount=D(1_000)),
        )

    def book(self, *events: ev.Event) -> None:
        for event in events:
            self.now += 1
            self.state.apply(ev.Record(self.state.seq + 1, self.now, 1, event))
            self.facts.append(event)

    def books(self) -> Books:
        state = self.state
        return Books(
            account=PAPER,
            instance=INSTANCE,
            orders=dict(state.orders),
            recent=state.recent,
            strangers=state.external_orders,
            foreign_fills=state.external_fills,
            is_forgotten=state.is_forgotten,
            instruments=state.instruments,
            cursor=state.cursors.get(PAPER, ""),
        )

    def before(self) -> dict[ClientOrderId, int]:
        return {key: order.updated for key, order in self.state.orders.items()}

    def carry(self, decisions: Iterable[Decision]) -> list[ClientOrderId]:
        """Book what is to be booked; returns which orders are to be asked for."""
        asks = []
        for decision in decisions:
            if isinstance(decision, Ask):
                asks.append(decision.client_id)
            elif isinstance(decision, Book):
                order = self.state.order(decision.client_id) if decision.client_id is not None else None
                if decision.seen is None or (order is not None and order.updated == decision.seen):
                    self.book(*decision.events)
        return asks

    def intend(self, client_id: ClientOrderId, quantity: D, side: OrderSide = BUY, price: D | None = D(90)) -> None:
        self.book(
            ev.OrderIntended(
                client_id=client_id,
                account=PAPER,
                instrument=MARKET,
                owner=MANUAL,
                side=side,
                type=OrderType.MARKET if price is None else OrderType.LIMIT,
                quantity=quantity,
                reserve_currency=USDT if side is BUY else BTC,
                reserve_unit=D(100) if side is BUY else D(1),
                decision=Reason(reason="test"),
                price=price,
            )
        )


def there(client_id: ClientOrderId, quantity: D, filled: D, status: OrderStatus, **more: Any) -> VenueOrder:
    given = {"price": D(90), "side": BUY, "type": OrderType.LIMIT, "updated": 0, **more}
    return VenueOrder(
        client_id=client_id,
        venue_order_id=VenueOrderId(f"V{client_id[-6:]}"),
        account=PAPER,
        instrument=MARKET,
        quantity=quantity,
        filled=filled,
        status=status,
        created=0,
        **given,
    )


def execution(client_id: ClientOrderId, number: int, quantity: D, side: OrderSide = BUY, trade: str = "T") -> Fill:
    return Fill(
        venue=VENUE,
        account=PAPER,
        instrument=MARKET,
        trade_id=TradeId(f"{trade}{number}" if trade else ""),
        venue_order_id=VenueOrderId(f"V{client_id[-6:]}"),
        client_id=client_id,
        side=side,
        price=D(90),
        quantity=quantity,
        fee=D(0),
        fee_currency=USDT,
        liquidity=Liquidity.TAKER,
        ts=number,
    )


# --- the table -------------------------------------------------------------------------------------------------------

TABLE = """
what is booked      | what the venue says      | fills | how                   | what follows

# an order that both sides know
submitted 0/2       | accepted 0/2             |       | listed                | Accepted
unknown 0/2         | accepted 0/2             |       | listed                | Accepted
accepted 0/2        | accepted 0/2             |       | listed                |
accepted 0/2        | accepted 0/3             |       | listed                | Amended
accepted 0/2        | accepted 0/2             |       | found changed         | Amended
accepted 0/2        | accepted 0/3             |       | listed moved          |
unknown 0/2         | accepted 0/3             |       | found growing         | Accepted Amended
unknown 0/2         | accepted 0/4             |       | found growing         | halt
rejected 0/2        | accepted 0/3             |       | listed fresh          | halt
accepted 0/2        | accepted 0/3             |       | found changed moved   | ask
accepted 0/2        | partially_filled 1/2     | 1     | listed                | Filled
accepted 0/2        | partially_filled 1/2     | 1 1   | listed again          | Filled
accepted 1/2        | partially_filled 1/2     | 1     | listed booked         |
unknown 0/2         | filled 2/2               | 2     | found                 | Accepted Filled
unknown 0/2         | filled 2/2               |       | found                 | Accepted ask
accepted 0/2        | filled 1/1               | 1     | found                 | Amended Filled
accepted 0/2        | canceled 1/2             | 1     | found                 | Filled Canceled
accepted 0/2        | canceled 1/2             |       | found                 | Canceled
accepted 0/2        | canceled 1/2             |       | found late            | ask
accepted 0/2        | expired 0/2              |       | found                 | Expired
submitted 0/2       | rejected 0/2             |       | found                 | Rejected
accepted 1/2        | rejected 1/2             |       | found booked          | Canceled
accepted 0/2        | canceled 1/2             | 1     | found more            | Filled

# an order that the venue does not show
accepted 0/2        |                          |       | listed                | ask
accepted 0/2        |                          |       | listed cut            | ask
accepted 0/2        |                          |       | listed fresh          | keep
accepted 0/2        |                          |       | listed moved          | keep
accepted 0/2        |                          | 2     | listed                | Filled
accepted 0/2        |                          | 1     | listed                | Filled ask
pending 0/2         |                          |       | listed                | keep
pending 0/2         |                          |       | listed restarted      | OutcomeUnknown ask
submitted 0/2       |                          |       | listed restarted      | OutcomeUnknown ask
submitted 0/2       | accepted 0/2             |       | listed restarted      | Accepted
unknown 0/2         | none                     |       | found                 | Rejected
unknown 0/2         | none                     |       | found fresh           | ask
accepted 0/2        | none                     |       | found                 | Canceled
accepted 0/2        | none                     | 1     | found                 | Filled ask
accepted 0/2        | none                     |       | found moved           | ask
accepted 0/2        | none                     | 2     | found                 | Filled
accepted 1/2        | none                     |       | found booked          | Canceled

# executions older than the venue keeps
unknown 0/2         | filled 2/2               |       | found partial         | Accepted Filled
accepted 0/2        | canceled 1/2             |       | found partial         | Filled Canceled
accepted 0/2        | partially_filled 1/2     |       | listed partial        | Filled
accepted 0/2        | filled 2/2               |       | found partial unpriced | halt ask
accepted 0/2        |                          |       | listed partial        | ask

# an order under one of our ids that we do not track
                    | accepted 0/2             |       | listed                | Adopted
                    | partially_filled 1/2     | 1     | listed                | Adopted Filled
                    | accepted 0/2             |       | listed cancels        | Adopted cancel
                    | canceled 0/2             |       | found                 |
                    |                          | 1     | listed                | ExternalFillSeen
canceled 0/2        | accepted 0/2             |       | listed                | Adopted
canceled 0/2        | accepted 0/2             |       | listed fresh          |
rejected 0/2        | accepted 0/2             |       | listed fresh          | Accepted
filled 2/2          | filled 2/2               | 2     | listed booked         |

# what is not ours, or not what was meant
                    | accepted 0/2             |       | listed foreign        | ExternalOrderSeen
                    |                          | 1     | listed foreign        | ExternalFillSeen
unknown 0/2         | accepted 0/3             |       | found                 | halt
unknown 0/2         | accepted 0/2             |       | found sells           | halt
"""


def rows() -> list[Any]:
    found = []
    for line in TABLE.splitlines():
        if "|" not in line or line.startswith("what is booked"):
            continue
        cells = [cell.strip() for cell in line.split("|")]
        found.append(pytest.param(*cells, id=" ".join(" | ".join(cells).split())))
    return found


def parse(cell: str) -> tuple[OrderStatus, D, D]:
    status, _, amounts = cell.partition(" ")
    filled, _, quantity = amounts.partition("/")
    return OrderStatus(status), D(filled), D(quantity)


def booked(desk: Desk, cell: str, client_id: ClientOrderId, price: D | None) -> None:
    if not cell:
        return
    status, filled, quantity = parse(cell)
    desk.intend(client_id, quantity, price=price)
    if status is OrderStatus.PENDING:
        return
    desk.book(ev.OrderSubmitted(client_id=client_id))
    if status in (OrderStatus.ACCEPTED, OrderStatus.CANCELED):
        desk.book(ev.OrderAccepted(client_id=client_id, venue_order_id=VenueOrderId(f"V{client_id[-6:]}"), ts=0))
    if filled:
        desk.book(ev.OrderFilled(fill=execution(client_id, 1, filled)))
    if status is OrderStatus.UNKNOWN:
        desk.book(ev.OrderOutcomeUnknown(client_id=client_id, reason="lost"))
    elif status is OrderStatus.CANCELED:
        desk.book(ev.OrderCanceled(client_id=client_id, reason="asked for", ts=0))
    elif status is OrderStatus.REJECTED:
        desk.book(ev.OrderRejected(client_id=client_id, code="not_found", reason="given up", ts=0))


def words(decision: Decision) -> list[str]:
    match decision:
        case Book():
            return [type(event).__name__.removeprefix("Order") for event in decision.events]
        case _:
            return [type(decision).__name__.lower()]


@pytest.mark.parametrize(("cell", "says", "fills", "how", "follows"), rows())
def test_the_table(cell: str, says: str, fills: str, how: str, follows: str) -> None:
    flags, desk = set(how.split()), Desk()
    client_id = ClientOrderId("web-1") if "foreign" in flags else OURS
    price = None if "unpriced" in flags else D(90)
    booked(desk, cell, client_id, price)
    if "growing" in flags:
        desk.book(ev.OrderAmendRequested(client_id=client_id, quantity=D(3)))
    told: VenueOrder | None = None
    asked = desk.now + (5 * S if "fresh" in flags else NOW)
    if says and says != "none":
        status, filled, quantity = parse(says)
        told = there(
            client_id,
            quantity,
            filled,
            status,
            price=price,
            type=OrderType.LIMIT if price is not None else OrderType.MARKET,
            side=SELL if "sells" in flags else BUY,
            updated=asked if "late" in flags else 0,
        )
        if "more" in flags:
            told = there(client_id, D(2), D(2), OrderStatus.FILLED)
    first = 1 if "booked" in flags or "again" in flags else 2
    executed = [execution(client_id, first + (0 if "again" in flags else n), D(q)) for n, q in enumerate(fills.split())]
    answer = Answer(
        asked=asked,
        before={key: ts - ("moved" in flags) for key, ts in desk.before().items()},
        listed=() if "listed" in flags and told is None else (told,) if "listed" in flags and told else None,
        whole="cut" not in flags,
        found={client_id: told} if "found" in flags else {},
        fills=tuple(executed),
        reaches_back="partial" not in flags,
    )
    policy = Policy(
        visibility_ns=DELAY,
        untracked="cancel" if "cancels" in flags else "adopt",
        restarted="restarted" in flags,
        changed=frozenset({client_id}) if "changed" in flags else frozenset(),
    )
    decisions = reconcile(desk.books(), answer, policy)
    found = [word for decision in decisions for word in words(decision)]
    if "more" in flags:
        assert found == ["Filled", "ask"], "it is filled at the venue and one execution is missing"
        return
    assert found == follows.split()
    desk.carry(decisions)
    assert flaws(desk.state) == []
    assert not [d for d in reconcile(desk.books(), answer, policy) if isinstance(d, Book)], (
        "nothing more the second time"
    )


def test_an_execution_without_a_name_gets_the_same_one_every_time() -> None:
    twins = [execution(OURS, 1, D(1), trade=""), execution(OURS, 1, D(1), trade="")]
    other = execution(OURS, 1, D(2), trade="")
    first, again = list(named([*twins, other])), list(named([*twins, other]))
    assert first == again
    assert len({fill.trade_id for fill in first}) == 3, "two executions that say the same are two"
    assert [fill.trade_id for fill in named([other])] == [first[2].trade_id]
    assert [fill.trade_id for fill in named([execution(OURS, 1, D(1))])] == ["T1"]


def test_what_was_executed_before_an_adoption_is_not_executed_again() -> None:
    desk = Desk()
    early, later = execution(OURS, 1, D(1)), execution(OURS, 2, D(1))
    desk.book(ev.ExternalFillSeen(fill=early))
    told = there(OURS, D(3), D(2), OrderStatus.PARTIALLY_FILLED)
    answer = Answer(asked=NOW, listed=(told,), fills=(early, later))
    desk.carry(reconcile(desk.books(), answer, Policy(visibility_ns=DELAY)))
    order = desk.state.orders[OURS]
    assert (order.filled, order.executed, order.remaining) == (D(1), D(2), D(1))
    assert (order.owner, order.status) == (MANUAL, OrderStatus.PARTIALLY_FILLED)
    assert desk.state.balance(PAPER, USDT).reserved == order.reserve_unit
    desk.book(ev.OrderFilled(fill=execution(OURS, 3, D(1))))
    assert desk.state.recent[OURS].status is OrderStatus.FILLED
    assert flaws(desk.state) == []


# --- whatever both sides say -----------------------------------------------------------------------------------------


class World:
    """A venue with a past, and books that know any part of it."""

    def __init__(self, rng: random.Random, *, cold: bool) -> None:
        self.rng, self.desk = rng, Desk()
        self.orders: dict[ClientOrderId, VenueOrder] = {}
        self.fills: list[Fill] = []
        self.tracked: set[ClientOrderId] = set()
        for number in range(rng.randrange(1, 9)):
            self._order(number, cold)

    def _order(self, number: int, cold: bool) -> None:
        rng, desk = self.rng, self.desk
        foreign = rng.random() < 0.15
        client_id = ClientOrderId(f"web-{number:06}" if foreign else f"Q{INSTANCE}0001{number:07}")
        side, quantity = rng.choice((BUY, SELL)), D(rng.randrange(1, 5))
        fills: list[Fill] = []
        left = quantity
        while left and rng.random() < 0.6:
            part = D(rng.randrange(1, int(left) + 1))
            fills.append(execution(client_id, len(self.fills) + len(fills) + 1, part, side))
            left -= part
        ends = (*WORKING[:1], OrderStatus.CANCELED, OrderStatus.EXPIRED)
        status = OrderStatus.FILLED if not left else rng.choice(ends)
        if fills and status is OrderStatus.ACCEPTED:
            status = OrderStatus.PARTIALLY_FILLED
        filled = quantity - left
        tracked = not foreign and not cold and rng.random() < 0.8
        exists = not tracked or bool(fills) or rng.random() < 0.85
        if exists:
            self.orders[client_id] = there(client_id, quantity, filled, status, side=side)
            self.fills += fills
        if tracked:
            self.tracked.add(client_id)
            desk.intend(client_id, quantity, side)
            self._heard(client_id, fills if exists else [], status, exists=exists)

    def _heard(self, client_id: ClientOrderId, fills: list[Fill], status: OrderStatus, *, exists: bool) -> None:
        """What of an order's life has come in: any beginning of it, and any of its executions."""
        rng, desk = self.rng, self.desk
        if rng.random() < 0.8:
            desk.book(ev.OrderSubmitted(client_id=client_id))
            if rng.random() < 0.3:
                desk.book(ev.OrderOutcomeUnknown(client_id=client_id, reason="lost"))
        if exists and rng.random() < 0.6:
            venue_order_id = self.orders[client_id].venue_order_id
            desk.book(ev.OrderAccepted(client_id=client_id, venue_order_id=venue_order_id, ts=0))
            for fill in fills:
                if rng.random() < 0.5:
                    desk.book(ev.OrderFilled(fill=fill))
            if status is OrderStatus.CANCELED and client_id in desk.state.orders and rng.random() < 0.5:
                desk.book(ev.OrderCanceled(client_id=client_id, reason="", ts=0))

    def listed(self) -> tuple[VenueOrder, ...]:
        found = [order for order in self.orders.values() if order.status in WORKING]
        self.rng.shuffle(found)
        return tuple(found)

    def window(self, forgotten: int = 0) -> tuple[Fill, ...]:
        """Executions in any order and with repeats, the oldest ones not kept any more."""
        kept = self.fills[forgotten:]
        told = kept + self.rng.choices(kept, k=len(kept) // 2) if kept else []
        self.rng.shuffle(told)
        return tuple(told)

    def settle(self, *, forgotten: int = 0, pages: bool = False, restarted: bool = True) -> list[Sequence[Decision]]:
        """Ask, decide and carry out until no question is open."""
        desk = self.desk
        made: list[Sequence[Decision]] = []
        found: dict[ClientOrderId, VenueOrder | None] = {}
        listed: tuple[VenueOrder, ...] | None = self.listed()
        for _ in range(4):
            answer = Answer(
                asked=desk.now + NOW,
                before=desk.before(),
                listed=listed,
                found=found,
                fills=self.window(forgotten),
                cursor=str(len(self.fills)),
                reaches_back=not forgotten,
            )
            policy = Policy(visibility_ns=DELAY, restarted=restarted and listed is not None)
            asks = self._carry(answer, policy, made, pages=pages)
            if not asks:
                return made
            found, listed = {client_id: self.orders.get(client_id) for client_id in asks}, None
        raise AssertionError("questions stay open")

    def _carry(self, answer: Answer, policy: Policy, made: list[Any], *, pages: bool) -> list[ClientOrderId]:
        desk = self.desk
        if not pages:
            made.append(reconcile(desk.books(), answer, policy))
            return desk.carry(made[-1])
        early = replace(answer, fills=untracked_fills(desk.books(), answer.fills), cursor="", complete=False)
        desk.carry(reconcile(desk.books(), early, policy))
        for start in range(0, len(answer.fills), 2):
            page = Answer(asked=answer.asked, fills=answer.fills[start : start + 2], complete=False)
            desk.carry(reconcile(desk.books(), page, policy))
        made.append(reconcile(desk.books(), replace(answer, fills=()), policy))
        return desk.carry(made[-1])

    def picture(self) -> dict[Any, Any]:
        """What a person would see of orders, position and money."""
        state = self.desk.state
        position = state.position(PAPER, MARKET)
        return {
            "orders": {key: (o.status, o.executed) for key, o in {**state.recent, **state.orders}.items()},
            "position": position.quantity if position is not None else D(0),
            "money": {currency: balance.total for currency, balance in state.balances[PAPER].items()},
        }

    def check(self) -> None:
        state, facts = self.desk.state, self.desk.facts
        told = [event.fill for event in facts if isinstance(event, ev.OrderFilled | ev.ExternalFillSeen)]
        assert len({fill.key for fill in told}) == len(told), "no execution is booked twice"
        truth = sum((fill.quantity * fill.side.sign for fill in self.fills), D(0))
        assert self.picture()["position"] == truth, "the position is the sum of the executions"
        for client_id in self.tracked:
            order, known = state.order(client_id), self.orders.get(client_id)
            assert order is not None
            if known is None:
                assert order.status in (OrderStatus.REJECTED, OrderStatus.CANCELED)
            else:
                assert (order.status, order.executed) == (known.status, known.filled)
        assert {*state.orders} == {k for k, o in self.orders.items() if o.status in WORKING and not k.startswith("web")}
        shown = {order.client_id for order in state.external_orders.values()}
        assert shown == {k for k, o in self.orders.items() if o.status in WORKING and k.startswith("web")}
        assert flaws(state) == []


SEEDS = st.integers(0, 2**32)
MANY = settings(max_examples=150, deadline=None)


@MANY
@given(SEEDS, st.booleans(), st.booleans())
def test_in_the_end_both_sides_tell_the_same(seed: int, cold: bool, restarted: bool) -> None:
    world = World(random.Random(seed), cold=cold)
    intended = sum(isinstance(event, ev.OrderIntended) for event in world.desk.facts)
    if not restarted:
        # An order that nobody has sent yet is not judged while the engine runs.
        for client_id, order in tuple(world.desk.state.orders.items()):
            if order.status is OrderStatus.PENDING:
                world.desk.book(ev.OrderSubmitted(client_id=client_id))
    made = world.settle(restarted=restarted)
    world.check()
    assert sum(isinstance(event, ev.OrderIntended) for event in world.desk.facts) == intended, "nothing is sent again"
    kinds = {type(decision) for decisions in made for decision in decisions}
    assert kinds <= {Book, Ask, Keep}


@MANY
@given(SEEDS)
def test_the_order_of_answers_and_their_pages_do_not_matter(seed: int) -> None:
    at_once, in_pages, shuffled = (World(random.Random(seed), cold=False) for _ in range(3))
    shuffled.rng = random.Random(seed + 1)
    at_once.settle()
    in_pages.settle(pages=True)
    shuffled.settle()
    assert at_once.picture() == in_pages.picture() == shuffled.picture()


@MANY
@given(SEEDS)
def test_the_same_answers_a_second_time_change_nothing(seed: int) -> None:
    world = World(random.Random(seed), cold=False)
    world.settle()
    count = len(world.desk.facts)
    for decisions in world.settle():
        assert not [decision for decision in decisions if isinstance(decision, Book)]
    assert len(world.desk.facts) == count


@MANY
@given(SEEDS, st.integers(1, 6))
def test_executions_older_than_the_venue_keeps_are_booked_from_what_it_says_of_orders(seed: int, gone: int) -> None:
    """Those of tracked orders; what others executed so long ago is nowhere to be learnt, and is not invented."""
    world = World(random.Random(seed), cold=False)
    forgotten = min(gone, len(world.fills))
    known = {key for order in world.desk.state.recent.values() for key in order.fill_keys}
    ended = {order.client_id for order in world.desk.state.recent.values()}
    world.settle(forgotten=forgotten)
    lost = [f for f in world.fills[:forgotten] if f.client_id not in world.tracked or f.client_id in ended]
    lost = [fill for fill in lost if fill.key not in known]
    truth = sum((f.quantity * f.side.sign for f in world.fills), D(0)) - sum(
        (f.quantity * f.side.sign for f in lost), D(0)
    )
    assert world.picture()["position"] == truth
    assert flaws(world.desk.state) == []


@MANY
@given(SEEDS)
def test_nothing_is_ever_closed_or_ended_because_a_list_is_short(seed: int) -> None:
    world = World(random.Random(seed), cold=False)
    desk = world.desk
    before = world.picture()
    for whole in (True, False):
        answer = Answer(asked=desk.now + NOW, before=desk.before(), listed=(), whole=whole, reaches_back=False)
        decisions = reconcile(desk.books(), answer, Policy(visibility_ns=DELAY))
        assert not [d for d in decisions if isinstance(d, Book | Halt | Cancel)]
        asked = {d.client_id for d in decisions if isinstance(d, Ask | Keep)}
        assert asked == set(desk.state.orders), "every open order is asked for, or waits"
    assert world.picture() == before
