"""The one way in for every door: validates a request, runs its operation, answers repeats with the first result."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from copy import copy
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel
from pydantic import ValidationError as PydanticError

from engine.control.live.arming import EMBEDDED
from engine.control.ops import all as _all_operations
from engine.control.outcomes import answer_of, pack
from engine.control.pause import Pause
from engine.control.registry import Operation, Role, find_operation
from engine.control.turns import Turns, object_of
from engine.crash_points import crash_point
from engine.errors import (
    AuthorizationError,
    ConflictError,
    HandoverError,
    JournalError,
    QuarterdeckError,
    ValidationError,
)
from engine.logs import current_operation, get_logger, redact
from engine.logs import operation as log_operation

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from collections.abc import Set as AbstractSet

    from engine.control.context import Context
    from engine.control.outcomes import Outcome
    from engine.engine import Engine

__all__ = ["REMEMBERED", "Service"]

log = get_logger(__name__)

REMEMBERED = 10_000
"""Outcomes kept by request id."""
REMEMBERED_NS = 24 * 3_600_000_000_000
"""How long an outcome is kept."""

NOTHING_CHANGES = "this is a replay of the past, and nothing can be changed in it. Go back to the present to act."

_ENTERED = _all_operations.__all__


@dataclass(frozen=True, slots=True)
class _Outcome:
    """A mutating request and what comes of it."""

    operation: str
    request: bytes
    """Its fields as JSON."""
    begun: int
    """Nanoseconds of the steady clock."""
    result: asyncio.Future[Any]


class Service:
    """Runs operations in one context."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self._outcomes: OrderedDict[str, _Outcome] = OrderedDict()
        self._count = 0
        self._changing = 0
        self._turns = Turns()
        self._idle = asyncio.Event()
        self._idle.set()
        self.pause = Pause()
        """Before everything that changes something."""

    @property
    def changing(self) -> int:
        """Mutating calls under way."""
        return self._changing

    def answered(self, told: AbstractSet[str] = frozenset()) -> Iterator[Outcome]:
        """Answers to mutating requests that a repeat would get now, the oldest first.

        Args:
            told: Ids of requests that are left out.
        """
        now = self.context.clock.monotonic()
        for request_id, known in tuple(self._outcomes.items()):
            if request_id in told or not known.result.done() or known.result.cancelled():
                continue
            # Nothing of what was refused because of a hand-over was begun: it may be asked for anew.
            if not isinstance(known.result.exception(), HandoverError):
                yield pack(request_id, known.operation, known.request, now - known.begun, known.result)

    def remember(self, outcomes: Iterable[Outcome]) -> None:
        """Take in answers that another process gave; those that this release cannot read are left out."""
        now = self.context.clock.monotonic()
        for outcome in outcomes:
            try:
                entry = find_operation(outcome.operation)
                entry.request.model_validate_json(outcome.request)
                answer = answer_of(outcome)
            except (QuarterdeckError, PydanticError) as error:
                log.warning("an answer is not known any more", request_id=outcome.request_id, problem=str(error))
                continue
            self._outcomes[outcome.request_id] = _Outcome(entry.name, outcome.request, now - outcome.age_ns, answer)
            self._forget(now)

    async def finish(self, seconds: float) -> bool:
        """Wait so long for the mutating calls under way; False when some are still not answered."""
        try:
            async with asyncio.timeout(seconds):
                await self._idle.wait()
        except TimeoutError:
            log.warning("the engine ends although calls are under way", calls=self._changing)
        return self._idle.is_set()

    async def call(
        self,
        name: str,
        params: Mapping[str, Any] | BaseModel | None = None,
        *,
        request_id: str | None = None,
        role: Role = Role.ADMIN,
        actor: str | None = None,
        connection: str = EMBEDDED,
    ) -> Any:
        """Run one operation.

        A mutating call returns only once everything it booked is durable. Cancelling the caller does not undo what was
        begun: with the same request id the outcome can be had later, by whichever connection it is asked for.

        Args:
            name: Name of the operations table.
            params: Fields of its request.
            request_id: Chosen by the caller; a repeat gets the first answer, for a day.
            role: The caller's.
            actor: The name under which it is recorded; None for the context's own.
            connection: Over which connection the caller is.

        Raises:
            NotFoundError: There is no such operation.
            ValidationError: The request does not fit, every fault is listed; or its id was used for another one.
            AuthorizationError: The role may not do this.
            ConflictError: A request of this id was begun before the engine restarted; it is not done again.
            JournalError: What was booked may not have been kept.
            QuarterdeckError: What the operation refuses with.
        """
        self._count += 1
        context = self.context
        if (actor is not None and actor != context.actor) or connection != context.connection:
            context = replace(context, actor=actor or context.actor, connection=connection)
        began, result = context.clock.monotonic(), "left"
        with log_operation(f"{name}-{request_id or self._count}"):
            try:
                reply = await self._call(context, name, params, request_id, role)
            except QuarterdeckError as error:
                result = error.kind
                error.correlation = error.correlation or current_operation()
                raise
            else:
                result = "done"
            finally:
                took = (context.clock.monotonic() - began) / 1e6
                log.info("call", operation=name, actor=context.actor, ms=round(took, 2), result=result)
        return reply

    async def _call(
        self,
        context: Context,
        name: str,
        params: Mapping[str, Any] | BaseModel | None,
        request_id: str | None,
        role: Role,
    ) -> Any:
        entry = find_operation(name)
        if role < entry.role:
            raise AuthorizationError(
                f"{name} needs the role {entry.role.name.lower()}; this connection has the role {role.name.lower()}."
            )
        if entry.mutates and self.context.replay is not None:
            raise ConflictError(f"{entry.name}: {NOTHING_CHANGES}", error_code="replay")
        request = _parse(entry, params)
        if not entry.mutates:
            return await self._run(context, entry, request)
        if request_id is None:
            return await self._mutate(context, entry, request, "")
        return await self._once(context, entry, request, request_id)

    async def _once(self, context: Context, entry: Operation, request: BaseModel, request_id: str) -> Any:
        known, body = self._outcomes.get(request_id), request.model_dump_json().encode()
        if known is None:
            self._check_unused(request_id)
            # Owned by the table of outcomes: the caller may go, what was begun is finished.
            work = self._mutate(context, entry, request, request_id)
            task = asyncio.get_running_loop().create_task(work, name=entry.name)
            task.add_done_callback(partial(self._settle, request_id))
            now = context.clock.monotonic()
            known = self._outcomes[request_id] = _Outcome(entry.name, body, now, task)
            self._forget(now)
        elif (known.operation, known.request) != (entry.name, body):
            raise ValidationError(
                f"The request id {request_id} was used for another request ({known.operation}); choose a new one."
            )
        try:
            return await asyncio.shield(known.result)
        except QuarterdeckError as error:
            # Everybody gets a refusal of their own: the one that is kept for a day must not hold the callers' frames.
            fresh = copy(error)
            error.__traceback__ = error.__context__ = None
            raise fresh from error.__cause__

    def _settle(self, request_id: str, task: asyncio.Task[Any]) -> None:
        """Keep the bare answer: a task that is kept for a day holds its frames and all that they knew."""
        known = self._outcomes.get(request_id)
        if task.cancelled() or known is None or known.result is not task:
            return
        answer: asyncio.Future[Any] = task.get_loop().create_future()
        error = task.exception()
        if error is None:
            answer.set_result(task.result())
        else:
            # The log has the trace.
            error.__context__ = None
            answer.set_exception(error.with_traceback(None))
            answer.exception()
        self._outcomes[request_id] = replace(known, result=answer)

    def _forget(self, now: int) -> None:
        """Drop outcomes that are too many or too old."""
        outcomes = self._outcomes
        while len(outcomes) > REMEMBERED:
            outcomes.popitem(last=False)
        while outcomes and now - next(iter(outcomes.values())).begun > REMEMBERED_NS:
            outcomes.popitem(last=False)

    def _check_unused(self, request_id: str) -> None:
        engine = self.context.engine
        begun = engine.state.requests.get(request_id) if engine is not None else None
        if engine is not None and begun is not None:
            when = datetime.fromtimestamp(begun // 10**9, UTC)
            why = "before the engine restarted" if begun < engine.started else "more than a day ago"
            raise ConflictError(
                f"The request {request_id} was begun at {when:%Y-%m-%d %H:%M:%S} UTC, {why}, and is not done again. "
                "Look at what became of it, then ask anew.",
                error_code="request_known",
            )

    async def _run(self, context: Context, entry: Operation, request: BaseModel) -> Any:
        try:
            return await entry.handler(context, request)
        except QuarterdeckError as error:
            log.info("operation refused", operation=entry.name, kind=error.kind, problem=error.message)
            raise
        except Exception as error:
            # A fault of ours: the person gets a sentence, the trace goes to the log.
            log.exception("operation failed", operation=entry.name)
            if self.context.engine is not None:
                self.context.engine.errors.report(error, component="operations", operation=entry.name)
            raise QuarterdeckError(
                f"{entry.name} failed unexpectedly ({type(error).__name__}). The log has the details."
            ) from error

    async def _mutate(self, context: Context, entry: Operation, request: BaseModel, request_id: str) -> Any:
        await self.pause.admit()
        self._changing += 1
        self._idle.clear()
        try:
            async with self._turns.of(object_of(context, entry, request)):
                return await self._change(context, entry, request, request_id)
        finally:
            self._changing -= 1
            if not self._changing:
                self._idle.set()

    async def _change(self, context: Context, entry: Operation, request: BaseModel, request_id: str) -> Any:
        engine = context.engine
        before = engine.ledger.seq if engine is not None else 0
        try:
            context.audit(entry.name, _summary(request), request_id)
            return await self._run(context, entry, request)
        finally:
            # What is answered, also a refusal, must survive a power loss.
            crash_point("call.done")
            if engine is not None:
                await _kept(engine, before)
            crash_point("call.durable")


async def _kept(engine: Engine, before: int) -> None:
    ledger = engine.ledger
    if ledger.failed is not None:
        if ledger.seq > before:
            raise JournalError(
                f"The request was begun and may not have been kept: {ledger.failed} After the next start it shows."
            )
    elif not engine.stopped or ledger.seq > before:
        await engine.journal.wait_durable(ledger.seq)


def _parse(entry: Operation, params: Mapping[str, Any] | BaseModel | None) -> BaseModel:
    if isinstance(params, entry.request):
        return params
    values = params.model_dump() if isinstance(params, BaseModel) else dict(params or {})
    try:
        return entry.request.model_validate(values)
    except PydanticError as error:
        faults = [
            f"{'.'.join(str(part) for part in f['loc']) or 'request'}: {f['msg'].removeprefix('Value error, ')}"
            for f in error.errors(include_url=False, include_context=False, include_input=False)
        ]
        raise ValidationError(f"{entry.name}: {'; '.join(faults)}.", details={"faults": faults}) from None


def _summary(request: BaseModel) -> str:
    said = request.model_dump(mode="json", exclude_defaults=True, exclude_none=True)
    return ", ".join(f"{key}={value}" for key, value in redact(said).items())[:500]
