"""Every recorded message of Coinbase's streams is understood, and nothing else is taken for one."""

from collections import Counter
from pathlib import Path

import pytest

from engine.errors import DataValidationError
from engine.venues.coinbase import frames as fr
from tests.venues.coinbase.data import LEGACY, errors, frames, payloads

KINDS: dict[str, type[object]] = {
    "l2_data": fr.BookFrame,
    "market_trades": fr.TradesFrame,
    "ticker": fr.DaysFrame,
    "candles": fr.CandlesFrame,
    "subscriptions": fr.SubscriptionsFrame,
    "user": fr.UserFrame,
}


def test_every_recorded_message_is_read_and_the_numbers_have_no_gap(shared_data: Path) -> None:
    seen: Counter[str] = Counter()
    for number, frame in enumerate(frames(shared_data)):
        head = fr.read_head(frame)
        assert head.sequence_num == number
        seen[head.channel] += 1
        if head.channel != "heartbeats":
            fr.read(KINDS[head.channel], frame)
    assert seen == {
        "l2_data": 470,
        "ticker": 103,
        "market_trades": 43,
        "heartbeats": 15,
        "subscriptions": 5,
        "candles": 4,
    }


def test_every_payload_of_a_stream_is_read(shared_data: Path) -> None:
    seen = set()
    for name, frame in payloads(shared_data).items():
        if not name.startswith("ws_"):
            continue
        head = fr.read_head(frame)
        seen.add(head.channel)
        if head.channel != "heartbeats":
            fr.read(KINDS[head.channel], frame)
    assert seen == {*KINDS, "heartbeats"}


def test_orders_of_the_user_channel_carry_sums(shared_data: Path) -> None:
    frame = fr.read(fr.UserFrame, payloads(shared_data)["ws_user"])
    (event,) = frame.events
    (order,) = event.orders
    assert (event.type, order.status, order.client_order_id) == ("snapshot", "OPEN", "11111-000000-000001")
    assert (order.cumulative_quantity, order.leaves_quantity) == ("0", "0.001")


def test_a_refused_subscription_says_so_in_words(shared_data: Path) -> None:
    (row,) = [row for row in errors(shared_data) if row["channel"] == "ws"]
    head = fr.read_head(row["body"].encode())
    assert (head.type, head.message, head.channel) == ("error", "authentication failure", "")


def test_messages_of_the_older_feed_are_none_of_ours(shared_data: Path) -> None:
    for frame in frames(shared_data, LEGACY):
        head = fr.read_head(frame)
        assert head.channel == ""
        assert head.sequence_num == -1


@pytest.mark.parametrize("frame", [b"", b"pong", b"[]", b"\xff", b'{"channel":5}'])
def test_what_is_no_message_is_refused(frame: bytes) -> None:
    with pytest.raises(DataValidationError):
        fr.read_head(frame)


def test_a_message_cut_anywhere_is_refused(shared_data: Path) -> None:
    whole = payloads(shared_data)["ws_l2_data_update"].strip()
    for end in range(len(whole)):
        with pytest.raises(DataValidationError):
            fr.read(fr.BookFrame, whole[:end])


def test_a_subscription_is_written_as_recorded(shared_data: Path) -> None:
    from tests.venues.coinbase.data import CAPTURE, lines

    sent = [line["data"].encode() for line in lines(shared_data, CAPTURE) if line["t"] == "send"]
    import msgspec

    ours = fr.subscription("subscribe", "level2", ["BTC-USD", "ETH-USD"])
    assert msgspec.json.decode(ours) in [msgspec.json.decode(other) for other in sent]
    private = msgspec.json.decode(fr.subscription("subscribe", "user", [], "a.b.c"))
    assert private == {"type": "subscribe", "channel": "user", "jwt": "a.b.c"}


def test_channels_have_names_of_one_word() -> None:
    assert fr.split_channel(fr.channel_name("level2", "BTC-USD")) == ("level2", "BTC-USD")
    assert fr.split_channel(fr.channel_name("heartbeats")) == ("heartbeats", "")
