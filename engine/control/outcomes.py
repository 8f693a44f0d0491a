"""Answers to mutating requests on their way to another process, so that a repeat gets the first one there as well."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec

from engine.control.protocol import ERRORS
from engine.control.replies import reply_type
from engine.control.wire import decode, encode
from engine.errors import QuarterdeckError

__all__ = ["Outcome", "answer_of", "pack"]


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """A mutating request that has been answered."""

    request_id: str
    operation: str
    request: bytes
    """The request as JSON."""
    age_ns: int
    """How long ago it was begun."""
    reply: bytes = b""
    """The reply as JSON; empty when it was refused."""
    kind: str = ""
    """With what it was refused: the error's kind; empty when it was done."""
    message: str = ""
    error_code: str | None = None


def pack(request_id: str, operation: str, request: bytes, age_ns: int, result: asyncio.Future[Any]) -> Outcome:
    """An answered request as plain values.

    Args:
        request_id: The caller's.
        operation: What was asked for.
        request: With which fields, as JSON.
        age_ns: How long ago.
        result: Done, and not cancelled.
    """
    error = result.exception()
    if error is None:
        return Outcome(
            request_id=request_id, operation=operation, request=request, age_ns=age_ns, reply=encode(result.result())
        )
    told = error if isinstance(error, QuarterdeckError) else QuarterdeckError(str(error))
    return Outcome(
        request_id=request_id,
        operation=operation,
        request=request,
        age_ns=age_ns,
        kind=told.kind,
        message=told.message,
        error_code=told.error_code,
    )


def answer_of(outcome: Outcome) -> asyncio.Future[Any]:
    """The answer as it was given; in the running loop.

    Raises:
        QuarterdeckError: This release does not understand the reply.
    """
    answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    if outcome.kind:
        kind = ERRORS.get(outcome.kind, QuarterdeckError)
        answer.set_exception(kind(outcome.message, error_code=outcome.error_code))
        # Whoever asks again hears it; that nobody does is no fault.
        answer.exception()
    else:
        answer.set_result(decode(outcome.reply, reply_type(outcome.operation)))
    return answer
