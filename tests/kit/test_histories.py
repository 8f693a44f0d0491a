"""The maker of histories makes valid ones, of every kind, and the same ones again."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, get_args

from hypothesis import given, settings

from engine import events as ev
from engine.state import EngineState
from tests.kit.histories import PROPERTY_MIX, HistoryMaker, histories, kinds, session

if TYPE_CHECKING:
    from engine.events import Record


def test_a_session_is_the_same_for_the_same_seed_and_another_for_another() -> None:
    assert session(500, seed=4) == session(500, seed=4)
    assert session(500, seed=4) != session(500, seed=5)


def test_a_session_has_at_least_fifteen_percent_fills() -> None:
    records = session(5_000)
    assert kinds(records)["OrderFilled"] >= 0.15 * len(records)


def test_everything_that_can_happen_happens() -> None:
    maker = HistoryMaker(random.Random(2), bots=2, mix=PROPERTY_MIX, wanted_open=8)
    missing = {kind.__name__ for kind in get_args(ev.Event)} - set(kinds(maker.grow(6_000)))
    assert missing == set()


@settings(max_examples=30, deadline=None)
@given(histories())
def test_a_history_folds_without_a_contradiction(records: list[Record]) -> None:
    state = EngineState()
    for record in records:
        state.apply(record)
    assert state.seq == len(records)
