"""Scopes and how they are written."""

from __future__ import annotations

import pytest

from engine.risk.scopes import Scope
from tests.risk.house import BOT, BTC, ETH, OTHER_BOT, VENUE


@pytest.mark.parametrize(
    ("scope", "key"),
    [
        (Scope(), "engine"),
        (Scope(venue=VENUE), "venue:SIM"),
        (Scope(instrument=BTC), "instrument:SIM:BTC/USDT"),
        (Scope(owner=BOT), "bot1"),
    ],
)
def test_a_scope_is_read_as_it_is_written(scope: Scope, key: str) -> None:
    assert scope.key == key
    assert Scope.parse(key) == scope
    assert key in Scope.keys_of(BTC, BOT)
    assert scope.covers(BTC, BOT)


def test_a_scope_covers_only_its_own() -> None:
    assert not Scope(instrument=BTC).covers(ETH, BOT)
    assert not Scope(owner=BOT).covers(BTC, OTHER_BOT)
    assert not Scope.parse("venue:OTHER").covers(BTC, BOT)


def test_a_scope_names_one_thing() -> None:
    with pytest.raises(ValueError, match="not several"):
        Scope(venue=VENUE, owner=BOT)
