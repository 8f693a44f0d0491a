"""The peers: what is installed, what each can run, and in what its fills differ from the plain loops."""

from __future__ import annotations

from typing import NamedTuple

LOT = "0.000001"
__all__ = ["LOT", "OURS", "PEERS", "WORKLOADS", "Peer", "Road", "peer_named"]

WORKLOADS = ("W1", "W2", "W3", "W4")
"""SMA cross, z-score with stop and target, 100 pairs of the first, a quoter on quotes."""


class Road(NamedTuple):
    """One way in which a program runs one workload."""

    workload: str
    kind: str
    """`columns` (signals are arrays), `event` (something is called at every bar), `quotes`."""
    variant: str = ""
    """What the child is asked for when it has several ways."""
    sized_at: str = "close"
    """What 95 % are divided by: the price of the decision (`close`), of the fill (`open`), or of the fill with its fee
    (`paid`)."""
    levels_from: str = "close"
    """Whether stop and target lie around the price of the decision (`close`) or of the fill (`entry`)."""
    entry_bar_levels: bool = True
    """Whether a stop can end a trade in the bar of its entry."""
    both_levels: str = "stop"
    """What is met in a bar that holds both: the `stop`, the `target`, or the target in a falling bar (`by colour`)."""
    enters_after_level: str = "at once"
    """When an entry may be asked for after a level was met: at that bar's close (`at once`), at the next one's (`a bar
    later`), or not before an exit signal (`exit signal`)."""
    exit_at_levels: str = "gap"
    """`gap`: what the open has jumped over is met at the open; `stop gap`: stops only; `level`: always at the level."""
    signal_before_levels: bool = True
    """Whether an exit that was decided at the last close, at this open, comes before a level inside this bar."""
    ends_at: str = "close"
    """Whether what is open at the end is sold at the last `close` or `open`, or only valued (`mark`) at the close."""
    tick: str = "0"
    """Levels are rounded to multiples of it; 0 for none."""
    fills_at: str = "open"
    """`open` of the next bar or `close` of the bar of the decision."""
    lot: str = "0"
    """Quantities are whole multiples of it; 0 for any quantity."""
    quick: int = 0
    """With --quick: so many bars (W1, W2), pairs (W3) or quotes (W4); 0 for all of them."""
    agrees: str = "exact"
    """`exact`: trades and equity must be the plain loop's under these settings; `named`: differences are told."""
    note: str = ""
    """How its semantics differ from the workload, for the table."""


class Peer(NamedTuple):
    """A program that is compared with."""

    name: str
    package: str
    """What is imported, and where the version is found."""
    requirements: tuple[str, ...]
    """As the package index is asked for them, pinned."""
    roads: tuple[Road, ...]


_VECTORBT = Road("W1", "columns", sized_at="paid", ends_at="mark")
_BACKTESTING = Road("W1", "event", lot=LOT, ends_at="open", quick=100_000)
_BACKTRADER = Road("W1", "event", ends_at="mark", quick=50_000)
_RAPTOR_CLASS = _VECTORBT._replace(kind="event", variant="class", quick=100_000)
_NAUTILUS = Road(
    "W1",
    "event",
    fills_at="close",
    lot=LOT,
    ends_at="mark",
    quick=50_000,
    note="fills at the close of the decision; volumes × 1,000,000, so that orders fill whole",
)
_JESSE = Road(
    "W1",
    "event",
    fills_at="close",
    quick=50_000,
    note="fills at the close of the decision; signals given as arrays",
)
_FREQTRADE = Road("W1", "event", sized_at="open", ends_at="open", lot=LOT, quick=50_000)
_AT_ENTRY = "levels around the price of the entry"
_GIVEN = "signals given as arrays"

PEERS: tuple[Peer, ...] = (
    Peer(
        "vectorbt",
        "vectorbt",
        ("vectorbt[rust]==1.2.0",),
        (
            _VECTORBT,
            _VECTORBT._replace(
                workload="W2",
                levels_from="entry",
                entry_bar_levels=False,
                signal_before_levels=False,
                note=_AT_ENTRY + ", not tested in its bar; a level comes before an exit at the open",
            ),
            _VECTORBT._replace(workload="W3", note="25 pairs at a time, which needs a quarter of the memory"),
        ),
    ),
    Peer(
        "raptorbt",
        "raptorbt",
        ("raptorbt==0.13.4", "numpy==2.4.6"),
        (
            _VECTORBT,
            _RAPTOR_CLASS,
            _VECTORBT._replace(
                workload="W2",
                levels_from="entry",
                enters_after_level="exit signal",
                exit_at_levels="stop gap",
                note=_AT_ENTRY + "; after a level no entry before an exit signal; a jumped target fills at the target",
            ),
            _RAPTOR_CLASS._replace(
                workload="W2",
                levels_from="entry",
                enters_after_level="a bar later",
                exit_at_levels="stop gap",
                note=_AT_ENTRY + "; the class hears of a level a bar later; a jumped target fills at the target",
            ),
            _VECTORBT._replace(workload="W3"),
        ),
    ),
    Peer(
        "backtesting",
        "backtesting",
        ("backtesting==0.6.6",),
        (
            _BACKTESTING,
            _BACKTESTING._replace(workload="W2"),
            _BACKTESTING._replace(workload="W3", quick=2),
        ),
    ),
    Peer(
        "backtrader",
        "backtrader",
        ("backtrader==1.9.78.123",),
        (
            _BACKTRADER._replace(note=_GIVEN),
            _BACKTRADER._replace(
                workload="W2", entry_bar_levels=False, note=_GIVEN + "; levels not tested in the bar of the entry"
            ),
        ),
    ),
    Peer(
        "jesse",
        "jesse",
        ("jesse==3.5.3",),
        (
            _JESSE,
            _JESSE._replace(
                workload="W2",
                both_levels="by colour",
                note=_JESSE.note + "; in a falling bar that holds both levels the target comes first",
            ),
        ),
    ),
    Peer(
        "freqtrade",
        "freqtrade",
        ("freqtrade==2026.9",),
        (
            _FREQTRADE,
            _FREQTRADE._replace(
                workload="W2",
                levels_from="entry",
                exit_at_levels="level",
                note=_AT_ENTRY + "; a jumped level fills at the level",
            ),
        ),
    ),
    Peer(
        "nautilus",
        "nautilus_trader",
        ("nautilus_trader==1.221.0",),
        (
            _NAUTILUS,
            _NAUTILUS._replace(
                workload="W2",
                tick="0.01",
                both_levels="target",
                exit_at_levels="level",
                note=_NAUTILUS.note + "; high before low; a jumped level fills at the level",
            ),
            Road("W4", "event", quick=200_000, note="a Python strategy on quotes"),
        ),
    ),
    Peer("hftbacktest", "hftbacktest", ("hftbacktest==2.4.4",), (Road("W4", "columns", note="compiled by numba"),)),
)
_OURS = Road("W1", "event", lot=LOT)
_NO_SKIP = _OURS._replace(variant="no-skip", quick=100_000)
_KERNEL = Road("W1", "columns", lot=LOT)
_FULL = _KERNEL._replace(variant="full", note="every trade in decimals, the equity at every bar, all figures")
OURS: tuple[Peer, ...] = (
    Peer(
        "ours_kernel",
        "quarterdeck",
        (),
        (
            _KERNEL,
            _FULL,
            _KERNEL._replace(workload="W2", tick="0.01"),
            _FULL._replace(workload="W2", tick="0.01"),
            _KERNEL._replace(workload="W3"),
        ),
    ),
    Peer(
        "ours_quotes",
        "quarterdeck",
        (),
        (
            Road("W4", "event", note="full order life, risk gate and ledger"),
            Road("W4", "columns", "compiled", note="the road of quoting sweeps"),
        ),
    ),
    Peer(
        "ours_event",
        "quarterdeck",
        (),
        (_OURS, _NO_SKIP, _OURS._replace(workload="W2", tick="0.01"), _NO_SKIP._replace(workload="W2", tick="0.01")),
    ),
)


def peer_named(name: str) -> Peer:
    """The peer of that name.

    Raises:
        KeyError: There is none.
    """
    return {peer.name: peer for peer in (*PEERS, *OURS)}[name]
