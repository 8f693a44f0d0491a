"""Requests about bots in files."""

from __future__ import annotations

from pydantic import Field

from engine.control.requests import LIVE_CHANGE, BotName, Request

__all__ = ["ExportBot", "ImportBot"]


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
