"""Execution quality: what executions cost, how fast they were, what the market did after them."""
