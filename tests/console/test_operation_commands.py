"""The command line of the operations table, from what is typed to what is sent and printed."""

from __future__ import annotations

import io
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import click
import pytest

from console import cli, operation_call
from console.commands import ALIASES, COMMANDS
from console.operation_shapes import NOT_COMMANDS, POSITIONAL, SHORTHANDS
from engine.control.live.consent import Consents
from engine.control.ops import all as entered
from engine.control.registry import OPERATIONS
from engine.errors import EngineNotRunningError, OrderRejectionError
from tests.kit.fake_link import Call, FakeLink

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

assert entered.__all__
BTC = "SIM:BTC/USDT"
PLACE = ("orders", "place", "buy", "0.01", BTC)


class Said(NamedTuple):
    """How a command ended."""

    status: int
    out: str
    err: str


class Engine(FakeLink):
    """A fake that reads requests as an engine does, and remembers them as they came."""

    def __init__(self) -> None:
        super().__init__(state="attached")
        self.asked: list[Call] = []

    async def call(self, operation: str, params: Any = None, *, request_id: str | None = None) -> Any:
        self.asked.append(Call(operation, dict(params), request_id))
        request = OPERATIONS[operation].request.model_validate(params)
        return await super().call(operation, request, request_id=request_id)

    def heard(self, operation: str) -> list[Call]:
        """Every call of one operation, as it came."""
        return [call for call in self.asked if call.operation == operation]


@pytest.fixture
def link(monkeypatch: pytest.MonkeyPatch) -> Engine:
    """The engine that commands reach."""
    found = Engine()

    @asynccontextmanager
    async def reach(_home: Path) -> AsyncIterator[Engine]:
        if found.state == "lost":
            raise EngineNotRunningError("No engine is running there.")
        yield found

    monkeypatch.setattr(operation_call, "reach", reach)
    monkeypatch.setattr(operation_call, "_running", lambda _home: True)
    return found


@pytest.fixture
def quarterdeck(link: Engine, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., Said]:
    """Type a command."""

    def run(*arguments: str) -> Said:
        with pytest.raises(SystemExit) as ended:
            cli.main(["--home", str(tmp_path), *arguments])
        said = capsys.readouterr()
        code = ended.value.code
        return Said(code if isinstance(code, int) else 0, said.out, said.err)

    return run


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Somebody at a terminal who answers questions."""

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    return lambda text: monkeypatch.setattr("sys.stdin", Terminal(text))


# --- the table -------------------------------------------------------------------------------------------------------


def command_of(*words: str) -> click.Command | None:
    """The command that these words name."""
    found: click.Command | None = cli.root
    for word in words:
        assert isinstance(found, click.Group)
        found = found.get_command(click.Context(found), word)
    return found


@pytest.mark.parametrize("name", sorted(n for n in OPERATIONS if not NOT_COMMANDS & {n, n.partition(".")[0]}))
def test_every_operation_is_a_command_and_every_field_can_be_said(name: str) -> None:
    noun, _, verb = name.partition(".")
    command = command_of(noun, verb.replace("_", "-"))
    assert command is not None
    entry = COMMANDS[ALIASES.get(noun, noun)]
    by_hand = cli.load(entry.target).commands if entry.target else {}
    if verb.replace("_", "-") not in by_hand:
        said = {param.name for param in command.params}
        fields = {f for f, info in OPERATIONS[name].request.model_fields.items() if info.annotation is not type(None)}
        assert fields <= said
        assert ("request_id" in said) == OPERATIONS[name].mutates
        assert ("agreed" in said) == (str(OPERATIONS[name].tier) != "free")


def test_what_is_said_of_operations_is_said_of_real_ones() -> None:
    for name, fields in POSITIONAL.items():
        assert {*fields} <= {*OPERATIONS[name].request.model_fields}, name
    for name, shorts in SHORTHANDS.items():
        assert {short.field for short in shorts} <= {*OPERATIONS[name].request.model_fields}


# --- what is sent ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "operation", "params"),
    [
        ((*PLACE, "--yes"), "orders.place", {"side": "buy", "quantity": "0.01", "instrument": BTC}),
        (
            (*PLACE, "--limit", "60000", "--post-only", "--yes"),
            "orders.place",
            {
                "side": "buy", "quantity": "0.01", "instrument": BTC, "price": "60000", "type": "limit",
                "post_only": True,
            },
        ),
        (
            ("orders", "place", "SELL", "1", BTC, "--stop", "5e4", "--tif", "gtc", "--yes"),
            "orders.place",
            {
                "side": "sell", "quantity": "1", "instrument": BTC, "stop_price": "5e4", "type": "stop_loss",
                "tif": "GTC",
            },
        ),
        (("orders", "cancel-all", "--owner", "manual", "--yes"), "orders.cancel_all", {"owner": "manual"}),
        (("orders", "cancel_all", "--yes"), "orders.cancel_all", {}),
        (("orders", "list", "--no-open", "--limit", "5"), "orders.list", {"open": False, "limit": 5}),
        (("bots", "start", "trend-btc", "--yes"), "bots.start", {"bot": "trend-btc"}),
        (
            ("algos", "start", "buy", "2", BTC, "--algorithm", "vwap", "--participation", "0.05", "--yes"),
            "algos.start",
            {"side": "buy", "quantity": "2", "instrument": BTC, "algorithm": "vwap", "participation": "0.05"},
        ),
        (
            ("orders", "estimate", "sell", "2", BTC, "--urgency", "0.2"),
            "orders.estimate",
            {"side": "sell", "quantity": "2", "instrument": BTC, "urgency": 0.2},
        ),
        (
            ("risk", "set-limits", "max_total_positions=4", "allow_short=true", "--yes"),
            "risk.set_limits",
            {"limits": {"max_total_positions": "4", "allow_short": "true"}},
        ),
        (
            ("market", "candles", BTC, "--end", "2024-03-01T12:00"),
            "market.candles",
            {"instrument": BTC, "end": 1_709_294_400_000_000_000},
        ),
        (("risk", "halt", "--reason", "lunch", "--yes"), "risk.halt", {"reason": "lunch"}),
    ],
)  # fmt: skip
def test_what_is_typed_is_what_is_sent(
    quarterdeck: Callable[..., Said], link: Engine, typed: tuple[str, ...], operation: str, params: dict[str, Any]
) -> None:
    said = quarterdeck(*typed)

    assert said.status == 0, said.err
    (call,) = link.heard(operation)
    assert call.params == params
    assert bool(call.request_id) == OPERATIONS[operation].mutates


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        (("orders", "place", "hold", "1", BTC), "'hold' is not one of 'buy', 'sell'"),
        (("orders", "place", "buy", "much", BTC), "must be a number, not 'much'"),
        (("orders", "place", "buy", "0", BTC), "quantity: Input should be greater than 0"),
        (("orders", "place", "buy", "1"), "Missing argument 'INSTRUMENT'"),
        ((*PLACE, "--limit", "5", "--price", "6"), "--limit says price already"),
        (("orders", "list", "--limit", "1001"), "1001 is not in the range 1<=x<=1000"),
        (("risk", "set-limits", "nonsense"), "'nonsense' is not NAME=VALUE"),
        (("market", "candles", BTC, "--end", "soon"), "'soon' is no time"),
        (("orders", "plaice"), "No such command 'plaice'"),
    ],
)
def test_what_cannot_be_understood_is_not_sent(
    quarterdeck: Callable[..., Said], link: Engine, typed: tuple[str, ...], told: str
) -> None:
    said = quarterdeck(*typed)

    assert (said.status, said.out) == (2, "")
    assert told in said.err
    assert link.calls == []


# --- being asked -----------------------------------------------------------------------------------------------------


def test_a_person_sees_exactly_what_will_be_sent_and_may_refuse(
    quarterdeck: Callable[..., Said], link: Engine, answers: Callable[[str], None]
) -> None:
    answers("n\n")
    refused = quarterdeck(*PLACE, "--limit", "60000")
    assert refused.status == 1
    assert link.heard("orders.place") == []
    for line in ("side: buy", "quantity: 0.01", f"instrument: {BTC}", "price: 60,000", "type: limit", "tif: GTC"):
        assert line in refused.err
    assert link.heard("orders.preview")[0].params["price"] == "60000"
    assert "fee included" in refused.err
    assert refused.out == "", "questions are no result"

    answers("y\n")
    assert quarterdeck(*PLACE, "--limit", "60000").status == 0
    assert len(link.heard("orders.place")) == 1


def test_without_a_terminal_nothing_is_sent_unless_it_is_agreed_beforehand(
    quarterdeck: Callable[..., Said], link: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    said = quarterdeck(*PLACE)
    assert (said.status, link.calls) == (1, [])
    assert "Say --yes" in said.err


# --- how it ends -----------------------------------------------------------------------------------------------------


def test_a_refusal_is_a_sentence_and_status_1(quarterdeck: Callable[..., Said], link: Engine) -> None:
    link.refuse("orders.place", OrderRejectionError("The limit of one position is 1,000 USDT."))
    said = quarterdeck(*PLACE, "--yes", "--json")
    assert (said.status, said.out) == (1, "")
    assert "The limit of one position is 1,000 USDT." in said.err


def test_without_an_engine_the_status_is_3_and_nothing_was_sent(quarterdeck: Callable[..., Said], link: Engine) -> None:
    link.lose()
    said = quarterdeck(*PLACE, "--yes")
    assert (said.status, link.calls) == (3, [])
    assert "No engine is running" in said.err


def test_an_answer_that_never_came_is_status_4_with_the_id_to_ask_again(
    quarterdeck: Callable[..., Said], link: Engine
) -> None:
    link.refuse("orders.place", EngineNotRunningError("The link was lost.", error_code="outcome_unknown"))
    said = quarterdeck(*PLACE, "--yes", "--request-id", "mine-7")
    assert said.status == 4
    assert "not known" in said.err
    assert "orders place … --request-id mine-7" in said.err

    link.refuse("orders.place", None)
    assert quarterdeck(*PLACE, "--yes", "--request-id", "mine-7").status == 0
    assert [call.request_id for call in link.heard("orders.place")] == ["mine-7", "mine-7"]

    link.refuse("orders.list", EngineNotRunningError("The link was lost."))
    assert quarterdeck("orders", "list").status == 3


def test_an_engine_that_is_not_ready_is_status_1(
    quarterdeck: Callable[..., Said], link: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    from engine.control.views_records import Readiness

    link.data["health.ready"] = Readiness(ready=False, summary="Orders cannot be placed.", reasons=("risk: halted.",))
    said = quarterdeck("health", "ready")
    assert said.status == 1
    assert "risk: halted." in said.out


# --- what is printed -------------------------------------------------------------------------------------------------


def test_json_is_what_the_wire_carries(quarterdeck: Callable[..., Said], link: Engine) -> None:
    rows = json.loads(quarterdeck("orders", "list", "--json").out)
    (first, *_) = link.data["orders.open"]
    assert rows[0]["client_id"] == first.client_id
    assert rows[0]["quantity"] == str(first.quantity), "exact decimals are text"
    assert rows[0]["created"] == first.created, "times are nanoseconds"


def test_tables_have_units_signs_groups_and_labelled_times(quarterdeck: Callable[..., Said], link: Engine) -> None:
    positions = quarterdeck("portfolio", "positions").out.splitlines()
    assert positions[0].split()[:3] == ["instrument", "owner", "quantity"]
    shown = "\n".join(positions)
    row = link.data["portfolio.positions"][0]
    base, quote = row.instrument.partition(":")[2].split("/")
    assert f" {base}" in positions[1]
    assert f" {quote}" in positions[1]
    assert "+" in shown
    assert "UTC" in shown
    assert "%" in shown

    bots = quarterdeck("bots", "list").out
    assert link.data["bots.list"][0].name in bots
    overview = quarterdeck("portfolio", "overview").out
    equity = f"{link.data['portfolio.overview'].equity:,}"
    assert ["equity", equity, "USDT"] in [line.split() for line in overview.splitlines()]
    book = quarterdeck("market", "book", BTC).out.splitlines()
    assert [line.split()[0] for line in (book[2], book[-1])] == ["ask", "bid"]
    assert "price (USDT)" in book[1]
    assert "There are none." in quarterdeck("orders", "list", "--no-open").out


def test_a_job_is_followed_to_its_end(quarterdeck: Callable[..., Said], link: Engine) -> None:
    started = quarterdeck("strategies", "backtest", "grid", "--venue", "sim", "--symbol", "BTC/USDT")
    assert started.status == 1, "the fake knows no such operation"
    link.data["jobs.list"] = ()
    link.data["strategies.backtest"] = job = link._queue("backtest", "grid")
    link.finish(job.id, result="run-1")
    done = quarterdeck("strategies", "backtest", "grid", "--venue", "sim", "--symbol", "BTC/USDT", "--follow")
    assert done.status == 0, done.err
    assert "run-1" in done.out
    link.finish(job.id, "failed", message="The data ended.")
    failed = quarterdeck("strategies", "backtest", "grid", "--venue", "sim", "--symbol", "BTC/USDT", "--follow")
    assert (failed.status, "The data ended." in failed.err) == (1, True)


# --- topics ----------------------------------------------------------------------------------------------------------


def test_a_topic_is_watched_as_json_lines(quarterdeck: Callable[..., Said], link: Engine) -> None:
    said = quarterdeck("watch", "market.book", "--filter", f"instrument={BTC}", "--filter", "depth=3", "--count", "1")
    assert said.status == 0, said.err
    (line,) = said.out.splitlines()
    message = json.loads(line)
    assert (message["topic"], message["seq"], message["snapshot"]) == ("market.book", 1, True)
    assert len(message["data"]["bids"]) == 3
    assert link.subscriptions == []


# --- without an engine -----------------------------------------------------------------------------------------------


def test_what_needs_no_engine_works_without_one(
    quarterdeck: Callable[..., Said], link: Engine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    link.lose()
    monkeypatch.setattr(operation_call, "_running", lambda _home: False)
    assert quarterdeck("config", "set", "paper.seed=5", "--yes").status == 0
    assert "seed = 5" in (tmp_path / "config.toml").read_text()
    assert quarterdeck("config", "get", "paper.seed").out.splitlines()[1].split()[:3] == ["paper.seed", "5", "42"]
    assert "fast_ma" in quarterdeck("strategies", "config", "trend_following").out
    assert quarterdeck("bots", "list").status == 3


def test_agreeing_to_a_live_account_asks_for_its_name(
    quarterdeck: Callable[..., Said],
    link: Engine,
    answers: Callable[[str], None],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    link.lose()
    monkeypatch.setattr(operation_call, "_running", lambda _home: False)
    (tmp_path / "config.toml").write_text('[venues.okx]\nkind = "okx"\nmode = "live"\n')
    monkeypatch.setattr("sys.stdin", io.StringIO())
    alone = quarterdeck("live", "consent", "test-okx")
    assert (alone.status, "by a person at a terminal; nothing was changed" in alone.err) == (1, True)
    answers("okx\n")
    assert "OKX/test-okx" in quarterdeck("live", "consent", "test-okx").err
    assert not Consents(tmp_path).all()
    answers("OKX/test-okx\n")
    agreed = quarterdeck("live", "consent", "test-okx")
    assert agreed.status == 0
    assert "Type OKX/test-okx to agree" in agreed.err
    assert [(given.venue, given.account) for given in Consents(tmp_path).all()] == [("OKX", "test-okx")]
    assert "no live account 'nobody'" in quarterdeck("live", "consent", "nobody").err
