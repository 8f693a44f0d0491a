"""Search over a strategy's parameters: sweeps of a grid, Optuna, and walk-forward analysis."""
