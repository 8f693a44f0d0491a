"""A run over several markets: one time axis, latency, queues, fee tiers, funding, made books, equal journals."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pytest
from msgspec import field

from engine import events as ev
from engine.backtest.markets.prepare import markets_hash
from engine.backtest.markets.reading import read_quotes, read_tape
from engine.backtest.markets.run import MarketsRun, run_markets
from engine.backtest.markets.spec import FeeTier, MarketSource, MarketsSpec
from engine.backtest.markets.synthetic import LEVELS, ROWS, SyntheticBook
from engine.backtest.markets.tapes import EventTape, QuoteTape, merge
from engine.errors import ConfigurationError, DataError
from engine.model.candle import Bars
from engine.model.ids import Currency, InstrumentId, TradeId, VenueId
from engine.model.instrument import InstrumentKind
from engine.model.market import BookUpdate, MarketTrade
from engine.model.order import OrderSide
from engine.strategy.contract import StrategyMemory
from engine.strategy.intents import Take, Want
from engine.strategy.quoting import EventStrategy
from tests.kit.quoting import WIDE, Quoter, quote_instrument, quote_spec, quote_tape, random_quotes

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from engine.model.market import MarketDatum
    from engine.strategy.views import Context, MarketView, OrderUpdate, OwnFill

MS = 1_000_000
START = 1_546_300_800_000_000_000


class ScriptMemory(StrategyMemory):
    """What it was told: time, what, and figures."""

    log: list[tuple[int, str]] = field(default_factory=list)


class Script(EventStrategy):
    """Does what the test says at each book and writes down what it hears."""

    name = "script"
    Memory = ScriptMemory
    at_book: Callable[[MarketView, Context], None] | None = None

    def on_book(self, market: MarketView, ctx: Context) -> None:
        if Script.at_book is not None:
            Script.at_book(market, ctx)

    def on_fill(self, fill: OwnFill, ctx: Context) -> None:
        ctx.memory.log.append((ctx.now, f"fill {fill.key} {fill.quantity:g} at {fill.price:g} fee {fill.fee:g}"))

    def on_order(self, update: OrderUpdate, ctx: Context) -> None:
        ctx.memory.log.append((ctx.now, f"{update.key} {update.status}"))


def scripted(at_book: Callable[[MarketView, Context], None]) -> Script:
    Script.at_book = staticmethod(at_book)
    return Script.build()


def quotes(rows: Sequence[tuple[float, float, float]], size: float = 1.0) -> dict[str, Any]:
    """Columns of (ms, bid, ask)."""
    ts = np.array([START + int(ms) * MS for ms, _, _ in rows], dtype=np.int64)
    bid, ask = np.array([row[1] for row in rows]), np.array([row[2] for row in rows])
    sizes = np.full(len(rows), size)
    return {"ts": ts, "bid": bid, "ask": ask, "bid_size": sizes, "ask_size": sizes}


def played(spec: MarketsSpec, strategy: EventStrategy, tapes: list[Any]) -> tuple[MarketsRun, list[tuple[int, str]]]:
    run = MarketsRun(spec, strategy, tapes)
    run.run()
    return run, [((at - START) // MS, text) for at, text in run.bot.context.memory.log]


def once(row: int, act: Callable[[MarketView, Context], None]) -> Callable[[MarketView, Context], None]:
    """Act at one book alone."""
    seen = {"count": 0}

    def at_book(market: MarketView, ctx: Context) -> None:
        if seen["count"] == row:
            act(market, ctx)
        seen["count"] += 1

    return at_book


def test_times_are_merged_and_equal_ones_keep_their_order() -> None:
    columns = [np.array([1, 3, 5]), np.array([1, 2, 5, 6])]
    times, source, row = merge(columns)
    assert times == [1, 1, 2, 3, 5, 5, 6]
    assert source == [0, 1, 1, 0, 0, 1, 1]
    assert row == [0, 0, 1, 1, 2, 2, 3]


class TestLatency:
    ROWS = [(0, 100.0, 100.1), (100, 100.0, 100.2), (200, 100.3, 100.4), (300, 100.3, 100.4)]  # noqa: RUF012

    def take(self, market: MarketView, ctx: Context) -> None:
        ctx.take(market, "t", OrderSide.BUY, 0.5, 101.0)

    def test_at_once_an_order_meets_the_quote_it_was_decided_on(self) -> None:
        strategy = scripted(once(0, self.take))
        _, log = played(quote_spec(), strategy, [quote_tape(quotes(self.ROWS))])
        assert [entry for entry in log if entry[1].startswith("fill")] == [(0, "fill t 0.5 at 100.1 fee 0.025025")]

    def test_under_way_it_meets_what_is_there_when_it_arrives(self) -> None:
        strategy = scripted(once(0, self.take))
        spec = quote_spec(request_ms={"*": 150.0}, report_ms={"sim": 70.0})
        _, log = played(spec, strategy, [quote_tape(quotes(self.ROWS))])
        # It arrives at 150, where the ask is 100.2, and is heard of at 220.
        assert [(at, text[:17]) for at, text in log if text.startswith("fill")] == [(220, "fill t 0.5 at 100")]
        assert "100.2" in next(text for _, text in log if text.startswith("fill"))

    def test_the_market_is_heard_later_than_it_moves(self) -> None:
        heard: list[tuple[int, float]] = []

        def look(market: MarketView, ctx: Context) -> None:
            heard.append(((ctx.now - START) // MS, market.bid))

        played(quote_spec(data_ms={"*": 30.0}), scripted(look), [quote_tape(quotes(self.ROWS))])
        assert heard == [(30, 100.0), (130, 100.0), (230, 100.3), (330, 100.3)]

    def test_a_cancel_may_come_too_late(self) -> None:
        def act(market: MarketView, ctx: Context) -> None:
            if ctx.now == START:
                ctx.place(market, Want("rest", OrderSide.BUY, 99.9, 0.5))
            elif ctx.now == START + 100 * MS:
                ctx.cancel(market, "rest")

        rows = [(0, 100.0, 100.1), (100, 100.0, 100.1), (150, 99.8, 99.9), (300, 99.8, 99.9)]
        spec = quote_spec(request_ms={"*": 80.0})
        run, log = played(spec, scripted(act), [quote_tape(quotes(rows))])
        assert [text for _, text in log if text.startswith("fill")] == ["fill rest 0.5 at 99.9 fee 0.004995"]
        assert run.bot.views[run.tapes[0].id].position == 0.5


class TestFills:
    def test_a_resting_order_gets_no_more_than_is_shown(self) -> None:
        rows = [(0, 100.0, 100.1), (100, 99.7, 99.9), (200, 99.7, 99.9), (300, 99.8, 100.0)]
        strategy = scripted(once(0, lambda m, ctx: ctx.place(m, Want("rest", OrderSide.BUY, 99.9, 2.5))))
        _, log = played(quote_spec(), strategy, [quote_tape(quotes(rows, size=1.0))])
        fills = [(at, text.partition(" fee")[0]) for at, text in log if text.startswith("fill")]
        assert fills == [(100, "fill rest 1 at 99.9"), (200, "fill rest 1 at 99.9")]

    def test_it_waits_behind_what_was_shown_and_trades_eat_that(self) -> None:
        made = quote_instrument()
        events: list[MarketDatum]
        unit, size = 10**made.price_scale, 10**made.quantity_scale
        book = BookUpdate(made.id, START, 0, True, ((100 * unit, 3 * size),), ((101 * unit, 3 * size),))
        trades = [
            MarketTrade(made.id, START + n * 100 * MS, TradeId(str(n)), 100 * unit, size, OrderSide.SELL)
            for n in range(1, 6)
        ]
        events = [book, *trades]
        ts = np.array([event.ts for event in events], dtype=np.int64)
        tape = EventTape(instrument=made, ts=ts, events=events, digest="made")
        strategy = scripted(once(0, lambda m, ctx: ctx.place(m, Want("rest", OrderSide.BUY, 100.0, 1.5))))
        _, log = played(quote_spec(), strategy, [tape])
        # Three units stand before it: the fourth and fifth trade reach it.
        fills = [(at, text.partition(" at")[0]) for at, text in log if text.startswith("fill")]
        assert fills == [(400, "fill rest 1"), (500, "fill rest 0.5")]

    def test_what_is_held_at_the_end_is_valued_and_no_trade(self) -> None:
        rows = [(0, 100.0, 100.2), (100, 110.0, 110.2)]
        strategy = scripted(once(0, lambda m, ctx: ctx.take(m, "t", OrderSide.BUY, 1.0)))
        run = MarketsRun(quote_spec(capital=Decimal(1000)), strategy, [quote_tape(quotes(rows))])
        result = run.run()
        assert result.forced_close
        assert result.trades == []
        fee = 100.2 * 0.0005
        assert result.equity[-1] == pytest.approx(1000 - 100.2 - fee + 110.1)


def test_fees_follow_the_volume_of_the_venue() -> None:
    def act(market: MarketView, ctx: Context) -> None:
        ctx.take(market, f"t{len(ctx.memory.log)}", OrderSide.BUY, 1.0)

    tiers = (
        FeeTier(volume=Decimal(150), maker=Decimal("0.0001"), taker=Decimal("0.0004")),
        FeeTier(volume=Decimal(250), maker=Decimal(0), taker=Decimal("0.0002")),
    )
    rows = [(n * 100, 99.9, 100.0) for n in range(4)]
    run, log = played(quote_spec(fee_tiers=tiers), scripted(act), [quote_tape(quotes(rows))])
    fees = [float(text.rpartition(" ")[2]) for _, text in log if text.startswith("fill")]
    # 0.05 % until 150 was traded, 0.04 % until 250, then 0.02 %.
    assert fees == pytest.approx([0.05, 0.05, 0.04, 0.02])
    assert run.bot.views[run.tapes[0].id].taker_fee == pytest.approx(0.0002)


def test_two_venues_are_seen_on_one_axis_and_both_legs_go_at_once() -> None:
    here = quote_tape(quotes([(0, 100.0, 100.1), (200, 100.0, 100.1), (400, 100.0, 100.1)]))
    made = quote_instrument()
    other = msgspec.structs.replace(made, id=InstrumentId("FAR:BTC/USDT"), venue=VenueId("FAR"))
    there = quote_tape(quotes([(100, 100.0, 100.1), (300, 101.0, 101.1), (500, 101.0, 101.1)]), other)
    seen: list[tuple[int, str]] = []

    def act(market: MarketView, ctx: Context) -> None:
        seen.append(((ctx.now - START) // MS, str(market.venue)))
        low, high = ctx.markets[made.id], ctx.markets[other.id]
        if high.bid > low.ask and not low.position:
            ctx.legs(
                [
                    Take(low.id, "buy", OrderSide.BUY, 0.5, low.ask),
                    Take(high.id, "sell", OrderSide.SELL, 0.5, high.bid),
                ]
            )

    spec = quote_spec(capital=Decimal(2000), balances={"FAR:BTC": Decimal(1)}).model_copy(
        update={"markets": (MarketSource(venue="SIM", symbol="BTC/USDT"), MarketSource(venue="FAR", symbol="BTC/USDT"))}
    )
    # Two positions in one symbol are one too many: the first leg alone would pass, and does not leave.
    refused, told = played(spec, scripted(act), [here, there])
    assert refused.wires.orders == 0
    assert [text for at, text in told if at == 300] == ["buy canceled", "sell rejected"]
    seen.clear()
    many = WIDE.model_copy(update={"max_positions_per_symbol": 5})
    run, log = played(spec.model_copy(update={"limits": many}), scripted(act), [here, there])
    assert seen == [(0, "SIM"), (100, "FAR"), (200, "SIM"), (300, "FAR"), (400, "SIM"), (500, "FAR")]
    assert [(at, text.split()[1]) for at, text in log if text.startswith("fill")] == [(300, "buy"), (300, "sell")]
    assert {str(account) for account in run.accounts.values()} == {"backtest-sim", "backtest-far"}
    assert run.bot.views[other.id].position == -0.5
    fees = 0.5 * 100.1 * 0.0005 + 0.5 * 101.0 * 0.0005
    # What was there besides the capital is part of the value from the beginning on, and no profit.
    assert run.curve[0][1] == pytest.approx(2000 + 100.05)
    assert run.valuer.equity() == pytest.approx(
        2000 + 101.05 - 0.5 * 100.1 + 0.5 * 101 - fees + (0.5 - 0.5) * 100, abs=1.0
    )


def test_coins_bought_with_one_currency_are_sold_for_another() -> None:
    def market(symbol: str, tick: str) -> Any:
        made = quote_instrument(tick)
        base, quote = (Currency(name) for name in symbol.split("/"))
        return msgspec.structs.replace(
            made, id=InstrumentId(f"SIM:{symbol}"), symbol=symbol, kind=InstrumentKind.SPOT, base=base, quote=quote,
            settle=quote,
        )  # fmt: skip

    first, second, third = market("BTC/USDT", "0.1"), market("ETH/BTC", "0.00001"), market("ETH/USDT", "0.1")
    tapes = [
        quote_tape(quotes([(0, 999.9, 1000.0), (400, 999.9, 1000.0)], size=9.0), first),
        quote_tape(quotes([(0, 0.0499, 0.05), (400, 0.0499, 0.05)], size=9.0), second),
        quote_tape(quotes([(0, 51.0, 51.1), (400, 51.0, 51.1)], size=9.0), third),
    ]

    def act(m: MarketView, ctx: Context) -> None:
        markets = ctx.markets
        if all(view.ready for view in markets.values()) and not ctx.memory.log:
            ctx.take(markets[first.id], "one", OrderSide.BUY, 0.1, 1000.0)
            ctx.take(markets[second.id], "two", OrderSide.BUY, 1.9, 0.05)
            ctx.take(markets[third.id], "three", OrderSide.SELL, 1.9, 51.0)
            # It has no more of them, whatever pair is named.
            ctx.take(markets[third.id], "four", OrderSide.SELL, 0.5, 51.0)

    sources = tuple(MarketSource(venue="SIM", symbol=symbol) for symbol in ("BTC/USDT", "ETH/BTC", "ETH/USDT"))
    spec = quote_spec(capital=Decimal(200), allow_short=False).model_copy(update={"markets": sources})
    run, log = played(spec, scripted(act), tapes)
    assert [text.split()[1] for _, text in log if text.startswith("fill")] == ["one", "two", "three"]
    assert "four rejected" in [text for _, text in log]
    assert run.refusals["short"] == 1
    account = run.accounts[VenueId("SIM")]
    assert run.state.balance(account, Currency("ETH")).total == 0


PERPETUAL = MarketSource(venue="SIM", symbol="BTC/USDT:USDT")


def funded(tmp_path: Path, strategy: EventStrategy, *rates: tuple[int, float]) -> MarketsRun:
    """A run over 3 s of a perpetual with rates at these ms."""
    file = tmp_path / f"{rates}.csv"
    lines = "".join(f"{START // MS + ms},{rate}\n" for ms, rate in rates)
    file.write_text(f"timestamp,funding_rate\n{lines}")
    made = msgspec.structs.replace(
        quote_instrument(),
        id=InstrumentId("SIM:BTC/USDT:USDT"),
        symbol="BTC/USDT:USDT",
        kind=InstrumentKind.LINEAR_PERPETUAL,
        settle=Currency("USDT"),
    )
    tape = quote_tape(quotes([(n * 500, 99.9, 100.1) for n in range(7)]), made)
    source = PERPETUAL.model_copy(update={"funding": str(file)})
    spec = quote_spec(capital=Decimal(1000)).model_copy(update={"markets": (source,)})
    return MarketsRun(spec, strategy, [tape])


def test_funding_is_paid_at_its_times(tmp_path: Path) -> None:
    strategy = scripted(once(0, lambda m, ctx: ctx.take(m, "t", OrderSide.BUY, 1.0)))
    run = funded(tmp_path, strategy, (1000, 0.001), (2000, -0.002), (9000, 0.5))
    paid: list[tuple[int, Decimal]] = []

    def hear(record: ev.Record) -> None:
        if isinstance(record.event, ev.FundingPaid):
            paid.append(((record.event.ts - START) // MS, record.event.amount))

    run.ledger.subscribe(hear)
    run.run()
    assert paid == [(1000, Decimal("0.1")), (2000, Decimal("-0.2"))]
    assert float(run.state.balance(run.accounts[VenueId("SIM")], Currency("USDT")).total) == pytest.approx(
        1000 - 100.1 * 0.0005 - 0.1 + 0.2
    )


def test_a_funding_rate_is_seen_when_it_has_been_paid(tmp_path: Path) -> None:
    seen: list[tuple[int, float]] = []
    look = scripted(lambda m, ctx: seen.append(((ctx.now - START) // MS, m.funding_rate)))
    funded(tmp_path, look, (-1000, 0.007), (1000, 0.001), (2000, -0.002), (9000, 0.5)).run()
    before = [rate for at, rate in seen if at < 1000]
    assert before == [0.007] * len(before) != []
    between = [rate for at, rate in seen if 1000 < at < 2000]
    assert between == [0.001] * len(between) != []
    after = [rate for at, rate in seen if at > 2000]
    assert after == [-0.002] * len(after) != []

    seen.clear()
    funded(tmp_path, look, (1000, 0.001)).run()
    assert {rate for at, rate in seen if at < 1000} == {0.0}


def test_funding_of_what_is_no_perpetual_is_refused() -> None:
    source = MarketSource(venue="SIM", symbol="BTC/USDT", funding="rates.csv")
    spec = quote_spec().model_copy(update={"markets": (source,)})
    tape = quote_tape(quotes([(0, 99.9, 100.1), (500, 99.9, 100.1)]))
    with pytest.raises(ConfigurationError, match="funding is paid in linear perpetuals alone"):
        played(spec, scripted(lambda m, ctx: None), [tape])


def test_times_and_rates_of_funding_are_part_of_a_run(tmp_path: Path) -> None:
    look = scripted(lambda m, ctx: None)
    given = ((1000, 0.001), (1000, 0.001), (1000, 0.002), (2000, 0.001))
    runs = [funded(tmp_path, look, rate) for rate in given]
    first, same, *others = [markets_hash(run.spec, run.tapes) for run in runs]
    assert first == same
    assert len({first, *others}) == 3
    bare = runs[0].spec.model_copy(update={"markets": (PERPETUAL,)})
    assert markets_hash(bare, runs[0].tapes) not in {first, *others}


def test_equal_runs_have_equal_journals() -> None:
    def records() -> list[bytes]:
        run = MarketsRun(
            quote_spec(request_ms={"*": 3.0}), Quoter.build({"every": 5}), [quote_tape(random_quotes(3, 300))]
        )
        kept: list[bytes] = []
        run.ledger.subscribe(lambda record: kept.append(ev.encode_record(record)))
        run.run()
        return kept

    first = records()
    assert len(first) > 200
    assert first == records()


class TestMadeBooks:
    def bars(self, count: int = 30) -> Bars:
        rng = np.random.default_rng(1)
        close = 100 * np.exp(np.cumsum(rng.normal(0, 0.01, count)))
        opened = np.concatenate(([100.0], close[:-1]))
        high, low = np.maximum(opened, close) * 1.004, np.minimum(opened, close) * 0.996
        ts = START + np.arange(count, dtype=np.int64) * 3_600_000 * MS
        return Bars("1h", ts, opened, high, low, close, rng.uniform(50, 150, count))

    def book(self, bars: Bars) -> SyntheticBook:
        return SyntheticBook(quote_instrument(), bars, 2.0)

    def test_each_bar_is_walked_from_its_open_to_its_close(self) -> None:
        bars = self.bars()
        book = self.book(bars)
        assert len(book) == ROWS * len(bars)
        assert (np.diff(book.ts) >= 0).all()
        unit = 10.0**8
        for bar in (0, 7, 29):
            prices = [
                event.price / unit for event in book[bar * ROWS : bar * ROWS + 8] if isinstance(event, MarketTrade)
            ]
            wanted = {float(c[bar]) for c in (bars.open, bars.high, bars.low, bars.close)}
            assert prices[0] == pytest.approx(float(bars.open[bar]), abs=0.1)
            assert prices[-1] == pytest.approx(float(bars.close[bar]), abs=0.1)
            assert sorted(prices) == pytest.approx(sorted(wanted), abs=0.1)

    def test_books_have_levels_and_never_cross(self) -> None:
        book = self.book(self.bars())
        updates = [event for event in book if isinstance(event, BookUpdate)]
        assert len(updates) == 4 * 30
        for update in updates:
            assert len(update.bids) == len(update.asks) == LEVELS
            assert update.bids[0][0] < update.asks[0][0]
            assert [size for _, size in update.asks] == sorted(size for _, size in update.asks)

    def test_spread_and_depth_know_nothing_of_the_bars_to_come(self) -> None:
        bars = self.bars()
        whole, cut = self.book(bars), self.book(bars.slice(0, 20))
        assert whole[: 20 * ROWS] == cut[: 20 * ROWS]

    def test_a_wilder_market_has_a_wider_book(self) -> None:
        calm = self.bars()
        wild = Bars("1h", calm.ts, calm.open, calm.high * 1.2, calm.low * 0.8, calm.close, calm.volume)

        def spread(bars: Bars) -> float:
            update = self.book(bars)[20 * ROWS]
            assert isinstance(update, BookUpdate)
            return update.asks[0][0] - update.bids[0][0]

        assert spread(wild) > 3 * spread(calm)


class TestReading:
    def spec(self) -> MarketsSpec:
        return quote_spec()

    def source(self, path: Path) -> MarketSource:
        return MarketSource(venue="sim", symbol="BTC/USDT", timeframe="1m", quotes=str(path))

    def test_a_file_of_quotes_tells_its_grid_and_its_bars(self, tmp_path: Path) -> None:
        import pandas as pd

        columns = random_quotes(2, 4000)
        pd.DataFrame(columns).to_parquet(tmp_path / "q.parquet")
        tape = read_tape(self.source(tmp_path / "q.parquet"), self.spec(), None)  # type: ignore[arg-type]
        assert isinstance(tape, QuoteTape)
        rules = tape.instrument.current_rules
        assert (rules.price_tick, tape.instrument.id) == (Decimal("0.1"), "SIM:BTC/USDT")
        assert (tape.ts == columns["ts"]).all()
        middle = (columns["bid"] + columns["ask"]) / 2
        assert len(tape.bars) >= 3
        bar = tape.bars[1]
        inside = (columns["ts"] >= bar.ts) & (columns["ts"] < bar.ts + 60_000 * MS)
        assert (bar.high, bar.low) == (middle[inside].max(), middle[inside].min())
        assert (bar.open, bar.close) == (middle[inside][0], middle[inside][-1])

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("ts,bid,ask\n1,1,2\n", "needs the columns"),
            ("ts,bid,ask,bid_size,ask_size\n1,3,2,1,1\n", "at or above its ask"),
            ("ts,bid,ask,bid_size,ask_size\n5,1,2,1,1\n4,1,2,1,1\n", "order of time"),
            ("ts,bid,ask,bid_size,ask_size\n5,1,2,-1,1\n", "values that are none"),
        ],
    )
    def test_what_cannot_be_used_is_refused(self, tmp_path: Path, text: str, words: str) -> None:
        path = tmp_path / "q.csv"
        path.write_text(text)
        with pytest.raises(DataError, match=words):
            read_quotes(self.source(path), self.spec())

    def test_nothing_in_the_range_is_said(self) -> None:
        empty = quote_tape({name: column[:0] for name, column in random_quotes(1, 5).items()})
        with pytest.raises(DataError, match="no data of SIM:BTC/USDT"):
            run_markets(quote_spec(), Quoter.build({}), [empty])
