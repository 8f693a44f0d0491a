"""Structured logs: JSON lines to rotated files, with correlation ids and without secrets; never to the terminal."""

from __future__ import annotations

import functools
import inspect
import logging
import logging.handlers
import re
import sys
from contextlib import contextmanager
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

__all__ = ["add_context", "add_secret", "configure_logs", "get_logger", "operation", "redact", "timed"]

P = ParamSpec("P")
R = TypeVar("R")

_SECRET_KEY = re.compile(r"(secret|password|passphrase|token|api_?key|private_?key|signature|authorization)", re.I)
_MASK = "***"
_secrets: set[str] = set()


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """A logger whose records are events with fields."""
    logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(name)
    return logger


def add_secret(value: str) -> None:
    """Mask this very text in every later record, wherever it stands. Short texts (< 6) are ignored."""
    if len(value) >= 6:
        _secrets.add(value)


def redact(value: Any, key: str = "") -> Any:
    """A copy of a value in which secrets are masked, by key name and by known text."""
    if key and _SECRET_KEY.search(key) and value not in (None, ""):
        return _MASK
    if isinstance(value, str):
        for secret in _secrets:
            value = value.replace(secret, _MASK)
        return value
    if isinstance(value, dict):
        return {k: redact(v, str(k)) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [redact(item) for item in value]
    return value


def _redactor(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    return cast("MutableMapping[str, Any]", redact(dict(event)))


def _to_json(event: MutableMapping[str, Any], **_: Any) -> str:
    return orjson.dumps(event, default=str, option=orjson.OPT_NON_STR_KEYS).decode()


def configure_logs(folder: Path, settings: LogSettings, clock: Clock) -> Path:
    """Send all records of this process, those of libraries too, to `engine.log` in a folder.

    Old files are removed by number and age. Calling it again replaces the earlier destination.

    Returns:
        The log file.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = folder / "engine.log"
    _expire(folder, settings, clock)
    handler = logging.handlers.RotatingFileHandler(
        path, maxBytes=settings.max_megabytes * 1_000_000, backupCount=settings.files - 1, encoding="utf-8", delay=True
    )
    shared: list[Any] = [
        merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        _redactor,
    ]
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
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
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    return path


def _expire(folder: Path, settings: LogSettings, clock: Clock) -> None:
    oldest = clock.now() / 1e9 - settings.max_days * 86_400
    for old in folder.glob("engine.log*"):
        if old.stat().st_mtime < oldest:
            old.unlink(missing_ok=True)


@contextmanager
def operation(correlation: str, **fields: Any) -> Iterator[None]:
    """Every record inside, also of tasks started inside, carries this correlation id and these fields."""
    with bound_contextvars(correlation=correlation, **fields):
        yield


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
