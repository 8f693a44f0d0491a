"""Every test that runs a console runs it twice: through the door in the process, and through a real socket."""

from __future__ import annotations

import inspect
import re
from functools import cache
from types import FunctionType, ModuleType
from typing import TYPE_CHECKING, Any

import pytest

from tests.kit import deck
from tests.kit.doors import DOORS, door_to, through

if TYPE_CHECKING:
    from collections.abc import Iterator

    from syrupy.assertion import SnapshotAssertion

OPENERS = (deck.console, deck.make_app, door_to)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if _opens_a_console(metafunc.function, metafunc.module):
        metafunc.fixturenames.append("door")
        metafunc.parametrize("door", DOORS, indirect=True)


@cache
def _opens_a_console(function: FunctionType, module: ModuleType) -> bool:
    """Whether a test, or a function of its module that it calls, opens a console."""
    openers = {inspect.unwrap(opener) for opener in OPENERS}
    seen: set[Any] = set()
    look: list[Any] = [inspect.unwrap(function)]
    while look:
        called = [getattr(module, name, None) for name in _names(look.pop().__code__)]
        functions = {inspect.unwrap(value) for value in called if isinstance(value, FunctionType)} - seen
        if functions & openers:
            return True
        seen |= functions
        look += [found for found in functions if found.__module__ == module.__name__]
    return False


def _names(code: Any) -> set[str]:
    names = set(code.co_names)
    for constant in code.co_consts:
        if hasattr(constant, "co_names"):
            names |= _names(constant)
    return names


@pytest.fixture
def door(request: pytest.FixtureRequest) -> Iterator[str]:
    """Through which door the test's consoles reach their link."""
    with through(request.param):
        yield request.param


@pytest.fixture(autouse=True)
def _no_naps() -> Iterator[None]:
    """Pictures are taken by a pilot of their own."""
    with deck.quick():
        yield


@pytest.fixture
def snapshot(snapshot: SnapshotAssertion) -> SnapshotAssertion:
    """The same picture, whichever door it was drawn through."""
    location = snapshot.test_location
    either = "|".join(DOORS)
    plain = re.sub(rf"\[({either})\]$|(?<=\[)({either})-|-({either})(?=\]$)", "", location.testname)
    for name in ("testname", "nodename"):
        object.__setattr__(location, name, plain)
    return snapshot
