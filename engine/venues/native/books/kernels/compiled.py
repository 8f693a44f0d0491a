"""The decorator of the kernels, with a cache of machine code that is never older than any of them."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

from numba import config, njit
from platformdirs import user_cache_path

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["brief", "cache_folder", "compiled", "direct"]

_Function = TypeVar("_Function", bound="Callable[..., Any]")


def cache_folder(package: Path) -> Path:
    """Where the machine code of these sources is kept: beside their byte code, or in the user's cache if it cannot be.

    Numba looks for changes in the module of a function only, not in those of the functions it calls: the folder bears
    the digest of every module of the package, so that a change in any of them begins anew.

    Args:
        package: The folder that holds the modules.
    """
    digest = hashlib.sha256()
    for path in sorted(package.glob("*.py")):
        source = path.read_bytes()
        digest.update(f"{path.name} {len(source)} ".encode())
        digest.update(source)
    beside = package / "__pycache__"
    writable = os.access(beside if beside.exists() else package, os.W_OK)
    return (beside if writable else user_cache_path("quarterdeck") / "kernels") / digest.hexdigest()[:16]


_settings: Any = config
"""Numba's settings, which are set while it is imported."""
_FOLDER = cache_folder(Path(__file__).parent)


def compiled(function: _Function) -> _Function:
    """Compile at the first call, without the interpreter's lock, and keep the machine code."""
    return _made(function, nogil=True)


def brief(function: _Function) -> _Function:
    """As `compiled`, with the lock: for what takes less time than giving the lock away and taking it back."""
    return _made(function, nogil=False)


def _made(function: _Function, *, nogil: bool) -> _Function:
    theirs: str = _settings.CACHE_DIR
    _settings.CACHE_DIR = str(Path(theirs, _FOLDER.name) if theirs else _FOLDER)
    try:
        kernel: Any = njit(cache=True, nogil=nogil)(function)
    finally:
        _settings.CACHE_DIR = theirs
    return cast("_Function", kernel)


def direct(kernel: Any) -> Any:
    """The machine code of a kernel that was called once, for arguments of just the types it was called with.

    Half of what a call costs is finding out which code belongs to the types of its arguments.

    Raises:
        RuntimeError: It was called with several combinations of types, or not at all.
    """
    if len(kernel.signatures) != 1:
        raise RuntimeError(f"{kernel.__name__} has machine code for {len(kernel.signatures)} combinations of types")
    return kernel.get_overload(kernel.signatures[0])
