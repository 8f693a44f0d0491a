"""Tests of the market hub."""
