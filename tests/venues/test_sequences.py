"""Sequence rules, case by case as the exchanges document them."""

from __future__ import annotations

import pytest

from engine.venues.sequences import Step, binance_step, coinbase_step, okx_step


@pytest.mark.parametrize(
    ("first", "final", "previous", "bridged", "step"),
    [
        (101, 105, None, True, Step.FOLLOWS),
        (99, 105, None, False, Step.FOLLOWS),  # the first one spans the snapshot
        (99, 105, None, True, Step.FOLLOWS),  # another connection cuts elsewhere
        (90, 100, None, True, Step.STALE),
        (102, 105, None, True, Step.GAP),
        (102, 105, None, False, Step.GAP),
        (140, 150, 100, True, Step.FOLLOWS),  # USD-M: ids leave holes, pu joins them
        (140, 150, 90, False, Step.FOLLOWS),  # the snapshot's id lies in the hole before the first diff
        (140, 150, 90, True, Step.GAP),
        (140, 150, 101, False, Step.GAP),
        (95, 150, 80, False, Step.FOLLOWS),
        (90, 99, 80, True, Step.STALE),
    ],
)
def test_binance(first: int, final: int, previous: int | None, bridged: bool, step: Step) -> None:
    assert binance_step(100, first, final, previous, bridged=bridged) is step


@pytest.mark.parametrize(
    ("previous", "final", "step"),
    [
        (100, 104, Step.FOLLOWS),
        (100, 100, Step.FOLLOWS),  # nothing changed for a minute
        (100, 3, Step.FOLLOWS),  # numbers begin anew in maintenance
        (95, 100, Step.STALE),  # the last one came twice
        (104, 108, Step.GAP),
        (3, 10, Step.GAP),  # the message in which numbers began anew was missed: lower, and not old
    ],
)
def test_okx(previous: int, final: int, step: Step) -> None:
    assert okx_step((95, 100), previous, final) is step


@pytest.mark.parametrize(
    ("last", "number", "step"),
    [(None, 7, Step.FOLLOWS), (7, 8, Step.FOLLOWS), (7, 7, Step.STALE), (7, 2, Step.STALE), (7, 9, Step.GAP)],
)
def test_coinbase(last: int | None, number: int, step: Step) -> None:
    assert coinbase_step(last, number) is step
