"""One request of a person, asked again as often as they press: done once, and anew only after a certain refusal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from console.errands import new_request_id
from engine.errors import EngineNotRunningError, QuarterdeckError, UnknownOutcomeError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from engine.control.link import EngineLink

__all__ = ["request"]


def request(link: EngineLink, operation: str, params: Mapping[str, Any]) -> Callable[[], Awaitable[Any]]:
    """Return what asks the engine for one thing.

    While it is not known what became of the request, asking again has the same id and gets the same answer. Once the
    engine has refused, another try is another request: the reason may be gone.
    """
    request_id = new_request_id()

    async def ask() -> Any:
        nonlocal request_id
        try:
            return await link.call(operation, dict(params), request_id=request_id)
        except (UnknownOutcomeError, EngineNotRunningError):
            raise
        except QuarterdeckError:
            request_id = new_request_id()
            raise

    return ask
