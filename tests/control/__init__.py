"""Tests of engine.control."""
