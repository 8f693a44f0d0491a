"""Tests of sweeps, optimisation and walk-forward analysis."""
