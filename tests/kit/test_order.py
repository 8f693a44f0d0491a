"""Tests that wait begin first, and none is lost on the way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from tests.conftest import ROOT
from tests.kit.order import WAITING, arrange


@dataclass(frozen=True)
class Item:
    nodeid: str


def some_of(module: str, count: int) -> list[Any]:
    return [Item(f"{module}::test_{number}") for number in range(count)]


@pytest.mark.parametrize("workers", range(1, 9))
@pytest.mark.parametrize("computing", [0, 3, 200])
def test_every_test_is_there_once(workers: int, computing: int) -> None:
    items = some_of("tests/a.py", computing) + some_of(WAITING[0], 7) + some_of(WAITING[1], 4)
    arranged = arrange(items, workers)
    assert sorted(arranged, key=str) == sorted(items, key=str)


def test_half_of_the_workers_begin_with_those_that_wait() -> None:
    items = some_of("tests/a.py", 50) + some_of(WAITING[1], 2) + some_of(WAITING[0], 2) + some_of("tests/b.py", 46)
    arranged = arrange(items, 4)
    waits = [item.nodeid.startswith(WAITING) for item in arranged]
    assert [index for index, waiting in enumerate(waits) if waiting] == [0, 1, 50, 51]
    assert [arranged[index].nodeid for index in (0, 50)] == [f"{WAITING[0]}::test_0", f"{WAITING[0]}::test_1"]


def test_every_module_that_waits_is_there() -> None:
    assert [module for module in WAITING if not (ROOT / module).is_file()] == []
