"""Hand-over: one engine process gives everything to the next, without an order noticing."""
