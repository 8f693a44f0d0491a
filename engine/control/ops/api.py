"""The operation that describes all operations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engine.control.registry import operation
from engine.control.requests_listing import Describe
from engine.errors import NotFoundError

if TYPE_CHECKING:
    from engine.control.context import Context


@operation("api.describe", Describe, offline=True)
async def describe_all(_: Context, request: Describe) -> dict[str, Any]:
    """Operations, topics, errors and exit statuses with the schemas of their values, as one object."""
    # It reads the table that it stands in, which is complete by now.
    from engine.control.describe import describe, nouns

    if request.noun is not None and request.noun not in nouns():
        raise NotFoundError(f"There is nothing called {request.noun!r}; there are {', '.join(nouns())}.")
    return describe(request.noun)
