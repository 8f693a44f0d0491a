"""Bytes and rows as bare pointers: nothing is counted and no index is bent, which is most of a kernel's time.

Whoever calls a kernel holds what is pointed to meanwhile.
"""

from __future__ import annotations

from typing import Any, cast

import numba.core.cgutils
import numba.types
from numba.extending import intrinsic

__all__ = ["row_of", "view"]

_cgutils: Any = numba.core.cgutils
_types: Any = numba.types


def _view(_: Any, data: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return _cgutils.create_struct_proxy(signature.args[0])(context, builder, arguments[0]).data

    return _types.CPointer(_types.uint8)(data), generate


def _row_of(_: Any, rows: Any, row: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array = _cgutils.create_struct_proxy(signature.args[0])(context, builder, arguments[0])
        width = _cgutils.unpack_tuple(builder, array.shape)[1]
        return builder.gep(array.data, [builder.mul(arguments[1], width)])

    return _types.CPointer(_types.int64)(rows, _types.int64), generate


_intrinsic = cast("Any", intrinsic)
view = _intrinsic(_view)
"""`view(data)` points to the first of the bytes."""
row_of = _intrinsic(_row_of)
"""`row_of(rows, k)` points to the first number of a row of a whole array of two dimensions."""
