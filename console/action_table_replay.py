"""What keys do while the past is shown; they mean nothing in the present."""

from __future__ import annotations

from console.actions import Action

__all__ = ["REPLAY"]

A = Action

REPLAY = (
    A("replay.play", "space", "app.replay_play", "Play", "Let the past happen, or stand still."),
    A("replay.next", "full_stop", "app.replay_step(1, 'any')", "Step", "Go to the next fact."),
    A("replay.back", "comma", "app.replay_step(-1, 'any')", "Back", "Go to the fact before."),
    A("replay.next_fill", "greater_than_sign", "app.replay_step(1, 'fills')", "Next fill", "Go to the next execution."),
    A(
        "replay.last_fill", "less_than_sign", "app.replay_step(-1, 'fills')", "Last fill",
        "Go to the execution before.",
    ),
    A("replay.next_order", "", "app.replay_step(1, 'orders')", "Next order", "Go to the next fact about an order."),
    A("replay.next_bot", "", "app.replay_step(1, 'bots')", "Next bot fact", "Go to the next fact about a bot."),
    A("replay.next_risk", "", "app.replay_step(1, 'risk')", "Next risk fact", "Go to the next halt or refusal."),
    A("replay.faster", "right_curly_bracket", "app.replay_speed(1)", "Faster", "Let time pass faster."),
    A("replay.slower", "left_curly_bracket", "app.replay_speed(-1)", "Slower", "Let time pass more slowly."),
    A("replay.go", "ctrl+t", "app.replay_go", "Go to", "Go to a time, a fact or a session."),
    A("replay.leave", "backspace", "app.replay_leave", "Present", "Go back to the present."),
)  # fmt: skip
