"""The central error handler: weighs errors, counts identical ones, raises what repeats, and tells who listens.

Plain and synchronous; it takes microseconds, keeps a bounded memory and never raises. What it has gathered is fetched
by whoever keeps it in the database.
"""

from __future__ import annotations

import functools
import inspect
import re
import traceback
import uuid
from collections import OrderedDict, deque
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, cast

import msgspec

from engine.errors import QuarterdeckError
from engine.logs import current_operation, get_logger, redact
from engine.model.faults import Severity
from engine.resilience.settings import ErrorHandlingSettings
from engine.resilience.severity import severity_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from engine.clock import Clock

__all__ = ["BUCKET_NS", "ErrorBucket", "ErrorGroup", "ErrorHandler", "Notice"]

P = ParamSpec("P")
R = TypeVar("R")

GROUPS = 500
"""Kinds of error remembered at once; the one heard of longest ago goes first."""
BUCKETS = 2_000
"""Counts that wait to be kept; beyond that the oldest are dropped and counted."""
NOTICES = 200
BUCKET_NS = 300_000_000_000
"""Identical errors within the same five minutes are one row."""
GRAVE = 10_000
"""Times of errors of medium severity or above that are remembered."""
FRAMES = 12
_TEXT = 600
_NUMBER = re.compile(r"\d+(\.\d+)?")

log = get_logger(__name__)


class ErrorBucket(msgspec.Struct, kw_only=True):
    """Identical errors of five minutes: what is kept of them."""

    id: str
    severity: Severity
    component: str
    operation: str
    error_type: str
    message: str
    correlation: str
    context: dict[str, Any]
    """Inputs without secrets, related order, position or bot, and the stack."""
    count: int
    first: int
    """UTC nanoseconds."""
    last: int


class ErrorGroup(msgspec.Struct, kw_only=True):
    """Identical errors of all time, as far as remembered."""

    component: str
    operation: str
    error_type: str
    message: str
    base: Severity
    severity: Severity
    """In force: one step above `base` while it repeats."""
    count: int
    first: int
    last: int
    recent: deque[int]
    bucket: ErrorBucket


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """Something that a person should know now."""

    number: int
    """Counts up by one from 1 within a process."""
    ts: int
    severity: Severity
    component: str
    text: str


class ErrorHandler:
    """Hears every error of the engine.

    Args:
        clock: Stamps.
        settings: Severities and when repeated errors escalate.
    """

    def __init__(self, clock: Clock, settings: ErrorHandlingSettings | None = None) -> None:
        self.settings = settings or ErrorHandlingSettings()
        self.notices: deque[Notice] = deque(maxlen=NOTICES)
        """The newest notices, oldest first."""
        self.total = 0
        """Errors heard since the start."""
        self.dropped = 0
        """Counts that could not be kept because the database was away for too long."""
        self._clock = clock
        self._groups: OrderedDict[tuple[str, str, str, str], ErrorGroup] = OrderedDict()
        self._dirty: OrderedDict[str, ErrorBucket] = OrderedDict()
        self._listeners: list[Callable[[Notice], None]] = []
        self._number = 0
        self._grave: deque[int] = deque(maxlen=GRAVE)

    def on_notice(self, listener: Callable[[Notice], None]) -> None:
        """Tell a function about every notice; it must return at once."""
        self._listeners.append(listener)

    # --- hearing -----------------------------------------------------------------------------------------------------

    def report(
        self,
        error: BaseException,
        *,
        component: str,
        operation: str = "",
        order: str = "",
        position: str = "",
        bot: str = "",
        **inputs: Any,
    ) -> None:
        """Take an error in. Never raises, never blocks.

        Args:
            error: What was raised.
            component: The part of the engine that it happened to.
            operation: What that part was doing.
            order: Client order id that it is about.
            position: Instrument whose position it is about.
            bot: Owner that it is about.
            inputs: What it was done with; secrets are masked.
        """
        try:
            about = {"order": order, "position": position, "bot": bot}
            context: dict[str, Any] = {key: value for key, value in about.items() if value}
            if inputs:
                context["inputs"] = inputs
            self._take(error, component, operation, context)
        except Exception:  # whoever reports an error has one already, and must not get another from here
            log.exception("an error could not be handled", component=component, operation=operation)

    def alert(self, severity: Severity, component: str, text: str) -> None:
        """Tell what no error was raised for: a breaker that opened, a scenario that ended badly. Never raises."""
        try:
            self._notice(severity, component, text)
        except Exception:
            log.exception("an alert could not be given", component=component)

    @contextmanager
    def watching(self, component: str, operation: str, **about: Any) -> Iterator[None]:
        """Report whatever a block raises, and let it go on its way."""
        try:
            yield
        except Exception as error:
            self.report(error, component=component, operation=operation, **about)
            raise

    def watched(self, component: str, operation: str = "") -> Callable[[Callable[P, R]], Callable[P, R]]:
        """Decorate a function, sync or async: whatever it raises is reported and goes on its way."""

        def decorate(function: Callable[P, R]) -> Callable[P, R]:
            name = operation or function.__name__
            if inspect.iscoroutinefunction(function):

                @functools.wraps(function)
                async def later(*args: P.args, **kwargs: P.kwargs) -> Any:
                    with self.watching(component, name):
                        return await function(*args, **kwargs)

                return cast("Callable[P, R]", later)

            @functools.wraps(function)
            def now(*args: P.args, **kwargs: P.kwargs) -> R:
                with self.watching(component, name):
                    return function(*args, **kwargs)

            return now

        return decorate

    def _take(self, error: BaseException, component: str, operation: str, context: dict[str, Any]) -> None:
        self.total += 1
        now = self._clock.now()
        kind = error.kind if isinstance(error, QuarterdeckError) else type(error).__name__
        message = str(redact(_words(error)))[:_TEXT]
        # Amounts, ids and times differ from one error to the next; what stays is what it is about.
        key = (component, operation, kind, _NUMBER.sub("#", message))
        group = self._groups.get(key)
        fresh = group is None or now - group.last > self._window
        if group is None:
            group = self._begin(key, error, message, now)
        self._groups.move_to_end(key)
        if fresh:
            group.severity = group.base
            group.recent.clear()
        if now // BUCKET_NS != group.bucket.first // BUCKET_NS or not group.bucket.count:
            group.bucket = self._bucket(group, error, context, now)
        group.message, group.last = message, now
        group.count += 1
        group.recent.append(now)
        bucket = group.bucket
        bucket.count += 1
        bucket.last = now
        risen = self._escalates(group, now)
        bucket.severity = max(bucket.severity, group.severity, key=lambda one: one.rank)
        if group.severity.rank >= Severity.MEDIUM.rank:
            self._grave.append(now)
        self._keep(bucket)
        if (fresh or risen) and group.severity is not Severity.LOW:
            again = f" ({len(group.recent)} times within {self.settings.escalate_within / 60:g} min)" if risen else ""
            self._notice(group.severity, component, f"{message}{again}")

    @property
    def _window(self) -> int:
        return int(self.settings.escalate_within * 1e9)

    def _begin(self, key: tuple[str, str, str, str], error: BaseException, message: str, now: int) -> ErrorGroup:
        component, operation, kind, _ = key
        base = severity_of(error, self.settings.severities)
        nothing = ErrorBucket(
            id="", severity=base, component=component, operation=operation, error_type=kind, message=message,
            correlation="", context={}, count=0, first=now, last=now,
        )  # fmt: skip
        group = ErrorGroup(
            component=component,
            operation=operation,
            error_type=kind,
            message=message,
            base=base,
            severity=base,
            count=0,
            first=now,
            last=now,
            recent=deque(maxlen=self.settings.escalate_after),
            bucket=nothing,
        )
        self._groups[key] = group
        if len(self._groups) > GROUPS:
            self._groups.popitem(last=False)
        return group

    def _bucket(self, group: ErrorGroup, error: BaseException, context: dict[str, Any], now: int) -> ErrorBucket:
        stack = [f"{f.filename}:{f.lineno} {f.name}" for f in traceback.extract_tb(error.__traceback__)[-FRAMES:]]
        details = {"details": error.details} if isinstance(error, QuarterdeckError) and error.details else {}
        return ErrorBucket(
            id=str(uuid.uuid4()),
            severity=group.severity,
            component=group.component,
            operation=group.operation,
            error_type=group.error_type,
            message=group.message,
            correlation=current_operation(),
            context=redact({**context, **details, "stack": stack}),
            count=0,
            first=now,
            last=now,
        )

    def _escalates(self, group: ErrorGroup, now: int) -> bool:
        """One step up once enough identical errors came within the window; not further, however many there are."""
        if group.severity is not group.base or len(group.recent) < self.settings.escalate_after:
            return False
        if now - group.recent[0] > self._window or group.base is Severity.CRITICAL:
            return False
        group.severity = group.base.next
        return True

    def _notice(self, severity: Severity, component: str, text: str) -> None:
        self._number += 1
        notice = Notice(
            number=self._number, ts=self._clock.now(), severity=severity, component=component, text=text[:_TEXT]
        )
        self.notices.append(notice)
        write = {Severity.CRITICAL: log.critical, Severity.HIGH: log.error, Severity.MEDIUM: log.warning}
        write.get(severity, log.info)("notice", severity=severity, component=component, text=notice.text)
        for listener in self._listeners:
            try:
                listener(notice)
            except Exception:
                log.exception("a listener failed at a notice", component=component)

    # --- keeping -----------------------------------------------------------------------------------------------------

    def _keep(self, bucket: ErrorBucket) -> None:
        self._dirty[bucket.id] = bucket
        if len(self._dirty) > BUCKETS:
            self._dirty.popitem(last=False)
            self.dropped += 1

    def drain(self) -> list[ErrorBucket]:
        """Copies of every count that changed since the last time, oldest first."""
        found = [msgspec.structs.replace(bucket) for bucket in self._dirty.values()]
        self._dirty.clear()
        return found

    def give_back(self, buckets: list[ErrorBucket]) -> None:
        """What was drained could not be kept; it is there again the next time, unless it has changed since."""
        newer, self._dirty = self._dirty, OrderedDict()
        for bucket in buckets:
            self._keep(bucket)
        for bucket in newer.values():
            self._keep(bucket)

    # --- being asked -------------------------------------------------------------------------------------------------

    @property
    def last_number(self) -> int:
        """Number of the newest notice; 0 before the first."""
        return self._number

    def within(self, now: int, span: int) -> int:
        """Errors of medium severity or above in the last `span` nanoseconds, of those that are remembered."""
        while self._grave and self._grave[0] <= now - span:
            self._grave.popleft()
        return len(self._grave)

    def groups(self) -> list[ErrorGroup]:
        """What is remembered, the newest first."""
        return sorted(self._groups.values(), key=lambda group: -group.last)


def _words(error: BaseException) -> str:
    if isinstance(error, QuarterdeckError):
        return error.message
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
