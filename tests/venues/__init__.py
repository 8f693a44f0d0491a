"""Tests of the venues package."""
