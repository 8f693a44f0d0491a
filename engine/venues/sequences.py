"""Sequence rules of books, one definition each: does a message follow what is known, or is it old, or is one missing.

Every rule is a plain function of numbers, used by the live books and by the readers of captures alike.
"""

from __future__ import annotations

import enum

__all__ = ["Step", "binance_step", "coinbase_step", "okx_step"]


class Step(enum.IntEnum):
    """How a message stands to the book."""

    FOLLOWS = 0
    STALE = 1
    """Everything in it is known already."""
    GAP = 2
    """Something between the book and this message is missing."""


def binance_step(last: int, first: int, final: int, previous: int | None, *, bridged: bool) -> Step:
    """Binance: each diff covers the update ids from `first` (U) to `final` (u).

    Spot: diffs join without holes, so a diff may begin anywhere up to the id after `last`. USD-M: ids belong to many
    symbols and leave holes; each diff names the `final` of the one before it (`previous`, pu), and covers all between.
    A diff that overlaps what is known does no harm: its levels are absolute, and are those of its last id.

    Args:
        last: Update id that the book stands at: the snapshot's `lastUpdateId`, or `final` of the last diff.
        first: `U`.
        final: `u`.
        previous: `pu`; None on the spot market.
        bridged: Whether a diff has followed the snapshot. Until then the snapshot's own id may lie in a hole.
    """
    if final <= last:
        return Step.STALE
    if first <= last + 1 or previous == last:
        return Step.FOLLOWS
    if previous is not None and previous <= last and not bridged:
        return Step.FOLLOWS
    return Step.GAP


def okx_step(last: tuple[int, int], previous: int, final: int) -> Step:
    """OKX: each message names the one before it.

    Numbers are compared for equality only: during maintenance they begin anew (`final` below `previous`), and a message
    without changes repeats its own (`final` equal to `previous`).

    Args:
        last: (prevSeqId, seqId) of the last message.
        previous: `prevSeqId`.
        final: `seqId`.
    """
    if previous == last[1]:
        return Step.FOLLOWS
    return Step.STALE if (previous, final) == last else Step.GAP


def coinbase_step(last: int | None, number: int) -> Step:
    """Coinbase: all messages of one connection are counted, whatever their channel.

    Args:
        last: `sequence_num` of the connection's last message; None before the first.
        number: Of this one.
    """
    if last is None or number == last + 1:
        return Step.FOLLOWS
    return Step.STALE if number <= last else Step.GAP
