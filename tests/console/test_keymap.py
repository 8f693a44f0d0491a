"""A person's own keys are taken where they are free, reported where they are not, and the page of keys is current."""

from __future__ import annotations

import pytest

from console.actions import actions_of, registry
from console.keymap import Keymap, keys_page
from tests.conftest import ROOT


def test_without_wishes_the_registrys_keys_hold() -> None:
    keymap = Keymap()
    assert keymap.label("market.buy") == "b"
    assert keymap.labels("app.quit") == "q ^c"
    assert keymap.problems == []
    assert keymap.overrides == {}


def test_a_free_key_is_taken_and_shown() -> None:
    keymap = Keymap({"market.buy": "f5", "app.activity": "$"})
    assert keymap.problems == []
    assert keymap.label("market.buy") == "f5"
    assert keymap.overrides == {"market.buy": "f5", "app.activity": "dollar_sign"}


@pytest.mark.parametrize(
    ("action", "keys", "said"),
    [
        ("market.bye", "f5", "there is no action 'market.bye'. Did you mean market.buy?"),
        ("market.buy", "s", "s of market.buy is taken by market.sell (Sell)"),
        ("market.buy", "3", "3 of market.buy is taken by app.portfolio"),
        ("market.buy", "j", "j of market.buy is taken by move.down"),
        ("table.sort", "c", "c of table.sort is taken by portfolio.cancel"),
        ("app.help", "ctrl+x", "taken by app.emergency"),
        ("market.buy", " ", "is given no key"),
    ],
)
def test_a_key_that_is_taken_is_reported_and_the_default_stays(action: str, keys: str, said: str) -> None:
    keymap = Keymap({action: keys})
    assert len(keymap.problems) == 1
    assert said in keymap.problems[0]
    assert keymap.overrides == {}


def test_a_key_that_was_given_away_is_free() -> None:
    assert Keymap({"market.sell": "f6", "market.buy": "s"}).problems == []
    assert Keymap({"market.buy": "s", "market.sell": "b"}).problems == []


def test_keys_that_come_back_from_a_refused_wish_are_taken_again() -> None:
    keymap = Keymap({"market.sell": "1", "market.buy": "s"})
    assert len(keymap.problems) == 2
    assert keymap.overrides == {}


def test_two_screens_may_use_the_same_key() -> None:
    keymap = Keymap({"market.timeframe": "f7", "market.pane": "f8"})
    assert keymap.problems == []


def test_the_page_of_keys_is_current() -> None:
    written = (ROOT / "docs" / "keys.md").read_text(encoding="utf-8")
    assert written == keys_page(), "run: python -m console.keymap > docs/keys.md"


def test_the_page_of_keys_names_every_action() -> None:
    page = keys_page()
    assert [action.id for action in registry().values() if f"`{action.id}`" not in page] == []
    assert all(action.help in page for action in actions_of("market"))
