"""The seeded data of the workloads, written once as plain column files that every peer can read."""

from __future__ import annotations

import hashlib
import importlib.util
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.errors import DataError
from engine.model.candle import Bars
from tests.bench.peers.places import GENERATOR, data_folder

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["BARS_5Y", "BARS_YEAR", "QUOTES", "SEED", "as_bars", "digest", "ensure", "pairs", "read", "write"]

SEED = 42
BARS_YEAR, BARS_5Y, QUOTES = 525_600, 2_628_000, 1_000_000
SETS = {"1y": BARS_YEAR, "5y": BARS_5Y, "quotes": QUOTES}
SUFFIX = {"i": ".q", "f": ".d"}


def ensure(name: str) -> Path:
    """The folder of a data set (`1y`, `5y` or `quotes`), written when it is missing.

    Raises:
        DataError: The generator is not there.
    """
    folder = data_folder() / name
    if not folder.is_dir():
        columns = _generated(name)
        write(folder, columns)
    return folder


def _generated(name: str) -> dict[str, Any]:
    if not GENERATOR.is_file():
        raise DataError(f"The generator of the data is not at {GENERATOR}; put the shared folder beside the checkout.")
    spec = importlib.util.spec_from_file_location("gen_data", GENERATOR)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    if name == "quotes":
        frame = module.quotes(QUOTES, SEED).rename(columns={"ts_ns": "ts"})
    else:
        frame = module.bars(SETS[name], SEED).rename(columns={"timestamp": "ts"})
    return {str(column): frame[column].to_numpy() for column in frame.columns}


def write(folder: Path, columns: Mapping[str, Any]) -> None:
    """Write columns of integers or doubles, the folder as a whole."""
    part = folder.with_name(folder.name + ".part")
    part.mkdir(parents=True, exist_ok=True)
    for name, values in columns.items():
        kind = values.dtype.kind
        kept = values.astype(np.int64 if kind == "i" else np.float64)
        (part / f"{name}{SUFFIX[kind]}").write_bytes(kept.tobytes())
    part.rename(folder)


def read(folder: Path, most: int = 0) -> dict[str, Any]:
    """The columns of a folder, at most so many rows; 0 for all."""
    kinds = {".q": np.int64, ".d": np.float64}
    return {
        path.stem: np.fromfile(path, dtype=kinds[path.suffix], count=most or -1) for path in sorted(folder.iterdir())
    }


def as_bars(columns: Mapping[str, Any]) -> Bars:
    """One-minute bars as the product has them."""
    ts = columns["ts"] * 1_000_000
    return Bars("1m", ts, *(columns[name] for name in ("open", "high", "low", "close", "volume")))


def digest(folder: Path) -> str:
    """A short hash of a data set, for the report."""
    found = hashlib.blake2b(digest_size=6)
    for path in sorted(folder.iterdir()):
        found.update(path.name.encode())
        found.update(path.read_bytes())
    return found.hexdigest()


def pairs() -> list[tuple[int, int]]:
    """The 100 pairs of W3."""
    return [(fast, slow) for fast in range(5, 55, 5) for slow in range(60, 260, 20)]
