"""An engine link without an engine: fixed data, honest manners, and everything that was asked of it remembered.

link = FakeLink()                     # or FakeLink("empty"); link.lose() cuts it off
link.publish("bots.state", rows)      # what subscribers hear on the next turn of the loop
link.calls                            # [Call("orders.place", {...}, "request id")]
link.refuse("orders.place", OrderRejectionError("..."))
with link.held("orders.place"): ...   # the reply waits until the block ends
"""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
from pydantic import BaseModel

from engine.control import views
from engine.control.link import Delta
from engine.control.views_keys import KeyRow
from engine.control.views_state import StateAuditPage
from engine.errors import EngineNotRunningError, NotFoundError
from engine.model.entries import BotState, TradingState
from engine.model.ids import ClientOrderId, InstrumentId, Owner
from engine.model.order import OrderSide, OrderStatus, OrderType
from tests.kit import fake_analyses, fake_data, fake_keys, fake_market, fake_studies
from tests.kit.fake_bots import bot_report, bot_versions
from tests.kit.fake_market import MINUTE, NOW
from tests.kit.fake_ticket import preview_order, suggest_size

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from engine.control.link import DeltaHandler, EngineLink, LinkState

__all__ = ["Call", "FakeLink", "FakeSubscription"]

D = Decimal
FACTS = frozenset({"facts.activity", "orders.fills"})
# topic -> name of its data in the data set, where they differ
SNAPSHOTS = {"bots.state": "bots.list", "risk.state": "risk.overview", "jobs.state": "jobs.list"}


class Call(NamedTuple):
    """One call as it came in."""

    operation: str
    params: dict[str, Any]
    request_id: str | None


@dataclass(eq=False)
class FakeSubscription:
    """One watched topic."""

    link: FakeLink
    topic: str
    handler: DeltaHandler
    filters: dict[str, Any]
    seq: int = 0
    closed: bool = False

    def close(self) -> None:
        self.closed = True
        if self in self.link.subscriptions:
            self.link.subscriptions.remove(self)

    def deliver(self, data: Any, *, snapshot: bool = False, seq: int | None = None) -> None:
        """Let the handler hear it on a later turn."""
        self.seq += 1
        delta = Delta(self.topic, self.seq if seq is None else seq, snapshot, data)

        def tell() -> None:
            if not self.closed:
                self.handler(delta)

        asyncio.get_running_loop().call_soon(tell)


@dataclass(eq=False)
class FakeLink:
    """See the module."""

    kind: str = "full"
    state: LinkState = "embedded"
    calls: list[Call] = field(default_factory=list)
    subscriptions: list[FakeSubscription] = field(default_factory=list)
    on_fact: Callable[[str, int, Any], None] | None = None
    """Hears every fact; the door that is not in this process tells it from there."""
    on_change: Callable[[], None] | None = None
    """Told when the link is lost, and when it is there again."""

    def __post_init__(self) -> None:
        self.data = fake_data.dataset(self.kind)
        self._answers: dict[str, Any] = {}
        self._refusals: dict[str, Exception] = {}
        self._gates: dict[str, asyncio.Event] = {}
        self._numbers = iter(range(2001, 10_000))

    # --- the link's own side

    async def call(self, operation: str, params: Any = None, *, request_id: str | None = None) -> Any:
        asked = params.model_dump() if isinstance(params, BaseModel) else dict(params or {})
        self.calls.append(Call(operation, asked, request_id))
        await asyncio.sleep(0)
        if operation in self._gates:
            await self._gates[operation].wait()
        if self.state == "lost":
            raise EngineNotRunningError("The link to the engine is lost; nothing can be asked of it now.")
        if operation in self._refusals:
            raise self._refusals[operation]
        if request_id is not None and request_id in self._answers:
            return self._answers[request_id]
        answer = self._answer(operation, asked)
        if request_id is not None:
            self._answers[request_id] = answer
        return answer

    def subscribe(self, topic: str, handler: DeltaHandler, **filters: Any) -> FakeSubscription:
        subscription = FakeSubscription(self, topic, handler, filters)
        self.subscriptions.append(subscription)
        if topic not in FACTS and self.state != "lost":
            subscription.deliver(self._snapshot(topic, filters), snapshot=True)
        return subscription

    # --- the test's side

    def publish(self, topic: str, data: Any, **filters: Any) -> None:
        """Send data to everyone who watches the topic with these filters."""
        self.data[SNAPSHOTS.get(topic, topic)] = data
        if self.state == "lost":
            return
        seq = getattr(data, "seq", None) if topic in FACTS else None
        if seq is not None and self.on_fact is not None:
            self.on_fact(topic, seq, data)
        for subscription in list(self.subscriptions):
            if subscription.topic == topic and filters.items() <= subscription.filters.items():
                subscription.deliver(data, seq=seq)

    def lose(self) -> None:
        """Cut the link."""
        self.state = "lost"
        if self.on_change is not None:
            self.on_change()

    def restore(self) -> None:
        """Bring the link back; every topic begins again with a snapshot."""
        self.state = "attached"
        if self.on_change is not None:
            self.on_change()
        for subscription in list(self.subscriptions):
            if subscription.topic not in FACTS:
                subscription.deliver(self._snapshot(subscription.topic, subscription.filters), snapshot=True)

    def refuse(self, operation: str, error: Exception | None) -> None:
        """Let an operation fail from now on; None lets it work again."""
        self._refusals.pop(operation, None)
        if error is not None:
            self._refusals[operation] = error

    @contextmanager
    def held(self, operation: str) -> Iterator[None]:
        """Let the replies of an operation wait until the block ends."""
        gate = self._gates[operation] = asyncio.Event()
        try:
            yield
        finally:
            del self._gates[operation]
            gate.set()

    def called(self, operation: str) -> list[Call]:
        """Every call of one operation so far."""
        return [call for call in self.calls if call.operation == operation]

    def topics(self) -> list[str]:
        """Names of the topics watched at present."""
        return sorted(subscription.topic for subscription in self.subscriptions)

    def say(self, text: str, severity: str = "info", kind: str = "order_filled", owner: str = "manual") -> None:
        """Let a fact happen."""
        last = self.data["activity"][-1].seq if self.data["activity"] else 0
        fact = views.Activity(seq=last + 6, ts=NOW, severity=severity, kind=kind, text=text, owner=owner)
        self.data["activity"] = [*self.data["activity"], fact]
        self.publish("facts.activity", fact)

    # --- replies

    def _snapshot(self, topic: str, filters: dict[str, Any]) -> Any:
        symbol = str(filters.get("instrument", "SIM:BTC/USDT")).partition(":")[2]
        full = self.kind == "full"
        match topic:
            case "market.book":
                book = fake_market.book(symbol, int(filters.get("depth", 25)) if full else 0, self._own(symbol))
                return book if full else msgspec.structs.replace(book, last=None, last_side=None, live=False, own=())
            case "market.trades":
                return fake_market.trades(symbol, 60 if full else 0)
            case "market.candles":
                rows = fake_market.candles(symbol, filters["timeframe"], 300)[-2:] if full else []
                return views.CandleView(
                    instrument=fake_market.instrument(symbol), timeframe=filters["timeframe"], candles=tuple(rows)
                )
        name = SNAPSHOTS.get(topic, topic)
        if name not in self.data:
            raise NotFoundError(f"There is no topic {topic!r}.")
        data = self.data[name]
        return tuple(data) if isinstance(data, list) else data

    def _own(self, symbol: str) -> tuple[views.OwnLevel, ...]:
        _, _, _, _, price_scale, quantity_scale, _ = next(row for row in fake_market.SYMBOLS if row[0] == symbol)
        levels = []
        for row in self.data["orders.open"]:
            price = row.price if row.price is not None else row.stop_price
            if row.instrument == fake_market.instrument(symbol) and price is not None:
                levels.append(
                    views.OwnLevel(
                        side=row.side,
                        price=int(price.scaleb(price_scale)),
                        quantity=int((row.quantity - row.filled).scaleb(quantity_scale)),
                        client_ids=(row.client_id,),
                        stop=row.type is OrderType.STOP_LOSS,
                    )
                )
        return tuple(levels)

    def _answer(self, operation: str, asked: dict[str, Any]) -> Any:
        handlers: dict[str, Callable[[dict[str, Any]], Any]] = {
            "market.candles": self._candles,
            "market.book": lambda asked: self._snapshot("market.book", asked),
            "market.trades": lambda asked: self._snapshot("market.trades", asked),
            "market.tickers": lambda _: list(self.data["market.tickers"]),
            "orders.preview": preview_order,
            "orders.suggest_size": suggest_size,
            "orders.place": self._place,
            "orders.cancel": self._cancel,
            "orders.replace": self._replace,
            "orders.cancel_all": self._cancel_all,
            "orders.list": lambda asked: list(self.data["orders.open"]) if asked.get("open", True) else [],
            "portfolio.close": lambda _: [],
            "bots.list": lambda _: list(self.data["bots.list"]),
            "bots.create": self._create,
            "bots.report": lambda asked: bot_report(self._row("bots.list", asked["bot"])),
            "bots.suggest": lambda _: [],
            "bots.versions": lambda asked: bot_versions(self._row("bots.list", asked["bot"])),
            "strategies.load": self._load,
            "orders.fill_history": lambda _: self.data.get(
                "orders.fill_history", views.FillHistoryView(rows=(), page=1, pages=0, total=0)
            ),
            "orders.history": lambda _: self.data.get(
                "orders.history", views.OrderHistoryView(rows=(), page=1, pages=0, total=0)
            ),
            "backtests.get": lambda asked: fake_data.backtest(self._row("backtests.list", asked["id"])),
            "backtests.run": self._run,
            "backtests.analyses": fake_analyses.analyses,
            "backtests.analysis": lambda asked: fake_analyses.analysis(asked["id"]),
            "backtests.tearsheet": lambda asked: self._queue("analysis", f"Tear sheet of {asked['id']}"),
            "backtests.montecarlo": lambda asked: self._queue("analysis", f"Monte Carlo of {asked['id']}"),
            "backtests.compare": lambda asked: self._queue("analysis", f"Comparison of {len(asked['ids'])} runs"),
            "backtests.study": lambda asked: fake_studies.study(self._row("backtests.studies", asked["id"])),
            "backtests.delete_study": lambda asked: self._forget("backtests.studies", asked["id"]),
            "backtests.sweep": lambda asked: self._queue("sweep", f"sweep of {asked['strategy']}"),
            "backtests.optimise": lambda asked: self._queue("optimise", f"optimising {asked['strategy']}"),
            "backtests.walk_forward": lambda asked: self._queue("walk_forward", f"walk-forward of {asked['strategy']}"),
            "data.import": lambda asked: self._queue("import", f"{asked['file']} {asked['symbol']}"),
            "jobs.cancel": self._cancel_job,
            "backtests.delete": lambda asked: self._forget("backtests.list", asked["id"]),
            "jobs.get": lambda asked: self._row("jobs.list", asked["id"]),
            "facts.since": lambda asked: [row for row in self.data["activity"] if row.seq > asked.get("cursor", 0)],
            "recovery.report": lambda _: list(self.data.get("recovery.report", [])),
            "state.audit": lambda _: self.data.get("state.audit", StateAuditPage(rows=(), page=1, pages=0, total=0)),
            "health.components": lambda _: list(self.data.get("health.components", [])),
        }
        if operation in handlers:
            return handlers[operation](asked)
        if operation.startswith("keys.") and operation not in self.data:
            return self._keys(operation.partition(".")[2], asked)
        if operation.startswith("live.") and operation != "live.status":
            return self._live(operation.partition(".")[2], asked)
        if operation == "alerts.test":
            return list(self.data["alerts.channels"])
        if operation.startswith("bots."):
            return self._bot(operation.partition(".")[2], asked)
        if operation.startswith("risk.") and operation not in self.data:
            return self._risk(operation.partition(".")[2], asked)
        if operation in {"engine.stop", "data.export", "data.delete"}:
            return None
        if operation in self.data:
            data = self.data[operation](asked) if callable(self.data[operation]) else self.data[operation]
            return list(data) if isinstance(data, tuple) else data
        raise NotFoundError(f"There is no operation {operation!r}.")

    def _row(self, name: str, key: str) -> Any:
        for row in self.data[name]:
            if key in {row.id, getattr(row, "name", row.id)}:
                return row
        raise NotFoundError(f"There is nothing called {key!r}.")

    def _candles(self, asked: dict[str, Any]) -> list[Any]:
        if self.kind != "full":
            return []
        symbol = asked["instrument"].partition(":")[2]
        return fake_market.candles(symbol, asked["timeframe"], min(300, asked.get("limit", 300)))

    def _create(self, asked: dict[str, Any]) -> views.BotRow:
        bot = msgspec.structs.replace(
            fake_data.bots()[-1],
            id=Owner(f"bot-{next(self._numbers)}"),
            name=asked["name"],
            strategy=asked["strategy"],
            instrument=InstrumentId(asked["instrument"]),
            timeframe=asked["timeframe"],
            capital=D(asked["capital"]),
            params=asked["params"],
            autostart=asked["autostart"],
            strategy_file=asked.get("strategy_file") or "",
            since=NOW,
        )
        self.publish("bots.state", (bot, *self.data["bots.list"]))
        return bot

    def _load(self, asked: dict[str, Any]) -> views.StrategyRow:
        if not asked["file"].endswith(".py"):
            raise NotFoundError(f"The strategy file {asked['file']} cannot be read. Check the path.")
        row = fake_data.strategies()[1]
        return msgspec.structs.replace(row, name="my_idea", source=asked["file"], description="An idea of one's own.")

    def _queue(self, kind: str, title: str, **more: Any) -> views.JobRow:
        number = next(self._numbers)
        job = msgspec.structs.replace(
            fake_data.jobs()[0],
            id=f"job-{number}",
            kind=kind,
            title=title,
            progress=0.0,
            message="",
            started=NOW,
            **more,
        )
        self.publish("jobs.state", (job, *self.data["jobs.list"]))
        return job

    def _run(self, asked: dict[str, Any]) -> views.JobRow:
        return self._queue("backtest", f"{asked['strategy']} {asked['symbol']} {asked['timeframe']}")

    def finish(self, job: str, state: str = "done", result: str = "", message: str = "") -> None:
        """Let a job end."""
        rows = [
            msgspec.structs.replace(row, state=state, result=result, message=message, progress=1.0, finished=NOW)
            if row.id == job
            else row
            for row in self.data["jobs.list"]
        ]
        self.publish("jobs.state", tuple(rows))

    def _cancel_job(self, asked: dict[str, Any]) -> views.JobRow:
        self.finish(asked["id"], "cancelled")
        job = self._row("jobs.list", asked["id"])
        assert isinstance(job, views.JobRow)
        return job

    def _forget(self, name: str, key: str) -> str:
        self.data[name] = [row for row in self.data[name] if row.id != key]
        return f"{key} is deleted."

    def _bot(self, verb: str, asked: dict[str, Any]) -> Any:
        bot = self._row("bots.list", asked["bot"])
        if verb == "get":
            return bot
        state = {"start": BotState.RUNNING, "resume": BotState.RUNNING, "pause": BotState.PAUSED}.get(verb)
        state = bot.state if verb in ("swap", "rollback") else state
        rows = [row for row in self.data["bots.list"] if row.id != bot.id]
        if verb != "delete":
            wanted = {"capital": D(asked["capital"]), "params": asked["params"]} if verb == "configure" else {}
            wanted |= {name: asked[name] for name in ("strategy", "params", "timeframe")} if verb == "swap" else {}
            bot = msgspec.structs.replace(bot, state=state or BotState.STOPPED, since=NOW, **wanted)
            rows = [bot if row.id == bot.id else row for row in self.data["bots.list"]]
        self.publish("bots.state", tuple(rows))
        return bot

    def _keys(self, verb: str, asked: dict[str, Any]) -> Any:
        view = self.data["keys.list"]
        venue, account = asked.get("venue", ""), asked.get("account", "")
        rest = tuple(row for row in view.keys if (row.venue, row.account) != (venue, account))
        if verb in {"unlock", "lock"}:
            view = fake_keys.keys(*(("open",) if verb == "unlock" else ("locked", "The keys were locked.")))
        elif verb == "remove":
            view = msgspec.structs.replace(view, keys=rest, changed=f"{venue}/{account}")
        else:
            account = account or f"test-{venue.lower()}"
            row = KeyRow(venue=venue, account=account, fingerprint="77aa-0001", added=NOW, rotated=0)
            name = f"{venue}/{account}"
            view = msgspec.structs.replace(view, state="open", exists=True, keys=(*rest, row), changed=name)
        self.data["keys.list"] = view
        return view

    def _live(self, verb: str, asked: dict[str, Any]) -> Any:
        view = self.data["live.status"] = _after_live(self.data["live.status"], verb, asked)
        return view

    def _risk(self, verb: str, asked: dict[str, Any]) -> Any:
        risk = self.data["risk.overview"]
        if verb == "set_limits":
            risk = msgspec.structs.replace(risk, values=risk.values | asked["limits"])
            self.publish("risk.state", risk)
        if verb == "reset_breaker":
            closed = [
                msgspec.structs.replace(row, open=False, since=0, reason="") if row.name == asked["breaker"] else row
                for row in risk.breakers
            ]
            risk = msgspec.structs.replace(risk, breakers=tuple(closed))
            self.publish("risk.state", risk)
        if verb in {"halt", "emergency_stop", "resume"}:
            softer = TradingState.REDUCING if asked.get("reducing") else TradingState.HALTED
            state = TradingState.ACTIVE if verb == "resume" else softer
            reason = asked.get("reason", "")
            risk = msgspec.structs.replace(risk, trading=state, reason=reason, actor="manual", since=NOW)
            self.publish("risk.state", risk)
            status = msgspec.structs.replace(self.data["engine.status"], trading=state, trading_reason=reason)
            self.publish("engine.status", status)
        return risk

    def _place(self, asked: dict[str, Any]) -> views.OrderRow:
        symbol = asked["instrument"].partition(":")[2]
        more = {name: str(asked[name]) for name in ("price", "stop_price") if asked.get(name)}
        row = fake_data.order(
            f"o{next(self._numbers)}", symbol, OrderSide(asked["side"]), OrderType(asked["type"]),
            str(asked["quantity"]), created=NOW, **more,
        )  # fmt: skip
        self.publish("orders.open", (*self.data["orders.open"], row))
        return row

    def _order(self, client_id: str) -> views.OrderRow:
        for row in self.data["orders.open"]:
            if row.client_id == client_id:
                assert isinstance(row, views.OrderRow)
                return row
        raise NotFoundError(f"There is no open order {client_id}. It may have ended just now.")

    def _cancel(self, asked: dict[str, Any]) -> views.OrderRow:
        row = self._order(asked["client_id"])
        self.publish("orders.open", tuple(other for other in self.data["orders.open"] if other is not row))
        return msgspec.structs.replace(row, status=OrderStatus.CANCELED, cancel_requested=True)

    def _replace(self, asked: dict[str, Any]) -> views.OrderRow:
        row = self._order(asked["client_id"])
        changes = {key: D(str(asked[key])) for key in ("quantity", "price", "stop_price") if asked.get(key)}
        client_id = ClientOrderId(f"o{next(self._numbers)}")
        fresh = msgspec.structs.replace(row, client_id=client_id, **changes)
        self.publish("orders.open", tuple(fresh if other is row else other for other in self.data["orders.open"]))
        return fresh

    def _cancel_all(self, asked: dict[str, Any]) -> list[views.OrderRow]:
        gone = [
            row
            for row in self.data["orders.open"]
            if (not asked.get("instrument") or row.instrument == asked["instrument"])
            and (not asked.get("owner") or asked["owner"] in {row.owner, row.owner_name})
        ]
        self.publish("orders.open", tuple(row for row in self.data["orders.open"] if row not in gone))
        return gone


if TYPE_CHECKING:
    _: Callable[[], EngineLink] = FakeLink


def _after_live(view: Any, verb: str, asked: dict[str, Any]) -> Any:
    if verb == "disarm":
        return msgspec.structs.replace(view, armed=())
    if verb == "arm":
        row = msgspec.structs.replace(
            fake_keys.armed(until=NOW + int(asked["minutes"] * MINUTE)),
            max_order=D(asked["max_order"]),
            max_total=D(asked["max_total"]),
        )
        return msgspec.structs.replace(view, armed=(row,))
    rows = tuple(
        msgspec.structs.replace(row, consented=verb == "consent") if row.account == asked["account"] else row
        for row in view.accounts
    )
    return msgspec.structs.replace(view, accounts=rows)
