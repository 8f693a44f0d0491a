"""The one way in for every door: validates a request, runs its operation, answers repeats with the first result."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel
from pydantic import ValidationError as PydanticError

from engine.control.ops import all as _all_operations
from engine.control.registry import OPERATIONS, Operation, Role, find_operation
from engine.errors import AuthorizationError, QuarterdeckError, ValidationError
from engine.logs import get_logger
from engine.logs import operation as log_operation

if TYPE_CHECKING:
    from collections.abc import Mapping

    from engine.control.context import Context

__all__ = ["REMEMBERED", "Service"]

log = get_logger(__name__)

REMEMBERED = 10_000
"""Outcomes kept by request id."""

_ENTERED = _all_operations.__all__


class Service:
    """Runs operations in one context."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self._outcomes: OrderedDict[str, asyncio.Future[Any]] = OrderedDict()
        self._count = 0

    async def call(
        self,
        name: str,
        params: Mapping[str, Any] | BaseModel | None = None,
        *,
        request_id: str | None = None,
        role: Role = Role.ADMIN,
    ) -> Any:
        """Run one operation.

        A mutating call returns only once everything it booked is durable. Cancelling the caller does not undo what was
        begun: with the same request id the outcome can be had later.

        Raises:
            NotFoundError: There is no such operation.
            ValidationError: The request does not fit; every fault is listed.
            AuthorizationError: The role may not do this.
            QuarterdeckError: What the operation refuses with.
        """
        entry = find_operation(name)
        if role < entry.role:
            raise AuthorizationError(f"{name} needs the role {entry.role.name.lower()}; this connection may only look.")
        request = _parse(entry, params)
        if not entry.mutates:
            return await entry.handler(self.context, request)
        if request_id is None:
            return await self._mutate(entry, request)
        known = self._outcomes.get(request_id)
        if known is None:
            # Owned by the table of outcomes: the caller may go, what was begun is finished.
            known = asyncio.get_running_loop().create_task(self._mutate(entry, request), name=entry.name)
            known.add_done_callback(_seen)
            self._outcomes[request_id] = known
            while len(self._outcomes) > REMEMBERED:
                self._outcomes.popitem(last=False)
        return await asyncio.shield(known)

    async def _mutate(self, entry: Operation, request: Any) -> Any:
        self._count += 1
        correlation = f"{entry.name}-{self._count}"
        engine = self.context.engine
        with log_operation(correlation):
            try:
                self.context.audit(entry.name, _summary(request))
                return await entry.handler(self.context, request)
            except QuarterdeckError as error:
                log.info("operation refused", operation=entry.name, kind=error.kind, problem=error.message)
                raise
            finally:
                # What is answered, also a refusal, must survive a power loss.
                if engine is not None and engine.ledger.failed is None and not engine.stopped:
                    await engine.journal.wait_durable(engine.ledger.seq)

    @staticmethod
    def describe() -> list[dict[str, Any]]:
        """The table in plain values: name, role, whether it changes something, tier, words, request schema."""
        return [
            {
                "name": entry.name,
                "role": entry.role.name.lower(),
                "mutates": entry.mutates,
                "tier": str(entry.tier),
                "emergency": entry.emergency,
                "doc": entry.doc,
                "request": entry.request.model_json_schema(),
            }
            for entry in sorted(OPERATIONS.values(), key=lambda entry: entry.name)
        ]


def _seen(future: asyncio.Future[Any]) -> None:
    """Take notice of a failure that nobody waited for; the log has it already."""
    if not future.cancelled():
        future.exception()


def _parse(entry: Operation, params: Mapping[str, Any] | BaseModel | None) -> BaseModel:
    if isinstance(params, entry.request):
        return params
    values = params.model_dump() if isinstance(params, BaseModel) else dict(params or {})
    try:
        return entry.request.model_validate(values)
    except PydanticError as error:
        faults = [f"{'.'.join(str(part) for part in f['loc']) or 'request'}: {f['msg']}" for f in error.errors()]
        raise ValidationError(f"{entry.name}: {'; '.join(faults)}.", details={"faults": faults}) from None


def _summary(request: BaseModel) -> str:
    said = request.model_dump(mode="json", exclude_defaults=True, exclude_none=True)
    return ", ".join(f"{key}={value}" for key, value in said.items())[:500]
