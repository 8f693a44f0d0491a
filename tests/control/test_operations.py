"""Every operation of the table does what its words say, on a running engine, and its reply survives the wire."""

from __future__ import annotations

import re
from decimal import Decimal as D
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from engine import events as ev
from engine.control.registry import OPERATIONS
from engine.control.topics import FACT_TOPICS, STATE_TOPICS
from engine.errors import (
    ConfigurationError,
    ConflictError,
    EngineNotRunningError,
    InsufficientCapitalError,
    NotFoundError,
    OrderRejectionError,
    ValidationError,
)
from engine.model.candle import Candle, timeframe_ns
from engine.model.entries import BotState, TradingState
from engine.model.ids import InstrumentId
from engine.model.market import Ticker
from engine.model.order import OrderStatus, OrderType
from tests.conftest import ROOT
from tests.control.house import BTC, Deck, deck
from tests.kit.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from engine.control.views import TickerRow

# fmt: off
PROMISED_OPERATIONS = [
    "engine.status", "engine.stop", "engine.feeds", "instruments.list", "market.candles", "market.book",
    "market.tickers", "market.trades", "orders.preview", "orders.place", "orders.cancel", "orders.replace",
    "orders.cancel_all", "orders.list", "orders.fills", "portfolio.overview", "portfolio.positions",
    "portfolio.balances", "portfolio.history", "portfolio.close", "strategies.list", "bots.list", "bots.get",
    "bots.create", "bots.start", "bots.pause", "bots.resume", "bots.stop", "bots.configure", "bots.delete",
    "risk.overview", "risk.set_limits", "risk.halt", "risk.resume", "risk.emergency_stop", "risk.reset_breaker",
    "backtests.run", "backtests.list", "backtests.get", "backtests.delete", "backtests.data", "data.list",
    "data.import", "data.export", "jobs.list", "jobs.get", "jobs.cancel", "facts.since", "health.components",
    "health.live", "health.ready", "strategies.config", "strategies.backtest", "strategies.performance", "risk.limits",
    "risk.alerts", "trades.list", "alerts.list", "alerts.acknowledge", "config.get", "config.set", "logs.tail",
    "errors.list", "errors.patterns", "errors.reports", "errors.recoveries", "risk.metrics", "risk.metrics_history",
    "risk.regimes", "risk.stress", "algos.start", "algos.pause", "algos.resume", "algos.accelerate", "algos.cancel",
    "algos.list", "bots.report", "bots.suggest", "bots.export", "bots.import",
]
PROMISED_TOPICS = [
    "engine.status", "market.book", "market.trades", "market.candles", "market.tickers", "orders.open",
    "portfolio.overview", "portfolio.positions", "portfolio.balances", "bots.state", "risk.state", "jobs.state",
    "facts.activity", "orders.fills", "replay.state", "errors.notices", "venues.state", "risk.metrics", "risk.regimes",
    "algos.state",
]
# fmt: on


@pytest.fixture
async def on(tmp_path: Path) -> AsyncIterator[Deck]:
    async with deck(tmp_path) as found:
        yield found


# --- the table -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PROMISED_OPERATIONS)
def test_every_promised_operation_exists(name: str) -> None:
    assert name in OPERATIONS


def test_every_promised_topic_exists() -> None:
    assert {*PROMISED_TOPICS} == {*STATE_TOPICS, *FACT_TOPICS}


@pytest.mark.parametrize("name", sorted(OPERATIONS))
def test_every_operation_says_what_it_does_and_what_it_takes(name: str) -> None:
    entry = OPERATIONS[name]
    noun, dot, verb = name.partition(".")
    assert dot
    assert noun.isidentifier()
    assert verb.isidentifier()
    assert entry.doc.endswith(".")
    assert entry.request.__doc__
    for field, info in entry.request.model_fields.items():
        assert info.description, f"{name}: {field} says nothing about itself"


# --- engine and market -----------------------------------------------------------------------------------------------


async def test_the_engine_tells_how_it_is(on: Deck) -> None:
    status = await on.call("engine.status")
    assert (status.mode, status.account, status.venue, status.trading) == ("paper", "paper", "SIM", TradingState.ACTIVE)
    assert (status.equity, status.epoch, status.failure) == (D(10_000), 1, "")
    feeds = await on.call("engine.feeds")
    assert len(feeds) == len(await on.call("instruments.list")) == 5
    assert all(feed.live for feed in feeds)
    assert {row.state for row in await on.call("health.components")} <= {"ok", "off", "warning"}


async def test_the_market_is_shown_in_every_form(on: Deck) -> None:
    book = await on.book()
    assert 0 < len(book.bids) <= 5
    assert book.bids[0][0] < book.asks[0][0]
    assert book.live
    tickers = {row.symbol: row for row in await on.call("market.tickers")}
    assert tickers["BTC/USDT"].bid < tickers["BTC/USDT"].ask
    await eventually(lambda: on.engine.hub.market(BTC).trades)  # type: ignore[arg-type]
    trades = await on.call("market.trades", instrument=BTC, limit=1)
    assert len(trades.trades) == 1
    with pytest.raises(NotFoundError, match=r"known are SIM:BNB/USDT, SIM:BTC/USDT"):
        await on.call("market.book", instrument="SIM:NO/NO")


async def test_the_venues_own_figures_of_the_day_are_shown_where_it_tells_them(on: Deck) -> None:
    async def shown() -> TickerRow:
        rows: list[TickerRow] = await on.call("market.tickers")
        return next(row for row in rows if row.instrument == BTC)

    before, now = await shown(), on.engine.clock.now()
    on.engine.on_market(Ticker(instrument=InstrumentId(BTC), ts=now, open=D(1), high=D(900_000), base_volume=D("12.5")))
    row = await shown()
    assert (row.high, row.volume) == (900_000, 12.5)
    assert row.change_pct is not None
    assert row.change_pct > 1000
    # What the venue does not tell comes of the hours as ever.
    assert row.low == before.low


@pytest.mark.parametrize("timeframe", ["1m", "1h", "1d"])
async def test_candles_are_without_a_hole_and_the_growing_one_is_last(on: Deck, timeframe: str) -> None:
    found: list[Candle] = await on.call("market.candles", instrument=BTC, timeframe=timeframe, limit=50)
    length = timeframe_ns(timeframe)
    assert len(found) == 50
    assert {later.ts - one.ts for one, later in pairwise(found)} == {length}
    assert all(candle.closed for candle in found[:-1])
    older = await on.call("market.candles", instrument=BTC, timeframe=timeframe, limit=5, end=found[10].ts)
    assert [candle.ts for candle in older] == [candle.ts for candle in found[5:10]]
    with pytest.raises(ValidationError):
        await on.call("market.candles", instrument=BTC, timeframe="fortnight")


async def test_facts_are_told_after_a_cursor_and_none_is_missed(on: Deck) -> None:
    for _ in range(4):
        await on.market(quantity="0.001")
    newest = await on.call("facts.since", limit=5)
    assert [row.seq for row in newest] == sorted(row.seq for row in newest)
    assert len(newest) == 5
    everything, cursor = [], 1
    while True:
        page = await on.call("facts.since", cursor=cursor, limit=3)
        if not page:
            break
        assert len(page) <= 3
        everything += page
        cursor = page[-1].seq
    assert [row.seq for row in everything][-5:] == [row.seq for row in newest]
    assert sum(row.kind == "OrderFilled" for row in everything) == 4


# --- orders ----------------------------------------------------------------------------------------------------------


async def test_a_preview_says_what_an_order_would_cost_and_books_nothing(on: Deck) -> None:
    before = on.engine.ledger.seq
    view = await on.call("orders.preview", instrument=BTC, side="buy", quantity="0.01")
    assert view.passed
    assert view.sentence == "BUY 0.01 BTC of BTC/USDT at the market on SIM, account paper"
    assert view.total == view.notional + view.fee
    assert view.notional == D("0.01") * view.expected_price
    assert view.slippage_pct is not None
    book = await on.book()
    assert view.expected_price >= D(book.bids[0][0]).scaleb(-book.price_scale)
    assert on.engine.ledger.seq == before


async def test_a_preview_by_share_uses_what_is_free_and_leaves_room_for_price_and_fee(on: Deck) -> None:
    view = await on.call("orders.preview", instrument=BTC, side="buy", percent="0.05")
    assert view.available == 10_000
    assert D(470) < view.total <= D(500)
    await on.market(quantity="0.002")
    selling = await on.call("orders.preview", instrument=BTC, side="sell", percent="1")
    assert (selling.quantity, selling.available_currency) == (D("0.00200"), "BTC")
    assert selling.total == selling.notional - selling.fee


async def test_a_preview_says_all_that_speaks_against_an_order(on: Deck) -> None:
    view = await on.call(
        "orders.preview", instrument=BTC, side="sell", type="limit", quantity="0.0000001", price="1.23"
    )
    assert not view.passed
    assert {str(refusal.code) for refusal in view.refusals} >= {"lot", "tick"}
    with pytest.raises(ValidationError, match="Say how much"):
        await on.call("orders.preview", instrument=BTC, side="buy")
    with pytest.raises(NotFoundError):
        await on.call("orders.preview", instrument="SIM:NO/NO", side="buy", quantity="1")


async def test_the_order_of_the_readme_passes_also_once_something_is_held(on: Deck) -> None:
    found = re.search(r"orders place (\w+) (\S+) (\S+) --limit (\S+)", (ROOT / "README.md").read_text(encoding="utf-8"))
    assert found is not None
    side, quantity, instrument, price = found.groups()
    await on.call("orders.place", instrument=instrument, side="buy", quantity="0.01")
    await eventually(lambda: on.engine.state.positions)
    asked = {"side": side, "quantity": quantity, "type": "limit", "price": price}
    preview = await on.call("orders.preview", instrument=instrument, **asked)
    assert preview.refusals == ()


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"type": "limit", "price": "60000", "post_only": True}, "at 60000 USDT or better (GTC) post-only"),
        ({"type": "stop_loss", "stop_price": "60000"}, "as a stop triggered at 60000 USDT (GTC)"),
        (
            {"type": "take_profit", "stop_price": "70000", "price": "70001", "reduce_only": True},
            "as a take profit triggered at 70000 USDT with the limit 70001 (GTC) reduce-only",
        ),
    ],
)
async def test_a_preview_shows_exactly_what_would_be_sent(on: Deck, asked: dict[str, Any], said: str) -> None:
    view = await on.call("orders.preview", instrument=BTC, side="sell", quantity="0.01", **asked)
    assert view.sentence == f"SELL 0.01 BTC of BTC/USDT {said} on SIM, account paper"


async def test_an_order_rests_is_changed_and_cancelled(on: Deck) -> None:
    row = await on.limit()
    await on.reaches(row, OrderStatus.ACCEPTED)
    assert [order.client_id for order in await on.call("orders.list")] == [row.client_id]
    balance = {b.currency: b for b in await on.call("portfolio.balances")}["USDT"]
    assert balance.reserved > 0
    assert balance.free == balance.total - balance.reserved
    assert row.price is not None
    cheaper = row.price - 100
    await on.call("orders.replace", client_id=row.client_id, price=str(cheaper), quantity="0.003")
    await eventually(lambda: on.engine.state.orders[row.client_id].price == cheaper)
    assert on.engine.state.orders[row.client_id].quantity == D("0.003")
    await on.call("orders.cancel", client_id=row.client_id)
    await on.reaches(row, OrderStatus.CANCELED)
    assert await on.call("orders.list") == []
    ended = await on.call("orders.list", open=False)
    assert (ended[0].client_id, ended[0].status) == (row.client_id, OrderStatus.CANCELED)
    assert on.engine.state.balance(on.engine.account, "USDT").reserved == 0  # type: ignore[arg-type]
    with pytest.raises(ConflictError, match="already canceled"):
        await on.call("orders.cancel", client_id=row.client_id)
    with pytest.raises(ValidationError, match="Say what to change"):
        await on.call("orders.replace", client_id=row.client_id)


async def test_all_orders_or_those_of_one_market_or_owner_are_cancelled(on: Deck) -> None:
    rows = [await on.limit(away=0.01 * n) for n in (1, 2)]
    assert await on.call("orders.cancel_all", instrument="SIM:ETH/USDT") == []
    with pytest.raises(NotFoundError, match="no bot"):
        await on.call("orders.cancel_all", owner="nobody")
    cancelled = await on.call("orders.cancel_all", owner="manual")
    assert {row.client_id for row in cancelled} == {row.client_id for row in rows}
    await eventually(lambda: not on.engine.state.orders)


async def test_a_market_order_becomes_a_fill_a_position_and_history(on: Deck) -> None:
    await on.market(quantity="0.002")
    (fill,) = await on.call("orders.fills")
    assert (fill.side, fill.quantity, fill.liquidity, fill.owner_name) == ("buy", D("0.002"), "taker", "manual")
    (position,) = await on.call("portfolio.positions")
    assert (position.quantity, position.entry_price) == (D("0.002"), fill.price)
    overview = await on.call("portfolio.overview")
    assert overview.open_positions == 1
    assert overview.fees == fill.fee
    assert overview.deposits == 10_000
    await eventually(lambda: on.engine.state.equity)
    for span in ("day", "week", "month", "all"):
        points = await on.call("portfolio.history", range=span)
        assert points[-1].equity == pytest.approx(10_000, rel=0.01)


async def test_a_position_is_closed_whatever_works_beside_it(on: Deck) -> None:
    await on.market(quantity="0.002")
    resting = await on.limit("sell", "0.002")
    (order,) = await on.call("portfolio.close", instrument=BTC)
    await on.reaches(order, OrderStatus.FILLED)
    await on.reaches(resting, OrderStatus.CANCELED)
    assert await on.call("portfolio.positions") == []
    with pytest.raises(ConflictError, match="has no position"):
        await on.call("portfolio.close", instrument=BTC)


async def test_risk_refuses_in_words_and_the_refusal_is_counted(on: Deck) -> None:
    with pytest.raises(OrderRejectionError, match=r"more than 10 % of equity"):
        await on.call("orders.place", instrument=BTC, side="buy", quantity="0.1")
    assert (await on.call("risk.overview")).refusals_last_hour == 1


# --- risk ------------------------------------------------------------------------------------------------------------


async def test_trading_is_halted_and_goes_on(on: Deck) -> None:
    await on.market()
    view = await on.call("risk.halt", reason="a look", reducing=True)
    assert (view.trading, view.reason, view.actor) == (TradingState.REDUCING, "a look", "console")
    with pytest.raises(OrderRejectionError):
        await on.call("orders.place", instrument=BTC, side="buy", quantity="0.001")
    await on.market("sell", "0.001")
    await on.call("risk.halt", reason="worse")
    assert (await on.call("risk.resume", reason="looked")).trading is TradingState.ACTIVE
    with pytest.raises(ConflictError, match="not held"):
        await on.call("risk.resume", reason="again")


async def test_an_emergency_stop_cancels_and_closes_all_and_stays_until_released(on: Deck) -> None:
    await on.market()
    await on.limit()
    await on.limit("sell", "0.001")
    await on.call("risk.emergency_stop", reason="now")
    await eventually(lambda: not on.engine.state.orders and not on.engine.risk.emergency_words)
    assert await on.call("portfolio.positions") == []
    assert (await on.call("risk.overview")).trading is TradingState.HALTED
    with pytest.raises(OrderRejectionError):
        await on.call("orders.place", instrument=BTC, side="buy", quantity="0.001")


async def test_an_emergency_stop_may_leave_positions(on: Deck) -> None:
    await on.market()
    row = await on.limit()
    view = await on.call("risk.emergency_stop", reason="orders only", close=False)
    assert view.trading is TradingState.HALTED
    await on.reaches(row, OrderStatus.CANCELED)
    assert len(await on.call("portfolio.positions")) == 1


async def test_limits_change_what_passes_and_faults_change_nothing(on: Deck) -> None:
    view = await on.call("risk.set_limits", limits={"max_position_size_pct": "0.5", "max_class_exposure": "1"})
    assert any(row.name == "max_position_size_pct" or "50" in row.limit for row in view.limits)
    await on.market(quantity="0.05")
    with pytest.raises(ConfigurationError, match="Nothing was changed"):
        await on.call("risk.set_limits", limits={"max_position_size_pct": "7", "nonsense": 1})
    with pytest.raises((ConflictError, NotFoundError)):
        await on.call("risk.reset_breaker", breaker="daily_loss", reason="why not")


async def test_a_size_is_suggested_by_the_method_of_the_limits(on: Deck) -> None:
    found = await on.call("orders.suggest_size", instrument=BTC)
    assert (found.method, found.words, found.reason) == ("fixed_percentage", "fixed percentage, base 2 % of equity", "")
    assert (await on.call("orders.preview", instrument=BTC, side="buy", quantity=found.quantity)).passed
    await on.call("risk.set_limits", limits={"position_size_method": "kelly"})
    again = await on.call("orders.suggest_size", instrument=BTC)
    assert (again.method, again.quantity) == ("kelly", found.quantity)


# --- bots ------------------------------------------------------------------------------------------------------------

NEW = {"name": "trend", "strategy": "trend_following", "instrument": BTC, "timeframe": "1m", "capital": "2000"}


async def test_a_bot_lives_its_life_through_the_table(on: Deck) -> None:
    assert {row.name for row in await on.call("strategies.list")} >= {"trend_following", "mean_reversion"}
    row = await on.call("bots.create", **NEW)
    assert (row.state, row.capital, row.params) == (BotState.STOPPED, D(2000), {})
    assert (await on.call("bots.start", bot="trend")).state is BotState.RUNNING
    assert (await on.call("bots.pause", bot=row.id)).state is BotState.PAUSED
    assert (await on.call("bots.resume", bot="trend")).state is BotState.RUNNING
    with pytest.raises(ConflictError):
        await on.call("bots.configure", bot="trend", **{**NEW, "instrument": "SIM:ETH/USDT"})
    assert (await on.call("bots.stop", bot="trend")).state is BotState.STOPPED
    changed = await on.call("bots.configure", bot="trend", **{**NEW, "params": {"fast_ma": 5}, "capital": "500"})
    assert (changed.capital, changed.params["fast_ma"]) == (D(500), 5)
    assert [bot.name for bot in await on.call("bots.list")] == ["trend"]
    assert (await on.call("bots.get", bot="trend")).last_bar_ts > 0
    assert "deleted" in await on.call("bots.delete", bot="trend")
    assert await on.call("bots.list") == []


async def test_a_bot_takes_its_strategys_own_timeframe_unless_told(on: Deck) -> None:
    row = await on.call("bots.create", **{**NEW, "timeframe": None})
    assert row.timeframe == "1h"


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"name": "a/b"}, ConfigurationError),
        ({"timeframe": "1 hour"}, ConfigurationError),
        ({"strategy": "trend_follow"}, NotFoundError),
        ({"instrument": "SIM:NO/NO"}, ConfigurationError),
        ({"capital": "100000"}, InsufficientCapitalError),
        ({"params": {"fast_ma": 99, "slow_ma": 9}}, ConfigurationError),
        ({"capital": 2000.5}, ValidationError),
    ],
)
async def test_a_bot_that_cannot_work_is_not_created(on: Deck, change: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        await on.call("bots.create", **{**NEW, **change})
    assert await on.call("bots.list") == []


async def test_a_strategy_of_ones_own_runs_from_its_file_and_closes_by_hand(on: Deck, tmp_path: Path) -> None:
    file = tmp_path / "eager.py"
    file.write_text(
        '''
from engine.strategy.contract import Strategy, Wish

class Eager(Strategy):
    """Buys whenever it may."""

    name = "eager"
    timeframe = "1m"

    def warmup(self, timeframe):
        return 1

    def columns(self, bars, ta):
        return {}

    def decide(self, row, memory, holding):
        return None if holding.side else Wish.enter(1, 1.0, "always", stop=row.close * 0.97)
''',
        encoding="utf-8",
    )
    row = await on.call("bots.create", **{**NEW, "name": "eager", "strategy": "eager", "strategy_file": str(file)})
    await on.call("bots.start", bot="eager")
    series = on.engine.hub.series(BTC, "1m")  # type: ignore[arg-type]
    last = series.closed[-1]
    # A minute need not pass for this: the next bar of the series closes now.
    price = last.close
    now = on.engine.clock.now()
    closed = Candle(BTC, "1m", now - now % 60_000_000_000 - 60_000_000_000, price, price, price, price, 1.0)  # type: ignore[arg-type]
    series.closed.pop() if last.ts >= closed.ts else None
    series.on_candle(closed)
    bot = on.engine.bots.running.get(row.id)
    assert bot is not None
    if bot.runner.last_ts >= closed.ts and not bot.orders():
        bot.act(_enter(on, price))
    await eventually(lambda: bot.quantity)
    await eventually(lambda: any(order.type is OrderType.STOP_LOSS for order in bot.orders()))
    (position,) = await on.call("portfolio.positions")
    assert (position.owner_name, position.stop_price) == ("eager", bot.memory.stop)
    assert (await on.call("bots.get", bot="eager")).fills == 1
    await on.call("portfolio.close", instrument=BTC, owner="eager")
    await eventually(lambda: not bot.quantity and not bot.orders())
    assert (await on.call("bots.get", bot="eager")).state is BotState.RUNNING


def _enter(on: Deck, price: float) -> Any:
    from engine.model.signal import Signal, SignalAction, SignalDirection

    return Signal(
        instrument=BTC,  # type: ignore[arg-type]
        strategy="eager",
        action=SignalAction.ENTER,
        direction=SignalDirection.BUY,
        confidence=1.0,
        ts=on.engine.clock.now(),
        reason="always",
        stop=price * 0.97,
    )


# --- ending ----------------------------------------------------------------------------------------------------------


async def test_the_engine_is_asked_to_stop_and_says_so(on: Deck) -> None:
    assert await on.call("engine.stop") == "The engine is stopping."
    await on.host.wait_stopped()
    await on.host.stop()
    assert on.link.state == "lost"
    with pytest.raises(EngineNotRunningError):
        await on.call("engine.status")


async def test_the_engine_stops_with_its_orders_cancelled_though_bots_protect(on: Deck, tmp_path: Path) -> None:
    await on.limit()
    await on.call("bots.create", **NEW)
    await on.call("bots.start", bot="trend")
    owner = on.engine.bots.find("trend").id
    bot = on.engine.bots.running[owner]
    bot.act(_enter(on, 65_000.0))
    await eventually(lambda: any(order.type is OrderType.STOP_LOSS for order in bot.orders()))
    await on.call("engine.stop", positions="cancel_orders")
    assert on.engine.state.orders == {}
    assert on.engine.state.bots[owner].state is BotState.RUNNING, "it goes on at the next start"
    await on.host.stop()
    async with deck(tmp_path) as again:
        await eventually(lambda: [o.type for o in again.engine.state.orders.values()] == [OrderType.STOP_LOSS])


async def test_the_engine_stops_with_its_positions_closed(on: Deck) -> None:
    await on.market()
    await on.limit()
    await on.call("engine.stop", positions="close")
    assert (on.engine.state.orders, await on.call("portfolio.positions")) == ({}, [])


async def test_an_engine_without_a_host_cannot_be_stopped_from_inside(on: Deck) -> None:
    assert on.host.context is not None
    on.host.context.request_stop = None
    with pytest.raises(ConflictError, match="cannot be ended from here"):
        await on.call("engine.stop")


async def test_what_cannot_be_closed_in_time_keeps_the_engine_running(
    on: Deck, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.control.ops.engine.CLOSE_DEADLINE_S", 0.05)
    await on.call("bots.create", **NEW)
    await on.call("bots.start", bot="trend")

    async def unheard(*_: object, **__: object) -> None:
        return

    monkeypatch.setattr(on.engine.venue, "cancel", unheard)
    await on.limit()
    with pytest.raises(ConflictError, match=r"The engine was not stopped: 1 orders are still open"):
        await on.call("engine.stop", positions="cancel_orders")
    assert (await on.call("bots.get", bot="trend")).state is BotState.RUNNING
    assert on.engine.bots.running
    assert [fact for fact in (await on.call("facts.since", limit=50)) if fact.kind == ev.BotStateChanged.__name__]
