"""What a person says about a bot."""

from __future__ import annotations

import re
from decimal import Decimal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from engine.bots.execution import Execution
from engine.errors import ConfigurationError
from engine.model.candle import timeframe_ns

__all__ = ["BotConfig"]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 _.-]{0,31}")


class BotConfig(BaseModel):
    """A bot: one strategy on one instrument with its own capital."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(description="Unique name: letters, digits, space, _ . -; at most 32 characters.")
    strategy: str = Field(description="Name of the strategy.")
    strategy_file: str | None = Field(None, description="File that defines the strategy; None for a known one.")
    instrument: str = Field(description="Instrument, such as SIM:BTC/USDT.")
    account: str = Field("", description="Account it trades in; none for the first one of the instrument's venue.")
    timeframe: str = Field("1h", description="Length of a bar, such as 1m, 15m or 1h.")
    capital: Decimal = Field(Decimal(2000), gt=0, description="What the bot may use, in the account's base currency.")
    params: dict[str, bool | int | float | str] = Field(default_factory=dict, description="The strategy's parameters.")
    autostart: bool = Field(default=False, description="Start together with the engine.")
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

    def encode(self) -> bytes:
        """The JSON that is journalled."""
        return self.model_dump_json().encode()

    @classmethod
    def decode(cls, body: bytes) -> BotConfig:
        """Read a journalled configuration.

        Raises:
            ConfigurationError: It does not fit this release.
        """
        try:
            return cls.model_validate_json(body)
        except ValueError as error:
            raise ConfigurationError(f"A stored bot configuration cannot be read: {error}") from error
