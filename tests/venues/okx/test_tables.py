"""OKX's tables hold together: limits for every request, addresses by region, channels as they are asked for."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any

import pytest

from engine.errors import AuthenticationError, ConfigurationError, QuarterdeckError
from engine.model.credentials import Credentials
from engine.venues.limits.rules import OKX_LIMITS
from engine.venues.native.request import Priority
from engine.venues.okx.channels import channel_of, login_frame, on_event, private_table, public_table
from engine.venues.okx.messages import Arg, Frame
from engine.venues.okx.tables import ADDRESSES, ENDPOINT_LIMITS, ENDPOINTS, LIMITS, addresses


def test_every_request_is_counted_by_its_own_limit_and_by_okxs_general_one() -> None:
    own = {limit.unit: limit for limit in ENDPOINT_LIMITS}
    assert set(own) == set(ENDPOINTS)
    for name, endpoint in ENDPOINTS.items():
        assert endpoint.cost[name] == endpoint.cost["endpoint"] == 1
        assert endpoint.name == name
    assert len({limit.name for limit in LIMITS}) == len(LIMITS)
    assert {limit.unit for limit in OKX_LIMITS} >= {"endpoint", "orders", "requests"}


def test_orders_are_counted_by_instrument_and_cancels_go_first() -> None:
    own = {limit.unit: limit for limit in ENDPOINT_LIMITS}
    for name in ("place", "cancel", "amend", "place_algo", "cancel_algo", "amend_algo"):
        assert own[name].scope == ("account", "instId")
        assert ENDPOINTS[name].changes
    assert {ENDPOINTS[n].priority for n in ("cancel", "cancel_algo", "cancel_all_after")} == {Priority.EMERGENCY}
    assert own["cancel_all_after"].per_s == 1
    changing = {name for name, endpoint in ENDPOINTS.items() if endpoint.method == "POST"}
    assert changing == {name for name, endpoint in ENDPOINTS.items() if endpoint.changes}


def test_addresses_follow_region_and_demo() -> None:
    assert addresses({}, demo=False) == ADDRESSES["global"]
    assert addresses({}, demo=True)["private"] == "wss://wspap.okx.com:8443/ws/v5/private"
    eea = addresses({"rest": "https://eea.okx.com"}, demo=False)
    assert eea["public"] == "wss://wseea.okx.com:8443/ws/v5/public"
    assert addresses({"rest": "https://us.okx.com"}, demo=True)["business"].startswith("wss://wsuspap.okx.com")
    local = addresses({"rest": "http://127.0.0.1:1", "ws": "ws://127.0.0.1:2"}, demo=True)
    assert local["rest"] == "http://127.0.0.1:1"
    assert local["private"] == "ws://127.0.0.1:2/ws/v5/private"
    with pytest.raises(ConfigurationError, match="no address called"):
        addresses({"websocket": "wss://x"}, demo=False)


def test_a_login_is_signed_as_okx_documents_it() -> None:
    frame = json.loads(login_frame(Credentials(key="k", secret="s", passphrase="p"), 1_538_054_050))
    (row,) = frame["args"]
    expected = hmac.new(b"s", b"1538054050GET/users/self/verify", hashlib.sha256).digest()
    assert frame["op"] == "login"
    assert row == {
        "apiKey": "k",
        "passphrase": "p",
        "timestamp": "1538054050",
        "sign": base64.b64encode(expected).decode(),
    }


def test_channels_are_asked_for_in_batches() -> None:
    table = public_table("wss://ws.okx.com:8443/ws/v5/public")
    assert table.subscribe is not None
    (frame,) = table.subscribe(7, ["books:BTC-USDT", "trades:BTC-USDT"])  # type: ignore[misc]
    assert json.loads(frame) == {
        "id": "7",
        "op": "subscribe",
        "args": [
            {"channel": "books", "instId": "BTC-USDT"},
            {"channel": "trades", "instId": "BTC-USDT"},
        ],
    }
    # A batch of the longest names stays far below OKX's 64 KiB.
    (large,) = table.subscribe(1, ["index-tickers:1000000SATS-USDT-SWAP"] * table.batch)  # type: ignore[misc]
    assert len(large) < 16 * 1024
    private = private_table("main", "wss://x", lambda _: None)
    assert private.subscribe is not None
    (frame,) = private.subscribe(1, private.standing)  # type: ignore[misc]
    assert {(arg["channel"], arg["instType"]) for arg in json.loads(frame)["args"]} == {
        ("orders", "ANY"),
        ("positions", "ANY"),
    }
    assert channel_of(Arg(channel="orders", inst_type="ANY")) == "orders"
    assert channel_of(Arg(channel="books", inst_id="BTC-USDT")) == "books:BTC-USDT"


class _Connection:
    """Notes what is done to it."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, Any]] = []

    def acknowledge(self, channels: list[str]) -> None:
        self.calls.append(("acknowledge", channels))

    def answered(self, key: str, error: QuarterdeckError | None = None) -> None:
        self.calls.append(("answered", type(error)))

    def renew(self) -> None:
        self.calls.append(("renew", None))

    def reject(self, error: QuarterdeckError, *, number: int) -> None:
        self.calls.append(("reject", number))

    def drop(self, reason: str) -> None:
        self.calls.append(("drop", reason))


@pytest.mark.parametrize(
    ("frame", "call"),
    [
        (Frame(event="subscribe", arg=Arg(channel="books", inst_id="A-B")), ("acknowledge", ["books:A-B"])),
        (Frame(event="login", code="0"), ("answered", type(None))),
        (Frame(event="notice", code="64008"), ("renew", None)),
        (Frame(event="error", code="60007", msg="Invalid sign"), ("answered", AuthenticationError)),
        (Frame(event="error", code="60018", msg="Wrong URL", id="3"), ("reject", 3)),
        (Frame(event="error", code="60012", msg="Invalid"), ("drop", "OKX said 60012: Invalid")),
    ],
)
def test_events_of_a_stream_do_what_they_ask_for(frame: Frame, call: tuple[str, Any]) -> None:
    connection = _Connection()
    on_event(connection, frame)  # type: ignore[arg-type]
    assert connection.calls == [call]


def test_events_that_only_inform_do_nothing() -> None:
    connection = _Connection()
    for event in ("unsubscribe", "channel-conn-count"):
        on_event(connection, Frame(event=event))  # type: ignore[arg-type]
    assert connection.calls == []
