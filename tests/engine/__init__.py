"""Tests of the engine's own modules."""
