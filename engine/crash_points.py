"""Named places in the code at which a test may end the process; in normal use passing one does nothing.

A test arms one place through the environment of the process that it starts, such as
`QUARTERDECK_TEST_CRASH_AT=journal.committed:3`: the third time that anything passes that place, the process kills
itself as a loss of power would, without a last word. A third part says otherwise: `:stop` freezes it (SIGSTOP, until
somebody continues it), a process number kills that process first, if it is the one that started this one.

Points stand on both sides of every step that makes something durable or leaves the house. Whoever adds such a step adds
its points here and passes them there; `tests/chaos` holds that each is passed in some line of code.
"""

from __future__ import annotations

import os
import signal
import threading
from itertools import count
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["CRASH_AT", "POINTS", "arm", "crash_point", "killer"]

CRASH_AT = "QUARTERDECK_TEST_CRASH_AT"
"""Name in the environment: `point:nth`, `point:nth:stop` or `point:nth:PID`."""

POINTS: dict[str, str] = {
    "intent.checked": "risk has agreed to an order; its intent is not booked",
    "intent.applied": "an intent is in the state and not queued to the journal",
    "intent.queued": "an intent is queued to the journal; its sending is not queued",
    "journal.commit": "facts are about to be written to the file",
    "journal.committed": "facts are durable; nobody has been told",
    "mark.write": "the high-water mark is about to be written",
    "mark.written": "the high-water mark is durable",
    "order.leaving": "an intent is durable; its order is about to be sent",
    "order.sent": "the venue has answered the request that sent an order",
    "cancel.leaving": "a cancel is about to be sent",
    "cancel.sent": "the venue has answered a cancel",
    "amend.leaving": "a change is about to be sent",
    "amend.sent": "the venue has answered a change",
    "report.received": "a report other than an execution has come in; it is not booked",
    "report.applied": "that report is booked",
    "fill.received": "an execution has come in; it is not booked",
    "fill.applied": "that execution is booked",
    "call.done": "an operation is done; what it booked may not be durable, nobody is answered",
    "call.durable": "what an operation booked is durable; nobody is answered",
    "recover.begun": "a start has reached the venue; nothing has been asked",
    "recover.caught_up": "a start has booked missed executions; orders have not been asked for",
    "recover.done": "a start has asked for everything; trading has not begun",
    "snapshot.due": "a snapshot is about to be cut",
    "snapshot.written": "a snapshot is written and synced under another name (in the program that cuts it)",
    "snapshot.named": "a snapshot has its name (in the program that cuts it)",
    "snapshot.cut": "the engine has heard that a snapshot is cut",
    "handover.greeted": "the engine has greeted a successor; it trades on",
    "handover.warm": "the successor is warm and has not said so",
    "handover.proven": "the successor's state is proven; the engine does not stand still yet",
    "handover.frozen": "the engine begins nothing new; answers of the venue are still booked",
    "handover.booked": "the engine has booked durably that it is handed over; it still holds the venue",
    "handover.let_go": "the engine has let go of the venue; the lock is not granted",
    "handover.ready": "the successor has reached the last fact and has not said so",
    "handover.granting": "the lock's descriptor is about to be sent",
    "handover.granted": "the lock's descriptor is sent; the epoch may be opened at any moment",
    "handover.taking": "the successor has the lock; the epoch is not opened",
    "handover.taken": "the successor has opened the epoch; nobody has been told",
    "handover.signed": "the lock names the successor; the engine before it has not heard it",
    "handover.told": "the engine before it has been told; the successor has not met the venue",
    "handover.left": "the engine knows that it is over for it; it is about to exit",
    "handover.trading": "the successor trades",
    "venue.commit": "the paper venue is about to store what it did",
    "venue.committed": "the paper venue has stored what it did; nobody has been told",
}
"""Every point and what has, and has not, happened when it is passed."""

_hook: Callable[[str], object] | None = None


def crash_point(name: str) -> None:
    """Pass a point; it costs some tens of nanoseconds while nothing is armed."""
    if _hook is not None:
        _hook(name)


def arm(hook: Callable[[str], object] | None) -> None:
    """Call a function with the name of every point that is passed from now on, in whatever thread; None disarms."""
    global _hook
    _hook = hook


def killer(order: str) -> Callable[[str], None]:
    """What carries out an order such as `journal.committed:3`.

    Raises:
        ValueError: There is no such point, count or action.
    """
    point, _, rest = order.partition(":")
    nth, _, action = rest.partition(":")
    if point not in POINTS or not (action in ("", "stop") or action.isdecimal()) or not nth.isdecimal() or int(nth) < 1:
        raise ValueError(f"{CRASH_AT}: {order!r} is no point:nth[:stop|:PID]; points are {', '.join(POINTS)}.")
    passes, lock = count(1), threading.Lock()

    def pass_by(name: str) -> None:
        if name != point:
            return
        with lock:
            reached = next(passes) == int(nth)
        if reached:
            _strike(action)

    return pass_by


def _strike(action: str) -> None:
    # An orphan's parent is somebody else's process: only the one that was named is meant.
    if action.isdecimal() and os.getppid() == int(action):
        os.kill(int(action), signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGSTOP if action == "stop" else signal.SIGKILL)


if _order := os.environ.get(CRASH_AT):
    arm(killer(_order))
