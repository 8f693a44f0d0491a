"""Market making against hand-computed values and on the simulated market."""
