"""The operation on the engine's own health."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.control.present.health import health_rows
from engine.control.registry import operation
from engine.control.requests import Empty

if TYPE_CHECKING:
    from engine.control.context import Context
    from engine.control.views import HealthRow


@operation("health.components", Empty, emergency=True)
async def components(context: Context, _: Empty) -> list[HealthRow]:
    """How journal, venue, feeds, risk, bots, event loop, reports and jobs are, a row each."""
    return health_rows(context)
