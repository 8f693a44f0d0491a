"""Strategies whose entries, exits and distances are columns: written once, run alike live, in a backtest and compiled.

Such a strategy says in `columns` where it enters and leaves and how far its levels lie, and in `rules` what holds for
every position. What is done at a bar's close follows from one row, the memory and the holding by the one `decide` of
`SignalStrategy`, which the compiled kernel repeats number for number.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec

from engine.errors import StrategyError
from engine.strategy.contract import Strategy, StrategyMemory, StrategyParams, Wish

if TYPE_CHECKING:
    from collections.abc import Mapping

    from engine.model.candle import FloatArray
    from engine.strategy.contract import Holding

__all__ = ["HOOKS", "LEVEL_COLUMNS", "SIGNAL_COLUMNS", "PositionRules", "SignalMemory", "SignalStrategy"]

SIGNAL_COLUMNS: dict[str, float] = {
    "entry": 0.0,
    "exit_long": 0.0,
    "exit_short": 0.0,
    "confidence": 1.0,
    "stop_distance": math.nan,
    "target_distance": math.nan,
    "trail_distance": math.nan,
    "add_distance": math.nan,
    "size": 1.0,
    "entry_tag": 0.0,
    "exit_tag": 0.0,
}
"""Columns that have a meaning, each with the value that counts where a strategy has none of that name."""
LEVEL_COLUMNS = ("stop_distance", "target_distance", "trail_distance", "add_distance")
"""Those of them that may be NaN after the warm-up: no such distance at that bar."""
HOOKS = ("custom_stop", "custom_exit", "adjust_position")
"""Methods that a strategy may override and that only Python runs: the kernel refuses it then."""


class PositionRules(msgspec.Struct, frozen=True, kw_only=True):
    """What holds for every position of a strategy; fractions are of 1, bars are counted at closes while it is held.

    Raises:
        StrategyError: A value is impossible.
    """

    max_levels: int = 1
    """Most entries in one direction, the first included; more than one need the column `add_distance`."""
    max_bars: int = 0
    """Bars after which the position is closed; 0 means never."""
    stop_pct: float | None = None
    """Distance of the stop as a fraction of the close at the decision, where `stop_distance` names none; None leaves it
    to the bot, which takes the parameter `stop_loss_pct`."""
    target_pct: float | None = None
    """Distance of the target in the same way, where `target_distance` names none; None means no target."""
    trail_pct: float = 0.0
    """Distance of a trailing stop as a fraction of the best price since the entry; 0 means none."""
    trail_from_pct: float = 0.0
    """Best profit, as a fraction of the entry price, from which on `trail_pct` trails."""
    roi: tuple[tuple[int, float], ...] = ()
    """Steps (bars held, fraction of the entry price): from so many bars on, a profit of so much is taken. The target
    rests at the venue and moves with the steps, so it is met inside a bar."""

    def __post_init__(self) -> None:
        starts = [bars for bars, _ in self.roi]
        faults = {
            "max_levels must be 1 or more": self.max_levels < 1,
            "max_bars must be 0 or more": self.max_bars < 0,
            "stop_pct must be above 0 and below 1": self.stop_pct is not None and not 0 < self.stop_pct < 1,
            "target_pct must be above 0": self.target_pct is not None and not 0 < self.target_pct < math.inf,
            "trail_pct must be from 0 to below 1": not 0 <= self.trail_pct < 1,
            "trail_from_pct must be 0 or more": not 0 <= self.trail_from_pct < math.inf,
            "the bars of roi must ascend from 0 or more": starts != sorted(set(starts)) or min(starts, default=0) < 0,
            "the fractions of roi must be above -1": not all(-1 < share < math.inf for _, share in self.roi),
        }
        for fault, holds in faults.items():
            if holds:
                raise StrategyError(f"The position rules cannot be used: {fault}.")

    def roi_at(self, bars: int) -> float:
        """Fraction of the entry price at which profit is taken after so many bars; infinite where none is."""
        share = math.inf
        for start, step in self.roi:
            if bars < start:
                break
            share = step
        return share


class SignalMemory(StrategyMemory):
    """What is known of the present position; a strategy with hooks may add fields of its own.

    `level`, `best`, `stop` and `target` are prices times the side, so that more is always better and one rule serves
    both sides.
    """

    side: int = 0
    bars: int = 0
    """Closes seen while it is held."""
    quantity: float = 0.0
    entry: float = 0.0
    """Mean price of what is held."""
    confidence: float = 1.0
    levels: int = 0
    asked: int = 1
    """Levels wished for; they count once the position has grown."""
    level: float = 0.0
    """Price of the newest level."""
    best: float = -math.inf
    stop: float = -math.inf
    """What was last wished for; infinite while that is left to the bot."""
    trailed: bool = False
    """Whether the stop has moved since the entry."""
    fixed: float = math.inf
    """The target of the entry."""
    target: float = math.inf
    """What was last wished for: `fixed`, or nearer by the table of returns."""

    def begin(self, side: int) -> None:
        """Forget the last position and expect one of that side; fields of a subclass stay."""
        for field, value in _FRESH:
            setattr(self, field, value)
        self.side = side


_FRESH = [(field, getattr(SignalMemory(), field)) for field in SignalMemory.__struct_fields__]


class SignalStrategy(Strategy):
    """A strategy that is all columns and rules. It names `warmup` and `columns`, and may name `rules` and the hooks.

    `columns` must hold `entry`: +1 opens a long at the next bar, -1 a short, 0 and NaN do nothing; it counts while
    nothing is held. Any of the others may be left out (`SIGNAL_COLUMNS` has what counts then):

    - `exit_long`, `exit_short`: above 0, a position of that side is closed.
    - `confidence` of an entry, 0 to 1, and its `size`, a factor of the usual position size: above 0 to 1; 0 and NaN
      enter nothing.
    - `stop_distance`, `target_distance`: how far the levels lie from the close of the decision, in quote currency.
    - `trail_distance`: the stop follows the best price since the entry at that distance and never moves back.
    - `add_distance`: one level more is entered once the price has gained that much since the level before; below 0,
      once it has lost that much.
    - `entry_tag`, `exit_tag`: number of the name in `entry_tags` and `exit_tags` that begins the reason.

    Further columns may be there for `entry_reason`, for hooks and for charts. `decide` is not overridden.
    """

    Memory: ClassVar[type[StrategyMemory]] = SignalMemory
    wake_column = "entry"
    entry_tags: ClassVar[tuple[str, ...]] = ("entry",)
    exit_tags: ClassVar[tuple[str, ...]] = ("exit signal",)

    def __init__(self, params: StrategyParams) -> None:
        super().__init__(params)
        self.position_rules = self.rules()
        self._default_stop = float(params.stop_loss_pct)
        self._hooks = {name: getattr(type(self), name) is not getattr(SignalStrategy, name) for name in HOOKS}

    def __init_subclass__(cls, **others: Any) -> None:
        super().__init_subclass__(**others)
        if cls.decide is not SignalStrategy.decide:
            raise StrategyError(
                f"{cls.__name__} overrides decide(), which all signal strategies share. Say it with columns, rules and "
                "hooks, or inherit Strategy instead of SignalStrategy."
            )
        if not issubclass(cls.Memory, SignalMemory):
            raise StrategyError(f"The Memory of {cls.__name__} must be a subclass of SignalMemory.")

    @property
    def hooks(self) -> tuple[str, ...]:
        """Names of the hooks that it overrides."""
        return tuple(name for name, own in self._hooks.items() if own)

    def words_of_entry(self, row: Any, tag: int) -> str:
        """The whole reason of an entry: the name of its tag, and what `entry_reason` says."""
        name, words = self.entry_tags[tag], self.entry_reason(row)
        return f"{name}: {words}" if words else name

    # ------------------------------------------------------------------------------------------------- to be overridden

    def rules(self) -> PositionRules:
        """What holds for every position, from the parameters; asked once."""
        return PositionRules()

    def entry_reason(self, row: Any) -> str:
        """Words that follow the entry's tag in the reason; for the reader alone, they decide nothing."""
        return ""

    def custom_stop(self, row: Any, memory: Any, holding: Holding) -> float | None:
        """Hook: a stop price of one's own at the close of a bar with a position; it counts where it is tighter."""
        return None

    def custom_exit(self, row: Any, memory: Any, holding: Holding) -> str:
        """Hook: why the position is to be closed at this bar; empty to keep it."""
        return ""

    def adjust_position(self, row: Any, memory: Any, holding: Holding) -> float:
        """Hook: size of one level more, as a factor of the usual position size; 0 adds none. `max_levels` holds."""
        return 0.0

    # ----------------------------------------------------------------------------------------------- what is left out

    def wakes_held(self, columns: Mapping[str, FloatArray]) -> FloatArray | None:
        """Where a position may be left; None where something is counted or moved at every bar."""
        import numpy as np

        rules = self.position_rules
        moves = rules.trail_pct or rules.roi or rules.max_bars or rules.max_levels > 1 or self.hooks
        if moves or "trail_distance" in columns:
            return None
        exits = [columns[name] > 0 for name in ("exit_long", "exit_short") if name in columns]
        leaves = np.zeros(len(columns[self.wake_column]))
        for column in exits:
            leaves[column] = 1.0
        return leaves

    def keeps_between(self, memory: Any) -> tuple[float, float]:
        """The levels: beyond them the strategy leaves by itself where the venue could not."""
        levels = (memory.side * memory.stop, memory.side * memory.target)
        return (min(levels), max(levels)) if memory.side else (math.inf, -math.inf)

    # ----------------------------------------------------------------------------------------------------- the one rule

    def decide(self, row: Any, memory: Any, holding: Holding) -> Wish | None:
        """Enter while flat; while not, leave, add a level, or move the levels, in this order."""
        side = holding.side
        if side == 0:
            entry = row.entry
            return self._enter(row, memory, 1 if entry > 0 else -1) if entry > 0 or entry < 0 else None
        self._follow(row, memory, holding)
        stop, target = self._levels(row, memory, holding)
        reason = self._reason_to_leave(row, memory, holding, stop, target)
        if reason:
            return Wish.exit(reason)
        moved = stop > memory.stop
        # None keeps what the venue has; only what has moved is named.
        new_stop = abs(stop) if moved else None
        new_target = abs(target) if target != memory.target else None
        memory.trailed = memory.trailed or moved
        memory.stop, memory.target = stop, target
        size = self._size_of_level(row, memory, holding)
        if size > 0.0:
            memory.asked = memory.levels + 1
            reason = f"level {memory.asked}"
            return Wish.enter(side, memory.confidence, reason, stop=new_stop, target=new_target, size=size)
        if new_stop is None and new_target is None:
            return None
        return Wish.protect("trailing stop" if moved else "stepped target", stop=new_stop, target=new_target)

    def _enter(self, row: Any, memory: Any, side: int) -> Wish | None:
        rules, close = self.position_rules, row.close
        at, stop, target = side * close, -math.inf, math.inf
        distance = getattr(row, "stop_distance", math.nan)
        if distance > 0:
            stop = at - distance
        elif rules.stop_pct is not None:
            stop = at - rules.stop_pct * close
        trail = getattr(row, "trail_distance", math.nan)
        if trail > 0:
            stop = max(stop, at - trail)
        if rules.trail_pct > 0 and rules.trail_from_pct == 0:
            stop = max(stop, at - rules.trail_pct * close)
        distance = getattr(row, "target_distance", math.nan)
        if distance > 0:
            target = at + distance
        elif rules.target_pct is not None:
            target = at + rules.target_pct * close
        size = getattr(row, "size", 1.0)
        # Times the side, a price above 0 is positive for a long and negative for a short.
        impossible = -math.inf < stop <= 0 if side > 0 else math.inf > target >= 0
        if impossible or not size > 0:
            return None
        memory.begin(side)
        memory.stop, memory.fixed, memory.target = stop, target, target
        memory.confidence = getattr(row, "confidence", 1.0)
        return Wish.enter(
            side,
            memory.confidence,
            self.words_of_entry(row, int(getattr(row, "entry_tag", 0.0))),
            stop=None if stop == -math.inf else abs(stop),
            target=None if target == math.inf else abs(target),
            size=size,
        )

    def _follow(self, row: Any, memory: Any, holding: Holding) -> None:
        """Bring the memory up to the position and the bar."""
        side, held, entry = holding.side, abs(holding.quantity), holding.entry_price
        if memory.side != side:
            memory.begin(side)
        if held > memory.quantity:
            # What was added cost the difference of the two positions' costs.
            added = (entry * held - memory.entry * memory.quantity) / (held - memory.quantity)
            memory.level, memory.levels = side * added, memory.asked
        memory.quantity, memory.entry = held, entry
        memory.bars += 1
        memory.best = max(memory.best, side * entry, side * (row.high if side > 0 else row.low))

    def _levels(self, row: Any, memory: Any, holding: Holding) -> tuple[float, float]:
        """Stop and target from this bar on, times the side; the stop never moves back."""
        rules, side, entry, stop = self.position_rules, holding.side, memory.entry, memory.stop
        moved = -math.inf
        trail = getattr(row, "trail_distance", math.nan)
        if trail > 0:
            moved = memory.best - trail
        if rules.trail_pct > 0 and memory.best >= side * entry + rules.trail_from_pct * entry:
            moved = max(moved, memory.best - rules.trail_pct * abs(memory.best))
        if self._hooks["custom_stop"]:
            own = self.custom_stop(row, memory, holding)
            moved = moved if own is None else max(moved, side * own)
        # Where the bot has placed a stop of its own, one that lies behind it would loosen it.
        floor = side * entry - self._default_stop * entry if stop == -math.inf else stop
        if moved > floor and (side < 0 or moved > 0):
            stop = moved
        target = memory.fixed
        if rules.roi:
            stepped = side * entry + rules.roi_at(memory.bars) * entry
            # A short cannot gain more than its whole value.
            target = min(target, stepped) if side > 0 or stepped < 0 else target
        return stop, target

    def _reason_to_leave(self, row: Any, memory: Any, holding: Holding, stop: float, target: float) -> str:
        # The venue holds stop and target; asking here too covers the case that it could not, or that they have moved
        # to where the price already is.
        side, at = memory.side, memory.side * row.close
        if at <= stop:
            return "trailing stop" if memory.trailed or stop > memory.stop else "stop"
        if at >= target:
            return "target" if target == memory.fixed else "stepped target"
        if getattr(row, "exit_long" if side > 0 else "exit_short", 0.0) > 0:
            return self.exit_tags[int(getattr(row, "exit_tag", 0.0))]
        if self._hooks["custom_exit"]:
            reason = self.custom_exit(row, memory, holding)
            if reason:
                return reason
        return "time limit" if 0 < self.position_rules.max_bars <= memory.bars else ""

    def _size_of_level(self, row: Any, memory: Any, holding: Holding) -> float:
        """Size of a level to be added at this bar, 0 for none."""
        if memory.levels >= self.position_rules.max_levels:
            return 0.0
        distance, gained = getattr(row, "add_distance", math.nan), memory.side * row.close - memory.level
        if gained >= distance >= 0 or gained <= distance < 0:
            size = float(getattr(row, "size", 1.0))
            return size if size > 0 else 0.0
        return self.adjust_position(row, memory, holding) if self._hooks["adjust_position"] else 0.0
