"""The contract of every strategy: declared parameters, causal columns, a decision per bar, a declared memory."""

from __future__ import annotations

import enum
import math
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Self

import msgspec
from pydantic import BaseModel, ConfigDict, Field

from engine.model.signal import SignalAction, SignalDirection

if TYPE_CHECKING:
    from collections.abc import Mapping

    from engine.model.candle import Bars, FloatArray
    from engine.model.regime import MarketRegime
    from engine.model.signal import PeerSignal
    from engine.strategy.toolkit import Toolkit

__all__ = ["Holding", "Strategy", "StrategyBase", "StrategyMemory", "StrategyParams", "StrategyType", "Wish"]


class StrategyType(enum.StrEnum):
    """Family of a strategy."""

    STATIC = "static"
    DYNAMIC = "dynamic"
    ARBITRAGE = "arbitrage"
    MARKET_MAKING = "market_making"
    EVOLUTIONARY = "evolutionary"
    HYBRID = "hybrid"
    AI_ML = "ai_ml"


class StrategyParams(BaseModel):
    """Parameters every strategy has; a strategy adds its own with bounds and help.

    This declaration is the only description of a parameter: forms, command line options, checks and documents derive
    from it. Fractions are of 1 (0.02 is 2 %).
    """

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False)

    min_confidence: float = Field(0.6, ge=0.0, le=1.0, description="Signals below this confidence are dropped.")
    max_positions: int = Field(5, ge=1, description="Most positions held at once.")
    position_size_pct: float = Field(0.02, ge=0.001, le=0.1, description="Size of one entry as a fraction of equity.")
    stop_loss_pct: float = Field(
        0.02,
        ge=0.001,
        le=0.1,
        description="Stop distance as a fraction of the entry price, where no other stop is set.",
    )
    take_profit_pct: float = Field(
        0.04, ge=0.001, le=0.2, description="Target distance as a fraction of the entry price, where none is set."
    )


class StrategyMemory(msgspec.Struct):
    """What a strategy remembers between bars; subclasses add fields with defaults. Raise `schema` when they change."""

    schema: ClassVar[int] = 1

    def reset(self) -> None:
        """Forget everything: give every field its default."""
        fresh = type(self)()
        for field in self.__struct_fields__:
            setattr(self, field, getattr(fresh, field))


class Holding(msgspec.Struct, frozen=True, gc=False):
    """What the bot holds in the instrument when a bar closes."""

    quantity: float = 0.0
    """Signed base units; 0 when flat."""
    entry_price: float = 0.0
    """Mean entry price in quote currency; 0 when flat."""

    @property
    def side(self) -> int:
        """+1 long, -1 short, 0 flat."""
        return (self.quantity > 0) - (self.quantity < 0)


class Wish(msgspec.Struct, frozen=True, gc=False):
    """What a strategy wants at a bar's close; the bot turns it into a signal, a size and orders."""

    action: SignalAction
    direction: SignalDirection = SignalDirection.HOLD
    confidence: float = 1.0
    reason: str = ""
    stop: float | None = None
    """Protective stop price in quote currency; None keeps the present one."""
    target: float | None = None
    """Take-profit price in quote currency; None keeps the present one."""
    size: float = 1.0
    """Factor of the usual position size, above 0 to 1; for entries."""

    @classmethod
    def enter(
        cls,
        side: int,
        confidence: float,
        reason: str,
        *,
        stop: float | None = None,
        target: float | None = None,
        size: float = 1.0,
    ) -> Self:
        """Open or add: long where `side` is positive, short where it is negative."""
        direction = SignalDirection.BUY if side > 0 else SignalDirection.SELL
        return cls(SignalAction.ENTER, direction, confidence, reason, stop, target, size)

    @classmethod
    def exit(cls, reason: str) -> Self:
        """Close the whole position."""
        return cls(SignalAction.EXIT, reason=reason)

    @classmethod
    def protect(cls, reason: str, *, stop: float | None = None, target: float | None = None) -> Self:
        """Keep the position; place or move its stop, its target, or both."""
        return cls(SignalAction.PROTECT, reason=reason, stop=stop, target=target)


class StrategyBase(ABC):
    """What every strategy has, whether it decides on bars (`Strategy`) or on events (`EventStrategy`)."""

    name: ClassVar[str]
    """Unique name, lower case with underscores."""
    version: ClassVar[str] = "1.0.0"
    kind: ClassVar[StrategyType] = StrategyType.STATIC
    Params: ClassVar[type[StrategyParams]] = StrategyParams
    Memory: ClassVar[type[StrategyMemory]] = StrategyMemory
    timeframe: ClassVar[str] = "1h"
    """Default timeframe."""
    symbols: ClassVar[tuple[str, ...]] = ("BTC/USDT", "ETH/USDT")
    """Default symbols."""
    wake_column: ClassVar[str] = "wake"
    """Name of the column that tells at which rows `decide` could do anything while flat; see `columns`."""

    source_hash: str = ""
    """Sixteen hexadecimal digits of the SHA-256 of the source it was loaded from, set by who loads it; empty where
    nobody said."""
    source_copy: str = ""
    """A file that holds exactly that source, whatever becomes of its own one; empty where none is kept."""

    def __init__(self, params: StrategyParams) -> None:
        self.params: Any = params

    @classmethod
    def build(cls, values: Mapping[str, object] | None = None) -> Self:
        """Make an instance from plain values.

        Raises:
            ConfigurationError: A value is unknown, of the wrong type or out of bounds; all faults are listed.
        """
        from engine.strategy.params import parse_params

        return cls(parse_params(cls, values or {}))


class Strategy(StrategyBase):
    """Base of the strategies that decide on bars.

    `columns` turns bars into causal columns (row i may depend on bars 0..i only); `decide` looks at one row, the
    memory and the holding, and says what it wants. Both are pure but for the memory; they do no I/O and read no clock,
    so the same file runs in a backtest, on paper and live.
    """

    peers: tuple[PeerSignal, ...] = ()
    """The last signal of every other bot since the engine began, the newest first, for strategies that want to know;
    none in a backtest, which has no other bots."""
    regime: MarketRegime | None = None
    """The market's regimes as the engine sees them when a bar closes, for strategies that want to know; None where
    nobody tells them, as in a backtest, or while they are not known. A strategy must work without."""

    def watches(self) -> tuple[str, ...]:
        """Symbols of other markets of the same venue that it looks at, by its parameters; none by default.

        Their bars are found with `bars.other(symbol)` in `columns`: at each row the bar before that row's, so that all
        ways of running see the same; NaN where nobody knows them, as where a market is not to be had.
        """
        return ()

    @abstractmethod
    def warmup(self, timeframe: str) -> int:
        """Bars of that timeframe needed before the first decision; `decide` is not asked earlier.

        Indicators with a long memory (EMA, RSI, ATR) depend a little on where the history begins; a host that has
        more bars loads more (`StrategyRunner.history`).
        """

    @abstractmethod
    def columns(self, bars: Bars, ta: Toolkit) -> dict[str, FloatArray]:
        """Causal columns, each of shape (len(bars),), NaN while warming up.

        The host may hand over the whole history at once, chunks of it, or one bar at a time (then `bars` holds only
        the new ones, maybe none): `ta` remembers what its indicators need from earlier bars. So every look into the
        past goes through `ta`, and its functions are called in the same order each time.

        A column named `wake` (0 or 1) tells at which rows `decide` could do anything while flat: a host may leave out
        the others, so a decision while flat may depend on nothing that happened at them. Without it every row is asked.
        A column named `wake_held` tells the same of rows at which something is held.
        """

    @abstractmethod
    def decide(self, row: Any, memory: Any, holding: Holding) -> Wish | None:
        """Say what to do at the close of one bar.

        Args:
            row: Named tuple of the bar (`ts` of its open in ns as int; open, high, low, close, volume) and of all
                columns, as floats.
            memory: The strategy's own `Memory`, changed in place.
            holding: What the bot holds now.

        Returns:
            The wish, or None to leave everything as it is.
        """

    def wakes_held(self, columns: Mapping[str, FloatArray]) -> FloatArray | None:
        """A column that is not 0 where `decide` could do anything while something is held; None to be asked always.

        Args:
            columns: What `columns` gave for the same rows.
        """
        return columns.get("wake_held")

    def keeps_between(self, memory: Any) -> tuple[float, float]:
        """Closes strictly between which the rows that `wakes_held` leaves out need not be asked, by what it remembers.

        Args:
            memory: The strategy's own `Memory` while something is held.
        """
        return -math.inf, math.inf
