"""Text from outside, made safe for a terminal: the one place that says what may be shown.

Venue symbols, order tags, log lines and the errors of a strategy's file are written by others. Control codes, terminal
escape sequences, bidirectional overrides and zero-width characters never reach the terminal.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

__all__ = ["clean", "clean_lines", "escape_json"]

# CSI, OSC/DCS/APC/PM/SOS strings up to their terminator, and the two-character escapes.
_ESCAPES = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]?"
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)?"
    r"|\x1b[ -/]*[0-~]?"
)
_WHITE = re.compile(r"[\t\r\n\x0b\x0c\x85\u2028\u2029]+")
# Cc control, Cf format (bidi overrides, zero-width joiners), Co private use, Cs surrogates, Cn unassigned,
# and combining marks that NFC could not fold: all of them break cell arithmetic or the reader's trust.
_REFUSED = frozenset({"Cc", "Cf", "Co", "Cs", "Cn", "Mn", "Me"})


@lru_cache(maxsize=8192)
def clean(text: str) -> str:
    """Return ``text`` as one line without anything that could move the cursor, recolour or reorder the screen."""
    if text.isascii() and text.isprintable():
        return text
    text = _WHITE.sub(" ", _ESCAPES.sub("", text))
    text = unicodedata.normalize("NFC", text)
    return "".join(char for char in text if unicodedata.category(char) not in _REFUSED)


def clean_lines(text: str) -> str:
    """Return ``text`` with each of its lines clean; only a line feed begins a new line."""
    return "\n".join(clean(line) for line in text.split("\n"))


def escape_json(text: str) -> str:
    r"""Return JSON text with what a terminal would obey written as ``\uXXXX``: the data it holds stays the same."""
    if text.isascii() and "\x7f" not in text:
        return text
    return "".join(
        _as_units(char) if char != "\n" and unicodedata.category(char) in _REFUSED else char for char in text
    )


def _as_units(char: str) -> str:
    units = char.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))
