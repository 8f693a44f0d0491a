"""Where in a strategy's file an exception came from."""

from __future__ import annotations

import inspect
import traceback

__all__ = ["THEIR_FAULTS", "cause_text", "line_in", "source_file"]

THEIR_FAULTS = (Exception, SystemExit)
"""What a strategy's own code may raise without taking anybody else down; cancelling and interrupts pass."""


def source_file(cls: type) -> str:
    """Path of the file that a class was written in; empty where there is none."""
    try:
        return inspect.getfile(cls)
    except (OSError, TypeError):
        return ""


def line_in(error: BaseException, file: str) -> int | None:
    """Number of the line in `file` that the exception passed through last; None when it did not."""
    if isinstance(error, SyntaxError) and error.filename == file:
        return error.lineno
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
    return lines[-1] if lines else None


def cause_text(error: BaseException) -> str:
    """Type and message of an exception in one line."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
