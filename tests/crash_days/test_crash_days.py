"""A fixed window of each crash day: which breaker acts, when, and what it keeps the bots from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine import events as ev
from engine.model.faults import BreakerState
from tests.crash_days.days import BITFINEX, OKX_FLAT, OKX_SILENT, at
from tests.crash_days.report import Watched

if TYPE_CHECKING:
    from pathlib import Path

    from tests.crash_days.world import World


def tripped(world: World) -> list[tuple[str, str, int]]:
    """Breaker, scope and time."""
    return [
        (record.event.breaker, record.event.scope.removeprefix("instrument:"), record.ts)
        for record in world.journal.records
        if isinstance(record.event, ev.BreakerTripped)
    ]


def entries_after(world: World, since: int) -> int:
    """Orders to buy that were booked after a time."""
    return sum(
        isinstance(record.event, ev.OrderIntended) and record.event.side == "buy" and record.ts > since
        for record in world.journal.records
    )


def test_the_fall_of_2017_opens_the_price_shock_and_nothing_is_bought_into_it(shared_data: Path) -> None:
    begin, end = at("2017-03-10 20:40"), at("2017-03-10 21:15")
    guarded = BITFINEX.world(shared_data, guards="all", begin=begin, end=end)
    guarded.run()
    acted = tripped(guarded)
    shock = next(ts for name, scope, ts in acted if (name, scope) == ("price_shock", "BITFINEX:BTC/USD"))
    assert shock == at("2017-03-10 21:02")
    assert {scope for name, scope, _ in acted if name == "price_shock"} == {"BITFINEX:BTC/USD", "BITFINEX:ETH/USD"}
    assert entries_after(guarded, max(ts for _, _, ts in acted)) == 0
    free = BITFINEX.world(shared_data, guards="none", begin=begin, end=end)
    free.run()
    assert tripped(free) == []
    assert entries_after(free, shock) > 0
    assert free.lowest < guarded.lowest


def test_flat_bars_without_volume_open_the_frozen_price(shared_data: Path) -> None:
    world = OKX_FLAT.world(shared_data, guards="all", begin=at("2022-12-18 08:20"), end=at("2022-12-18 08:55"))
    world.run()
    assert {(name, scope) for name, scope, _ in tripped(world)} == {
        ("frozen_price", "OKX:BTC/USDT"), ("frozen_price", "OKX:ETH/USDT"),
    }  # fmt: skip
    since = min(ts for _, _, ts in tripped(world))
    assert at("2022-12-18 08:50") < since < at("2022-12-18 08:51")
    assert world.circuit.state is BreakerState.CLOSED
    assert entries_after(world, since) == 0


def test_silence_opens_the_stale_feed_and_failing_calls_the_breaker_of_the_venue(shared_data: Path) -> None:
    world = OKX_SILENT.world(shared_data, guards="all", begin=at("2022-12-18 08:20"), end=at("2022-12-18 09:10"))
    seen = Watched(world, (at("2022-12-18 09:00"),))
    seen.run()
    assert {(name, scope) for name, scope, _ in tripped(world)} == {
        ("stale_feed", "OKX:BTC/USDT"), ("stale_feed", "OKX:ETH/USDT"),
    }  # fmt: skip
    assert {ts for _, _, ts in tripped(world)} == {at("2022-12-18 08:41") + 15_000_000_000}
    assert world.circuit.standing.trips > 0
    first = next(ts for ts, said in world.moments if said.startswith("technical breaker"))
    assert first == at("2022-12-18 08:41") + 15_000_000_000
    said = " ".join(row[1] for row in seen.rows)
    assert "would be refused: halted, unavailable, stale_market" in said
    assert entries_after(world, at("2022-12-18 08:41")) == 0
