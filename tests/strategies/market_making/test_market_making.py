"""The market maker's described behaviour, on made-up quotes."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec
import pytest

from engine.model.instrument import InstrumentKind
from engine.model.order import OrderSide
from engine.strategy.intents import CancelAll, Quote, Take
from strategies.market_making.market_making import MarketMaking
from tests.kit.event_conformance import EventConformance
from tests.kit.event_driver import START_NS, EventDriver, Tick, make_instrument, walk_ticks

if TYPE_CHECKING:
    from engine.strategy.intents import Want

S = 1_000_000_000
QUIET = {"inventory_skew": False, "competitive_quotes": False, "adaptive_spreads": False, "imbalance_weight": 0.0}


class TestMarketMaking(EventConformance):
    strategy = "market_making"
    values: ClassVar[dict[str, object]] = {
        "hanging_orders": True,
        "fill_delay": 2.0,
        "order_size_distribution": "linear",
        "max_inventory": 0.2,
    }


class TestTwoMarkets(EventConformance):
    strategy = "market_making"
    markets = (("SIM", "BTC/USDT", 20_000.0), ("SIM", "ETH/USDT", 1_500.0))
    values: ClassVar[dict[str, object]] = {"order_levels": 2}


def made(values: dict[str, Any], symbol: str = "BTC/USDT", position: float = 0.25) -> EventDriver:
    """The strategy in one market in which it holds that much; 0.25 BTC is the target by default."""
    driver = EventDriver(lambda: MarketMaking.build(values), [make_instrument("SIM", symbol)])
    driver.markets[0].position = position
    return driver


def at(seconds: float, mid: float = 20_000.0, half: float = 10.0, **others: Any) -> Tick:
    return Tick(START_NS + int(seconds * S), 0, mid - half, mid + half, **others)


def quotes(driver: EventDriver) -> list[Quote]:
    return [intent for _, intent in driver.log if isinstance(intent, Quote)]


def sides(quote: Quote) -> tuple[list[Want], list[Want]]:
    return (
        [want for want in quote.wants if want.side is OrderSide.BUY],
        [want for want in quote.wants if want.side is OrderSide.SELL],
    )


def test_five_levels_on_both_sides_around_the_fair_price() -> None:
    driver = made(QUIET | {"min_profit_per_trade": 0.0})
    driver.tick(at(0))
    bids, asks = sides(quotes(driver)[0])
    # Half of 0.1 % to each side, then half the spread more for each level.
    assert [want.price for want in bids] == pytest.approx([19_990 - 10 * level for level in range(5)])
    assert [want.price for want in asks] == pytest.approx([20_010 + 10 * level for level in range(5)])
    assert [want.quantity for want in bids] == pytest.approx([0.01, 0.015, 0.0225, 0.0337, 0.0506])
    assert all(want.post_only for want in bids + asks)


def test_it_never_quotes_below_cost() -> None:
    driver = made(QUIET | {"base_spread": 0.0001, "min_profit_per_trade": 0.00001})
    driver.tick(at(0, half=0.5))
    bids, asks = sides(quotes(driver)[0])
    # Two maker fees of 0.02 % and a profit of 0.00001 BTC on 0.01 BTC.
    assert (asks[0].price - bids[0].price) / 20_000 == pytest.approx(2 * 0.0002 + 0.001, rel=1e-6)


def test_it_goes_one_tick_ahead_of_the_competition_as_far_as_that_pays() -> None:
    near = made({"inventory_skew": False, "imbalance_weight": 0.0, "base_spread": 0.01})
    near.tick(at(0, half=50.0))
    bids, asks = sides(quotes(near)[0])
    assert (bids[0].price, asks[0].price) == pytest.approx((19_950.01, 20_049.99))
    too_near = made({"inventory_skew": False, "imbalance_weight": 0.0, "base_spread": 0.01})
    too_near.tick(at(0, half=2.0))
    bids, asks = sides(quotes(too_near)[0])
    assert (bids[0].price, asks[0].price) == pytest.approx((20_000 - 14.0, 20_000 + 14.0))


@pytest.mark.parametrize(("position", "direction"), [(0.35, -1), (0.15, 1)])
def test_inventory_moves_both_quotes(position: float, direction: int) -> None:
    values = {"competitive_quotes": False, "imbalance_weight": 0.0, "inventory_risk_aversion": 500.0}
    ticks = [at(second, 20_000 + 2 * (second % 2)) for second in range(60)]
    wanted = made(values).run(ticks)
    other = made(values, position=position).run(ticks)
    mid = [
        sum(want.price for want in quotes(driver)[-1].wants if want.key.endswith("-0")) for driver in (wanted, other)
    ]
    assert direction * (mid[1] - mid[0]) > 0


def test_nothing_is_bought_beyond_the_maximum_nor_sold_that_is_not_there() -> None:
    full = made(QUIET, position=0.5)
    full.tick(at(0))
    bids, asks = sides(quotes(full)[0])
    assert bids == []
    assert asks
    empty = made(QUIET, position=0.0)
    empty.tick(at(0))
    bids, asks = sides(quotes(empty)[0])
    assert asks == []
    assert sum(want.quantity for want in bids) <= 0.5
    # Outside the band the bid goes to the best price at which a fill still pays.
    assert bids[0].price == pytest.approx(20_000 - 14.0)


def test_quotes_are_renewed_by_time_and_at_once_by_a_move_of_half_the_spread() -> None:
    driver = made(QUIET)
    for second in range(29):
        driver.tick(at(second, 20_000 + (second % 2) * 5))
    assert len(quotes(driver)) == 1
    driver.tick(at(30))
    assert len(quotes(driver)) == 2
    driver.tick(at(31, 20_011))
    assert len(quotes(driver)) == 3


def test_orders_that_are_still_right_stay() -> None:
    driver = made(QUIET)
    driver.tick(at(0))
    before = {key: order.since for key, order in driver.context.orders[driver.markets[0].id].items()}
    driver.tick(at(30, 20_000.5))
    after = {key: order.since for key, order in driver.context.orders[driver.markets[0].id].items()}
    assert after == before
    assert len(quotes(driver)) == 2


def test_the_spread_answers_to_volatility_within_ten_seconds() -> None:
    driver = made({"competitive_quotes": False, "inventory_skew": False, "order_refresh_time": 5.0})
    for second in range(1800):
        driver.tick(at(second, 20_000 + (second % 2)))
    memory = driver.context.memory.of(driver.markets[0])
    calm = memory.spread
    assert calm == pytest.approx(0.001)
    for second in range(1800, 1810):
        driver.tick(at(second, 20_000 + 12 * (second % 2)))
    assert memory.spread > 2 * calm


def test_at_its_stop_the_inventory_is_unwound_in_slices() -> None:
    driver = made({"stop_loss_inventory": 1.5, "unwind_interval": 5.0}, position=1.6)
    for second in range(120):
        driver.tick(at(second, bid_size=5.0))
    taken = [intent for _, intent in driver.log if isinstance(intent, Take)]
    assert isinstance(driver.log[0][1], CancelAll)
    assert len(driver.alerts) == 1
    assert "stop" in driver.alerts[0]
    assert all(take.side is OrderSide.SELL and take.price == pytest.approx(19_990 * 0.995) for take in taken)
    assert taken[0].quantity == pytest.approx(0.27)
    # Back in its band it quotes again.
    assert 0.125 <= driver.markets[0].position <= 0.375
    assert quotes(driver)


def test_the_day_ends_with_its_loss_limit_and_the_next_begins() -> None:
    driver = made({"daily_loss_limit": 100.0})
    day = 86_400
    driver.tick(at(0))
    driver.tick(at(1, 19_500))
    driver.tick(at(31, 19_500))
    assert len(driver.alerts) == 1
    assert not driver.context.orders[driver.markets[0].id]
    count = len(quotes(driver))
    for second in range(60, 600, 30):
        driver.tick(at(second, 19_600))
    assert len(quotes(driver)) == count
    assert len(driver.alerts) == 1
    driver.tick(at(day, 19_500))
    driver.tick(at(day + 31, 19_500))
    assert len(quotes(driver)) > count


def test_the_other_side_of_a_filled_pair_may_hang() -> None:
    driver = made(QUIET | {"hanging_orders": True, "order_levels": 1, "hanging_cancel": 0.02})
    driver.tick(at(0))
    hanging = driver.context.orders[driver.markets[0].id]["ask-0"].price
    driver.tick(at(1, 19_970))
    driver.tick(at(40, 19_960))
    orders = driver.context.orders[driver.markets[0].id]
    assert orders["ask-0"].price == hanging
    assert orders["ask-0-1"].price < hanging
    driver.tick(at(80, 19_500))
    assert "ask-0" not in driver.context.orders[driver.markets[0].id]


def test_sizes_in_btc_need_its_price() -> None:
    lost = made({}, "ETH/USDT", position=0.0)
    lost.tick(at(0, 1500.0, 0.5))
    assert quotes(lost) == []
    assert "btc_price" in lost.alerts[0]
    given = made(QUIET | {"btc_price": 30_000.0}, "ETH/USDT", position=0.0)
    given.tick(at(0, 1500.0, 0.5))
    assert quotes(given)[0].wants[0].quantity == pytest.approx(0.2)


def test_contracts_that_are_not_one_unit_are_not_quoted() -> None:
    contract = msgspec.structs.replace(make_instrument("SIM", "BTC/USDT"), multiplier=Decimal("0.01"))
    driver = EventDriver(lambda: MarketMaking.build({}), [contract])
    driver.tick(at(0))
    driver.tick(at(31))
    assert quotes(driver) == []
    assert len(driver.alerts) == 1
    assert "one contract is 0.01 BTC" in driver.alerts[0]


def test_a_perpetual_of_the_same_base_hedges() -> None:
    spot = make_instrument("SIM", "BTC/USDT")
    perpetual = msgspec.structs.replace(
        make_instrument("SIM", "BTC/USDT:USDT"),
        base=spot.base,
        quote=spot.quote,
        settle=spot.quote,
        kind=InstrumentKind.LINEAR_PERPETUAL,
    )
    driver = EventDriver(lambda: MarketMaking.build(QUIET | {"hedge": True}), [spot, perpetual])
    driver.markets[0].position = 0.25
    driver.tick(at(0))
    driver.tick(Tick(START_NS + S, 1, 19_990.0, 20_010.0))
    driver.tick(at(2))
    assert driver.markets[1].position == pytest.approx(-0.25)
    assert all(quote.instrument == spot.id for quote in quotes(driver))


def test_two_sided_nearly_always_and_in_range_on_a_random_market() -> None:
    driver = made({"btc_price": 0.0, "daily_loss_limit": 1e9})
    both = inside = 0
    ticks = walk_ticks(11, 4000, (20_000.0,), spread=0.0004, volatility=0.0004)
    for tick in ticks:
        driver.tick(tick)
        orders = driver.context.orders[driver.markets[0].id].values()
        both += len({order.side for order in orders}) == 2
        inside += 0.0 < driver.markets[0].position < 0.5
    assert both / len(ticks) > 0.95
    assert inside / len(ticks) > 0.90
    assert len(driver.fills) > 50
