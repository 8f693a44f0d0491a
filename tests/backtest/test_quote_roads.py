"""The compiled road of quoting sweeps gives the fills of the event path, on random quotes and random figures."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from engine.backtest.markets.kernel import quote_faults, run_rule, sweep_rule
from engine.backtest.markets.run import MarketsRun
from engine.events import OrderFilled
from strategies.market_making.rule_quoter import RuleQuoter
from tests.kit.quoting import quote_spec, quote_tape, random_quotes

CAPITAL = 1_000_000.0
DEFAULTS = RuleQuoter.Params().model_dump()


def figures(seed: int) -> dict[str, Any]:
    """Random figures of the rule, among them those of every branch."""
    rng = np.random.default_rng(seed)
    return {
        "spread": float(rng.choice([0.0, 1e-6, 5e-6, 2e-5])),
        "levels": int(rng.integers(1, 4)),
        "level_step": float(rng.choice([0.5, 1.0, 3.0])),
        "size": float(rng.choice([0.003, 0.5, 3.0])),
        "size_growth": float(rng.choice([1.0, 1.5])),
        "max_position": float(rng.choice([0.01, 1.0, 10.0])),
        "skew": float(rng.choice([0.0, 1.0, 4.0])),
        "every": int(rng.choice([1, 3, 25])),
        "tolerance": float(rng.choice([0.0, 1e-6, 5e-6])),
        "replace_all": bool(rng.integers(2)),
        "short": bool(rng.integers(2)),
    }


def event_fills(params: dict[str, Any], columns: dict[str, Any]) -> tuple[list[tuple[int, int, int, int]], float]:
    """Row, side, scaled price and scaled quantity of each fill of the event path, and the equity at the end."""
    tape = quote_tape(columns)
    run = MarketsRun(quote_spec(), RuleQuoter.build(params), [tape])
    rows = {ts: row for row, ts in enumerate(tape.ts.tolist())}
    fills: list[tuple[int, int, int, int]] = []

    def hear(record: Any) -> None:
        if isinstance(record.event, OrderFilled):
            fill, made = record.event.fill, tape.instrument
            price, quantity = made.price_to_int(fill.price), made.quantity_to_int(fill.quantity)
            fills.append((rows[fill.ts], fill.side.sign, price, quantity))

    run.ledger.subscribe(hear)
    result = run.run()
    assert set(result.refusals) <= {"post_only"}
    return fills, float(result.equity[-1])


def test_both_roads_fill_alike() -> None:
    seen = 0
    for seed in range(20):
        params, columns = figures(seed), random_quotes(seed, 200)
        expected, equity = event_fills(params, columns)
        found = run_rule(quote_tape(columns), {**DEFAULTS, **params}, CAPITAL)
        got = list(
            zip(found.row.tolist(), found.side.tolist(), found.price.tolist(), found.quantity.tolist(), strict=True)
        )
        assert got == expected, (seed, params)
        assert found.figures["equity"] == pytest.approx(equity, rel=1e-12), (seed, params)
        assert found.figures["fills"] == len(expected)
        seen += len(expected)
    assert seen > 200


def test_a_sweep_is_each_of_its_passes() -> None:
    tape = quote_tape(random_quotes(5, 3000))
    sets = [{**DEFAULTS, **figures(seed)} for seed in range(30, 36)]
    table = sweep_rule(tape, sets, CAPITAL)
    for row, params in zip(table, sets, strict=True):
        assert row.tolist() == list(run_rule(tape, params, CAPITAL).figures.values())


def test_what_the_compiled_road_cannot_follow_is_named() -> None:
    tape = quote_tape(random_quotes(6, 100))
    good = {**DEFAULTS, "size": 0.5, "max_position": 1.0, "short": True}
    assert quote_faults(tape, [good], CAPITAL) == []
    assert "give more capital" in quote_faults(tape, [good], 1000.0)[0]
    assert "smaller than the market takes" in quote_faults(tape, [{**good, "size": 0.0004}], CAPITAL)[0]
