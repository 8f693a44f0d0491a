"""Every kind of message of the simulator has the shape of the recorded one; kinds without a recording are listed."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING, Any

import aiohttp
import msgspec
import pytest

from engine.clock import SimulatedClock
from engine.model.ids import InstrumentId
from engine.model.order import OrderSide
from engine.venues.coinbase.tokens import TokenMaker
from tests.wire.coinbase import simulator as sim
from tests.wire.coinbase.keys import ec_fields
from tests.wire.markets import ScriptedMarket
from tests.wire.shapes import differences

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.wire.coinbase.simulator import Coinbase

NOT_RECORDED = {
    "time", "key_permissions", "transaction_summary", "place", "batch_cancel", "edit", "refusal", "ticker_batch",
    "v2/time", "v2/currencies", "v2/currencies/crypto", "v2/exchange-rates", "v2/accounts",
}  # fmt: skip
"""Kinds that no recording shows: their shapes follow the documents and what ccxt reads of them."""
BTC = InstrumentId("COINBASE:BTC/USD")
BASE = "/api/v3/brokerage"
LIMIT = {"limit_limit_gtc": {"base_size": "0.01", "limit_price": "50000", "post_only": False}}
MARKET = {"market_market_ioc": {"base_size": "0.01"}}


def recorded(folder: Path) -> dict[str, Any]:
    """Payloads by name, and the first captured message of each kind."""
    found: dict[str, Any] = {}
    for file in ("coinbase_fixtures", "coinbase_rest_real"):
        for line in (folder / "payloads" / f"{file}.jsonl").read_text().splitlines():
            row = msgspec.json.decode(line)
            found[row["name"]] = msgspec.json.decode(row["data"])
    capture = folder / "captures/coinbase/advanced_trade_btc_eth_20260809_first640.jsonl.gz"
    with gzip.open(capture, "rt") as lines:
        for line in lines:
            row = msgspec.json.decode(line)
            if row["t"] == "http":
                found["captured products"] = msgspec.json.decode(row["data"])
            if row["t"] != "recv":
                continue
            data = msgspec.json.decode(row["data"])
            kind = data["events"][0].get("type", "")
            name = f"captured {data['channel']} {kind}".strip()
            # The last list of subscriptions holds all of them.
            if name == "captured subscriptions" or name not in found:
                found[name] = data
    for line in (folder / "payloads" / "errors.jsonl").read_text().splitlines():
        row = msgspec.json.decode(line)
        if row["exchange"] == "coinbase":
            found[f"error {row['channel']} {row['http_status']}"] = row["body"]
    return found


class Client:
    """Signs and sends requests."""

    def __init__(self, session: aiohttp.ClientSession, server: Coinbase) -> None:
        self.session = session
        self.server = server
        self.key = server.exchange.keys.of(sim.MAIN)

    def token(self, uri: str = "") -> str:
        """A token for a request, or for a stream."""
        maker = TokenMaker(self.key.credentials)
        if not uri:
            return maker.make(self.server.exchange.now())
        # The adapter's own maker names no request; ccxt signs those.
        import ccxt

        exchange = ccxt.coinbase({"apiKey": self.key.key, "secret": self.key.secret})
        method, _, where = uri.partition(" ")
        seconds = self.server.exchange.now() // 1_000_000_000
        token: str = exchange.create_auth_token(seconds, method, f"https://{where}")
        return token

    async def ask(self, method: str, path: str, body: Any = None, *, public: bool = False, **params: str) -> Any:
        """The decoded answer, or its text."""
        headers = {}
        if not public:
            headers["Authorization"] = f"Bearer {self.token(f'{method} 127.0.0.1:{self.server.port}{path}')}"
        async with self.session.request(method, path, json=body, params=params, headers=headers) as answer:
            data = await answer.read()
            return msgspec.json.decode(data) if answer.content_type == "application/json" else data.decode()

    async def place(self, client_id: str, configuration: Any, side: str = "BUY") -> Any:
        """Place an order."""
        told = {"client_order_id": client_id, "product_id": "BTC-USD", "side": side}
        return await self.ask("POST", f"{BASE}/orders", {**told, "order_configuration": configuration})


@pytest.fixture
def clock() -> SimulatedClock:
    return SimulatedClock(1_790_000_000_000_000_000)


@pytest.fixture
def market(clock: SimulatedClock) -> ScriptedMarket:
    made = ScriptedMarket([i for i, _ in sim.INSTRUMENTS[:3]], clock.now())
    for instrument, _ in sim.INSTRUMENTS[:3]:
        made.book(instrument.id, {"60000.00": "2", "59999.00": "3"}, {"60001.00": "0.5", "60002.00": "4"})
        made.trade(instrument.id, OrderSide.BUY, "60001.00", "0.1")
    return made


@pytest.fixture
async def server(market: ScriptedMarket, clock: SimulatedClock) -> AsyncIterator[Coinbase]:
    made = sim.make(clock, market=market)
    made.exchange.follow()
    await made.start(follow=False)
    yield made
    await made.stop()


@pytest.fixture
async def client(server: Coinbase) -> AsyncIterator[Client]:
    async with aiohttp.ClientSession(server.rest) as session:
        yield Client(session, server)


async def test_public_answers(client: Client, shared_data: Path, clock: SimulatedClock) -> None:
    known = recorded(shared_data)
    await clock.advance(90)
    client.server.exchange.follow()

    async def same(path: str, name: str, **params: str) -> None:
        ours = await client.ask("GET", f"{BASE}/market/{path}", public=True, **params)
        assert differences(ours, known[name], optional=frozenset(), added=frozenset()) == [], name

    await same("products", "captured products")
    products = await client.ask("GET", f"{BASE}/market/products", public=True)
    documented = frozenset({"products[].high_24h", "products[].low_24h", "num_products", "pagination"})
    assert differences(products, known["http_products"], added=documented) == []
    assert [p["alias"] for p in products["products"]] == ["", "BTC-USD", ""]
    one = await client.ask("GET", f"{BASE}/market/products/BTC-USD", public=True)
    assert differences(one, known["http_product"], added=frozenset({"high_24h", "low_24h"})) == []
    await same("product_book", "http_product_book", product_id="BTC-USD", limit="5")
    await same("products/BTC-USD/ticker", "http_ticker", limit="5")
    start = clock.now() // 1_000_000_000
    granularity = {"granularity": "ONE_MINUTE", "start": str(start - 600), "end": str(start)}
    await same("products/BTC-USD/candles", "http_candles", **granularity)


async def test_private_answers(client: Client, shared_data: Path) -> None:
    known = recorded(shared_data)
    bought = await client.place("one", MARKET)
    resting = await client.place("two", LIMIT)
    assert (bought["success"], resting["success"]) == (True, True)
    number = resting["order_id"]
    order = await client.ask("GET", f"{BASE}/orders/historical/{number}")
    assert differences(order, known["http_order"]) == []
    listed = await client.ask("GET", f"{BASE}/orders/historical/batch")
    assert [o["client_order_id"] for o in listed["orders"]] == ["two", "one"]
    assert differences({**listed, "orders": listed["orders"][:1]}, known["http_orders_list"]) == []
    newer = {"retail_portfolio_id", "originating_order_id", "attached_order_id"}
    real = known["list orders (spot, filled market)"]
    market = {"orders": [o for o in listed["orders"] if o["client_order_id"] == "one"]}
    assert (
        differences(
            {**listed, **market},
            real,
            optional=frozenset({"orders[].edit_history", "orders[].cursor"}),
            added=frozenset(f"orders[].{name}" for name in newer),
        )
        == []
    )
    fills = await client.ask("GET", f"{BASE}/orders/historical/fills")
    assert differences(fills, known["http_fills"]) == []
    optional, added = frozenset({"fills[].cursor"}), frozenset({"fills[].retail_portfolio_id"})
    assert differences(fills, known["list fills (spot)"], optional=optional, added=added) == []
    assert differences(await client.ask("GET", f"{BASE}/accounts"), known["http_accounts"]) == []


async def test_refusals(client: Client, shared_data: Path) -> None:
    known = recorded(shared_data)
    poor = {"limit_limit_gtc": {"base_size": "100", "limit_price": "50000", "post_only": False}}
    ours = await client.place("poor", poor)
    theirs = msgspec.json.decode(known["error rest 200"])
    configuration = frozenset({"order_configuration.limit_limit_gtc"})
    missing = frozenset({"order_configuration.market_market_ioc"})
    assert differences(ours, theirs, optional=missing, added=configuration) == []
    assert ours["error_response"]["error"] == theirs["error_response"]["error"]
    page = ""
    for _ in range(12):
        page = await client.ask("GET", f"{BASE}/time", public=True)
    assert page.split("\n")[1:4] == known["error rest 429"].split("\n")[1:4]
    ws = await client.session.ws_connect("/")
    await ws.send_json({"type": "subscribe", "channel": "user", "jwt": "wrong"})
    assert (await ws.receive_json()) == msgspec.json.decode(known["error ws None"])
    await ws.close()


async def test_streams(
    client: Client, server: Coinbase, shared_data: Path, market: ScriptedMarket, clock: SimulatedClock
) -> None:
    known = recorded(shared_data)
    ws = await client.session.ws_connect("/")
    for channel in ("level2", "market_trades", "ticker", "candles"):
        await ws.send_json({"type": "subscribe", "channel": channel, "product_ids": ["BTC-USD"]})
    await ws.send_json({"type": "subscribe", "channel": "heartbeats"})
    await ws.send_json({"type": "subscribe", "channel": "user", "jwt": client.token()})
    heard: list[Any] = []

    async def hear(until: str) -> None:
        while not any(m["channel"] == until.partition(" ")[0] and until in kind_of(m) for m in heard):
            heard.append(await ws.receive_json(timeout=5))

    await hear("user snapshot")
    await clock.advance(1.5)
    market.trade(BTC, OrderSide.BUY, "60001.00", "0.1")
    market.book(BTC, {"60000.50": "1"}, {"60001.00": "1"})
    server.exchange.follow()
    await client.place("one", MARKET)
    await hear("user update")
    await hear("candles update")
    await hear("heartbeats")
    seen = set()
    for message in heard:
        kind = kind_of(message)
        seen.add(kind)
        if kind.startswith("user"):
            prices = frozenset({"events[].orders[].limit_price", "events[].orders[].stop_price"})
            assert differences(message, known["ws_user"], optional=frozenset({"client_id"}), added=prices) == []
        elif kind == "subscriptions":
            names = ("level2", "market_trades", "ticker", "candles", "heartbeats")
            later = frozenset(f"events[].subscriptions.{name}" for name in names)
            added = frozenset({"events[].subscriptions.user"})
            assert differences(message, known["captured subscriptions"], optional=later, added=added) == []
        else:
            assert differences(message, known[f"captured {kind}"]) == [], kind
    assert seen == {
        "l2_data snapshot", "l2_data update", "market_trades snapshot", "market_trades update", "ticker snapshot",
        "ticker update", "candles snapshot", "candles update", "heartbeats", "subscriptions", "user snapshot",
        "user update",
    }  # fmt: skip
    assert [m["sequence_num"] for m in heard] == list(range(len(heard)))
    assert {"l2_data snapshot", "ws_user"}.isdisjoint(NOT_RECORDED)
    await ws.close()


def kind_of(message: Any) -> str:
    """Channel, and whether it begins or goes on."""
    return f"{message['channel']} {message['events'][0].get('type', '')}".strip()


async def test_a_token_is_good_for_one_request_of_one_key_and_two_minutes(
    client: Client, server: Coinbase, clock: SimulatedClock
) -> None:
    host = f"127.0.0.1:{server.port}"

    async def status(uri: str, token: str | None = None) -> int:
        headers = {"Authorization": f"Bearer {token or client.token(uri)}"}
        async with client.session.get(f"{BASE}/accounts", headers=headers) as answer:
            return answer.status

    assert await status(f"GET {host}{BASE}/accounts") == 200
    assert await status(f"POST {host}{BASE}/accounts") == 401
    assert await status(f"GET {host}{BASE}/orders") == 401
    assert await status("GET api.coinbase.com/api/v3/brokerage/accounts") == 401
    old = client.token(f"GET {host}{BASE}/accounts")
    head, body, signature = old.split(".")
    assert await status("", f"{head}.{body}.{signature[:-4]}AAAA") == 401
    await clock.advance(119)
    assert await status("", old) == 200
    await clock.advance(2)
    assert await status("", old) == 401
    client.key.trade = False
    refused = await client.place("x", LIMIT)
    assert refused["error"] == "PERMISSION_DENIED"
    client.key.expired = True
    assert await status(f"GET {host}{BASE}/accounts") == 401
    assert ec_fields("1")["secret"] == ec_fields("1")["secret"] != ec_fields("2")["secret"]


async def test_open_orders_are_listed_alone_and_in_pages(client: Client, clock: SimulatedClock) -> None:
    for number in range(5):
        await client.place(f"o{number}", LIMIT)
        await clock.advance(1)
    await client.place("m", MARKET)
    path = f"{BASE}/orders/historical/batch"
    refused = await client.ask("GET", path, order_status="OPEN", limit="2")
    assert [o["client_order_id"] for o in refused["orders"]] == ["o4", "o3"]
    after = await client.ask("GET", path, order_status="OPEN", limit="2", cursor=refused["cursor"])
    assert [o["client_order_id"] for o in after["orders"]] == ["o2", "o1"]
    assert after["has_next"] is True
    token = client.token(f"GET 127.0.0.1:{client.server.port}{path}")
    headers = {"Authorization": f"Bearer {token}"}
    async with client.session.get(f"{path}?order_status=OPEN&order_status=FILLED", headers=headers) as answer:
        assert answer.status == 400
    wrong = await client.ask("GET", path, cursor="nonsense")
    assert wrong["error"] == "INVALID_ARGUMENT"


async def test_an_id_that_came_before_gives_the_order_that_there_is(client: Client, server: Coinbase) -> None:
    first, second = await client.place("same", LIMIT), await client.place("same", MARKET)
    assert first["order_id"] == second["order_id"]
    assert len(list(server.exchange.ledger.orders())) == 1
