"""Requests through ccxt's signature and our own way out: what was sent, what is certain, what is never told."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

import pytest

from engine.clock import NS_PER_S, SystemClock
from engine.errors import (
    AuthenticationError,
    AuthorizationError,
    ConfigurationError,
    ExchangeBannedError,
    ExchangeClockError,
    ExchangeConnectionError,
    ExchangeError,
    ExchangeRateLimitError,
    QuarterdeckError,
    UnknownOutcomeError,
    ValidationError,
)
from engine.logs import redact
from engine.model.credentials import Credentials
from engine.model.ids import AccountId, VenueId
from engine.venues.limits.coordinator import Coordinator
from engine.venues.limits.rules import BINANCE_LIMITS, Reading
from engine.venues.native.failures import FailureRow, Failures, json_fault
from engine.venues.native.options import VenueOptions
from engine.venues.native.request import Endpoint, Priority
from engine.venues.native.transport import CcxtTransport, VenueTable
from tests.kit.waiting import eventually
from tests.venues.native.scripted_server import Reply, ScriptedServer, scripted_server
from tests.wire.certificates import TestAuthority, make_authority

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

MAIN, OTHER = AccountId("main"), AccountId("other")
SECRET = "do-not-tell-this-secret"
TIME = Endpoint(name="time", method="GET", path="time", api="public", cost={"weight": 1})
PLACE = Endpoint(
    name="place",
    method="POST",
    path="order",
    api="private",
    cost={"weight": 1, "orders": 1},
    priority=Priority.ORDER,
    changes=True,
)
CANCEL = Endpoint(name="cancel", method="DELETE", path="order", api="private", changes=True)
ORDER = Endpoint(name="order", method="GET", path="order", api="private", cost={"weight": 4}, priority=Priority.QUERY)
ROWS = (
    FailureRow(error=ExchangeClockError, codes=frozenset({"-1021"})),
    FailureRow(error=ExchangeRateLimitError, codes=frozenset({"-1015"}), limits=("orders_per_10_seconds",), pause_s=60),
)
TABLE = VenueTable(
    exchange="binance",
    limits=BINANCE_LIMITS,
    readings=(Reading(header="x-mbx-used-weight-1m", limit="weight_per_minute"),),
    failures=Failures("BINANCE", json_fault("code"), ROWS),
    time=TIME,
    read_time=lambda body: int(json.loads(body)["serverTime"]) * 1_000_000,
)
PARAMS = {"symbol": "BTCUSDT", "side": "BUY", "quantity": "0.001", "newClientOrderId": "q1"}


class Keys:
    """Keys of two accounts."""

    def __init__(self) -> None:
        self.keys = {
            MAIN: Credentials(key="key-of-main", secret=SECRET),
            OTHER: Credentials(key="key-of-other", secret="another-secret"),
        }
        self.locked = False

    def credentials(self, _venue: VenueId, account: AccountId) -> Credentials | None:
        if self.locked:
            raise AuthenticationError("The keys are locked.")
        return self.keys.get(account)


class Bench:
    """A transport in front of a scripted server."""

    def __init__(self, server: ScriptedServer, authority: TestAuthority, **options: object) -> None:
        self.server = server
        self.clock = SystemClock()
        self.keys = Keys()
        self.coordinator = Coordinator(self.clock)
        self.options = VenueOptions(
            **{
                "id": VenueId("BINANCE"),
                "addresses": {"rest": server.address},
                "ca_file": authority.ca_file,
                "timeout_s": 5.0,
                **options,
            }  # type: ignore[arg-type]
        )
        self.transport = CcxtTransport(
            TABLE, self.options, self.keys, self.clock, coordinator=self.coordinator, account=MAIN
        )

    async def failing(self, endpoint: Endpoint, *replies: Reply) -> QuarterdeckError:
        self.server.replies.extend(replies)
        with pytest.raises(QuarterdeckError) as failed:
            await self.transport.call(endpoint, PARAMS if endpoint.changes else None)
        return failed.value


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> TestAuthority:
    return make_authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
async def bench(authority: TestAuthority) -> AsyncIterator[Bench]:
    async with scripted_server(authority) as server:
        made = Bench(server, authority)
        yield made
        await made.transport.close()
        made.coordinator.close()


# --- what is sent -----------------------------------------------------------------------------------------------------


async def test_a_request_is_signed_sent_once_and_its_raw_answer_given(bench: Bench) -> None:
    bench.server.replies.append(Reply(body=b'{"price": 1.10}', headers=(("X-MBX-USED-WEIGHT-1M", "600"),)))
    assert await bench.transport.call(PLACE, PARAMS) == b'{"price": 1.10}'
    (asked,) = bench.server.asked
    query, signature = asked.body.decode().rsplit("&signature=", 1)
    sent = dict(parse_qsl(query))
    assert (asked.method, asked.target) == ("POST", "/api/v3/order")
    assert PARAMS.items() <= sent.items()
    assert asked.headers["x-mbx-apikey"] == "key-of-main"
    assert signature == hmac.new(SECRET.encode(), query.encode(), hashlib.sha256).hexdigest()
    assert abs(int(sent["timestamp"]) - bench.clock.now() // 1_000_000) < 5000
    usage = bench.transport.usage()
    assert usage["weight_per_minute"] == 0.5
    assert usage["orders_per_10_seconds"] == 1 / 50
    assert bench.transport.latency_ms is not None


async def test_two_accounts_sign_with_their_own_keys_and_share_everything_else(bench: Bench) -> None:
    other = bench.transport.for_account(OTHER)
    await bench.transport.call(PLACE, PARAMS)
    await other.call(PLACE, PARAMS)
    assert [asked.headers["x-mbx-apikey"] for asked in bench.server.asked] == ["key-of-main", "key-of-other"]
    assert other.offset is bench.transport.offset
    assert other.lanes == bench.transport.lanes
    assert other.usage()["requests_per_minute"] == 2 / 1200
    assert other.usage()["orders_per_10_seconds"] == 1 / 50
    await other.close()
    await bench.transport.call(TIME)


async def test_a_new_key_is_used_from_the_next_request_on(bench: Bench) -> None:
    await bench.transport.call(ORDER, {"symbol": "BTCUSDT"})
    bench.keys.keys[MAIN] = Credentials(key="rotated-key", secret="rotated-secret")
    await bench.transport.call(ORDER, {"symbol": "BTCUSDT"})
    assert [asked.headers["x-mbx-apikey"] for asked in bench.server.asked] == ["key-of-main", "rotated-key"]


async def test_keys_that_are_locked_hold_back_nothing_that_is_connected(bench: Bench) -> None:
    await bench.transport.call(ORDER, {"symbol": "BTCUSDT"})
    bench.keys.locked = True
    await bench.transport.call(ORDER, {"symbol": "BTCUSDT"})
    assert [asked.headers["x-mbx-apikey"] for asked in bench.server.asked] == ["key-of-main"] * 2
    fresh = bench.transport.for_account(MAIN)
    with pytest.raises(AuthenticationError, match="locked"):
        await fresh.call(ORDER, {"symbol": "BTCUSDT"})
    await fresh.close()


async def test_requests_of_ccxt_itself_pass_the_coordinator_too(bench: Bench) -> None:
    await bench.transport.open()
    bench.server.replies.append(Reply(body=b'{"serverTime": 1700000000000}'))
    assert await bench.transport.exchange.fetch_time() == 1_700_000_000_000
    assert sum(lane.requests for lane in bench.coordinator.lanes) == len(bench.server.asked) == 1
    assert bench.transport.exchange.enableRateLimit is False


# --- what is certain when no answer comes -----------------------------------------------------------------------------


@pytest.mark.parametrize("reply", [Reply(drop=True), Reply(cut=True, body=b"{}")], ids=["dropped", "cut"])
async def test_silence_after_sending_leaves_a_change_unknown_and_a_question_repeatable(
    bench: Bench, reply: Reply
) -> None:
    assert type(await bench.failing(PLACE, reply)) is UnknownOutcomeError
    assert type(await bench.failing(CANCEL, reply)) is UnknownOutcomeError
    assert type(await bench.failing(ORDER, reply)) is ExchangeConnectionError
    assert len(bench.server.asked) == 3, "nothing is sent twice, not even by the connection pool"


async def test_a_stale_connection_does_not_send_a_cancel_twice(bench: Bench) -> None:
    await bench.transport.call(TIME)
    assert type(await bench.failing(CANCEL, Reply(drop=True))) is UnknownOutcomeError
    assert [asked.method for asked in bench.server.asked] == ["GET", "DELETE"]


async def test_a_timeout_after_sending_leaves_a_change_unknown(authority: TestAuthority) -> None:
    async with scripted_server(authority) as server:
        bench = Bench(server, authority, timeout_s=0.2)
        assert type(await bench.failing(PLACE, Reply(wait=1.0))) is UnknownOutcomeError
        await bench.transport.close()


async def test_what_was_refused_or_not_found_was_certainly_not_sent(authority: TestAuthority) -> None:
    async with scripted_server(authority) as server:
        closed = server.address
    nowhere = ScriptedServer()
    for address in (closed, "https://no-such-host.invalid"):
        nowhere.address = address
        bench = Bench(nowhere, authority)
        error = await bench.failing(PLACE)
        assert type(error) is ExchangeConnectionError
        assert "Nothing was sent" in error.message
        assert bench.transport.usage()["orders_per_10_seconds"] == 0
        await bench.transport.close()


async def test_a_server_that_nobody_vouches_for_hears_nothing(authority: TestAuthority, tmp_path: Path) -> None:
    async with scripted_server(authority) as server:
        bench = Bench(server, make_authority(tmp_path))
        error = await bench.failing(PLACE)
        assert type(error) is ExchangeConnectionError
        assert "certificate is not trusted" in error.message
        assert server.asked == []
        await bench.transport.close()


# --- what the venue says ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "place", "question"),
    [
        (400, ExchangeError, ExchangeError),
        (401, AuthenticationError, AuthenticationError),
        (403, AuthorizationError, AuthorizationError),
        (404, ExchangeError, ExchangeError),
        (408, UnknownOutcomeError, ExchangeConnectionError),
        (429, ExchangeRateLimitError, ExchangeRateLimitError),
        (451, ExchangeError, ExchangeError),
        (500, UnknownOutcomeError, ExchangeConnectionError),
        (503, UnknownOutcomeError, ExchangeConnectionError),
        (302, ExchangeError, ExchangeError),
    ],
)
async def test_a_bare_status_means_what_it_means(
    authority: TestAuthority, status: int, place: type[QuarterdeckError], question: type[QuarterdeckError]
) -> None:
    for endpoint, kind in ((PLACE, place), (ORDER, question)):
        async with scripted_server(authority) as server:
            bench = Bench(server, authority)
            reply = Reply(status=status, body=b"<html><title>Oh</title></html>", headers=(("Location", "/x"),))
            error = await bench.failing(endpoint, reply)
            assert type(error) is kind
            assert error.details["words"] == "Oh"
            assert error.error_code == f"HTTP {status}"
            assert len(server.asked) == 1
            await bench.transport.close()
            bench.coordinator.close()


async def test_429_pauses_the_host_for_as_long_as_the_venue_says(bench: Bench) -> None:
    error = await bench.failing(ORDER, Reply(status=429, headers=(("Retry-After", "7"),)))
    assert error.details["retry_after_ms"] == 7000
    assert 6 < (bench.transport.paused_until - bench.clock.now()) / NS_PER_S <= 7
    refused = await bench.failing(PLACE)
    assert isinstance(refused, ExchangeRateLimitError)
    assert refused.details["sent"] is False
    assert len(bench.server.asked) == 1


async def test_a_pause_is_heard_of_although_nobody_waits_for_the_answer_any_more(bench: Bench) -> None:
    bench.server.replies.append(Reply(status=429, headers=(("Retry-After", "7"),), wait=0.2))
    asking = asyncio.ensure_future(bench.transport.call(ORDER))
    await eventually(lambda: len(bench.server.asked) == 1)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    await eventually(lambda: bench.transport.paused_until > 0)
    refused = await bench.failing(PLACE)
    assert refused.details["sent"] is False
    assert len(bench.server.asked) == 1


async def test_418_stops_the_host_until_the_time_that_the_venue_names(bench: Bench) -> None:
    until = bench.clock.now() // 1_000_000 + 600_000
    body = b'{"code":-1003,"msg":"Way too much request weight used; IP banned until %d."}' % until
    first = await bench.failing(ORDER, Reply(status=418, body=body))
    assert type(first) is ExchangeBannedError
    assert "It lasts until 20" in first.message
    again = await bench.failing(PLACE)
    assert type(again) is ExchangeBannedError
    assert "UTC (10 min 0 s from now)" in again.message or "UTC (9 min" in again.message
    assert len(bench.server.asked) == 1


async def test_too_many_of_one_kind_pauses_that_kind_alone(bench: Bench) -> None:
    error = await bench.failing(PLACE, Reply(status=429, body=b'{"code":-1015,"msg":"Too many new orders."}'))
    assert type(error) is ExchangeRateLimitError
    assert error.error_code == "-1015"
    assert bench.transport.paused_until == 0
    await bench.transport.call(TIME)
    assert bench.transport.usage()["orders_per_10_seconds"] == 1.0


async def test_a_wrong_time_is_measured_anew_and_the_request_left_to_the_caller(bench: Bench) -> None:
    ahead = 30_000

    def told() -> bytes:
        return json.dumps({"serverTime": bench.clock.now() // 1_000_000 + ahead}).encode()

    skew = Reply(status=400, body=b'{"code":-1021,"msg":"Timestamp for this request is outside of the recvWindow."}')
    error = await bench.failing(PLACE, skew, Reply(body=told()))
    assert type(error) is ExchangeClockError
    assert error.retryable
    assert [asked.target.split("?")[0] for asked in bench.server.asked] == ["/api/v3/order", "/api/v3/time"]
    await bench.transport.call(ORDER, {"symbol": "BTCUSDT"})
    stamp = int(dict(parse_qsl(bench.server.asked[-1].target.split("?")[1]))["timestamp"])
    assert abs(stamp - (bench.clock.now() // 1_000_000 + ahead)) < 2000


async def test_several_who_ask_for_the_time_share_one_look(bench: Bench) -> None:
    bench.server.replies.extend(Reply(body=b'{"serverTime": 1700000000000}') for _ in range(9))
    await asyncio.gather(*(bench.transport.measure_clock() for _ in range(5)))
    assert len(bench.server.asked) == 1


# --- what is never told, never sent -----------------------------------------------------------------------------------


async def test_no_secret_is_in_any_error_or_picture_of_it(bench: Bench) -> None:
    replies = [Reply(drop=True), Reply(status=400, body=f'{{"code":-1,"msg":"bad {SECRET} key-of-main"}}'.encode())]
    for reply in replies:
        error = await bench.failing(PLACE, reply)
        told = f"{error!r} {error.message} {error.details} {error.__cause__!r}"
        assert SECRET not in told
        assert "key-of-main" not in told
        assert "signature" not in told
    assert repr(bench.transport) == "CcxtTransport(BINANCE, main)"
    assert redact(f"so {SECRET} it is") == "so *** it is"


async def test_without_a_key_it_is_said_how_to_add_one(bench: Bench) -> None:
    bench.keys.keys.clear()
    error = await bench.failing(PLACE)
    assert type(error) is AuthenticationError
    assert "quarterdeck keys add" in error.message
    await bench.transport.call(TIME)
    assert len(bench.server.asked) == 1


@pytest.mark.parametrize("address", ["http://example.org", "ws://10.0.0.1", "ftp://127.0.0.1", "https://u:p@h"])
async def test_an_address_in_the_open_is_refused(bench: Bench, authority: TestAuthority, address: str) -> None:
    unsafe = Bench(bench.server, authority, addresses={"rest": address})
    with pytest.raises(ConfigurationError):
        await unsafe.transport.call(TIME)
    await unsafe.transport.close()


async def test_a_closed_transport_sends_nothing(bench: Bench) -> None:
    await bench.transport.call(TIME)
    await bench.transport.close()
    await bench.transport.close()
    assert type(await bench.failing(PLACE)) is ExchangeConnectionError
    assert len(bench.server.asked) == 1


async def test_a_venue_without_a_testnet_only_answers_questions() -> None:
    keys, clock = Keys(), SystemClock()
    table = VenueTable(exchange="coinbase", limits=(), failures=Failures("COINBASE", json_fault("error")), testnet="")
    transport = CcxtTransport(
        table, VenueOptions(id=VenueId("COINBASE")), keys, clock, coordinator=Coordinator(clock), account=MAIN
    )
    with pytest.raises(ValidationError, match="has no testnet"):
        await transport.call(PLACE, PARAMS)
    await transport.open()
    with pytest.raises(ValidationError, match="has no testnet"):
        await transport.carry("https://api.coinbase.com/api/v3/brokerage/orders", "POST", {}, "{}")
    await transport.close()


@pytest.mark.parametrize(
    ("exchange", "testnet", "section", "host"),
    [
        ("binance", "sandbox", "private", "testnet.binance.vision"),
        ("binance", "demo", "fapiPrivate", "demo-fapi.binance.com"),
        ("okx", "sandbox", "rest", "{hostname}"),
    ],
)
async def test_the_testnet_is_where_requests_go_unless_told_otherwise(
    exchange: str, testnet: str, section: str, host: str
) -> None:
    clock = SystemClock()
    for wanted in (True, False):
        table = VenueTable(exchange=exchange, limits=(), failures=Failures("X", json_fault("code")), testnet=testnet)
        transport = CcxtTransport(
            table, VenueOptions(id=VenueId("X"), testnet=wanted), Keys(), clock, coordinator=Coordinator(clock)
        )
        await transport.open()
        assert (host in transport.exchange.urls["api"][section]) == (wanted or exchange == "okx")
        assert transport.has_testnet is wanted
        assert ("x-simulated-trading" in transport.exchange.headers) == (wanted and exchange == "okx")
        await transport.close()
