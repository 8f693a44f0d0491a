"""Golden tables of fills on bars: candles in, executions out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from engine.errors import StateConsistencyError, ValidationError
from engine.events import OrderFilled
from engine.model.order import OrderSide
from engine.venues.paper.fill_model import FillKind
from engine.venues.paper.settings import (
    BAR_PRESETS,
    BarFillSettings,
    BarPath,
    LimitGap,
    PaperSettings,
    SlippageModel,
    StopGap,
)
from tests.venues.paper.helpers import (
    BTC,
    MINUTE,
    PAPER,
    PLAIN_BARS,
    START,
    D,
    executions,
    fills,
    make_exchange,
    make_instrument,
    names,
    order,
)

if TYPE_CHECKING:
    from engine.events import VenueEvent
    from engine.model.ids import AccountId
    from engine.model.venue import OrderCommand
    from engine.venues.paper.orders import Report

Bar = tuple[float, float, float, float]


def run(
    commands: list[OrderCommand],
    bars: list[Bar],
    settings: BarFillSettings = PLAIN_BARS,
    *,
    volume: float = 1000.0,
    last: float = 101.0,
    balances: dict[str, str] | None = None,
    **terms: str,
) -> list[list[Report]]:
    """Place orders at the close of a bar, then show the bars that follow; the reports of placing and of each bar."""
    instrument = make_instrument(**terms)
    exchange = make_exchange(
        FillKind.BAR, settings=PaperSettings(bars=settings), instrument=instrument, balances=balances
    )
    exchange.mark(BTC, last)
    found = [[report for command in commands for report in exchange.place(command, START)]]
    for number, (o, h, l, c) in enumerate(bars):  # noqa: E741
        ts = START + number * MINUTE
        found.append(list(exchange.on_bar(BTC, ts, ts + MINUTE, o, h, l, c, volume)))
    return found


def traded(found: list[list[Report]]) -> list[list[str]]:
    """Executions of each bar."""
    return [executions(reports) for reports in found[1:]]


SELL_STOP = [order("sell", "stop", stop="100")]
BUY_LIMIT = [order("buy", "limit", price="100")]
JESSE = BarFillSettings(
    stop_gap=StopGap.TRIGGER,
    limit_gap=LimitGap.LIMIT,
    touch=True,
    half_spread_bps=0,
    slippage=SlippageModel.NONE,
    participation=None,
)
COLUMNS = {
    "freqtrade": BAR_PRESETS["freqtrade"],
    "backtesting_py": BAR_PRESETS["backtesting_py"],
    "nautilus": BAR_PRESETS["nautilus"],
    "jesse": JESSE,
    "ours": PLAIN_BARS,
    **{
        name: BAR_PRESETS[name].model_copy(update={"slippage": SlippageModel.NONE})
        for name in ("quarterdeck", "next_open", "pessimistic", "fixed_ohlc", "touch")
    },
}
MATRIX: list[tuple[str, list[OrderCommand], Bar, dict[str, str | None]]] = [
    (
        "stop, moved through",
        SELL_STOP,
        (102, 103, 98, 101),
        {"freqtrade": "100", "backtesting_py": "100", "nautilus": "100", "jesse": "100", "ours": "100"},
    ),
    (
        "stop, gap with the stop inside the range",
        SELL_STOP,
        (95, 101, 90, 92),
        {"freqtrade": "100", "backtesting_py": "95", "nautilus": "95", "jesse": "100", "ours": "95"},
    ),
    (
        "stop, gap with the whole bar below",
        SELL_STOP,
        (90, 94, 88, 91),
        {"freqtrade": "90", "backtesting_py": "90", "nautilus": "90", "jesse": "100", "ours": "90"},
    ),
    (
        "resting buy limit, gap below",
        BUY_LIMIT,
        (95, 97, 94, 96),
        {"freqtrade": None, "backtesting_py": "95", "nautilus": "100", "jesse": "100", "ours": "95"},
    ),
    (
        "resting buy limit, touched",
        BUY_LIMIT,
        (101, 102, 100, 101),
        {"freqtrade": "100", "backtesting_py": "100", "nautilus": "100", "jesse": "100", "ours": None, "touch": "100"},
    ),
]


@pytest.mark.parametrize(
    ("column", "commands", "bar", "price"),
    [
        pytest.param(column, commands, bar, prices.get(column, prices["ours"]), id=f"{name} - {column}")
        for name, commands, bar, prices in MATRIX
        for column in COLUMNS
    ],
)
def test_the_cross_check_matrix_holds(column: str, commands: list[OrderCommand], bar: Bar, price: str | None) -> None:
    (bar_executions,) = traded(run(commands, [bar], COLUMNS[column]))
    assert [text.partition("@")[2].partition(" ")[0] for text in bar_executions] == ([] if price is None else [price])


@pytest.mark.parametrize(
    ("bar", "price"),
    [((102, 103, 98, 101), "99.95"), ((95, 101, 90, 92), "94.95"), ((90, 94, 88, 91), "89.95")],
)
def test_our_stop_pays_slippage_on_top_of_trigger_or_open(bar: Bar, price: str) -> None:
    settings = PLAIN_BARS.model_copy(update={"slippage": SlippageModel.FIXED, "fixed_bps": 5.0})
    # 5 bps of 100, 95 and 90, then down to the tick
    assert traded(run(SELL_STOP, [bar], settings)) == [[f"sell 1@{price} taker"]]


GOLDEN: list[tuple[str, list[OrderCommand], list[Bar], list[list[str]]]] = [
    (
        "a market order fills at the next open",
        [order("buy")],
        [(102, 105, 99, 101), (101, 101, 101, 101)],
        [["buy 1@102 taker"], []],
    ),
    (
        "a buy stop fills at its trigger when moved through",
        [order("buy", "stop", stop="103")],
        [(101, 102.99, 100, 102), (102, 104, 101, 103)],
        [[], ["buy 1@103 taker"]],
    ),
    (
        "a buy stop fills at the open when jumped over",
        [order("buy", "stop", stop="103")],
        [(105, 106, 104, 105)],
        [["buy 1@105 taker"]],
    ),
    (
        "a stop is set off by a touch",
        [order("sell", "stop", stop="100")],
        [(101, 102, 100, 101)],
        [["sell 1@100 taker"]],
    ),
    (
        "a limit needs one tick of penetration",
        [order("buy", "limit", price="100")],
        [(101, 102, 100, 101), (101, 102, 99.99, 101)],
        [[], ["buy 1@100 maker"]],
    ),
    (
        "a sell limit mirrors it",
        [order("sell", "limit", price="103")],
        [(101, 103, 100, 101), (101, 103.01, 100, 101), (104, 105, 103, 104)],
        [[], ["sell 1@103 maker"], []],
    ),
    (
        "a sell limit that the open jumps over gets the open",
        [order("sell", "limit", price="103")],
        [(104, 105, 103, 104)],
        [["sell 1@104 maker"]],
    ),
    (
        "an open exactly at the limit is only a touch",
        [order("buy", "limit", price="100")],
        [(100, 101, 100, 101)],
        [[]],
    ),
    (
        "a limit that was marketable on arrival takes liquidity at the open",
        [order("buy", "limit", price="105")],
        [(102, 103, 101, 102)],
        [["buy 1@102 taker"]],
    ),
    (
        "a marketable limit that the open runs away from rests",
        [order("buy", "limit", price="101.5")],
        [(102, 103, 101.6, 102), (102, 103, 101, 102)],
        [[], ["buy 1@101.5 maker"]],
    ),
    (
        "a stop-limit fills at its trigger when the limit allows it",
        [order("sell", "stop", stop="100", price="99")],
        [(102, 103, 98, 101)],
        [["sell 1@100 taker"]],
    ),
    (
        "a stop-limit beyond which the open jumps is not filled, and rests",
        [order("sell", "stop", stop="100", price="99")],
        [(95, 97, 90, 92), (92, 99, 91, 98), (98, 99.01, 97, 98)],
        [[], [], ["sell 1@99 maker"]],
    ),
    (
        "a stop-limit that is jumped over fills when the bar comes back",
        [order("sell", "stop", stop="100", price="99")],
        [(95, 101, 90, 92)],
        [["sell 1@99 maker"]],
    ),
    (
        "a take-profit fills at its trigger",
        [order("sell", "target", stop="105")],
        [(101, 104.99, 100, 102), (102, 106, 101, 103)],
        [[], ["sell 1@105 taker"]],
    ),
    (
        "a take-profit that is jumped over gets the open",
        [order("sell", "target", stop="105")],
        [(107, 108, 106, 107)],
        [["sell 1@107 taker"]],
    ),
    (
        "a take-profit with a limit above its trigger waits for the limit",
        [order("sell", "target", stop="105", price="106")],
        [(102, 105.5, 101, 103), (103, 106.01, 102, 103)],
        [[], ["sell 1@106 maker"]],
    ),
    (
        "prices off the grid are rounded against the trader",
        [order("buy"), order("sell")],
        [(100.004, 101, 99, 100)],
        [["buy 1@100.01 taker", "sell 1@100 taker"]],
    ),
    (
        "IOC takes what the open gives and ends",
        [order("buy", "limit", price="100", tif="IOC")],
        [(101, 102, 95, 101), (95, 96, 94, 95)],
        [[], []],
    ),
]


@pytest.mark.parametrize(("commands", "bars", "expected"), [pytest.param(*case[1:], id=case[0]) for case in GOLDEN])
def test_golden_table(commands: list[OrderCommand], bars: list[Bar], expected: list[list[str]]) -> None:
    assert traded(run(commands, bars)) == expected


# --- two exits of one position in one bar ----------------------------------------------------------------------------

LONG_EXITS = [
    order("sell", "stop", stop="95", oco="exit", client_id="stop"),
    order("sell", "target", stop="105", oco="exit", client_id="target"),
]


@pytest.mark.parametrize(
    ("path", "bar", "winner"),
    [
        (BarPath.ADAPTIVE, (101, 106, 94, 100), "105"),  # the high is nearer to the open
        (BarPath.ADAPTIVE, (99, 106, 94, 100), "95"),
        (BarPath.ADAPTIVE, (100, 106, 94, 100), "95"),  # as far either way: the low first
        (BarPath.FIXED_OHLC, (99, 106, 94, 100), "105"),
        (BarPath.FIXED_OHLC, (101, 106, 94, 100), "105"),
        (BarPath.PESSIMISTIC, (101, 106, 94, 100), "95"),
        (BarPath.PESSIMISTIC, (99, 106, 94, 100), "95"),
        (BarPath.PESSIMISTIC, (106, 106, 94, 100), "95"),  # even when the open has jumped over the target
        (BarPath.ADAPTIVE, (106, 106, 94, 100), "106"),
        (BarPath.PESSIMISTIC, (101, 106, 96, 100), "105"),
    ],
)
def test_the_order_along_the_path_decides_between_stop_and_target(path: BarPath, bar: Bar, winner: str) -> None:
    found = run(LONG_EXITS, [bar], PLAIN_BARS.model_copy(update={"path": path}))
    assert traded(found) == [[f"sell 1@{winner} taker"]]
    assert names(found[1]) == ["Triggered", "Filled", "Canceled"]


def test_a_short_position_is_protected_the_same_way() -> None:
    exits = [order("buy", "stop", stop="105", oco="x"), order("buy", "target", stop="95", oco="x")]
    pessimistic = PLAIN_BARS.model_copy(update={"path": BarPath.PESSIMISTIC})
    assert traded(run(exits, [(99, 106, 94, 100)], pessimistic)) == [["buy 1@105 taker"]]
    assert traded(run(exits, [(99, 106, 94, 100)])) == [["buy 1@95 taker"]]


def test_what_one_sibling_fills_in_part_the_other_loses() -> None:
    settings = PLAIN_BARS.model_copy(update={"participation": 0.1})
    exits = [
        order("sell", "limit", "1", price="105", oco="x", client_id="limit"),
        order("sell", "stop", "1", stop="95", oco="x", client_id="stop"),
    ]
    found = run(exits, [(101, 106, 100, 101), (94, 95, 93, 94)], settings, volume=4.0)
    assert traded(found) == [["sell 0.4@105 maker"], ["sell 0.4@94 taker"]]
    # the stop shrinks to 0.6; when it fills 0.4, the limit shrinks to 0.4 + 0.2
    assert names(found[1]) == ["Filled", "Amended"]
    assert names(found[2]) == ["Triggered", "Filled", "Amended"]
    assert found[2][2][1].quantity == D("0.6")  # type: ignore[union-attr]


# --- reactions inside a bar ------------------------------------------------------------------------------------------


def run_with_stop(entry: OrderCommand, stop: str, bar: Bar, path: BarPath = BarPath.ADAPTIVE) -> list[str]:
    """An entry whose fill places a protective stop at once, all in one bar."""
    settings = PLAIN_BARS.model_copy(update={"path": path})
    exchange = make_exchange(FillKind.BAR, settings=PaperSettings(bars=settings), balances={"USDT": "1000"})
    exchange.mark(BTC, 101.0)
    exchange.place(entry, START)

    def protect(_: AccountId, event: VenueEvent) -> None:
        if isinstance(event, OrderFilled) and event.fill.side is OrderSide.BUY:
            exchange.place(order("sell", "stop", stop=stop, reduce_only=True), event.fill.ts)

    o, h, l, c = bar  # noqa: E741
    return executions(exchange.on_bar(BTC, START, START + MINUTE, o, h, l, c, 1000.0, protect))


@pytest.mark.parametrize(
    ("entry", "stop", "bar", "expected"),
    [
        (order("buy"), "98", (101, 102, 97, 100), ["buy 1@101 taker", "sell 1@98 taker"]),
        (order("buy"), "96", (101, 102, 97, 100), ["buy 1@101 taker"]),
        # entered on the way down, stopped further down
        (order("buy", "limit", price="99"), "98", (101, 102, 97, 100), ["buy 1@99 maker", "sell 1@98 taker"]),
        # the low came before the breakout: not stopped
        (order("buy", "stop", stop="103"), "98", (100, 104, 97, 103), ["buy 1@103 taker"]),
        # the low came after the breakout: stopped
        (order("buy", "stop", stop="103"), "98", (102, 104, 97, 100), ["buy 1@103 taker", "sell 1@98 taker"]),
        # a stop that is already passed fills where the price stands
        (order("buy", "limit", price="99"), "99.5", (101, 102, 97, 100), ["buy 1@99 maker", "sell 1@98.99 taker"]),
    ],
)
def test_a_stop_placed_on_the_entrys_fill_works_on_the_rest_of_the_bar(
    entry: OrderCommand, stop: str, bar: Bar, expected: list[str]
) -> None:
    assert run_with_stop(entry, stop, bar) == expected


def test_the_pessimist_stops_out_a_breakout_in_its_own_bar() -> None:
    entry = order("buy", "stop", stop="103")
    assert run_with_stop(entry, "98", (100, 104, 97, 103), BarPath.PESSIMISTIC) == [
        "buy 1@103 taker",
        "sell 1@98 taker",
    ]


def test_a_market_order_placed_inside_a_bar_waits_for_the_next_open() -> None:
    exchange = make_exchange(FillKind.BAR)
    exchange.mark(BTC, 101.0)
    exchange.place(order("buy", "limit", price="99"), START)

    def turn_round(_: AccountId, event: VenueEvent) -> None:
        if isinstance(event, OrderFilled) and event.fill.side is OrderSide.BUY:
            exchange.place(order("sell"), event.fill.ts)

    first = exchange.on_bar(BTC, START, START + MINUTE, 101, 102, 97, 100, 1000.0, turn_round)
    second = exchange.on_bar(BTC, START + MINUTE, START + 2 * MINUTE, 104, 105, 103, 104, 1000.0, turn_round)
    assert executions(first) == ["buy 1@99 maker"]
    assert executions(second) == ["sell 1@104 taker"]


def test_a_cancel_from_inside_a_bar_saves_what_the_path_has_not_reached() -> None:
    exchange = make_exchange(FillKind.BAR)
    exchange.mark(BTC, 101.0)
    exchange.place(order("buy", "limit", price="99"), START)
    exchange.place(order("buy", "limit", price="98", client_id="deeper"), START)

    def withdraw(account: AccountId, event: VenueEvent) -> None:
        if isinstance(event, OrderFilled):
            exchange.cancel(account, "deeper", event.fill.ts)  # type: ignore[arg-type]

    assert executions(exchange.on_bar(BTC, START, START + MINUTE, 101, 102, 97, 100, 1000.0, withdraw)) == [
        "buy 1@99 maker"
    ]


def test_an_order_that_arrives_inside_a_bar_does_not_meet_that_bar() -> None:
    exchange = make_exchange(FillKind.BAR)
    exchange.mark(BTC, 101.0)
    exchange.place(order("buy"), START + 1)
    exchange.place(order("sell", "stop", stop="100"), START + 1)
    assert exchange.on_bar(BTC, START, START + MINUTE, 101, 102, 95, 100, 1000.0) == []
    later = exchange.on_bar(BTC, START + MINUTE, START + 2 * MINUTE, 99, 100, 98, 99, 1000.0)
    assert executions(later) == ["buy 1@99 taker", "sell 1@99 taker"]


# --- costs, caps and sizes -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("update", "buy", "sell"),
    [
        ({"slippage": SlippageModel.NONE}, "100", "100"),
        ({"slippage": SlippageModel.NONE, "half_spread_bps": 2.0}, "100.02", "99.98"),
        ({"slippage": SlippageModel.FIXED, "fixed_bps": 10.0}, "100.1", "99.9"),
        # a hundredth of the volume: 50 bps x 0.01, and 50 bps x 0.1
        ({"slippage": SlippageModel.LINEAR}, "100.01", "99.99"),
        ({"slippage": SlippageModel.SQUARE_ROOT}, "100.05", "99.95"),
        ({"slippage": SlippageModel.SQUARE_ROOT, "half_spread_bps": 2.0}, "100.07", "99.93"),
    ],
)
def test_slippage_models(update: dict[str, object], buy: str, sell: str) -> None:
    settings = PLAIN_BARS.model_copy(update=update)
    found = run([order("buy"), order("sell")], [(100, 101, 99, 100)], settings, volume=100.0)
    assert traded(found) == [[f"buy 1@{buy} taker", f"sell 1@{sell} taker"]]


def test_slippage_never_carries_a_limit_order_beyond_its_limit() -> None:
    settings = PLAIN_BARS.model_copy(update={"slippage": SlippageModel.FIXED, "fixed_bps": 500.0})
    found = run(
        [order("buy", "limit", price="102"), order("sell", "stop", stop="100", price="99.5")],
        [(101, 101, 98, 99)],
        settings,
    )
    assert traded(found) == [["buy 1@102 taker", "sell 1@99.5 taker"]]


def test_participation_caps_a_bar_and_the_rest_goes_on() -> None:
    settings = PLAIN_BARS.model_copy(update={"participation": 0.1})
    bars = [(101.0, 102.0, 100.0, 101.0), (103.0, 104.0, 102.0, 103.0), (105.0, 106.0, 104.0, 105.0)]
    found = run([order("buy", "market", "2.5")], bars, settings, volume=10.0)
    assert traded(found) == [["buy 1@101 taker"], ["buy 1@103 taker"], ["buy 0.5@105 taker"]]


def test_all_own_orders_share_a_bars_volume() -> None:
    settings = PLAIN_BARS.model_copy(update={"participation": 0.1})
    found = run([order("buy"), order("buy", "limit", price="100")], [(101, 102, 99, 101)], settings, volume=12.0)
    assert traded(found) == [["buy 1@101 taker", "buy 0.2@100 maker"]]


def test_a_triggered_stop_goes_on_at_the_next_open() -> None:
    settings = PLAIN_BARS.model_copy(update={"participation": 0.1})
    found = run(SELL_STOP, [(101, 102, 99, 101), (97, 98, 96, 97)], settings, volume=4.0)
    assert traded(found) == [["sell 0.4@100 taker"], ["sell 0.4@97 taker"]]


def test_a_bar_without_volume_fills_nothing_under_a_cap() -> None:
    settings = PLAIN_BARS.model_copy(update={"participation": 0.1})
    assert traded(run([order("buy")], [(101, 102, 99, 101)], settings, volume=0.0)) == [[]]


@pytest.mark.parametrize(
    ("command", "volume", "expected"),
    [
        (order("buy", tif="IOC"), 4.0, ["buy 0.4@101 taker"]),
        (order("buy", tif="FOK"), 4.0, []),
        (order("buy", tif="FOK"), 10.0, ["buy 1@101 taker"]),
        (order("buy", "limit", price="102", tif="IOC"), 4.0, ["buy 0.4@101 taker"]),
        (order("buy", "limit", price="102", tif="FOK"), 4.0, []),
        (order("buy", "limit", price="100.5", tif="IOC"), 100.0, []),
    ],
)
def test_immediate_orders_end_with_the_open(command: OrderCommand, volume: float, expected: list[str]) -> None:
    settings = PLAIN_BARS.model_copy(update={"participation": 0.1})
    bar = (101.0, 102.0, 99.0, 101.0)
    found = run([command], [bar, bar], settings, volume=volume)
    assert traded(found) == [expected, []]
    complete = expected == ["buy 1@101 taker"]
    assert names(found[1])[-1] == ("Filled" if complete else "Expired")


def test_a_post_only_order_that_would_execute_is_rejected() -> None:
    found = run(
        [order("buy", "limit", price="101", post_only=True), order("buy", "limit", price="100.99", post_only=True)], []
    )
    assert names(found[0]) == ["Rejected", "Accepted"]


def test_a_reduce_only_stop_shrinks_with_the_position() -> None:
    exchange = make_exchange(FillKind.BAR, balances={"BTC": "2", "USDT": "0"})
    exchange.mark(BTC, 101.0)
    placed = exchange.place(order("sell", "stop", "5", stop="90", reduce_only=True, client_id="guard"), START)
    assert names(placed) == ["Accepted", "Amended"]
    exchange.place(order("sell", "market", "0.5"), START)
    reports = exchange.on_bar(BTC, START, START + MINUTE, 101, 102, 100, 101, 1000.0)
    assert names(reports) == ["Filled", "Amended"]
    guard = exchange.order(PAPER, "guard")  # type: ignore[arg-type]
    assert guard is not None
    assert guard.quantity == D("1.5")
    exchange.place(order("sell", "market", "1.5"), START + MINUTE)
    reports = exchange.on_bar(BTC, START + MINUTE, START + 2 * MINUTE, 101, 102, 100, 101, 1000.0)
    assert names(reports) == ["Filled", "Canceled"]


def test_events_inside_a_bar_are_stamped_in_order_within_it() -> None:
    commands = [
        order("buy"),
        order("buy", "limit", price="99"),
        order("sell", "limit", price="103"),
        order("sell", "stop", stop="98.5"),
    ]
    for path in BarPath:
        found = run(commands, [(101, 104, 98, 100)], PLAIN_BARS.model_copy(update={"path": path}))
        stamps = [fill.ts for fill in fills(found[1])]
        assert stamps == sorted(stamps)
        assert stamps[0] == START
        assert stamps[-1] < START + MINUTE
        assert len(stamps) == 4


def test_a_strategy_that_answers_every_fill_with_a_filling_order_is_stopped() -> None:
    exchange = make_exchange(FillKind.BAR)
    exchange.mark(BTC, 101.0)
    exchange.place(order("buy"), START)

    def again(_: AccountId, event: VenueEvent) -> None:
        if isinstance(event, OrderFilled):
            exchange.place(order("buy", "stop", "0.001", stop="90"), event.fill.ts)

    with pytest.raises(StateConsistencyError, match="answers every fill"):
        exchange.on_bar(BTC, START, START + MINUTE, 101, 102, 100, 101, 1000.0, again)


def test_a_stop_limit_jumped_over_is_filled_in_its_own_bar_only_by_the_optimist() -> None:
    command = [order("sell", "stop", stop="100", price="99")]
    bars = [(95.0, 101.0, 90.0, 92.0), (95.0, 101.0, 94.0, 96.0)]
    pessimistic = PLAIN_BARS.model_copy(update={"path": BarPath.PESSIMISTIC})
    assert traded(run(command, bars)) == [["sell 1@99 maker"], []]
    assert traded(run(command, bars, pessimistic)) == [[], ["sell 1@99 maker"]]


def test_without_a_price_there_is_no_market() -> None:
    exchange = make_exchange(FillKind.BAR)
    assert names(exchange.place(order("buy"), START)) == ["Rejected"]
    assert names(exchange.place(order("buy", "limit", price="100", post_only=True), START)) == ["Accepted"]


def test_the_bounds_become_exact_again_after_a_cancel() -> None:
    exchange = make_exchange(FillKind.BAR)
    exchange.mark(BTC, 101.0)
    near = order("sell", "stop", stop="100", client_id="near")
    for command in (near, order("sell", "stop", stop="50", client_id="far")):
        exchange.place(command, START)
    exchange.cancel(PAPER, near.client_id, START)
    assert executions(exchange.on_bar(BTC, START, START + MINUTE, 101, 102, 99, 100, 1000.0)) == []
    assert executions(exchange.on_bar(BTC, START + MINUTE, START + 2 * MINUTE, 101, 102, 49, 100, 1000.0)) == [
        "sell 1@50 taker"
    ]


def test_an_instrument_on_a_book_takes_no_bars() -> None:
    exchange = make_exchange(FillKind.BOOK)
    with pytest.raises(ValidationError, match="takes no bars"):
        exchange.on_bar(BTC, START, START + MINUTE, 101, 102, 99, 100, 1000.0)


def test_bars_that_reach_nothing_keep_the_last_price() -> None:
    exchange = make_exchange(FillKind.BAR)
    exchange.on_bar(BTC, START, START + MINUTE, 101, 102, 100, 101.5, 1.0)
    exchange.place(order("sell", "stop", stop="90"), START + MINUTE)
    exchange.on_bar(BTC, START + MINUTE, START + 2 * MINUTE, 101, 102, 100, 101.7, 1.0)
    # marketable means at or beyond the last close
    assert names(exchange.place(order("buy", "limit", price="101.7", post_only=True), START + 2 * MINUTE)) == [
        "Rejected"
    ]
    assert names(exchange.place(order("buy", "limit", price="101.69", post_only=True), START + 2 * MINUTE)) == [
        "Accepted"
    ]
