"""How the parts of the compiled pass are compiled: called by one another alone, and kept on disk as one piece."""

from __future__ import annotations

from typing import Any

from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

__all__ = ["borrowed", "part", "pointer"]

_INNER: dict[str, Any] = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}
_null: Any = cgutils.get_null_value
_pointer_to: Any = types.CPointer

part: Any = njit(nogil=True, error_model="numpy", **_INNER)
"""Decorates a function that only compiled code calls. A division by zero gives infinity or NaN, as in numpy."""


@intrinsic
def borrowed(_context: Any, array: Any) -> Any:
    """The same array without a share in its ownership, so that handing it on counts no references.

    Counting them would be the dearest part of a bar. Whoever calls must hold the array itself as long as it is used.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        view = context.make_array(signature.args[0])(context, builder, arguments[0])
        view.meminfo = _null(view.meminfo.type)
        view.parent = _null(view.parent.type)
        return view._getvalue()

    return array(array), generate


@intrinsic
def pointer(_context: Any, array: Any) -> Any:
    """Where the numbers of a contiguous array begin, for indexing with one whole number; see `borrowed`."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return context.make_array(signature.args[0])(context, builder, arguments[0]).data

    return _pointer_to(array.dtype)(array), generate
