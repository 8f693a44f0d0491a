"""The one table of operations: everything a person or a program can do, with its request, role and words."""

from __future__ import annotations

import difflib
import enum
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from engine.control.requests import Request
from engine.errors import NotFoundError

if TYPE_CHECKING:
    from engine.control.context import Context

__all__ = ["OPERATIONS", "Operation", "Role", "Tier", "find_operation", "operation"]

R = TypeVar("R", bound=Request)
Handler = Callable[["Context", Any], Awaitable[Any]]


class Role(enum.IntEnum):
    """Who may call; each role includes those before it."""

    VIEWER = 1
    TRADER = 2
    ADMIN = 3


class Tier(enum.StrEnum):
    """How much a person is asked before it happens."""

    FREE = "free"
    CONFIRM = "confirm"
    TYPE = "type"
    """Type a word to confirm, when money is real."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One entry of the table."""

    name: str
    """`noun.verb`."""
    request: type[Request]
    role: Role
    mutates: bool
    tier: Tier
    emergency: bool
    """Never waits behind other work."""
    offline: bool
    """Works in a home folder without an engine too."""
    since: int
    """Protocol of the control socket in which it came."""
    doc: str
    handler: Handler

    @property
    def starts_job(self) -> bool:
        """True when the reply is a job that goes on after it."""
        return self.mutates and self.handler.__annotations__.get("return") == "JobRow" and "jobs." not in self.name


OPERATIONS: dict[str, Operation] = {}


def operation(
    name: str,
    request: type[R],
    role: Role = Role.VIEWER,
    *,
    mutates: bool = False,
    tier: Tier = Tier.FREE,
    emergency: bool = False,
    offline: bool = False,
    since: int = 1,
) -> Callable[[Callable[[Context, R], Awaitable[Any]]], Callable[[Context, R], Awaitable[Any]]]:
    """Enter a function into the table; its docstring is the operation's."""

    def enter(handler: Callable[[Context, R], Awaitable[Any]]) -> Callable[[Context, R], Awaitable[Any]]:
        if name in OPERATIONS:
            raise RuntimeError(f"the operation {name} is entered twice")
        OPERATIONS[name] = Operation(
            name=name,
            request=request,
            role=role,
            mutates=mutates,
            tier=tier,
            emergency=emergency,
            offline=offline,
            since=since,
            doc=(handler.__doc__ or "").strip(),
            handler=handler,
        )
        return handler

    return enter


def find_operation(name: str) -> Operation:
    """Look an operation up.

    Raises:
        NotFoundError: There is none of that name; the nearest one is named.
    """
    found = OPERATIONS.get(name)
    if found is None:
        near = difflib.get_close_matches(name, OPERATIONS, 1, 0.5)
        raise NotFoundError(f"There is no operation {name!r}." + (f" Did you mean {near[0]}?" if near else ""))
    return found
