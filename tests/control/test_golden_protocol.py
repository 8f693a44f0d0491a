"""Conversations of protocol 1, kept as they were: every later engine goes on with them, every later client reads them.

`>` is sent, `<` must come (with at least these members: an engine may say more, never less or other), `!` is what
happens in the engine. A transcript is never changed; what has to change gets another protocol number.
"""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from engine.clock import SystemClock
from engine.control.protocol import FactsFrame, StateFrame, Welcome, decode_error, decode_incoming
from engine.control.server import ControlServer
from engine.control.skew import Minimal
from engine.control.views import EquityPoint
from engine.control.wire import decode
from engine.errors import NotFoundError, OrderRejectionError, QuarterdeckError
from tests.conftest import ROOT
from tests.control.door import Stub, wire
from tests.control.test_session import STATUS

if TYPE_CHECKING:
    from pathlib import Path

TRANSCRIPTS = {
    path.stem: path.read_text(encoding="utf-8").splitlines()
    for path in sorted((ROOT / "tests" / "golden" / "protocol-1").glob("*.txt"))
}
NOW = 1_800_000_000_000_000_000


class StandingClock(SystemClock):
    """A wall clock that stands still."""

    def now(self) -> int:
        return NOW


def prepared() -> Stub:
    """The engine that the transcripts were taken from."""
    stub = Stub()
    rejection = OrderRejectionError(
        "The order is worth 6.50 USDT; the least is 10 USDT.",
        error_code="min_notional",
        details={"reasons": ["min_notional"]},
    )
    rejection.correlation = "orders.place-5f2d"
    stub.answers = {
        "bots.delete": lambda params: f"The bot {params['bot']} is deleted.",
        "portfolio.history": [EquityPoint(ts=1, equity=10000.5)],
        "orders.place": rejection,
        "no.such": NotFoundError("There is no operation 'no.such'."),
        "engine.status": STATUS,
        "orders.cancel_all": ["a", "b"],
        "risk.halt": SimpleNamespace(trading="halted"),
        "risk.emergency_stop": SimpleNamespace(trading="halted"),
        "engine.stop": "The engine is stopping.",
    }
    return stub


def contains(said: Any, expected: Any) -> bool:
    """Whether a message says at least what is expected."""
    if isinstance(expected, dict):
        return isinstance(said, dict) and all(key in said and contains(said[key], expected[key]) for key in expected)
    if isinstance(expected, list):
        return isinstance(said, list) and len(said) == len(expected) and all(map(contains, said, expected))
    return bool(said == expected)


def happen(stub: Stub, words: str) -> None:
    """Let something happen in the engine."""
    what, _, rest = words.partition(" ")
    if what == "facts":
        stub.happen(int(rest))
    else:
        topic, _, data = rest.partition(" ")
        stub.publish(topic, json.loads(data))


@pytest.mark.parametrize("name", TRANSCRIPTS)
async def test_an_engine_goes_on_with_every_conversation_of_protocol_1(tmp_path: Path, name: str) -> None:
    stub = prepared()
    server = ControlServer(tmp_path, stub, StandingClock(), "b5")
    await server.start()
    try:
        async with wire(tmp_path) as client:
            for line in TRANSCRIPTS[name]:
                sign, _, words = line.partition(" ")
                if sign == ">":
                    await client.connection.send(words)
                elif sign == "!":
                    happen(stub, words)
                elif sign == "<":
                    said = await client.hear()
                    assert contains(said, json.loads(words)), f"{said} does not say {words}"
    finally:
        await server.close()


def test_a_client_reads_everything_that_an_engine_of_protocol_1_said() -> None:
    read: dict[str, int] = {}
    for lines in TRANSCRIPTS.values():
        for line in lines:
            if not line.startswith("< "):
                continue
            said = decode_incoming(line[2:])
            if said.error is not None:
                kind = type(decode_error(said.error)).__name__
                assert issubclass(type(decode_error(said.error)), QuarterdeckError)
            elif said.method:
                kind = said.method
                decode(said.params, {"state": StateFrame, "facts": FactsFrame}[kind])
            else:
                kind = "reply"
            read[kind] = read.get(kind, 0) + 1
    assert {"reply", "state", "facts", "OrderRejectionError", "NotFoundError", "VersionSkewError"} <= set(read)
    welcome = decode(decode_incoming(TRANSCRIPTS["meet-and-act"][2][2:]).result, Welcome)
    assert (welcome.pid, welcome.capabilities) == (4711, ("facts.since", "stream.resync"))
    minimal = next(line for line in TRANSCRIPTS["other-protocols"] if '"done"' in line)
    assert decode(decode_incoming(minimal[2:]).result, Minimal).values["pid"] == 4711
