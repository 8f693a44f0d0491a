"""The markets a paper venue trades in: simulated from a seed, or replayed from recordings."""
