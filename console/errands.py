"""Calls on the engine on a person's behalf: shown while under way, never blocking, and never without a result.

A call that changes something gets a request id of its own, so that the engine does it once however often it is asked.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

from engine.errors import QuarterdeckError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from textual.dom import DOMNode

    from console.app import QuarterdeckApp

__all__ = ["LOST", "READ_ONLY", "Errands", "new_request_id"]

LOST = "The link to the engine is lost. Nothing was sent; what is shown is old."
READ_ONLY = "This console may only look: it was opened with --read-only. Nothing was sent."


def new_request_id() -> str:
    """Return a request id nobody has used."""
    return secrets.token_hex(10)


class Errands:
    """Runs calls as workers of the app.

    Args:
        app: Shows what is under way and what came of it.
    """

    def __init__(self, app: QuarterdeckApp) -> None:
        self._app = app
        self._busy: list[str] = []
        self._asked: dict[tuple[int, str], int] = {}

    def operate(
        self,
        operation: str,
        params: Mapping[str, Any] | None,
        *,
        busy: str = "",
        done: str | Callable[[Any], str] = "",
        then: Callable[[Any], None] | None = None,
    ) -> None:
        """Do something that changes the engine; nothing is sent while the link is lost."""
        if not self._app.may_act():
            return
        words = busy or operation
        self._busy.append(words)
        self._show()
        self._app.run_worker(self._operate(operation, params, words, done, then), name=operation, exit_on_error=False)

    def ask(
        self,
        node: DOMNode,
        operation: str,
        params: Mapping[str, Any] | None,
        *,
        then: Callable[[Any], None],
        group: str = "",
    ) -> None:
        """Ask for a view; a late answer, or one for a screen that has gone, is dropped."""
        key = (id(node), group or operation)
        number = self._asked[key] = self._asked.get(key, 0) + 1

        async def run() -> None:
            try:
                reply = await self._app.link.call(operation, params)
            except QuarterdeckError as error:
                if self._asked.get(key) == number and self._app.link.state != "lost":
                    self._app.notify(error.message, title=error.title, severity="warning", markup=False)
                return
            except Exception as error:
                # Task root: the worker would end silently.
                self._app.report(error, where=operation)
                return
            if self._asked.get(key) == number and node.is_attached:
                self._guarded(then, reply, operation)

        self._app.run_worker(run(), name=operation, exit_on_error=False)

    async def _operate(
        self,
        operation: str,
        params: Mapping[str, Any] | None,
        words: str,
        done: str | Callable[[Any], str],
        then: Callable[[Any], None] | None,
    ) -> None:
        try:
            reply = await self._app.link.call(operation, params, request_id=new_request_id())
        except QuarterdeckError as error:
            self._app.notify(error.message, title=error.title, severity="error", markup=False)
            return
        except Exception as error:
            # Task root: the worker would end silently.
            self._app.report(error, where=operation)
            return
        finally:
            self._busy.remove(words)
            self._show()
        if done:
            self._app.notify(done(reply) if callable(done) else done, markup=False)
        if then is not None:
            self._guarded(then, reply, operation)

    def _guarded(self, then: Callable[[Any], None], reply: Any, operation: str) -> None:
        try:
            then(reply)
        except Exception as error:
            # The continuation belongs to a screen; its failure is shown, not lost with the worker.
            self._app.report(error, where=operation)

    def _show(self) -> None:
        screen = self._app.deck_screen
        if screen is not None:
            screen.busy(", ".join(self._busy))
