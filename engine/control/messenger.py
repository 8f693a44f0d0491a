"""What of an engine's facts and notices is sent to a person who is away."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.alerts.sender import AlertSender
from engine.control.history_rows import told_of
from engine.logs import get_logger

if TYPE_CHECKING:
    from engine.config import AlertSettings
    from engine.engine import Engine
    from engine.events import Record
    from engine.resilience.handler import Notice

__all__ = ["make_sender"]

log = get_logger(__name__)


def make_sender(wanted: AlertSettings, engine: Engine) -> AlertSender:
    """A sender to the channels of the settings that hears an engine; whoever calls runs it.

    Args:
        wanted: Channels and the least severity.
        engine: Not started.
    """
    sender = AlertSender([url.get_secret_value() for url in wanted.channels], engine.clock, wanted.severity)

    def on_fact(record: Record) -> None:
        try:
            told = told_of(record.event)
            if told is not None:
                _, severity, title, text = told
                sender.tell(severity, title, text)
        except Exception:  # that somebody cannot be told is no reason to stop trading
            log.exception("an alert could not be made", seq=record.seq)

    def on_notice(notice: Notice) -> None:
        sender.tell(notice.severity, f"Quarterdeck: {notice.component}", notice.text)

    if wanted.channels:
        engine.ledger.subscribe(on_fact)
        engine.errors.on_notice(on_notice)
    return sender
