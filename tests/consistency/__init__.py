"""Tests of the checks of the state."""
