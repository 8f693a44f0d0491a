"""Tests of the capital department."""
