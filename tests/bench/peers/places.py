"""Where the peers' environments and the data of the comparison lie: outside the checkout."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

__all__ = ["CHILDREN", "GENERATOR", "data_folder", "environment", "interpreter", "root"]

CHILDREN = Path(__file__).parent / "children"
GENERATOR = Path(__file__).resolve().parents[4] / "shared" / "bench" / "gen_data.py"
"""Makes the data; not part of the checkout."""
PLACE = "PEERS_FOLDER"


def root() -> Path:
    """The folder of all environments: that of the environment variable, or one among the user's caches."""
    chosen = os.environ.get(PLACE)
    return Path(chosen) if chosen else Path(platformdirs.user_cache_dir("quarterdeck-peers"))


def environment(name: str) -> Path:
    """The environment of a peer."""
    return root() / name


def interpreter(name: str) -> Path:
    """Its Python; need not be there."""
    return environment(name) / "bin" / "python"


def data_folder() -> Path:
    """Where the data are kept as columns."""
    return root() / "data"
