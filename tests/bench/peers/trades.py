"""Our trades beside a peer's, under the fill switch that matches: equal, or each difference explained.

Both programs run. Ours must be the plain loop's under our rules, theirs the plain loop's under theirs; then the rules
are exchanged one at a time, and what each exchange changes is counted. Nothing is left that no rule explains.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from tests.bench.peers import data
from tests.bench.peers.agree import compare
from tests.bench.peers.catalog import peer_named
from tests.bench.peers.install import is_installed
from tests.bench.peers.plain import plain_run
from tests.bench.peers.runner import ask, command_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.bench.peers.catalog import Road
    from tests.bench.peers.plain import Plain

__all__ = ["MATCHES", "RULES", "Step", "side_by_side", "steps_between"]

MATCHES = {"backtesting": "backtesting_py", "vectorbt": "next_open"}
"""The value of `--fills` that is nearest to a peer."""
TICK = "0.00000001"
RULES = {
    "tick": "ours rounds levels to the price step (of 8 decimals here), theirs does not",
    "lot": "ours trades whole lots, theirs any quantity",
    "sized_at": "95 % are of another price: ours the close of the decision, theirs {}",
    "levels_from": "stop and target lie around another price: ours the close of the decision, theirs that of the entry",
    "entry_bar_levels": "theirs does not test stop and target in the bar of the entry",
    "signal_before_levels": "an exit due at the open comes first in ours, a level inside that bar in theirs",
    "enters_after_level": "after a level, theirs waits for {} before it enters again",
    "both_levels": "in a bar that holds both levels theirs takes {} first",
    "exit_at_levels": "what the open has jumped over is met at the open in ours; theirs: {}",
    "fills_at": "theirs fills at the {} of the decision, ours at the next open",
    "ends_at": "what is open at the end: ours sells it at the last close, theirs {}",
}
_MEANS = {"mark": "only values it", "open": "sells it at the last open", "paid": "that of the fill with its fee"}


class Step(NamedTuple):
    """One rule exchanged."""

    rule: str
    words: str
    changed: int
    """Trades whose bars or prices are other ones than before the exchange."""
    sized: int
    """Trades equal in bars and prices, in another quantity."""
    example: str


def steps_between(ours: Road, theirs: Road, walk: Callable[[Road], Plain]) -> list[Step]:
    """The rules in which two roads differ, exchanged one after the other, with what each changes."""
    steps, now, before = [], ours, walk(ours)
    for rule, words in RULES.items():
        wanted = getattr(theirs, rule)
        if getattr(now, rule) == wanted:
            continue
        now = now._replace(**{rule: wanted})
        after = walk(now)
        steps.append(_step(rule, words.format(_MEANS.get(wanted, wanted)), before, after))
        before = after
    return steps


def _step(rule: str, words: str, before: Plain, after: Plain) -> Step:
    old = {_key(trade): trade[4] for trade in before.trades}
    new = [trade for trade in after.trades if _key(trade) not in old]
    sized = sum(_key(trade) in old and abs(old[_key(trade)] - trade[4]) > 1e-12 for trade in after.trades)
    example = ""
    if new:
        entered, left, paid, got, _ = new[0]
        was = next((t for t in before.trades if t[0] == entered), None)
        example = f"bar {entered} to {left}, {paid:,.2f} to {got:,.2f}"
        example += f" instead of to {was[1]}, {was[3]:,.2f}" if was else " instead of nothing"
    return Step(rule, words, len(new), sized, example)


def _key(trade: Sequence[float]) -> tuple[float, ...]:
    return (int(trade[0]), int(trade[1]), round(trade[2], 6), round(trade[3], 6))


def side_by_side(name: str, workload: str, bars: int) -> tuple[list[str], bool]:
    """Lines for the person, and whether everything is explained."""
    peer, own = peer_named(name), peer_named("ours_event")
    if not is_installed(peer):
        return [f"{workload}, {name}: not installed; python -m tests.bench.peers install {name}"], False
    theirs = next(road for road in peer.roads if road.workload == workload)
    ours = next(road for road in own.roads if road.workload == workload)._replace(tick=TICK)
    request = {
        "data": str(data.ensure("1y")),
        "bars": bars,
        "pairs": [],
        "runs": 1,
        "budget_s": 0,
        "workload": workload,
    }
    wanted = {"fills": MATCHES[name], "price_tick": TICK}
    answers = [
        ask(command_of(own), {**request, "variant": ours.variant, "spec": wanted}),
        ask(command_of(peer), {**request, "variant": theirs.variant}),
    ]
    head = f"{workload}, ours under --fills {MATCHES[name]} and {name}, {bars:,} bars"
    for who, answer in zip(("ours", name), answers, strict=True):
        if "trouble" in answer:
            return [f"{head}: {who} failed: {answer['trouble']}"], False
    columns = data.read(data.ensure("1y"), bars)
    return _explained(head, answers, (ours, theirs), lambda road: plain_run(columns, road))


def _explained(
    head: str, answers: list[dict[str, Any]], roads: tuple[Road, Road], walk: Callable[[Road], Plain]
) -> tuple[list[str], bool]:
    ours, theirs = roads
    direct = _shared(answers)
    ends = [compare(answer, walk(road)) for answer, road in zip(answers, (ours, theirs), strict=True)]
    lines = [
        f"{head}: {direct:,} trades with the same bars and prices; ours {len(answers[0]['trades']):,}, "
        f"theirs {len(answers[1]['trades']):,}",
        f"  ours as the plain loop under our rules: {ends[0].words}",
        f"  theirs as the plain loop under their rules: {ends[1].words}",
    ]
    for step in steps_between(ours, theirs, walk):
        what = f"{step.changed:,} trades other" + (f", {step.sized:,} of another size" if step.sized else "")
        lines.append(f"  {step.rule}: {step.words}: {what}" + (f" ({step.example})" if step.example else ""))
    return lines, all(end.same for end in ends)


def _shared(answers: list[dict[str, Any]]) -> int:
    both = [{_key(trade) for trade in answer["trades"]} for answer in answers]
    return len(both[0] & both[1])
