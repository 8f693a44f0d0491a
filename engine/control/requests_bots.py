"""Requests about bots in files, other strategies and earlier versions of a bot."""

from __future__ import annotations

from pydantic import Field

from engine.control.requests import LIVE_CHANGE, BotName, Request

__all__ = ["ExportBot", "ImportBot", "RollBackBot", "SwapBot"]


class SwapBot(BotName):
    """Another strategy, another file, or the present version of the same file, for a bot; the rest stays."""

    strategy: str = Field("", description="Name of the strategy; none for the present one.")
    strategy_file: str | None = Field(None, description="File that defines it; none for the present or a known one.")
    timeframe: str | None = Field(None, description="Length of a bar; none for the present one.")
    params: dict[str, bool | int | float | str] = Field(
        default_factory=dict,
        description="Parameters: laid over the present ones where the strategy stays, else over its defaults.",
    )
    live: str = Field("", max_length=64, description=LIVE_CHANGE)


class RollBackBot(BotName):
    """An earlier configuration of a bot."""

    version: int = Field(ge=1, description="Number of the version, as bots.versions lists it.")
    live: str = Field("", max_length=64, description=LIVE_CHANGE)


class ExportBot(BotName):
    """A bot, to be written to a file."""

    file: str = Field(min_length=1, description="Path of the file, on the machine of the engine.")
    overwrite: bool = Field(default=False, description="Take the place of a file that exists.")


class ImportBot(Request):
    """A bot out of a file."""

    file: str = Field(min_length=1, description="Path of the file, on the machine of the engine.")
    name: str = Field("", description="Name of the new bot; none for the one in the file.")
    into: str = Field("", description="A stopped bot that is set back to the file instead of making a new one.")
    memory: bool = Field(default=True, description="Take over what its strategy remembered.")
    live: str = Field("", max_length=64, description=LIVE_CHANGE)
