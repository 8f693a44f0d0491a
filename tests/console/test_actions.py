"""The registry of actions is the only source of keys: no binding beside it, no letter with two faces."""

from __future__ import annotations

import importlib
import pkgutil
from typing import TYPE_CHECKING

import pytest
from textual.binding import Binding
from textual.dom import DOMNode

import console
import screens
import widgets
from console.actions import (
    ALL_SCREENS,
    SCREENS,
    Tier,
    actions_of,
    bindings,
    by_binding,
    find_action,
    key_label,
    keys_label,
    registry,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

WIDGET_SCOPES = ("move", "table", "ladder", "chart", "log")
# A table takes these keys only while there is something for them to do, or opens what a screen's own key opens too.
YIELDING = {"table.filter", "table.next_match", "table.previous_match", "table.clear_filter", "chart.hide_crosshair"}


def our_classes() -> Iterator[type[DOMNode]]:
    """Every class of ours that may bind keys."""
    for package in (console, screens, widgets):
        for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            for value in vars(importlib.import_module(module.name)).values():
                if isinstance(value, type) and issubclass(value, DOMNode) and value.__module__ == module.name:
                    yield value


def test_every_binding_of_ours_is_an_action_of_the_registry_with_its_keys_and_handler() -> None:
    strangers = []
    for owner in our_classes():
        for binding in Binding.make_bindings(vars(owner).get("BINDINGS", ())):
            action = by_binding(binding)
            if action is None:
                strangers.append(f"{owner.__name__}: {binding.key}")
                continue
            wanted = {made.key for made in Binding.make_bindings([Binding(action.keys, "", "")])}
            if binding.key not in wanted or binding.action != action.handler:
                strangers.append(f"{owner.__name__}: {binding.key} -> {binding.action}, not as {action.id} has it")
    assert strangers == []


def test_every_handler_exists_where_its_scope_is_bound() -> None:
    missing = []
    for owner in our_classes():
        for binding in Binding.make_bindings(vars(owner).get("BINDINGS", ())):
            name = binding.action.partition("(")[0]
            if not name.startswith(("app.", "screen.")) and not hasattr(owner, f"action_{name}"):
                missing.append(f"{owner.__name__}.action_{name}")
    assert missing == []


def test_an_action_says_what_it_does_in_a_sentence() -> None:
    for action in registry().values():
        assert action.help.endswith("."), action.id
        assert action.label, action.id
        assert len(action.help) <= 90, action.id


def test_letters_that_destroy_do_nothing_harmless_anywhere() -> None:
    dangerous = {key: action.id for action in registry().values() if action.danger for key in action.key_list}
    harmless = {key: action.id for action in registry().values() if not action.danger for key in action.key_list}
    assert {key: (dangerous[key], harmless[key]) for key in dangerous.keys() & harmless.keys()} == {}


def test_what_destroys_asks_first() -> None:
    assert [action.id for action in registry().values() if action.danger and action.tier is Tier.FREE] == []


@pytest.mark.parametrize("screen", ALL_SCREENS)
def test_on_a_screen_a_key_does_one_thing(screen: str) -> None:
    seen: dict[str, str] = {}
    for scope in ("app", "focus", screen):
        for action in actions_of(scope):
            for key in action.key_list:
                assert key not in seen, f"{key}: {action.id} and {seen.get(key)}"
                seen[key] = action.id
    hidden = [
        (action.id, seen[key])
        for scope in WIDGET_SCOPES
        for action in actions_of(scope)
        for key in action.key_list
        if key in seen and action.id not in YIELDING and find_action(seen[key]).scope != screen
    ]
    assert hidden == []


def test_within_a_pane_a_key_does_one_thing() -> None:
    for scope in {action.scope for action in registry().values()}:
        keys = [key for action in actions_of(scope) for key in action.key_list]
        assert len(keys) == len(set(keys)), scope


def test_each_screen_has_a_number_key_in_the_order_of_the_bar() -> None:
    assert [find_action(f"app.{name}").keys for name in SCREENS] == ["1", "2", "3", "4", "5", "6", "7"]
    assert find_action("app.quality").keys == "8"


def test_bindings_carry_the_actions_id_so_that_a_keymap_can_change_them() -> None:
    made = {binding.id for binding in bindings("market") if isinstance(binding, Binding)}
    assert made == {action.id for action in actions_of("market") if action.keys}


@pytest.mark.parametrize(
    ("key", "label"),
    [
        ("ctrl+x", "^x"),
        ("question_mark", "?"),
        ("shift+tab", "Shift+Tab"),
        ("left_square_bracket", "["),
        ("ctrl+up", "^↑"),
        ("G", "G"),
    ],
)
def test_keys_are_written_as_people_write_them(key: str, label: str) -> None:
    assert key_label(key) == label


def test_several_keys_are_written_side_by_side() -> None:
    assert keys_label("q,ctrl+c") == "q ^c"
