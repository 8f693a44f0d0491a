"""What works between an engine and a client that speak different protocols, so that nobody is locked out of a stop.

Hello, welcome and the forms below never change their meaning: an old console can cancel and halt on a new engine, and a
new one on an old engine. Everything else is refused with a sentence that names the older side.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from engine.control.protocol import PROTOCOL
from engine.errors import VersionSkewError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from engine.control.protocol import Hello, Welcome

__all__ = ["ALLOWED", "Minimal", "allowed_params", "engine_is_newer", "engine_is_older", "minimal"]

ALLOWED: dict[str, tuple[str, ...]] = {
    "engine.status": (),
    "orders.cancel_all": (),
    "risk.halt": ("reason",),
    "risk.emergency_stop": ("reason",),
    "engine.stop": ("positions",),
}
"""Operation -> parameters that are taken across a difference of protocols; others are left out."""

_FIGURES = ("release", "pid", "mode", "trading", "trading_reason", "running_bots", "open_orders", "equity", "failure")


class Minimal(msgspec.Struct, frozen=True, kw_only=True):
    """A reply that every protocol can read."""

    done: bool
    sentence: str
    values: dict[str, str | int | float | None] = {}


def allowed_params(operation: str, params: Mapping[str, Any], sentence: str) -> dict[str, Any]:
    """What of a call's parameters is taken.

    Raises:
        VersionSkewError: The operation does not work across a difference of protocols.
    """
    taken = ALLOWED.get(operation)
    if taken is None:
        raise VersionSkewError(sentence)
    if params.get("scope") not in (None, "", "all"):
        # An engine that knows no scopes would stop everything.
        raise VersionSkewError(f"{sentence} Nothing but everything at once can be stopped until then.")
    return {name: params[name] for name in taken if params.get(name) is not None}


def minimal(operation: str, reply: Any) -> Minimal:
    """An operation's reply in its lasting form."""
    if operation == "engine.status":
        values = {name: _plain(getattr(reply, name)) for name in _FIGURES}
        sentence = (
            f"The engine runs as process {values['pid']} (release {values['release']}), trading is "
            f"{values['trading']}, {values['open_orders']} orders are open, {values['running_bots']} bots run."
        )
        return Minimal(done=True, sentence=sentence, values=values)
    if operation == "orders.cancel_all":
        return Minimal(done=True, sentence=f"{len(reply)} orders are being cancelled.", values={"orders": len(reply)})
    if operation == "engine.stop":
        return Minimal(done=True, sentence=str(reply))
    trading = _plain(reply.trading)
    return Minimal(done=True, sentence=f"Trading is {trading}.", values={"trading": trading})


def _plain(value: Any) -> str | int | float | None:
    return value if value is None or isinstance(value, int | float) else str(value)


def engine_is_newer(hello: Hello, release: str, pid: int) -> str:
    """What the newer engine says to an older client."""
    return (
        f"This {hello.client} is older (release {hello.release}, protocol {hello.proto}) than the engine it reached "
        f"(release {release}, protocol {PROTOCOL}, process {pid}). Start it anew from the newer release: `quarterdeck "
        "attach`. Until then it can only show the status, cancel all orders, halt and stop."
    )


def engine_is_older(welcome: Welcome, client: str, release: str) -> str:
    """What a newer client says of an older engine."""
    return (
        f"The engine is older (release {welcome.release}, protocol {welcome.proto}, process {welcome.pid}) than this "
        f"{client} (release {release}, protocol {PROTOCOL}). `quarterdeck engine restart` hands over to the newer "
        "release with orders and positions in place. Until then only the status, cancelling all orders, halting and "
        "stopping work."
    )
