"""What every test may ask for."""

from __future__ import annotations

import decimal
import gc
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.kit import memory_disk
from tests.kit.order import arrange

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent
COLLECT_AFTER = (50_000, 20, 50)
"""Of `gc.set_threshold`: apps of tests leave much behind at once, and little for long."""


def pytest_configure() -> None:
    """Keep files in memory, before anybody has asked where they belong."""
    memory_disk.use()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Let tests that wait begin first, where there are several workers."""
    workers: int = getattr(config, "workerinput", {}).get("workercount", 1)
    if workers > 1:
        items[:] = arrange(items, workers)


def pytest_collection_finish() -> None:
    """Spare the collector of garbage the modules and tests, which live to the end: it looked through them all day."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECT_AFTER)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of recorded market data beside the checkout; read-only."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        reason = f"the recorded market data is not at {folder}"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return folder


@pytest.fixture(autouse=True)
def _rounding_of_its_own() -> Iterator[None]:
    """Ccxt changes how the present thread's decimals round; no test inherits that from another."""
    with decimal.localcontext(decimal.Context()):
        yield
