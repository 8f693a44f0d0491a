"""Tests of the strategy contract, its indicators and its runner."""
