"""Translation at the boundary: what the driver raised becomes a product exception, with the original as its cause."""

from __future__ import annotations

import re

from sqlalchemy import exc

from engine.errors import QuarterdeckError, StorageError

__all__ = ["StorageUnavailableError", "translate"]


class StorageUnavailableError(StorageError):
    """The database cannot be reached, is busy or has no free connection; the same call may succeed later."""

    kind = "storage_unavailable"
    retryable = True


_CONSTRAINT = re.compile(r"(CHECK|UNIQUE|NOT NULL) constraint failed: (?P<name>[\w., ]+)|FOREIGN KEY constraint failed")
# Serialisation failure, deadlock, lock not available, too many connections, and the server going down.
_TRANSIENT_STATES = frozenset({"40001", "40P01", "55P03", "53300", "57P01", "57P02", "57P03"})
_APPEND_ONLY = "append-only"
_BUSY = ("database is locked", "database table is locked", "database is busy")


def translate(error: Exception) -> QuarterdeckError:
    """Give the product exception for anything that went wrong in a session.

    Values of parameters never enter the message: they may be secrets.
    """
    if isinstance(error, QuarterdeckError):
        return error
    if isinstance(error, exc.StatementError) and isinstance(error.orig, QuarterdeckError):
        return error.orig
    if isinstance(error, exc.TimeoutError):
        return StorageUnavailableError(
            "No database connection became free in time; wait for running work to end, or raise "
            "database.postgresql_pool_size.",
            error_code="pool_exhausted",
        )
    if isinstance(error, exc.DBAPIError) and _APPEND_ONLY in str(error.orig):
        return StorageError(
            "The audit log is append-only; rows are neither changed nor deleted.", error_code=_APPEND_ONLY
        )
    if isinstance(error, exc.IntegrityError):
        rule = _constraint_of(error)
        return StorageError(
            f"The database refused a row: it breaks {rule}. Nothing of the transaction was kept; correct the row.",
            error_code="constraint",
            details={"constraint": rule},
        )
    if isinstance(error, exc.DBAPIError):
        return _of_driver(error)
    if isinstance(error, OSError | TimeoutError):
        return StorageUnavailableError(
            f"The database cannot be reached ({type(error).__name__}); check that it runs and what the settings say.",
            error_code="unreachable",
        )
    return StorageError(
        f"The transaction was rolled back because of {type(error).__name__}; its cause is attached.",
        error_code="rolled_back",
    )


def _of_driver(error: exc.DBAPIError) -> StorageError:
    text = str(error.orig)
    state = getattr(error.orig, "sqlstate", None)
    if error.connection_invalidated or state in _TRANSIENT_STATES or any(word in text for word in _BUSY):
        return StorageUnavailableError(
            "The database is busy or the connection was lost; nothing of the transaction was kept. Try again.",
            error_code=str(state or "busy"),
        )
    if "no such table" in text or state == "42P01":
        return StorageError(
            "The database has not been set up for this version; run `quarterdeck storage migrate`.", error_code="schema"
        )
    cause = type(getattr(error.orig, "__cause__", None) or error.orig).__name__
    return StorageError(
        f"The database could not carry out a statement ({cause}); nothing of the transaction was kept.",
        error_code=str(state) if state else None,
    )


def _constraint_of(error: exc.IntegrityError) -> str:
    driver = getattr(error.orig, "__cause__", None)
    name = getattr(driver, "constraint_name", None) or getattr(driver, "column_name", None)
    if name:
        return str(name)
    found = _CONSTRAINT.search(str(error.orig))
    if found is None:
        return "a constraint"
    return found["name"] or "a foreign key"
