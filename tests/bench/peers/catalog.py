"""The peers: what is installed, what each can run, and in what its fills differ from the plain loops."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["OURS", "PEERS", "WORKLOADS", "Peer", "Road", "peer_named"]

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
    """What is met in a bar that holds both: the `stop`, or in a falling bar the target (`by colour`)."""
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


PEERS: tuple[Peer, ...] = (
    Peer(
        "backtesting",
        "backtesting",
        ("backtesting==0.6.6",),
        (
            Road("W1", "event", lot="0.0001", ends_at="open", quick=100_000),
            Road("W2", "event", lot="0.0001", ends_at="open", quick=100_000),
            Road("W3", "event", lot="0.0001", ends_at="open", quick=2),
        ),
    ),
)
PEERS += (
    Peer(
        "vectorbt",
        "vectorbt",
        ("vectorbt[rust]==1.2.0",),
        (
            Road("W1", "columns", sized_at="paid", ends_at="mark"),
            Road(
                "W2",
                "columns",
                sized_at="paid",
                ends_at="mark",
                levels_from="entry",
                entry_bar_levels=False,
                signal_before_levels=False,
            ),
            Road("W3", "columns", sized_at="paid", ends_at="mark"),
        ),
    ),
    Peer(
        "raptorbt",
        "raptorbt",
        ("raptorbt==0.13.4", "numpy==2.4.6"),
        (
            Road("W1", "columns", sized_at="paid", ends_at="mark"),
            Road("W1", "event", "class", sized_at="paid", ends_at="mark", quick=100_000),
            Road(
                "W2",
                "columns",
                sized_at="paid",
                ends_at="mark",
                levels_from="entry",
                enters_after_level="exit signal",
                exit_at_levels="stop gap",
            ),
            Road(
                "W2",
                "event",
                "class",
                sized_at="paid",
                ends_at="mark",
                levels_from="entry",
                enters_after_level="a bar later",
                exit_at_levels="stop gap",
                quick=100_000,
            ),
            Road("W3", "columns", sized_at="paid", ends_at="mark"),
        ),
    ),
)
PEERS += (
    Peer(
        "backtrader",
        "backtrader",
        ("backtrader==1.9.78.123",),
        (
            Road("W1", "event", ends_at="mark", quick=50_000),
            Road("W2", "event", ends_at="mark", entry_bar_levels=False, quick=50_000),
        ),
    ),
    Peer(
        "jesse",
        "jesse",
        ("jesse==3.5.3",),
        (
            Road("W1", "event", fills_at="close", quick=50_000),
            Road("W2", "event", fills_at="close", both_levels="by colour", quick=50_000),
        ),
    ),
)
PEERS += (
    Peer(
        "nautilus",
        "nautilus_trader",
        ("nautilus_trader==1.221.0",),
        (
            Road("W1", "event", fills_at="close", lot="0.0001", ends_at="mark", quick=50_000),
            Road("W2", "event", fills_at="close", lot="0.0001", tick="0.01", ends_at="mark", quick=50_000),
            Road("W4", "event", quick=200_000),
        ),
    ),
)
OURS: tuple[Peer, ...] = (
    Peer(
        "ours_event",
        "quarterdeck",
        (),
        (
            Road("W1", "event", lot="0.0001"),
            Road("W1", "event", "no-skip", lot="0.0001", quick=100_000),
            Road("W2", "event", lot="0.0001", tick="0.01"),
            Road("W2", "event", "no-skip", lot="0.0001", tick="0.01", quick=100_000),
        ),
    ),
)


def peer_named(name: str) -> Peer:
    """The peer of that name.

    Raises:
        KeyError: There is none.
    """
    return {peer.name: peer for peer in (*PEERS, *OURS)}[name]
