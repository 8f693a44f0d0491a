"""Machine code from the cache belongs to the sources that stand there now."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from numba import config

from engine.venues.native.books import kernels
from engine.venues.native.books.kernels import compiled


def test_a_change_of_any_module_begins_a_new_cache(tmp_path: Path) -> None:
    (tmp_path / "caller.py").write_text("one")
    (tmp_path / "callee.py").write_text("two")
    before = compiled.cache_folder(tmp_path)
    assert compiled.cache_folder(tmp_path) == before
    (tmp_path / "callee.py").write_text("too")
    assert compiled.cache_folder(tmp_path) != before


def test_the_kernels_use_that_cache_and_leave_numbas_settings_alone() -> None:
    settings: Any = config
    folder = compiled.cache_folder(Path(kernels.__path__[0])).name
    for name in ("binance_move", "okx_crc", "coinbase_level2", "take"):
        kernel = getattr(kernels, name)
        assert folder in kernel.stats.cache_path
    assert folder not in settings.CACHE_DIR


def test_machine_code_is_called_directly_only_where_there_is_no_choice() -> None:
    @compiled.compiled
    def plus(one: int, two: int) -> int:
        return one + two

    with pytest.raises(RuntimeError, match="0 combinations"):
        compiled.direct(plus)
    assert plus(1, 2) == compiled.direct(plus)(1, 2) == 3
    assert plus(1.5, 2) == 3.5  # type: ignore[arg-type]
    with pytest.raises(RuntimeError, match="2 combinations"):
        compiled.direct(plus)
