"""How views look in JSON: decimals and ids as strings, times as integers; what goes out comes back equal."""

from __future__ import annotations

from typing import Any, TypeVar, overload

import msgspec

from engine.errors import QuarterdeckError

__all__ = ["check", "decode", "encode"]

T = TypeVar("T")

_encoder = msgspec.json.Encoder(decimal_format="string")


def encode(data: Any) -> bytes:
    """A view, or a list or tuple of views, as JSON."""
    return _encoder.encode(data)


@overload
def decode(body: bytes, kind: type[T]) -> T: ...


@overload
def decode(body: bytes, kind: Any) -> Any: ...


def decode(body: bytes, kind: Any) -> Any:
    """Read JSON as a view type such as `BookView` or `list[OrderRow]`.

    Raises:
        QuarterdeckError: It does not fit the type.
    """
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.MsgspecError as error:
        raise QuarterdeckError(f"A message cannot be understood: {error}.") from error


def check(data: Any) -> None:
    """Encode, decode and compare.

    Raises:
        QuarterdeckError: The data does not survive the wire.
    """
    if isinstance(data, list | tuple):
        for item in data:
            check(item)
        return
    if decode(encode(data), type(data)) != data:
        raise QuarterdeckError(f"A {type(data).__name__} does not survive being sent: {data!r}.")
