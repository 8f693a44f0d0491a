"""Facts about recoveries: something outside failed in a way that is known, and what was done about it."""

from __future__ import annotations

import enum

import msgspec

__all__ = ["ScenarioBegan", "ScenarioEnded", "ScenarioKind"]


class ScenarioKind(enum.StrEnum):
    """What can go wrong outside."""

    NETWORK = "network_disconnection"
    PARTIAL_FILL = "partial_order_fill"
    MAINTENANCE = "exchange_maintenance"
    FEED = "data_feed_interruption"
    REJECTION = "order_rejection"
    RATE_LIMIT = "rate_limit"

    @property
    def words(self) -> str:
        """The kind in a sentence."""
        return _WORDS[self]

    @property
    def words_at_end(self) -> str:
        """The kind before the outcome, which tells by itself whether the trouble is over."""
        return _WORDS_AT_END.get(self, self.words)


_WORDS = {
    ScenarioKind.NETWORK: "Connection lost",
    ScenarioKind.PARTIAL_FILL: "Filled in part",
    ScenarioKind.MAINTENANCE: "Maintenance",
    ScenarioKind.FEED: "Feed interrupted",
    ScenarioKind.REJECTION: "Order rejected",
    ScenarioKind.RATE_LIMIT: "Rate limit",
}
_WORDS_AT_END = {ScenarioKind.NETWORK: "Connection", ScenarioKind.FEED: "Feed"}


class _Fact(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag=True, tag_field="t"):
    """Base of the facts; the tag is the class name."""


class ScenarioBegan(_Fact, frozen=True, kw_only=True):
    """A failure outside was noticed and is being handled."""

    scenario: str
    """One of ScenarioKind."""
    subject: str
    """What it is about: a venue, an instrument or an order."""
    cause: str


class ScenarioEnded(_Fact, frozen=True, kw_only=True):
    """It is over, or a person is needed."""

    scenario: str
    subject: str
    outcome: str
    """In words."""
    succeeded: bool
    """False when a person is needed or something was given up."""
    steps: tuple[str, ...]
    """What was done, in order."""
    duration_ms: int
