"""Sends alerts to a person's channels through Apprise: in threads of its own, retried, and never twice the same.

A channel that is slow or dead holds back neither the engine, nor its end, nor another channel: each has one thread at
most, for which nobody waits longer than for an answer, and the process ends without it. Addresses of channels hold
tokens: none is ever in a log, an error or a figure; channels are known by the kind of their service and their number.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar, cast

import msgspec

from engine.logs import add_secret, get_logger, redact
from engine.model.faults import Severity

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from engine.clock import Clock

__all__ = ["AlertMessage", "AlertSender", "ChannelHealth"]

log = get_logger(__name__)

_T = TypeVar("_T")

PAUSES_S = (5.0, 30.0, 120.0, 600.0)
"""Pauses between attempts; after the last one the alert is given up on that channel."""
SAME_S = 300.0
"""The same words are told once within this time."""
WAITING = 200
"""Alerts that may wait for one channel; then the least severe of the oldest makes room."""
SEND_S = 30.0
_LONGEST = 1500


class AlertMessage(msgspec.Struct, frozen=True, kw_only=True):
    """What a person is told."""

    severity: Severity
    title: str
    text: str
    ts: int
    """UTC nanoseconds."""


class ChannelHealth(msgspec.Struct, frozen=True, kw_only=True):
    """How a channel fares."""

    name: str
    """The kind of its service and its number, such as `ntfy 1`."""
    sent: int
    given_up: int
    waiting: int
    problem: str
    """Why the last attempt failed; empty when it did not."""


class _Channel:
    def __init__(self, name: str, url: str) -> None:
        self.name = name
        self.url = url
        self.service: Any = None
        self.waiting: deque[AlertMessage] = deque()
        self.wake = asyncio.Event()
        self.over: threading.Event | None = None
        """Set when the last attempt is over; one that hangs may never be."""
        self.sent = 0
        self.given_up = 0
        self.problem = ""


class AlertSender:
    """Sends to all channels. `run` owns the work; `tell` may be called from anywhere on the loop and returns at once.

    Args:
        channels: Apprise addresses.
        clock: Gives the pauses.
        least: Least severity that is sent.
    """

    def __init__(self, channels: Sequence[str], clock: Clock, least: Severity = Severity.CRITICAL) -> None:
        self._clock = clock
        self._least = least
        self._channels = [_Channel(f"{_kind(url)} {number}", url) for number, url in enumerate(channels, 1)]
        self._told: dict[tuple[str, str], int] = {}
        self._loaded = False
        for url in channels:
            add_secret(url)

    def health(self) -> tuple[ChannelHealth, ...]:
        """How each channel fares."""
        return tuple(
            ChannelHealth(
                name=channel.name,
                sent=channel.sent,
                given_up=channel.given_up,
                waiting=len(channel.waiting),
                problem=channel.problem,
            )
            for channel in self._channels
        )

    def tell(self, severity: Severity, title: str, text: str) -> bool:
        """Have something told; False when it is not severe enough, or was told a moment ago."""
        if severity.rank < self._least.rank or not self._channels:
            return False
        title, text = str(redact(title)), str(redact(text))[:_LONGEST]
        now = self._clock.now()
        self._told = {said: at for said, at in self._told.items() if now - at < SAME_S * 1e9}
        if (title, text) in self._told:
            return False
        self._told[title, text] = now
        message = AlertMessage(severity=severity, title=title, text=text, ts=now)
        for channel in self._channels:
            self._queue(channel, message)
        return True

    def _queue(self, channel: _Channel, message: AlertMessage) -> None:
        if len(channel.waiting) >= WAITING:
            least = min(range(len(channel.waiting)), key=lambda at: channel.waiting[at].severity.rank)
            del channel.waiting[least]
            channel.given_up += 1
        channel.waiting.append(message)
        channel.wake.set()

    # --- sending -----------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Send until cancelled."""
        if not self._channels:
            return
        await self._load_once()
        async with asyncio.TaskGroup() as tasks:
            for channel in self._channels:
                tasks.create_task(self._serve(channel), name=f"alerts: {channel.name}")

    async def test(self) -> tuple[ChannelHealth, ...]:
        """Send a word to every channel at once, and tell how that went; nothing is tried again."""
        message = AlertMessage(
            severity=Severity.LOW, title="Quarterdeck", text="This is a test; alerts arrive here.", ts=self._clock.now()
        )
        await self._load_once()
        await asyncio.gather(*(self._attempt(channel, message) for channel in self._channels))
        return self.health()

    async def _load_once(self) -> None:
        if not self._loaded:
            self._loaded = True
            await _started("alerts", self._load_or_say)[1]

    def _load_or_say(self) -> None:
        try:
            self._load()
        except Exception as error:  # a broken plug-in must not end who runs this
            log.error("no alert can be sent: the services cannot be loaded", problem=type(error).__name__)
            for channel in self._channels:
                channel.problem = f"Services cannot be loaded ({type(error).__name__})."

    def _load(self) -> None:
        """Build the services; the first one loads every kind there is, which takes most of a second."""
        import apprise

        # Its own records quote addresses.
        logger = logging.getLogger("apprise")
        logger.setLevel(logging.CRITICAL + 1)
        logger.propagate = False
        asset = apprise.AppriseAsset(app_id="Quarterdeck", app_desc="Quarterdeck", async_mode=False)
        for channel in self._channels:
            # The service alone: what apprise puts around many of them sends from a pool that all share, for whose
            # threads a process waits at its end.
            channel.service = apprise.Apprise.instantiate(channel.url, asset=asset, suppress_exceptions=True)
            if channel.service is None:
                channel.problem = "Its address is not understood; correct alerts.channels."
                log.error("a channel for alerts cannot be used", channel=channel.name)

    async def _serve(self, channel: _Channel) -> None:
        while True:
            await channel.wake.wait()
            channel.wake.clear()
            while channel.waiting:
                await self._deliver(channel, channel.waiting.popleft())

    async def _deliver(self, channel: _Channel, message: AlertMessage) -> None:
        for pause in (*PAUSES_S, None):
            if await self._attempt(channel, message):
                return
            if channel.service is None or pause is None:
                break
            await self._clock.sleep(pause)
        channel.given_up += 1
        log.error("an alert could not be sent", channel=channel.name, title=message.title, problem=channel.problem)

    async def _attempt(self, channel: _Channel, message: AlertMessage) -> bool:
        if channel.service is None:
            return False
        if channel.over is not None and not channel.over.is_set():
            channel.problem = "The service still holds an earlier attempt."
            return False
        channel.over, answer = _started(f"alerts: {channel.name}", lambda: _send(channel.service, message))
        try:
            async with asyncio.timeout(SEND_S):
                arrived = await answer
            channel.problem = "" if arrived else "The service did not take it."
        except TimeoutError:
            arrived = False
            channel.problem = f"The service did not answer within {SEND_S:g} s."
        except Exception as error:  # a plug-in may raise whatever it likes; its words may quote the address
            arrived = False
            channel.problem = f"It failed ({type(error).__name__})."
        channel.sent += arrived
        return arrived


def _started(name: str, work: Callable[[], _T]) -> tuple[threading.Event, asyncio.Future[_T]]:
    """Have something done in a thread that keeps no process from ending, unlike those of a pool.

    Returns:
        What is set as soon as it is over, and what comes of it.
    """
    loop, over = asyncio.get_running_loop(), threading.Event()
    answer: asyncio.Future[_T] = loop.create_future()

    def tell(result: _T | None, error: Exception | None) -> None:
        if answer.done():
            # Nobody waits any more.
            return
        if error is not None:
            answer.set_exception(error)
        else:
            answer.set_result(cast("_T", result))

    def run() -> None:
        result, failed = None, None
        try:
            result = work()
        except Exception as error:  # whoever waits hears it
            failed = error
        # Before anybody hears of it: who then tries again finds the channel free.
        over.set()
        with suppress(RuntimeError):
            # The loop may be closed by now.
            loop.call_soon_threadsafe(tell, result, failed)

    threading.Thread(target=run, name=name, daemon=True).start()
    return over, answer


def _send(service: Any, message: AlertMessage) -> bool:
    import apprise

    kinds = {
        Severity.CRITICAL: apprise.NotifyType.FAILURE,
        Severity.HIGH: apprise.NotifyType.WARNING,
        Severity.MEDIUM: apprise.NotifyType.WARNING,
        Severity.LOW: apprise.NotifyType.INFO,
    }
    title = message.title if message.severity is Severity.LOW else f"[{message.severity}] {message.title}"
    return bool(service.notify(body=message.text or message.title, title=title, notify_type=kinds[message.severity]))


def _kind(url: str) -> str:
    kind = url.partition("://")[0].lower()
    return kind if kind.isalnum() and len(kind) <= 20 else "channel"
