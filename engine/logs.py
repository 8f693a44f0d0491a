"""Structured logs: JSON lines to rotated files, with correlation ids and without secrets; never to the terminal."""

from __future__ import annotations

import functools
import inspect
import logging
import logging.handlers
import os
import re
import stat
import sys
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, cast

import orjson

# structlog draws tracebacks with rich when it can import it. The engine never draws, and must not load what draws.
_hidden = "rich" not in sys.modules
if _hidden:
    sys.modules["rich"] = None  # type: ignore[assignment]
try:
    import structlog
    from structlog.contextvars import bind_contextvars, bound_contextvars, merge_contextvars
finally:
    if _hidden:
        del sys.modules["rich"]

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, MutableMapping
    from pathlib import Path

    from engine.clock import Clock
    from engine.config import LogSettings

__all__ = [
    "add_context",
    "add_secret",
    "configure_logs",
    "current_operation",
    "get_logger",
    "operation",
    "redact",
    "timed",
]

P = ParamSpec("P")
R = TypeVar("R")

_WORDS = r"secret|password|passphrase|token|api_?key|private_?key|signature|authorization"
_SECRET_KEY = re.compile(rf"({_WORDS})", re.I)
_SAID = re.compile(
    rf"""(\b[\w-]*(?:{_WORDS})[\w-]*["']?\s*[=:]\s*)   # a name that tells, and its sign
    (?:"[^"]*"|'[^']*'|(?:Bearer\s+|Basic\s+)?[^\s"',;&)}}\]]+)""",
    re.I | re.X,
)
_IN_ADDRESS = re.compile(r"(\b[a-z][a-z0-9+.-]*://[^\s:/@]+:)[^\s@]+(@)", re.I)
_MASK = "***"
_SHORTEST_SECRET = 6
_secrets: list[str] = []
"""Longest first, so that no rest of one is left by another that it contains."""
_operation: ContextVar[str] = ContextVar("operation", default="")


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """A logger whose records are events with fields."""
    logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(name)
    return logger


def add_secret(value: str) -> None:
    """Mask this very text in every later record, wherever it stands. Short texts (< 6) are ignored."""
    if len(value) < _SHORTEST_SECRET:
        return
    forms = {value, orjson.dumps(value).decode()[1:-1]}
    _secrets[:] = sorted({*_secrets, *forms}, key=lambda secret: (-len(secret), secret))


def redact(value: Any, key: str = "") -> Any:
    """A copy of a value in which secrets are masked: by key name, by known text, and in `name=value` and addresses.

    What is no plain value becomes its text first, so that nothing can be hidden in it.
    """
    if value is None or isinstance(value, bool) or value == "":
        return value
    if key and _SECRET_KEY.search(key):
        return _MASK
    if isinstance(value, int | float):
        return value
    if isinstance(value, dict):
        return {redact(str(k)): redact(v, str(k)) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [redact(item) for item in value]
    return _masked(value if isinstance(value, str) else str(value))


def _masked(text: str) -> str:
    for secret in _secrets:
        text = text.replace(secret, _MASK)
    text = _SAID.sub(rf"\1{_MASK}", text)
    return _IN_ADDRESS.sub(rf"\1{_MASK}\2", text) if "://" in text else text


def _redactor(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    # What structlog and logging hand on to themselves is taken out before anything is written.
    return {key: value if key.startswith("_") else redact(value, key) for key, value in event.items()}


def _to_json(event: MutableMapping[str, Any], **_: Any) -> str:
    return orjson.dumps(event, default=str, option=orjson.OPT_NON_STR_KEYS).decode()


def _shared_processors() -> list[Any]:
    return [
        merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        _redactor,
    ]


def _configure(last: Any) -> None:
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *_shared_processors(), last],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )


# Until a destination is named, records go the way of `logging`, which leaves standard output to results.
_configure(structlog.processors.JSONRenderer(serializer=_to_json))


class _LogFile(logging.handlers.RotatingFileHandler):
    """A log file that also forgets by age, whenever it begins a new one."""

    def __init__(self, path: Path, settings: LogSettings, clock: Clock) -> None:
        super().__init__(
            path,
            maxBytes=settings.max_megabytes * 1_000_000,
            backupCount=settings.files - 1,
            encoding="utf-8",
            delay=True,
        )
        self._path, self._settings, self._clock = path, settings, clock
        self.expire()

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record, into a new file where the present one is full."""
        # The library's own way makes the text of every record twice, once to see how long it is.
        try:
            line = f"{self.format(record)}\n"
            if self.stream is None:
                self.stream = self._open()
            if self.maxBytes > 0:
                found = os.fstat(self.stream.fileno())
                if found.st_size + len(line) >= self.maxBytes and stat.S_ISREG(found.st_mode):
                    self.doRollover()
                    self.stream = self._open()
            self.stream.write(line)
            self.stream.flush()
        except Exception:  # a log that cannot be written stops nobody
            self.handleError(record)

    def doRollover(self) -> None:
        """Begin a new file."""
        super().doRollover()
        self.expire()

    def expire(self) -> None:
        """Remove files that nobody has written to for too long."""
        oldest = self._clock.now() / 1e9 - self._settings.max_days * 86_400
        for old in self._path.parent.glob(f"{self._path.name}*"):
            if old.stat().st_mtime < oldest:
                old.unlink(missing_ok=True)


def configure_logs(folder: Path, settings: LogSettings, clock: Clock, name: str = "engine") -> Path:
    """Send all records of this process, those of libraries too, to `<name>.log` in a folder.

    Old files are removed by number and age. Calling it again replaces the earlier destination.

    Returns:
        The log file.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = folder / f"{name}.log"
    handler = _LogFile(path, settings, clock)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=_shared_processors(),
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(serializer=_to_json),
            ],
        )
    )
    root = logging.getLogger()
    for old in list(root.handlers):
        root.removeHandler(old)
        old.close()
    root.addHandler(handler)
    root.setLevel(settings.level)
    # It tells of each of its own plugins at every look at the report database.
    logging.getLogger("alembic").setLevel(logging.WARNING)
    # Python would print warnings on the terminal that the app draws on.
    logging.captureWarnings(capture=True)
    _configure(structlog.stdlib.ProcessorFormatter.wrap_for_formatter)
    return path


@contextmanager
def operation(correlation: str, **fields: Any) -> Iterator[None]:
    """Every record inside, also of tasks started inside, carries this correlation id and these fields."""
    token = _operation.set(correlation)
    try:
        with bound_contextvars(correlation=correlation, **fields):
            yield
    finally:
        _operation.reset(token)


def current_operation() -> str:
    """Correlation id of the operation under way; empty outside of one."""
    return _operation.get()


def add_context(**fields: Any) -> None:
    """Every later record of this task carries these fields."""
    bind_contextvars(**fields)


def timed(clock: Clock) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Log name, duration (ms, two decimals) and outcome of every call, sync or async; errors pass through."""
    log = structlog.get_logger("timing")

    def note(name: str, began: int, error: BaseException | None) -> None:
        duration = round((clock.monotonic() - began) / 1e6, 2)
        fields: dict[str, Any] = {"function": name, "duration_ms": duration, "success": error is None}
        if error is not None:
            fields["error"] = str(error)
        log.debug("timed", **fields)

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        name = function.__qualname__
        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def later(*args: P.args, **kwargs: P.kwargs) -> Any:
                began = clock.monotonic()
                try:
                    result = await function(*args, **kwargs)
                except BaseException as error:
                    note(name, began, error)
                    raise
                note(name, began, None)
                return result

            return cast("Callable[P, R]", later)

        @functools.wraps(function)
        def now(*args: P.args, **kwargs: P.kwargs) -> R:
            began = clock.monotonic()
            try:
                result = function(*args, **kwargs)
            except BaseException as error:
                note(name, began, error)
                raise
            note(name, began, None)
            return result

        return now

    return decorate
