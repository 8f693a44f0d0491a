"""The operation on who is connected."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.control.registry import operation
from engine.control.requests import Empty

if TYPE_CHECKING:
    from engine.control.context import Context
    from engine.control.views_records import ClientRow


@operation("clients.list", Empty)
async def list_clients(context: Context, _: Empty) -> list[ClientRow]:
    """Who is connected to the engine over its socket: consoles, commands and programs."""
    return context.control.clients() if context.control is not None else []
