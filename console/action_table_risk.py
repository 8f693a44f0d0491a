"""What keys do on the screen of risk."""

from __future__ import annotations

from console.actions import Action, Tier

__all__ = ["RISK", "STOP"]

A = Action

RISK = (
    A(
        "risk.edit", "e", "edit", "Limits", "Change risk limits; each change is kept for the audit.",
        Tier.CONFIRM, footer=1,
    ),
    A(
        "risk.stop", "x,H", "stop", "Halt", "Let orders only reduce, halt trading, or stop everything; says why.",
        Tier.CONFIRM, footer=2, danger=True,
    ),
    A("risk.resume", "r", "resume", "Resume", "Allow new orders again; says why.", Tier.CONFIRM, footer=3),
    A("risk.reset", "b", "reset", "Reset breaker", "Close the chosen breaker again; says why.", Tier.CONFIRM, footer=4),
    A("risk.page", "v", "page", "Page", "Change between breakers, what happened, locks and measured risk.", footer=5),
    A("risk.stress", "t", "stress", "Stress test", "Show what bad days would do to what is held now.", footer=6),
    A(
        "risk.trip", "i", "trip", "Open breaker", "Open the chosen breaker by hand until it is reset; says why.",
        Tier.CONFIRM, footer=7,
    ),
    A(
        "risk.stops", "p", "stops", "Emergency stops",
        "Show every emergency stop that is not released, and what could not be closed.",
    ),
    A("risk.unlock", "w", "unlock", "Lift lock", "Lift the chosen lock before its time; says why.", Tier.CONFIRM),
)  # fmt: skip

STOP = (
    A("stop.next", "down", "part(1)", "Another part", "Stop the next part of trading: a venue, a market, a bot."),
    A("stop.previous", "up", "part(-1)", "Part before", "Stop the part of trading before."),
)
