"""Tests of engine.venues.remote."""
