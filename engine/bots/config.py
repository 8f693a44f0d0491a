"""What a person says about a bot."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from engine.bots.execution import Execution
from engine.errors import ConfigurationError
from engine.model.candle import timeframe_ns
from engine.model.owner_limits import DEFAULT_PRIORITY, OwnerLimits, owner_limits
from engine.model.universe import UniverseRule, universe_rule

__all__ = ["BotConfig"]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 _.-]{0,31}")


class BotConfig(BaseModel):
    """A bot: one strategy on one instrument with its own capital."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(description="Unique name: letters, digits, space, _ . -; at most 32 characters.")
    strategy: str = Field(description="Name of the strategy.")
    strategy_file: str | None = Field(None, description="File that defines the strategy; None for a known one.")
    source: str = Field(
        "", max_length=64, description="Hash of the strategy's source it was set up with; none for what is there."
    )
    watches: tuple[str, ...] = Field(
        (), description="Symbols of other markets that its strategy looks at; set together with `source`."
    )
    instrument: str = Field(description="Instrument, such as SIM:BTC/USDT.")
    markets: tuple[str, ...] = Field(
        (), max_length=20, description="Further instruments of a strategy on books, at the same or other venues."
    )
    account: str = Field("", description="Account it trades in; none for the first one of the instrument's venue.")
    timeframe: str = Field("1h", description="Length of a bar, such as 1m, 15m or 1h.")
    capital: Decimal = Field(Decimal(2000), gt=0, description="What the bot may use, in the account's base currency.")
    params: dict[str, bool | int | float | str] = Field(default_factory=dict, description="The strategy's parameters.")
    autostart: bool = Field(default=False, description="Start together with the engine.")
    mode: Literal["paper", "live"] = Field(
        "paper", description="paper: it never trades in an account with real money; live: it may."
    )
    auto_resume: bool | None = Field(
        None,
        description="Whether it may enter again by itself after a restart or a failure; none: on paper yes, live no.",
    )
    priority: int = Field(DEFAULT_PRIORITY, ge=1, le=10, description="1 to 10; higher goes first where bots compete.")
    risk: dict[str, bool | int | float | str] = Field(
        default_factory=dict, description="Risk limits of its own by name; only stricter than the global ones."
    )
    isolation: Literal["task", "process"] = Field(
        "task", description="task: in the engine's process; process: its strategy runs in one of its own."
    )
    memory_mb: int | None = Field(
        None, ge=64, le=65_536, description="Memory limit in MB; none for that of the strategy's class."
    )
    cpu_share: float = Field(1.0, gt=0, le=1, description="Most of one processor core, over a minute.")
    storage_mb: int = Field(1024, ge=1, le=1_048_576, description="Most it may keep on disk, in MB.")
    bar_seconds: float = Field(5.0, gt=0, le=300, description="Longest time its strategy may take for one bar.")
    universe: UniverseRule | None = Field(
        None, description="Trade every market of this rule, one bot each; the instrument then names the venue alone."
    )
    member_of: str = Field("", max_length=64, description="Id of the universe that this bot belongs to.")
    execution: Execution = Field(default_factory=Execution, description="How its entries are executed.")

    @field_validator("name")
    @classmethod
    def _a_name(cls, value: str) -> str:
        value = value.strip()
        if not _NAME.fullmatch(value):
            raise ValueError("use letters, digits, space, _ . - and at most 32 characters")
        return value

    @field_validator("timeframe")
    @classmethod
    def _a_timeframe(cls, value: str) -> str:
        try:
            timeframe_ns(value)
        except Exception as error:
            raise ValueError(str(error)) from error
        return value

    @field_validator("universe", mode="before")
    @classmethod
    def _a_rule(cls, value: object) -> object:
        return universe_rule(value) if isinstance(value, dict) else value

    @field_validator("risk")
    @classmethod
    def _some_limits(cls, value: dict[str, Any]) -> dict[str, Any]:
        # As text, so that what is journalled is the decimal that was meant.
        return {
            name: limit if isinstance(limit, bool | int | float) else str(limit)
            for name, limit in owner_limits(value).named().items()
        }

    @property
    def instruments(self) -> tuple[str, ...]:
        """Everything that it trades."""
        return (self.instrument, *(name for name in dict.fromkeys(self.markets) if name != self.instrument))

    @property
    def own_limits(self) -> OwnerLimits:
        """Its risk limits."""
        return owner_limits(self.risk)

    def encode(self) -> bytes:
        """The JSON that is journalled."""
        return self.model_dump_json().encode()

    @classmethod
    def decode(cls, body: bytes) -> BotConfig:
        """Read a journalled configuration.

        One of a release that knew no modes goes on trading wherever its account is.

        Raises:
            ConfigurationError: It does not fit this release.
        """
        try:
            values = json.loads(body)
            return cls.model_validate({"mode": "live", **values} if isinstance(values, dict) else values)
        except ValueError as error:
            raise ConfigurationError(f"A stored bot configuration cannot be read: {error}") from error
