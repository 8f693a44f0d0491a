"""What every test may ask for."""

from __future__ import annotations

import gc
import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
COLLECT_AFTER = (10_000, 10, 10)
"""Of `gc.set_threshold`: apps of tests leave much behind at once, and little for long."""


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
