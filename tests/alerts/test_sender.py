"""Alerts leave for a local receiver: once, retried, in order of need, and without a word about addresses."""

from __future__ import annotations

import asyncio
import json
import socket
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING, Any

import pytest

from engine.alerts import sender as sender_module
from engine.alerts.sender import PAUSES_S, SAME_S, WAITING, AlertSender
from engine.clock import SimulatedClock
from engine.model.faults import Severity
from tests.conftest import ROOT
from tests.kit.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

CRITICAL, HIGH, LOW = Severity.CRITICAL, Severity.HIGH, Severity.LOW


class Receiver:
    """Takes what json:// channels send; answers with the statuses it was told, then with 200."""

    def __init__(self) -> None:
        self.heard: list[dict[str, Any]] = []
        self.statuses: list[int] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                status = receiver.statuses.pop(0) if receiver.statuses else 200
                receiver.heard.append(body)
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()

    @property
    def url(self) -> str:
        return f"json://user:hunter2secret@127.0.0.1:{self.server.server_port}/hook"

    def close(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    found = Receiver()
    yield found
    found.close()


async def test_a_critical_alert_arrives_once_and_lesser_ones_do_not(receiver: Receiver) -> None:
    clock = SimulatedClock()
    sender = AlertSender([receiver.url], clock)
    work = asyncio.create_task(sender.run())
    assert not sender.tell(HIGH, "A bot has failed", "It is out of work.")
    assert sender.tell(CRITICAL, "The breaker drawdown has tripped", "Down 12 %.")
    assert not sender.tell(CRITICAL, "The breaker drawdown has tripped", "Down 12 %.")
    await eventually(lambda: sender.health()[0].sent == 1)
    (said,) = receiver.heard
    assert said["title"] == "[critical] The breaker drawdown has tripped"
    assert said["message"] == "Down 12 %."
    assert said["type"] == "failure"
    await clock.advance(SAME_S)
    assert sender.tell(CRITICAL, "The breaker drawdown has tripped", "Down 12 %.")
    await eventually(lambda: sender.health()[0].sent == 2)
    work.cancel()


async def test_it_is_tried_again_until_it_arrives(receiver: Receiver) -> None:
    receiver.statuses = [500, 503]
    clock = SimulatedClock()
    sender = AlertSender([receiver.url], clock)
    work = asyncio.create_task(sender.run())
    sender.tell(CRITICAL, "one", "text")
    for pause in PAUSES_S[:2]:
        await eventually(lambda: clock._sleepers)
        await clock.advance(pause)
    await eventually(lambda: sender.health()[0].sent == 1)
    assert sender.health()[0].problem == ""
    assert len(receiver.heard) == 3
    work.cancel()


async def test_a_dead_channel_holds_back_no_other_and_is_given_up(receiver: Receiver, caplog: Any) -> None:
    clock = SimulatedClock()
    dead = "json://user:hunter2secret@127.0.0.1:9/hook"
    sender = AlertSender([dead, receiver.url, "nonsense"], clock)
    work = asyncio.create_task(sender.run())
    sender.tell(CRITICAL, "one", "text")
    await eventually(lambda: sender.health()[1].sent == 1)
    for pause in PAUSES_S:
        await eventually(lambda: clock._sleepers)
        await clock.advance(pause)
    await eventually(lambda: sender.health()[0].given_up == 1)
    assert [channel.name for channel in sender.health()] == ["json 1", "json 2", "nonsense 3"]
    assert "not understood" in sender.health()[2].problem
    assert "hunter2secret" not in f"{sender.health()}{caplog.text}"
    work.cancel()


async def test_of_too_many_the_least_severe_make_room(receiver: Receiver) -> None:
    sender = AlertSender([receiver.url], SimulatedClock(), least=LOW)
    assert sender.tell(CRITICAL, "first", "")
    for number in range(WAITING + 5):
        sender.tell(LOW, f"low {number}", "")
    (channel,) = sender.health()
    assert (channel.waiting, channel.given_up) == (WAITING, 6)
    assert sender._channels[0].waiting[0].title == "first"


async def test_a_test_tells_how_each_channel_took_it(receiver: Receiver) -> None:
    sender = AlertSender([receiver.url, "json://127.0.0.1:9/x"], SimulatedClock())
    good, bad = await sender.test()
    assert (good.sent, good.problem) == (1, "")
    assert bad.sent == 0
    assert bad.problem


@pytest.fixture
def silent() -> Iterator[tuple[str, socket.socket]]:
    """A service that takes every connection and never says a word."""
    listening = socket.create_server(("127.0.0.1", 0), backlog=16)
    yield f"json://127.0.0.1:{listening.getsockname()[1]}/hook?rto=600&cto=600", listening
    listening.close()


async def test_channels_that_hang_hold_up_no_other_and_only_one_thread_each(
    receiver: Receiver, silent: tuple[str, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sender_module, "SEND_S", 0.05)
    clock, hanging = SimulatedClock(), 6
    sender = AlertSender([*[silent[0]] * hanging, receiver.url], clock)
    before = threading.active_count()
    work = asyncio.create_task(sender.run())
    sender.tell(CRITICAL, "one", "text")
    await eventually(lambda: sender.health()[-1].sent == 1)
    for pause in PAUSES_S:
        await eventually(lambda: len(clock._sleepers) >= hanging)
        await clock.advance(pause)
    await eventually(lambda: [channel.given_up for channel in sender.health()] == [1] * hanging + [0])
    assert "still holds" in sender.health()[0].problem
    assert threading.active_count() <= before + hanging + 1
    sender.tell(CRITICAL, "two", "text")
    await eventually(lambda: sender.health()[-1].sent == 2)
    work.cancel()


ENDS = """
import asyncio, sys
from engine.alerts.sender import AlertSender
from engine.clock import SystemClock
from engine.model.faults import Severity

async def main():
    sender = AlertSender([sys.argv[1]], SystemClock())
    work = asyncio.create_task(sender.run())
    sender.tell(Severity.CRITICAL, "one", "text")
    await asyncio.to_thread(sys.stdin.readline)
    work.cancel()
    await asyncio.gather(work, return_exceptions=True)

asyncio.run(main())
"""


async def test_a_channel_that_hangs_does_not_keep_a_process_from_ending(silent: tuple[str, socket.socket]) -> None:
    url, listening = silent
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", ENDS, url, stdin=asyncio.subprocess.PIPE, cwd=ROOT
    )
    listening.settimeout(30)
    taken, _ = await asyncio.to_thread(listening.accept)
    await process.communicate(b"end\n")
    assert process.returncode == 0
    taken.close()


async def test_no_secret_is_in_a_message(receiver: Receiver) -> None:
    from engine import logs

    before = list(logs._secrets)
    logs.add_secret("very-secret-key-123")
    sender = AlertSender([receiver.url], SimulatedClock(), least=LOW)
    sender.tell(LOW, "refused", "the key very-secret-key-123 was refused")
    assert "very-secret" not in sender._channels[0].waiting[0].text
    logs._secrets[:] = before
