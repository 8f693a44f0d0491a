"""The core of the simulators, with a venue of three endpoints: recording, limits, faults, streams, TLS, the ledger."""

from __future__ import annotations

import asyncio
import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from engine.clock import SimulatedClock
from engine.model.ids import AccountId, ClientOrderId, InstrumentId, VenueId
from engine.model.order import OrderSide, OrderStatus, OrderType
from engine.model.venue import OrderCommand
from tests.wire.certificates import make_authority
from tests.wire.dump import dump
from tests.wire.exchange import Exchange
from tests.wire.faults import Fault
from tests.wire.limits import Limits, Window
from tests.wire.markets import RelistedMarket, ScriptedMarket, perpetual, spot
from tests.wire.shapes import differences
from tests.wire.simulator import Call, Refusal, Reply, Route, Simulator
from tests.wire.venues import simulated_source

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from tests.wire.accounts import Key
    from tests.wire.faults import Armed
    from tests.wire.sockets import Socket

MAIN = AccountId("main")
BTC = InstrumentId("TOY:BTC/USDT")
NS = 1_000_000_000
START = 1_790_000_000 * NS


class ToyVenue(Simulator):
    """Orders by number, a list of them, and a stream of notices."""

    def place(self, call: Call) -> Any:
        body = call.json()
        outcome = self.exchange.place(order(body["id"], price=body["price"]))
        if outcome.order is None:
            raise Refusal(Reply({"code": outcome.code}, 400))
        return {"number": outcome.order.number}

    def list(self, call: Call) -> Any:
        return [o.client_id for o in self.exchange.orders(MAIN)]

    routes = (
        Route("POST", "/orders", place, signed=True, changes=True),
        Route("GET", "/orders/{kind}", list, lists=True),
    )

    def authenticate(self, route: Route, call: Call) -> Key:
        key = self.exchange.keys.find(call.headers.get("X-Key", ""))
        if key is None:
            raise Refusal(Reply({"code": "key"}, 401))
        return key

    def charge(self, route: Route, call: Call) -> None:
        now = self.exchange.clock.now()
        if self.limits.banned_until > now:
            raise Refusal(Reply({"code": "banned"}, 418))
        if not self.limits.take("requests", call.address, 1, now):
            wait = str(self.limits.retry_after_s("requests", now))
            raise Refusal(Reply({"code": "many"}, 429, {"Retry-After": wait}))

    def refuse_fault(self, kind: Fault, armed: Armed, call: Call) -> Reply:
        return Reply({"code": kind.value}, {Fault.RATE_LIMIT: 429, Fault.BAN: 418}.get(kind, 503))

    def accept(self, socket: Socket) -> Callable[[Any], None] | None:
        if socket.path != "/stream":
            return None
        socket.private = True
        return lambda said: socket.send({"echo": said})


def order(name: str, side: OrderSide = OrderSide.BUY, kind: OrderType = OrderType.LIMIT, **fields: Any) -> OrderCommand:
    values = {"quantity": Decimal("0.5"), **fields}
    if "price" in values:
        values["price"] = Decimal(values["price"])
    return OrderCommand(client_id=ClientOrderId(name), account=MAIN, instrument=BTC, side=side, type=kind, **values)


@pytest.fixture
def clock() -> SimulatedClock:
    return SimulatedClock(START)


@pytest.fixture
def market(clock: SimulatedClock) -> ScriptedMarket:
    scripted = ScriptedMarket([spot("TOY", "BTC/USDT", tick="0.1", lot="0.001")], clock.now())
    scripted.book(BTC, {"100.0": "2", "99.9": "3"}, {"100.1": "1", "100.2": "4"})
    return scripted


@pytest.fixture
def exchange(market: ScriptedMarket, clock: SimulatedClock) -> Exchange:
    made = Exchange(VenueId("TOY"), market, clock, max_open_orders=3)
    made.open_account(MAIN, {"USDT": Decimal(1000)})
    made.follow()
    return made


@pytest.fixture
async def venue(exchange: Exchange) -> AsyncIterator[ToyVenue]:
    toy = ToyVenue(exchange, Limits({"requests": Window("requests", 5, 60 * NS)}, ban_after=3))
    await toy.start(follow=False)
    yield toy
    await toy.stop()


@pytest.fixture
async def web(venue: ToyVenue) -> AsyncIterator[aiohttp.ClientSession]:
    key = venue.exchange.keys.of(MAIN).key
    async with aiohttp.ClientSession(venue.rest, headers={"X-Key": key}) as session:
        yield session


async def send(web: aiohttp.ClientSession, name: str, price: str = "99.0") -> tuple[int, Any]:
    async with web.post("/orders", json={"id": name, "price": price}) as answer:
        return answer.status, await answer.json()


# --- the exchange ----------------------------------------------------------------------------------------------------


def test_an_order_walks_the_book_and_presses_on_it(exchange: Exchange, market: ScriptedMarket) -> None:
    outcome = exchange.place(order("a", kind=OrderType.MARKET, quantity=Decimal("1.5")))
    assert outcome.order is not None
    assert (outcome.order.status, outcome.order.filled) == (OrderStatus.FILLED, Decimal("1.5"))
    assert [(f.price, f.quantity) for f in outcome.order.fills] == [
        (Decimal("100.1"), Decimal("1.000")),
        (Decimal("100.2"), Decimal("0.500")),
    ]
    assert outcome.order.value == Decimal("100.1") + Decimal("100.2") / 2
    exchange.follow()
    assert exchange.books[BTC].top_asks(1) == [(1002, 3500)]
    assert [int(t.trade_id) for t in exchange.tapes[BTC].trades] == [1_000_001, 1_000_002]


def test_the_ledger_keeps_every_order_and_names_every_refusal(exchange: Exchange) -> None:
    assert exchange.place(order("a", price="99.0")).code == ""
    assert exchange.place(order("a", price="99.0")).code == "duplicate_client_id"
    assert exchange.place(order("b", price="99.05")).code == "tick"
    assert exchange.place(order("c", price="99.0", quantity=Decimal("900"))).code == "insufficient_balance"
    codes = [exchange.place(order(name, price="98.0")).code for name in ("d", "e", "f")]
    assert codes == ["", "", "max_orders"]
    exchange.cancel(MAIN, "a")
    assert exchange.cancel(MAIN, "a").code == "already_ended"
    known = json.loads(json.dumps(dump(exchange)))
    assert [(o["client_id"], o["status"]) for o in known["orders"]] == [
        ("a", "canceled"),
        ("d", "accepted"),
        ("e", "accepted"),
    ]
    assert known["balances"]["main"]["USDT"]["total"] == "1000"
    assert exchange.ledger.rejections == {
        "duplicate_client_id": 1, "tick": 1, "insufficient_balance": 1, "max_orders": 1,
    }  # fmt: skip


async def test_an_order_that_becomes_visible_late_is_told_of_late(exchange: Exchange, clock: SimulatedClock) -> None:
    told: list[str] = []
    exchange.private.append(lambda notice: told.append(f"{notice.order.client_id} {notice.order.filled}"))
    exchange.faults.arm(Fault.LATE_VISIBLE, delay_s=2.0)
    assert exchange.place(order("a", price="99.0")).order is not None
    assert exchange.find(MAIN, "a") is None
    assert not exchange.open(MAIN)
    assert not told
    await clock.advance(2.0)
    assert exchange.find(MAIN, "a") is not None
    assert told == ["a 0"]


async def test_the_countdown_cancels_unless_it_is_fed(exchange: Exchange, clock: SimulatedClock) -> None:
    exchange.place(order("a", price="99.0"))
    exchange.countdown(MAIN, 10.0)
    await clock.advance(8.0)
    exchange.countdown(MAIN, 10.0)
    await clock.advance(8.0)
    assert len(exchange.open(MAIN)) == 1
    await clock.advance(3.0)
    assert exchange.open(MAIN) == []


def test_one_market_may_be_listed_as_spot_and_as_contracts(clock: SimulatedClock) -> None:
    source = simulated_source(clock, seed=3, rate=10.0)
    twin = simulated_source(clock, seed=3, rate=10.0)
    listed = (
        (spot("TOY", "BTC/USDT", tick="0.01", lot="0.00001"), InstrumentId("SIM:BTC/USDT")),
        (perpetual("TOY", "BTC/USDT:USDT", tick="0.1", lot="0.1", multiplier="0.01"), InstrumentId("SIM:BTC/USDT")),
    )
    market = RelistedMarket(source, listed)
    made = Exchange(VenueId("TOY"), market, clock)
    clock.set(START + 3 * NS)
    made.follow()
    original = twin.advance(START + 3 * NS)
    assert original
    whole = twin.snapshot(InstrumentId("SIM:BTC/USDT"))
    book, contracts = made.books[BTC], made.books[InstrumentId("TOY:BTC/USDT:USDT")]
    assert book.top_bids(3) == [(p * 10, q) for p, q in whole.bids[:3]]
    assert contracts.top_bids(3) == [(p, max(1, q // 100)) for p, q in whole.bids[:3]]
    assert not book.crossed
    assert len(made.tapes[BTC].trades) > 3
    assert len(market.history(BTC, "1m", START, 5)) == 5


# --- requests --------------------------------------------------------------------------------------------------------


async def test_every_request_is_recorded_and_counted(venue: ToyVenue, web: aiohttp.ClientSession) -> None:
    assert await send(web, "a") == (200, {"number": 1})
    assert (await send(web, "b", "99.05"))[0] == 400
    async with web.get("/orders/all") as answer:
        assert await answer.json() == ["a"]
    async with web.get("/nowhere") as answer:
        assert answer.status == 404
    async with aiohttp.ClientSession(venue.rest) as stranger:
        assert (await send(stranger, "c"))[0] == 401
    assert [(r.method, r.path, r.status) for r in venue.requests] == [
        ("POST", "/orders", 200), ("POST", "/orders", 400), ("GET", "/orders/all", 200), ("GET", "/nowhere", 404),
        ("POST", "/orders", 401),
    ]  # fmt: skip
    assert venue.counts == {"POST /orders": 3, "GET /orders/{kind}": 1}
    assert venue.unknown == {"GET /nowhere": 1}


async def test_limits_refuse_then_ban_then_forgive(
    venue: ToyVenue, web: aiohttp.ClientSession, clock: SimulatedClock
) -> None:
    seen = []
    for _ in range(9):
        async with web.get("/orders/all") as answer:
            seen.append(answer.status)
    assert seen == [200] * 5 + [429] * 3 + [418]
    assert venue.limits.violations == {"requests": 3}
    await clock.advance(121)
    async with web.get("/orders/all") as answer:
        assert answer.status == 200


@pytest.mark.parametrize("kind", [Fault.RESET_AFTER, Fault.LOST_REQUEST])
async def test_a_broken_connection_tells_nothing(venue: ToyVenue, web: aiohttp.ClientSession, kind: Fault) -> None:
    venue.faults.arm(kind, where="POST")
    with pytest.raises(aiohttp.ClientError):
        await send(web, "a")
    taken = venue.exchange.ledger.find(MAIN, "a") is not None
    assert taken is (kind is Fault.RESET_AFTER)
    assert venue.faults.struck == {kind: 1}
    assert [r.fault for r in venue.requests] == [kind]


async def test_no_answer_may_come_although_the_order_was_taken(venue: ToyVenue, web: aiohttp.ClientSession) -> None:
    venue.faults.arm(Fault.TIMEOUT_AFTER)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(send(web, "a"), 0.1)
    assert venue.exchange.ledger.find(MAIN, "a") is not None


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        (Fault.RATE_LIMIT, 429),
        (Fault.BAN, 418),
        (Fault.MAINTENANCE, 503),
        (Fault.KEY_EXPIRED, 503),
        (Fault.CLOCK_SKEW, 503),
    ],
)
async def test_a_refusal_on_demand_changes_nothing(
    venue: ToyVenue, web: aiohttp.ClientSession, kind: Fault, status: int
) -> None:
    venue.faults.arm(kind)
    assert await send(web, "a") == (status, {"code": kind.value})
    assert list(venue.exchange.ledger.orders()) == []
    assert (await send(web, "a"))[0] == 200


async def test_an_unknown_outcome_and_a_cut_list(venue: ToyVenue, web: aiohttp.ClientSession) -> None:
    venue.faults.arm(Fault.SERVER_ERROR)
    assert (await send(web, "a"))[0] == 503
    assert (await send(web, "b"))[0] == 200
    venue.faults.arm(Fault.CUT_LISTING)
    async with web.get("/orders/all") as answer:
        assert await answer.json() == ["a"]
    async with web.get("/orders/all") as answer:
        assert await answer.json() == ["a", "b"]


def test_faults_by_chance_follow_from_the_seed(market: ScriptedMarket, clock: SimulatedClock) -> None:
    runs = []
    for seed in (1, 1, 2):
        faults = Exchange(VenueId("TOY"), market, clock, seed=seed).faults
        faults.arm(Fault.GAP, None, chance=0.3)
        runs.append([faults.strike(Fault.GAP, "x") is not None for _ in range(50)])
    assert runs[0] == runs[1] != runs[2]
    assert 5 < sum(runs[0]) < 25


# --- streams ---------------------------------------------------------------------------------------------------------


async def heard(ws: aiohttp.ClientWebSocketResponse) -> list[Any]:
    """What has arrived when the answer to a last request has."""
    await ws.send_str("end")
    found: list[Any] = []
    while True:
        message = await ws.receive_json(timeout=5)
        if message == {"echo": "end"}:
            return found
        found.append(message)


@pytest.mark.parametrize(
    ("kind", "arrives"),
    [
        (None, [1, 2, 3, 4]),
        (Fault.GAP, [1, 3, 4]),
        (Fault.DUPLICATE, [1, 2, 2, 3, 4]),
        (Fault.REORDER, [1, 3, 2, 4]),
        (Fault.LATE, [1, 3, 4, 2]),
        (Fault.PRIVATE_SILENT, [1]),
    ],
)
async def test_messages_are_disturbed_on_demand(
    venue: ToyVenue, web: aiohttp.ClientSession, clock: SimulatedClock, kind: Fault | None, arrives: list[int]
) -> None:
    async with web.ws_connect("/stream", autoping=False) as ws:
        assert await heard(ws) == []
        (socket,) = venue.sockets
        if kind is not None:
            venue.faults.arm(kind, where="data2", delay_s=1.0)
        for number in (1, 2, 3, 4):
            socket.send({"n": number}, f"data{number}")
        await clock.advance(1.1)
        venue.exchange.follow()
        assert [m["n"] for m in await heard(ws)] == arrives
        await ws.ping(b"x")
        assert (await ws.receive(timeout=5)).type is aiohttp.WSMsgType.PONG


async def test_a_connection_breaks_in_the_middle(venue: ToyVenue, web: aiohttp.ClientSession) -> None:
    async with web.ws_connect("/stream") as ws:
        assert await heard(ws) == []
        venue.faults.arm(Fault.DISCONNECT, where="data2")
        for number in (1, 2, 3):
            venue.sockets[0].send({"n": number}, f"data{number}")
        assert (await ws.receive_json(timeout=5)) == {"n": 1}
        message = await ws.receive(timeout=5)
        assert message.type in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR, aiohttp.WSMsgType.CLOSE)
        assert ws.close_code == 1006
    assert venue.connections == 1


async def test_tls_is_verified_with_the_tests_own_authority(exchange: Exchange, tmp_path: Path) -> None:
    authority = make_authority(tmp_path)
    toy = ToyVenue(exchange, Limits({"requests": Window("requests", 5, 60 * NS)}))
    await toy.start(authority, follow=False)
    try:
        async with aiohttp.ClientSession() as session:
            context = authority.client_context()
            async with session.get(f"{toy.rest}/orders/all", ssl=context) as answer:
                assert answer.status == 200
            async with session.ws_connect(f"{toy.ws}/stream", ssl=context) as ws:
                assert await heard(ws) == []
            with pytest.raises(aiohttp.ClientConnectorCertificateError):
                await session.get(f"{toy.rest}/orders/all")
    finally:
        await toy.stop()


# --- shapes ----------------------------------------------------------------------------------------------------------


def test_shapes_differ_by_keys_nesting_and_kind() -> None:
    recorded = {"a": "1", "b": [["1", "2"]], "c": {"d": 1, "e": None}, "f": [{"x": 1, "y": "2"}, {"x": 1}]}
    assert differences({"a": "9", "b": [], "c": {"d": 2, "e": "x"}, "f": [{"x": 3}]}, recorded) == []
    ours = {"a": 1, "b": [["1"]], "c": {"d": 1, "e": 1, "z": 1}, "f": {}}
    assert differences(ours, recorded) == [
        "a is a number, recorded was a string",
        "b[][] has 1 places, recorded were 2",
        "c.z was not recorded",
        "f is a object, recorded was a array",
    ]
    assert differences({"a": "1"}, {"a": "1", "b": 1}) == ["b is missing"]
    assert differences({"a": "1"}, {"a": "1", "b": 1}, optional=frozenset({"b"})) == []
